"""Who will be under water by the end of the month: a projection with its basis and interval.

Layer: core (pure, given today).  Below: core.profit, core.recognition.  Above: profit.outlooks.
Owns: what is projected from what:
- Inference: as it is forecast (reports.forecast, the same for a customer as for everything).
- Revenue that was billed for the month is known.  A subscription whose last period ends within the
  month, and not before yesterday, is taken to renew at the same price by day.  Revenue by use is
  what the customer's plan charges for the month's usage, grown as inference is; without a plan
  that says so it grows with inference.
- Overhead and fees: as in the month so far, per day.
The interval is that of the forecast of one customer's inference.  Statistics are floats; no amount
that was earned or spent is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from noburn_cli.core.profit import Figures

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

    basis_days: the whole days that were learned from.  cost_nano: the month's inference at its end,
    expected, and at the low and high end of the interval; None while it is too early.
    days_left: of the month, today's rest included.  known_nano: net revenue billed for the whole
    month, use left out.
    renewed_nano: of subscriptions that are taken to renew.
    by_use: the month's revenue by use where inference grows to so many times what it is; None where
    no plan says it.
    """

    basis_days: int
    cost_nano: tuple[int, int, int] | None
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
    if basis.cost_nano is None:
        return Outlook(customer, UNDER_WATER if under else TOO_EARLY, now, basis.basis_days)
    ends = [_end(now, basis, cost) for cost in basis.cost_nano]
    (margin, revenue_), (first, _), (last, _) = ends
    low, high = min(first, last), max(first, last)
    return Outlook(
        customer, _verdict(under, margin, low, high), now, basis.basis_days, basis.cost_nano[0],
        revenue_, margin, low, high, basis.renewed_nano,
    )  # fmt: skip


def _end(now: Figures, basis: Basis, cost: int) -> tuple[int, int]:
    """(margin, net revenue) at the month's end, with so much inference."""
    growth = Fraction(cost, now.cost_nano) if now.cost_nano > 0 else Fraction(1)
    by_use = round(now.usage_nano * growth) if basis.by_use is None else basis.by_use(growth)
    net = basis.known_nano + basis.renewed_nano + by_use
    other = now.overhead_nano - now.fees_nano
    if basis.days_so_far > 0:
        other = round(other * (basis.days_so_far + basis.days_left) / basis.days_so_far)
    return net - cost - other, net


def _verdict(under: bool, margin: int, low: int, high: int) -> str:
    if under:
        return UNDER_WATER
    if high < 0:
        return WILL_BE
    if margin < 0:
        return LIKELY
    return MAY_BE if low < 0 else FINE
