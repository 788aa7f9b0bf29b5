"""Many possible futures of one business, drawn.

Layer: core (pure, numpy; the seed is an argument).  Below: core.simulation_scenario,
core.simulation_bill, core.simulation_usage.  Above: core.simulation_summary, commands.simulate.
Owns: what is random, and from which stream it is drawn.
Not here: expectations (core.simulation_expected), what the futures mean (core.simulation_summary).

A future (a draw) has streams of its own, found from the seed, its number, the segment and the block
of customers: so futures can be drawn in any order and in pieces of any size, and the bytes are the
same.  Memory is a block of customers and one month of costs, whatever the number of futures.
Random are: how many customers come (Poisson around the expected number), how heavy each is, what
each month adds to that, when each leaves (geometric), and who stays after a trial.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from noburn_cli.core.simulation_bill import Amount, ManyBills, Tariff
from noburn_cli.core.simulation_population import TRIAL_MONTH_DAYS
from noburn_cli.core.simulation_scenario import Scenario, Segment, population
from noburn_cli.core.simulation_usage import Floats

#: Customers of one stream: small enough for a processor's cache, and part of what a seed means.
BLOCK = 16_384
#: What is added up over the customers of a month.
METRICS = ("customers", "revenue", "inference", "fees", "overhead", "under_water", "lost", "payers")
CUSTOMERS, REVENUE, INFERENCE, FEES, OVERHEAD, UNDER_WATER, LOST, PAYERS = range(len(METRICS))
#: The heaviest tenth.
TOP = 0.1
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Futures:
    """What came out: amounts in nano-dollars.

    sums: by draw, segment, month and METRICS.  `payers` are customers of plans that cost something
    whose month is not all trial; `under_water` counts those of them whose month lost money, `lost`
    is how much (positive).
    top_share: by draw, the heaviest tenth's part of the cost in the first and in the last month;
    largest: the heaviest customer's.  NaN where nothing was spent.
    """

    sums: Floats
    top_share: Floats
    largest: Floats

    @property
    def draws(self) -> int:
        return len(self.sums)


def draw_futures(
    scenario: Scenario,
    draws: Iterable[int] | None = None,
    *,
    progress: Callable[[int], None] | None = None,
) -> Futures:
    """Draw the futures with these numbers, all of the scenario's unless told.

    progress: is told how many are done.
    """
    numbers = list(range(scenario.draws) if draws is None else draws)
    world = _World(scenario)
    sums = np.zeros((len(numbers), len(scenario.segments), scenario.months, len(METRICS)))
    top_share, largest = np.full((2, len(numbers), 2), np.nan)
    for place, number in enumerate(numbers):
        kept = world.future(number, sums[place])
        for end, costs in enumerate(kept):
            top_share[place, end], largest[place, end] = _concentration(costs)
        if progress is not None:
            progress(place + 1)
    return Futures(sums, top_share, largest)


def _concentration(costs: Floats) -> tuple[float, float]:
    """The heaviest tenth's part of these costs, and the heaviest one's; NaN for no cost."""
    total = float(costs.sum()) if len(costs) else 0.0
    if total <= 0:
        return float("nan"), float("nan")
    count = max(1, round(len(costs) * TOP))
    heaviest = np.partition(costs, len(costs) - count)[len(costs) - count :]
    return float(heaviest.sum()) / total, float(heaviest.max()) / total


@dataclass(frozen=True)
class _Month:
    """What holds for a segment in a month."""

    tariff: Tariff
    leaving: float


class _World:
    """A scenario with what does not depend on chance worked out."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.expected = population(scenario).arrivals
        self.months = [
            [_month(scenario, segment, month) for month in range(scenario.months)]
            for segment in scenario.segments
        ]
        self.start = _parts(scenario.customers, [one.share for one in scenario.segments])

    def future(self, number: int, sums: Floats) -> tuple[Floats, Floats]:
        """Draw one future into `sums`; the costs of its first and its last month, by customer."""
        scenario = self.scenario
        kept: tuple[list[Floats], list[Floats]] = ([], [])
        arrivals = _stream(scenario.seed, number)
        for place, segment in enumerate(scenario.segments):
            came = arrivals.poisson(np.array(self.expected) * segment.share)
            came[0] = self.start[place]
            starts = np.repeat(np.arange(scenario.months), came)
            for block, first in enumerate(range(0, len(starts), BLOCK)):
                stream = _stream(scenario.seed, number, place, block)
                cohort = _Cohort(scenario, segment, starts[first : first + BLOCK], stream)
                for month, costs in cohort.live(self.months[place], sums[place]):
                    kept[month].append(costs)
        return _joined(kept[0]), _joined(kept[1])


def _joined(parts: list[Floats]) -> Floats:
    return np.concatenate(parts) if parts else np.zeros(0)


def _stream(seed: int, *place: int) -> np.random.Generator:
    """The generator of one place; SFC64 is numpy's fastest, and passes its tests."""
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence(seed, spawn_key=place)))


def _parts(total: int, shares: list[float]) -> list[int]:
    """Whole parts of a whole: the largest remainders are rounded up."""
    whole = sum(shares)
    exact = [total * share / whole for share in shares]
    found = [int(one) for one in exact]
    order = sorted(range(len(shares)), key=lambda i: (found[i] - exact[i], i))
    for place in order[: total - sum(found)]:
        found[place] += 1
    return found


def _month(scenario: Scenario, segment: Segment, month: int) -> _Month:
    tariff = Tariff(scenario.plan_in(segment, month), scenario.load_in(segment, month))
    return _Month(tariff, scenario.leaving_in(segment, month))


class _Cohort:
    """A block of customers of one segment, from their arrival until they leave.

    starts: the month in which each comes, in order.  Who pays nothing is never under water: what a
    free tier costs is its margin.
    """

    def __init__(
        self, scenario: Scenario, segment: Segment, starts: Ints, stream: np.random.Generator
    ) -> None:
        self.scenario, self.segment, self.stream = scenario, segment, stream
        self.starts = starts
        self.levels = stream.standard_normal(len(starts))
        self.ends = _ends(segment, starts, stream)

    def live(self, months: list[_Month], sums: Floats) -> Iterator[tuple[int, Floats]]:
        """Add each month to `sums` (by month and metric); yields (0 or 1, costs) for the first
        month and the last.
        """
        here = np.zeros(0, dtype=np.int64)
        lots: Floats | None = None
        come = 0
        for number, month in enumerate(months):
            stays = self.ends[here] > number
            if month.leaving:
                stays &= self.stream.random(len(here)) >= month.leaving
            fresh = int(np.searchsorted(self.starts, number, side="right"))
            if lots is not None:
                lots = np.hstack([lots[:, stays], np.zeros((len(lots), fresh - come))])
            here = np.concatenate([here[stays], np.arange(come, fresh)])
            come = fresh
            trial = self._trial(here, number)
            bills = month.tariff.bill(self._multiples(here), trial=trial, lots=lots)
            lots = bills.lots
            _add(sums[number], bills, len(here), self._charged(trial))
            for end in (0, 1):
                if number == (0, len(months) - 1)[end]:
                    yield end, np.asarray(bills.inference_nano)

    def _multiples(self, here: Ints) -> Floats:
        """What each of these customers uses this month, as a multiple of the mean."""
        scores = self.levels[here]
        steadiness = self.scenario.steadiness
        if steadiness < 1:
            scores *= steadiness**0.5
            scores += np.float32((1 - steadiness) ** 0.5) * _scores(self.stream, len(here))
        return self.scenario.shape.multiples(scores)

    def _trial(self, here: Ints, month: int) -> Amount:
        """The share of the month that is still a trial, for each of these customers."""
        if not self.segment.plan.trial_days:
            return 0.0
        starts = self.starts[here]
        left = np.clip(self.segment.trial_months - (month - starts), 0.0, 1.0)
        found: Floats = np.where(starts > 0, left, 0.0)  # Who was there before has paid before.
        return found

    def _charged(self, trial: Amount) -> Bools | bool:
        """Who pays for this month, or a part of it; one answer where it holds for all."""
        if not self.segment.paying or isinstance(trial, float):
            return self.segment.paying
        found: Bools = trial < 1.0
        return found


def _ends(segment: Segment, starts: Ints, stream: np.random.Generator) -> Ints:
    """The month in which each is there no more."""
    never = np.iinfo(np.int64).max // 2
    if segment.churn:
        lives = np.minimum(stream.geometric(segment.churn, len(starts)), never - starts)
    else:
        lives = np.full(len(starts), never) - starts
    if segment.plan.trial_days and segment.trial_keeps < 1:
        over = -(-segment.plan.trial_days // TRIAL_MONTH_DAYS)
        goes = (stream.random(len(starts)) >= segment.trial_keeps) & (starts > 0)
        lives = np.where(goes, np.minimum(lives, over), lives)
    found: Ints = starts + lives
    return found


def _scores(stream: np.random.Generator, count: int) -> NDArray[np.float32]:
    """Standard normal scores by Box and Muller, at half the time of numpy's own.

    In float32, none beyond 5.8: what one month adds to a customer's own level, not the level.
    """
    half = (count + 1) // 2
    radius = stream.random(half, dtype=np.float32)
    angle = stream.random(half, dtype=np.float32)
    np.sqrt(np.float32(-2) * np.log1p(-radius), out=radius)
    angle *= np.float32(2 * np.pi)
    return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])[:count]


def _add(sums: Floats, bills: ManyBills, count: int, charged: Bools | bool) -> None:
    """Add a block's month to its row of METRICS."""
    sums[CUSTOMERS] += count
    sums[REVENUE] += _total(bills.revenue_nano, count)
    sums[INFERENCE] += _total(bills.inference_nano, count)
    sums[FEES] += _total(bills.fees_nano, count)
    sums[OVERHEAD] += _total(bills.overhead_nano, count)
    if charged is False:
        return
    margin = np.broadcast_to(np.asarray(bills.margin_nano), (count,))
    if charged is not True:
        margin = margin[charged]
    sums[PAYERS] += len(margin)
    sums[UNDER_WATER] += np.count_nonzero(margin < 0)
    sums[LOST] -= float(np.minimum(margin, 0.0).sum())


def _total(amount: Amount, count: int) -> float:
    """A sum over customers, of whom a single amount holds for each."""
    return float(amount * count) if isinstance(amount, float) else float(np.sum(amount))
