"""The codec of OpenAI's chat completions, and of the many servers that speak the same.

Layer: providers (sans-IO, standard library, Python 3.10).  Below: the modules it imports.
Source: https://platform.openai.com/docs/api-reference/chat and the parameter types of the openai
Python SDK 3.54 (checked 2026-11-23).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from noburn_cli.core.openai_names import OPENAI_MODEL
from noburn_cli.core.usage import AUDIO_OUTPUT, OUTPUT
from noburn_cli.providers import openai_common as common
from noburn_cli.providers.call import Call, OutputCap
from noburn_cli.providers.codec import Settlement, StreamReader
from noburn_cli.providers.collect import (
    Collector,
    count_or_none,
    flag,
    model_name,
    names,
    object_list,
    object_or_none,
    refuse_unknown,
)
from noburn_cli.providers.following import Following, answer_object, event_object
from noburn_cli.providers.jsonbody import Body, compact, deep_refused, refused
from noburn_cli.providers.renaming import Addressed
from noburn_cli.providers.sse import EVENT_BYTES_MAX, Event

#: Parameters that cost nothing by themselves.  The second group is what compatible servers take.
_HARMLESS = names(
    "frequency_penalty logit_bias logprobs metadata parallel_tool_calls presence_penalty "
    "prompt_cache_key prompt_cache_retention reasoning_effort safety_identifier seed stop store "
    "temperature top_logprobs top_p user verbosity "
    "top_k top_a min_p repetition_penalty min_tokens stop_token_ids ignore_eos skip_special_tokens "
    "mirostat typical_p"
)
#: Parameters that this codec reads.
_READ = names(
    "messages model max_completion_tokens max_tokens n stream stream_options tools tool_choice "
    "functions function_call response_format service_tier prediction modalities audio "
    "web_search_options moderation prompt_cache_options"
)
_CAPS = ("max_completion_tokens", "max_tokens")
_CHOICES_MAX = 128


@dataclass(frozen=True)
#: Uncounted: the free endpoint counts Responses requests; chat's rendering is another.
class OpenAIChat(common.OpenAIErrors, common.Uncounted):
    """`POST …/chat/completions`.  model: what the URL names, where the body need not (Azure)."""

    model: str = ""

    api = "openai_chat"

    @deep_refused
    def parse(self, body: bytes) -> Call:
        values = Body(body).values
        found = Collector()
        model = self.model or model_name(values.get("model"))
        common.check_model(found, model)
        common.check_shared(found, values)
        refuse_unknown(found, values, _HARMLESS | _READ)
        _read_messages(found, values)
        _read_tools(found, values)
        _read_extras(found, values)
        variants = common.request_variants(found, values.get("service_tier"))
        caps = _caps(values)
        wanted = max(caps.values()) if caps else None
        choices = count_or_none(values.get("n"), what="n", least=1) or 1
        if choices > _CHOICES_MAX:
            raise refused(f"`n` is above {_CHOICES_MAX}")
        return Call(
            api=self.api,
            model=model,
            **found.members(),
            frame_tokens=found.frame_tokens,
            input_kinds=common.input_kinds(found),
            output_kinds=(OUTPUT, AUDIO_OUTPUT) if _speaks(values) else (OUTPUT,),
            variants=variants,
            output=OutputCap(wanted=wanted, choices=choices),
            stream=flag(values.get("stream"), what="stream"),
        )

    @deep_refused
    def edit(self, body: bytes, *, cap: int | None) -> bytes:
        request = Body(body)
        changes: dict[str, object] = {}
        if cap is not None:
            caps = _caps(request.values)
            changes.update({name: min(cap, own) for name, own in caps.items() if own > cap})
            if not caps:
                changes[_cap_name(request.values, self.model)] = cap
        if flag(request.get("stream"), what="stream") and not self.asks_usage(body):
            options = object_or_none(request.get("stream_options"), what="stream_options")
            changes["stream_options"] = {**(options or {}), "include_usage": True}
        return request.with_values(changes) if changes else body

    def with_model(self, url: str, body: bytes, model: str) -> Addressed:
        return common.with_model(url, body, model, in_url=bool(self.model))

    def asks_usage(self, body: bytes) -> bool:
        options = object_or_none(Body(body).get("stream_options"), what="stream_options")
        return flag((options or {}).get("include_usage"), what="include_usage")

    def usage(self, body: bytes) -> Settlement | None:
        answer = answer_object(body)
        return _settlement(answer) if answer is not None else None

    def stream(self, *, strip_usage: bool) -> StreamReader:
        return ChatStream(strip_usage=strip_usage)

    def stream_error(self, *, message: str, code: str) -> bytes:
        error = {"message": message, "type": "budget_exceeded", "param": None, "code": code}
        return b"data: " + compact({"error": error}).encode("utf-8", "replace") + b"\n\n"


class ChatStream(Following):
    """Usage comes in a last chunk without choices; some servers repeat it in every chunk.

    `ended` is true from the moment that every choice has a finish reason: a program may leave
    then, before it has read the usage.
    """

    def __init__(self, *, strip_usage: bool, event_bytes_max: int = EVENT_BYTES_MAX) -> None:
        super().__init__(strip_usage=strip_usage, event_bytes_max=event_bytes_max)
        self._latest: Settlement | None = None
        self._open: set[int] = set()
        self._finished: set[int] = set()

    def look(self, event: Event) -> bool:
        if event.data.startswith(b"[DONE]"):
            self.ended = True
            self.settlement = self.settlement or self._latest
            return False
        chunk = event_object(event) if event.data else None
        if chunk is None:
            return False
        if chunk.get("error"):
            self.failed = True
        self._note_choices(chunk.get("choices"))
        settled = _settlement(chunk)
        if settled is None:
            return False
        self._latest = settled
        if chunk.get("choices"):
            return False
        self.settlement = settled
        return True

    def _note_choices(self, choices: object) -> None:
        for choice in choices if isinstance(choices, list) else ():
            index = choice.get("index", 0) if isinstance(choice, dict) else None
            if type(index) is int:
                done = choice.get("finish_reason") is not None
                (self._finished if done else self._open).add(index)
        self.ended = bool(self._finished) and self._open <= self._finished


def _settlement(answer: dict[str, Any]) -> Settlement | None:
    return common.settlement_of(answer, inputs="prompt", outputs="completion")


def _caps(values: dict[str, Any]) -> dict[str, int]:
    """The output caps that the request names, by parameter."""
    named = {name: count_or_none(values.get(name), what=name, least=1) for name in _CAPS}
    return {name: cap for name, cap in named.items() if cap is not None}


def _cap_name(values: dict[str, Any], model: str) -> str:
    """The parameter to write a cap into, for a request that has none.

    `max_tokens` is deprecated, and refused by reasoning models; compatible servers may know nothing
    else, and predicted outputs are documented not to work with `max_completion_tokens`.
    """
    model = model or model_name(values.get("model"))
    if values.get("prediction") is not None or not OPENAI_MODEL.match(model):
        return "max_tokens"
    return "max_completion_tokens"


def _read_messages(found: Collector, values: dict[str, Any]) -> None:
    messages = object_list(values.get("messages"), what="messages")
    if not messages:
        raise refused("the request has no messages")
    found.add_overhead(common.OVERHEAD_REQUEST)
    found.add_frame(common.FRAME_REPLY)
    for message in messages:
        found.add_overhead(common.OVERHEAD_MESSAGE)
        found.add_frame(common.FRAME_MESSAGE)
        if message.get("name") is not None:
            found.add_overhead(common.OVERHEAD_NAME)
            found.add_frame(common.FRAME_NAME)
            found.text(message["name"])
        _read_content(found, message.get("content"))
        for call in object_list(message.get("tool_calls"), what="tool_calls"):
            found.add_overhead(common.OVERHEAD_TOOL_CALL)
            found.schema(call)
        if message.get("function_call") is not None:
            found.add_overhead(common.OVERHEAD_TOOL_CALL)
            found.schema(message["function_call"])
        if message.get("audio") is not None:
            found.audio = True
            found.window("an earlier audio answer, which the provider keeps")
        role = message.get("role")
        if role in _ROLES:
            found.add_frame(common.FRAME_ROLE)  # Each of them is one token in both encodings.
        else:
            found.text(role)
        found.rest(message, _MESSAGE)


_ROLES = ("system", "developer", "user", "assistant", "tool", "function", None)
_MESSAGE = ("role", "name", "content", "tool_calls", "function_call", "audio")


def _read_content(found: Collector, content: object) -> None:
    if not isinstance(content, list):
        found.text(content)
        return
    for place, part in enumerate(content):
        found.add_overhead(common.OVERHEAD_PART)
        if place:
            found.add_frame(-common.FRAME_SEAM, common.FRAME_SEAM)
        if isinstance(part, dict):
            _read_part(found, part)
        else:
            found.text(part)


def _read_part(found: Collector, part: dict[str, Any]) -> None:
    kind = part.get("type")
    common.check_breakpoint(found, part)
    if kind == "text":
        found.text(part.get("text"))
    elif kind == "refusal":
        found.text(part.get("refusal"))
    elif kind == "image_url":
        given = part.get("image_url")
        given = given if isinstance(given, dict) else {"url": given}
        common.image(found, given.get("url"), given.get("detail"))
        return
    elif kind == "file":
        given = part.get("file")
        given = given if isinstance(given, dict) else {}
        common.document(found, given.get("file_data"), given.get("filename"))
        return
    elif kind == "input_audio":
        given = part.get("input_audio")
        common.sound(found, given.get("data") if isinstance(given, dict) else None)
        return
    else:
        found.unbounded(f"a content part of the unknown type {kind!r:.40}")
        return
    found.rest(part, ("type", "text", "refusal", "prompt_cache_breakpoint"))


def _read_tools(found: Collector, values: dict[str, Any]) -> None:
    tools = object_list(values.get("tools"), what="tools")
    functions = object_list(values.get("functions"), what="functions")
    for tool in tools:
        if tool.get("type") not in ("function", "custom"):
            found.unbounded(
                f"the hosted tool {tool.get('type')!r:.40} bills what it does", "hosted_tool"
            )
    for definition in (*tools, *functions):
        found.add_overhead(common.OVERHEAD_TOOL)
        found.tool(definition)
    if tools or functions:
        found.add_overhead(common.OVERHEAD_TOOLS)
    found.schema(values.get("tool_choice"))
    found.tool_forced = values.get("tool_choice") not in (None, "auto", "none")
    found.schema(values.get("function_call"))


def _read_extras(found: Collector, values: dict[str, Any]) -> None:
    if values.get("response_format") is not None:
        found.add_overhead(common.OVERHEAD_FORMAT)
        found.schema(values["response_format"])
    # Rejected predictions are billed as output inside the cap; the text itself may be read, too.
    prediction = object_or_none(values.get("prediction"), what="prediction")
    if prediction is not None:
        found.frame_unknown()
        _read_content(found, prediction.get("content"))
    if values.get("web_search_options") is not None:
        found.unbounded("web search bills a fee for each search", "web_search", told=False)
    if values.get("modalities") is not None:
        for modality in values["modalities"] if isinstance(values["modalities"], list) else [None]:
            if modality not in ("text", "audio"):
                found.unbounded(f"output as {modality!r:.40} has no price in the book")


def _speaks(values: dict[str, Any]) -> bool:
    """Whether the answer may be audio: its tokens count towards the cap, and cost more.

    Source: `completion_tokens_details.audio_tokens` are part of `completion_tokens`, which
    `max_completion_tokens` limits (openai Python SDK 3.57, checked 2026-11-27).
    """
    modalities = values.get("modalities")
    return values.get("audio") is not None or (
        isinstance(modalities, list) and "audio" in modalities
    )
