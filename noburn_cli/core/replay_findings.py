"""What a replay found: per budget, per customer, per window, and the dearest calls.

Layer: core (pure).  Below: core.replay_accounts.  Above: core.policy_replay, render.replay.
Owns: the counts.  Amounts are nano-dollars, except what a budget billed, which is in its unit; of
customers only dollars that were billed are counted.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from noburn_cli.core.budgets import NONE, Key
from noburn_cli.core.money import DOLLARS
from noburn_cli.core.replay_accounts import Account

if TYPE_CHECKING:
    from noburn_cli.core.policy_replay import Recorded

DEAREST = 10


@dataclass
class Count:
    """What happened to some calls.

    blocked: kept out; in_flight of them by money in flight alone: they would have waited.
    blocked_nano: what these calls cost when they were made.  downgraded_nano: likewise.
    """

    blocked: int = 0
    in_flight: int = 0
    blocked_nano: int = 0
    warned: int = 0
    downgraded: int = 0
    downgraded_nano: int = 0
    billed: int = 0


@dataclass
class WindowBlocks:
    """The blocks of one account in one window."""

    name: str
    key: Key
    start_ms: int
    first_ms: int
    blocked: int = 0
    blocked_nano: int = 0


@dataclass(order=True)
class Dear:
    """A blocked call and what it cost when it was made."""

    nano: int
    at_ms: int
    call: str
    model: str = field(compare=False)
    customer: str = field(compare=False)
    budget: str = field(compare=False)


@dataclass
class Findings:
    """Everything that one policy would have done."""

    calls: int = 0
    clamped: int = 0
    cost_nano: int = 0
    budgets: dict[str, Count] = field(default_factory=dict)
    customers: dict[str, Count] = field(default_factory=dict)
    windows: dict[tuple[str, Key, int], WindowBlocks] = field(default_factory=dict)
    dearest: list[Dear] = field(default_factory=list)

    @property
    def total(self) -> Count:
        counts = self.budgets.values()
        return Count(
            *(sum(getattr(one, name) for one in counts) for name in Count.__dataclass_fields__)
        )

    def _counts(self, account: Account, recorded: Recorded) -> tuple[Count, Count]:
        customer = recorded.attributes.get("customer") or NONE
        of_budget = self.budgets.get(account.name)
        if of_budget is None:
            of_budget = self.budgets[account.name] = Count()
        of_customer = self.customers.get(customer)
        if of_customer is None:
            of_customer = self.customers[customer] = Count()
        return of_budget, of_customer

    def block(self, account: Account, recorded: Recorded, *, in_flight: bool) -> None:
        for count in self._counts(account, recorded):
            count.blocked += 1
            count.in_flight += in_flight
        place = (account.name, account.key, account.start_ms)
        if place not in self.windows:
            self.windows[place] = WindowBlocks(*place, first_ms=recorded.at_ms)
        self.windows[place].blocked += 1

    def unblock(self, account: Account, recorded: Recorded) -> None:
        """It was blocked here, and never left when it was made."""
        for count in self._counts(account, recorded):
            count.blocked -= 1
        self.windows[account.name, account.key, account.start_ms].blocked -= 1

    def saved(self, account: Account, recorded: Recorded, nano: int) -> None:
        """What a blocked call cost when it was made."""
        for count in self._counts(account, recorded):
            count.blocked_nano += nano
        self.windows[account.name, account.key, account.start_ms].blocked_nano += nano
        if len(self.dearest) == DEAREST and nano <= self.dearest[0].nano:
            return
        customer = recorded.attributes.get("customer") or NONE
        dear = Dear(nano, recorded.at_ms, recorded.call, recorded.models[0], customer, account.name)
        heapq.heappush(self.dearest, dear)
        if len(self.dearest) > DEAREST:
            heapq.heappop(self.dearest)

    def clamp(self, _recorded: Recorded) -> None:
        self.clamped += 1

    def pass_by(self, account: Account, recorded: Recorded) -> None:
        """A call went beyond a budget that does not block."""
        for count in self._counts(account, recorded):
            if account.spec.action == "warn":
                count.warned += 1
            else:
                count.downgraded += 1

    def downgrade(self, account: Account, recorded: Recorded, nano: int) -> None:
        for count in self._counts(account, recorded):
            count.downgraded_nano += nano

    def bill(self, account: Account, recorded: Recorded, amount: int) -> None:
        if not amount:
            return
        of_budget, of_customer = self._counts(account, recorded)
        of_budget.billed += amount
        if account.spec.unit == DOLLARS:
            of_customer.billed += amount
