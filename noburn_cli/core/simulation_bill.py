"""Many customers' month under a plan at once: the same bill, in floats.

Layer: core (pure, numpy).  Below: core.plans, core.plan_billing (its constants).
Above: core.simulation_engine, core.simulation_expected, core.simulation_turning.
Owns: BILL_BOUND, how far a line may be from the exact `bill()`; a test holds it on random plans.
Not here: the rule itself, which core.plan_billing words and this module repeats.

A customer is a multiple of the mean: tokens, cost and requests all grow with it.  A line that is
the same for everybody stays a single number, which is what makes ten thousand flat customers cheap.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from noburn_cli.core.plan_billing import MONTHS_A_YEAR
from noburn_cli.core.plans import MILLION, Credits, Plan
from noburn_cli.core.simulation_usage import Floats

#: Each line is within this share of the largest amount in the bill of the exact line.  A dozen
#: float operations in a row lose some 1e-15; the rest is room for cancellation.
BILL_BOUND = 1e-12

#: The same for every customer, or one number for each.
Amount = Floats | float
NO_LIMIT = float("inf")


@dataclass(frozen=True)
class Load:
    """What a customer at multiple 1 does in a month, all seats together.

    cost_nano: nano-dollars at the provider, everything saved taken off.
    """

    tokens: float
    cost_nano: float
    requests: float = 0.0


@dataclass(frozen=True)
class ManyBills:
    """The lines of one month, in nano-dollars, as core.plan_billing.PlanBill has them.

    lots: credits left for the months to come, by how long they last; None for other plans.
    """

    revenue_nano: Amount
    inference_nano: Amount
    fees_nano: Amount
    overhead_nano: Amount
    lots: Floats | None = None

    @property
    def margin_nano(self) -> Amount:
        return self.revenue_nano - self.inference_nano - self.fees_nano - self.overhead_nano


@dataclass(frozen=True)
class _Split:
    """As core.plan_billing's: what is charged beyond the allowance, and what happens at all."""

    charged_nano: Amount
    served: Amount = 1.0
    lots: Floats | None = None


def keeps_credits(plan: Plan) -> bool:
    """Whether what is left of a month's credits pays for a later one."""
    return plan.credits is not None and plan.credits.months != 1


class Tariff:
    """A plan and what a mean customer does in a month, made ready to bill many customers."""

    def __init__(self, plan: Plan, load: Load) -> None:
        self.plan, self.load = plan, load
        # Every share becomes a float once, here, and not for each block of customers.
        kept = 1 - plan.discount
        price = plan.price_nano * plan.units(plan.seats) * kept
        yearly = float(plan.yearly_share)
        self._payers = [
            (weight, base, is_yearly)
            for weight, base, is_yearly in (
                (1 - yearly, float(price), False),
                (yearly, float(price * (1 - plan.yearly_discount)), True),
            )
            if weight
        ]
        self._taxed = float(1 + plan.tax)
        self._fee_share = float(plan.fee_share)
        self._end, self._beyond_nano = _allowance(plan, load)

    @property
    def allowance_ends(self) -> float:
        """The multiple at which what is included ends; infinite where nothing does."""
        return self._end

    def bill(
        self, multiples: Floats, *, trial: Amount = 0.0, lots: Floats | None = None
    ) -> ManyBills:
        """Bill every customer once.

        multiples: of the mean, >= 0.  trial: the share of the month that was free.
        lots: credits as the month before left them (rows by how long they last), None for none.
        """
        plan, load = self.plan, self.load
        split = self._credits(multiples, lots) if plan.credits else self._split(multiples)
        revenue, fees = self._charges(split, 1.0 - trial)
        overhead: Amount = float(plan.overhead_nano)
        if plan.overhead_request_nano and load.requests:
            each = plan.overhead_request_nano * load.requests
            overhead = overhead + each * multiples * split.served
        inference = load.cost_nano * multiples
        return ManyBills(
            revenue_nano=revenue,
            inference_nano=inference if split.served is ALL else inference * split.served,
            fees_nano=fees,
            overhead_nano=overhead,
            lots=split.lots,
        )

    def _charges(self, split: _Split, paid: Amount) -> tuple[Amount, Amount]:
        """Net revenue and fees, the mean of who pays by the month and by the year."""
        parts = [
            (weight, self._charge(split, base * paid, paid, yearly=yearly))
            for weight, base, yearly in self._payers
        ]
        if len(parts) == 1:
            return parts[0][1]
        revenue: Amount = sum((weight * one for weight, (one, _) in parts), 0.0)
        fees: Amount = sum((weight * fee for weight, (_, fee) in parts), 0.0)
        return revenue, fees

    def _charge(
        self, split: _Split, base: Amount, paid: Amount, *, yearly: bool
    ) -> tuple[Amount, Amount]:
        """Net revenue and the processor's fees of one kind of payer."""
        plan = self.plan
        limited: Any = base + split.charged_nano * paid
        if plan.minimum_nano:
            limited = np.maximum(limited, plan.minimum_nano * paid)
        if plan.maximum_nano is not None:
            limited = np.minimum(limited, plan.maximum_nano * paid)
        revenue = limited / self._taxed if plan.tax_included else limited
        due = revenue * self._taxed
        fees: Amount = due * self._fee_share if self._fee_share else 0.0
        if not plan.fee_fixed_nano:
            return revenue, fees
        # Whether somebody pays decides, and not how much.
        always = isinstance(base, float) and base > 0 and plan.maximum_nano != 0
        payments: Any = 1.0 if always else (np.asarray(due) > 0) * 1.0
        if yearly:
            for_base = (np.asarray(base) > 0) / MONTHS_A_YEAR
            payments = payments * (for_base + self._more(split, base, paid))
        return revenue, fees + plan.fee_fixed_nano * payments

    def _more(self, split: _Split, base: Amount, paid: Amount) -> Any:
        """Whether the month is charged more than its part of the year's payment.

        Asked of the parts: in their sum a charge below a float's step would be lost.
        """
        plan = self.plan
        more = np.asarray(split.charged_nano * paid) > 0
        if plan.minimum_nano:
            more = more | np.asarray(plan.minimum_nano * paid > base)
        if plan.maximum_nano is not None:
            more = more & np.asarray(plan.maximum_nano * paid > base)
        return more * 1.0

    def _split(self, multiples: Floats) -> _Split:
        """The charge for usage beyond the first allowance that ends, or the stop there."""
        if self._end == NO_LIMIT:
            return _Split(0.0)
        if self.plan.overage is None:
            return _Split(0.0, np.minimum(1.0, self._end / np.maximum(multiples, _TINY)))
        return _Split(np.maximum(multiples - self._end, 0.0) * self._beyond_nano)

    def _credits(self, multiples: Floats, lots: Floats | None) -> _Split:
        """Credits spent, the soonest to expire first, and the rest bought or not let happen."""
        prepaid = self.plan.credits
        assert prepaid is not None
        wanted = multiples * _worth(prepaid, self.load)
        had: Amount = float(prepaid.granted)
        after = None
        if keeps_credits(self.plan):
            rows = 1 if prepaid.months is None else prepaid.months
            after = np.zeros((rows, len(multiples))) if lots is None else lots.copy()
            after[-1] += prepaid.granted
            had = after.sum(axis=0)
        missing: Floats = np.maximum(wanted - had, 0.0)
        if after is not None:
            after = _spent(after, wanted - missing, expire=prepaid.months is not None)
        if prepaid.price_nano is not None:
            return _Split(missing * prepaid.price_nano, lots=after)
        return _Split(0.0, 1.0 - missing / np.maximum(wanted, _TINY), after)


#: Nothing is stopped.
ALL = 1.0
#: Who used nothing is served in full.
_TINY = 1e-300


def _allowance(plan: Plan, load: Load) -> tuple[float, float]:
    """The multiple at which the first allowance ends, and what each multiple beyond it pays."""
    included, units, over = plan.included, plan.units(plan.seats), plan.overage
    pairs = (
        (included.tokens, load.tokens),
        (included.cost_nano, load.cost_nano),
        (included.requests, load.requests),
    )
    limits = [
        limit * units / amount if amount else NO_LIMIT
        for limit, amount in pairs
        if limit is not None
    ]
    end = min(limits, default=NO_LIMIT)
    if over is None:
        return end, 0.0
    if over.per_million_nano is not None:
        return end, over.per_million_nano * load.tokens / MILLION
    if over.per_request_nano is not None:
        return end, over.per_request_nano * load.requests
    assert over.markup is not None
    return end, float(1 + over.markup) * load.cost_nano


def _worth(prepaid: Credits, load: Load) -> float:
    """Credits that a customer at multiple 1 spends."""
    if prepaid.tokens is not None:
        return load.tokens / prepaid.tokens
    if prepaid.requests is not None:
        return load.requests / prepaid.requests
    assert prepaid.cost_nano is not None
    return load.cost_nano / prepaid.cost_nano


def _spent(lots: Floats, spent: Floats, *, expire: bool) -> Floats:
    """Lots after a month: what ran out is gone, the others are a month nearer to it."""
    for row in lots:
        taken = np.minimum(row, spent)
        row -= taken  # In place: rows are views.
        spent = spent - taken
    if not expire:
        return lots
    later = np.zeros_like(lots)
    later[:-1] = lots[1:]
    return later
