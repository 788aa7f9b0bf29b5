"""Ids of traces and spans: the same call has the same id in every export, on every machine.

Layer: otel, pure.  Below: the standard library.  Above: spans.
A trace is a run with the runs and steps inside it; a call without a run is one by itself.  The ids
are digests of names that are unique already: nothing is remembered, and what is sent again can be
told by who receives it.
"""

from __future__ import annotations

from hashlib import blake2b

_TRACE_BYTES, _SPAN_BYTES = 16, 8


def trace_id(call: str | None, run: str | None) -> int:
    """Of the outermost run, or of the call where there is none."""
    if run:
        return _digest(f"run:{run.partition('/')[0]}", _TRACE_BYTES, "trace")
    return _digest(f"call:{call}", _TRACE_BYTES, "trace")


def call_span(call: str) -> int:
    return _digest(f"call:{call}", _SPAN_BYTES, "span")


def run_span(run: str) -> int:
    """run: the whole path, `r1/r2`."""
    return _digest(f"run:{run}", _SPAN_BYTES, "span")


def step_span(run: str, step: str) -> int:
    """step: the whole path inside the run, `graph/research`."""
    return _digest(f"step:{run}:{step}", _SPAN_BYTES, "span")


def parent_of_call(run: str | None, step: str | None) -> int | None:
    """The step that a call was made in, else its run.  A step outside a run never ends: no span."""
    if not run:
        return None
    return step_span(run, step) if step else run_span(run)


def parent_of_step(run: str, step: str) -> int:
    above = step.rpartition("/")[0]
    return step_span(run, above) if above else run_span(run)


def parent_of_run(run: str) -> int | None:
    above = run.rpartition("/")[0]
    return run_span(above) if above else None


def _digest(text: str, size: int, person: str) -> int:
    """Never 0, which OpenTelemetry takes for no id."""
    found = blake2b(text.encode(), digest_size=size, person=person.encode()).digest()
    return int.from_bytes(found, "big") or 1
