"""Langfuse's observations: its API, the tables exported from its pages, and blob storage.

Layer: importing, pure.  Below: fields, tokens, reading.
Sources: "Blob storage export field reference" of langfuse.com (`observations_v2/` of v4 and the
older `observations/`, `traces/`; langfuse-docs, `blob-storage-export-fields.mdx`), and the types
ObservationsView of its API client (v3, camelCase), read 2026-11-27.
`total_cost` and `cost_details` are dollars by Langfuse's model definitions, or what the program
sent.  The kinds in `usage_details` are free words: those of OpenAI's, Anthropic's and Google's
integrations are known, and the sum of all is checked against `total` where it is given.
A trace has no tokens of its own; its observations do, and are read where they came along.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from noburn_cli.core.imported import ImportedCall
from noburn_cli.importing.fields import (
    count_of,
    lasted_ms,
    list_of,
    milliseconds_of,
    moment_ms,
    nano_of,
    object_of,
    tells_any,
    text_of,
)
from noburn_cli.importing.reading import Asked, Found, LeftOut, each, without_model
from noburn_cli.importing.tokens import disjoint

FIELDS = {
    "customer": ("metadata.customer", "metadata.customer_id", "metadata.tenant"),
    "feature": (
        *("metadata.feature", "trace_name", "traceName", "prompt_name", "promptName"),
        "name",
    ),
    "user": ("user_id", "userId", "metadata.user_id"),
    "project": ("metadata.project", "project_id", "projectId"),
    "run": ("session_id", "sessionId", "trace_id", "traceId"),
    "tag.environment": ("environment",),
}
#: Observations that are calls of a model; SPAN, EVENT, TOOL, RETRIEVER and the like are none.
_CALLS = ("GENERATION", "EMBEDDING")

_CACHED = ("input_cached_tokens", "cache_read_input_tokens", "input_cache_read", "cached_tokens")
_WRITTEN = ("cache_creation_input_tokens", "input_cache_creation", "input_cache_write")
_WRITTEN_1H = ("input_cache_creation_1h", "cache_creation_ephemeral_1h_input_tokens")
_WRITTEN_5M = ("input_cache_creation_5m", "cache_creation_ephemeral_5m_input_tokens")
_REASONING = ("output_reasoning_tokens", "reasoning_tokens", "output_reasoning")
_OWN_KINDS = {"input", "output"}
_INPUT = ("input", "prompt_tokens", "input_tokens", "promptTokens")
_OUTPUT = ("output", "completion_tokens", "output_tokens", "completionTokens")


#: What an observation inside a trace has of the trace: its own field, and the trace's.
_OF_TRACE = {
    "traceId": "id", "userId": "userId", "sessionId": "sessionId", "traceName": "name",
    "environment": "environment", "metadata": "metadata",
}  # fmt: skip


class ReadObservations:
    """Observations, and traces that were downloaded with theirs inside."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked

    def wants(self, line: bytes) -> bool:  # noqa: ARG002 -- every record is one of observations
        return True

    def state(self) -> dict[str, Any]:
        return {}

    def read(self, record: Mapping[str, Any]) -> Iterable[Found]:
        """The calls of an observation, or of a trace.  Raises Unread."""
        trace = object_of(record.get("trace")) or record
        inside = list_of(record.get("observations")) or list_of(trace.get("observations"))
        if not any(isinstance(one, Mapping) for one in inside):
            return (read(record, self._asked),)
        context = {name: trace.get(of_trace) for name, of_trace in _OF_TRACE.items()}
        return each(lambda one: read(_inside(one, context), self._asked), inside)


def _inside(observation: Mapping[str, Any], context: Mapping[str, Any]) -> dict[str, Any]:
    told = {name: value for name, value in observation.items() if value not in (None, "")}
    metadata = {**object_of(context["metadata"]), **object_of(told.get("metadata"))}
    return {**context, **told, "metadata": metadata}


def read(record: Mapping[str, Any], asked: Asked) -> Found:
    """One observation.  Raises Unread."""
    kind = text_of(record.get("type")).upper()
    if kind and kind not in _CALLS:
        return LeftOut("steps that call no model")
    if not kind and "observations" in record:
        return LeftOut("traces, whose observations have the tokens")
    model = next(
        (one for name in ("provided_model_name", "model", "providedModelName", "modelName")
         if (one := text_of(record.get(name)))), "",
    )  # fmt: skip
    told = _told(record)
    usage = _usage(told)
    if not model:
        return without_model(used=bool(usage))
    record = {**record, "metadata": object_of(record.get("metadata"))}
    start = moment_ms(_either(record, "start_time", "startTime"), asked.zone, what="start_time")
    level = text_of(record.get("level")).upper()
    return ImportedCall(
        text_of(record.get("id")), start, model, usage, said_nano=_cost(record),
        attributes=asked.mapped.attributes(record, FIELDS), ran_ms=_ran_ms(record, start, asked),
        failure="error" if level == "ERROR" else "",
        tells_tokens=tells_any(*told.values()) or level == "ERROR",
    )  # fmt: skip


def _either(record: Mapping[str, Any], *names: str) -> Any:
    return next((record[name] for name in names if record.get(name) not in (None, "")), None)


def _cost(record: Mapping[str, Any]) -> int | None:
    total = _either(record, "total_cost", "totalCost", "calculated_total_cost")
    if total is None:
        total = record.get("calculatedTotalCost")
    details = object_of(_either(record, "cost_details", "costDetails"))
    if total is None and details:
        total = details.get("total")
        if total is None:
            parts = [nano_of(one) or 0 for one in details.values()]
            return sum(parts)
    return nano_of(total)


def _ran_ms(record: Mapping[str, Any], start: int, asked: Asked) -> int | None:
    lasted = lasted_ms(start, _either(record, "end_time", "endTime"), asked.zone)
    return lasted if lasted is not None else milliseconds_of(record.get("latency"), per_second=1)


def _told(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """What is said of the tokens, by kind."""
    told = object_of(_either(record, "usage_details", "usageDetails"))
    return told or object_of(record.get("usage")) or {  # The older shape, and columns of a CSV.
        "input": _either(record, "inputUsage", "promptTokens", "input_tokens"),
        "output": _either(record, "outputUsage", "completionTokens", "output_tokens"),
    }  # fmt: skip


def _usage(told: Mapping[str, Any]) -> dict[str, int]:
    counts = {name: count_of(value, name) for name, value in told.items() if _is_number(value)}

    def number(names: tuple[str, ...]) -> int:
        return next((counts[name] for name in names if counts.get(name)), 0)

    for_1h, for_5m = number(_WRITTEN_1H), number(_WRITTEN_5M)
    whole_in, whole_out, total = number(_INPUT), number(_OUTPUT), counts.get("total", 0)
    # Langfuse's own kinds add up to the total; a program's may be parts of its input and output.
    inside = total == whole_in + whole_out if total else not _OWN_KINDS & counts.keys()
    if not inside:
        whole_out += counts.get("output_reasoning_tokens", 0)
    return disjoint(
        input_tokens=whole_in, output_tokens=whole_out, cache_read=number(_CACHED),
        write_5m=max(number(_WRITTEN) - for_1h, for_5m), write_1h=for_1h,
        reasoning=number(_REASONING), inclusive=None if inside else False,
    )  # fmt: skip


def _is_number(value: object) -> bool:
    return type(value) is not bool and not isinstance(value, Mapping | list)
