"""What many futures say: each figure with its spread.

Layer: core (pure, numpy).  Below: core.simulation_engine.  Above: core.simulation_findings.
Owns: Spread, MonthSpread, and which futures count where nothing was earned.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from noburn_cli.core.simulation_engine import (
    CUSTOMERS,
    FEES,
    INFERENCE,
    LOST,
    OVERHEAD,
    PAYERS,
    REVENUE,
    UNDER_WATER,
    Futures,
)
from noburn_cli.core.simulation_usage import Floats


@dataclass(frozen=True)
class Spread:
    """One figure over the futures: nineteen of twenty are above p5, half above p50.

    None where no future has the figure (a margin without revenue).
    """

    p5: float | None
    p50: float | None
    p95: float | None


@dataclass(frozen=True)
class MonthSpread:
    """A month (from 1), or all of them (0).  Amounts in nano-dollars, shares of 1.

    payers: customers of plans that cost something, whose month is not all trial; under_water: their
    share who lose money.
    result: the margin less the fixed costs.  reached: in how many futures the margin is the target
    or more.
    """

    month: int
    customers: Spread
    payers: Spread
    revenue: Spread
    inference: Spread
    margin: Spread
    margin_share: Spread
    result: Spread
    under_water: Spread
    lost: Spread
    reached: float


@dataclass(frozen=True)
class PlanSpread:
    """One plan over all months.  cost_share: its part of all inference."""

    name: str
    paying: bool
    customers: Spread
    revenue: Spread
    inference: Spread
    cost_share: Spread
    margin: Spread
    margin_share: Spread
    under_water: Spread


@dataclass(frozen=True)
class Summary:
    """The futures in figures.

    top_share, largest: of the cost in the first month and in the last, the heaviest tenth's part
    and the heaviest customer's.
    """

    months: tuple[MonthSpread, ...]
    total: MonthSpread
    plans: tuple[PlanSpread, ...]
    top_share: tuple[Spread, Spread]
    largest: tuple[Spread, Spread]


def summarise(
    futures: Futures, names: list[str], paying: list[bool], *, fixed_nano: float, target: float
) -> Summary:
    """names, paying: of the segments, in order."""
    by_month = futures.sums.sum(axis=1)
    count = by_month.shape[1]
    return Summary(
        months=tuple(
            _month(month + 1, by_month[:, month], fixed_nano, target) for month in range(count)
        ),
        total=_month(0, by_month.sum(axis=1), fixed_nano * count, target),
        plans=tuple(
            _plan(name, paying[place], futures.sums[:, place].sum(axis=1), by_month.sum(axis=1))
            for place, name in enumerate(names)
        ),
        top_share=(_spread(futures.top_share[:, 0]), _spread(futures.top_share[:, 1])),
        largest=(_spread(futures.largest[:, 0]), _spread(futures.largest[:, 1])),
    )


def _margin(sums: Floats) -> Floats:
    found: Floats = sums[:, REVENUE] - sums[:, INFERENCE] - sums[:, FEES] - sums[:, OVERHEAD]
    return found


def _over(parts: Floats, whole: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Floats = np.where(whole > 0, parts / whole, np.nan)
    return found


def _spread(values: Floats) -> Spread:
    known = values[~np.isnan(values)]
    if not len(known):
        return Spread(None, None, None)
    return Spread(*(float(one) for one in np.quantile(known, (0.05, 0.5, 0.95))))


def _month(number: int, sums: Floats, fixed_nano: float, target: float) -> MonthSpread:
    margin = _margin(sums)
    share = _over(margin, sums[:, REVENUE])
    return MonthSpread(
        month=number,
        customers=_spread(sums[:, CUSTOMERS]),
        payers=_spread(sums[:, PAYERS]),
        revenue=_spread(sums[:, REVENUE]),
        inference=_spread(sums[:, INFERENCE]),
        margin=_spread(margin),
        margin_share=_spread(share),
        result=_spread(margin - fixed_nano),
        under_water=_spread(_over(sums[:, UNDER_WATER], sums[:, PAYERS])),
        lost=_spread(sums[:, LOST]),
        reached=float(np.mean(share >= target)),
    )


def _plan(name: str, paying: bool, sums: Floats, everybody: Floats) -> PlanSpread:
    margin = _margin(sums)
    return PlanSpread(
        name=name,
        paying=paying,
        customers=_spread(sums[:, CUSTOMERS]),
        revenue=_spread(sums[:, REVENUE]),
        inference=_spread(sums[:, INFERENCE]),
        cost_share=_spread(_over(sums[:, INFERENCE], everybody[:, INFERENCE])),
        margin=_spread(margin),
        margin_share=_spread(_over(margin, sums[:, REVENUE])),
        under_water=_spread(_over(sums[:, UNDER_WATER], sums[:, PAYERS])),
    )
