"""Anthropic's usage and cost, as its Admin API and the Claude Console export them.

Layer: reconcile, pure.  Below: bill, core.usage.  Above: formats, live.
Owns: the fields of four JSON reports (usage and cost; the older buckets, the newer flat rows) and
of the Console's two CSV files.  Costs in JSON are cents as decimal texts; in CSV they are dollars.
Sources, looked up 2026-11-27: platform.claude.com, `usage_report/retrieve_messages` and
`cost_report/retrieve` (called legacy there since 2026-10-29, and still served); the types of the
anthropic Python library 2.14.0 for `/v1/organizations/analytics/usage` and `/cost`; the headings of
the Console's exports as public importers of them quote them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from noburn_cli.core.usage import (
    CACHE_READ,
    CACHE_WRITE_1H,
    CACHE_WRITE_5M,
    INPUT,
    OUTPUT,
    WEB_SEARCH,
)
from noburn_cli.errors import InputRefused
from noburn_cli.reconcile.bill import BillRow, count, day_of_text, dollars_only, exact

_TOKEN_TYPES = {
    "uncached_input_tokens": INPUT,
    "cache_read_input_tokens": CACHE_READ,
    "cache_creation.ephemeral_5m_input_tokens": CACHE_WRITE_5M,
    "cache_creation.ephemeral_1h_input_tokens": CACHE_WRITE_1H,
    "output_tokens": OUTPUT,
    # The same in the Console's CSV.
    "input_no_cache": INPUT,
    "input_cache_read": CACHE_READ,
    "input_cache_write_5m": CACHE_WRITE_5M,
    "input_cache_write_1h": CACHE_WRITE_1H,
    "output": OUTPUT,
}
_CSV_TOKENS = {
    "usage_input_tokens_no_cache": INPUT,
    "usage_input_tokens_cache_read": CACHE_READ,
    "usage_input_tokens_cache_write_5m": CACHE_WRITE_5M,
    "usage_input_tokens_cache_write_1h": CACHE_WRITE_1H,
    "usage_output_tokens": OUTPUT,
}
_CENTS = 100


def read_buckets(buckets: Iterable[Mapping[str, Any]], source: str) -> list[BillRow]:
    """The rows in the buckets or flat rows of one or more pages.  Raises InputRefused."""
    rows: list[BillRow] = []
    for bucket in buckets:
        day = day_of_text(bucket.get("starting_at"), bucket.get("ending_at"), source)
        group = bucket.get("group")
        if isinstance(group, Mapping):  # A flat row of the newer reports.
            rows.append(_flat(day, group, bucket, source))
            continue
        results = bucket.get("results")
        if not isinstance(results, list):
            raise InputRefused(f"{source}: the bucket of {day} has no results")
        rows.extend(_result(day, one, source) for one in results)
    return rows


def _flat(day: str, group: Mapping[str, Any], row: Mapping[str, Any], source: str) -> BillRow:
    if isinstance(row.get("cost"), Mapping):
        return _cost(day, {**group, **row["cost"]}, source)
    if isinstance(row.get("usage"), Mapping):
        return _usage(day, {**group, **row["usage"]}, source)
    raise InputRefused(f"{source}: a row of {day} has neither cost nor usage")


def _result(day: str, fields: Mapping[str, Any], source: str) -> BillRow:
    if "amount" in fields:
        return _cost(day, fields, source)
    if "uncached_input_tokens" in fields:
        return _usage(day, fields, source)
    raise InputRefused(f"{source}: a result of {day} has neither an amount nor tokens")


def _cost(day: str, fields: Mapping[str, Any], source: str) -> BillRow:
    dollars_only(fields.get("currency"), source)
    cents = exact(fields.get("amount"), f"{source}: an amount")
    what = str(fields.get("cost_type") or "")
    model = str(fields.get("model") or "")
    fee = WEB_SEARCH if what == "web_search" else ""
    if not model and what not in ("", "tokens"):
        model = what.replace("_", " ")
    requests = fields.get("requests")
    return BillRow(
        day, model, dollars=cents / _CENTS, fee=fee,
        requests=None if requests is None else count(requests, f"{source}: requests"),
        kind=_rate_kind(fields), key=_text(fields, "api_key_id"),
        project=_text(fields, "workspace_id"),
    )  # fmt: skip


def _rate_kind(fields: Mapping[str, Any]) -> str:
    """The kind of token that a cost is for; "" where the tier has other rates."""
    plain = fields.get("service_tier") in (None, "standard")
    return _TOKEN_TYPES.get(str(fields.get("token_type") or ""), "") if plain else ""


def _usage(day: str, fields: Mapping[str, Any], source: str) -> BillRow:
    created = fields.get("cache_creation") or {}
    tools = fields.get("server_tool_use") or {}
    given = {
        INPUT: fields.get("uncached_input_tokens"),
        CACHE_READ: fields.get("cache_read_input_tokens"),
        CACHE_WRITE_5M: created.get("ephemeral_5m_input_tokens"),
        CACHE_WRITE_1H: created.get("ephemeral_1h_input_tokens"),
        OUTPUT: fields.get("output_tokens"),
        WEB_SEARCH: tools.get("web_search_requests"),
    }
    requests = fields.get("requests")
    return BillRow(
        day, str(fields.get("model") or ""), tokens=_counts(given, source),
        requests=None if requests is None else count(requests, f"{source}: requests"),
        key=_text(fields, "api_key_id"), project=_text(fields, "workspace_id"),
    )  # fmt: skip


def _counts(given: Mapping[str, object], source: str) -> dict[str, int]:
    found = {kind: count(value, f"{source}: {kind}") for kind, value in given.items()}
    return {kind: number for kind, number in found.items() if number}


def _text(fields: Mapping[str, Any], name: str) -> str:
    return str(fields.get(name) or "")


def read_cost_csv(rows: Iterable[Mapping[str, str]], source: str) -> list[BillRow]:
    """The Console's cost export: dollars by day, model and type of token.  Raises InputRefused."""
    found = []
    for row in rows:
        model, what = row.get("model") or "", row.get("cost_type") or ""
        fee = WEB_SEARCH if "search" in f"{what} {row.get('token_type') or ''}" else ""
        plain = (row.get("usage_type") or "") in ("", "message", "standard")
        plain = plain and (row.get("speed") or "") in ("", "standard")
        found.append(
            BillRow(
                day_of_text(row.get("usage_date_utc"), None, source), slug(model or what), fee=fee,
                dollars=exact(row.get("cost_usd") or 0, f"{source}: cost_usd"),
                kind=_TOKEN_TYPES.get(row.get("token_type") or "", "") if plain else "",
                key=row.get("api_key_id") or row.get("api_key") or "",
                project=row.get("workspace") or "",
            )
        )  # fmt: skip
    return found


def read_token_csv(rows: Iterable[Mapping[str, str]], source: str) -> list[BillRow]:
    """The Console's usage export: tokens by day (or hour) and model.  Raises InputRefused."""
    found = []
    for row in rows:
        given = {kind: row.get(name) for name, kind in _CSV_TOKENS.items()}
        counts = _counts({**given, WEB_SEARCH: row.get("web_search_count")}, source)
        found.append(
            BillRow(
                day_of_text(row.get("usage_date_utc"), None, source),
                slug(row.get("model_version") or ""), tokens=counts,
                key=row.get("api_key_id") or row.get("api_key") or "",
                project=row.get("workspace") or "",
            )
        )  # fmt: skip
    return found


def slug(name: str) -> str:
    """The API's name of a model that the Console shows as `Claude Haiku 4.5`."""
    if not re.match(r"Claude\b", name):
        return name
    return re.sub(r"[ .]+", "-", name.strip()).lower()
