"""Helicone's requests, as its export tool (`@helicone/export`) and its API write them.

Layer: importing, pure.  Below: fields, tokens, reading.
Sources: `examples/export/typescript/index.ts` of Helicone/helicone (CSV, JSON and JSON lines; the
columns of its CSV) and its type HeliconeRequest (`/v1/request/query-clickhouse`), read 2026-11-27.
Costs are dollars by Helicone's own price list.  The CSV has no id of the request, only the
response's.  `latency` and `delay_ms` are milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from noburn_cli.core.imported import ImportedCall
from noburn_cli.importing.fields import (
    count_of,
    milliseconds_of,
    moment_ms,
    nano_of,
    object_of,
    status_of,
    tells_any,
    text_of,
)
from noburn_cli.importing.reading import Asked, Found, without_model
from noburn_cli.importing.tokens import disjoint

_PROPERTIES = ("request_properties", "properties")
FIELDS = {
    "customer": tuple(f"{p}.{n}" for p in _PROPERTIES for n in ("customer", "Customer", "tenant")),
    "feature": (
        *(f"{p}.{n}" for p in _PROPERTIES for n in ("feature", "Feature")), "prompt_id",
    ),
    "user": ("request_user_id", "user_id"),
    "project": tuple(f"{p}.{n}" for p in _PROPERTIES for n in ("project", "App", "appname")),
    "run": tuple(f"{p}.Helicone-Session-Id" for p in _PROPERTIES),
}  # fmt: skip
_FAILED = 400
_COUNTS = ("prompt_tokens", "completion_tokens")


def read(record: Mapping[str, Any], asked: Asked) -> Found:
    """One request.  Raises Unread."""
    record = {**record, **{name: object_of(record.get(name)) for name in _PROPERTIES}}
    start = moment_ms(
        record.get("request_created_at") or record.get("response_created_at"),
        asked.zone, what="request_created_at",
    )  # fmt: skip
    model = next(
        (one for name in ("model", "response_model", "request_model", "model_override")
         if (one := text_of(record.get(name)))), "",
    )  # fmt: skip
    status = status_of(record.get("response_status"))
    cost = record.get("cost") if record.get("cost") not in (None, "") else record.get("costUSD")
    usage = disjoint(
        input_tokens=count_of(record.get("prompt_tokens"), "prompt_tokens"),
        output_tokens=count_of(record.get("completion_tokens"), "completion_tokens"),
        cache_read=count_of(record.get("prompt_cache_read_tokens"), "prompt_cache_read_tokens"),
        write_5m=count_of(record.get("prompt_cache_write_tokens"), "prompt_cache_write_tokens"),
        audio_input=count_of(record.get("prompt_audio_tokens"), "prompt_audio_tokens"),
        audio_output=count_of(record.get("completion_audio_tokens"), "completion_audio_tokens"),
        inclusive=_inclusive(record),
    )  # fmt: skip
    if not model or model == "unknown":
        return without_model(used=bool(usage))
    cached = bool(text_of(record.get("cache_reference_id")).strip("0-"))
    told = text_of(record.get("response_status"), 8)
    failed = bool(told) and (status is None or status >= _FAILED)  # Below 0: it never answered.
    return ImportedCall(
        text_of(record.get("request_id")) or text_of(record.get("response_id")), start, model,
        usage={} if cached else usage, said_nano=nano_of(cost),
        attributes=asked.mapped.attributes(record, FIELDS),
        maker=text_of(record.get("provider")).lower(),
        ran_ms=milliseconds_of(record.get("delay_ms")) or milliseconds_of(record.get("latency")),
        status=status, failure=f"status {told}" if failed else "", provider_id=_provider_id(record),
        note="answered from Helicone's cache" if cached else "",
        tells_tokens=cached or failed or tells_any(*(record.get(name) for name in _COUNTS)),
    )  # fmt: skip


def _inclusive(record: Mapping[str, Any]) -> bool | None:
    """Anthropic's input stands beside what its cache read and wrote; elsewhere as it fits."""
    return False if text_of(record.get("provider")).upper() == "ANTHROPIC" else None


def _provider_id(record: Mapping[str, Any]) -> str:
    """The answer's own id, when its body came along."""
    return text_of(object_of(record.get("response_body")).get("id"))
