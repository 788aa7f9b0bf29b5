"""What a customer is sold: a price, what it includes, what more costs, and what goes off.

Layer: core (pure).  Below: core.money, errors.  Above: core.plan_billing, core.plan_files, margin,
simulate and pnl.
Owns: Plan and its parts, and which of them go together.
Not here: the arithmetic of a month (`bill` in core.plan_billing), files (core.plan_files).

Prices are whole nano-dollars, shares exact fractions of 1.  What is "per seat" counts as often as
the customer has seats, unless the plan is `per_customer`: then the price and what it includes hold
for the whole customer.  Nothing is taken for granted: a plan without fees pays none.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from typing import NamedTuple

from noburn_cli.errors import UsageError

ZERO = Fraction(0)
ONE = Fraction(1)
MILLION = 1_000_000
#: Longer than this a credit lasts for ever, as far as a business can plan.
CREDIT_MONTHS_MAX = 120
#: More seats than any employer has people; a figure above is a slip of the keyboard.
SEATS_MAX = 10_000_000
#: A trial of more than a year is a free plan.
TRIAL_DAYS_MAX = 366


class Kind(Enum):
    """How a plan earns; follows from what it has, and is never said."""

    FLAT = "flat"
    SEAT = "seat"
    USAGE = "usage"
    HYBRID = "hybrid"
    CREDITS = "credits"
    FREE = "free"


class Included(NamedTuple):
    """Usage that the price pays for, a month: whichever is given and used up first ends it.

    cost_nano: usage at what it costs us, in nano-dollars.  None: without a limit.
    """

    tokens: int | None = None
    cost_nano: int | None = None
    requests: int | None = None

    @property
    def unlimited(self) -> bool:
        return self.tokens is None and self.cost_nano is None and self.requests is None


UNLIMITED = Included()


@dataclass(frozen=True)
class Overage:
    """What usage beyond the included costs the customer: exactly one of three.

    Tax is inside it, or comes on top, as with the plan's price.

    per_million_nano: nano-dollars per million tokens.  per_request_nano: per request.
    markup: what it costs us and this share of it on top; 0 passes the cost on as it is.
    """

    per_million_nano: int | None = None
    per_request_nano: int | None = None
    markup: Fraction | None = None

    @property
    def nothing(self) -> Included:
        """An allowance of nothing, in what this overage counts: all usage is paid for."""
        if self.per_million_nano is not None:
            return Included(tokens=0)
        return Included(cost_nano=0) if self.markup is not None else Included(requests=0)

    def __post_init__(self) -> None:
        said = (self.per_million_nano, self.per_request_nano, self.markup)
        if sum(one is not None for one in said) != 1:
            raise UsageError(
                "an overage has one price",
                why="it is per million tokens, per request, or the cost with a markup",
                next_step="say one of them",
            )


@dataclass(frozen=True)
class Credits:
    """Prepaid units: a month's grant, and more for money.

    A credit pays for exactly one of: `tokens`, `requests`, or `cost_nano` of usage at our cost.
    granted: per month, in the plan's price.  price_nano: of one more; None sells no more, and usage
    stops.  months: how many a credit lasts, the month of its grant included, CREDIT_MONTHS_MAX at
    most; None is for ever.
    Bought credits are bought as needed, in any fraction: what a larger pack leaves over pays for
    the next month, so that the months' mean is the same.
    """

    granted: int = 0
    price_nano: int | None = None
    tokens: int | None = None
    requests: int | None = None
    cost_nano: int | None = None
    months: int | None = 1

    def __post_init__(self) -> None:
        said = [one for one in (self.tokens, self.requests, self.cost_nano) if one is not None]
        if len(said) != 1 or said[0] <= 0:
            raise UsageError(
                "a credit pays for one thing",
                why="it is worth some tokens, some requests, or some dollars of usage, above 0",
                next_step="say one of them",
            )
        if self.months is not None and self.months < 1:
            raise UsageError("a credit lasts a month at least", next_step="say months >= 1")
        if self.months is not None and self.months > CREDIT_MONTHS_MAX:
            raise UsageError(
                f"a credit lasts {CREDIT_MONTHS_MAX} months at most, or for ever",
                why=f"{self.months:,} months were said",
                next_step='say months = "forever"',
            )


def _within(what: str, value: int, least: int, most: int) -> None:
    """Raises UsageError."""
    if not least <= value <= most:
        raise UsageError(
            f"a plan has {least} to {most:,} {what}",
            why=f"{value:,} were said",
            next_step=f"say at most {most:,}" if value > most else f"say at least {least}",
        )


@dataclass(frozen=True)
class Plan:
    """What one customer pays in a month, and what goes off besides tokens.

    price_nano: nano-dollars per seat and month, >= 0, at the monthly rate.
    seats: of a customer who says no number of their own.
    yearly_discount: off the price for who pays a year at once; yearly_share: how many of them do.
    discount: off the price for all, such as a coupon; not off overage and credits.
    overage: None beside a limit of `included` stops usage there; unlimited usage has none.
    minimum_nano, maximum_nano: what a customer's month is charged at least and at most, before tax.
    tax: its share, on top of prices; or, `tax_included`, inside them.
    fee_share, fee_fixed_nano: the card processor's part of a payment, tax included.
    overhead_nano, overhead_request_nano: what else a customer, and a request, costs.
    trial_days: free days at the start; core.plan_billing takes the share of a month that they are.
    """

    price_nano: int
    name: str = ""
    seats: int = 1
    per_customer: bool = False
    yearly_discount: Fraction = ZERO
    yearly_share: Fraction = ZERO
    discount: Fraction = ZERO
    included: Included = UNLIMITED
    overage: Overage | None = None
    credits: Credits | None = None
    minimum_nano: int = 0
    maximum_nano: int | None = None
    tax: Fraction = ZERO
    tax_included: bool = False
    fee_share: Fraction = ZERO
    fee_fixed_nano: int = 0
    overhead_nano: int = 0
    overhead_request_nano: int = 0
    trial_days: int = 0

    def __post_init__(self) -> None:
        if self.price_nano < 0:
            raise UsageError("a plan's price is 0 or more")
        _within("seats", self.seats, 1, SEATS_MAX)
        _within("trial days", self.trial_days, 0, TRIAL_DAYS_MAX)
        if self.maximum_nano is not None and self.maximum_nano < self.minimum_nano:
            raise UsageError("a plan's maximum is below its minimum")
        if self.credits is not None and (self.overage or not self.included.unlimited):
            raise UsageError(
                "credits go with neither an allowance nor an overage",
                why="what is granted is the allowance, and the price of a credit the overage",
                next_step="say `granted` and `price` of the credits instead",
            )
        if self.overage is not None:
            self._check_overage(self.overage)

    def _check_overage(self, overage: Overage) -> None:
        """An overage is counted in what the allowance is counted in, or in our cost."""
        included = self.included
        if included.unlimited:
            raise UsageError(
                "an overage needs something that it is beyond",
                why="the plan includes any usage",
                next_step="say what is included, which may be nothing",
            )
        others = {
            "tokens": overage.per_million_nano is not None and (
                included.cost_nano is not None or included.requests is not None
            ),
            "requests": overage.per_request_nano is not None and (
                included.cost_nano is not None or included.tokens is not None
            ),
        }  # fmt: skip
        for unit, mixed in others.items():
            if mixed:
                raise UsageError(
                    f"an overage per {unit} goes with an allowance in {unit}",
                    why="of an allowance in something else nobody can say how many are beyond it",
                    next_step=f"include {unit}, or charge the cost with a markup (20%)"
                    + (", or say it by the request (0.02/req)" if included.requests else ""),
                )

    @property
    def kind(self) -> Kind:
        if self.credits is not None:
            return Kind.CREDITS
        if self.overage is not None:
            return Kind.HYBRID if self.price_nano else Kind.USAGE
        if not self.price_nano and not self.minimum_nano:
            return Kind.FREE
        return Kind.FLAT if self.per_customer else Kind.SEAT

    @property
    def counts_requests(self) -> bool:
        """Whether a bill depends on how many requests there are."""
        over, sold = self.overage, self.credits
        return bool(
            self.overhead_request_nano
            or self.included.requests is not None
            or (over is not None and over.per_request_nano is not None)
            or (sold is not None and sold.requests is not None)
        )

    def requests_unknown(self, next_step: str) -> UsageError:
        """The error where it does, and nobody said."""
        named = f"plan `{self.name}`" if self.name else "this plan"
        return UsageError(
            f"{named} counts requests, and nobody said how many there are",
            why="without them its overhead, allowance or overage would be taken for none",
            next_step=next_step,
        )

    def units(self, seats: int) -> int:
        """How often the price and the allowance count for so many seats."""
        return 1 if self.per_customer else seats
