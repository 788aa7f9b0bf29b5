"""Budgets and their accounts in memory: which ones a call is charged to, and what they hold.

Layer: daemon, pure (given now_ms).  Below: core.budgets.  Above: admission, book,
reserving, ending.
Owns: Account's numbers, the index from attributes to budgets, windows that begin and end.
Not here: decisions (admission), the journal (ledger).

A call is charged to every account it matches; `override` decides only which of them are checked.
 So the balances are a function of calls and scopes alone, whatever was overridden when.
"""

from __future__ import annotations

import heapq
import itertools
import json
from collections.abc import Callable, Iterable, Iterator

from noburn_cli.core.actions import BILL
from noburn_cli.core.budgets import EACH, Key, Scope, account_keys, named_values, replaces
from noburn_daemon.account import Account, Budget, fill, key_from_text, key_text
from noburn_daemon.carrying import Carrying, comes_too_late
from noburn_daemon.ledger import AccountRow, BudgetRow
from noburn_daemon.rolling import NEVER_MS
from noburn_daemon.runs import paths_of

#: How long accounts of rolling windows that hold nothing are kept.
_SWEEP_MS = 3_600_000


class Context:
    """A set of attributes, with the accounts it is charged to right now."""

    __slots__ = (
        "attributes", "charged", "checked", "epoch", "from_ms", "hard", "notes", "paths", "runs",
        "soft", "text", "until_ms",
    )  # fmt: skip

    def __init__(self, attributes: dict[str, str]) -> None:
        self.attributes = attributes
        self.text = context_text(attributes)
        self.runs = attributes["run"].split("/") if "run" in attributes else []
        self.paths = paths_of(attributes["run"]) if self.runs else ()
        self.charged: tuple[Account, ...] = ()
        self.checked: tuple[Account, ...] = ()
        #: Of the checked ones those that keep calls back, and those that let them go.
        self.hard: tuple[Account, ...] = ()
        self.soft: tuple[Account, ...] = ()
        self.notes: dict[str, str] = {}
        self.epoch = -1
        self.from_ms = 0
        self.until_ms = 0


def context_text(attributes: dict[str, str]) -> str:
    """Attributes as the journal names them: JSON in canonical order."""
    return json.dumps(attributes, separators=(",", ":"), ensure_ascii=False)


class Accounts:
    """Every budget and every account, by what calls they match."""

    def __init__(self) -> None:
        self.budgets: dict[int, Budget] = {}
        self._accounts: dict[tuple[int, Key, int], Account] = {}
        #: Budgets by their scope's keys, and there by their values: few look-ups per context.
        self._index: dict[tuple[str, ...], dict[tuple[str, ...], list[Budget]]] = {}
        self.dirty: set[Account] = set()
        #: Accounts that may have crossed a threshold, in the order in which they did.
        self.crossed: dict[Account, None] = {}
        #: Of budgets that bill: windows that have passed, until they are stored as such.
        self.passed: dict[tuple[int, Key, int], Account] = {}
        self.epoch = 0
        self._bills = (-1, False)
        #: When a window ends or a bucket leaves: (moment, tie-break, account), the next one first.
        self._moments: list[tuple[int, int, Account]] = []
        self._ties = itertools.count()
        self.next_ms = NEVER_MS
        #: Accounts of windows that have ended, with calls still in flight.
        self._ended: set[Account] = set()
        self.carrying = Carrying()
        #: Accounts of rolling windows that all has left, and when they are looked through.
        self._emptied: set[Account] = set()
        self._sweep_ms = 0
        self._dropped: list[tuple[int, Key, int]] = []

    def all(self) -> Iterable[Account]:
        return self._accounts.values()

    def of(self, budget: Budget) -> list[Account]:
        """Every account of one budget."""
        return [account for account in self._accounts.values() if account.budget is budget]

    def add(self, budget: Budget) -> None:
        """Put a budget in force.  Contexts find it at their next look."""
        self.budgets[budget.row.id] = budget
        values = tuple(value for _, value in budget.scope.pairs)
        self._index.setdefault(budget.scope.keys, {}).setdefault(values, []).append(budget)
        self.epoch += 1

    def remove(self, budget: Budget) -> None:
        """Take a budget out of force, with its accounts."""
        del self.budgets[budget.row.id]
        values = tuple(value for _, value in budget.scope.pairs)
        self._index[budget.scope.keys][values].remove(budget)
        for account in self.of(budget):
            self._drop(account)
        self.epoch += 1

    def change(self, budget: Budget, row: BudgetRow, now_ms: int) -> None:
        """Give a budget another row, of the same scope, window and unit.

        Windows that are over keep the limit that they had.
        """
        for account in self.carrying.over(now_ms):
            if account.budget is budget:
                self.account(budget, account.key, *budget.window.bounds(now_ms), now_ms=now_ms)
        budget.change(row)
        for account in self.of(budget):
            if account.end_ms is None or account.end_ms > now_ms:
                account.follow(row)
                self._carry(account, now_ms)
                self.dirty.add(account)
            self.look_for_alert(account)
        self.epoch += 1

    def named(self, scope: Scope, per: str, unit: str) -> Budget | None:
        """The standing budget of that scope, window and unit."""
        for budget in self._index.get(scope.keys, {}).get(tuple(v for _, v in scope.pairs), ()):
            if budget.row.per == per and budget.row.unit == unit:
                return budget
        return None

    def look_up(self, context: Context, now_ms: int) -> None:
        """Bring a context's accounts up to date with budgets and windows."""
        # Frames of one turn may carry a moment before the last look.
        if context.epoch == self.epoch and context.from_ms <= now_ms < context.until_ms:
            return
        charged = list(self.at(context.attributes, now_ms))
        decides = [account for account in charged if account.budget.floor is None]
        checked = list(_checked([*decides, *self._ceilings(context.attributes)]))
        context.charged = tuple(charged)
        context.checked = tuple(checked)
        context.hard = tuple(a for a in checked if a.budget.is_hard)
        context.soft = tuple(a for a in checked if not a.budget.is_hard)
        context.from_ms = max((a.start_ms for a in charged), default=0)
        context.until_ms = min((a.end_ms or NEVER_MS for a in charged), default=NEVER_MS)
        context.epoch = self.epoch
        context.notes = {}

    def at(
        self,
        attributes: dict[str, str],
        at_ms: int,
        *,
        make: bool = True,
        now_ms: int | None = None,
    ) -> Iterator[Account]:
        """The accounts that a call reserved at that moment belongs to.

        make: whether missing ones are made; otherwise they are left out.  now_ms: by default that
            moment.
        """
        now_ms = at_ms if now_ms is None else now_ms
        for budget in self._matching(attributes):
            if budget.is_ceiling:
                continue
            start_ms, end_ms = budget.window.bounds(at_ms)
            for key in account_keys(budget.scope, budget.row.per, attributes):
                if make or (budget.row.id, key, start_ms) in self._accounts:
                    yield self.account(budget, key, start_ms, end_ms, now_ms=now_ms)

    def _ceilings(self, attributes: dict[str, str]) -> Iterator[Account]:
        """The ceilings on one call: accounts that add up nothing, and are kept nowhere."""
        for budget in self._matching(attributes):
            if budget.is_ceiling:
                for key in account_keys(budget.scope, budget.row.per, attributes):
                    yield Account(budget, key, 0, None)

    def account(
        self, budget: Budget, key: Key, start_ms: int, end_ms: int | None, *, now_ms: int
    ) -> Account:
        """The account of that window, made where there is none yet."""
        account = self._accounts.get((budget.row.id, key, start_ms))
        if account is None:
            account = self._new(budget, key, start_ms, end_ms)
            self._carry(account, now_ms)
        return account

    def _new(self, budget: Budget, key: Key, start_ms: int, end_ms: int | None) -> Account:
        account = Account(budget, key, start_ms, end_ms)
        self._accounts[budget.row.id, key, start_ms] = account
        if end_ms is not None:
            self.look_at(account, end_ms)
        return account

    def load(self, budget: Budget, row: AccountRow) -> None:
        """Make an account as it was stored.  Those of earlier windows come first."""
        bounds = budget.window.bounds(row.window_start_ms)
        account = self._new(budget, key_from_text(row.key), *bounds)
        fill(account, row)
        self.watch(account)
        if account.ring is None and row.buckets is not None:
            self._link(account, stored=True)

    def _carry(self, account: Account, now_ms: int) -> None:
        """Let the account of a running window take over what the one before it left."""
        if account.end_ms is None or account.end_ms <= now_ms:
            return  # made for a call from before the budget: nothing is carried from there
        account.cap = account.budget.row.carry
        account.refresh()
        before = self._link(account) if account.cap else None
        if before is not None:
            self.dirty.update((before, account))
            self._hand_on(before, now_ms)

    def _link(self, account: Account, *, stored: bool = False) -> Account | None:
        before = self.carrying.begin(account, stored=stored)
        if before is not None and account.end_ms is not None:
            self.look_at(before, account.end_ms)
        return before

    def _hand_on(self, account: Account, now_ms: int) -> None:
        for following in self.carrying.hand_on(account, now_ms):
            self.dirty.add(following)
            self.look_for_alert(following)

    def look_at(self, account: Account, at_ms: int) -> None:
        """Look at an account when that moment has come."""
        heapq.heappush(self._moments, (at_ms, next(self._ties), account))
        self.next_ms = self._moments[0][0]

    @property
    def bills(self) -> bool:
        """Whether any budget bills what goes beyond it."""
        if self._bills[0] != self.epoch:
            some = any(budget.row.action == BILL for budget in self.budgets.values())
            self._bills = (self.epoch, some)
        return self._bills[1]

    def by_place(self, budget: int, key: str, start_ms: int) -> Account | None:
        """The account of that budget, key as text, and window, if it is in the books."""
        return self._accounts.get((budget, key_from_text(key), start_ms))

    def at_end(
        self,
        attributes: dict[str, str],
        at_ms: int,
        stored: Callable[[int, str, int], AccountRow | None],
    ) -> tuple[Account, ...]:
        """The accounts that an ended call is charged to, for a late bill.

        Those of budgets that bill are kept beyond their windows: what was billed too much, or too
        little, is still to be corrected.  stored: finds one of them.
        """
        found = list(self.at(attributes, at_ms, make=False))
        for budget in self._matching(attributes) if self.bills else ():
            start_ms, end_ms = budget.window.bounds(at_ms)
            for key in account_keys(budget.scope, budget.row.per, attributes):
                place = (budget.row.id, key, start_ms)
                if budget.row.action != BILL or place in self._accounts:
                    continue
                account = self.passed.pop(place, None)
                row = stored(budget.row.id, key_text(key), start_ms) if account is None else None
                if row is not None:
                    account = Account(budget, key, start_ms, end_ms)
                    fill(account, row)
                if account is not None:
                    self._accounts[place] = account
                    if end_ms is not None:
                        self.look_at(account, end_ms)
                    found.append(account)
        return tuple(found)

    def is_current(self, account: Account) -> bool:
        """Whether the account is still in the books: not of a removed budget, nor pruned."""
        place = (account.budget.row.id, account.key, account.start_ms)
        return self._accounts.get(place) is account

    def _matching(self, attributes: dict[str, str]) -> Iterator[Budget]:
        for keys, by_values in self._index.items():
            choices: list[tuple[str, ...]] = [()]
            for key in keys:
                present = named_values(key, attributes)
                choices = [(*c, v) for c in choices for v in (*present, EACH)]
            for values in choices:
                yield from by_values.get(values, ())

    def settle(
        self, account: Account, amount: int, *, reserved_at_ms: int, now_ms: int,
        was_held: bool = False,
    ) -> None:  # fmt: skip
        """Charge an account that is not plain.  was_held: for a call that was in flight."""
        account.settle(amount, reserved_at_ms=reserved_at_ms, now_ms=now_ms)
        self.watch(account)
        if account.cap and account.end_ms is not None and account.end_ms <= now_ms:
            if was_held:
                account.begun = True
            elif comes_too_late(account, now_ms):
                account.ignored += amount
        if account.after is not None:
            self._hand_on(account, now_ms)
        self.look_for_alert(account)

    def look_for_alert(self, account: Account) -> None:
        """Note an account whose balance or capacity is another."""
        if account.settled >= account.alert_at:
            self.crossed[account] = None

    def top_up(self, account: Account, amount: int, now_ms: int) -> None:
        """Add to what an account may hold in its window."""
        account.top_up(amount, now_ms)
        self.look_for_alert(account)
        self.dirty.add(account)
        self.watch(account)

    def watch(self, account: Account) -> None:
        """Look at a rolling account again when its next bucket leaves."""
        if account.ring is not None and account.ring.next_ms < account.next_ms:
            account.next_ms = account.ring.next_ms
            self.look_at(account, account.next_ms)

    def advance(self, now_ms: int) -> None:
        """Let windows end and buckets leave; accounts that are over and hold nothing are dropped.

        Only needed, and cheap, when `next_ms` has come.
        """
        while self._moments and self._moments[0][0] <= now_ms:
            account = heapq.heappop(self._moments)[2]
            if not self.is_current(account):
                continue
            if account.ring is not None:
                self._roll(account, now_ms)
            elif not self.carrying.keeps(account, now_ms):
                self._ended.add(account)
        self.next_ms = self._moments[0][0] if self._moments else NEVER_MS
        over = [
            account
            for account in self._ended
            if not account.in_flight and not self.carrying.keeps(account, now_ms)
        ]
        if self._emptied and now_ms >= self._sweep_ms:
            over += [a for a in self._emptied if not a.ring and not a.in_flight]
            self._emptied.clear()
        for account in over:
            self._drop(account)
        if over:
            self.epoch += 1

    def _roll(self, account: Account, now_ms: int) -> None:
        """Let what has left a rolling window go."""
        account.expire(now_ms)
        account.next_ms = NEVER_MS
        self.watch(account)
        if not account.ring:
            # Not dropped at once: every context would have to look for its accounts anew.
            if not self._emptied:
                self._sweep_ms = now_ms + _SWEEP_MS
            self._emptied.add(account)

    def _drop(self, account: Account) -> None:
        place = (account.budget.row.id, account.key, account.start_ms)
        del self._accounts[place]
        self.dirty.discard(account)
        self._ended.discard(account)
        self._emptied.discard(account)
        self.carrying.forget(account)
        if account.budget.row.action == BILL and place[0] in self.budgets:
            self.passed[place] = account
        else:
            self._dropped.append(place)

    def take_dropped(self) -> list[tuple[int, str, int]]:
        """Accounts that were dropped since this was asked last, as they are stored."""
        dropped, self._dropped = self._dropped, []
        return [
            (budget, key_text(key), start_ms)
            for budget, key, start_ms in dropped
            if (budget, key, start_ms) not in self._accounts
        ]


def _checked(charged: list[Account]) -> Iterator[Account]:
    """Those accounts that no override stands in for."""
    overrides = [a for a in charged if a.budget.row.override]
    for account in charged:
        budget = account.budget
        replaced = any(
            other.budget.row.per == budget.row.per
            and other.unit_index == account.unit_index
            and other.key == account.key
            and replaces(other.budget.scope, budget.scope)
            for other in overrides
        )
        if not replaced:
            yield account
