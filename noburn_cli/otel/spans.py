"""Spans of calls, runs and steps, as the OpenTelemetry SDK has them.

Layer: otel.  Below: conventions, identity, reading, core; opentelemetry-sdk.  Above: job.
Owns: which attribute has which value.  No text of a prompt, an answer or a command's arguments is
in the ledger's rows that are read here, and none is exported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from noburn_cli.core.money import Nano
from noburn_cli.core.usage import (
    AUDIO_CACHE_READ,
    CACHE_READ,
    CACHE_WRITE_1H,
    CACHE_WRITE_5M,
    IMAGE_CACHE_READ,
    REASONING,
    Usage,
    billed_total,
    input_total,
)
from noburn_cli.otel import conventions as names
from noburn_cli.otel import identity
from noburn_cli.otel.reading import Call, Ended, Run, Step

_MS = 1_000_000  # nanoseconds in one
_CACHED = (CACHE_READ, AUDIO_CACHE_READ, IMAGE_CACHE_READ)
SCOPE = InstrumentationScope(names.SCOPE, names.SCOPE_VERSION, names.SCHEMA_URL)

#: A model's resolved name -> its provider in the price book, or None.
ProviderOf = Callable[[str | None], str | None]
Attributes = dict[str, Any]


@dataclass(frozen=True)
class SpanMaker:
    """Makes spans; `resource` is the service that they are said to come from."""

    resource: Resource
    provider_of: ProviderOf

    def spans(self, ended: Ended) -> list[ReadableSpan]:
        """One for each call that was closed, and for each run that ended with its steps."""
        calls = [call for call in ended.calls.values() if call.state not in ("held", "correction")]
        return [
            *(self._call(call) for call in calls),
            *(self._step(step) for step in ended.steps),
            *(self._run(run) for run in ended.runs),
        ]

    def call_labels(self, call: Call) -> Attributes:
        """What names a call's model in spans and metrics alike."""
        return {
            names.OPERATION: names.operation(call.api),
            names.PROVIDER: names.provider(call.api, self.provider_of(call.resolved_model)),
            names.REQUEST_MODEL: call.model or "unknown",
        }

    def _call(self, call: Call) -> ReadableSpan:
        labels = self.call_labels(call)
        end_ms = call.closed_at_ms if call.latency_ms is None else None
        if end_ms is None:
            end_ms = call.reserved_at_ms + (call.latency_ms or 0)
        failed = names.error_type(call.state, call.status)
        return self._span(
            f"{labels[names.OPERATION]} {labels[names.REQUEST_MODEL]}",
            trace=identity.trace_id(call.call, call.run),
            span=identity.call_span(call.call),
            parent=identity.parent_of_call(call.run, call.step),
            times_ms=(call.reserved_at_ms, max(end_ms, call.reserved_at_ms)),
            attributes={**labels, **_answer(call, failed), **_own(call)},
            kind=SpanKind.CLIENT,
            status=Status(StatusCode.ERROR, call.failure) if failed else Status(),
        )

    def _step(self, step: Step) -> ReadableSpan:
        return self._span(
            step.step.rpartition("/")[2],
            trace=identity.trace_id(None, step.run),
            span=identity.step_span(step.run, step.step),
            parent=identity.parent_of_step(step.run, step.step),
            times_ms=(step.started_at_ms, step.ended_at_ms),
            attributes=_ours({"run": step.run, "step": step.step}),
        )

    def _run(self, run: Run) -> ReadableSpan:
        program = (run.program or "").rpartition("/")[2]
        ours = {
            "run": run.run, "project": run.project, "customer": run.customer,
            "feature": run.feature, "program": program or None, "exit_code": run.exit_code,
        }  # fmt: skip
        return self._span(
            f"run {program}" if program else "run",
            trace=identity.trace_id(None, run.run),
            span=identity.run_span(run.run),
            parent=identity.parent_of_run(run.run),
            times_ms=(run.started_at_ms, run.ended_at_ms),
            attributes=_ours(ours),
            status=Status() if run.exit_code == 0 else Status(StatusCode.ERROR),
        )

    def _span(
        self, name: str, *, trace: int, span: int, parent: int | None,
        times_ms: tuple[int, int], attributes: Attributes, kind: SpanKind = SpanKind.INTERNAL,
        status: Status | None = None,
    ) -> ReadableSpan:  # fmt: skip
        flags = TraceFlags(TraceFlags.SAMPLED)
        return ReadableSpan(
            name,
            context=SpanContext(trace, span, is_remote=False, trace_flags=flags),
            parent=None
            if parent is None
            else SpanContext(trace, parent, is_remote=False, trace_flags=flags),
            resource=self.resource,
            attributes=attributes,
            kind=kind,
            status=status or Status(),
            start_time=times_ms[0] * _MS,
            end_time=times_ms[1] * _MS,
            instrumentation_scope=SCOPE,
        )


def _answer(call: Call, failed: str | None) -> Attributes:
    """What the conventions say of a call's request and answer."""
    found = {
        names.REQUEST_MAX_TOKENS: call.granted,
        names.RESPONSE_MODEL: call.served_model,
        names.RESPONSE_ID: call.provider_id,
        names.ERROR_TYPE: failed,
        **(_tokens(call.usage) if call.usage is not None else {}),
    }
    return {key: value for key, value in found.items() if value is not None}


def _tokens(usage: Usage) -> Attributes:
    """Input includes what was cached, output what was reasoned; kinds of nothing are left out."""
    written = usage.get(CACHE_WRITE_5M, 0) + usage.get(CACHE_WRITE_1H, 0)
    cached = sum(
        usage.get(kind, 0) for kind in (CACHE_READ, "audio_cache_read", "image_cache_read")
    )
    parts = {
        names.CACHE_READ_TOKENS: cached,
        names.CACHE_CREATION_TOKENS: written,
        names.CACHE_WRITE_TOKENS: written,
        names.REASONING_TOKENS: usage.get(REASONING, 0),
        **{name: _modality(usage, kind) for kind, name in names.MODALITY_TOKENS.items()},
    }
    whole = {
        names.INPUT_TOKENS: input_total(usage),
        names.OUTPUT_TOKENS: billed_total(usage) - input_total(usage),
    }
    return {**whole, **{name: count for name, count in parts.items() if count}}


def _modality(usage: Usage, kind: str) -> int:
    """Input of a modality includes what was cached of it, as input altogether does."""
    cached = kind.replace("_input", "_cache_read") if kind.endswith("_input") else ""
    return usage.get(kind, 0) + usage.get(cached, 0)


def _own(call: Call) -> Attributes:
    """What the conventions have no name for."""
    cost = call.cost_nano
    amount = (names.NOTIONAL_COST if call.notional else names.COST).removeprefix(names.OWN)
    ours = {
        "call": call.call, "state": call.state, "project": call.project,
        "customer": call.customer, "feature": call.feature, "user": call.user, "job": call.job,
        "run": call.run, "step": call.step, "notional": call.notional or None,
        f"{amount}.usd": None if cost is None else float(Nano(cost).exact()),
        f"{amount}.nano_usd": cost, "hold.nano_usd": call.hold_nano, "bound": call.bound,
        "clamped": call.clamped or None, "waited_ms": call.waited_ms or None,
        "price_book": call.book, "price_variant": call.variant,
    }  # fmt: skip
    return {**_ours(ours), **{names.TAG + key: value for key, value in call.tags.items()}}


def _ours(found: Mapping[str, Any]) -> Attributes:
    return {names.OWN + key: value for key, value in found.items() if value is not None}
