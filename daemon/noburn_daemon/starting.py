"""What a new budget starts with: the ended calls of its window, and the open holds.

Layer: daemon, pure over the book and the Ledger interface.  Below: book, accounts, core.budgets.
Above: policy.
Owns: which sums belong to which account, and when the amounts of a rolling window leave.
Not here: the sums themselves (book.close_call counts them, queries reads them).

Ended calls are summed by context and quarter-hour as they end (`sums`, written with each snapshot),
so that a budget over years of calls reads some thousands of rows.  Windows of the calendar begin on
a quarter-hour, in every time zone of today.  A rolling window of an hour or less starts with its
calls one by one; of a longer one, a quarter-hour counts as reserved at its end: late, not early.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from noburn_cli.core.budgets import Scope, account_keys
from noburn_cli.core.windows import RUN, bucket_ms
from noburn_daemon.account import Budget, Weights
from noburn_daemon.book import Book
from noburn_daemon.calls import charged
from noburn_daemon.ledger import SLOT_MS

#: Rolling windows up to this length look at each call.
EXACT_MS_MAX = 3_600_000


def fill(book: Book, budget: Budget, now_ms: int) -> None:
    """Charge a new budget's accounts with what belongs to them.  Raises LedgerUnavailable."""
    if budget.is_ceiling:
        return
    start_ms, end_ms = budget.window.bounds(now_ms)
    begin_carrying(book, budget, now_ms)
    for attributes, at_ms, weights in _ended(book, budget, start_ms, now_ms):
        for key in account_keys(budget.scope, budget.row.per, attributes):
            account = book.accounts.account(budget, key, start_ms, end_ms, now_ms=now_ms)
            account.settle(weights[budget.unit_index], reserved_at_ms=at_ms, now_ms=now_ms)
            book.accounts.watch(account)
            book.accounts.dirty.add(account)
    for call in book.calls.open.values():
        assert call.context is not None  # an open call was admitted with its attributes
        at = book.accounts.at(call.context.attributes, call.reserved_at_ms, now_ms=now_ms)
        call.accounts = charged(at, notional=call.notional)
        for account in call.accounts:
            if account.budget is budget:
                account.held += call.hold[account.unit_index]
                account.in_flight += 1


def begin_carrying(book: Book, budget: Budget, now_ms: int) -> None:
    """A budget of its own carries over from now on, whether a call comes or not."""
    if budget.row.carry and not budget.scope.is_family:
        bounds = budget.window.bounds(now_ms)
        account = book.accounts.account(budget, budget.scope.pairs, *bounds, now_ms=now_ms)
        book.accounts.dirty.add(account)


def _ended(
    book: Book, budget: Budget, start_ms: int, now_ms: int
) -> Iterator[tuple[dict[str, str], int, Weights]]:
    """(attributes that matter, moment of the reserve, what was charged) of ended calls."""
    length_ms = budget.length_ms
    if length_ms is None:
        yield from _summed(book, budget, start_ms // SLOT_MS, now_ms)
        return
    since_ms = now_ms - length_ms - bucket_ms(length_ms)
    if length_ms > EXACT_MS_MAX:
        yield from _summed(book, budget, since_ms // SLOT_MS, now_ms)
        return
    for text, at_ms, nano, tokens, requests in book.ledger.ended(since_ms):
        yield json.loads(text), at_ms, (nano, tokens, requests)


def _summed(
    book: Book, budget: Budget, since_slot: int, now_ms: int
) -> Iterator[tuple[dict[str, str], int, Weights]]:
    """The same from the sums: those on disk, and those that the next snapshot will add."""
    keys = _keys(budget.scope, budget.row.per)
    width_ms = None if budget.length_ms is None else bucket_ms(budget.length_ms)
    for values, bucket, *sums in book.ledger.sums(keys, since_slot, width_ms=width_ms):
        nano, tokens, requests = sums
        attributes = {key: value for key, value in zip(keys, values, strict=True) if value}
        yield attributes, min(bucket * (width_ms or 0), now_ms), (nano, tokens, requests)
    for (text, slot), (nano, tokens, requests) in book.changed.sums.items():
        if slot >= since_slot:
            end_ms = (slot + 1) * SLOT_MS - 1
            yield json.loads(text), min(end_ms, now_ms), (nano, tokens, requests)


def _keys(scope: Scope, per: str) -> tuple[str, ...]:
    """The attributes by which the budget's accounts differ, and calls match it or not."""
    return scope.keys if per != RUN or "run" in scope.keys else (*scope.keys, "run")
