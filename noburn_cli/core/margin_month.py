"""A plan and what its customer uses, put together: one month, before and after caching and routing.

Layer: core (pure).  Below: core.economics, core.plan_billing, core.plan_usage, core.plans.
Above: core.margin_solving, core.margin_quantities, `noburn margin`.
Owns: Scenario, Month, and what a free tier adds.
Not here: a question with a number for an answer (core.margin_solving).

Tokens are those of a seat; a month is of the customer, all seats.  More tokens are more of the same
calls, feature by feature, so that cost and calls grow in proportion.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import NamedTuple

from noburn_cli.core.economics import Band, band_of, routing_saving
from noburn_cli.core.money import PICO_PER_NANO
from noburn_cli.core.plan_billing import PlanBill, PlanUsage, bill
from noburn_cli.core.plan_usage import PricedUse
from noburn_cli.core.plans import ONE, ZERO, Plan

#: Whose rates they are where nobody named a model or a rate.
REFERENCE_NAME = "the reference rate for input; name yours with --model or --rate"


class Levers(NamedTuple):
    """What makes the same answers cheaper.

    hits: the share of calls that a semantic cache answers, at no cost; they still count as used.
    routed: the share of the rest that a cheaper model answers; ratio: how many times cheaper.
    """

    hits: Fraction = ZERO
    routed: Fraction = ZERO
    ratio: Fraction | None = None

    @property
    def kept(self) -> Fraction:
        """The share of inference that is left."""
        routing = ZERO if self.ratio is None else routing_saving(self.routed, self.ratio)
        return (ONE - self.hits) * (ONE - routing)


class FreeUsers(NamedTuple):
    """Users who pay nothing.  per_payer: for each customer who pays.  nano: what one costs."""

    per_payer: Fraction = ZERO
    nano: Fraction = ZERO


class Scenario(NamedTuple):
    """A plan, and what a seat of its customer uses.

    rates_name: whose rates they are, for the reader.
    tokens: of a seat and month; None for the sum of the uses.
    """

    plan: Plan
    uses: tuple[PricedUse, ...]
    rates_name: str = ""
    tokens: int | None = None
    levers: Levers = Levers()
    free: FreeUsers = FreeUsers()

    @property
    def at_reference(self) -> bool:
        """Whether nobody said what tokens cost."""
        return self.rates_name == REFERENCE_NAME

    @property
    def stated_tokens(self) -> int:
        return sum(priced.use.tokens for priced in self.uses)

    @property
    def seat_tokens(self) -> int:
        return self.stated_tokens if self.tokens is None else self.tokens

    @property
    def rate_pico(self) -> Fraction:
        """Pico-dollars of an average token, before caching by `levers` and routing."""
        stated = self.stated_tokens
        if not stated:  # Nothing is used: the first use says what a token would cost.
            return self.uses[0].rate_pico if self.uses else ZERO
        cost = sum((priced.cost_nano for priced in self.uses), ZERO)
        return cost * PICO_PER_NANO / stated

    @property
    def calls_per_token(self) -> Fraction:
        """0 where nobody said how many calls."""
        stated = self.stated_tokens
        calls = sum(priced.use.calls or 0 for priced in self.uses)
        return Fraction(calls, stated) if stated else ZERO

    def usage(self) -> PlanUsage:
        """The customer's month, all seats, at what it costs with the levers."""
        tokens = self.seat_tokens * self.plan.seats
        return PlanUsage(
            cost_nano=tokens * self.rate_pico * self.levers.kept / PICO_PER_NANO,
            tokens=tokens,
            requests=tokens * self.calls_per_token,
        )


class Month(NamedTuple):
    """One month's lines of a scenario: its bill, and the free users that it pays for."""

    bill: PlanBill
    free_nano: Fraction

    @property
    def revenue_nano(self) -> Fraction:
        return self.bill.revenue_nano

    @property
    def margin_nano(self) -> Fraction:
        return self.bill.margin_nano - self.free_nano

    @property
    def margin_share(self) -> Fraction | None:
        """Gross margin as a share of revenue; None where there is no revenue."""
        return self.margin_nano / self.revenue_nano if self.revenue_nano else None

    @property
    def net_revenue_nano(self) -> Fraction:
        """Revenue as who only passes usage on would book it: without the cost passed on."""
        return self.revenue_nano - self.bill.passed_nano

    @property
    def net_margin_share(self) -> Fraction | None:
        """The same margin as a share of net revenue; None where that is not above 0."""
        net = self.net_revenue_nano
        return self.margin_nano / net if net > 0 else None

    @property
    def inference_share(self) -> Fraction | None:
        """Inference, free users' included, as a share of revenue; None without revenue."""
        if not self.revenue_nano:
            return None
        return (self.bill.inference_nano + self.free_nano) / self.revenue_nano

    @property
    def band(self) -> Band | None:
        """The margin's band.  A free plan that costs something is under water."""
        if self.margin_share is not None:
            return band_of(self.margin_share)
        return Band.UNDER_WATER if self.margin_nano < 0 else None


def month_of(scenario: Scenario) -> Month:
    """One month of a customer who pays, with the free users that come with them."""
    return Month(
        bill=bill(scenario.plan, scenario.usage()),
        free_nano=scenario.free.per_payer * scenario.free.nano,
    )


def free_user_nano(plan: Plan, uses: tuple[PricedUse, ...], levers: Levers) -> Fraction:
    """What a user of a free plan costs a month: tokens up to its allowance, and overhead."""
    month = month_of(Scenario(replace(plan, seats=1), uses, levers=levers))
    return -month.margin_nano


def points_won(scenario: Scenario) -> Fraction | None:
    """What the levers add to the margin's share of revenue; None without revenue."""
    without = month_of(scenario._replace(levers=Levers())).margin_share
    with_them = month_of(scenario).margin_share
    return None if without is None or with_them is None else with_them - without
