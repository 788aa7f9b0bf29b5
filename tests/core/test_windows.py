"""Windows of the calendar against a slow look at the zone's own clock; lengths; buckets."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from noburn_cli.core.windows import (
    BUCKETS,
    CALENDAR,
    Window,
    bucket_ms,
    check_window,
    check_zone,
    expires_at_ms,
    rolling_ms,
)
from noburn_cli.errors import UsageError

HOUR_MS = 3_600_000
#: Half hours, quarters, half an hour of daylight time, days without a midnight, a day that never
#: was, clocks that went back across midnight.
ZONES = (
    "UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Asia/Kathmandu",
    "Australia/Lord_Howe", "America/Sao_Paulo", "America/St_Johns", "Pacific/Apia", "Africa/Cairo",
    "America/Havana", "Pacific/Chatham", "America/Scoresbysund", "Antarctica/Troll",
)  # fmt: skip
#: 1988 to 2090.
MOMENTS = st.integers(567_993_600_000, 3_786_912_000_000)


def ms(text: str, zone: str = "UTC", *, fold: int = 0) -> int:
    moment = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)
    return int(moment.timestamp()) * 1000


def show(at_ms: int | None, zone: str) -> str:
    assert at_ms is not None
    return datetime.fromtimestamp(at_ms // 1000, ZoneInfo(zone)).isoformat()


@st.composite
def windows(draw: st.DrawFn) -> Window:
    per = draw(st.sampled_from(CALENDAR))
    anchor = draw(st.integers(1, {"month": 31, "week": 7}.get(per, 1)))
    return Window(per, draw(st.sampled_from(ZONES)), anchor)


def begins(day: date, zone: ZoneInfo) -> int:
    """The first quarter-hour with that date or a later one, by looking at each."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=timezone.utc)
    at = int(midnight.timestamp()) - 16 * 3600
    while datetime.fromtimestamp(at, zone).date() < day:
        at += 900 if at % 900 == 0 else 60
    while datetime.fromtimestamp(at - 60, zone).date() >= day:
        at -= 60
    return at * 1000


def is_first_day(window: Window, day: date) -> bool:
    if window.per == "day":
        return True
    if window.per == "week":
        return day.isoweekday() == window.anchor
    last_of_month = (day + timedelta(days=1)).day == 1
    return day.day == window.anchor or (last_of_month and day.day < window.anchor)


def slowly(window: Window, at_ms: int) -> int:
    """Where the window around a moment begins, looked for day by day, or minute by minute."""
    zone = ZoneInfo(window.zone)
    if window.per == "hour":
        at = at_ms // 60_000 * 60
        while datetime.fromtimestamp(at, zone).minute:
            at -= 60
        return at * 1000
    day = datetime.fromtimestamp(at_ms // 1000, zone).date() + timedelta(days=2)
    while not is_first_day(window, day) or begins(day, zone) > at_ms:
        day -= timedelta(days=1)
    return begins(day, zone)


@settings(max_examples=150, deadline=None)
@given(windows(), MOMENTS, st.integers(-3, 3))
@example(Window("day", "Pacific/Apia"), ms("2011-12-31T00:00", "Pacific/Apia"), 0)
@example(Window("day", "America/Sao_Paulo"), ms("2018-11-04T12:00", "America/Sao_Paulo"), 0)
@example(Window("day", "America/St_Johns"), ms("2010-11-07T00:00", "America/St_Johns") + 90_000, 0)
@example(Window("hour", "Australia/Lord_Howe"), ms("2026-04-04T15:10"), 0)
@example(Window("month", "Asia/Kathmandu", 31), ms("2028-02-29T12:00"), 0)
def test_windows_are_where_the_zones_clock_says(window: Window, at_ms: int, steps: int) -> None:
    """Goal: each moment lies in one window, windows touch, and each begins where it should."""
    start, end = window.bounds(at_ms)
    assert end is not None
    assert start <= at_ms < end
    assert start == slowly(window, at_ms)
    fresh = Window(window.per, window.zone, window.anchor)
    assert fresh.bounds(end - 1) == (start, end)
    assert fresh.bounds(end)[0] == end
    assert fresh.bounds(start - 1)[1] == start
    near = start + steps * HOUR_MS + steps
    assert fresh.bounds(near) == window.bounds(near)


@pytest.mark.parametrize(
    ("per", "zone", "anchor", "at", "start", "end"),
    [
        ("hour", "UTC", 1, "2026-12-31T23:59:59", "2026-12-31T23:00:00+00:00",
         "2027-01-01T00:00:00+00:00"),
        ("week", "UTC", 1, "2026-12-31T23:59:59", "2026-12-28T00:00:00+00:00",
         "2027-01-04T00:00:00+00:00"),
        ("week", "UTC", 7, "2026-12-31T23:59:59", "2026-12-27T00:00:00+00:00",
         "2027-01-03T00:00:00+00:00"),
        ("hour", "Asia/Kolkata", 1, "2026-05-01T10:45", "2026-05-01T16:00:00+05:30",
         "2026-05-01T17:00:00+05:30"),
        # 23 hours, 25 hours, and a night of half an hour more
        ("day", "Europe/Berlin", 1, "2026-03-29T12:00", "2026-03-29T00:00:00+01:00",
         "2026-03-30T00:00:00+02:00"),
        ("day", "America/New_York", 1, "2026-11-01T12:00", "2026-11-01T00:00:00-04:00",
         "2026-11-02T00:00:00-05:00"),
        ("hour", "Australia/Lord_Howe", 1, "2026-04-04T15:10", "2026-04-05T01:00:00+11:00",
         "2026-04-05T02:00:00+10:30"),
        # no midnight; no 30 December
        ("day", "America/Sao_Paulo", 1, "2018-11-04T12:00", "2018-11-04T01:00:00-02:00",
         "2018-11-05T00:00:00-02:00"),
        ("day", "Pacific/Apia", 1, "2011-12-30T09:00", "2011-12-29T00:00:00-10:00",
         "2011-12-31T00:00:00+14:00"),
        # the month's last day, where it has no 31st
        ("month", "Europe/Berlin", 31, "2026-02-28T12:00", "2026-02-28T00:00:00+01:00",
         "2026-03-31T00:00:00+02:00"),
        ("month", "UTC", 15, "2026-12-14T23:59", "2026-11-15T00:00:00+00:00",
         "2026-12-15T00:00:00+00:00"),
    ],
)  # fmt: skip
def test_edges_of_the_calendar(
    per: str, zone: str, anchor: int, at: str, start: str, end: str
) -> None:
    found = Window(per, zone, anchor).bounds(ms(at))
    assert (show(found[0], zone), show(found[1], zone)) == (start, end)


@pytest.mark.parametrize(
    ("written", "canonical"),
    [("60s", "1m"), ("90s", "90s"), ("60m", "1h"), ("24h", "24h"), ("1d", "24h"), ("48h", "2d"),
     ("7d", "7d"), ("36h", "36h"), ("3600s", "1h"), (" month ", "month"), ("366d", "366d")],
)  # fmt: skip
def test_a_length_has_one_spelling(written: str, canonical: str) -> None:
    assert check_window(written) == canonical
    assert check_window(canonical) == canonical


@pytest.mark.parametrize("text", ["", "0s", "1", "m", "367d", "1w", "-1m", "1.5h", "minute", "١m"])
def test_lengths_that_mean_nothing_are_refused(text: str) -> None:
    with pytest.raises(UsageError):
        check_window(text)


@pytest.mark.parametrize(
    ("per", "zone", "anchor"),
    [("total", "Europe/Berlin", 1), ("1m", "UTC", 2), ("day", "UTC", 2), ("week", "UTC", 8),
     ("month", "UTC", 32), ("month", "UTC", 0), ("day", "Europe/Berln", 1), ("day", "../etc", 1),
     ("day", "", 1)],
)  # fmt: skip
def test_windows_that_mean_nothing_are_refused(per: str, zone: str, anchor: int) -> None:
    with pytest.raises(UsageError):
        Window(per, zone, anchor)


def test_a_misspelt_zone_names_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        check_zone("Europe/Berln")
    assert "Europe/Berlin" in caught.value.next_step


@given(st.integers(1, 366 * 86_400), MOMENTS)
def test_a_call_rolls_out_late_but_not_by_more_than_a_bucket(seconds: int, at_ms: int) -> None:
    length_ms = rolling_ms(check_window(f"{seconds}s"))
    assert length_ms == seconds * 1000
    late = expires_at_ms(length_ms, at_ms) - (at_ms + length_ms)
    assert 0 < late <= bucket_ms(length_ms) <= -(-length_ms // BUCKETS)
