"""Periods as people write them: `month`, `last-month`, `2026-10`, `2026`, `30d`, two days.

Layer: core (pure, given today).  Below: errors.  Above: commands.pnl, dashboard.
Owns: the words.  A period is days, half-open, as ordinals.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

from noburn_cli.core.recognition_days import YEARS, day_text, month_of_day
from noburn_cli.errors import UsageError

MONTH, LAST_MONTH, YEAR = "month", "last-month", "year"
_LAST_DAYS = re.compile(r"([1-9]\d{0,3})d", re.ASCII)
_YEAR = re.compile(r"\d{4}", re.ASCII)
_MONTH = re.compile(r"(\d{4})-(\d{2})", re.ASCII)


@dataclass(frozen=True)
class Period:
    """Days, half-open.  ends: the first day after it once it is over; after `until` while it
    goes on, and then `until` is tomorrow.
    """

    first: int
    until: int
    ends: int

    def __str__(self) -> str:
        return f"{day_text(self.first)} to {day_text(self.until - 1)}"


def parse_period(text: str, *, today: int) -> Period:
    """Read a period; what is still to come of it is left out.  Raises UsageError."""
    found = _read(text.strip(), today)
    if found is None:
        raise UsageError(
            f"a period cannot be read from {text!r}",
            why="it is month, last-month, year, 2026-10, 2026, 30d, or 2026-10-01..2026-10-15, "
            f"of the years {YEARS[0]} to {YEARS[-1]}",
            next_step="write it like --period last-month or --period 2026-10",
        )
    first, ends = found
    if first > today:
        raise UsageError(f"the period {text!r} has not begun yet")
    return Period(first, min(ends, today + 1), ends)


def _read(text: str, today: int) -> tuple[int, int] | None:
    month, following = month_of_day(today)
    if text == MONTH:
        return month, following
    if text == LAST_MONTH:
        return month_of_day(month - 1)[0], month
    if text == YEAR:
        return _year(date.fromordinal(today).year)
    last = _LAST_DAYS.fullmatch(text)
    if last is not None:
        return today + 1 - int(last[1]), today + 1
    try:
        named = _MONTH.fullmatch(text)
        if _YEAR.fullmatch(text):
            first, until = _year(int(text))
        elif named is not None:
            first, until = month_of_day(date(int(named[1]), int(named[2]), 1).toordinal())
        else:
            begin, dots, end = text.partition("..")
            first = date.fromisoformat(begin).toordinal()
            until = (date.fromisoformat(end).toordinal() if dots else first) + 1
    except (ValueError, OverflowError):
        return None
    return (first, until) if first < until and _is_booked(first, until) else None


def _is_booked(first: int, until: int) -> bool:
    return all(date.fromordinal(day).year in YEARS for day in (first, until - 1))


def _year(year: int) -> tuple[int, int]:
    return date(year, 1, 1).toordinal(), date(year + 1, 1, 1).toordinal()
