"""Windows: for how long a limit counts, in whose time.

Layer: core (pure, standard library, Python 3.10).  Below: errors.  Above: core.budgets, the
daemon's accounts, `budget`, `ledger verify`.
Owns: the words and lengths that a budget may count by, where a calendar window begins and ends in
a time zone, how a rolling window is cut into buckets.
Not here: balances (noburn_daemon.accounts), what time it is (noburn_daemon.clock).

Moments are milliseconds since the epoch.  A local day begins at the first moment whose date is
that day's or a later one: clocks that go forward at midnight, or skip a day, leave no gap, and
clocks that go back across midnight open no window twice.  An hour begins whenever the zone's
clock shows a full one.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone, tzinfo
from functools import cache

from noburn_cli.errors import UsageError

TOTAL, RUN, HOUR, DAY, WEEK, MONTH, CALL = "total", "run", "hour", "day", "week", "month", "call"
WINDOWS = (TOTAL, RUN, HOUR, DAY, WEEK, MONTH, CALL)
CALENDAR = (HOUR, DAY, WEEK, MONTH)
UTC = "UTC"

SECOND_MS = 1000
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
ROLLING_MS_MIN = SECOND_MS
ROLLING_MS_MAX = 366 * DAY_MS
#: In how many buckets a rolling window is cut: a call counts at most a sixtieth too long.
BUCKETS = 60

_LENGTH = re.compile(r"([1-9][0-9]{0,9})([smhd])", re.ASCII)
_UNIT_MS = {"d": DAY_MS, "h": HOUR_MS, "m": 60 * SECOND_MS, "s": SECOND_MS}
#: 1970-01-01 was a Thursday: the Monday before lies three days earlier.
_THURSDAY = 4
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def check_window(per: str) -> str:
    """Return a window as it is written: one of WINDOWS, or a length such as `90s`, `1m`, `7d`.

    A length is told in the largest unit that divides it, in days from two of them on: `60s` is
    `1m`, `1d` is `24h`, `48h` is `2d`.  Raises UsageError.
    """
    word = per.strip()
    if word in WINDOWS:
        return word
    match = _LENGTH.fullmatch(word)
    if match is None:
        raise UsageError(
            f"unknown window {per!r}",
            why=f"known are {', '.join(WINDOWS)}, and lengths that roll such as 90s, 1m, 24h, 30d",
        )
    length_ms = int(match[1]) * _UNIT_MS[match[2]]
    if not ROLLING_MS_MIN <= length_ms <= ROLLING_MS_MAX:
        raise UsageError(f"a window of {per} is too long", why="the longest is 366d")
    for unit, unit_ms in _UNIT_MS.items():
        if length_ms % unit_ms == 0 and (unit != "d" or length_ms >= 2 * DAY_MS):
            return f"{length_ms // unit_ms}{unit}"
    raise AssertionError(f"no unit divides {length_ms}")  # seconds always do


def rolling_ms(per: str) -> int | None:
    """The length of a rolling window as `check_window` writes it; None for the others."""
    match = _LENGTH.fullmatch(per)
    return None if match is None else int(match[1]) * _UNIT_MS[match[2]]


def bucket_ms(length_ms: int) -> int:
    """How wide the buckets of a rolling window are."""
    return -(-length_ms // BUCKETS)


def expires_at_ms(length_ms: int, at_ms: int) -> int:
    """When a call reserved at a moment stops counting in a rolling window.

    With the whole of its bucket, a full length after that one's end: late rather than early.
    """
    width_ms = bucket_ms(length_ms)
    return at_ms - at_ms % width_ms + width_ms + length_ms


def check_zone(zone: str) -> str:
    """Return the name of a time zone that there is.  Raises UsageError naming the nearest."""
    if zone == UTC:
        return zone
    try:
        _zone(zone)
    except (ValueError, OSError, LookupError) as error:
        from zoneinfo import available_timezones

        near = difflib.get_close_matches(zone, available_timezones(), n=3, cutoff=0.6)
        raise UsageError(
            f"unknown time zone {zone!r}",
            why="zones are named as IANA does",
            next_step=f"did you mean {' or '.join(near)}?" if near else "write it like Asia/Tokyo",
        ) from error
    return zone


@cache
def _zone(name: str) -> tzinfo:
    # Imported late: most budgets count in UTC, and most commands look at none.
    from zoneinfo import ZoneInfo

    return ZoneInfo(name)


class Window:
    """A way to cut time: what a budget counts by, in a zone, from an anchor day on.

    anchor: of a month its first day (1–31, the last one where a month has fewer), of a week the
    day it begins with (1 is Monday).  `total`, `run`, `call` and rolling windows never end.
    """

    __slots__ = ("_from_ms", "_measure", "_until_ms", "anchor", "per", "zone")

    def __init__(self, per: str, zone: str = UTC, anchor: int = 1) -> None:
        """Raises UsageError for a window, zone or anchor that means nothing."""
        self.per = check_window(per)
        self.zone = check_zone(zone)
        self.anchor = anchor
        if self.per not in CALENDAR and (zone != UTC or anchor != 1):
            raise UsageError(
                f"a window per {self.per} has no time zone and no first day",
                why=f"only those of the calendar have: {', '.join(CALENDAR)}",
            )
        most = {MONTH: 31, WEEK: 7}.get(self.per, 1)
        if not 1 <= anchor <= most:
            raise UsageError(
                f"a {self.per} cannot begin on day {anchor}",
                why="a month begins on its day 1 to 31, a week on 1 (Monday) to 7; "
                "others have no first day",
            )
        self._measure: Callable[[int], tuple[int, int]] | None = None
        if self.per == HOUR:
            self._measure = _utc_hour if zone == UTC else self._hour
        elif self.per in CALENDAR:
            self._measure = self._utc_days if zone == UTC and self.per != MONTH else self._dates
        # The last answer: nearly every question is about the same window.
        self._from_ms, self._until_ms = 0, 0

    def bounds(self, at_ms: int) -> tuple[int, int | None]:
        """Start and end (exclusive; None for never) of the window around a moment."""
        if self._measure is None:
            return 0, None
        if not self._from_ms <= at_ms < self._until_ms:
            self._from_ms, self._until_ms = self._measure(at_ms)
        return self._from_ms, self._until_ms

    def _utc_days(self, at_ms: int) -> tuple[int, int]:
        length, ahead = DAY_MS, 0
        if self.per == WEEK:
            length, ahead = 7 * DAY_MS, (_THURSDAY - self.anchor) % 7 * DAY_MS
        start = at_ms - (at_ms + ahead) % length
        return start, start + length

    def _hour(self, at_ms: int) -> tuple[int, int]:
        zone = _zone(self.zone)
        start = _full_hour(zone, at_ms // SECOND_MS)
        # The next full hour: 60 minutes on, or where the clocks are set before that.
        end = next(
            found
            for seconds in range(start + 900, start + 4 * 3600, 900)
            if (found := _full_hour(zone, seconds)) > start
        )
        return start * SECOND_MS, end * SECOND_MS

    def _dates(self, at_ms: int) -> tuple[int, int]:
        zone, seconds = _zone(self.zone), at_ms // SECOND_MS
        today = datetime.fromtimestamp(seconds, zone).date()
        # Where clocks went back across midnight the new day has begun already.
        while _first_moment(zone, today + timedelta(days=1)) <= seconds:
            today += timedelta(days=1)
        first, following = self._days(today)
        start, end = _first_moment(zone, first), _first_moment(zone, following)
        return start * SECOND_MS, end * SECOND_MS

    def _days(self, today: date) -> tuple[date, date]:
        """The first days of the window around a day, and of the one after it."""
        if self.per == DAY:
            return today, today + timedelta(days=1)
        if self.per == WEEK:
            first = today - timedelta(days=(today.isoweekday() - self.anchor) % 7)
            return first, first + timedelta(days=7)
        months = today.year * 12 + today.month - 1
        if today < self._month_begins(months):
            months -= 1
        return self._month_begins(months), self._month_begins(months + 1)

    def _month_begins(self, months: int) -> date:
        """months: since the year 0."""
        year, month = months // 12, months % 12 + 1
        last = date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)
        return date(year, month, min(self.anchor, last.day))


def _utc_hour(at_ms: int) -> tuple[int, int]:
    start = at_ms - at_ms % HOUR_MS
    return start, start + HOUR_MS


def _offset(zone: tzinfo, seconds: int) -> int:
    """How far a zone's clock is ahead of UTC, in seconds."""
    offset = datetime.fromtimestamp(seconds, zone).utcoffset()
    assert offset is not None  # of a moment with a zone
    return offset.days * 86_400 + offset.seconds


def _full_hour(zone: tzinfo, seconds: int) -> int:
    """The last moment, up to `seconds`, at which a zone's clock showed a full hour."""
    offset = _offset(zone, seconds)
    start = seconds - (seconds + offset) % 3600
    if _offset(zone, start) == offset:
        return start
    low, high = start, seconds  # the clocks were set in between: find when
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _offset(zone, middle) == offset else (middle, high)
    return low - (low + _offset(zone, low)) % 3600


def _first_moment(zone: tzinfo, day: date) -> int:
    """The first second at which a zone's date is `day` or later."""
    # Of a midnight that comes twice the first; of one that does not come, one after it.
    naive = datetime(day.year, day.month, day.day, tzinfo=zone)
    seconds = (naive - _EPOCH) // timedelta(seconds=1)
    if datetime.fromtimestamp(seconds - 1, zone).date() < day:
        return seconds
    low, high = seconds - 26 * 3600, seconds
    while high - low > 1:
        middle = (low + high) // 2
        if datetime.fromtimestamp(middle, zone).date() < day:
            low = middle
        else:
            high = middle
    return high
