"""The codec of Gemini's generateContent and streamGenerateContent.

Layer: providers (sans-IO, standard library, Python 3.10).  Below: the modules it imports; what a
request's input consists of is read by providers.gemini_input.
The URL names the model and the mode, so a codec is bound to them.
Sources: https://ai.google.dev/api/generate-content, `types.py` and `models.py` of google-genai
3.6.1 (checked 2026-11-27).  `maxOutputTokens` caps thoughts and answer together
(https://github.com/googleapis/python-genai/issues/2062).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from noburn_cli.core.usage import AUDIO_CACHE_READ, AUDIO_INPUT, CACHE_READ, INPUT
from noburn_cli.providers.call import Call, OutputCap
from noburn_cli.providers.codec import Block, CountRequest, Settlement, StreamReader
from noburn_cli.providers.collect import (
    Collector,
    count_or_none,
    model_name,
    names,
    refuse_unknown,
)
from noburn_cli.providers.gemini_input import (
    OVERHEAD_FORMAT,
    camel,
    read_contents,
    read_tools,
)
from noburn_cli.providers.gemini_usage import GeminiStream, settlement_of
from noburn_cli.providers.jsonbody import Body, RawJson, compact, deep_refused, refused
from noburn_cli.providers.openai_common import json_block, rate_limit
from noburn_cli.providers.renaming import Addressed, in_body, in_path

_TOP_READ = names(
    "model contents systemInstruction cachedContent tools toolConfig generationConfig serviceTier"
)
_TOP_HARMLESS = names("safetySettings store labels")
_CONFIG_READ = names(
    "maxOutputTokens candidateCount thinkingConfig responseModalities responseSchema "
    "responseJsonSchema responseFormat speechConfig imageConfig"
)
_CONFIG_HARMLESS = names(
    "temperature topP topK stopSequences responseLogprobs logprobs presencePenalty "
    "frequencyPenalty seed responseMimeType mediaResolution enableEnhancedCivicAnswers"
)
_THINKING = names("thinkingBudget includeThoughts thinkingLevel")
#: Caching is implicit as well.
_INPUT_KINDS = (INPUT, CACHE_READ)
_INPUT_KINDS_AUDIO = (*_INPUT_KINDS, AUDIO_INPUT, AUDIO_CACHE_READ)
#: `/models/MODEL:METHOD`; the colon may be escaped.
MODEL_IN_URL = re.compile(r"/models/(?P<model>[^/:%]+)(:|%3[aA])\w+/?$")
_COUNTED = ("contents", "systemInstruction", "cachedContent", "tools", "toolConfig")
_CANDIDATES_MAX = 8
#: https://ai.google.dev/gemini-api/docs/priority-inference: a priority request above its limits is
#: served, and billed, as standard; flex may be as well.  The answer's `serviceTier` says which.
_TIERS = {
    "standard": ("standard",),
    "unspecified": ("standard",),
    "flex": ("flex", "standard"),
    "priority": ("priority", "standard"),
}


@dataclass(frozen=True)
class Gemini:
    """`POST …/models/MODEL:generateContent` and `:streamGenerateContent`.

    model: from the URL; "" for a body in a file, which has it as a member.
    streams: whether the URL asks for a stream; as one JSON array without `alt=sse`.
    """

    model: str = ""
    streams: bool = False

    api = "gemini"

    @deep_refused
    def parse(self, body: bytes) -> Call:
        values = camel(Body(body).values, what="the request")
        model = self.model or _plain(model_name(values.get("model")))
        found = Collector()
        refuse_unknown(found, values, _TOP_READ | _TOP_HARMLESS)
        read_contents(found, values)
        read_tools(found, values)
        config = camel(values.get("generationConfig"), what="generationConfig")
        _read_config(found, config)
        variants = _variants(found, values.get("serviceTier"))
        return Call(
            api=self.api,
            model=model,
            **found.members(),
            frame_tokens=found.frame_tokens,
            input_kinds=_INPUT_KINDS_AUDIO if found.audio else _INPUT_KINDS,
            variants=variants,
            output=_output(config),
            stream=self.streams,
        )

    @deep_refused
    def edit(self, body: bytes, *, cap: int | None) -> bytes:
        if cap is None:
            return body
        request = Body(body)
        key = _spelled(request.values, "generationConfig")
        nested = request.nested(key)
        config = camel(nested.values, what="generationConfig")
        wanted = _max_tokens(config)
        if wanted is not None and wanted <= cap:
            return body
        changes: dict[str, object] = {_spelled(nested.values, "maxOutputTokens"): cap}
        budget = _thinking_budget(config)
        if budget is not None and budget >= cap > 1:
            name = _spelled(nested.values, "thinkingConfig")
            thinking = nested.nested(name)
            lower = {_spelled(thinking.values, "thinkingBudget"): cap - 1}
            changes[name] = RawJson(thinking.with_values(lower).decode("utf-8"))
        return request.with_values({key: RawJson(nested.with_values(changes).decode("utf-8"))})

    def with_model(self, url: str, body: bytes, model: str) -> Addressed:
        return Addressed(in_path(url, MODEL_IN_URL, model), named_again(body, model))

    def asks_usage(self, body: bytes) -> bool:  # noqa: ARG002
        return True  # Usage is part of every answer.

    def usage(self, body: bytes) -> Settlement | None:
        return settlement_of(body)

    def stream(self, *, strip_usage: bool) -> StreamReader:  # noqa: ARG002
        return GeminiStream(strip_usage=False)

    def block(self, *, message: str, code: str, status: int = 402) -> Block:
        return json_block(error_body(message, code, status), status=status)

    def rate_limit(self, *, message: str, unit: str, retry_after_ms: int) -> Block:  # noqa: ARG002
        return rate_limit(exhausted(message, retry_after_ms), retry_after_ms=retry_after_ms)

    def stream_error(self, *, message: str, code: str) -> bytes:
        # The SDKs read the error's lines by themselves, without `data:`.
        error = compact(error_body(message, code, 402)).encode("utf-8", "replace")
        return error + b"\n\n"

    @deep_refused
    def count_request(self, body: bytes) -> CountRequest | None:
        request = Body(body)
        members = {"model": RawJson(json.dumps(f"models/{self.model}"))}
        for name in _COUNTED:
            raw = request.raw(_spelled(request.values, name))
            if raw is not None:
                members[name] = raw
        inner = Body(b"{}").with_values(members).decode("utf-8")
        return CountRequest(
            ":countTokens",
            Body(b"{}").with_values({"generateContentRequest": RawJson(inner)}),
            replaces_method=True,
        )

    def parse_count(self, body: bytes) -> int:
        count = Body(body).get("totalTokens")
        if type(count) is not int or count < 0:
            raise refused("the provider's count names no total")
        return count


def error_body(message: str, code: str, status: int) -> dict[str, Any]:
    """An error as Google words it (https://google.aip.dev/193, checked 2026-11-27)."""
    info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": code.upper()}
    return {
        "error": {
            "code": status,
            "message": message,
            "status": "FAILED_PRECONDITION",
            "details": [{**info, "domain": "noburn"}],
        }
    }


def named_again(body: bytes, model: str) -> bytes:
    """The body with another model, where it repeats what the URL says."""
    said = Body(body).get("model")
    if said is None:
        return body
    prefix = "models/" if str(said).startswith("models/") else ""
    return in_body(body, prefix + model)


def exhausted(message: str, retry_after_ms: int) -> dict[str, Any]:
    """A rate limit as Google words it, with how long to wait (google.rpc.RetryInfo)."""
    delay = {"@type": "type.googleapis.com/google.rpc.RetryInfo"}
    details = [{**delay, "retryDelay": f"{retry_after_ms / 1000:g}s"}]
    error = {"code": 429, "message": message, "status": "RESOURCE_EXHAUSTED", "details": details}
    return {"error": error}


def _plain(model: str) -> str:
    return model.removeprefix("models/")


def _spelled(values: Mapping[str, Any], name: str) -> str:
    """How the request spells a field, or its first spelling."""
    snake = "".join(f"_{char.lower()}" if char.isupper() else char for char in name)
    return snake if snake in values else name


def _max_tokens(config: dict[str, Any]) -> int | None:
    return count_or_none(config.get("maxOutputTokens"), what="maxOutputTokens", least=1)


def _thinking_budget(config: dict[str, Any]) -> int | None:
    """Tokens of thought that the request asks for; None when the model decides (-1, unset)."""
    thinking = camel(config.get("thinkingConfig"), what="thinkingConfig")
    budget = count_or_none(thinking.get("thinkingBudget"), what="thinkingBudget", least=-1)
    return budget if budget is not None and budget > 0 else None


def _output(config: dict[str, Any]) -> OutputCap:
    wanted = _max_tokens(config)
    choices = count_or_none(config.get("candidateCount"), what="candidateCount", least=1) or 1
    if choices > _CANDIDATES_MAX:
        raise refused(f"`candidateCount` is above {_CANDIDATES_MAX}")
    floor = (_thinking_budget(config) or 0) + 1
    return OutputCap(
        wanted=wanted, floor=floor if wanted is None else min(wanted, floor), choices=choices
    )


def _read_config(found: Collector, config: dict[str, Any]) -> None:
    refuse_unknown(found, config, _CONFIG_READ | _CONFIG_HARMLESS)
    thinking = camel(config.get("thinkingConfig"), what="thinkingConfig")
    refuse_unknown(found, thinking, _THINKING)
    for name in ("responseSchema", "responseJsonSchema", "responseFormat"):
        if config.get(name) is not None:
            found.add_overhead(OVERHEAD_FORMAT)
            found.schema(config[name])
    modalities = config.get("responseModalities")
    spoken = config.get("speechConfig") is not None
    if spoken or (modalities and [str(one).upper() for one in modalities] != ["TEXT"]):
        found.unbounded(
            "audio or images in the answer, which are billed at rates of their own", "images"
        )
    if config.get("imageConfig") is not None:
        found.unbounded("images in the answer, which are billed at rates of their own", "images")


def _variants(found: Collector, tier: object) -> tuple[str, ...]:
    if tier is None:
        return ("standard",)
    variants = (
        _TIERS.get(tier.lower().removeprefix("service_tier_")) if isinstance(tier, str) else None
    )
    if variants is None:
        found.unbounded(f"the service tier {tier!r:.40} has no price in the book", "service_tier")
        return ("standard",)
    return variants
