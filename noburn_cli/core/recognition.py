"""Revenue by day: what was billed, what of it is earned, what is still owed to the customer.

Layer: core (pure).  Below: core.revenue, core.recognition_earning.
Above: core.recognition_reading (makes them of facts), core.profit_rating, core.profit,
noburn_cli.profit.
Owns: Stream, its states, and how it divides into what was sold, discounts and what was taken back.
Not here: which facts make one amount, and over which days it is earned (core.recognition_reading).

An amount is a line and everything that names it: its discounts and its tax belong to it from the
start, refunds, credit notes, disputes and write-offs change it on their day.  Amounts are in
nano-dollars without tax.  A fee is an amount of its own, spread like the revenue that it was
charged for.  At every day, for every amount and so for their sum,

    recognised + deferred = billed + unbilled

where deferred is billed and not earned yet, unbilled is earned and not billed yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from noburn_cli.core import revenue
from noburn_cli.core.recognition_days import half_even
from noburn_cli.core.recognition_earning import Change, Earning
from noburn_cli.core.revenue import RevenueFact

# How far an amount can still be another one, the least certain first.
PROVISIONAL = "provisional"  # rated, or a draft: nobody was billed
INVOICED = "invoiced"  # billed, not paid
COLLECTED = "collected"  # paid; may still be given back or disputed
FINAL = "final"  # paid for so long that it cannot be disputed, or given back or written off
STATES = (PROVISIONAL, INVOICED, COLLECTED, FINAL)

#: Cost by day, in nano-dollars, of a customer's feature; of all features under None.
UsageDays = Mapping[tuple[str, str | None], Mapping[int, int]]


@dataclass(frozen=True)
class Amounts:
    """What was earned in some days, in nano-dollars and without tax; each its own sign."""

    gross_nano: int = 0
    discounts_nano: int = 0
    refunds_nano: int = 0
    disputes_nano: int = 0
    adjustments_nano: int = 0
    fees_nano: int = 0

    def __add__(self, other: Amounts) -> Amounts:
        names = vars(self)
        return Amounts(**{name: names[name] + getattr(other, name) for name in names})

    @property
    def net_nano(self) -> int:
        """Net revenue: everything but the processor's fees, which are a cost."""
        return (
            self.gross_nano + self.discounts_nano + self.refunds_nano + self.disputes_nano
            + self.adjustments_nano
        )  # fmt: skip


@dataclass(frozen=True)
class Position:
    """Where things stand at the end of a day, in nano-dollars: see the module's identity."""

    billed_nano: int = 0
    recognised_nano: int = 0
    deferred_nano: int = 0
    unbilled_nano: int = 0

    def __add__(self, other: Position) -> Position:
        return Position(
            self.billed_nano + other.billed_nano,
            self.recognised_nano + other.recognised_nano,
            self.deferred_nano + other.deferred_nano,
            self.unbilled_nano + other.unbilled_nano,
        )


@dataclass(frozen=True)
class Stream:
    """One amount that is earned over days: a line with what belongs to it, or a fee.

    kind: of the line, or `fee`.  document: what it was billed with.
    gross_nano, discount_nano: what it began with, without tax; both 0 for a fee.
    billed_day: None while nobody was billed.  curve_known: whether usage or credits were found in
    the ledger; without them they are spread like a subscription.
    """

    payer: str
    payer_name: str
    customer: str | None
    feature: str | None
    plan: str | None
    kind: str
    state: str
    document: str
    earning: Earning
    gross_nano: int
    discount_nano: int
    billed_day: int | None
    changes: tuple[Change, ...] = ()
    curve_known: bool = True
    #: Of a subscription, where it is known.
    seats: int | None = None
    #: Of credits: what was left when they expired, and when; part of what is earned that day.
    breakage: tuple[int, int] | None = None

    def amounts(self, first: int, until: int) -> Amounts:
        """What was earned from a day on, before another."""
        if self.kind == revenue.FEE:
            earned = self.earning.through(until - 1) - self.earning.through(first - 1)
            return Amounts(fees_nano=earned)
        if self.kind in _GROUP:  # of a line that is not known
            earned = self.earning.through(until - 1) - self.earning.through(first - 1)
            return Amounts(**{_FIELD[_GROUP[self.kind]]: earned})
        if not self.discount_nano and not self.earning.jumps:
            earned = self.earning.through(until - 1) - self.earning.through(first - 1)
            return Amounts(gross_nano=earned)
        before, after = self._parts(first - 1), self._parts(until - 1)
        jumps = dict.fromkeys((revenue.REFUND, revenue.DISPUTE, revenue.ADJUSTMENT), 0)
        for jump in self.earning.jumps:
            if first <= jump.day < until:
                jumps[_GROUP[jump.kind]] += jump.nano
        return Amounts(
            gross_nano=after[0] - before[0],
            discounts_nano=after[1] - before[1],
            refunds_nano=jumps[revenue.REFUND],
            disputes_nano=jumps[revenue.DISPUTE],
            adjustments_nano=jumps[revenue.ADJUSTMENT],
        )

    def _parts(self, day: int) -> tuple[int, int]:
        """(gross, discounts) that the curve has earned through a day, changes left out."""
        flowed = self.earning.through(day) - sum(
            jump.nano for jump in self.earning.jumps if jump.day <= day
        )
        whole = self.gross_nano + self.discount_nano
        if not self.discount_nano or not whole:
            curve = self.earning.curve
            if whole or not self.discount_nano:
                return flowed, 0
            # All of it is discounted: nothing flows, and both sides are shown.
            given = half_even(self.gross_nano * curve.through(day), curve.through(curve.last))
            return given, -given
        sign = 1 if whole > 0 else -1
        gross = half_even(sign * flowed * self.gross_nano, sign * whole)
        return gross, flowed - gross

    def taken_back(self, first: int, until: int) -> Amounts:
        """What was taken or given back from a day on, before another; earned before or not."""
        if self.billed_day is None or self.kind == revenue.FEE:
            return Amounts()
        sums = dict.fromkeys(_FIELD.values(), 0)
        for change in self.changes:
            if first <= change.day < until:
                sums[_FIELD[_GROUP[change.kind]]] += change.nano
        if self.kind in _GROUP and first <= self.billed_day < until:
            sums[_FIELD[_GROUP[self.kind]]] += self.gross_nano + self.discount_nano
        return Amounts(**sums)

    def position(self, day: int) -> Position:
        earned = self.earning.through(day)
        if self.billed_day is None or day < self.billed_day:
            return Position(0, earned, 0, earned)
        billed = self.gross_nano + self.discount_nano
        billed += sum(change.nano for change in self.changes if change.day <= day)
        return Position(billed, earned, billed - earned, 0)


_GROUP = {
    revenue.REFUND: revenue.REFUND, revenue.CREDIT_NOTE: revenue.REFUND,
    revenue.DISPUTE: revenue.DISPUTE, revenue.DISPUTE_WON: revenue.DISPUTE,
    revenue.ADJUSTMENT: revenue.ADJUSTMENT,
}  # fmt: skip
_FIELD = {
    revenue.REFUND: "refunds_nano", revenue.DISPUTE: "disputes_nano",
    revenue.ADJUSTMENT: "adjustments_nano",
}  # fmt: skip


@dataclass(frozen=True)
class Recognition:
    """All amounts of some facts.

    no_rate: facts in a currency for which no rate is known: in no amount.
    tax: (day, nano) of what was collected for others, or given back; in no amount.
    """

    streams: tuple[Stream, ...]
    no_rate: tuple[RevenueFact, ...] = ()
    tax: tuple[tuple[int, int], ...] = ()

    def position(self, day: int) -> Position:
        """Where revenue stands at the end of a day; fees, which are a cost, are not in it."""
        revenues = (one for one in self.streams if one.kind != revenue.FEE)
        return sum((one.position(day) for one in revenues), Position())
