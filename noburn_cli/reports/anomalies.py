"""Days on which a customer (or feature, or model) spent far more than is normal for it.

Layer: reports, pure.  Below: the standard library.  Above: reports.unusual, which reads.
Owns: the rule, and what it needs to know before it says anything.

The rule.  Of a day's cost x, the norm m is the median of what the days with calls among the 28
before it cost.  The day is unusual when all three hold:

- x >= `least` (1 dollar): a jump from one cent to ten is nobody's business;
- x >= `times` * m (5): what the user asked to hear of;
- x >= m * exp(3.5 * s), where s is 1.4826 times the median distance of the logarithms from theirs,
  and at least 0.1: of somebody whose days differ tenfold anyway, five times the norm is an ordinary
  day.

Medians, because one dear day must not move the norm that the next is measured by.  Logarithms,
because spend is skewed: its days are spread by factors.  Simulated customers whose log-normal days
differ by a standard deviation of 0.6 (ordinary) give a false alarm in some 10,000 days, those of
1.0 one in 700, of 1.5 one in 300; a test holds that.  With fewer than 10 days with calls among the
28 there is no norm, and nothing is said.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from statistics import median

HISTORY_DAYS = 28
DAYS_MIN = 10
TIMES = Fraction(5)
LEAST_NANO = 1_000_000_000
_DEVIATIONS = 3.5
#: Of a normal distribution, a standard deviation in median distances from the median.
_PER_MEDIAN_DISTANCE = 1.4826
_SPREAD_MIN = 0.1


@dataclass(frozen=True)
class Rule:
    """times, least_nano: what a day must cost at least, of its norm and in all."""

    times: Fraction = TIMES
    least_nano: int = LEAST_NANO


@dataclass(frozen=True)
class Unusual:
    """A day far above its norm.  norm_nano: the median of `days` days with calls before it."""

    name: str
    day: date
    cost_nano: int
    norm_nano: int
    days: int

    @property
    def times(self) -> Fraction:
        return Fraction(self.cost_nano, self.norm_nano)


@dataclass(frozen=True)
class Judged:
    """unusual: the dearest beyond its norm first.  looked_at: days that had a norm.  without: names
    with days of at least the least amount that had none."""

    unusual: tuple[Unusual, ...]
    looked_at: int
    without: tuple[str, ...]


def judge(
    costs: Mapping[str, Mapping[date, int]], first: date, last: date, rule: Rule | None = None
) -> Judged:
    """Look at the days from `first` to `last`.

    costs: of each name, nano-dollars by day, from HISTORY_DAYS before `first` on; a day without
    calls is not there.
    """
    rule = rule or Rule()
    found: list[Unusual] = []
    looked_at, without = 0, set()
    for name, days in costs.items():
        for day in sorted(day for day in days if first <= day <= last):
            before = list(_before(days, day))
            if len(before) < DAYS_MIN:
                if days[day] >= rule.least_nano:
                    without.add(name)
                continue
            looked_at += 1
            norm = int(median(before))
            if days[day] >= _limit_nano(before, norm, rule):
                found.append(Unusual(name, day, days[day], norm, len(before)))
    found.sort(key=lambda one: (one.norm_nano - one.cost_nano, one.name, one.day))
    return Judged(tuple(found), looked_at, tuple(sorted(without)))


def _before(days: Mapping[date, int], day: date) -> Iterator[int]:
    """What the days before one cost; those that cost nothing say nothing of a norm."""
    for back in range(1, HISTORY_DAYS + 1):
        cost = days.get(day - timedelta(days=back), 0)
        if cost > 0:
            yield cost


def _limit_nano(before: list[int], norm: int, rule: Rule) -> Fraction:
    """From which cost on a day is unusual."""
    logs = [math.log(cost) for cost in before]
    middle = median(logs)
    spread = _PER_MEDIAN_DISTANCE * median(abs(one - middle) for one in logs)
    by_spread = norm * Fraction(math.exp(_DEVIATIONS * max(_SPREAD_MIN, spread)))
    return max(Fraction(rule.least_nano), rule.times * norm, by_spread)
