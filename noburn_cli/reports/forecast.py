"""What the month will have cost at its end, and how sure that is.

Layer: reports, pure.  Below: the standard library.  Above: reports.outlook, which reads.
Owns: the method, how much history it needs, and the interval.

The method.  Each day to come is expected to cost what the last 14 whole days cost on average,
times what its weekday is of a week, where there are at least 28 whole days to learn that from (the
last 56 at most; a weekday's factor is its mean beside the mean of all).  Of today what is left of
the day is added.  There is no trend: the answer is what the month comes to if the days to come are
like the last two weeks, and who grows by a fifth a month will be above it.

The interval (80 %) is that of a sum of h days, each off by the days' own scatter and all by the
mean's: half its width is t * s * sqrt(c * (h + h**2 / 14)), with s the standard deviation of the
days around what was expected of them, t Student's quantile of 13 degrees of freedom, and
c = (1 + r) / (1 - r) for days that resemble the day before (r, their correlation, from 0 to 0.75);
where weekdays were learned from w weeks, sqrt(w / (w - 1)) wider.  Simulated months fall into it:
even or skewed days 73 to 86 times in a hundred, weeks 83 to 85, days that hang together (0.5) 74 to
79, and (0.7) 68 to 76; a week's pattern that there was no time to learn makes it far too wide.  A
test holds that.  It never promises less than what is spent already.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from itertools import pairwise
from statistics import fmean

LEVEL_DAYS = 14
#: Below it nothing is said, and from it on an interval.
DAYS_MIN = 7
WEEKS_MIN_DAYS, WEEKS_MAX_DAYS = 28, 56
#: Student's t at 0.9 by degrees of freedom (6 to 13), which leaves 80 % between its two sides.
_T_90 = {6: 1.440, 7: 1.415, 8: 1.397, 9: 1.383, 10: 1.372, 11: 1.363, 12: 1.356, 13: 1.350}
_RESEMBLANCE_MAX = 0.75


@dataclass(frozen=True)
class Forecast:
    """The month's end.  Amounts in nano-dollars.

    spent_nano: so far.  expected_nano, low_nano, high_nano: at the end of the month; None when
    there is too little history.  days: whole days that were learned from.  weekly: whether weekdays
    were told apart.
    """

    spent_nano: int
    expected_nano: int | None
    low_nano: int | None
    high_nano: int | None
    days: int
    days_left: Fraction
    weekly: bool


def forecast(
    costs: Mapping[date, int], *, begun: date, today: date, month_ends: date,
    spent_nano: int, day_done: Fraction,
) -> Forecast:  # fmt: skip
    """The end of the month that today is in.

    costs: nano-dollars by day; a day without calls cost nothing, from `begun` (the first day with
    calls) on.  month_ends: the first day of the next month.  spent_nano: of the month, today
    included.  day_done: how much of today is over, 0 to 1.
    """
    history = _history(costs, begun, today)
    ahead = [today + timedelta(days=n) for n in range(1, (month_ends - today).days)]
    left = len(ahead) + 1 - day_done
    weekly = len(history) >= WEEKS_MIN_DAYS
    if len(history) < DAYS_MIN:
        return Forecast(spent_nano, None, None, None, len(history), left, weekly=False)
    factors = _weekdays(history) if weekly else [1.0] * 7
    recent = history[-LEVEL_DAYS:]
    plain = [
        cost / factors[day.weekday()] if factors[day.weekday()] else 0.0 for day, cost in recent
    ]
    # Weekdays on which nothing is ever spent tell nothing of the level.
    told = [x for (day, _), x in zip(recent, plain, strict=True) if factors[day.weekday()]]
    level = fmean(told) if told else 0.0
    rest = float(1 - day_done)
    to_come = level * (factors[today.weekday()] * rest + sum(factors[d.weekday()] for d in ahead))
    half = _half_width(recent, factors, level, float(left))
    if weekly:  # seven factors, each learned from so many days
        weeks = len(history) // 7
        half *= math.sqrt(weeks / (weeks - 1))
    expected = spent_nano + round(to_come)
    low = max(spent_nano, spent_nano + round(to_come - half))
    return Forecast(
        spent_nano, expected, low, spent_nano + round(to_come + half), len(history), left, weekly
    )


def _history(costs: Mapping[date, int], begun: date, today: date) -> list[tuple[date, int]]:
    """Whole days up to yesterday, the oldest first."""
    days = (today - begun).days
    first = max(0, days - WEEKS_MAX_DAYS)
    found = map(date.fromordinal, range(begun.toordinal() + first, today.toordinal()))
    return [(day, costs.get(day, 0)) for day in found]


def _weekdays(history: Sequence[tuple[date, int]]) -> list[float]:
    """What each weekday is of an average day, from whole weeks only."""
    whole = history[len(history) % 7 :]
    sums = [0] * 7
    for day, cost in whole:
        sums[day.weekday()] += cost
    total = sum(sums)
    return [7 * one / total for one in sums] if total else [1.0] * 7


def _half_width(
    recent: Sequence[tuple[date, int]], factors: Sequence[float], level: float, left: float
) -> float:
    """Half the width of the interval for so many days to come."""
    off = [cost - level * factors[day.weekday()] for day, cost in recent]
    count = len(off)
    squares = sum(one * one for one in off)
    if not squares:
        return 0.0
    spread = math.sqrt(squares / (count - 1))
    resemblance = sum(a * b for a, b in pairwise(off)) / squares
    # From so few days it comes out too low, by about this much (Kendall 1954).
    resemblance = min(_RESEMBLANCE_MAX, max(0.0, resemblance + (1 + 4 * resemblance) / count))
    together = (1 + resemblance) / (1 - resemblance)
    return _T_90[count - 1] * spread * math.sqrt(together * (left + left * left / count))
