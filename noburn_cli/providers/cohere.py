"""The codecs of Cohere's v2 chat and v2 embed.

Layer: providers (sans-IO, standard library, Python 3.10).  Below: the modules it imports.
Source: `cohere.v2` and the types of cohere 7.3 (checked 2026-11-27): what is billed is
`usage.billed_units`; `max_tokens` is "the maximum number of output tokens the model will generate".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from noburn_cli.core.usage import INPUT, OUTPUT
from noburn_cli.providers import openai_common as common
from noburn_cli.providers.call import Call, OutputCap
from noburn_cli.providers.codec import Block, Settlement, StreamReader
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
from noburn_cli.providers.following import (
    Following,
    NoStream,
    answer_object,
    event_object,
    text_of,
)
from noburn_cli.providers.jsonbody import Body, compact, deep_refused, refused
from noburn_cli.providers.renaming import InBody
from noburn_cli.providers.sse import Event

_HARMLESS = names(
    "strict_tools safety_mode stop_sequences temperature seed frequency_penalty presence_penalty k "
    "p logprobs tool_choice priority"
)
_READ = names(
    "model messages tools documents citation_options response_format max_tokens stream thinking"
)
_EMBED = names(
    "model input_type texts images inputs max_tokens output_dimension embedding_types truncate "
    "priority"
)
#: Marks of a request and of each message, the safety mode's prompt and what tools and documents
#: bring along: not published, and "billed input tokens" leave most of it out.
_OVERHEAD_REQUEST = 1_024
_OVERHEAD_MESSAGE = 16
_OVERHEAD_ITEM = 64
_OVERHEAD_TEXT = 4
#: Models that think by default; whether `max_tokens` caps their thoughts is not documented.
_THINKS = re.compile(r"reasoning")


class _Cohere(InBody, common.Uncounted):
    """What both have in common."""

    def asks_usage(self, body: bytes) -> bool:  # noqa: ARG002
        return True  # Usage is part of every answer.

    def block(self, *, message: str, code: str, status: int = 402) -> Block:
        return common.json_block({"message": message, "code": code}, status=status)

    def rate_limit(self, *, message: str, unit: str, retry_after_ms: int) -> Block:  # noqa: ARG002
        return common.rate_limit({"message": message}, retry_after_ms=retry_after_ms)


@dataclass(frozen=True)
class CohereChat(_Cohere):
    """`POST …/v2/chat`."""

    api = "cohere_chat"

    @deep_refused
    def parse(self, body: bytes) -> Call:
        values = Body(body).values
        found = Collector()
        model = model_name(values.get("model"))
        refuse_unknown(found, values, _HARMLESS | _READ)
        _read_messages(found, values)
        for what in ("tools", "documents"):
            for item in _items(values.get(what), what=what):
                found.add_overhead(_OVERHEAD_ITEM)
                found.schema(item)
        if values.get("response_format") is not None:
            found.add_overhead(_OVERHEAD_ITEM)
            found.schema(values["response_format"])
        found.schema(values.get("citation_options"))
        _read_thinking(found, values, model)
        return Call(
            api=self.api,
            model=model,
            **found.members(),
            frame_tokens=found.frame_tokens,
            input_kinds=(INPUT,),
            output=OutputCap(wanted=_cap(values)),
            stream=flag(values.get("stream"), what="stream"),
        )

    @deep_refused
    def edit(self, body: bytes, *, cap: int | None) -> bytes:
        request = Body(body)
        own = _cap(request.values)
        if cap is None or (own is not None and own <= cap):
            return body
        return request.with_values({"max_tokens": cap})

    def usage(self, body: bytes) -> Settlement | None:
        answer = answer_object(body)
        if answer is None:
            return None
        return _settlement(answer.get("usage"), provider_id=text_of(answer.get("id")))

    def stream(self, *, strip_usage: bool) -> StreamReader:  # noqa: ARG002
        return _CohereStream(strip_usage=False)

    def stream_error(self, *, message: str, code: str) -> bytes:
        # The API's own way to end a stream with an error; the SDK hands it on as an event.
        delta = {"error": f"{message} ({code})", "finish_reason": "ERROR"}
        event = compact({"type": "message-end", "delta": delta}).encode("utf-8", "replace")
        return b"event: message-end\ndata: " + event + b"\n\n"


@dataclass(frozen=True)
class CohereEmbed(_Cohere):
    """`POST …/v2/embed`: no output, no stream."""

    api = "cohere_embed"

    @deep_refused
    def parse(self, body: bytes) -> Call:
        values = Body(body).values
        found = Collector()
        refuse_unknown(found, values, _EMBED)
        texts = values.get("texts")
        for text in texts if isinstance(texts, list) else ():
            found.add_overhead(_OVERHEAD_TEXT)
            found.text(text)
        if values.get("images") is not None or values.get("inputs") is not None:
            found.unbounded("images, which embeddings bill at rates of their own", "images")
        elif not isinstance(texts, list) or not texts:
            raise refused("the request has no `texts`")
        return Call(
            api=self.api,
            model=model_name(values.get("model")),
            texts=found.texts,
            schema_text=found.schema_text,
            overhead_tokens=found.overhead_tokens,
            unbounded=found.why_unbounded,
            unbounded_kinds=found.unbounded_kinds,
            usage_tells_all=found.usage_tells_all,
            input_kinds=(INPUT,),
            output=None,
        )

    def edit(self, body: bytes, *, cap: int | None) -> bytes:
        if cap is not None:
            raise refused("embeddings have no output that could be capped")
        return body

    def usage(self, body: bytes) -> Settlement | None:
        answer = answer_object(body)
        meta = answer.get("meta") if answer is not None else None
        units = meta.get("billed_units") if isinstance(meta, dict) else None
        if not isinstance(units, dict) or units.get("image_tokens"):
            return None
        count = _units(units, "input_tokens")
        return Settlement(usage={INPUT: count} if count else {}) if count is not None else None

    def stream(self, *, strip_usage: bool) -> StreamReader:  # noqa: ARG002
        return NoStream(strip_usage=False)

    def stream_error(self, *, message: str, code: str) -> bytes:  # noqa: ARG002
        return b""  # There is no stream to end.


class _CohereStream(Following):
    """`message-end` brings the usage."""

    def __init__(self, *, strip_usage: bool) -> None:
        super().__init__(strip_usage=strip_usage)
        self._id = ""

    def look(self, event: Event) -> bool:
        data = event_object(event) if event.data else None
        kind = data.get("type") if data is not None else None
        if data is None or kind not in ("message-start", "message-end"):
            return False
        self._id = text_of(data.get("id")) or self._id
        delta = data.get("delta")
        if kind == "message-end" and isinstance(delta, dict):
            if delta.get("error") or delta.get("finish_reason") in ("ERROR", "TIMEOUT"):
                self.failed = True
            else:
                self.ended = True
            self.settlement = _settlement(delta.get("usage"), provider_id=self._id)
        return False


def _settlement(usage: object, *, provider_id: str) -> Settlement | None:
    units = usage.get("billed_units") if isinstance(usage, dict) else None
    if not isinstance(units, dict) or units.get("search_units") or units.get("classifications"):
        return None
    counts = {INPUT: _units(units, "input_tokens"), OUTPUT: _units(units, "output_tokens")}
    if any(count is None for count in counts.values()):
        return None
    return Settlement(
        usage={kind: count for kind, count in counts.items() if count}, provider_id=provider_id
    )


def _units(units: Mapping[str, Any], name: str) -> int | None:
    """A billed count; the API's numbers may be spelled as 25.0."""
    value = units.get(name)
    if type(value) is float and value.is_integer():
        value = int(value)
    return value if type(value) is int and value >= 0 else None


def _read_messages(found: Collector, values: dict[str, Any]) -> None:
    messages = object_list(values.get("messages"), what="messages")
    if not messages:
        raise refused("the request has no messages")
    found.add_overhead(_OVERHEAD_REQUEST)
    found.frame_unknown()
    for message in messages:
        found.add_overhead(_OVERHEAD_MESSAGE)
        content = message.get("content")
        for part in content if isinstance(content, list) else [content]:
            found.add_overhead(_OVERHEAD_MESSAGE)
            if not isinstance(part, dict):
                found.text(part)
            elif part.get("type") == "text":
                found.text(part.get("text"))
                found.rest(part, ("type", "text"))
            elif part.get("type") == "image_url":
                found.window("an image, whose tokens only the provider counts")
            elif part.get("type") in ("document", "thinking"):
                found.schema(part)
            else:
                found.unbounded(f"a content part of the unknown type {part.get('type')!r:.40}")
        found.rest(message, ("role", "content"))


def _items(value: object, *, what: str) -> list[Any]:
    if value is not None and not isinstance(value, list):
        raise refused(f"`{what}` is not a list")
    return list(value or ())


def _read_thinking(found: Collector, values: dict[str, Any], model: str) -> None:
    thinking = object_or_none(values.get("thinking"), what="thinking")
    kind = None if thinking is None else thinking.get("type")
    if kind == "disabled" or (thinking is None and not _THINKS.search(model)):
        return
    found.unbounded(
        "thinking, of which is not documented whether `max_tokens` caps it", "reasoning_mode"
    )


def _cap(values: dict[str, Any]) -> int | None:
    return count_or_none(values.get("max_tokens"), what="max_tokens", least=1)
