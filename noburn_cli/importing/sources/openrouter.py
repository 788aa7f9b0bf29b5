"""OpenRouter: its activity export (CSV), its generations and its activity by day (JSON).

Layer: importing, pure.  Below: fields, tokens, reading.
Sources: the heading of the activity CSV (`generation_id`, `created_at`, `cost_total`,
`cost_web_search`, `cost_cache`, `cost_file_processing`, `byok_usage_inference`, `tokens_prompt`,
`tokens_completion`, `tokens_reasoning`, `tokens_cached`, `model_permaslug`, `provider_name`, …) as
public readers of it quote it, and the types GetGenerationData and ActivityItem of openrouter.ai's
SDK, read 2026-11-27.  Costs are what was charged, in dollars; with a key of one's own
(`byok_usage_inference`) the provider's own charge comes on top of OpenRouter's fee.
"Reasoning tokens are included in completion tokens."  Native counts are those that are billed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from noburn_cli.core.imported import ImportedCall
from noburn_cli.importing.fields import (
    Unread,
    count_of,
    is_true,
    milliseconds_of,
    moment_ms,
    nano_of,
    text_of,
)
from noburn_cli.importing.reading import Asked, Found, LeftOut
from noburn_cli.importing.tokens import disjoint

FIELDS = {
    "customer": ("external_user",),
    "user": ("user", "external_user"),
    "feature": ("api_key_name",),
    "project": ("app_name", "origin"),
    "run": ("session_id",),
}


def read(record: Mapping[str, Any], asked: Asked) -> Found:
    """One generation, or one line of the activity by day.  Raises Unread."""
    if "endpoint_id" in record and "date" in record:
        return _day(record, asked)
    identity = text_of(record.get("generation_id")) or text_of(record.get("id"))
    if not identity:
        raise Unread("it has no generation_id")
    model = text_of(record.get("model_permaslug")) or text_of(record.get("model"))
    if not model:
        raise Unread("it has no model")
    cost = record.get("cost_total")
    if cost in (None, ""):
        cost = record.get("total_cost")
    return ImportedCall(
        identity, moment_ms(record.get("created_at"), asked.zone, what="created_at"), model,
        _usage(record), said_nano=_sum(cost, record.get("byok_usage_inference")),
        attributes=asked.mapped.attributes(record, FIELDS), maker="openrouter",
        ran_ms=milliseconds_of(record.get("generation_time_ms"))
        or milliseconds_of(record.get("generation_time")),
        failure="cancelled" if is_true(record.get("cancelled")) else "",
        provider_id=text_of(record.get("upstream_id")) or identity,
        rank=int("native_tokens_prompt" in record),  # The API tells more than the export's line.
    )  # fmt: skip


def _sum(charged: object, own: object) -> int | None:
    paid, beside = nano_of(charged), nano_of(own)
    return paid if beside is None else (paid or 0) + beside


def _usage(record: Mapping[str, Any]) -> dict[str, int]:
    def number(*names: str) -> int:
        told = [name for name in names if record.get(name) not in (None, "")]
        return count_of(record[told[0]], told[0]) if told else 0

    return disjoint(
        input_tokens=number("native_tokens_prompt", "tokens_prompt"),
        output_tokens=number("native_tokens_completion", "tokens_completion"),
        cache_read=number("native_tokens_cached", "tokens_cached"),
        reasoning=number("native_tokens_reasoning", "tokens_reasoning"),
        inclusive=True,
    )  # fmt: skip


def _day(record: Mapping[str, Any], asked: Asked) -> Found:
    requests = count_of(record.get("requests"), "requests")
    if not requests:
        return LeftOut("days without requests")
    model = text_of(record.get("model_permaslug")) or text_of(record.get("model"))
    day, endpoint = text_of(record.get("date"))[:10], text_of(record.get("endpoint_id"))
    return ImportedCall(
        f"day:{day}:{endpoint}:{model}", moment_ms(day, asked.zone, what="date"), model,
        disjoint(
            input_tokens=count_of(record.get("prompt_tokens"), "prompt_tokens"),
            output_tokens=count_of(record.get("completion_tokens"), "completion_tokens"),
            reasoning=count_of(record.get("reasoning_tokens"), "reasoning_tokens"),
        ),
        said_nano=_sum(record.get("usage"), record.get("byok_usage_inference")),
        attributes=asked.mapped.attributes(record, FIELDS), maker="openrouter", requests=requests,
    )  # fmt: skip
