"""Budgets and their balances as the ledger's file has them, for when no daemon can be asked.

Layer: reports, I/O.  Below: reading, core.windows.  Above: dashboard.live.
They are as of the last snapshot, and nothing is known of what is held: whether a hold still stands
depends on processes, which the file does not see.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noburn_cli.core.budgets import show_scope
from noburn_cli.core.windows import RUN, Window, bucket_ms, expires_at_ms, rolling_ms
from noburn_cli.reports.reading import reading

if TYPE_CHECKING:
    import apsw

_BUDGETS = """
    SELECT id, scope, per, unit, amount, override, action, zone, anchor, carry, downgrade,
      thresholds, notify, run
    FROM budgets WHERE removed_at_ms IS NULL AND ended_at_ms IS NULL ORDER BY id
"""
_ACCOUNTS = """
    SELECT key, window_start_ms, topup, settled, carried, notified, overage, buckets
    FROM accounts WHERE budget = ? ORDER BY key
"""


def read_stored_budgets(ledger_path: Path, now_ms: int) -> list[dict[str, Any]]:
    """As `budget.list` describes them (docs/protocol.md), with nothing held.

    Raises LedgerUnavailable.
    """
    with reading(ledger_path) as connection:
        rows = list(connection.execute(_BUDGETS))
        return [_budget(connection, row, now_ms) for row in rows]


def _budget(connection: apsw.Connection, row: tuple[Any, ...], now_ms: int) -> dict[str, Any]:
    number, scope, per, unit, limit, override, action, zone, anchor, carry, *texts, run = row
    downgrade, thresholds, notify = (json.loads(text) for text in texts)
    window = Window(per, zone, anchor)
    return {
        "name": f"{scope} per {per}", "scope": scope, "per": per, "unit": unit, "limit": limit,
        "override": bool(override), "run": run, "action": action, "zone": zone, "anchor": anchor,
        "carry": carry, "downgrade": downgrade, "thresholds": thresholds, "notify": notify,
        "accounts": list(_accounts(connection, number, limit, window, now_ms)),
    }  # fmt: skip


def _accounts(
    connection: apsw.Connection, budget: int, limit: int, window: Window, now_ms: int
) -> Iterator[dict[str, Any]]:
    """Those of the window that goes on now."""
    starts, ends = window.bounds(now_ms)
    length_ms = rolling_ms(window.per)
    for row in connection.execute(_ACCOUNTS, (budget,)):
        key, start, topup, settled, carried, notified, overage, buckets = row
        if length_ms is not None:
            settled, topup = _rolled(json.loads(buckets or "{}"), length_ms, now_ms)
        elif start != starts and window.per != RUN:
            continue
        yield {
            "key": show_scope(tuple((name, value) for name, value in json.loads(key))),
            "window_start_ms": start, "resets_at_ms": ends, "limit": limit, "topup": topup,
            "carried": carried, "settled": settled, "overage": overage, "notified": notified,
            "held": 0, "waiting": 0,
        }  # fmt: skip


def _rolled(buckets: dict[str, list[int]], length_ms: int, now_ms: int) -> tuple[int, int]:
    """(settled, topped up) of the buckets that have not left."""
    width = bucket_ms(length_ms)
    left = [
        amounts
        for number, amounts in buckets.items()
        if expires_at_ms(length_ms, int(number) * width) > now_ms
    ]
    return sum(settled for settled, _ in left), sum(topup for _, topup in left)
