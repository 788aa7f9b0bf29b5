"""Budgets and their accounts as they are told: listed, one by one, and what is left of them.

Layer: daemon, pure over the book.  Below: book, accounts, core.budgets.  Above: policy, applying,
stopping, server.
Owns: the fields of `budget.list` and `remaining`, the digest that plans are made against.
Not here: how any of it changes (policy).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

from noburn_cli.core.budget_spec import is_made_by_programs
from noburn_cli.core.budgets import Scope, check_attributes, parse_scope
from noburn_cli.core.windows import RUN
from noburn_daemon import frames
from noburn_daemon.account import UNITS, Account, Budget
from noburn_daemon.accounts import Context
from noburn_daemon.book import Book
from noburn_daemon.carrying import carried_into
from noburn_daemon.replies import Reply
from noburn_daemon.schedule import shown


def digest(book: Book) -> str:
    """What a plan to change the budgets is made against, changes to come included.

    Without those of runs, jobs and keys: they come and go with programs, and no plan is about them.
    """
    rows = (budget.row for budget in book.accounts.budgets.values())
    said = [
        (row.scope, row.per, row.unit, row.amount, row.override, row.action, row.zone, row.anchor,
         row.carry, sorted(row.downgrade.items()), row.thresholds, row.notify)
        for row in rows
        if row.run is None and not is_made_by_programs(parse_scope(row.scope))
    ]  # fmt: skip
    to_come = [(row.id, row.at_ms) for row in book.schedule]
    text = json.dumps([sorted(said), to_come], separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def list_budgets(book: Book, frame: frames.BudgetList, now_ms: int) -> Reply:
    """Every standing budget with the accounts of its current window."""
    accounts: dict[int, list[Account]] = {}
    for account in _current(book, now_ms):
        accounts.setdefault(account.budget.row.id, []).append(account)
    budgets = [
        shown_budget(book, budget, now_ms, accounts.get(budget.row.id, []))
        for budget in book.accounts.budgets.values()
        if budget.row.ended_at_ms is None
    ]
    scheduled = [shown(row) for row in book.schedule]
    return {
        "n": frame.n, "ok": True, "budgets": budgets, "scheduled": scheduled,
        "digest": digest(book),
    }  # fmt: skip


def _current(book: Book, now_ms: int) -> Iterator[Account]:
    """The accounts of windows that go on now, those included that no call has met yet.

    A window that nothing happened in is not begun by being looked at.
    """
    book.advance(now_ms)
    for account in book.accounts.all():
        if account.end_ms is None or account.end_ms > now_ms:
            yield account
    for before in book.accounts.carrying.over(now_ms):
        start_ms, end_ms = before.budget.window.bounds(now_ms)
        account = Account(before.budget, before.key, start_ms, end_ms)
        account.carried = carried_into(before, start_ms)
        yield account


def shown_budget(
    book: Book, budget: Budget, now_ms: int, accounts: list[Account] | None = None
) -> Reply:
    """A budget as it is told, with the accounts of its current window."""
    if accounts is None:
        accounts = [account for account in _current(book, now_ms) if account.budget is budget]
    row = budget.row
    if not accounts and not budget.scope.is_family and row.per != RUN:
        # Nothing was charged yet; its one account is known all the same, and when it resets.
        accounts = [Account(budget, budget.scope.pairs, *budget.window.bounds(now_ms))]
    return {
        "name": budget.name, "scope": row.scope, "per": row.per, "unit": row.unit,
        "limit": row.amount, "override": row.override, "run": row.run,
        "action": row.action, "zone": row.zone, "anchor": row.anchor, "carry": row.carry,
        "downgrade": row.downgrade, "thresholds": row.thresholds, "notify": row.notify,
        "accounts": [shown_account(account) for account in accounts],
    }  # fmt: skip


def shown_account(account: Account) -> Reply:
    return {
        "name": account.name,
        "key": str(Scope(account.key)),
        "unit": UNITS[account.unit_index],
        "action": account.budget.row.action,
        "window_start_ms": account.start_ms,
        "resets_at_ms": account.resets_at_ms,
        "limit": account.budget.row.amount,
        "topup": account.topup,
        "carried": account.carried,
        "settled": account.settled,
        "overage": account.overage,
        "notified": account.notified,
        "held": account.held,
        "waiting": account.waiting,
    }


def remaining(book: Book, frame: frames.Remaining, now_ms: int) -> Reply:
    """What calls with these attributes have left.  Raises UsageError."""
    book.advance(now_ms)
    context = Context(check_attributes(frame.attrs))
    book.accounts.look_up(context, now_ms)
    left: dict[str, int | None] = dict.fromkeys(UNITS)
    for account in context.hard:
        unit = UNITS[account.unit_index]
        available = max(0, account.available)
        least = left[unit]
        left[unit] = available if least is None else min(least, available)
    return {
        "n": frame.n,
        "ok": True,
        "accounts": [shown_account(account) for account in context.checked],
        "left_nano": left["dollars"],
        "left_tokens": left["tokens"],
        "left_requests": left["requests"],
    }
