"""The periods that the dashboard asks about, and what each is compared with.

Layer: dashboard, pure.  Below: core.windows.  Above: dashboard.figures.
Owns: their words.  Moments are milliseconds since the epoch; days and months are of a time zone.
"""

from __future__ import annotations

from dataclasses import dataclass

from noburn_cli.core.windows import DAY, DAY_MS, MONTH, UTC, Window
from noburn_cli.errors import UsageError

TODAY, WEEK, MONTH_30, THIS_MONTH, LAST_MONTH, ALL = "today", "7d", "30d", "month", "last", "all"
NAMES = (TODAY, WEEK, MONTH_30, THIS_MONTH, LAST_MONTH, ALL)
_LENGTHS = {WEEK: 7, MONTH_30: 30}


#: What is compared ends with a quarter-hour: sums are kept by it (reports.rollups), and each call
#: in a part of one would have to be read.
SLOT_MS = 900_000


@dataclass(frozen=True)
class Period:
    """Calls reserved from `since_ms` on and before `until_ms`; None for no border.

    before: the period that it is compared with, as far as it has come; None where there is none.
    """

    name: str
    since_ms: int | None
    until_ms: int | None
    before: tuple[int, int] | None


def find_period(name: str, *, now_ms: int, zone: str = UTC) -> Period:
    """The period of a name around a moment.  Raises UsageError for a name that is none.

    What goes on has no end: a call that comes now belongs to it.
    """
    if name == ALL:
        return Period(name, None, None, None)
    days, months = Window(DAY, zone), Window(MONTH, zone)
    today = days.bounds(now_ms)[0]
    month = months.bounds(now_ms)[0]
    if name == TODAY:
        yesterday = days.bounds(today - 1)[0]
        return Period(name, today, None, (yesterday, _slot(yesterday + now_ms - today)))
    if name == THIS_MONTH:
        earlier = months.bounds(month - 1)[0]
        return Period(name, month, None, (earlier, _slot(min(earlier + now_ms - month, month))))
    if name == LAST_MONTH:
        earlier = months.bounds(month - 1)[0]
        return Period(name, earlier, month, (months.bounds(earlier - 1)[0], earlier))
    if name not in _LENGTHS:
        raise UsageError(f"there is no period {name!r}", why=f"known are {', '.join(NAMES)}")
    # Whole days, today the last of them; noon is clear of clocks that are set at night.
    length = _LENGTHS[name]
    since = days.bounds(today + DAY_MS // 2 - (length - 1) * DAY_MS)[0]
    earlier = days.bounds(since + DAY_MS // 2 - length * DAY_MS)[0]
    return Period(name, since, None, (earlier, _slot(min(earlier + now_ms - since, since))))


def _slot(at_ms: int) -> int:
    """The last quarter-hour that has begun."""
    return at_ms - at_ms % SLOT_MS
