"""What the number of customers changes: when flat pricing turns, and how many pay the fixed costs.

Layer: core (pure, numpy; the seed is an argument).  Below: core.simulation_scenario,
core.simulation_bill, core.simulation_engine (its streams).  Above: core.simulation_findings.
Owns: Turning and its grid of numbers of customers.
Not here: growth over months (core.simulation_engine): this is the first month, at any size.

Usage has a heavy tail, so the mean of few customers is usually below the mean of all: fifty on a
flat price look fine, and with five hundred the few who use most are among them.  The margin of a
typical month (the median) therefore falls with the number of customers, down to the expectation.
Customers are drawn in sets of the largest number, and each set is cut into groups of every smaller
one: many groups tell a median well, and the lines of one number are comparable with the next's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from noburn_cli.core.simulation_bill import ManyBills, Tariff
from noburn_cli.core.simulation_scenario import Scenario
from noburn_cli.core.simulation_usage import Floats

#: Numbers of customers that are looked at, near enough to each other that a line between two is off
#: by a few of a hundred.
SIZES = (
    1, 5, 10, 20, 30, 40, 50, 60, 75, 100, 125, 150, 175, 200, 225, 250, 275, 300, 350, 400, 500,
    600, 750, 1000, 1250, 1500, 2000, 2500, 3000, 4000, 5000,
)  # fmt: skip
#: Sets of customers, and the groups of one number that a set is cut into at most: a median of fewer
#: than some thousand small groups would turn anywhere.
_SETS_MIN, _SETS_MAX = 100, 400
_GROUPS_MAX = 40
#: A stream of its own, beside those of the futures.
_PLACE = 2**31
#: "As good as always": nineteen months of twenty.
SURE = 0.95


@dataclass(frozen=True)
class Size:
    """The first month with so many customers; shares of revenue, NaN where nothing is earned.

    p5, p50, p95: the margin.  misses: how often it is below the target.
    under_water: paying customers whose month lost money, on the mean; lost: what they lost, as a
    share of revenue.  largest: the heaviest customer's part of the cost, in the median.
    covers: how often the customers' margin pays the fixed costs.
    """

    customers: int
    p5: float
    p50: float
    p95: float
    misses: float
    under_water: float
    lost: float
    largest: float
    covers: float


@dataclass(frozen=True)
class Turning:
    """How the first month depends on the number of customers.

    turns_at: from so many on a typical month misses the target; None where it never does (or always
    does: `always_misses`).  holds_from: from so many on it reaches it; None where it does not for
    good.  Numbers at which nothing is earned have no margin and say neither; where none earns, both
    are None.  sure_from: from so many on nineteen months of twenty reach it.
    covered_at: so many pay the fixed costs in nineteen months of twenty; None above the last size.
    """

    sizes: tuple[Size, ...]
    turns_at: int | None
    always_misses: bool
    holds_from: int | None
    sure_from: int | None
    covered_at: int | None

    @property
    def earns(self) -> bool:
        """Whether any number of customers brings revenue."""
        return any(not math.isnan(size.p50) for size in self.sizes)

    def at(self, customers: int) -> Size:
        """The size nearest to a number."""
        return min(self.sizes, key=lambda size: abs(math.log(size.customers / customers)))


def turning(scenario: Scenario) -> Turning:
    """Draw the customers once, and look at each number of them."""
    count = min(max(scenario.draws, _SETS_MIN), _SETS_MAX)
    sets = [_sums(scenario, number) for number in range(count)]
    sizes = tuple(
        _size(scenario, size, np.concatenate([one[place] for one in sets], axis=1))
        for place, size in enumerate(SIZES)
    )
    typical = [
        (size.customers, size.p50 - scenario.target) for size in sizes if not math.isnan(size.p50)
    ]
    return Turning(
        sizes=sizes,
        turns_at=_last_crossing(typical),
        always_misses=bool(typical) and all(left < 0 for _, left in typical),
        holds_from=_lasting(typical),
        sure_from=_lasting([(size.customers, 1 - SURE - size.misses) for size in sizes]),
        covered_at=_lasting([(size.customers, size.covers - SURE) for size in sizes]),
    )


def _size(scenario: Scenario, count: int, sums: Floats) -> Size:
    """What the groups of one number say.  sums: rows as `_sums` makes them."""
    revenue, margin, under, lost, largest, cost = sums
    share = _over(margin, revenue)
    return Size(
        customers=count,
        p5=_quantile(share, 0.05),
        p50=_quantile(share, 0.5),
        p95=_quantile(share, 0.95),
        misses=float(np.mean(~(share >= scenario.target))),
        under_water=float(under.mean()),
        lost=_quantile(_over(lost, revenue), 0.5),
        largest=_quantile(_over(largest, cost), 0.5),
        covers=float(np.mean(margin >= scenario.fixed_nano)),
    )


def _over(parts: Floats, whole: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Floats = np.where(whole > 0, parts / whole, np.nan)
    return found


def _quantile(values: Floats, at: float) -> float:
    known = values[~np.isnan(values)]
    return float(np.quantile(known, at)) if len(known) else float("nan")


#: A number of customers, and what is left above a border there.
Left = tuple[int, float]


def _last_crossing(excess: list[Left]) -> int | None:
    """Where what is left above a border is gone for good; between two sizes by its logarithm."""
    above = [place for place, (_, left) in enumerate(excess) if left >= 0]
    if not above or excess[-1][1] >= 0:
        return None
    return _between(excess[above[-1]], excess[above[-1] + 1])


def _lasting(excess: list[Left]) -> int | None:
    """From which number on it stays at 0 or above."""
    below = [place for place, (_, left) in enumerate(excess) if not left >= 0]
    if not below:
        return excess[0][0] if excess else None
    if below[-1] == len(excess) - 1:
        return None
    return _between(excess[below[-1]], excess[below[-1] + 1])


def _between(before: Left, after: Left) -> int:
    """The number between two sizes at which a straight line over ln(customers) meets 0."""
    part = before[1] / (before[1] - after[1]) if before[1] != after[1] else 1.0
    low, high = math.log(before[0]), math.log(after[0])
    return math.ceil(round(math.exp(low + part * (high - low)), 6))


def _sums(scenario: Scenario, number: int) -> list[Floats]:
    """Sums of one set, by number of customers: rows of figures, a column for each group."""
    stream = np.random.Generator(
        np.random.SFC64(np.random.SeedSequence(scenario.seed, spawn_key=(number, _PLACE)))
    )
    count = SIZES[-1]
    multiples = scenario.shape.multiples(stream.standard_normal(count))
    revenue, margin, cost, of_payers = np.zeros((4, count))
    kinds = _kinds(scenario, count)
    for place, segment in enumerate(scenario.segments):
        mine = kinds == place
        tariff = Tariff(scenario.plan_in(segment, 0), scenario.load_in(segment, 0))
        bills = tariff.bill(multiples[mine])
        revenue[mine], margin[mine] = bills.revenue_nano, _margin(bills)
        cost[mine] = bills.inference_nano
        if segment.paying:
            of_payers[mine] = margin[mine]
    added = np.array(
        [revenue, margin, of_payers < 0, -np.minimum(of_payers, 0.0), cost, cost], dtype=np.float64
    )
    found = []
    for size in SIZES:
        groups = min(count // size, _GROUPS_MAX)
        parts = added[:, : groups * size].reshape(len(added), groups, size)
        sums = parts.sum(axis=2)
        sums[4] = parts[4].max(axis=1)  # The heaviest customer's, and not their sum.
        found.append(sums)
    return found


def _margin(bills: ManyBills) -> Floats:
    return np.asarray(bills.margin_nano, dtype=np.float64)


def _kinds(scenario: Scenario, count: int) -> Floats:
    """The segment of each customer, spread evenly: any beginning has about the right shares."""
    golden = (math.sqrt(5) - 1) / 2
    places = (np.arange(count) * golden) % 1.0
    edges = np.cumsum([segment.share for segment in scenario.segments])
    found: Floats = np.searchsorted(edges / edges[-1], places, side="right").astype(np.float64)
    return found
