"""Accounts of a replay: which ones a call is charged to, and their running sums.

Layer: core (pure, given moments).  Below: core.budget_spec, core.budgets, core.windows.
Above: core.policy_replay.
Owns: windows that begin and end, what a rolling one lets go of, what is carried over.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence

from noburn_cli.core.budget_spec import BudgetSpec
from noburn_cli.core.budgets import Key, account_keys, replaces
from noburn_cli.core.money import DOLLARS, REQUESTS, TOKENS
from noburn_cli.core.windows import CALL, Window, expires_at_ms, rolling_ms

UNITS = (DOLLARS, TOKENS, REQUESTS)
#: What a call weighs: (nano-dollars, tokens, requests), by UNITS' order.
Weights = tuple[int, int, int]
_NEVER_MS = 2**62
#: So many accounts are kept before those of ended windows are let go.
_ACCOUNTS_MAX = 100_000


class Account:
    """One budget's running balance for one set of values in one window, in the budget's unit."""

    __slots__ = (
        "_leaving", "_length_ms", "after", "begun", "capacity", "carried", "end_ms", "held",
        "ignored", "in_flight", "index", "is_ceiling", "key", "name", "settled", "spec",
        "start_ms", "window",
    )  # fmt: skip

    def __init__(self, budget: _Budget, key: Key, start_ms: int, end_ms: int | None) -> None:
        self.spec = spec = budget.spec
        self.window = budget.window
        self.name = spec.name  # of the budget: made once, asked for at every call
        self.key = key
        self.start_ms = start_ms
        self.end_ms = _NEVER_MS if end_ms is None else end_ms
        self.index = UNITS.index(spec.unit)
        self.is_ceiling = spec.per == CALL
        self.capacity = spec.limit
        self.settled = self.held = self.in_flight = 0
        #: Of a budget that carries over: the next window's, whether this one carries on whatever
        #: is in it, and corrections that came too late to count.
        self.after: Account | None = None
        self.begun = not spec.scope.is_family
        self.carried = self.ignored = 0
        self._length_ms = rolling_ms(spec.per)
        #: (when it leaves, settled, added to the capacity) of a rolling window.
        self._leaving: list[tuple[int, int, int]] = []

    def hand_on(self, released: int, now_ms: int, *, was_held: bool) -> None:
        """Carry anew after something was released, or (below 0) more was spent.

        was_held: for a call that was in flight; else a bill is corrected, which counts until the
        window after the call's is over.
        """
        if now_ms < self.end_ms:
            return
        self.begun = self.begun or was_held
        following = self.window.bounds(self.end_ms)[1]
        if not was_held and following is not None and now_ms >= following:
            self.ignored -= released
            return
        account = self
        while account.after is not None:
            more = _carried(account, account.after.start_ms) - account.after.carried
            account = account.after
            account.carried += more
            account.capacity += more

    def settle(self, amount: int, reserved_at_ms: int, now_ms: int) -> None:
        """Add what a call was charged, or a correction of it."""
        if self._length_ms is None:
            self.settled += amount
            return
        leaves_ms = expires_at_ms(self._length_ms, reserved_at_ms)
        if leaves_ms > now_ms:
            self.settled += amount
            heapq.heappush(self._leaving, (leaves_ms, amount, 0))

    def top_up(self, amount: int, now_ms: int) -> None:
        self.capacity += amount
        if self._length_ms is not None:
            heapq.heappush(self._leaving, (expires_at_ms(self._length_ms, now_ms), 0, amount))

    def expire(self, now_ms: int) -> None:
        """Let go of what has left a rolling window."""
        while self._leaving and self._leaving[0][0] <= now_ms:
            _, settled, added = heapq.heappop(self._leaving)
            self.settled -= settled
            self.capacity -= added


class _Budget:
    __slots__ = ("carries", "newest", "rolls", "spec", "window")

    def __init__(self, spec: BudgetSpec) -> None:
        self.spec = spec
        self.window = Window(spec.per, spec.zone, spec.anchor)
        self.rolls = rolling_ms(spec.per) is not None
        self.carries = spec.carry > 0
        #: The newest account of each set of values, of which the next window's is carried over.
        self.newest: dict[Key, Account] = {}


class _Context:
    """Where calls with some attributes belong right now."""

    __slots__ = ("charged", "checked", "from_ms", "places", "rolling", "until_ms")

    def __init__(self, places: list[tuple[_Budget, Key, bool]]) -> None:
        self.places = places
        self.charged: list[Account] = []
        self.checked: list[Account] = []
        self.rolling: list[Account] = []
        self.from_ms = self.until_ms = 0


class Accounts:
    """Every account of a policy."""

    def __init__(self, budgets: Iterable[BudgetSpec], *, since_ms: int) -> None:
        """since_ms: when they were set; a budget's own account carries over from there on."""
        self._budgets = [_Budget(spec) for spec in budgets]
        self._by_identity = {one.spec.identity: one for one in self._budgets}
        self._accounts: dict[tuple[int, Key, int], Account] = {}
        self._contexts: dict[int, _Context] = {}
        for budget in self._budgets:
            if budget.carries and not budget.spec.scope.is_family:
                self._account(budget, budget.spec.scope.pairs, since_ms)

    def look_up(
        self, number: int, attributes: Mapping[str, str], at_ms: int
    ) -> tuple[Sequence[Account], Sequence[Account]]:
        """(charged, checked): where a call adds up, and which of its accounts decide.

        number: stands for the attributes.
        """
        context = self._contexts.get(number)
        if context is None:
            context = self._contexts[number] = _Context(list(self._places(attributes)))
        if not context.from_ms <= at_ms < context.until_ms:
            self._renew(context, at_ms)
        for account in context.rolling:
            account.expire(at_ms)
        return context.charged, context.checked

    def _places(self, attributes: Mapping[str, str]) -> Iterable[tuple[_Budget, Key, bool]]:
        """(budget, values, whether it is asked) of all that a call is charged to."""
        charged = [
            (budget, key)
            for budget in self._budgets
            for key in account_keys(budget.spec.scope, budget.spec.per, attributes)
        ]
        for budget, key in charged:
            ours = budget.spec
            stood_in = any(
                other.spec.override
                and (other.spec.per, other.spec.unit, values) == (ours.per, ours.unit, key)
                and replaces(other.spec.scope, ours.scope)
                for other, values in charged
            )
            yield budget, key, not stood_in

    def _renew(self, context: _Context, at_ms: int) -> None:
        if len(self._accounts) > _ACCOUNTS_MAX:
            self._let_go(at_ms)
        context.charged, context.checked, context.rolling = [], [], []
        context.from_ms, context.until_ms = 0, _NEVER_MS
        for budget, key, is_asked in context.places:
            account = self._account(budget, key, at_ms)
            if not account.is_ceiling:
                context.charged.append(account)
            if is_asked:
                context.checked.append(account)
            if budget.rolls:
                context.rolling.append(account)
            context.from_ms = max(context.from_ms, account.start_ms)
            context.until_ms = min(context.until_ms, account.end_ms)

    def _account(self, budget: _Budget, key: Key, at_ms: int) -> Account:
        start_ms, end_ms = budget.window.bounds(at_ms)
        place = (id(budget), key, start_ms)
        account = self._accounts.get(place)
        if account is None:
            account = self._accounts[place] = Account(budget, key, start_ms, end_ms)
            if budget.carries:
                self._begin(budget, account)
        return account

    def _begin(self, budget: _Budget, account: Account) -> None:
        """Carry into a window what the one before it left, where that one carries on."""
        before = budget.newest.get(account.key)
        budget.newest[account.key] = account
        if before is None or not _carries_on(before):
            return
        before.after, account.begun = account, True
        account.carried = _carried(before, account.start_ms)
        account.capacity += account.carried

    def _let_go(self, now_ms: int) -> None:
        ended = [
            place
            for place, account in self._accounts.items()
            if account.end_ms <= now_ms and not account.in_flight and not account.spec.carry
        ]
        for place in ended:
            del self._accounts[place]

    def current(self, now_ms: int) -> Iterator[Account]:
        """The accounts of windows that go on, as they stand."""
        for account in self._accounts.values():
            if account.start_ms <= now_ms < account.end_ms:
                account.expire(now_ms)
                yield account

    def top_up(self, identity: tuple[str, str, str], key: Key, amount: int, at_ms: int) -> None:
        """Add to the current window of one account, where there is such a budget."""
        budget = self._by_identity.get(identity)
        if budget is not None:
            account = self._account(budget, key, at_ms)
            account.expire(at_ms)
            account.top_up(amount, at_ms)


def _carries_on(account: Account) -> bool:
    """A budget's own account does, one of a family when something was in it."""
    return (
        account.begun
        or account.in_flight > 0
        or account.settled != 0
        or account.capacity != account.spec.limit
    )


def _carried(account: Account, start_ms: int) -> int:
    """What an account carries into the window that begins then, over those in between.

    These leave their limit and what they began with.
    """
    spec = account.spec
    left = account.capacity - account.settled - account.held + account.ignored
    carried, end_ms = min(spec.carry, max(0, left)), account.end_ms
    while end_ms < start_ms and carried < spec.carry and spec.limit:
        carried = min(spec.carry, carried + spec.limit)
        following = account.window.bounds(end_ms)[1]
        assert following is not None  # only windows that end carry over
        end_ms = following
    return carried
