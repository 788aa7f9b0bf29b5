"""Budgets and their accounts in memory: which ones a call is charged to, and what they hold.

Layer: daemon, pure (given now_ms).  Below: core.budgets.  Above: admission, book,
reserving, ending.
Owns: Account's numbers, the index from attributes to budgets, windows that begin and end.
Not here: decisions (admission), the journal (ledger).

A call is charged to every account it matches; `override` decides only which of them are checked.
 So the balances are a function of calls and scopes alone, whatever was overridden when.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator

from noburn_cli.core.actions import BILL, HARD
from noburn_cli.core.budgets import (
    EACH,
    Key,
    Scope,
    account_keys,
    budget_name,
    named_values,
    parse_scope,
    replaces,
)
from noburn_cli.core.windows import Window
from noburn_daemon.ledger import AccountRow, BudgetRow
from noburn_daemon.runs import paths_of

UNITS = ("dollars", "tokens", "requests")
DOLLARS_INDEX = 0
_NEVER = 2**62

#: What a call weighs in each unit: (nano-dollars, tokens, requests), by UNITS' order.
Weights = tuple[int, int, int]


class Budget:
    """A scope, a window, a limit."""

    __slots__ = ("name", "row", "scope", "unit_index", "window")

    def __init__(self, row: BudgetRow) -> None:
        self.row = row
        self.scope: Scope = parse_scope(row.scope)
        self.name = budget_name(self.scope, row.per, row.unit)
        self.unit_index = UNITS.index(row.unit)
        self.window = Window(row.per, row.zone, row.anchor)


class Account:
    """One budget's balance for one set of values in one window, in the budget's unit."""

    __slots__ = (
        "budget", "carried", "end_ms", "held", "in_flight", "key", "name", "notified", "overage",
        "settled", "start_ms", "topup", "unit_index", "waiting",
    )  # fmt: skip

    def __init__(self, budget: Budget, key: Key, start_ms: int, end_ms: int | None) -> None:
        self.budget = budget
        self.key = key
        self.start_ms = start_ms
        self.end_ms = end_ms
        self.unit_index = budget.unit_index
        self.settled = 0
        self.held = 0
        self.topup = 0
        self.carried = 0
        self.notified = 0  # the highest threshold that was told, in percent
        self.overage = 0  # what was booked beyond a budget that bills
        self.in_flight = 0  # open holds
        self.waiting = 0  # waiters that this account keeps waiting
        self.name = budget_name(Scope(key), budget.row.per, budget.row.unit)

    @property
    def capacity(self) -> int:
        return self.budget.row.amount + self.topup + self.carried

    @property
    def available(self) -> int:
        return self.capacity - self.settled - self.held


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
        #: Of budgets that bill: windows that have passed, until they are stored as such.
        self.passed: dict[tuple[int, Key, int], Account] = {}
        self.epoch = 0
        self._bills = (-1, False)

    def all(self) -> Iterable[Account]:
        return self._accounts.values()

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
        for place in [place for place in self._accounts if place[0] == budget.row.id]:
            self.dirty.discard(self._accounts.pop(place))
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
        context.charged = tuple(charged)
        context.checked = tuple(_checked(charged))
        context.hard = tuple(a for a in context.checked if a.budget.row.action in HARD)
        context.soft = tuple(a for a in context.checked if a.budget.row.action not in HARD)
        context.from_ms = max((a.start_ms for a in charged), default=0)
        context.until_ms = min((a.end_ms or _NEVER for a in charged), default=_NEVER)
        context.epoch = self.epoch
        context.notes = {}

    def at(self, attributes: dict[str, str], at_ms: int, *, make: bool = True) -> Iterator[Account]:
        """The accounts that a call reserved at that moment belongs to.

        make: whether missing ones are made; otherwise they are left out.
        """
        for budget in self._matching(attributes):
            start_ms, end_ms = budget.window.bounds(at_ms)
            for key in account_keys(budget.scope, budget.row.per, attributes):
                if make or (budget.row.id, key, start_ms) in self._accounts:
                    yield self.account(budget, key, start_ms, end_ms)

    def account(self, budget: Budget, key: Key, start_ms: int, end_ms: int | None) -> Account:
        place = (budget.row.id, key, start_ms)
        account = self._accounts.get(place)
        if account is None:
            account = self._accounts[place] = Account(budget, key, start_ms, end_ms)
        return account

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

    def prune(self, now_ms: int) -> list[tuple[int, str, int]]:
        """Forget accounts of windows that have ended and hold nothing; say which."""
        gone = [
            place
            for place, account in self._accounts.items()
            if account.end_ms is not None and account.end_ms <= now_ms and not account.in_flight
        ]
        dropped = []
        for place in gone:
            account = self._accounts.pop(place)
            self.dirty.discard(account)
            if account.budget.row.action == BILL:
                self.passed[place] = account
            else:
                dropped.append((place[0], key_text(account.key), account.start_ms))
        if gone:
            self.epoch += 1
        return dropped


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


def key_text(key: Key) -> str:
    """An account's values as stored: JSON, because a value may hold any character."""
    return json.dumps(key, separators=(",", ":"), ensure_ascii=False)


def key_from_text(text: str) -> Key:
    """The reverse of key_text."""
    return tuple((name, value) for name, value in json.loads(text))


def account_row(account: Account) -> AccountRow:
    return AccountRow(
        budget=account.budget.row.id,
        key=key_text(account.key),
        window_start_ms=account.start_ms,
        topup=account.topup,
        settled=account.settled,
        carried=account.carried,
        notified=account.notified,
        overage=account.overage,
    )


def fill(account: Account, row: AccountRow) -> None:
    """Give an account the balance that was stored; what is held is added by the open holds."""
    account.settled = row.settled
    account.topup = row.topup
    account.carried = row.carried
    account.notified = row.notified
    account.overage = row.overage
    if row.capacity is not None:  # Its window has passed: a limit that came later is not its own.
        account.topup = row.capacity - account.budget.row.amount - row.carried
