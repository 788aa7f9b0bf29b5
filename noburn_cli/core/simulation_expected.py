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

from noburn_cli.core.simulation_bill import ManyBills, Tariff, keeps_credits
from noburn_cli.core.simulation_population import Population
from noburn_cli.core.simulation_scenario import Scenario, Segment, population
from noburn_cli.core.simulation_usage import Floats


@dataclass(frozen=True)
class Month:
    """Expected sums of one month (or of several), in nano-dollars.

    payers: customers of plans that cost something; under_water: those of them who lose money.
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
    customers = _Customers(scenario, segment, nodes)
    found = [Month()] * scenario.months
    for start, came in enumerate(people.arrivals):
        count = (scenario.customers if start == 0 else came) * segment.share
        if not count:
            continue
        for age, alive in enumerate(people.alive[place][start]):
            one = customers.at(start, age)
            found[start + age] = found[start + age] + one.times(count * alive)
    return tuple(found)


class _Customers:
    """One customer's expected month, worked out once for all months that are alike."""

    def __init__(self, scenario: Scenario, segment: Segment, nodes: tuple[Floats, Floats]) -> None:
        self._scenario, self._segment = scenario, segment
        self._multiples, self._weights = nodes
        self._keeps = keeps_credits(segment.plan)
        if self._keeps:  # A customer of each start is followed: a tenth of the nodes will do.
            self._multiples, self._weights = _fewer(*nodes)
        self._tariffs: dict[object, Tariff] = {}
        self._known: dict[object, Month] = {}
        self._lots: Floats | None = None

    def at(self, start: int, age: int) -> Month:
        """The customer who came in month `start`, `age` months later; ages are asked in order."""
        trial = min(max(self._segment.trial_months - age, 0.0), 1.0) if start else 0.0
        plan = self._scenario.plan_in(self._segment, start + age)
        load = self._scenario.load_in(self._segment, start + age)
        key = (plan, load)
        if key not in self._tariffs:
            self._tariffs[key] = Tariff(plan, load)
        if self._keeps:
            bills = self._tariffs[key].bill(
                self._multiples, trial=trial, lots=self._lots if age else None
            )
            self._lots = bills.lots
            return _summed(bills, self._weights, paying=self._segment.paying)
        if (key, trial) not in self._known:
            bills = self._tariffs[key].bill(self._multiples, trial=trial)
            self._known[key, trial] = _summed(bills, self._weights, paying=self._segment.paying)
        return self._known[key, trial]


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
