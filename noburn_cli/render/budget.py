"""How budgets look: a line per account, or data.

Layer: render.  Below: core, render.table, render.budget_notes.  Above: commands.budget.
A budget comes as the daemon's `budget.list` describes it (docs/protocol.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from noburn_cli.core.actions import BLOCK, HARD
from noburn_cli.core.budget_spec import spec_from
from noburn_cli.core.money import show_amount
from noburn_cli.core.windows import CALL, UTC, rolling_ms
from noburn_cli.render import budget_notes
from noburn_cli.render.table import LEFT, RIGHT, Column, fit_table, prose_lines, safe_text

#: Headers, and in which order columns go where a terminal is too narrow.
_HEADERS = (
    ("BUDGET", LEFT, None), ("LIMIT", RIGHT, None), ("SETTLED", RIGHT, 2), ("HELD", RIGHT, 0),
    ("LEFT", RIGHT, None), ("RESETS", LEFT, 1),
)  # fmt: skip
_MINUTE_MS = 60_000
_HOUR_MS = 60 * _MINUTE_MS
_DAY_MS = 24 * _HOUR_MS


def render_budgets(
    budgets: Sequence[Mapping[str, Any]], *, now_ms: int,
    scheduled: Sequence[Mapping[str, Any]] = (), width: int | None = None,
) -> list[str]:  # fmt: skip
    """Every budget with its accounts, as aligned lines; below them what else there is to say."""
    rows = [row for budget in budgets for row in _rows(budget, now_ms)]
    columns = [
        Column(header, cells, align, give_up, shorten=header == "BUDGET")
        for (header, align, give_up), cells in zip(_HEADERS, zip(*rows, strict=True), strict=False)
    ]
    table = fit_table(columns, width=width) if rows else []
    notes = [*_notes(budgets), *budget_notes.scheduled_notes(scheduled)]
    return [
        *table,
        *([""] if table and notes else []),
        *prose_lines(map(safe_text, notes), width=width),
    ]


def _rows(budget: Mapping[str, Any], now_ms: int) -> Iterator[tuple[str, ...]]:
    """One line for a plain budget; a family's own line, and one for each account below it."""
    unit = budget["unit"]
    marks = budget_notes.marks(spec_from(budget))
    name = budget["name"] + (f" ({', '.join(marks)})" if marks else "")
    limit = show_amount(unit, budget["limit"])
    accounts = budget["accounts"]
    if not is_family(budget) and budget["per"] != CALL:
        account = accounts[0] if accounts else _untouched(budget)
        yield (name, *_cells(budget, account, now_ms))
        return
    if budget["per"] == CALL:
        yield (name, limit, "", "", "", "each call")
        return
    yield (name, limit + " each", "", "", "", "" if accounts else "no calls yet")
    for account in accounts:
        yield ("  " + account["key"], *_cells(budget, account, now_ms))


def is_family(budget: Mapping[str, Any]) -> bool:
    """Whether several accounts have this limit: a scope with `*`, or a window of runs."""
    return "=*" in budget["scope"] or (budget["per"] == "run" and "run=" not in budget["scope"])


def _untouched(budget: Mapping[str, Any]) -> dict[str, Any]:
    """The account of a budget that no call has met yet."""
    return {
        "key": budget["scope"], "limit": budget["limit"], "topup": 0, "settled": 0, "held": 0,
        "waiting": 0, "window_start_ms": None, "resets_at_ms": None,
    }  # fmt: skip


def _cells(budget: Mapping[str, Any], account: Mapping[str, Any], now_ms: int) -> tuple[str, ...]:
    unit = budget["unit"]
    limit = show_amount(unit, account["limit"])
    if account["topup"]:
        limit += f" + {show_amount(unit, account['topup'])}"
    if account.get("carried"):
        limit += f" + {show_amount(unit, account['carried'])} carried"
    resets = "rolls" if rolling_ms(budget["per"]) is not None else None
    return (
        limit,
        show_amount(unit, account["settled"]),
        show_amount(unit, account["held"]),
        show_amount(unit, left_of(account)),
        resets or show_reset(account["resets_at_ms"], now_ms=now_ms, zone=budget.get("zone", UTC)),
    )


def ends_calls(account: Mapping[str, Any]) -> bool:
    """Whether its budget keeps calls back when it is spent; others let them go."""
    return account.get("action", BLOCK) in HARD


def left_of(account: Mapping[str, Any]) -> int:
    """What an account still has, in its unit; negative when it is over."""
    parts = (account[name] for name in ("limit", "topup", "settled", "held"))
    limit, topup, settled, held = (int(part) for part in parts)
    return limit + topup + int(account.get("carried", 0)) - settled - held


def show_reset(at_ms: int | None, *, now_ms: int, zone: str = UTC) -> str:
    """When a window ends, by its own zone's clock: `in 3 h, 00:00 UTC`, or `never`."""
    if at_ms is None:
        return "never"
    moment = datetime.fromtimestamp(at_ms / 1000, tz=budget_notes.zone_of(zone))
    wait_ms = max(0, at_ms - now_ms)
    if wait_ms < _HOUR_MS:
        return f"in {-(-wait_ms // _MINUTE_MS)} min, {moment:%H:%M %Z}"
    if wait_ms < 2 * _DAY_MS:
        return f"in {-(-wait_ms // _HOUR_MS)} h, {moment:%H:%M %Z}"
    return f"in {-(-wait_ms // _DAY_MS)} days, {moment:%Y-%m-%d %Z}"


def _notes(budgets: Sequence[Mapping[str, Any]]) -> list[str]:
    waiting = sum(account["waiting"] for budget in budgets for account in budget["accounts"])
    over = [
        account["key"]
        for budget in budgets
        if budget["action"] in HARD
        for account in budget["accounts"]
        if left_of(account) < 0
    ]
    notes = list(budget_notes.budget_notes(budgets))
    if waiting:
        notes.append(f"{waiting:,} waiting for money in flight.")
    if over:
        notes.append(f"Over its limit, so nothing is admitted: {', '.join(over)}.")
    return [*notes, *budget_notes.reached(budgets)]


def budget_data(budget: Mapping[str, Any]) -> dict[str, Any]:
    """A budget as data: dollars as exact decimal strings, tokens and requests whole."""
    accounts = [_account_data(budget["unit"], account) for account in budget["accounts"]]
    return {**budget_notes.spec_data(spec_from(budget)), "accounts": accounts}


def _account_data(unit: str, account: Mapping[str, Any]) -> dict[str, Any]:
    names = ("limit", "topup", "carried", "settled", "held", "overage")
    amounts = {name: budget_notes.exact(unit, account.get(name, 0)) for name in names}
    return {
        "key": account["key"],
        "window_start_ms": account["window_start_ms"],
        "resets_at_ms": account["resets_at_ms"],
        **amounts,
        "left": budget_notes.exact(unit, left_of(account)),
        "waiting": account["waiting"],
        "notified_percent": account.get("notified", 0),
    }
