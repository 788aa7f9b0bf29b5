"""The codecs of Mistral's chat completions, FIM completions and embeddings.

Layer: providers (sans-IO, standard library, Python 3.10).  Below: the modules it imports; a chat is
read by OpenAI's codec, after what is Mistral's own has been taken out.
Source: the request and response types of mistralai 3.7 and https://docs.mistral.ai/api (checked
2026-11-27).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from noburn_cli.core.usage import CACHE_READ, INPUT
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
    refuse_unknown,
)
from noburn_cli.providers.following import answer_object, count_of
from noburn_cli.providers.jsonbody import Body, compact, deep_refused, refused
from noburn_cli.providers.openai_chat import ChatStream, OpenAIChat
from noburn_cli.providers.openai_embeddings import OpenAIEmbeddings
from noburn_cli.providers.renaming import InBody
from noburn_cli.providers.sse import Event

_CHAT = OpenAIChat()
_EMBEDDINGS = OpenAIEmbeddings()
#: What Mistral takes beyond OpenAI's parameters, and costs nothing by itself.
_OWN = names(
    "random_seed min_tokens repetition_penalty prompt_logprobs top_prompt_logprobs top_k "
    "safe_prompt prompt_mode guardrails service_tier"
)
_EMBEDDINGS_OWN = names("metadata output_dimension output_dtype")
_FIM = names(
    "model prompt suffix max_tokens min_tokens temperature top_p stop stream random_seed metadata "
    "prompt_cache_key"
)
#: The published safety prompt is 186 bytes ("Always assist with care, respect, and truth. …").
#: https://docs.mistral.ai/capabilities/guardrailing (checked 2026-11-27)
OVERHEAD_SAFE_PROMPT = 256
#: The published system prompt for reasoning is some 900 bytes; the mode's own is not published.
OVERHEAD_PROMPT_MODE = 2_048
#: A request's own marks, and the three between prefix, suffix and middle.
_OVERHEAD_FIM = 16
#: Parts of a message that are not billed as tokens of text alone: why, and which ceiling.
_PARTS = {
    "input_audio": ("audio, which is billed by its length", "transcription"),
    "document_url": ("a document, whose pages are read for a fee", "hosted_tool"),
    "file": ("a stored file, whose pages are read for a fee", "hosted_tool"),
}
_INPUT_KINDS = (INPUT, CACHE_READ)


class _Mistral(InBody, common.Uncounted):
    """What the three have in common."""

    def asks_usage(self, body: bytes) -> bool:  # noqa: ARG002
        return True  # Usage is part of every answer; a stream has it in its last chunk.

    def usage(self, body: bytes) -> Settlement | None:
        answer = answer_object(body)
        return None if answer is None else _settlement(answer)

    def stream(self, *, strip_usage: bool) -> StreamReader:  # noqa: ARG002
        return _MistralStream(strip_usage=False)

    def block(self, *, message: str, code: str, status: int = 402) -> Block:
        error = {"object": "error", "message": message, "type": "budget_exceeded"}
        return common.json_block({**error, "param": None, "code": code}, status=status)

    def rate_limit(self, *, message: str, unit: str, retry_after_ms: int) -> Block:  # noqa: ARG002
        error = {"object": "error", "message": message, "type": "rate_limited"}
        return common.rate_limit(
            {**error, "param": None, "code": "1300"}, retry_after_ms=retry_after_ms
        )

    def stream_error(self, *, message: str, code: str) -> bytes:
        return _CHAT.stream_error(message=message, code=code)


@dataclass(frozen=True)
class MistralChat(_Mistral):
    """`POST …/v1/chat/completions` of api.mistral.ai."""

    api = "mistral_chat"

    @deep_refused
    def parse(self, body: bytes) -> Call:
        request = Body(body)
        found = Collector()
        _read_own(found, request.values)
        messages = _plain_messages(found, request.values.get("messages"))
        kept = [key for key in request.values if key not in _OWN]
        inner = Body(request.only(kept)).with_values({"messages": messages})
        call = _CHAT.parse(inner)
        return replace(
            call,
            api=self.api,
            overhead_tokens=call.overhead_tokens + found.overhead_tokens,
            frame_tokens=None,
            unbounded=_joined((call.unbounded, found.why_unbounded)),
            unbounded_kinds=tuple(dict.fromkeys((*call.unbounded_kinds, *found.unbounded_kinds))),
            usage_tells_all=call.usage_tells_all and found.usage_tells_all,
            input_kinds=_INPUT_KINDS,
            variants=("standard",),
        )

    @deep_refused
    def edit(self, body: bytes, *, cap: int | None) -> bytes:
        return _capped(body, cap)


@dataclass(frozen=True)
class MistralFim(_Mistral):
    """`POST …/v1/fim/completions`: fill in the middle."""

    api = "mistral_fim"

    @deep_refused
    def parse(self, body: bytes) -> Call:
        values = Body(body).values
        found = Collector()
        refuse_unknown(found, values, _FIM)
        if not isinstance(values.get("prompt"), str):
            raise refused("the request has no `prompt`")
        found.add_overhead(_OVERHEAD_FIM)
        found.text(values["prompt"])
        found.text(values.get("suffix"))
        return Call(
            api=self.api,
            model=model_name(values.get("model")),
            texts=found.texts,
            schema_text=found.schema_text,
            overhead_tokens=found.overhead_tokens,
            unbounded=found.why_unbounded,
            unbounded_kinds=found.unbounded_kinds,
            usage_tells_all=found.usage_tells_all,
            input_kinds=_INPUT_KINDS,
            output=OutputCap(wanted=_cap(values)),
            stream=flag(values.get("stream"), what="stream"),
        )

    @deep_refused
    def edit(self, body: bytes, *, cap: int | None) -> bytes:
        return _capped(body, cap)


@dataclass(frozen=True)
class MistralEmbeddings(_Mistral):
    """`POST …/v1/embeddings` of api.mistral.ai."""

    api = "mistral_embeddings"

    @deep_refused
    def parse(self, body: bytes) -> Call:
        request = Body(body)
        kept = [key for key in request.values if key not in _EMBEDDINGS_OWN]
        return replace(_EMBEDDINGS.parse(request.only(kept)), api=self.api)

    def edit(self, body: bytes, *, cap: int | None) -> bytes:
        return _EMBEDDINGS.edit(body, cap=cap)

    def usage(self, body: bytes) -> Settlement | None:
        return _EMBEDDINGS.usage(body)


class _MistralStream(ChatStream):
    """The chunk with the last finish reason has the usage."""

    def look(self, event: Event) -> bool:
        super().look(event)
        if self.ended and self._latest is not None:
            self.settlement = self._latest
        return False


def _settlement(answer: dict[str, Any]) -> Settlement | None:
    usage = answer.get("usage")
    if isinstance(usage, dict) and count_of(usage, "prompt_audio_seconds") != 0:
        return None  # Audio is billed by its length; the hold stays until somebody knows.
    settled = common.settlement_of(answer, inputs="prompt", outputs="completion")
    if settled is None or not isinstance(usage, dict):
        return None
    return replace(settled, variant=common.served_variant(usage.get("service_tier")))


def _read_own(found: Collector, values: dict[str, Any]) -> None:
    if flag(values.get("safe_prompt"), what="safe_prompt"):
        found.add_overhead(OVERHEAD_SAFE_PROMPT)
    if values.get("prompt_mode") is not None:
        found.add_overhead(OVERHEAD_PROMPT_MODE)
    if values.get("guardrails") is not None:
        found.unbounded(
            "guardrails are moderated by a model that is not known to be free", "moderation"
        )
    if values.get("service_tier") not in (None, "auto", "standard_only"):
        tier = values["service_tier"]
        found.unbounded(f"the service tier {tier!r:.40} has no price in the book", "service_tier")


def _plain_messages(found: Collector, value: object) -> list[dict[str, Any]]:
    """The messages with the parts that OpenAI's reader does not know written out as text."""
    messages = []
    for message in object_list(value, what="messages"):
        content = message.get("content")
        if isinstance(content, list):
            parts = [_plain_part(found, part) for part in content]
            message = {**message, "content": [part for part in parts if part is not None]}
        messages.append(message)
    return messages


def _plain_part(found: Collector, part: Any) -> Any:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind in ("thinking", "reference"):
        return {"type": "text", "text": compact(part)}
    if isinstance(kind, str) and kind in _PARTS:
        why, ceiling = _PARTS[kind]
        found.unbounded(why, ceiling, told=False)
        return None
    return part


def _cap(values: dict[str, Any]) -> int | None:
    return count_or_none(values.get("max_tokens"), what="max_tokens", least=1)


def _capped(body: bytes, cap: int | None) -> bytes:
    request = Body(body)
    own = _cap(request.values)
    if cap is None or (own is not None and own <= cap):
        return body
    return request.with_values({"max_tokens": cap})


def _joined(parts: Iterable[str]) -> str:
    return "; ".join(part for part in parts if part)
