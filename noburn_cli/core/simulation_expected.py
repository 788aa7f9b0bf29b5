"""What a business earns on the mean, without chance: an exact sum over the shape of usage.

Layer: core (pure, numpy).  Below: core.simulation_scenario, core.simulation_bill.
Above: core.simulation_levers, core.simulation_sensitivity, core.simulation_summary.
Owns: the expectation that the drawn futures spread around; a test holds the two together.
Not here: anything that depends on how many customers there are (core.simulation_turning).

A customer-month's expectation is the sum over the shape's nodes of weight x bill, and a month's is
that of a customer of each age times how many of that age are expected.  It answers in milliseconds,
so that a lever can be solved for and every assumption be moved.
Credits that last beyond their month are spent by a customer whose months are alike: with months
that differ a little more of them is used.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from noburn_cli.core.plans import Plan
from noburn_cli.core.simulation_bill import Load, ManyBills, Tariff, keeps_credits
from noburn_cli.core.simulation_population import Population
from noburn_cli.core.simulation_scenario import Scenario, Segment, population
from noburn_cli.core.simulation_usage import Floats


@dataclass(frozen=True)
class Month:
    """Expected sums of one month (or of several), in nano-dollars.

    payers: customers of plans that cost something, whose month is not all trial; under_water: those
    of them who lose money.
    """

    customers: float = 0.0
    payers: float = 0.0
    revenue_nano: float = 0.0
    inference_nano: float = 0.0
    fees_nano: float = 0.0
    overhead_nano: float = 0.0
    under_water: float = 0.0
    lost_nano: float = 0.0

    def __add__(self, other: Month) -> Month:
        return Month(*(a + b for a, b in zip(self.parts(), other.parts(), strict=True)))

    def times(self, count: float) -> Month:
        return Month(*(count * part for part in self.parts()))

    def parts(self) -> tuple[float, ...]:
        return (
            self.customers, self.payers, self.revenue_nano, self.inference_nano, self.fees_nano,
            self.overhead_nano, self.under_water, self.lost_nano,
        )  # fmt: skip

    @property
    def margin_nano(self) -> float:
        return self.revenue_nano - self.inference_nano - self.fees_nano - self.overhead_nano

    @property
    def margin_share(self) -> float | None:
        """Of revenue; None where there is none."""
        return self.margin_nano / self.revenue_nano if self.revenue_nano else None

    @property
    def under_water_share(self) -> float:
        """Of the customers who pay."""
        return self.under_water / self.payers if self.payers else 0.0


@dataclass(frozen=True)
class Outlook:
    """Expectations by segment and month, in the scenario's order."""

    by_segment: tuple[tuple[Month, ...], ...]

    @property
    def months(self) -> tuple[Month, ...]:
        """All segments together."""
        return tuple(sum(column, Month()) for column in zip(*self.by_segment, strict=True))

    @property
    def total(self) -> Month:
        """All months together; customers become customer-months."""
        return sum(self.months, Month())


def expect(scenario: Scenario, *, coarse: bool = False) -> Outlook:
    """The expectation of every month and segment.

    coarse: a tenth of the nodes, for who asks often: sums of money are out by 1e-5 at most, shares
    of customers by 2e-3.
    """
    people = population(scenario)
    nodes = _fewer(*scenario.shape.nodes()) if coarse else scenario.shape.nodes()
    return Outlook(
        tuple(_segment(scenario, place, people, nodes) for place in range(len(scenario.segments)))
    )


def mean_customer(scenario: Scenario, segment: Segment, *, month: int = 0) -> Month:
    """The expectation of one customer of a segment whose trial, if any, is over."""
    tariff = Tariff(scenario.plan_in(segment, month), scenario.load_in(segment, month))
    multiples, weights = scenario.shape.nodes()
    return _summed(tariff.bill(multiples), weights, paying=segment.paying)


def _segment(
    scenario: Scenario, place: int, people: Population, nodes: tuple[Floats, Floats]
) -> tuple[Month, ...]:
    segment = scenario.segments[place]
    months = [_month(scenario, segment, month) for month in range(scenario.months)]
    counts = _counts(scenario, place, people)
    if keeps_credits(segment.plan):
        return _followed(segment, months, counts, _fewer(*nodes))
    known: dict[object, Month] = {}
    found = []
    for number, (plan, load) in enumerate(months):
        tariff = None
        total = Month()
        for trial, count in _by_trial(segment, counts, number).items():
            key = (plan, load, trial)
            if key not in known:
                tariff = tariff or Tariff(plan, load)
                bills = tariff.bill(nodes[0], trial=trial)
                known[key] = _summed(bills, nodes[1], paying=segment.paying and trial < 1)
            total = total + known[key].times(count)
        found.append(total)
    return tuple(found)


def _month(scenario: Scenario, segment: Segment, month: int) -> tuple[Plan, Load]:
    return scenario.plan_in(segment, month), scenario.load_in(segment, month)


def _counts(scenario: Scenario, place: int, people: Population) -> list[list[float]]:
    """Customers who are expected, by month of arrival and month."""
    share = scenario.segments[place].share
    arrivals = [float(scenario.customers), *people.arrivals[1:]]
    return [
        [0.0] * start + [came * share * alive for alive in people.alive[place][start]]
        for start, came in enumerate(arrivals)
    ]


def _by_trial(segment: Segment, counts: list[list[float]], month: int) -> dict[float, float]:
    """How many there are in a month, by the part of it that is a trial."""
    found: dict[float, float] = {}
    for start in range(month + 1):
        trial = _trial(segment, start, month)
        found[trial] = found.get(trial, 0.0) + counts[start][month]
    return found


def _trial(segment: Segment, start: int, month: int) -> float:
    return min(max(segment.trial_months - (month - start), 0.0), 1.0) if start else 0.0


def _followed(
    segment: Segment,
    months: list[tuple[Plan, Load]],
    counts: list[list[float]],
    nodes: tuple[Floats, Floats],
) -> tuple[Month, ...]:
    """Customers whose credits last: those of each start are followed month by month."""
    tariffs = [Tariff(plan, load) for plan, load in months]
    found = [Month()] * len(months)
    for start in range(len(months)):
        lots: Floats | None = None
        for month in range(start, len(months)) if counts[start][start] else ():
            trial = _trial(segment, start, month)
            bills = tariffs[month].bill(nodes[0], trial=trial, lots=lots)
            lots = bills.lots
            one = _summed(bills, nodes[1], paying=segment.paying and trial < 1)
            found[month] = found[month] + one.times(counts[start][month])
    return tuple(found)


def _fewer(multiples: Floats, weights: Floats, *, by: int = 10) -> tuple[Floats, Floats]:
    """The same shape in a tenth of the nodes: neighbours are joined at their mean."""
    if len(multiples) < 10_000:
        return multiples, weights
    starts = np.arange(0, len(multiples), by)
    joined = np.add.reduceat(weights, starts)
    return np.add.reduceat(weights * multiples, starts) / joined, joined


def _summed(bills: ManyBills, weights: Floats, *, paying: bool) -> Month:
    """The expectation of one customer's lines."""
    margin = np.broadcast_to(np.asarray(bills.margin_nano), weights.shape)
    return Month(
        customers=1.0,
        payers=float(paying),
        revenue_nano=_mean(bills.revenue_nano, weights),
        inference_nano=_mean(bills.inference_nano, weights),
        fees_nano=_mean(bills.fees_nano, weights),
        overhead_nano=_mean(bills.overhead_nano, weights),
        under_water=float(weights[margin < 0].sum()) if paying else 0.0,
        lost_nano=-float((weights * np.minimum(margin, 0.0)).sum()) if paying else 0.0,
    )


def _mean(amount: Floats | float, weights: Floats) -> float:
    return float(amount) if isinstance(amount, float) else float((weights * amount).sum())
