"""The codec of Gemini's embedContent and batchEmbedContents.

Layer: providers (sans-IO, standard library, Python 3.10).  Below: the modules it imports.
Source: https://ai.google.dev/api/embeddings and `models.py` of google-genai 3.6.1 (checked
2026-11-27).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from noburn_cli.core.usage import INPUT
from noburn_cli.providers.call import Call
from noburn_cli.providers.codec import Block, CountRequest, Settlement, StreamReader
from noburn_cli.providers.collect import (
    Collector,
    model_name,
    names,
    object_list,
    refuse_unknown,
)
from noburn_cli.providers.following import NoStream, answer_object, count_of
from noburn_cli.providers.gemini import MODEL_IN_URL, error_body, exhausted, named_again
from noburn_cli.providers.gemini_input import camel, read_content
from noburn_cli.providers.jsonbody import Body, deep_refused, refused
from noburn_cli.providers.openai_common import json_block, rate_limit
from noburn_cli.providers.renaming import Addressed, in_each, in_path

_READ = names("model content title")
_HARMLESS = names("taskType outputDimensionality")
#: A task may bring a prompt of its own; none is published.
_OVERHEAD_TASK = 64


@dataclass(frozen=True)
class GeminiEmbeddings:
    """`POST …/models/MODEL:embedContent` and `:batchEmbedContents`: no output, no stream."""

    model: str = ""

    api = "gemini_embeddings"

    @deep_refused
    def parse(self, body: bytes) -> Call:
        values = camel(Body(body).values, what="the request")
        found = Collector()
        requests = object_list(values.get("requests"), what="requests")
        if requests:
            refuse_unknown(found, values, names("model requests"))
        for one in requests or [values]:
            _read(found, camel(one, what="request"))
        return Call(
            api=self.api,
            model=self.model or model_name(values.get("model")).removeprefix("models/"),
            **found.members(),
            input_kinds=(INPUT,),
            output=None,
        )

    def edit(self, body: bytes, *, cap: int | None) -> bytes:
        if cap is not None:
            raise refused("embeddings have no output that could be capped")
        return body

    def with_model(self, url: str, body: bytes, model: str) -> Addressed:
        if "requests" in Body(body).values:
            body = in_each(body, f"models/{model}", each="requests")
        return Addressed(in_path(url, MODEL_IN_URL, model), named_again(body, model))

    def asks_usage(self, body: bytes) -> bool:  # noqa: ARG002
        return True

    def usage(self, body: bytes) -> Settlement | None:
        answer = answer_object(body)
        usage = answer.get("usageMetadata") if answer is not None else None
        if not isinstance(usage, dict) or type(usage.get("promptTokenCount")) is not int:
            return None
        count = count_of(usage, "promptTokenCount")
        if count is None or _not_text(usage.get("promptTokensDetails")):
            return None
        return Settlement(usage={INPUT: count} if count else {})

    def stream(self, *, strip_usage: bool) -> StreamReader:  # noqa: ARG002
        return NoStream(strip_usage=False)

    def block(self, *, message: str, code: str, status: int = 402) -> Block:
        return json_block(error_body(message, code, status), status=status)

    def rate_limit(self, *, message: str, unit: str, retry_after_ms: int) -> Block:  # noqa: ARG002
        return rate_limit(exhausted(message, retry_after_ms), retry_after_ms=retry_after_ms)

    def stream_error(self, *, message: str, code: str) -> bytes:  # noqa: ARG002
        return b""  # There is no stream to end.

    def count_request(self, body: bytes) -> CountRequest | None:  # noqa: ARG002
        return None

    def parse_count(self, body: bytes) -> int:
        count = Body(body).get("totalTokens")
        if type(count) is not int or count < 0:
            raise refused("the provider's count names no total")
        return count


def _read(found: Collector, request: dict[str, Any]) -> None:
    refuse_unknown(found, request, _READ | _HARMLESS)
    if request.get("content") is None:
        raise refused("the request has no `content`")
    if isinstance(request["content"], str):
        raise refused("`content` is not an object")
    read_content(found, request["content"])
    found.text(request.get("title"))
    if request.get("taskType") is not None:
        found.add_overhead(_OVERHEAD_TASK)
    if found.has_media:
        found.unbounded("media, which embeddings bill at rates of their own")


def _not_text(details: object) -> bool:
    return isinstance(details, list) and any(
        isinstance(one, dict) and one.get("modality") not in ("TEXT", None) for one in details
    )
