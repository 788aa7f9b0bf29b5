"""Days of a time zone, and how an amount is spread over those of a period.

Layer: core (pure).  Below: core.windows.  Above: core.recognition_earning, core.recognition.
Owns: what "by day" means: every whole day of a service period earns the same, its first and last
day as much of that as the period covers of them.  A day of 23 or 25 hours is a day.
Not here: what is taken back later (core.recognition_earning).
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone, tzinfo
from fractions import Fraction
from functools import lru_cache
from itertools import accumulate
from typing import Protocol, TypeVar

from noburn_cli.core.windows import DAY, DAY_MS, UTC, Window

#: What is shared out among: keys that can be put in order.
K = TypeVar("K")
#: Years that money is booked in: days of every time zone have a beginning and an end there.
YEARS = range(1970, 2200)
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()


class Days:
    """Moments (epoch ms) as days of a zone.  A day is its ordinal, as `date.toordinal` counts."""

    def __init__(self, zone: str = UTC) -> None:
        """Raises UsageError for a zone that there is not."""
        self.zone = zone
        self._window = Window(DAY, zone)
        self._tz: tzinfo = timezone.utc
        if zone != UTC:
            from zoneinfo import ZoneInfo

            self._tz = ZoneInfo(zone)
        self.bounds = lru_cache(maxsize=4096)(self._bounds)

    def of(self, at_ms: int) -> int:
        """The day that a moment belongs to."""
        if self.zone == UTC:
            return _EPOCH_ORDINAL + at_ms // DAY_MS
        # At the first moment of a day its date is the zone's date.
        start_ms, _ = self._window.bounds(at_ms)
        return datetime.fromtimestamp(start_ms // 1000, self._tz).date().toordinal()

    def _bounds(self, day: int) -> tuple[int, int]:
        """Start and end (exclusive) of a day, epoch ms."""
        if self.zone == UTC:
            start_ms = (day - _EPOCH_ORDINAL) * DAY_MS
            return start_ms, start_ms + DAY_MS
        found = date.fromordinal(day)
        noon = datetime(found.year, found.month, found.day, 12, tzinfo=self._tz)
        start_ms, end_ms = self._window.bounds(int(noon.timestamp()) * 1000)
        assert end_ms is not None  # of a day
        return start_ms, end_ms

    def start_ms(self, day: int) -> int:
        """The first moment of a day."""
        return self.bounds(day)[0]


def day_text(day: int) -> str:
    """A day as people write it: 2026-11-27."""
    return date.fromordinal(day).isoformat()


def month_of_day(day: int) -> tuple[int, int]:
    """The first day of the month around a day, and of the one after it."""
    first = date.fromordinal(day).replace(day=1)
    return first.toordinal(), (first + timedelta(days=31)).replace(day=1).toordinal()


class Curve(Protocol):
    """How much of an amount is earned by when: whole weights by day, added up."""

    @property
    def first(self) -> int: ...

    @property
    def last(self) -> int: ...

    def through(self, day: int) -> int:
        """The weight of all days up to and including `day`; 0 before the first."""
        ...


@dataclass(frozen=True)
class Period:
    """A service period: whole days weigh `unit`, its first and last what it covers of them."""

    first: int
    last: int
    unit: int = 1
    first_weight: int = 1
    last_weight: int = 1

    def through(self, day: int) -> int:
        if day < self.first:
            return 0
        if day < self.last:
            return self.first_weight + (day - self.first) * self.unit
        if self.first == self.last:
            return self.first_weight
        whole = self.last - self.first - 1
        return self.first_weight + whole * self.unit + self.last_weight

    @property
    def days(self) -> Fraction:
        """How many days it is."""
        return Fraction(self.through(self.last), self.unit)


@dataclass(frozen=True)
class Used:
    """Days that something was used on, by how much; at least one, every weight above 0."""

    days: tuple[int, ...]
    sums: tuple[int, ...]

    @property
    def first(self) -> int:
        return self.days[0]

    @property
    def last(self) -> int:
        return self.days[-1]

    def through(self, day: int) -> int:
        at = bisect_right(self.days, day)
        return self.sums[at - 1] if at else 0


def period_of(days: Days, starts_ms: int, ends_ms: int) -> Period:
    """The curve of a half-open service period; an empty one is the day that it begins on."""
    first = days.of(starts_ms)
    if ends_ms <= starts_ms:
        return Period(first, first)
    last = days.of(ends_ms - 1)
    first_start, first_end = days.bounds(first)
    if first == last:
        return Period(first, first)
    last_start, last_end = days.bounds(last)
    first_ms, last_ms = first_end - first_start, last_end - last_start
    unit = math.lcm(first_ms, last_ms)
    return Period(
        first,
        last,
        unit,
        (first_end - starts_ms) * (unit // first_ms),
        (ends_ms - last_start) * (unit // last_ms),
    )


def half_even(numerator: int, denominator: int) -> int:
    """A ratio as the nearest whole number, half to even.  denominator: above 0."""
    whole, rest = divmod(numerator, denominator)
    twice = 2 * rest
    return whole + (twice > denominator or (twice == denominator and whole % 2 == 1))


def used_of(weights: Mapping[int, int]) -> Used | None:
    """The curve of usage by day; None where nothing was used."""
    known = sorted((day, weight) for day, weight in weights.items() if weight > 0)
    if not known:
        return None
    return Used(tuple(day for day, _ in known), tuple(accumulate(weight for _, weight in known)))


def share_out(amount: int, weights: Mapping[K, int]) -> dict[K, int]:
    """An amount cut by weights (whose sum is not 0) into whole parts whose sum it is.

    By running sums rounded half to even, in the order of the keys: each part is within one of its
    exact share, and the same whatever order the weights came in.
    """
    whole = sum(weights.values())
    if whole < 0:
        whole, weights = -whole, {key: -weight for key, weight in weights.items()}
    found, before, run = {}, 0, 0
    for key in sorted(weights):  # type: ignore[type-var]
        run += weights[key]
        after = half_even(amount * run, whole)
        found[key] = after - before
        before = after
    return found
