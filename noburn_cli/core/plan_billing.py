"""One customer's month under a plan: what is charged, what it costs, what is left.

Layer: core (pure).  Below: core.plans, core.usage.  Above: margin, simulate, pnl.
Owns: the order in which a bill is made, which docs/plans.md says in words.
Not here: what a token costs us (core.cost, core.margin_usage), recognition over time (pnl).

Lines are exact: whole nano-dollars or fractions of one, never rounded on the way, so that they add
up.  Only `invoice_cents` rounds, once, as an invoice would.  Between the points at which an
allowance ends or a limit of the charge is met, every line is linear in the usage, the price and the
cost: core.margin_solving stands on that.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import NamedTuple

from noburn_cli.core.plans import MILLION, ONE, ZERO, Plan
from noburn_cli.core.usage import billed_total

#: A month of a plan paid by the year carries its part of the year's one payment.
MONTHS_A_YEAR = 12
NANO_PER_CENT = 10**7


class PlanUsage(NamedTuple):
    """What one customer did in one month, all seats together.

    cost_nano: what providers charge for all of it.  tokens, requests: how much it was.
    seats: None for the plan's own.  yearly: the share of such customers who pay by the year, 0 or 1
    for one who is known; None for the plan's own.  trial: the share of the month that was free.
    credits_left: from earlier months, by how long they last: the first runs out with this month.
    """

    cost_nano: Fraction | int = 0
    tokens: Fraction | int = 0
    requests: Fraction | int = 0
    seats: int | None = None
    yearly: Fraction | int | None = None
    trial: Fraction | int = 0
    credits_left: tuple[Fraction | int, ...] = ()

    @classmethod
    def of(
        cls, usage: Mapping[str, int], *, cost_nano: Fraction | int, requests: int = 0
    ) -> PlanUsage:
        """From counts by kind, as the ledger has them."""
        return cls(cost_nano=cost_nano, tokens=billed_total(usage), requests=requests)


class PlanBill(NamedTuple):
    """The lines of one month, in nano-dollars, before tax unless they say so.

    base_nano: seats at the monthly price; discount_nano, which is taken off it, is 0 or more.
    overage_nano, credits_nano: what usage beyond the allowance was charged.
    adjustment_nano: what a minimum added (+) or a maximum took away (-).
    fees_nano, overhead_nano, inference_nano: costs, each 0 or more.
    passed_nano: the part of inference that overage and bought credits were charged for.
    served: the share of the usage that was let happen; 1 unless an allowance stops it.
    beyond: the share of the usage that was beyond the allowance and charged.
    watched: numbers at whose zero a line's slope may change (core.margin_solving).
    credits_left: for the months to come, in the order of PlanUsage; credits_expired with this one.
    """

    base_nano: Fraction
    discount_nano: Fraction
    overage_nano: Fraction
    credits_nano: Fraction
    adjustment_nano: Fraction
    tax_nano: Fraction
    fees_nano: Fraction
    overhead_nano: Fraction
    inference_nano: Fraction
    passed_nano: Fraction
    served: Fraction
    beyond: Fraction
    credits_used: Fraction
    credits_expired: Fraction
    credits_left: tuple[Fraction, ...]
    watched: tuple[Fraction, ...]

    @property
    def revenue_nano(self) -> Fraction:
        """Net revenue: what is ours of the charge, without tax."""
        charged = self.base_nano - self.discount_nano + self.overage_nano + self.credits_nano
        return charged + self.adjustment_nano

    @property
    def due_nano(self) -> Fraction:
        """What the customer pays, tax included."""
        return self.revenue_nano + self.tax_nano

    @property
    def by_use_nano(self) -> Fraction:
        """What a customer pays beyond the price: the overage, as far as a maximum lets it come, and
        what a minimum adds."""
        return max(ZERO, self.overage_nano + self.adjustment_nano)

    @property
    def invoice_cents(self) -> int:
        """The charge as an invoice shows it: whole cents, half a cent up, rounded once."""
        return (self.due_nano / NANO_PER_CENT + Fraction(1, 2)).__floor__()

    @property
    def cost_nano(self) -> Fraction:
        return self.inference_nano + self.fees_nano + self.overhead_nano

    @property
    def margin_nano(self) -> Fraction:
        return self.revenue_nano - self.cost_nano


def bill(plan: Plan, usage: PlanUsage) -> PlanBill:
    """One customer's month.

    With a share of customers who pay by the year it is the mean of the two kinds of customer.
    """
    parts = [(weight, _bill(plan, usage, yearly)) for weight, yearly in _payers(plan, usage)]
    return parts[0][1] if len(parts) == 1 else _mean(parts)


def _payers(plan: Plan, usage: PlanUsage) -> list[tuple[Fraction, bool]]:
    yearly = Fraction(plan.yearly_share if usage.yearly is None else usage.yearly)
    return [(share, kind) for share, kind in ((ONE - yearly, False), (yearly, True)) if share]


def _mean(parts: list[tuple[Fraction, PlanBill]]) -> PlanBill:
    """Line by line; what is watched is watched in each."""
    lines = {
        name: sum((weight * getattr(one, name) for weight, one in parts), ZERO)
        for name in PlanBill._fields
        if name not in ("watched", "credits_left")
    }
    watched = tuple(number for _, one in parts for number in one.watched)
    return PlanBill(**lines, watched=watched, credits_left=parts[0][1].credits_left)


class _Split(NamedTuple):
    """Usage by who pays for it.  stopped: of all usage, the share that does not happen."""

    beyond: Fraction
    stopped: Fraction
    overage_nano: Fraction
    credits_nano: Fraction
    watched: tuple[Fraction, ...]
    used: Fraction = ZERO
    expired: Fraction = ZERO
    left: tuple[Fraction, ...] = ()


def _bill(plan: Plan, usage: PlanUsage, yearly: bool) -> PlanBill:
    """The order: base, discounts, usage beyond, trial, minimum and maximum, tax, fees."""
    seats = plan.seats if usage.seats is None else usage.seats
    paid = ONE - usage.trial
    split = _split_by_credits(plan, usage) if plan.credits else _split(plan, usage, seats)
    base = Fraction(plan.price_nano * plan.units(seats)) * paid
    kept = (ONE - plan.discount) * (ONE - plan.yearly_discount if yearly else ONE)
    overage, bought = split.overage_nano * paid, split.credits_nano * paid
    # A price that contains tax is divided; every line before tax then adds up to what is ours.
    ours = ONE / (ONE + plan.tax) if plan.tax_included else ONE
    charged = base * kept + overage + bought
    limited = max(charged, plan.minimum_nano * paid)
    if plan.maximum_nano is not None:
        limited = min(limited, plan.maximum_nano * paid)
    revenue = limited * ours
    tax = revenue * plan.tax
    served = ONE - split.stopped
    return PlanBill(
        base_nano=base * ours,
        discount_nano=base * (ONE - kept) * ours,
        overage_nano=overage * ours,
        credits_nano=bought * ours,
        adjustment_nano=(limited - charged) * ours,
        tax_nano=tax,
        fees_nano=_fees(
            plan, due=revenue + tax, base=base * kept, extra=limited - base * kept, yearly=yearly
        ),
        overhead_nano=plan.overhead_nano + plan.overhead_request_nano * usage.requests * served,
        inference_nano=usage.cost_nano * served,
        passed_nano=usage.cost_nano * split.beyond * paid,
        served=served,
        beyond=split.beyond * paid,
        credits_used=split.used,
        credits_expired=split.expired,
        credits_left=split.left,
        watched=(
            *split.watched,
            charged - plan.minimum_nano * paid,
            charged - (plan.maximum_nano or 0) * paid,
            limited,
            limited - base * kept,
        ),
    )


def _fees(plan: Plan, *, due: Fraction, base: Fraction, extra: Fraction, yearly: bool) -> Fraction:
    """The processor's part of what is paid, tax included; nothing is paid, nothing charged.

    Who pays by the year makes one payment a year for the base, and one in each month that has more.
    """
    if not due:
        return ZERO
    payments = Fraction(base > 0, MONTHS_A_YEAR) + (extra > 0) if yearly else ONE
    return due * plan.fee_share + plan.fee_fixed_nano * payments


def _beyond(limit: Fraction | int, amount: Fraction | int) -> Fraction:
    """The share of an amount that is above a limit."""
    return ONE - Fraction(limit) / amount if amount > limit else ZERO


def _split(plan: Plan, usage: PlanUsage, seats: int) -> _Split:
    """Usage within the allowance and beyond it, in the share of all of it."""
    units, included = plan.units(seats), plan.included
    pairs = [
        (limit * units, Fraction(amount))
        for limit, amount in (
            (included.tokens, usage.tokens),
            (included.cost_nano, usage.cost_nano),
            (included.requests, usage.requests),
        )
        if limit is not None
    ]
    beyond = max((_beyond(limit, amount) for limit, amount in pairs), default=ZERO)
    # Zero where usage meets an allowance, and where one allowance takes over from another.
    watched = [amount - limit for limit, amount in pairs]
    watched += [
        one[0] * other[1] - other[0] * one[1]
        for place, one in enumerate(pairs)
        for other in pairs[place + 1 :]
    ]
    over = plan.overage
    if over is None:
        return _Split(ZERO, beyond, ZERO, ZERO, tuple(watched))
    if over.per_million_nano is not None:
        charge = beyond * usage.tokens * over.per_million_nano / MILLION
    elif over.per_request_nano is not None:
        charge = beyond * usage.requests * over.per_request_nano
    else:
        assert over.markup is not None
        charge = beyond * usage.cost_nano * (ONE + over.markup)
    return _Split(beyond, ZERO, charge, ZERO, tuple(watched))


def _split_by_credits(plan: Plan, usage: PlanUsage) -> _Split:
    """Credits spent, those that run out first before the others, and the rest bought."""
    sold = plan.credits
    assert sold is not None
    if sold.tokens is not None:
        wanted = Fraction(usage.tokens) / sold.tokens
    elif sold.requests is not None:
        wanted = Fraction(usage.requests) / sold.requests
    else:
        assert sold.cost_nano is not None
        wanted = Fraction(usage.cost_nano) / sold.cost_nano
    lots = _with_grant(usage.credits_left, sold.granted, sold.months)
    had = sum(lots, ZERO)
    missing = max(wanted - had, ZERO)
    share = missing / wanted if wanted else ZERO
    spent = wanted - missing
    for place, lot in enumerate(lots):
        taken = min(lot, spent)
        lots[place], spent = lot - taken, spent - taken
    expired = ZERO if sold.months is None or not lots else lots.pop(0)
    more = sold.price_nano is not None
    return _Split(
        beyond=share if more else ZERO,
        stopped=ZERO if more else share,
        overage_nano=ZERO,
        credits_nano=missing * sold.price_nano if sold.price_nano is not None else ZERO,
        watched=(wanted - had,),
        used=wanted if more else wanted - missing,
        expired=expired,
        left=tuple(lots),
    )


def _with_grant(
    left: tuple[Fraction | int, ...], granted: int, months: int | None
) -> list[Fraction]:
    """What is there to spend, by the month in which it runs out; one lot where nothing does."""
    if months is None:
        return [sum((Fraction(lot) for lot in left), Fraction(granted))]
    lots = [Fraction(lot) for lot in left][:months]
    lots += [ZERO] * (months - len(lots))
    lots[-1] += granted
    return lots
