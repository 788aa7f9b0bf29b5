"""LiteLLM's spend logs: rows of `LiteLLM_SpendLogs`, and what `/spend/logs` answers.

Layer: importing, pure.  Below: fields, tokens, reading.
Sources: `schema.prisma` (model LiteLLM_SpendLogs) of BerriAI/litellm and SpendLogsPayload,
SpendLogsMetadata of litellm 1.110.2 (`litellm/proxy/_types.py`), read 2026-11-27.
`spend` is what its own price map says.  `metadata`, `request_tags`, `response` are JSON, in exports
often as texts.  The times are UTC, with a zone or without.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from noburn_cli.core.imported import ImportedCall
from noburn_cli.core.variants import STANDARD
from noburn_cli.importing.fields import (
    Unread,
    count_of,
    is_true,
    lasted_ms,
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
    "customer": ("end_user",),
    "user": ("user",),
    "project": (
        "metadata.user_api_key_project_alias", "metadata.user_api_key_team_alias", "team_id",
    ),
    "feature": ("metadata.user_api_key_alias",),
    "run": ("session_id",),
}  # fmt: skip
_TIERS = {"batch": "batch", "flex": "flex", "priority": "priority"}


def read(record: Mapping[str, Any], asked: Asked) -> Found:
    """One row.  Raises Unread."""
    record = {**record, "metadata": object_of(record.get("metadata"))}
    identity = text_of(record.get("request_id"))
    if not identity:
        raise Unread("it has no request_id")
    start = moment_ms(record.get("startTime"), asked.zone, what="startTime")
    model = text_of(record.get("model")) or text_of(record.get("model_group"))
    metadata = record["metadata"]
    usage = _usage(record, metadata)
    said = nano_of(record.get("spend"))
    if not model:
        return without_model(used=bool(usage or said))
    answered = is_true(record.get("cache_hit"))
    failed = text_of(record.get("status")).lower() == "failure"
    return ImportedCall(
        identity, start, model, usage={} if answered else usage,
        said_nano=said, variant=_variant(metadata),
        attributes=asked.mapped.attributes(record, FIELDS),
        maker=text_of(record.get("custom_llm_provider")), ran_ms=_ran_ms(record, start, asked),
        failure=_failure(metadata) if failed else "", provider_id=identity,
        status=status_of(object_of(metadata.get("error_information")).get("error_code")),
        notional=metadata.get("used_client_oauth_token") is True or asked.billing == "plan",
        note="answered from LiteLLM's cache" if answered else "",
    )  # fmt: skip


def _usage(record: Mapping[str, Any], metadata: Mapping[str, Any]) -> dict[str, int]:
    told = object_of(metadata.get("usage_object"))
    if told.get("prompt_tokens") or told.get("completion_tokens"):
        return from_usage_object(told)
    more = object_of(metadata.get("additional_usage_values"))
    return from_usage_object({
        **more, "prompt_tokens": record.get("prompt_tokens"),
        "completion_tokens": record.get("completion_tokens"),
    }) if more else disjoint(
        input_tokens=count_of(record.get("prompt_tokens"), "prompt_tokens"),
        output_tokens=count_of(record.get("completion_tokens"), "completion_tokens"),
    )  # fmt: skip


def _variant(metadata: Mapping[str, Any]) -> str:
    if metadata.get("batch_models"):
        return "batch"
    told = object_of(metadata.get("usage_object"))
    return _TIERS.get(text_of(told.get("service_tier")), STANDARD)


def _ran_ms(record: Mapping[str, Any], start: int, asked: Asked) -> int | None:
    told = milliseconds_of(record.get("request_duration_ms"))
    return told if told is not None else lasted_ms(start, record.get("endTime"), asked.zone)


def _failure(metadata: Mapping[str, Any]) -> str:
    return text_of(object_of(metadata.get("error_information")).get("error_class"), 60) or "failed"
