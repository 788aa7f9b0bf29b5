"""A book as of the last commit: the snapshot, the open holds, and what came after it.

Layer: daemon, pure over the Ledger interface.  Below: book, ledger.  Above: server.
Owns: the replay.  It must come to the very balances that the live book had.
"""

from __future__ import annotations

import json
from dataclasses import replace

from noburn_cli.core.holds import HoldState
from noburn_daemon import alerts, overages
from noburn_daemon.account import Account, Budget, account_row, key_from_text
from noburn_daemon.accounts import Context
from noburn_daemon.book import Book
from noburn_daemon.calls import NOTIONAL_NOTE, charged
from noburn_daemon.ledger import Event, Ledger, Snapshot
from noburn_daemon.pricing import Pricing
from noburn_daemon.schedule import Schedule

#: How long the limit of a run that has ended stays in memory, for processes that outlive it.
ENDED_RUN_KEPT_MS = 7 * 24 * 3_600_000


def restore(ledger: Ledger, pricing: Pricing, now_ms: int) -> Book:
    """Build the book from disk.  Raises LedgerUnavailable."""
    state = ledger.restore()
    book = Book(pricing, ledger, state.greatest)
    pricing.factors.clear()
    pricing.factors.update(state.snapshot.factors)
    _restore_budgets(book, state.snapshot, now_ms)
    book.runs.owners = dict(state.snapshot.runs or {})
    for event in state.open_holds:
        _open(book, event)
    for event in state.newer:
        _replay(book, event)
    book.stirred = book.turned = False
    book.is_live = True
    return book


def _restore_budgets(book: Book, snapshot: Snapshot, now_ms: int) -> None:
    for row in snapshot.budgets:
        book.budget_ids.add(row.id)
        ended = row.ended_at_ms
        if row.removed_at_ms is None and (ended is None or ended > now_ms - ENDED_RUN_KEPT_MS):
            book.accounts.add(Budget(row))
    book.schedule = Schedule(snapshot.scheduled)
    for stored in snapshot.accounts:
        budget = book.accounts.budgets.get(stored.budget)
        if budget is None:
            continue
        book.accounts.load(budget, stored)


def forget_ended(book: Book, now_ms: int) -> None:
    """Let go of the limits that a restart would not load any more."""
    for budget in list(book.accounts.budgets.values()):
        ended = budget.row.ended_at_ms
        if ended is not None and ended <= now_ms - ENDED_RUN_KEPT_MS:
            book.accounts.remove(budget)


def _open(book: Book, event: Event) -> None:
    context = Context(json.loads(str(event.context)))
    notional = str(event.note).startswith(NOTIONAL_NOTE)
    accounts = charged(book.accounts.at(context.attributes, event.at_ms), notional=notional)
    book.open_call(event, context, accounts)


def _replay(book: Book, event: Event) -> None:
    """Apply a row that is newer than the snapshot.

    Budgets and runs are never among them: each is written with a snapshot of its own.
    """
    if event.kind == "reserve":
        _open(book, event)
    elif event.kind in ("settle", "lose", "orphan", "void"):
        call = book.calls.open.get(str(event.call))
        if call is None:  # a correction of one that had ended before
            rows = [row for row in book.ledger.find(str(event.call)) if row.seq < event.seq]
            call = book.call_from_rows(rows)
        assert call is not None  # a row that ends a call has one that opened it
        assert call.state != HoldState.VOIDED.value
        book.close_call(call, event)
    elif event.kind == alerts.KIND:
        alerts.replay(book.accounts, event)
    elif event.kind == overages.KIND:
        overages.replay(book.accounts, event)
    elif event.kind == "carry":
        _carry(book, event)
    elif event.kind == "bound_defect":
        model = book.resolved(str(event.model))
        # Changed since the snapshot: the next one passes this row by, and has to tell it.
        book.pricing.factors[model] = book.changed.factors[model] = event.factor or 1000


def _carry(book: Book, event: Event) -> None:
    """What a window was carried: the row is right whatever else is known of the one before."""
    detail = json.loads(str(event.detail))
    budget = book.accounts.budgets.get(detail["budget"])
    if budget is None:
        return
    bounds = budget.window.bounds(detail["window_start_ms"])
    key = key_from_text(detail["key"])
    account = book.accounts.account(budget, key, *bounds, now_ms=event.at_ms)
    account.carried = detail["carried"]
    book.accounts.dirty.add(account)


def take_snapshot(book: Book) -> Snapshot:
    """What changed since the last one; afterwards nothing has."""
    changed, book.changed = book.changed, Snapshot()
    standing: list[Account] = [
        account for account in book.accounts.dirty if book.accounts.is_current(account)
    ]
    changed.accounts = [account_row(account) for account in standing]
    passed, book.accounts.passed = book.accounts.passed, {}
    changed.accounts += [
        replace(account_row(account), capacity=account.capacity) for account in passed.values()
    ]
    changed.dropped_accounts = book.accounts.take_dropped()
    book.accounts.dirty.clear()
    return changed
