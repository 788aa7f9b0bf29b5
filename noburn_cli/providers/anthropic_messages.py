"""The codec of Anthropic's messages.

Layer: providers (sans-IO, standard library, Python 3.10).  Below: the modules it imports; what a
request's input consists of is read by providers.anthropic_input.
Source: https://platform.claude.com/docs/en/api/messages and the parameter types of the anthropic
Python SDK 2.12 (checked 2026-11-23).
"""

from __future__ import annotations

import re
from typing import Any

from noburn_cli.core.usage import (
    CACHE_READ,
    CACHE_WRITE_1H,
    CACHE_WRITE_5M,
    INPUT,
    OUTPUT,
    REASONING,
    WEB_SEARCH,
)
from noburn_cli.core.variants import UNTOLD_GEO, maybe_in, with_region
from noburn_cli.providers.anthropic_input import COUNTED, READ, input_kinds, read_input
from noburn_cli.providers.call import Call, OutputCap
from noburn_cli.providers.codec import Block, CountRequest, Settlement, StreamReader
from noburn_cli.providers.collect import (
    Collector,
    count_or_none,
    flag,
    model_name,
    names,
    object_or_none,
    refuse_unknown,
)
from noburn_cli.providers.following import (
    Following,
    answer_object,
    count_of,
    event_object,
    text_of,
)
from noburn_cli.providers.jsonbody import Body, compact, deep_refused, refused
from noburn_cli.providers.openai_common import json_block, parse_input_tokens, rate_limit
from noburn_cli.providers.renaming import InBody
from noburn_cli.providers.sse import Event

_HARMLESS = names(
    "diagnostics metadata stop_sequences temperature top_k top_p user_profile_id workspace_id"
)
_OTHER = names(
    "model max_tokens stream thinking service_tier speed inference_geo container context_management"
)
_THINKING_LEAST = 1024
_GEO = re.compile(r"[a-z0-9_-]{1,40}", re.ASCII)


class AnthropicMessages(InBody):
    """`POST …/v1/messages`."""

    api = "anthropic_messages"

    @deep_refused
    def parse(self, body: bytes) -> Call:
        values = Body(body).values
        found = Collector()
        model = model_name(values.get("model"))
        refuse_unknown(found, values, _HARMLESS | READ | _OTHER)
        read_input(found, values)
        variants = _variants(found, values)
        return Call(
            api=self.api,
            model=model,
            **found.members(),
            frame_tokens=found.frame_tokens,
            windows=found.windows,
            extra=found.extra,
            input_kinds=input_kinds(values),
            variants=variants,
            output=_output(values, rounds=found.windows),
            stream=flag(values.get("stream"), what="stream"),
        )

    @deep_refused
    def edit(self, body: bytes, *, cap: int | None) -> bytes:
        request = Body(body)
        wanted = _max_tokens(request.values)
        if cap is None or wanted <= cap:
            return body
        changes: dict[str, object] = {"max_tokens": cap}
        thinking = object_or_none(request.get("thinking"), what="thinking")
        budget = _thinking_budget(request.values)
        # A budget above the cap is only legal between tool calls; then the cap rules by itself.
        if thinking is not None and budget is not None and cap <= budget < wanted:
            if cap <= _THINKING_LEAST:
                raise refused(f"a cap of {cap} leaves no room for thinking (at least 1,025)")
            changes["thinking"] = {**thinking, "budget_tokens": cap - 1}
        return request.with_values(changes)

    def asks_usage(self, body: bytes) -> bool:  # noqa: ARG002
        return True  # Usage is part of every stream.

    def usage(self, body: bytes) -> Settlement | None:
        answer = answer_object(body)
        if answer is None or not isinstance(answer.get("usage"), dict):
            return None
        return settlement_of(answer, answer["usage"])

    def stream(self, *, strip_usage: bool) -> StreamReader:  # noqa: ARG002
        return _MessageStream(strip_usage=False)

    def block(self, *, message: str, code: str, status: int = 402) -> Block:
        return json_block(_error(message, code, status), status=status)

    def rate_limit(self, *, message: str, unit: str, retry_after_ms: int) -> Block:  # noqa: ARG002
        error = {"type": "rate_limit_error", "message": message}
        return rate_limit({"type": "error", "error": error}, retry_after_ms=retry_after_ms)

    def stream_error(self, *, message: str, code: str) -> bytes:
        data = compact(_error(message, code)).encode("utf-8", "replace")
        return b"event: error\ndata: " + data + b"\n\n"

    def count_request(self, body: bytes) -> CountRequest | None:
        return CountRequest("/count_tokens", Body(body).only(COUNTED))

    def parse_count(self, body: bytes) -> int:
        return parse_input_tokens(body)


#: https://platform.claude.com/docs/en/api/errors (checked 2026-11-27); others are `api_error`.
_ERROR_TYPES = {
    400: "invalid_request_error", 401: "authentication_error", 402: "billing_error",
    403: "permission_error", 404: "not_found_error",
}  # fmt: skip


def _error(message: str, code: str, status: int = 402) -> dict[str, Any]:
    kind = _ERROR_TYPES.get(status, "api_error")
    return {"type": "error", "error": {"type": kind, "message": message, "code": code}}


class _MessageStream(Following):
    """`message_start` brings the input's usage, `message_delta` totals so far: the last wins."""

    def __init__(self, *, strip_usage: bool) -> None:
        super().__init__(strip_usage=strip_usage)
        self._message: dict[str, Any] = {}
        self._usage: dict[str, Any] = {}

    def look(self, event: Event) -> bool:
        if event.name in ("content_block_delta", "content_block_start", "ping"):
            return False
        data = event_object(event)
        kind = data.get("type") if data is not None else None
        if event.name == "error" or kind == "error":
            self.failed = True
        elif data is not None and kind == "message_start":
            message = data.get("message")
            if isinstance(message, dict):
                self._message = message
                self._note(message.get("usage"))
        elif data is not None and kind == "message_delta":
            self._note(data.get("usage"))
            delta = data.get("delta")
            if isinstance(delta, dict) and delta.get("stop_reason") is not None:
                self._settle()
        elif kind == "message_stop":
            self.ended = True
            self._settle()
        return False

    def _note(self, usage: object) -> None:
        if isinstance(usage, dict):
            self._usage.update({key: value for key, value in usage.items() if value is not None})

    def _settle(self) -> None:
        self.settlement = settlement_of(self._message, self._usage)


def settlement_of(message: dict[str, Any], usage: dict[str, Any]) -> Settlement | None:
    """What a usage block says; None without input or output, or when it bills more than tokens."""
    if type(usage.get("input_tokens")) is not int or type(usage.get("output_tokens")) is not int:
        return None
    searches = _searches(usage)
    if searches is None or not _all_ours(usage.get("iterations")):
        return None  # The hold stays until somebody knows.
    details = usage.get("cache_creation")
    written = count_of(usage, "cache_creation_input_tokens")
    for_1h = count_of(details, "ephemeral_1h_input_tokens")
    for_5m = count_of(details, "ephemeral_5m_input_tokens")
    if written is None or for_1h is None or for_5m is None:
        return None
    counts = {
        INPUT: count_of(usage, "input_tokens"),
        CACHE_READ: count_of(usage, "cache_read_input_tokens"),
        # The total is the truth; what the breakdown does not place was written for five minutes.
        CACHE_WRITE_5M: max(written - for_1h, for_5m),
        CACHE_WRITE_1H: for_1h,
        OUTPUT: count_of(usage, "output_tokens"),
        REASONING: count_of(usage.get("output_tokens_details"), "thinking_tokens"),
        WEB_SEARCH: searches,
    }
    if any(count is None for count in counts.values()):
        return None
    return Settlement(
        usage={kind: count for kind, count in counts.items() if count},
        variant=_served_variant(usage),
        served_model=text_of(message.get("model")),
        provider_id=text_of(message.get("id")),
    )


def _searches(usage: dict[str, Any]) -> int | None:
    """Web searches, which are billed by number; None when another tool's use may be, too.

    Fetching a page costs its tokens alone.
    """
    fees = usage.get("server_tool_use")
    if not isinstance(fees, dict):
        return 0
    known = ("web_search_requests", "web_fetch_requests")
    if any(count for name, count in fees.items() if name not in known):
        return None
    return count_of(fees, "web_search_requests")


def _all_ours(iterations: object) -> bool:
    """Whether every sampling round is in the totals: those of compaction and of an advisor (another
    model) are documented not to be (`iterations` in the anthropic Python SDK 2.14).
    """
    if not isinstance(iterations, list):
        return iterations is None
    return all(isinstance(one, dict) and one.get("type") == "message" for one in iterations)


def _served_variant(usage: dict[str, Any]) -> str:
    region = _region(usage.get("inference_geo"))
    if usage.get("speed") == "fast":
        return with_region("fast", region)
    # A priority tier is capacity bought ahead: the call itself has no dearer price.
    plain = "batch" if usage.get("service_tier") == "batch" else "standard"
    return with_region(plain, region)


def _variants(found: Collector, values: dict[str, Any]) -> tuple[str, ...]:
    tier = values.get("service_tier")
    if tier not in (None, "auto", "standard_only"):
        found.unbounded(f"the service tier {tier!r:.40} has no price in the book", "service_tier")
    geo = values.get("inference_geo")
    if geo is not None and not (isinstance(geo, str) and _GEO.fullmatch(geo)):
        found.unbounded(f"inference in {geo!r:.40} has no price in the book", "regional")
        geo = None
    if values.get("container") is not None:
        found.unbounded("a container is billed by time", "code_execution")
    if not _only_clears(values.get("context_management")):
        found.unbounded("compaction, which writes a summary beyond the cap", "compaction")
    speed = values.get("speed")
    if speed not in (None, "standard", "fast"):
        found.unbounded(f"the speed {speed!r:.40} has no price in the book", "service_tier")
    plain = "fast" if speed == "fast" else "standard"
    if geo is None:
        return plain, maybe_in(plain, UNTOLD_GEO)
    return (with_region(plain, _region(geo)),)


def _region(geo: object) -> str:
    """The region that `inference_geo` names, "" where it costs nothing more.

    "us" costs 1.1 times as much, "global" is the default unless the workspace has another
    (https://platform.claude.com/docs/en/manage-claude/data-residency, checked 2026-11-27); answers
    of older models say "not_available".
    """
    return geo if isinstance(geo, str) and geo not in ("global", "not_available") else ""


def _only_clears(management: object) -> bool:
    """Whether context management only leaves earlier parts out, which makes no call dearer."""
    if management is None:
        return True
    edits = management.get("edits") if isinstance(management, dict) else None
    return isinstance(edits, list) and all(
        isinstance(edit, dict) and str(edit.get("type", "")).startswith("clear_") for edit in edits
    )


def _max_tokens(values: dict[str, Any]) -> int:
    wanted = count_or_none(values.get("max_tokens"), what="max_tokens", least=0)
    if wanted is None:
        raise refused("the request has no `max_tokens`, which Anthropic requires")
    return wanted


def _thinking_budget(values: dict[str, Any]) -> int | None:
    thinking = object_or_none(values.get("thinking"), what="thinking") or {}
    return count_or_none(thinking.get("budget_tokens"), what="budget_tokens", least=1)


def _output(values: dict[str, Any], *, rounds: int) -> OutputCap | None:
    """The cap: required by the API, thoughts included; 0 only fills the cache.

    rounds: of a server tool's loop.  No documentation says that the cap covers them together, so
        each is taken to have it.
    """
    wanted = _max_tokens(values)
    if wanted == 0:
        return None
    budget = _thinking_budget(values)
    floor = 1 if budget is None else max(budget, _THINKING_LEAST) + 1
    return OutputCap(wanted=wanted, floor=min(wanted, floor), choices=rounds + 1)
