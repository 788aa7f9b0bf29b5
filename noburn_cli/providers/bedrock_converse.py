"""The codec of Bedrock's Converse and ConverseStream.

Layer: providers (sans-IO, standard library, Python 3.10).  Below: the modules it imports; what a
request's input consists of is read by providers.bedrock_input.
The URL names the model and the mode, so a codec is bound to them.  Signing an edited request anew
is the business of whoever sends it.
Source: botocore 1.44's `bedrock-runtime` model and
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
(checked 2026-11-27).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from noburn_cli.providers import bedrock_common as common
from noburn_cli.providers.bedrock_input import input_kinds, read_input
from noburn_cli.providers.call import Call, OutputCap
from noburn_cli.providers.codec import Settlement, StreamReader
from noburn_cli.providers.collect import (
    Collector,
    count_or_none,
    model_name,
    names,
    object_or_none,
    refuse_unknown,
)
from noburn_cli.providers.eventstream import FollowingMessages, Message
from noburn_cli.providers.following import answer_object
from noburn_cli.providers.jsonbody import Body, RawJson, deep_refused, refused
from noburn_cli.providers.renaming import Addressed, in_path

_READ = names(
    "modelId messages system inferenceConfig toolConfig outputConfig serviceTier "
    "performanceConfig guardrailConfig additionalModelRequestFields"
)
_HARMLESS = names("additionalModelResponseFieldPaths requestMetadata projectIdentifier")
_INFERENCE = names("maxTokens temperature topP stopSequences")
#: What Claude takes beyond the common parameters, and costs nothing by itself.
_ADDITIONAL = names("thinking top_k anthropic_beta")
_THINKING_LEAST = 1024


@dataclass(frozen=True)
class BedrockConverse(common.BedrockCodec):
    """`POST …/model/ID/converse` and `/converse-stream`.

    model: from the URL; "" for one that names no model, and for a body in a file (`modelId`).
    in_url: whether there is a URL.
    """

    model: str = ""
    streams: bool = False
    in_url: bool = False

    api = "bedrock_converse"

    @deep_refused
    def parse(self, body: bytes) -> Call:
        values = Body(body).values
        model = common.named(self.model) if self.in_url else model_name(values.get("modelId"))
        found = Collector()
        refuse_unknown(found, values, _READ | _HARMLESS)
        read_input(found, values)
        tier = object_or_none(values.get("serviceTier"), what="serviceTier")
        variants = common.variants(found, None if tier is None else tier.get("type"))
        _read_options(found, values)
        return Call(
            api=self.api,
            model=model,
            **found.members(),
            frame_tokens=found.frame_tokens,
            input_kinds=input_kinds(values),
            variants=variants,
            output=_output(values),
            stream=self.streams,
        )

    @deep_refused
    def edit(self, body: bytes, *, cap: int | None) -> bytes:
        request = Body(body)
        wanted = _max_tokens(request.values)
        if cap is None or (wanted is not None and wanted <= cap):
            return body
        inference = request.nested("inferenceConfig").with_values({"maxTokens": cap})
        changes: dict[str, object] = {"inferenceConfig": RawJson(inference.decode("utf-8"))}
        budget = _thinking_budget(request.values)
        if budget is not None and cap <= budget and (wanted is None or budget < wanted):
            if cap <= _THINKING_LEAST:
                raise refused(f"a cap of {cap} leaves no room for thinking (at least 1,025)")
            more = request.nested("additionalModelRequestFields")
            thinking = more.nested("thinking").with_values({"budget_tokens": cap - 1})
            fields = more.with_values({"thinking": RawJson(thinking.decode("utf-8"))})
            changes["additionalModelRequestFields"] = RawJson(fields.decode("utf-8"))
        return request.with_values(changes)

    def with_model(self, url: str, body: bytes, model: str) -> Addressed:
        return Addressed(in_path(url, common.MODEL_IN_URL, model), body)

    def asks_usage(self, body: bytes) -> bool:  # noqa: ARG002
        return True  # Usage is part of every answer.

    def usage(self, body: bytes) -> Settlement | None:
        answer = answer_object(body)
        return None if answer is None else common.settlement_of(answer)

    def stream(self, *, strip_usage: bool) -> StreamReader:  # noqa: ARG002
        return _ConverseStream()


class _ConverseStream(FollowingMessages):
    """`messageStop` ends the generation; `metadata` after it brings the usage."""

    def look(self, message: Message) -> None:
        kind = message.headers.get(":event-type")
        if kind == "messageStop":
            self.ended = True
        elif kind == "metadata":
            try:
                answer = json.loads(message.payload)
            except (ValueError, RecursionError):
                return
            if isinstance(answer, dict):
                self.settlement = common.settlement_of(answer)


def _max_tokens(values: dict[str, Any]) -> int | None:
    config = object_or_none(values.get("inferenceConfig"), what="inferenceConfig") or {}
    return count_or_none(config.get("maxTokens"), what="maxTokens", least=1)


def _thinking_budget(values: dict[str, Any]) -> int | None:
    what = "additionalModelRequestFields"
    fields = object_or_none(values.get(what), what=what) or {}
    thinking = object_or_none(fields.get("thinking"), what="thinking") or {}
    return count_or_none(thinking.get("budget_tokens"), what="budget_tokens", least=1)


def _output(values: dict[str, Any]) -> OutputCap:
    wanted = _max_tokens(values)
    budget = _thinking_budget(values)
    floor = 1 if budget is None else max(budget, _THINKING_LEAST) + 1
    return OutputCap(wanted=wanted, floor=floor if wanted is None else min(wanted, floor))


def _read_options(found: Collector, values: dict[str, Any]) -> None:
    config = object_or_none(values.get("inferenceConfig"), what="inferenceConfig") or {}
    refuse_unknown(found, config, _INFERENCE)
    what = "additionalModelRequestFields"
    fields = object_or_none(values.get(what), what=what) or {}
    refuse_unknown(found, fields, _ADDITIONAL)
    found.schema(fields or None)
    performance = object_or_none(values.get("performanceConfig"), what="performanceConfig") or {}
    if performance.get("latency") not in (None, "standard"):
        found.unbounded(
            "optimised latency costs more, by an amount not in the book", "service_tier"
        )
    if values.get("guardrailConfig") is not None:
        found.unbounded("a guardrail bills a fee for the text that it reads")
