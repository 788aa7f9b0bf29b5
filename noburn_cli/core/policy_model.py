"""What budgets say of a list of calls, the slow and obvious way.

Layer: core (pure, given moments).  Below: core.actions, core.budget_spec, core.budgets,
core.windows.
Above: nobody who is in a hurry: the tests' oracle for the daemon's book, and for the replay's
running sums (core.policy_replay).
Owns: PolicyModel, the rules of admission written once more, straight from their definitions:

- a call is charged to every account of every budget that it matches, in the window (or the stretch
  of a rolling one) in which it was reserved;
- of the accounts that it is charged to, those are asked that no override stands in for;
- it may go when for each of these that blocks: settled + held + its hold <= limit + top-ups +
  what was carried over; an account that is over admits nothing;
- those that do not block go by what is settled (core.actions.goes_beyond);
- a ceiling per call looks at this one call's hold alone.

No index, no cache, no running sum: every question adds up all calls anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from noburn_cli.core.actions import HARD, goes_beyond
from noburn_cli.core.budget_spec import BudgetSpec
from noburn_cli.core.budgets import Key, account_keys, replaces
from noburn_cli.core.money import DOLLARS, REQUESTS, TOKENS
from noburn_cli.core.windows import CALL, Window, expires_at_ms, rolling_ms

UNITS = (DOLLARS, TOKENS, REQUESTS)
#: What a call weighs: (nano-dollars, tokens, requests), by UNITS' order.
Weights = tuple[int, int, int]
NOTHING: Weights = (0, 0, 0)


@dataclass
class _Call:
    """One call that was let go.  costs: (when, what it came to), corrections after the first."""

    attributes: Mapping[str, str]
    at_ms: int
    hold: Weights
    notional: bool
    costs: list[tuple[int, Weights]] = field(default_factory=list)

    def cost(self, *, final_ms: int | None = None) -> Weights | None:
        """What it has come to; None while it is held.

        final_ms: from when on a correction does not count any more; the first bill always does.
        """
        counted = [
            cost
            for number, (when_ms, cost) in enumerate(self.costs)
            if number == 0 or final_ms is None or when_ms < final_ms
        ]
        return counted[-1] if counted else None

    def is_in_flight(self, moment_ms: int) -> bool:
        """Whether it was held at a moment that has passed."""
        return not self.costs or self.costs[0][0] >= moment_ms


@dataclass
class _Budget:
    spec: BudgetSpec
    window: Window
    #: (account, when, how much) of each top-up.
    topups: list[tuple[Key, int, int]] = field(default_factory=list)
    #: Where something is carried: (account, start of its window) that was looked at, to whether
    #: the one before it carried on then.
    looked: dict[tuple[Key, int], bool] = field(default_factory=dict)

    @property
    def index(self) -> int:
        return UNITS.index(self.spec.unit)

    def before(self, key: Key, start_ms: int) -> int | None:
        """The start of the last window before this one that was looked at."""
        earlier = [start for whose, start in self.looked if whose == key and start < start_ms]
        return max(earlier, default=None)


@dataclass(frozen=True)
class Balance:
    """One account at one moment, in its budget's unit."""

    settled: int
    held: int
    in_flight: int
    capacity: int

    def fits(self, weight: int) -> bool:
        left = self.capacity - self.settled - self.held
        return left >= 0 and weight <= left

    def is_passed(self, least: int) -> bool:
        """Whether a call that needs at least this goes beyond it, where it is soft."""
        return goes_beyond(
            least, capacity=self.capacity, settled=self.settled, in_flight=self.in_flight
        )


class PolicyModel:
    """Calls, budgets, and what follows from them."""

    def __init__(self, budgets: Iterable[BudgetSpec] = (), *, since_ms: int = 0) -> None:
        """since_ms: when they were set; what is carried over begins there."""
        self._budgets: dict[tuple[str, str, str], _Budget] = {}
        self._calls: dict[str, _Call] = {}
        for spec in budgets:
            self.set(spec, since_ms)

    # The policy.

    def set(self, spec: BudgetSpec, at_ms: int) -> None:
        """Put a budget in force, or change one: its top-ups and its history stay."""
        window = Window(spec.per, spec.zone, spec.anchor)
        budget = self._budgets.setdefault(spec.identity, _Budget(spec, window))
        budget.spec, budget.window = spec, window
        if not spec.scope.is_family:
            self._look(budget, spec.scope.pairs, at_ms)

    def remove(self, identity: tuple[str, str, str]) -> None:
        del self._budgets[identity]

    def top_up(self, identity: tuple[str, str, str], key: Key, amount: int, at_ms: int) -> None:
        """Add to one account in its current window."""
        budget = self._budgets[identity]
        self._look(budget, key, at_ms)
        budget.topups.append((key, at_ms, amount))

    # Calls.

    def reserve(
        self, call: str, attributes: Mapping[str, str], at_ms: int, weights: Weights,
        *, notional: bool = False,
    ) -> BudgetSpec | None:  # fmt: skip
        """Let a call go, or return the budget that does not let it: the first in their order.

        weights: what it holds.  notional: a subscription pays, so no budget of dollars counts it.
        """
        for budget, _, _ in self.beyond(attributes, at_ms, weights, notional=notional):
            if budget.action in HARD:
                return budget
        self._calls[call] = _Call(attributes, at_ms, weights, notional)
        return None

    def beyond(
        self, attributes: Mapping[str, str], at_ms: int, weights: Weights, *, notional: bool = False
    ) -> Iterator[tuple[BudgetSpec, Key, Balance]]:
        """The budgets that a call would go beyond, those that only warn or bill included."""
        charged = list(self._charged(attributes, notional=notional))
        for budget, key in charged:
            self._look(budget, key, at_ms)
        for budget, key in charged:
            if any(_stands_in(other, budget, key) for other in charged):
                continue
            balance = self._balance(budget, key, at_ms, now_ms=at_ms)
            weight = weights[budget.index]
            is_hard = budget.spec.action in HARD
            if not balance.fits(weight) if is_hard else balance.is_passed(weight):
                yield budget.spec, key, balance

    def settle(self, call: str, weights: Weights, at_ms: int) -> None:
        """The bill, or a corrected one: what the call came to, whatever it held."""
        self._calls[call].costs.append((at_ms, weights))

    def charge(self, call: str, at_ms: int) -> None:
        """The bill is not known (lost, orphaned): the hold is charged in full."""
        self.settle(call, self._calls[call].hold, at_ms)

    def void(self, call: str, at_ms: int) -> None:
        """It never left: nothing is charged."""
        self.settle(call, NOTHING, at_ms)

    # What follows.

    def balances(self, now_ms: int) -> dict[tuple[tuple[str, str, str], Key], Balance]:
        """Every account of a current window that any call is charged to, by budget and values."""
        found: dict[tuple[tuple[str, str, str], Key], Balance] = {}
        for call in self._calls.values():
            for budget, key in self._charged(call.attributes, notional=call.notional):
                place = budget.spec.identity, key
                if budget.spec.per != CALL and place not in found:
                    found[place] = self._balance(budget, key, now_ms, now_ms=now_ms)
        return found

    def _charged(
        self, attributes: Mapping[str, str], *, notional: bool
    ) -> Iterator[tuple[_Budget, Key]]:
        for budget in self._budgets.values():
            if notional and budget.spec.unit == DOLLARS:
                continue
            for key in account_keys(budget.spec.scope, budget.spec.per, attributes):
                yield budget, key

    def _balance(
        self, budget: _Budget, key: Key, at_ms: int, *, now_ms: int, final_ms: int | None = None
    ) -> Balance:
        """The account's balance in the window around `at_ms`; of a rolling one, at `now_ms`."""
        start_ms, end_ms = budget.window.bounds(at_ms)
        length_ms = rolling_ms(budget.spec.per)

        def is_in(moment_ms: int) -> bool:
            return start_ms <= moment_ms and (end_ms is None or moment_ms < end_ms)

        def is_left(moment_ms: int) -> bool:
            return length_ms is None or expires_at_ms(length_ms, moment_ms) > now_ms

        settled = held = in_flight = 0
        for call in self._charged_to(budget, key):
            if not is_in(call.at_ms):
                continue
            cost = call.cost(final_ms=final_ms)
            if cost is None:
                held += call.hold[budget.index]
                in_flight += 1
            elif is_left(call.at_ms):
                settled += cost[budget.index]
        added = sum(
            amount for whose, moment_ms, amount in budget.topups
            if whose == key and is_in(moment_ms) and is_left(moment_ms)
        )  # fmt: skip
        carried = self._carried(budget, key, start_ms, now_ms=now_ms)
        return Balance(settled, held, in_flight, budget.spec.limit + added + carried)

    def _charged_to(self, budget: _Budget, key: Key) -> Iterator[_Call]:
        """The calls of an account, of whatever window; of a ceiling none."""
        for call in self._calls.values() if budget.spec.per != CALL else ():
            charged = self._charged(call.attributes, notional=call.notional)
            if any(one is budget and values == key for one, values in charged):
                yield call

    def _carried(self, budget: _Budget, key: Key, start_ms: int, *, now_ms: int) -> int:
        """What a window begins with of what the one before it left, at most `carry`.

        A window that nobody looked at leaves its limit and what it began with.  A correction of a
        bill counts until the window after its call's is over.  A budget's own account carries from
        when it was set, one of a family from the first window on that something was in.
        """
        before_ms = budget.before(key, start_ms) if budget.spec.carry else None
        if before_ms is None:
            return 0
        follows = budget.looked.get((key, start_ms))
        if follows is None:
            follows = self._carries_on(budget, key, before_ms, now_ms=now_ms)
        if not follows:
            return 0
        end_ms = _end(budget, before_ms)
        final_ms = _end(budget, end_ms)
        before = self._balance(budget, key, before_ms, now_ms=now_ms, final_ms=final_ms)
        carried = min(budget.spec.carry, max(0, before.capacity - before.settled - before.held))
        while end_ms < start_ms:
            carried = min(budget.spec.carry, carried + budget.spec.limit)
            end_ms = _end(budget, end_ms)
        return carried

    def _look(self, budget: _Budget, key: Key, at_ms: int) -> None:
        """A window that something is asked of has begun."""
        start_ms = budget.window.bounds(at_ms)[0]
        if budget.spec.carry and (key, start_ms) not in budget.looked:
            before_ms = budget.before(key, start_ms)
            budget.looked[key, start_ms] = before_ms is not None and self._carries_on(
                budget, key, before_ms, now_ms=at_ms
            )

    def _carries_on(self, budget: _Budget, key: Key, start_ms: int, *, now_ms: int) -> bool:
        if not budget.spec.scope.is_family or budget.looked[key, start_ms]:
            return True
        end_ms = _end(budget, start_ms)
        if any(
            start_ms <= call.at_ms < end_ms and call.is_in_flight(end_ms)
            for call in self._charged_to(budget, key)
        ):
            return True
        balance = self._balance(budget, key, start_ms, now_ms=now_ms)
        return bool(balance.settled or balance.capacity != budget.spec.limit)


def _end(budget: _Budget, start_ms: int) -> int:
    """When a window is over; only those that end carry over."""
    end_ms = budget.window.bounds(start_ms)[1]
    assert end_ms is not None
    return end_ms


def _stands_in(other: tuple[_Budget, Key], budget: _Budget, key: Key) -> bool:
    """Whether another budget, which says `override`, is asked instead of this one."""
    spec = other[0].spec
    return (
        spec.override
        and (spec.per, spec.unit, other[1]) == (budget.spec.per, budget.spec.unit, key)
        and replaces(spec.scope, budget.spec.scope)
    )
