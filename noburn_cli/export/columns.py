"""What an export has: its columns, their order and their types.

Layer: export, pure.  Below: core.money.  Above: reading, writing; docs/ledger.md tells the same.
The order is kept: a new column comes last.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from noburn_cli.core.money import Nano

TEXT, INTEGER, BOOLEAN, DOLLARS, JSON = "text", "integer", "boolean", "dollars", "json"
CALLS, JOURNAL = "calls", "journal"
WHATS = (CALLS, JOURNAL)


@dataclass(frozen=True)
class Column:
    """One column: its name, its type, and the SQL it is read with."""

    name: str
    type: str
    sql: str


def _columns(described: Mapping[str, str]) -> tuple[Column, ...]:
    """Columns of names and types; money stands in the ledger as whole nano-dollars."""
    return tuple(
        Column(name, kind, f"{name.removesuffix('_usd')}_nano" if kind == DOLLARS else f'"{name}"')
        for name, kind in described.items()
    )


#: The number of the row that tells of a call comes first: it orders the calls.
SEQ = Column("seq", INTEGER, "seq")
OF_CALLS = (
    SEQ,
    *_columns({
        "call": TEXT, "state": TEXT, "api": TEXT, "model": TEXT, "resolved_model": TEXT,
        "project": TEXT, "customer": TEXT, "feature": TEXT, "user": TEXT, "job": TEXT,
        "run": TEXT, "step": TEXT, "tags": JSON, "reserved_at_ms": INTEGER,
        "closed_at_ms": INTEGER, "latency_ms": INTEGER, "status": INTEGER, "failure": TEXT,
        "input": INTEGER, "cache_read": INTEGER, "cache_write_5m": INTEGER,
        "cache_write_1h": INTEGER, "output": INTEGER, "reasoning": INTEGER, "extra": JSON,
        "hold_usd": DOLLARS, "cost_usd": DOLLARS,
    }),
    Column("notional", BOOLEAN, "coalesce(json_extract(detail, '$.notional'), 0)"),
    *_columns({
        "requests": INTEGER, "bound": TEXT, "input_bound": INTEGER, "wanted": INTEGER,
        "granted": INTEGER, "clamped": BOOLEAN, "waited_ms": INTEGER, "book": TEXT,
        "variant": TEXT, "provider_id": TEXT, "ceiling_usd": DOLLARS,
    }),
)  # fmt: skip


def _named(name: str) -> Column:
    return Column(name, TEXT, f"(SELECT text FROM names WHERE id = j.{name})")  # noqa: S608 -- ours


OF_JOURNAL = (
    *_columns({"seq": INTEGER, "at_ms": INTEGER, "kind": TEXT, "call": TEXT, "run": TEXT}),
    Column("context", JSON, "(SELECT text FROM names WHERE id = j.context)"),
    Column("model", JSON, "(SELECT text FROM names WHERE id = j.model)"),
    *(_named(name) for name in ("owner", "note", "book")),
    *_columns({
        "digest": INTEGER, "hold_usd": DOLLARS, "hold_tokens": INTEGER, "input_bound": INTEGER,
        "bound": TEXT, "factor": INTEGER, "wanted": INTEGER, "granted": INTEGER,
        "clamped": BOOLEAN, "write_cap": BOOLEAN, "waited_ms": INTEGER, "cost_usd": DOLLARS,
        "cost_tokens": INTEGER, "input": INTEGER, "cache_read": INTEGER,
        "cache_write_5m": INTEGER, "cache_write_1h": INTEGER, "output": INTEGER,
        "reasoning": INTEGER, "variant": TEXT, "latency_ms": INTEGER, "status": INTEGER,
        "failure": TEXT, "provider_id": TEXT, "served_model": TEXT, "detail": JSON,
        "extra": JSON, "ceiling_usd": DOLLARS,
    }),
    Column("chain", TEXT, "lower(hex(chain))"),
)  # fmt: skip

COLUMNS: Mapping[str, tuple[Column, ...]] = {CALLS: OF_CALLS, JOURNAL: OF_JOURNAL}


def plain(column: Column, value: Any) -> Any:
    """A value as CSV and JSON have it: money as an exact decimal in dollars, a text."""
    if value is None:
        return None
    if column.type == DOLLARS:
        return Nano(value).exact()
    return bool(value) if column.type == BOOLEAN else value
