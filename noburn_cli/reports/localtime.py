"""Moments as a zone's clock and calendar tell them: the columns hour, day, week and month.

Layer: reports, pure.  Below: core.windows.  Above: query, rollups, period.
Owns: how these columns are written, and in which slot of the day's cut a moment lies.

Days begin where budgets' days begin (core.windows): one clock for limits and reports.
"""

from __future__ import annotations

from datetime import date, datetime, timezone, tzinfo
from functools import cached_property

from noburn_cli.core.windows import DAY, HOUR, MONTH, UTC, Window

#: A quarter of an hour: every zone's days begin at one (IANA tzdata since 1972).
SLOT_MS = 900_000


class LocalTime:
    """One zone's time.  Answers are kept: calls come in the order of time."""

    def __init__(self, zone: str = UTC) -> None:
        """Raises UsageError for a zone that does not exist."""
        self.zone = zone
        self._day, self._month, self._hour = (Window(per, zone) for per in (DAY, MONTH, HOUR))
        self._dates: dict[int, date] = {}

    @cached_property
    def tz(self) -> tzinfo:
        if self.zone == UTC:
            return timezone.utc
        from zoneinfo import ZoneInfo

        return ZoneInfo(self.zone)

    def day_bounds(self, at_ms: int) -> tuple[int, int]:
        """Where the day around a moment begins, and the next one."""
        return _both(self._day.bounds(at_ms))

    def month_bounds(self, at_ms: int) -> tuple[int, int]:
        """Where the month around a moment begins, and the next one."""
        return _both(self._month.bounds(at_ms))

    def date_of(self, at_ms: int) -> date:
        """The day around a moment, also where clocks went back over midnight."""
        start, end = self.day_bounds(at_ms)
        found = self._dates.get(start)
        if found is None:
            # The middle: the first moments may have another date, where a midnight comes twice.
            middle = (start + end) // 2000
            found = self._dates[start] = datetime.fromtimestamp(middle, self.tz).date()
        return found

    def start_ms(self, day: date) -> int:
        """The first moment of a day."""
        noon = datetime(day.year, day.month, day.day, 12, tzinfo=self.tz)
        return self.day_bounds(int(noon.timestamp()) * 1000)[0]

    def hour(self, at_ms: int) -> str:
        """`2026-11-27T14:00`, outside of UTC with how far the clock is ahead."""
        start, _ = _both(self._hour.bounds(at_ms))
        shown = datetime.fromtimestamp(start / 1000, self.tz)
        return shown.replace(tzinfo=None).isoformat(timespec="minutes") + (
            "" if self.zone == UTC else shown.strftime("%z")
        )

    def day(self, at_ms: int) -> str:
        return self.date_of(at_ms).isoformat()

    def week(self, at_ms: int) -> str:
        return week_label(self.date_of(at_ms))

    def month(self, at_ms: int) -> str:
        return f"{self.date_of(at_ms):%Y-%m}"

    def label(self, column: str, at_ms: int) -> str:
        """A moment in a column of time."""
        return {"hour": self.hour, "day": self.day, "week": self.week, "month": self.month}[column](
            at_ms
        )


def week_label(day: date) -> str:
    """The week of ISO 8601, from Monday on: `2026-W48`."""
    year, week, _ = day.isocalendar()
    return f"{year:04}-W{week:02}"


def month_label(months: int) -> str:
    """Of months since the year 0."""
    return f"{months // 12:04}-{months % 12 + 1:02}"


def months_of(day: date) -> int:
    """Months since the year 0."""
    return day.year * 12 + day.month - 1


def _both(bounds: tuple[int, int | None]) -> tuple[int, int]:
    start, end = bounds
    assert end is not None  # of a calendar window
    return start, end
