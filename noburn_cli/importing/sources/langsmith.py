"""LangSmith's runs: bulk exports, `runs query`, and tables saved from its pages.

Layer: importing, pure.  Below: fields, tokens, reading.
Sources: "Run (span) data format" and "Bulk export trace data" of docs.langchain.com, and the types
RunSchema, QueryRunResponse of LangSmith's SDKs (costs as texts or numbers), read 2026-11-27.
Only runs of type `llm` (and `embedding`) are calls; a chain's tokens are the sum of those below it,
and would count twice.  `prompt_tokens` holds what a cache read and wrote (LangChain's
`usage_metadata`); `prompt_token_details` says how much.  Costs are dollars by LangSmith's prices.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from noburn_cli.core.imported import ImportedCall
from noburn_cli.importing.fields import (
    count_of,
    field_of,
    lasted_ms,
    list_of,
    moment_ms,
    nano_of,
    object_of,
    tells_any,
    text_of,
)
from noburn_cli.importing.reading import Asked, Found, LeftOut, without_model
from noburn_cli.importing.tokens import disjoint

_METADATA = ("extra.metadata", "metadata")
FIELDS = {
    "customer": tuple(f"{m}.{n}" for m in _METADATA for n in ("customer", "customer_id", "tenant")),
    "feature": (*(f"{m}.feature" for m in _METADATA), "name"),
    "user": tuple(f"{m}.user_id" for m in _METADATA),
    "project": ("session_name", "project_name", "session_id"),
    "run": (
        *(f"{m}.{n}" for m in _METADATA for n in ("thread_id", "session_id")), "trace_id",
    ),
    "step": tuple(f"{m}.langgraph_node" for m in _METADATA),
}  # fmt: skip
_CALLS = ("llm", "embedding")
_COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")


def read(record: Mapping[str, Any], asked: Asked) -> Found:
    """One run.  Raises Unread."""
    kind = text_of(record.get("run_type")).lower()
    if kind not in _CALLS:
        return LeftOut("steps that call no model" if kind else "records that are no runs")
    record = {**record, **{name: object_of(record.get(name)) for name in ("extra", "metadata")}}
    usage = _usage(record)
    model = _first(record, "ls_model_name") or text_of(
        field_of(record, "extra.invocation_params.model")
        or field_of(record, "extra.invocation_params.model_name")
    )
    failed = text_of(record.get("status")).lower() == "error" or bool(record.get("error"))
    if not model:
        return without_model(used=bool(usage))
    start = moment_ms(record.get("start_time"), asked.zone, what="start_time")
    return ImportedCall(
        text_of(record.get("id")), start, model, usage, said_nano=_cost(record),
        attributes=asked.mapped.attributes(record, FIELDS),
        maker=_first(record, "ls_provider").lower(),
        ran_ms=lasted_ms(start, record.get("end_time"), asked.zone),
        failure="error" if failed else "", provider_id=_provider_id(record),
        tells_tokens=bool(usage) or failed or tells_any(*(record.get(n) for n in _COUNTS)),
    )  # fmt: skip


def _first(record: Mapping[str, Any], name: str) -> str:
    return next((one for m in _METADATA if (one := text_of(field_of(record, f"{m}.{name}")))), "")


def _cost(record: Mapping[str, Any]) -> int | None:
    total = nano_of(record.get("total_cost"))
    if total is not None:
        return total
    parts = [nano_of(record.get(name)) for name in ("prompt_cost", "completion_cost")]
    return None if parts == [None, None] else sum(part or 0 for part in parts)


def _usage(record: Mapping[str, Any]) -> dict[str, int]:
    told = object_of(
        next((u for m in _METADATA if (u := field_of(record, f"{m}.usage_metadata"))), None)
        or field_of(record, "outputs.usage_metadata")
    )
    details = object_of(record.get("prompt_token_details") or told.get("input_token_details"))
    answer = object_of(record.get("completion_token_details") or told.get("output_token_details"))

    def number(holder: Mapping[str, Any], name: str, other: object = None) -> int:
        value = holder.get(name)
        return count_of(other if value in (None, "") else value, name)

    for_1h = number(details, "ephemeral_1h_input_tokens")
    written = max(
        number(details, "cache_creation"), for_1h + number(details, "ephemeral_5m_input_tokens")
    )
    return disjoint(
        input_tokens=number(record, "prompt_tokens", told.get("input_tokens")),
        output_tokens=number(record, "completion_tokens", told.get("output_tokens")),
        cache_read=number(details, "cache_read"), write_5m=written - for_1h, write_1h=for_1h,
        reasoning=number(answer, "reasoning"), audio_input=number(details, "audio"),
        audio_output=number(answer, "audio"),
    )  # fmt: skip


def _provider_id(record: Mapping[str, Any]) -> str:
    """The answer's own id, where LangChain kept it with the message."""
    generations = list_of(field_of(record, "outputs.generations"))
    first = generations[0] if generations else None
    if isinstance(first, list):
        first = first[0] if first else None
    message = object_of(first).get("message")
    told = field_of(object_of(message), "kwargs.response_metadata.id")
    return text_of(told)
