"""Thresholds that were crossed, and other things that somebody should hear of.

Layer: daemon, pure over the book.  Below: book, notices, core.money.  Above: commits (with each
commit), restore (replay).
Owns: the row `threshold`, and which messages go with which rows.  Both are written in the
transaction of what they tell of, so that neither is ever without the other.
Not here: when an account is looked at (account.alert_at, accounts), how a message gets out
(delivering).

A threshold is told once per account, window and percent: the highest percent that was told stays
with the account, over restarts and changes of the limit.  A window that rolls has no end: its
thresholds are told again once what is spent has fallen below the lowest of them.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from noburn_cli.core.budgets import Scope
from noburn_cli.core.money import show_amount
from noburn_daemon.account import UNITS, Account, key_text
from noburn_daemon.accounts import Accounts
from noburn_daemon.book import Book
from noburn_daemon.ledger import Event, json_text
from noburn_daemon.notices import THRESHOLD, notices, shown_amount

KIND = "threshold"
ALL_PERCENT = 100


def tell(book: Book, now_ms: int, operators: tuple[str, ...]) -> bool:
    """Add the rows and messages of what has happened since the last time; whether there are any.

    operators: the channels that hear of the daemon's own troubles.
    """
    crossed, book.accounts.crossed = book.accounts.crossed, {}
    happened, book.happened = book.happened, []
    told = False
    for account in crossed:
        if book.accounts.is_current(account):  # else its budget was removed meanwhile
            told |= _tell_account(book, account, now_ms)
    for kind, data in happened:
        book.changed.notices += notices(kind, now_ms, data, operators)
    return told or bool(happened and operators)


def _tell_account(book: Book, account: Account, now_ms: int) -> bool:
    row = account.budget.row
    reached = [
        percent
        for percent in row.thresholds
        if percent > account.notified and account.reaches(percent)
    ]
    for percent in reached:
        data = _described(account, percent)
        book.changed.notices += notices(THRESHOLD, now_ms, data, tuple(row.notify))
        book.events.append(Event(0, now_ms, KIND, run=row.run, detail=_detail(account, percent)))
    if reached:
        account.notified = reached[-1]
        account.refresh()
        book.accounts.dirty.add(account)
    return bool(reached)


def _detail(account: Account, percent: int) -> str:
    return json_text(
        {
            "budget": account.budget.row.id,
            "key": key_text(account.key),
            "window_start_ms": account.start_ms,
            "account": account.name,
            "percent": percent,
            "unit": UNITS[account.unit_index],
            "settled": account.settled,
            "capacity": account.capacity,
        }
    )


def _described(account: Account, percent: int) -> dict[str, Any]:
    """The message's `data`: amounts as exact texts, moments as RFC 3339."""
    row = account.budget.row
    unit = UNITS[account.unit_index]
    spent, limit = show_amount(unit, account.settled), show_amount(unit, account.capacity)
    message = f"`{account.name}` has reached {percent} %: {spent} spent of {limit}"
    watched = {}
    if account.budget.floor is not None:
        watched = _margin(account)
        message = _margin_message(account, percent, spent, limit)
    return {
        "message": message,
        "budget": account.budget.name, "account": account.name,
        "scope": str(Scope(account.key)), "per": row.per, "unit": unit, "action": row.action,
        "percent": percent, "settled": shown_amount(unit, account.settled),
        "limit": shown_amount(unit, account.capacity),
        "window_start": _moment(account.start_ms), "resets_at": _moment(account.resets_at_ms),
        **watched,
    }  # fmt: skip


def _margin(account: Account) -> dict[str, Any]:
    """What a message about a margin has besides."""
    return {"margin": {"customer": dict(account.key)["customer"], "below": account.budget.floor}}


def _margin_message(account: Account, percent: int, spent: str, limit: str) -> str:
    """The sentence of a budget that watches a margin; its limit is what may be spent to keep it."""
    floor, customer = account.budget.floor, dict(account.key)["customer"]
    cost = f"{spent} of inference this {account.budget.row.per}, {limit} would leave {floor} %"
    if percent >= ALL_PERCENT:
        return f"margin of customer {customer} below {floor} %: {cost}"
    return f"margin of customer {customer} comes near {floor} %: {cost}"


def _moment(at_ms: int | None) -> str | None:
    if not at_ms:
        return None
    shown = datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")
    return shown.replace("+00:00", "Z")


def replay(accounts: Accounts, event: Event) -> None:
    """Follow a `threshold` row that is newer than the snapshot."""
    if event.detail is None:  # forgotten
        return
    told = json.loads(event.detail)
    account = accounts.by_place(told["budget"], told["key"], told["window_start_ms"])
    if account is not None:
        account.notified = max(account.notified, told["percent"])
        account.refresh()
        accounts.dirty.add(account)
