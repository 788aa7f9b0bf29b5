"""How budgets look: a line per account, or data.

Layer: render.  Below: core.money, render.table.  Above: commands.budget.
A budget comes as the daemon's `budget.list` describes it (docs/protocol.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from noburn_cli.core.money import DOLLARS, Nano, show_amount
from noburn_cli.render.table import format_table

HEADERS = ("BUDGET", "LIMIT", "SETTLED", "HELD", "LEFT", "RESETS")
_MINUTE_MS = 60_000
_HOUR_MS = 60 * _MINUTE_MS
_DAY_MS = 24 * _HOUR_MS


def render_budgets(budgets: Sequence[Mapping[str, Any]], *, now_ms: int) -> list[str]:
    """Every budget with its accounts, as aligned lines."""
    rows = [row for budget in budgets for row in _rows(budget, now_ms)]
    return [*format_table(HEADERS, rows, align="lrrrrl"), *_notes(budgets)]


def _rows(budget: Mapping[str, Any], now_ms: int) -> Iterator[tuple[str, ...]]:
    """One line for a plain budget; a family's own line, and one for each account below it."""
    unit = budget["unit"]
    marks = [word for word, holds in _marks(budget) if holds]
    name = budget["name"] + (f" ({', '.join(marks)})" if marks else "")
    limit = show_amount(unit, budget["limit"])
    accounts = budget["accounts"]
    if not is_family(budget):
        account = accounts[0] if accounts else _untouched(budget)
        yield (name, *_cells(unit, account, now_ms))
        return
    yield (name, limit + " each", "", "", "", "" if accounts else "no calls yet")
    for account in accounts:
        yield ("  " + account["key"], *_cells(unit, account, now_ms))


def _marks(budget: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
    yield "override", budget["override"]
    yield "kills", budget.get("action") == "kill"


def is_family(budget: Mapping[str, Any]) -> bool:
    """Whether several accounts have this limit: a scope with `*`, or a window of runs."""
    return "=*" in budget["scope"] or (budget["per"] == "run" and "run=" not in budget["scope"])


def _untouched(budget: Mapping[str, Any]) -> dict[str, Any]:
    """The account of a budget that no call has met yet."""
    return {
        "key": budget["scope"], "limit": budget["limit"], "topup": 0, "settled": 0, "held": 0,
        "waiting": 0, "window_start_ms": None, "resets_at_ms": None,
    }  # fmt: skip


def _cells(unit: str, account: Mapping[str, Any], now_ms: int) -> tuple[str, ...]:
    limit = show_amount(unit, account["limit"])
    if account["topup"]:
        limit += f" + {show_amount(unit, account['topup'])}"
    return (
        limit,
        show_amount(unit, account["settled"]),
        show_amount(unit, account["held"]),
        show_amount(unit, left_of(account)),
        show_reset(account["resets_at_ms"], now_ms=now_ms),
    )


def left_of(account: Mapping[str, Any]) -> int:
    """What an account still has, in its unit; negative when it is over."""
    parts = (account[name] for name in ("limit", "topup", "settled", "held"))
    limit, topup, settled, held = (int(part) for part in parts)
    return limit + topup - settled - held


def show_reset(at_ms: int | None, *, now_ms: int) -> str:
    """When a window ends: `in 3 h, 00:00 UTC`, or `never`."""
    if at_ms is None:
        return "never"
    moment = datetime.fromtimestamp(at_ms / 1000, tz=timezone.utc)
    wait_ms = max(0, at_ms - now_ms)
    if wait_ms < _HOUR_MS:
        return f"in {-(-wait_ms // _MINUTE_MS)} min, {moment:%H:%M} UTC"
    if wait_ms < 2 * _DAY_MS:
        return f"in {-(-wait_ms // _HOUR_MS)} h, {moment:%H:%M} UTC"
    return f"in {-(-wait_ms // _DAY_MS)} days, {moment:%Y-%m-%d} UTC"


def _notes(budgets: Sequence[Mapping[str, Any]]) -> list[str]:
    waiting = sum(account["waiting"] for budget in budgets for account in budget["accounts"])
    over = [
        account["key"]
        for budget in budgets
        for account in budget["accounts"]
        if left_of(account) < 0
    ]
    notes = []
    if waiting:
        notes.append(f"{waiting:,} waiting for money in flight.")
    if over:
        notes.append(f"Over its limit, so nothing is admitted: {', '.join(over)}.")
    return ["", *notes] if notes else []


def budget_data(budget: Mapping[str, Any]) -> dict[str, Any]:
    """A budget as data: dollars as exact decimal strings, tokens and requests whole."""
    unit = budget["unit"]
    return {
        "name": budget["name"],
        "scope": budget["scope"],
        "per": budget["per"],
        "unit": unit,
        "limit": _exact(unit, budget["limit"]),
        "override": budget["override"],
        "action": budget["action"],
        "accounts": [_account_data(unit, account) for account in budget["accounts"]],
    }


def _account_data(unit: str, account: Mapping[str, Any]) -> dict[str, Any]:
    amounts = {name: _exact(unit, account[name]) for name in ("limit", "topup", "settled", "held")}
    return {
        "key": account["key"],
        "window_start_ms": account["window_start_ms"],
        "resets_at_ms": account["resets_at_ms"],
        **amounts,
        "left": _exact(unit, left_of(account)),
        "waiting": account["waiting"],
    }


def _exact(unit: str, amount: int) -> int | str:
    return Nano(amount).exact() if unit == DOLLARS else amount
