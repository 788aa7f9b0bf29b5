"""The codec of OpenAI's Responses.

Layer: providers (sans-IO, standard library, Python 3.10).  Below: the modules it imports; what a
request's input consists of is read by providers.responses_input.
Source: https://platform.openai.com/docs/api-reference/responses and the parameter types of the
openai Python SDK 3.54 (checked 2026-11-23).
"""

from __future__ import annotations

from typing import Any

from noburn_cli.providers import openai_common as common
from noburn_cli.providers.call import Call, OutputCap
from noburn_cli.providers.codec import CountRequest, Settlement, StreamReader
from noburn_cli.providers.collect import (
    Collector,
    count_or_none,
    flag,
    model_name,
    names,
    object_or_none,
    refuse_unknown,
)
from noburn_cli.providers.following import Following, answer_object, event_object
from noburn_cli.providers.jsonbody import Body, compact, deep_refused
from noburn_cli.providers.renaming import InBody
from noburn_cli.providers.responses_input import READ, read_input
from noburn_cli.providers.responses_tools import settlement_of
from noburn_cli.providers.sse import Event

_HARMLESS = names(
    "include metadata parallel_tool_calls prompt_cache_key prompt_cache_retention "
    "safety_identifier store stream_options temperature top_logprobs top_p truncation user image"
)
_OTHER = names(
    "model max_output_tokens stream service_tier background background_options context_management "
    "moderation prompt_cache_options reasoning"
)
#: What the count endpoint takes; anything else would be refused there.
_COUNTED = (
    *("conversation", "input", "instructions", "model", "parallel_tool_calls"),
    *("previous_response_id", "reasoning", "text", "tool_choice", "tools", "truncation"),
)
#: The provider's least output cap (API reference of `max_output_tokens`, checked 2026-11-23).
_OUTPUT_LEAST = 16
_FINAL = ("response.completed", "response.incomplete", "response.failed")


class OpenAIResponses(InBody, common.OpenAIErrors):
    """`POST …/responses`."""

    api = "openai_responses"

    @deep_refused
    def parse(self, body: bytes) -> Call:
        values = Body(body).values
        found = Collector()
        model = model_name(values.get("model"))
        common.check_model(found, model)
        common.check_shared(found, values)
        refuse_unknown(found, values, _HARMLESS | READ | _OTHER)
        read_input(found, values)
        _check_modes(found, values)
        variants = common.request_variants(found, values.get("service_tier"))
        wanted = _wanted(values)
        floor = _OUTPUT_LEAST if wanted is None else min(wanted, _OUTPUT_LEAST)
        return Call(
            api=self.api,
            model=model,
            **found.members(),
            windows=found.windows,
            extra=found.extra,
            input_kinds=common.input_kinds(found),
            variants=variants,
            output=OutputCap(wanted=wanted, floor=floor),
            stream=flag(values.get("stream"), what="stream"),
        )

    @deep_refused
    def edit(self, body: bytes, *, cap: int | None) -> bytes:
        request = Body(body)
        wanted = _wanted(request.values)
        if cap is None or (wanted is not None and wanted <= cap):
            return body
        return request.with_values({"max_output_tokens": cap})

    def asks_usage(self, body: bytes) -> bool:  # noqa: ARG002
        return True  # Usage is part of every stream's last event.

    def usage(self, body: bytes) -> Settlement | None:
        answer = answer_object(body)
        return settlement_of(answer) if answer is not None else None

    def stream(self, *, strip_usage: bool) -> StreamReader:  # noqa: ARG002
        return _ResponseStream(strip_usage=False)

    def stream_error(self, *, message: str, code: str) -> bytes:
        # The SDK raises on an `error` member; the documented event carries code and message flat.
        error = {"message": message, "type": "budget_exceeded", "param": None, "code": code}
        event = {"type": "error", "code": code, "message": message, "param": None, "error": error}
        return b"event: error\ndata: " + compact(event).encode("utf-8", "replace") + b"\n\n"

    def count_request(self, body: bytes) -> CountRequest | None:
        return CountRequest("/input_tokens", Body(body).only(_COUNTED))

    def parse_count(self, body: bytes) -> int:
        return common.parse_input_tokens(body)


class _ResponseStream(Following):
    """The last event carries the whole response with its usage."""

    def look(self, event: Event) -> bool:
        if event.name and event.name != "error" and event.name not in _FINAL:
            return False
        data = event_object(event)
        if data is None:
            return False
        kind = data.get("type")
        if event.name == "error" or kind == "error" or data.get("error"):
            self.failed = True
        if kind in _FINAL:
            self.ended = True
            self.failed = self.failed or kind == "response.failed"
            response = data.get("response")
            if isinstance(response, dict):
                self.settlement = settlement_of(response)
        return False


def _wanted(values: dict[str, Any]) -> int | None:
    return count_or_none(values.get("max_output_tokens"), what="max_output_tokens", least=1)


def _check_modes(found: Collector, values: dict[str, Any]) -> None:
    """Ways of running a response whose cost no cap bounds."""
    if flag(values.get("background"), what="background"):
        found.unbounded("background mode, which goes on after the program has left", "background")
    if values.get("context_management") is not None:
        found.unbounded("compaction, which writes a summary beyond the cap", "compaction")
    reasoning = object_or_none(values.get("reasoning"), what="reasoning") or {}
    if reasoning.get("mode") not in (None, "standard"):
        found.unbounded(
            f"the reasoning mode {reasoning['mode']!r:.40}, whose cost is not known",
            "reasoning_mode",
        )
    if values.get("background_options") is not None:
        found.unbounded("background options, which change how the call is billed", "background")
