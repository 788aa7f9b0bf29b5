"""Budgets and runs: set, listed, topped up, removed, started, ended.

Layer: daemon, pure like book.  Below: book, accounts, core.budgets.  Above: server, stopping.
Not here: how budgets decide (admission), what a new one starts with (starting).

All of these are rare.  The server flushes what is pending before each of them, so that the disk
tells what the memory knows, and writes a snapshot with each.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

from noburn_cli import protocol
from noburn_cli.core.actions import ACTIONS, BILL, DOWNGRADE
from noburn_cli.core.budget_spec import is_made_by_programs
from noburn_cli.core.budgets import (
    EACH,
    Scope,
    account_keys,
    check_attributes,
    check_run_path,
    parse_scope,
)
from noburn_cli.core.money import AMOUNT_MAX
from noburn_cli.core.windows import CALENDAR, CALL, RUN, Window, check_window, rolling_ms
from noburn_cli.errors import UsageError
from noburn_daemon import frames
from noburn_daemon.account import UNITS, Account, Budget
from noburn_daemon.accounts import Context, context_text
from noburn_daemon.book import Book
from noburn_daemon.ledger import BudgetRow, Event
from noburn_daemon.replies import Reply, refusal
from noburn_daemon.starting import fill

#: Actions that this daemon does.
_ENFORCED = ACTIONS


def set_budget(book: Book, frame: frames.BudgetSet, now_ms: int) -> Reply:
    """Put a budget in force, or replace it.  Raises UsageError."""
    if frame.at_ms is not None:
        raise UsageError("a budget cannot begin later yet", next_step="set it when it is to hold")
    budget = put_budget(book, wanted_row(frame), now_ms)
    return {"n": frame.n, "ok": True, "budget": _shown(book, budget, now_ms)}


def wanted_row(frame: frames.BudgetSet) -> BudgetRow:
    """The row that a request asks for; its id is found where it is put in force."""
    return BudgetRow(
        0, frame.scope, frame.per, frame.limit.unit, frame.limit.amount, frame.override,
        action=frame.action, zone=frame.zone, anchor=frame.anchor, carry=frame.carry,
        downgrade=frame.downgrade, thresholds=sorted(set(frame.thresholds)),
        notify=list(dict.fromkeys(frame.notify)),
    )  # fmt: skip


def put_budget(book: Book, wanted: BudgetRow, now_ms: int) -> Budget:
    """Create or change a budget; a new one starts with its window's ended calls and open holds.

    wanted: what is to be; its id is found here.  Raises UsageError, and nothing has changed.
    """
    check_budget(wanted)
    row = replace(wanted, scope=str(parse_scope(wanted.scope)), per=check_window(wanted.per))
    before = book.accounts.named(parse_scope(row.scope), row.per, row.unit)
    row.id = 1 + max(book.budget_ids, default=0) if before is None else before.row.id
    if before is None or _cut(before.row) != _cut(row):
        # Accounts of windows that are cut otherwise are made anew.
        if before is not None:
            row.run = row.run or before.row.run
            book.settle_overage(before, now_ms, gone=True)
            book.accounts.remove(before)
        budget = Budget(row)
        book.budget_ids.add(row.id)
        book.accounts.add(budget)
        fill(book, budget, now_ms)
    else:
        budget = before
        row.run = row.run or before.row.run
        book.accounts.change(budget, row, now_ms)
    book.changed.budgets.append(budget.row)
    _record(book, "budget_set", budget, now_ms)
    book.settle_overage(budget, now_ms)
    book.stirred = True
    return budget


def _cut(row: BudgetRow) -> tuple[str, int]:
    """What makes two budgets of one window cut time at the same moments."""
    return row.zone, row.anchor


def check_budget(row: BudgetRow) -> None:
    """Refuse a budget whose fields mean nothing, or not together.  Raises UsageError."""
    parse_scope(row.scope)
    window = Window(row.per, row.zone, row.anchor)
    _check_unit(row.unit)
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


def _check_unit(unit: str) -> None:
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


def remove_budget(book: Book, frame: frames.BudgetRm, now_ms: int) -> Reply:
    """Take a budget out of force.  Raises UsageError."""
    if frame.at_ms is not None:
        raise UsageError("a budget cannot end later yet", next_step="remove it when it is to end")
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
    _record(book, "budget_rm", budget, now_ms)
    book.stirred = True
    return {"n": frame.n, "ok": True, "budget": budget.name}


def unschedule(_book: Book, frame: frames.BudgetUnschedule, _now_ms: int) -> Reply:
    """Take back a change that is to come."""
    return refusal(frame.n, protocol.NOT_FOUND, f"there is no scheduled change {frame.id}")


def top_up(book: Book, frame: frames.BudgetTopup, now_ms: int) -> Reply:
    """Add to the current window of one account.  Raises UsageError."""
    scope = parse_scope(frame.scope)
    per = check_window(frame.per)
    _check_unit(frame.unit)
    if scope.is_family:
        raise UsageError(
            f"a top-up is for one account, not for {scope}",
            next_step=f"name it: {str(scope).replace(EACH, 'NAME')}",
        )
    attributes = dict(scope.pairs)
    for budget in _candidates(book, scope, per, frame.unit):
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


def _candidates(book: Book, scope: Scope, per: str, unit: str) -> list[Budget]:
    """Budgets that may hold the account, the exactly named one first."""
    without_run = tuple(key for key in scope.keys if key != "run")
    found = [
        budget
        for budget in book.accounts.budgets.values()
        if (budget.row.per, budget.row.unit) == (per, unit)
        and (budget.scope.keys == scope.keys or (per == RUN and budget.scope.keys == without_run))
    ]
    return sorted(found, key=lambda budget: budget.scope.is_family)


def _no_budget(n: int, name: str) -> Reply:
    return refusal(
        n,
        protocol.NOT_FOUND,
        f"there is no budget {name}",
        next_step="`noburn budget list` shows all",
    )


def digest(book: Book) -> str:
    """What a plan to change the budgets is made against: all but those of runs, jobs and keys.

    Those come and go with programs, and no plan is about them.
    """
    rows = (budget.row for budget in book.accounts.budgets.values())
    said = [
        (row.scope, row.per, row.unit, row.amount, row.override, row.action, row.zone, row.anchor,
         row.carry, sorted(row.downgrade.items()), row.thresholds, row.notify)
        for row in rows
        if row.run is None and not is_made_by_programs(parse_scope(row.scope))
    ]  # fmt: skip
    text = json.dumps(sorted(said), separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def list_budgets(book: Book, frame: frames.BudgetList, now_ms: int) -> Reply:
    """Every standing budget with the accounts of its current window."""
    book.advance(now_ms)
    accounts: dict[int, list[Account]] = {}
    for account in book.accounts.all():
        if account.end_ms is None or account.end_ms > now_ms:
            accounts.setdefault(account.budget.row.id, []).append(account)
    shown = [
        _shown(book, budget, now_ms, accounts.get(budget.row.id, []))
        for budget in book.accounts.budgets.values()
        if budget.row.ended_at_ms is None
    ]
    return {
        "n": frame.n, "ok": True, "budgets": shown, "scheduled": [], "digest": digest(book),
    }  # fmt: skip


def _shown(book: Book, budget: Budget, now_ms: int, accounts: list[Account] | None = None) -> Reply:
    if accounts is None:
        accounts = [
            account
            for account in book.accounts.all()
            if account.budget is budget and (account.end_ms is None or account.end_ms > now_ms)
        ]
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


def start_run(book: Book, frame: frames.RunStart, owner: str, now_ms: int) -> Reply:
    """Record a run, with its own limit if it has one.  Raises UsageError."""
    runs = check_run_path(frame.run)
    attributes = check_attributes({**frame.attrs, "run": frame.run})
    if frame.limit is not None:
        _check_unit(frame.limit.unit)
    limit = (
        None if frame.limit is None else {"unit": frame.limit.unit, "amount": frame.limit.amount}
    )
    detail = json.dumps(
        {"command": frame.command, "limit": limit}, separators=(",", ":"), ensure_ascii=False
    )
    if frame.run not in book.runs.owners:
        event = Event(
            0,
            now_ms,
            "run_start",
            run=frame.run,
            context=context_text(attributes),
            owner=owner,
            detail=detail,
        )
        book.events.append(event)
        book.runs.state(frame.run).apply(event)
    book.runs.begin(frame.run, owner)
    book.changed.runs = book.runs.owners
    reply: Reply = {"n": frame.n, "ok": True, "run": frame.run}
    if frame.limit is not None:
        scope = str(Scope((("run", runs[-1]),)))
        unit, amount = frame.limit.unit, frame.limit.amount
        wanted = BudgetRow(0, scope, RUN, unit, amount, False, frame.run)
        budget = put_budget(book, wanted, now_ms)
        reply["budget"] = budget.name
    return reply


def note(book: Book, frame: frames.RunNote, now_ms: int) -> Reply:
    """Journal what was seen of a run besides its calls.  Raises UsageError."""
    check_run_path(frame.run)
    detail = json.dumps(
        {"kind": frame.kind, **frame.detail}, separators=(",", ":"), ensure_ascii=False
    )
    book.events.append(Event(0, now_ms, "run_note", run=frame.run, detail=detail))
    return {"n": frame.n, "ok": True}


def end_run(book: Book, run: str, exit_code: int | None, now_ms: int) -> bool:
    """Record that a run has ended; its own limit stays in force for what is left of it."""
    if not book.runs.end(run):
        return False
    book.changed.runs = book.runs.owners
    failure = "its process is gone" if exit_code is None else None
    event = Event(0, now_ms, "run_end", run=run, status=exit_code, failure=failure)
    book.events.append(event)
    book.runs.state(run).apply(event)
    for budget in book.accounts.budgets.values():
        if budget.row.run == run:
            budget.row.ended_at_ms = now_ms
            book.changed.budgets.append(budget.row)
    return True
