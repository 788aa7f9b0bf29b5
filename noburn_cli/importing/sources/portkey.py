"""Portkey's log exports: JSON lines (or CSV) with the fields that the export was asked for.

Layer: importing, pure.  Below: fields, tokens, reading.
Sources: "Logs export" of portkey.ai/docs and the `requested_data` of its export API (`id`,
`trace_id`, `created_at`, `request`, `response`, `is_success`, `ai_org`, `ai_model`, `req_units`,
`res_units`, `total_units`, `cost`, `cost_currency`, `response_time`, `response_status_code`,
`metadata`, …), read 2026-11-27: "cost: cost of the request in cents (USD)"; `response_time` in
milliseconds.  Portkey has no columns for cached tokens; the usage in `response`, where it was asked
for, has them.  A request and an answer in the file are never kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from noburn_cli.core.imported import ImportedCall
from noburn_cli.importing.fields import (
    Unread,
    count_of,
    field_of,
    milliseconds_of,
    moment_ms,
    nano_of,
    object_of,
    status_of,
    text_of,
)
from noburn_cli.importing.reading import Asked, Found, without_model
from noburn_cli.importing.tokens import disjoint, from_usage_object

FIELDS = {
    "customer": ("metadata.customer", "metadata.tenant", "metadata.organisation"),
    "feature": ("metadata.feature", "prompt_slug"),
    "user": ("metadata._user", "metadata.user"),
    "project": ("metadata.project", "workspace_slug"),
    "run": ("trace_id",),
    "tag.environment": ("metadata._environment",),
}
_CENTS = 100


def read(record: Mapping[str, Any], asked: Asked) -> Found:
    """One request.  Raises Unread."""
    record = {**record, "metadata": object_of(record.get("metadata"))}
    currency = text_of(record.get("cost_currency")).upper()
    if currency not in ("", "USD"):
        raise Unread("its cost is not in US dollars", currency)
    model = text_of(record.get("ai_model"))
    answer = object_of(_body(record.get("response", record.get("response.body"))))
    usage = _usage(record, answer)
    if not model:
        return without_model(used=bool(usage), field="ai_model")
    hit = text_of(record.get("cache_status")).upper() in ("HIT", "SEMANTIC HIT")
    failed = text_of(record.get("is_success")).lower() in ("0", "false")
    failed = failed or record.get("is_success") is False
    return ImportedCall(
        text_of(record.get("id")), moment_ms(record.get("created_at"), asked.zone,
        what="created_at"), model, usage={} if hit else usage,
        said_nano=nano_of(record.get("cost"), per_dollar=_CENTS),
        attributes=asked.mapped.attributes(record, FIELDS),
        maker=text_of(record.get("ai_org")).lower(),
        ran_ms=milliseconds_of(record.get("response_time")),
        status=status_of(record.get("response_status_code")), failure="failed" if failed else "",
        provider_id=text_of(answer.get("id")),
        note="answered from Portkey's cache" if hit else "",
    )  # fmt: skip


def _body(answer: object) -> object:
    inner = field_of(object_of(answer), "body")
    return answer if inner is None else inner


def _usage(record: Mapping[str, Any], answer: Mapping[str, Any]) -> dict[str, int]:
    told = object_of(answer.get("usage"))
    if told:
        return from_usage_object(told)
    return disjoint(
        input_tokens=count_of(record.get("req_units", record.get("prompt_token")), "req_units"),
        output_tokens=count_of(
            record.get("res_units", record.get("completion_token")), "res_units"
        ),
    )  # fmt: skip
