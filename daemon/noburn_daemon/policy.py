"""Budgets: set, changed, topped up, removed.

Layer: daemon, pure like book.  Below: book, accounts, core.budgets, starting, showing.
Above: scheduling, running, stopping, server.
Not here: how budgets decide (admission), what a new one starts with (starting), how they are shown
(showing), changes that are to come (scheduling).

All of these are rare.  The server flushes what is pending before each of them, so that the disk
tells what the memory knows, and writes a snapshot with each.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from noburn_cli import protocol
from noburn_cli.core.actions import ACTIONS, BILL, DOWNGRADE
from noburn_cli.core.budgets import (
    EACH,
    Scope,
    account_keys,
    parse_scope,
)
from noburn_cli.core.money import AMOUNT_MAX
from noburn_cli.core.windows import CALENDAR, CALL, RUN, Window, check_window, rolling_ms
from noburn_cli.errors import UsageError
from noburn_daemon import frames
from noburn_daemon.account import UNITS, Account, Budget
from noburn_daemon.book import Book
from noburn_daemon.ledger import BudgetRow, Event
from noburn_daemon.replies import Reply, refusal
from noburn_daemon.showing import shown_account, shown_budget
from noburn_daemon.starting import begin_carrying, fill

#: Actions that this daemon does.
_ENFORCED = ACTIONS


def set_budget(book: Book, frame: frames.BudgetSet, now_ms: int) -> Reply:
    """Put a budget in force, or replace it.  Raises UsageError."""
    budget = put_budget(book, wanted_row(frame), now_ms)
    return {"n": frame.n, "ok": True, "budget": shown_budget(book, budget, now_ms)}


def wanted_row(frame: frames.BudgetSet) -> BudgetRow:
    """The row that a request asks for; its id is found where it is put in force."""
    return BudgetRow(
        0, frame.scope, frame.per, frame.limit.unit, frame.limit.amount, frame.override,
        action=frame.action, zone=frame.zone, anchor=frame.anchor, carry=frame.carry,
        downgrade=frame.downgrade, thresholds=sorted(set(frame.thresholds)),
        notify=list(dict.fromkeys(frame.notify)),
    )  # fmt: skip


def put_budget(
    book: Book, wanted: BudgetRow, now_ms: int, *, scheduled: int | None = None
) -> Budget:
    """Create or change a budget; a new one starts with its window's ended calls and open holds.

    wanted: what is to be; its id is found here.  scheduled: the change that was to come.
    Raises UsageError, and nothing has changed.
    """
    check_budget(wanted)
    row = replace(wanted, scope=str(parse_scope(wanted.scope)), per=check_window(wanted.per))
    before = book.accounts.named(parse_scope(row.scope), row.per, row.unit)
    row.id = 1 + max(book.budget_ids, default=0) if before is None else before.row.id
    if before is None or _cut(before.row) != _cut(row):
        budget = _begin(book, row, before, now_ms)
    else:
        budget = before
        row.run = row.run or before.row.run
        book.accounts.change(budget, row, now_ms)
        begin_carrying(book, budget, now_ms)
    book.changed.budgets.append(budget.row)
    _record(book, "budget_set", budget, now_ms, **_of(scheduled))
    book.settle_overage(budget, now_ms)
    book.stirred = True
    return budget


def _begin(book: Book, row: BudgetRow, before: Budget | None, now_ms: int) -> Budget:
    """Put a budget in force that is new, or cuts time otherwise than it did.

    Then its accounts are made anew, and keep what was topped up and carried over.
    """
    kept: list[Account] = []
    if before is not None:
        row.run = row.run or before.row.run
        kept = [a for a in book.accounts.of(before) if a.end_ms is None or a.end_ms > now_ms]
        book.settle_overage(before, now_ms, gone=True)
        for waiter in book.waiting:  # it is looked at again at once, and finds the new ones
            waiter.block_on(a for a in waiter.blocked_on if a.budget is not before)
        book.accounts.remove(before)
    budget = Budget(row)
    book.budget_ids.add(row.id)
    book.accounts.add(budget)
    fill(book, budget, now_ms)
    for old in kept:
        if old.topup or old.carried:
            bounds = budget.window.bounds(now_ms)
            account = book.accounts.account(budget, old.key, *bounds, now_ms=now_ms)
            account.topup, account.carried = old.topup, old.carried
            book.accounts.dirty.add(account)
    return budget


def _of(scheduled: int | None) -> dict[str, int]:
    return {} if scheduled is None else {"scheduled": scheduled}


def _cut(row: BudgetRow) -> tuple[str, int]:
    """What makes two budgets of one window cut time at the same moments."""
    return row.zone, row.anchor


def check_budget(row: BudgetRow) -> None:
    """Refuse a budget whose fields mean nothing, or not together.  Raises UsageError."""
    parse_scope(row.scope)
    window = Window(row.per, row.zone, row.anchor)
    check_unit(row.unit)
    if row.action not in ACTIONS:
        raise UsageError(f"unknown action {row.action!r}", why=f"known are {', '.join(ACTIONS)}")
    if row.action not in _ENFORCED:
        raise UsageError(f"the action {row.action} is not available")
    if row.action == BILL and (window.per == CALL or rolling_ms(window.per) is not None):
        raise UsageError(
            f"what goes beyond a window per {window.per} cannot be billed",
            why="a window that rolls gives back what was spent, and a ceiling per call adds up "
            "nothing",
            next_step="bill by total, run, hour, day, week or month",
        )
    if row.carry and window.per not in CALENDAR:
        raise UsageError(
            f"a window per {window.per} carries nothing over",
            why=f"it does not end; only those of the calendar do: {', '.join(CALENDAR)}",
        )
    if row.notify and not row.thresholds:
        raise UsageError("channels are told of thresholds, and there are none")
    if row.thresholds and window.per == CALL:
        raise UsageError("a ceiling per call adds up nothing that could cross a threshold")
    if row.action == DOWNGRADE and not row.downgrade:
        raise UsageError(
            "a budget that downgrades needs rules",
            next_step='name them: {"gpt-6.1-sol": "gpt-6-luna"}, or {"*": "gpt-6-luna"}',
        )
    if row.downgrade and row.action != DOWNGRADE:
        raise UsageError("only a budget with the action downgrade names cheaper models")


def check_unit(unit: str) -> None:
    """Refuse what no budget is in.  Raises UsageError."""
    if unit not in UNITS:
        raise UsageError(f"unknown unit {unit!r}", why=f"known are {', '.join(UNITS)}")


def _record(book: Book, kind: str, budget: Budget, now_ms: int, **more: Any) -> None:
    row = budget.row
    detail = {
        "budget": row.id, "scope": row.scope, "per": row.per, "unit": row.unit, "limit": row.amount,
        "override": row.override, "action": row.action, "zone": row.zone, "anchor": row.anchor,
        "carry": row.carry, "downgrade": row.downgrade, "thresholds": row.thresholds,
        "notify": row.notify, **more,
    }  # fmt: skip
    text = json.dumps(detail, separators=(",", ":"), ensure_ascii=False)
    book.events.append(Event(0, now_ms, kind, run=row.run, detail=text))


def remove_budget(
    book: Book, frame: frames.BudgetRm, now_ms: int, *, scheduled: int | None = None
) -> Reply:
    """Take a budget out of force.  Raises UsageError."""
    scope = parse_scope(frame.scope)
    budget = book.accounts.named(scope, check_window(frame.per), frame.unit)
    if budget is None:
        return _no_budget(frame.n, f"{scope} per {frame.per}")
    for waiter in book.waiting:  # nobody is to wait for an account that is no more
        waiter.block_on(a for a in waiter.blocked_on if a.budget is not budget)
    book.settle_overage(budget, now_ms, gone=True)
    book.accounts.remove(budget)
    budget.row.removed_at_ms = now_ms
    book.changed.budgets.append(budget.row)
    _record(book, "budget_rm", budget, now_ms, **_of(scheduled))
    book.stirred = True
    return {"n": frame.n, "ok": True, "budget": budget.name}


def top_up(book: Book, frame: frames.BudgetTopup, now_ms: int) -> Reply:
    """Add to the current window of one account.  Raises UsageError.

    Where a budget of exactly that scope stands beside a family it is the one that is meant, unless
    the frame says `family`.
    """
    scope = parse_scope(frame.scope)
    per = check_window(frame.per)
    check_unit(frame.unit)
    if scope.is_family:
        raise UsageError(
            f"a top-up is for one account, not for {scope}",
            next_step=f"name it: {str(scope).replace(EACH, 'NAME')}",
        )
    attributes = dict(scope.pairs)
    for budget in _candidates(book, scope, per, frame):
        keys = account_keys(budget.scope, per, attributes)
        if len(keys) == 1:
            if budget.is_ceiling:
                raise UsageError(
                    f"{budget.name} adds up nothing that could be topped up",
                    next_step="set it again with a higher limit",
                )
            start_ms, end_ms = budget.window.bounds(now_ms)
            account = book.accounts.account(budget, keys[0], start_ms, end_ms, now_ms=now_ms)
            if abs(account.topup + frame.amount) > AMOUNT_MAX:
                raise UsageError(f"{account.name} would be topped up beyond what a ledger can hold")
            book.accounts.top_up(account, frame.amount, now_ms)
            _record(book, "topup", budget, now_ms, account=account.name, amount=frame.amount)
            book.settle_overage(budget, now_ms)
            book.stirred = True
            return {"n": frame.n, "ok": True, "account": shown_account(account)}
    return _no_budget(frame.n, f"{scope} per {frame.per}")


def _candidates(book: Book, scope: Scope, per: str, frame: frames.BudgetTopup) -> list[Budget]:
    """Budgets that may hold the account, the most exactly named one first."""
    without_run = tuple(key for key in scope.keys if key != "run")
    found = [
        budget
        for budget in book.accounts.budgets.values()
        if (budget.row.per, budget.row.unit) == (per, frame.unit)
        and (budget.scope.is_family or not frame.family)
        and (budget.scope.keys == scope.keys or (per == RUN and budget.scope.keys == without_run))
    ]
    return sorted(found, key=lambda budget: [v for _, v in budget.scope.pairs].count(EACH))


def _no_budget(n: int, name: str) -> Reply:
    return refusal(
        n,
        protocol.NOT_FOUND,
        f"there is no budget {name}",
        next_step="`noburn budget list` shows all",
    )
