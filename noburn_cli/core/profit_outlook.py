"""Who will be under water by the end of the month: a projection with its basis and interval.

Layer: core (pure, given today).  Below: core.profit, core.recognition.  Above: profit.outlooks.
Owns: what is projected from what, and when there is too little to say anything:
- Inference: the mean cost of a day, over the whole days of the last four weeks since the customer's
  first call, for the rest of the month; of at least BASIS_DAYS_MIN days.
- Revenue that was billed for the month is known.  A subscription whose last period ends within the
  month, and not before yesterday, is taken to renew at the same price by day.  Revenue by use is
  what the customer's plan charges for the month's usage, grown as inference is; without a plan
  that says so it grows with inference.
- Overhead and fees: as in the month so far, per day.
The interval is for one customer's costs: 80 % of the ends of months would lie in it if days were
alike and independent.  Statistics are floats; no amount that was earned or spent is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from noburn_cli.core.profit import Figures

BASIS_DAYS = 28
BASIS_DAYS_MIN = 7
#: Student's t at 90 % (80 % of both sides) by degrees of freedom from 6 to 27, three decimals:
#: https://www.itl.nist.gov/div898/handbook/eda/section3/eda3672.htm
_T_90 = (
    *(1.440, 1.415, 1.397, 1.383, 1.372, 1.363, 1.356, 1.350, 1.345, 1.341, 1.337, 1.333, 1.330),
    *(1.328, 1.325, 1.323, 1.321, 1.319, 1.318, 1.316, 1.315, 1.314),
)

# What is said of a customer.
UNDER_WATER = "under water"  # now, in the month so far
WILL_BE = "will be under water"  # the whole interval is
LIKELY = "likely under water"  # the projection is
MAY_BE = "may be under water"  # only the bad end of the interval is
FINE = "above water"
TOO_EARLY = "too early to say"


@dataclass(frozen=True)
class Basis:
    """What a projection stands on.

    daily_nano: inference of the last whole days, oldest first.  days_left: of the month, today's
    rest included.  known_nano: net revenue billed for the whole month, use left out.
    renewed_nano: of subscriptions that are taken to renew.
    by_use: the month's revenue by use where inference grows to so many times what it is; None where
    no plan says it.
    """

    daily_nano: Sequence[int]
    days_left: Fraction
    days_so_far: Fraction
    known_nano: int
    renewed_nano: int
    by_use: Callable[[Fraction], int] | None = None


@dataclass(frozen=True)
class Outlook:
    """The month's end for one customer; amounts in nano-dollars, None while it is too early.

    low_nano, high_nano: the margin at the ends of the interval.
    """

    customer: str
    verdict: str
    now: Figures
    basis_days: int
    cost_nano: int | None = None
    revenue_nano: int | None = None
    margin_nano: int | None = None
    low_nano: int | None = None
    high_nano: int | None = None
    renewed_nano: int = 0


def outlook_of(customer: str, now: Figures, basis: Basis) -> Outlook:
    """Project one customer's month.  now: the figures of the month so far."""
    under = now.margin_nano < 0
    count = len(basis.daily_nano)
    if count < BASIS_DAYS_MIN:
        return Outlook(customer, UNDER_WATER if under else TOO_EARLY, now, count)
    left = float(basis.days_left)
    mean = sum(basis.daily_nano) / count
    variance = sum((one - mean) ** 2 for one in basis.daily_nano) / (count - 1)
    spread = _T_90[count - BASIS_DAYS_MIN] * math.sqrt(variance * (left + left * left / count))
    ends = [_end(now, basis, max(0, round(mean * left + side * spread))) for side in (0, 1, -1)]
    (margin, cost, revenue_), (low, *_), (high, *_) = ends
    low, high = min(low, high), max(low, high)
    return Outlook(
        customer, _verdict(under, margin, low, high), now, count, cost, revenue_, margin, low,
        high, basis.renewed_nano,
    )  # fmt: skip


def _end(now: Figures, basis: Basis, more_nano: int) -> tuple[int, int, int]:
    """(margin, cost, net revenue) at the month's end, with so much more inference."""
    cost = now.cost_nano + more_nano
    growth = Fraction(cost, now.cost_nano) if now.cost_nano > 0 else Fraction(1)
    by_use = round(now.usage_nano * growth) if basis.by_use is None else basis.by_use(growth)
    net = basis.known_nano + basis.renewed_nano + by_use
    other = now.overhead_nano - now.fees_nano
    if basis.days_so_far > 0:
        other = round(other * (basis.days_so_far + basis.days_left) / basis.days_so_far)
    return net - cost - other, cost, net


def _verdict(under: bool, margin: int, low: int, high: int) -> str:
    if under:
        return UNDER_WATER
    if high < 0:
        return WILL_BE
    if margin < 0:
        return LIKELY
    return MAY_BE if low < 0 else FINE


def daily_series(
    costs: Mapping[int, int], *, today: int, first_call: int | None
) -> tuple[int, ...]:
    """Cost by day of the whole days before today that count, zeros included, oldest first."""
    if first_call is None:
        return ()
    begin = max(today - BASIS_DAYS, first_call)
    return tuple(costs.get(day, 0) for day in range(begin, today))
