"""All balances, holds, waiters and runs in memory, and how a row of the journal changes them.

Layer: daemon, pure (given now_ms; what is on disk comes through the Ledger interface).
Below: accounts, calls, pricing, waiting, runs, ledger.  Above: reserving, ending, policy,
stopping, restore, server.
Owns: the balances.  Every change is an Event in `events`, which the server makes durable before
anybody hears of it; `open_call` and `close_call` apply one, live or replayed.
Not here: what a call is answered (reserving), what ends it (ending), budgets and runs being set
(policy, stopping), restoring from disk (restore), sockets (server).
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from noburn_cli.core.actions import BILL
from noburn_cli.core.budgets import check_attributes
from noburn_cli.core.holds import HoldState
from noburn_cli.errors import UsageError
from noburn_daemon import frames
from noburn_daemon.account import Account, Budget, Weights, key_text
from noburn_daemon.accounts import Accounts, Context
from noburn_daemon.calls import (
    REFUSED,
    TOMBSTONE,
    Call,
    CallMemory,
    charged,
    close,
    opened,
)
from noburn_daemon.ledger import COMPACTED, SLOT_MS, Event, Ledger, Snapshot, json_text
from noburn_daemon.overages import overage_rows, rows_without
from noburn_daemon.pricing import Pricing
from noburn_daemon.replies import Answer, Reply
from noburn_daemon.runs import Runs
from noburn_daemon.schedule import Schedule
from noburn_daemon.waiting import Waiter, WaitingRoom

_CONTEXTS_MAX = 20_000
_HELD = HoldState.HELD.value


class Book:
    """Everything that decisions are made on, and the one place where it changes."""

    def __init__(self, pricing: Pricing, ledger: Ledger, greatest: dict[str, str]) -> None:
        self.pricing = pricing
        self.ledger = ledger
        self.accounts = Accounts()
        self.accounts.carrying.on_carry = self._carried
        self.calls = CallMemory(ledger.find, self.call_from_rows, greatest)
        self.waiting = WaitingRoom()
        self.events: list[Event] = []
        #: Answers to callers who waited: (caller, reply).
        self.outbox: list[tuple[object, Answer]] = []
        #: (run path of a blocked call, its id, message), for those who watch the run.
        self.blocks: list[tuple[list[str], str, str]] = []
        self.runs = Runs(ledger.run_rows, ledger.run_totals)
        #: The same of warnings, each of them once for a run.
        self.warnings: list[tuple[list[str], str, str]] = []
        self._warned: set[tuple[str, str]] = set()
        #: Runs that were stopped: (path, message), for those who watch them.
        self.stops: list[tuple[str, str]] = []
        self.changed = Snapshot()
        #: (type, data) of what the daemon's own channels are to hear (notices).
        self.happened: list[tuple[str, dict[str, Any]]] = []
        self.budget_ids: set[int] = set()
        #: Changes of budgets that are to come.
        self.schedule = Schedule()
        #: False while rows are replayed: what follows from them is in the journal already.
        self.is_live = False
        #: Whether something was released since waiters were last looked at.
        self.stirred = False
        #: Whether a window has ended, or a bucket left, since waiters were last looked at.
        self.turned = False
        self._contexts: dict[bytes, Context] = {}
        self._resolved: dict[str, str] = {}

    def advance(self, now_ms: int) -> None:
        """Let windows end, and what has left rolling ones go."""
        if now_ms >= self.accounts.next_ms:
            self.accounts.advance(now_ms)
            self.turned = self.stirred = True

    def open_call(self, event: Event, context: Context, accounts: tuple[Account, ...]) -> Call:
        """Apply a `reserve` row, live or replayed."""
        call = opened(event, context, accounts)
        hold = call.hold
        for account in accounts:
            account.held += hold[account.unit_index]
            account.in_flight += 1
        self.runs.opened(call, context.paths)
        self.calls.add(call)
        return call

    def close_call(self, call: Call, event: Event) -> None:
        """Apply a closing row, live or replayed."""
        was_held = call.state == _HELD
        added = close(call, event)
        for account in call.accounts:
            index = account.unit_index
            if was_held:
                account.held -= call.hold[index]
                account.in_flight -= 1
            if account.plain:
                account.settled += added[index]
            else:
                self.accounts.settle(
                    account, added[index], reserved_at_ms=call.reserved_at_ms,
                    now_ms=event.at_ms, was_held=was_held,
                )  # fmt: skip
        assert call.context is not None  # a call that ends was admitted with its attributes
        weights = (0, added[1], added[2]) if call.notional else added
        self.add_up(call.context.text, call.reserved_at_ms, weights)
        self.accounts.dirty.update(call.accounts)
        if self.accounts.bills and self.is_live:
            self.events += overage_rows(call.accounts, event.at_ms, call.id)
        self.runs.closed(call, added[0], was_held=was_held, at_ms=event.at_ms)
        self.calls.closed(call)
        self.stirred = True

    def _carried(self, account: Account, amount: int, now_ms: int) -> None:
        """Record that an account was carried more, or less, by the window before it."""
        if not self.is_live:
            return
        detail = {
            "budget": account.budget.row.id, "account": account.name, "key": key_text(account.key),
            "window_start_ms": account.start_ms, "amount": amount, "carried": account.carried,
        }  # fmt: skip
        self.events.append(Event(0, now_ms, "carry", detail=json_text(detail)))
        self.events += overage_rows((account,), now_ms)
        self.stirred = True

    def add_up(self, context: str, at_ms: int, weights: Weights) -> None:
        """Add to what the calls of a context that were reserved around a moment came to."""
        place = (context, at_ms // SLOT_MS)
        sums = self.changed.sums.get(place)
        if sums is None:
            self.changed.sums[place] = list(weights)
        else:
            sums[0] += weights[0]
            sums[1] += weights[1]
            sums[2] += weights[2]

    def settle_overage(self, budget: Budget, now_ms: int, *, gone: bool = False) -> None:
        """Book what follows from a change of a budget, its top-ups or its action.

        gone: whether its accounts are about to go.
        """
        accounts = [a for a in self.accounts.all() if a.budget is budget]
        if gone or budget.row.action != BILL:
            rows = rows_without(accounts, now_ms)
        else:
            rows = overage_rows(accounts, now_ms)
        if rows:
            self.events += rows
            self.accounts.dirty.update(accounts)

    def stop_run(self, path: str, message: str, *, by: str, now_ms: int) -> bool:
        """Let no call of a run go any more, nor of what is below it; whether that is new.

        Who waits for one is refused when waiters are looked at next.
        """
        state = self.runs.state(path)
        if state.final:
            return False
        detail = json_text({"message": message, "by": by})
        event = Event(0, now_ms, "run_stop", run=path, detail=detail)
        self.events.append(event)
        state.apply(event)
        self.stops.append((path, message))
        self.stirred = True
        return True

    def turn_away(self, event: Event, context: Context, message: str) -> None:
        """Record a call that did not go, and tell those who watch its run."""
        self.events.append(event)
        if context.runs:
            self.runs.turned_away(event.kind, context.paths)
            self.blocks.append((context.runs, str(event.call), message))

    def warn(self, context: Context, call: str, sentences: list[str]) -> None:
        """Tell those who watch a call's run what budgets that let it go have to say."""
        for sentence in sentences if context.runs else ():
            place = (context.paths[-1], sentence)
            if place not in self._warned:
                if len(self._warned) >= _CONTEXTS_MAX:
                    self._warned.clear()
                self._warned.add(place)
                self.warnings.append((context.runs, call, sentence))

    def dismiss(self, waiter: Waiter, reply: Reply) -> None:
        """Answer a waiter with something that is not a decision, and forget it."""
        self.answer(waiter, reply)
        self.stirred = True

    def answer(self, waiter: Waiter, answer: Answer) -> None:
        """Tell everybody who asked for that call, and forget it."""
        self.waiting.remove(waiter)
        for caller, n in waiter.callers:
            if isinstance(answer, dict):
                self.outbox.append((caller, {**answer, "n": n}))
            else:
                self.outbox.append((caller, msgspec.structs.replace(answer, n=n)))

    def context(self, raw: msgspec.Raw) -> Context:
        """The context of a frame's attributes.  Raises BadFrame."""
        key = bytes(raw)
        context = self._contexts.get(key)
        if context is None:
            try:
                context = Context(check_attributes(frames.decode_attributes(key)))
            except UsageError as error:
                raise frames.BadFrame(error.message, n=None, fatal=False) from error
            if len(self._contexts) >= _CONTEXTS_MAX:
                self._contexts.clear()
            self._contexts[key] = context
        return context

    def accounts_at_end(self, call: Call) -> tuple[Account, ...]:
        """The accounts that a late bill of a call corrects: those that are still known."""
        assert call.context is not None  # a call that may settle was admitted with its attributes
        found = self.accounts.at_end(
            call.context.attributes, call.reserved_at_ms, self.ledger.passed_account
        )
        return charged(found, notional=call.notional)

    def resolved(self, model: str) -> str:
        """The resolved name in a model as the journal writes it."""
        name = self._resolved.get(model)
        if name is None:
            name = self._resolved[model] = str(json.loads(model)[2])
        return name

    def call_from_rows(self, rows: list[Event]) -> Call | None:
        """A call as its rows tell it, oldest first; None when they do not close the id."""
        call: Call | None = None
        for row in rows:
            if row.kind == "reserve":
                context = Context(json.loads(str(row.context)))
                call = opened(row, context, ())
                call.accounts = self.accounts_at_end(call)
            elif row.kind == "tombstone" or (row.kind == "refused" and row.digest is None):
                call = Call(str(row.call), TOMBSTONE if row.kind == "tombstone" else REFUSED)
            elif row.kind == COMPACTED:
                call = Call(str(row.call), COMPACTED)
            elif row.kind in ("settle", "lose", "orphan", "void") and call is not None:
                close(call, row)
        return call
