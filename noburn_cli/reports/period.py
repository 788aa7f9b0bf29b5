"""Periods as people name them, and the period before.

Layer: reports, pure.  Below: query (moments), localtime.  Above: lines, commands.report.
Owns: `--period`, and what a period is compared with.

A period that is not over is compared with as much of the one before: the first 27 days of November
with the first 27 of October, because a month that is nearly over always beats a whole one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone

from noburn_cli.core.windows import DAY_MS, UTC
from noburn_cli.errors import UsageError
from noburn_cli.reports.localtime import LocalTime
from noburn_cli.reports.query import Question, parse_moment

WORDS = ("today", "yesterday", "week", "last-week", "month", "last-month", "year", "all")
_LENGTH = re.compile(r"([1-9]\d{0,4})([hdw])", re.ASCII)
_YEAR = re.compile(r"(?:19|20|21)\d{2}", re.ASCII)
_MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])", re.ASCII)
_UNIT_MS = {"h": 3_600_000, "d": DAY_MS, "w": 7 * DAY_MS}


@dataclass(frozen=True)
class Period:
    """From a moment, before another; epoch ms, None for no border.

    is_open: it is not over.  What goes on from now has no border; what was named by its end has.
    """

    since_ms: int | None
    until_ms: int | None
    is_open: bool = False


def parse_period(text: str, *, now_ms: int, zone: str = UTC) -> Period:
    """Read `today`, `month`, `last-month`, `2026-10`, `24h`, `7d`, `4w`, `all`.

    `7d` are today and the six days before it in the zone, `4w` this week and the three before;
    `24h` is as long as it says, to the minute; `2026-11-01..2026-11-15` has both days.
    Raises UsageError.
    """
    local, word = LocalTime(zone), text.strip().lower()
    if word == "all":
        return Period(None, None, is_open=True)
    length = _LENGTH.fullmatch(word)
    if length is not None:
        return _rolling(int(length[1]), length[2], now_ms, local)
    if _MONTH.fullmatch(word):
        noon = datetime(int(word[:4]), int(word[5:]), 2, 12, tzinfo=local.tz)
        return _named(local.month_bounds(int(noon.timestamp()) * 1000), now_ms)
    if _YEAR.fullmatch(word):
        return _days(local, f"{word}-01-01", f"{word}-12-31", text, now_ms)
    if ".." in word:
        first, _, last = word.partition("..")
        return _days(local, first, last, text, now_ms)
    if word not in WORDS:
        raise UsageError(
            f"--period cannot be read from {text!r}",
            why=f"known are {', '.join(WORDS)}, a month like 2026-10, a year, two days like"
            " 2026-11-01..2026-11-15, and lengths like 24h, 7d, 4w",
        )
    day = local.day_bounds(now_ms)
    if word == "today":
        return _calendar(day, now_ms)
    if word == "yesterday":
        return _calendar(local.day_bounds(day[0] - 1), now_ms)
    if word in ("week", "last-week"):
        monday = local.date_of(now_ms) - timedelta(days=local.date_of(now_ms).weekday())
        this, earlier, later = (
            local.start_ms(monday + timedelta(days=days)) for days in (0, -7, 7)
        )
        return _calendar((this, later) if word == "week" else (earlier, this), now_ms)
    month = local.month_bounds(now_ms)
    if word == "year":
        january = local.date_of(now_ms).replace(month=1, day=1)
        return _calendar((local.start_ms(january), month[1]), now_ms)
    return _calendar(month if word == "month" else local.month_bounds(month[0] - 1), now_ms)


def _rolling(count: int, unit: str, now_ms: int, local: LocalTime) -> Period:
    if unit == "h":
        minute = now_ms - now_ms % 60_000
        return Period(minute - count * _UNIT_MS[unit], None, is_open=True)
    today = local.date_of(now_ms)
    days = count - 1 if unit == "d" else 7 * (count - 1) + today.weekday()
    try:
        first = today - timedelta(days=days)
        since_ms = local.start_ms(first)
    except (OverflowError, ValueError) as error:
        raise UsageError(f"--period {count}{unit} goes back too far") from error
    return Period(since_ms, None, is_open=True)


def _days(local: LocalTime, first: str, last: str, text: str, now_ms: int) -> Period:
    """From one day to another, both included."""
    try:
        begins, ends = date.fromisoformat(first), date.fromisoformat(last)
        since_ms, until_ms = local.start_ms(begins), local.start_ms(ends + timedelta(days=1))
    except (OverflowError, ValueError) as error:
        raise UsageError(
            f"--period cannot be read from {text!r}",
            next_step="write it like 2026-11-01..2026-11-15",
        ) from error
    if ends < begins:
        raise UsageError(f"--period {text} ends before it begins")
    return _named((since_ms, until_ms), now_ms)


def _named(bounds: tuple[int, int], now_ms: int) -> Period:
    """A window whose end was said: nothing that is dated after it, by whatever clock, is in it."""
    return Period(*bounds, is_open=bounds[1] > now_ms)


def _calendar(bounds: tuple[int, int], now_ms: int) -> Period:
    """A window of the calendar; open as long as it is not over."""
    if bounds[1] > now_ms:
        return Period(bounds[0], None if bounds[0] <= now_ms else bounds[1], is_open=True)
    return Period(*bounds)


def parse_span(
    since: str | None, until: str | None, *, now_ms: int, zone: str = UTC
) -> tuple[int | None, int | None]:
    """`--since` and `--until` as epoch milliseconds; None for one that was not said.

    zone: of moments that name none.  Raises UsageError, also where no moment lies between them.
    """
    now = datetime.fromtimestamp(now_ms / 1000, tz=timezone.utc)
    since_ms = None if since is None else parse_moment(since, now=now, what="--since", zone=zone)
    until_ms = None if until is None else parse_moment(until, now=now, what="--until", zone=zone)
    if since_ms is not None and until_ms is not None and since_ms >= until_ms:
        raise UsageError("--since is not before --until", why="no moment lies between them")
    return since_ms, until_ms


def before(question: Question, *, now_ms: int) -> tuple[int, int]:
    """Since when and until when the period before a question's lies.

    Of whole calendar months, and of a month so far, the months before; of days likewise; of any
    other stretch the same length before it.  Raises UsageError where the period has no beginning.
    """
    since_ms, until_ms = question.since_ms, question.until_ms
    if since_ms is not None and until_ms is not None and since_ms <= now_ms < until_ms:
        until_ms = None  # so far
    if since_ms is None:
        raise UsageError(
            "there is no period before one that has no beginning",
            next_step="give --period month, --period 7d or --since 2026-11-01 with --compare",
        )
    local = LocalTime(question.zone)
    ends_ms = now_ms if until_ms is None else until_ms
    month = local.month_bounds(since_ms)
    if month[0] == since_ms:
        if until_ms is not None and local.month_bounds(until_ms)[0] == until_ms:
            return _months_back(local, since_ms, until_ms), since_ms
        if ends_ms <= month[1]:
            earlier = local.month_bounds(since_ms - 1)[0]
            return earlier, min(since_ms, _as_far(local, since_ms, ends_ms, earlier))
    if local.day_bounds(since_ms)[0] == since_ms:
        days = (local.date_of(ends_ms) - local.date_of(since_ms)).days
        whole = until_ms is not None and local.day_bounds(until_ms)[0] == until_ms
        earlier_day = local.date_of(since_ms) - timedelta(days=max(1, days if whole else days + 1))
        earlier = local.start_ms(earlier_day)
        if whole:
            return earlier, since_ms
        return earlier, min(since_ms, _as_far(local, since_ms, ends_ms, earlier))
    return since_ms - (ends_ms - since_ms), since_ms


def _months_back(local: LocalTime, since_ms: int, until_ms: int) -> int:
    """The start of as many months before as lie between two starts of months."""
    at_ms, earlier = since_ms, since_ms
    while at_ms < until_ms:
        at_ms = local.month_bounds(at_ms)[1]
        earlier = local.month_bounds(earlier - 1)[0]
    return earlier


def _as_far(local: LocalTime, since_ms: int, ends_ms: int, earlier_ms: int) -> int:
    """As far into the earlier period as `ends_ms` is into this one: by days and time of day."""
    day = local.day_bounds(ends_ms)[0]
    days = (local.date_of(ends_ms) - local.date_of(since_ms)).days
    start = local.start_ms(local.date_of(earlier_ms) + timedelta(days=days))
    return start + ends_ms - day
