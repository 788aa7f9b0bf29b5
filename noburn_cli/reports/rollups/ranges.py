"""A period, cut into what is kept: whole months, whole days, quarter-hours, and single calls.

Layer: reports, pure.  Below: localtime.  Above: answers.
The largest pieces that fit, so that a year is read in twelve, and its first day's half in slots.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from noburn_cli.core.months import month_end_ms, month_start_ms
from noburn_cli.reports.localtime import SLOT_MS, LocalTime, months_of

MONTHS, DAYS, SLOTS, CALLS = "months", "days", "slots", "calls"


@dataclass(frozen=True)
class Range:
    """A stretch of what is kept: from `first`, before `end`; None for no border.

    what: MONTHS (since the year 0), DAYS (since the year 1), SLOTS (quarter-hours since 1970), or
    CALLS (milliseconds).
    """

    what: str
    first: int | None
    end: int | None


def cut(
    since_ms: int | None, until_ms: int | None, local: LocalTime, *, largest: str = MONTHS
) -> Iterator[Range]:
    """The pieces of a period, none twice and none missing.

    largest: MONTHS, DAYS or SLOTS: pieces above it are told in it.
    """
    if since_ms is not None and until_ms is not None and since_ms >= until_ms:
        return
    begin_ms, end_ms = since_ms, until_ms
    if since_ms is not None:
        begin_ms = _ceil(since_ms, SLOT_MS)
    if until_ms is not None:
        end_ms = until_ms - until_ms % SLOT_MS
    if begin_ms is not None and end_ms is not None and begin_ms >= end_ms:
        yield Range(CALLS, since_ms, until_ms)
        return
    if since_ms is not None and since_ms != begin_ms:
        yield Range(CALLS, since_ms, begin_ms)
    yield from _slots(begin_ms, end_ms, local, largest)
    if until_ms is not None and end_ms != until_ms:
        yield Range(CALLS, end_ms, until_ms)


def _slots(
    since_ms: int | None, until_ms: int | None, local: LocalTime, largest: str
) -> Iterator[Range]:
    """Of a period of whole quarter-hours."""
    if largest == SLOTS:
        yield Range(SLOTS, _slot(since_ms), _slot(until_ms))
        return
    first_ms = None if since_ms is None else _up(local.day_bounds(since_ms), since_ms)
    last_ms = None if until_ms is None else local.day_bounds(until_ms)[0]
    if first_ms is not None and last_ms is not None and first_ms >= last_ms:
        yield Range(SLOTS, _slot(since_ms), _slot(until_ms))
        return
    if since_ms != first_ms:
        yield Range(SLOTS, _slot(since_ms), _slot(first_ms))
    yield from _days(first_ms, last_ms, local, largest)
    if until_ms != last_ms:
        yield Range(SLOTS, _slot(last_ms), _slot(until_ms))


def _days(
    since_ms: int | None, until_ms: int | None, local: LocalTime, largest: str
) -> Iterator[Range]:
    """Of a period of whole days."""
    if largest == DAYS:
        yield Range(DAYS, _day(since_ms, local), _day(until_ms, local))
        return
    first_ms = None if since_ms is None else _up(local.month_bounds(since_ms), since_ms)
    last_ms = None if until_ms is None else local.month_bounds(until_ms)[0]
    if first_ms is not None and last_ms is not None and first_ms >= last_ms:
        yield Range(DAYS, _day(since_ms, local), _day(until_ms, local))
        return
    if since_ms != first_ms:
        yield Range(DAYS, _day(since_ms, local), _day(first_ms, local))
    yield Range(MONTHS, _month(first_ms, local), _month(last_ms, local))
    if until_ms != last_ms:
        yield Range(DAYS, _day(last_ms, local), _day(until_ms, local))


def whole_months(months: list[str], since_ms: int | None, until_ms: int | None) -> list[str]:
    """Those of some months of UTC that lie in a period whole."""
    return [
        month
        for month in months
        if (since_ms is None or since_ms <= month_start_ms(month))
        and (until_ms is None or until_ms >= month_end_ms(month))
    ]


def _ceil(at_ms: int, step: int) -> int:
    return -(-at_ms // step) * step


def _up(bounds: tuple[int, int], at_ms: int) -> int:
    """Where the first whole one begins."""
    return at_ms if bounds[0] == at_ms else bounds[1]


def _slot(at_ms: int | None) -> int | None:
    return None if at_ms is None else at_ms // SLOT_MS


def _day(at_ms: int | None, local: LocalTime) -> int | None:
    return None if at_ms is None else local.date_of(at_ms).toordinal()


def _month(at_ms: int | None, local: LocalTime) -> int | None:
    return None if at_ms is None else months_of(local.date_of(at_ms))
