"""The periods of the page, and what each is compared with."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from noburn_cli.dashboard.periods import NAMES, find_period
from noburn_cli.errors import UsageError

BERLIN = "Europe/Berlin"


def ms(text: str, zone: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


@pytest.mark.parametrize(
    ("name", "zone", "since", "before"),
    [
        ("today", "UTC", "2026-03-31", ("2026-03-30", "2026-03-30T14:30")),
        ("month", "UTC", "2026-03-01", ("2026-02-01", "2026-03-01")),  # the 31st: all of February
        ("month", BERLIN, "2026-03-01", ("2026-02-01", "2026-03-01")),
        ("7d", "UTC", "2026-03-25", ("2026-03-18", "2026-03-24T14:30")),
        # The night of the 29th had 23 hours: days stay whole all the same.
        ("7d", BERLIN, "2026-03-25", ("2026-03-18", "2026-03-24T13:30")),
        ("30d", BERLIN, "2026-03-02", ("2026-01-31", "2026-03-01T13:30")),
    ],
)
def test_periods(name: str, zone: str, since: str, before: tuple[str, str]) -> None:
    now_ms = ms("2026-03-31T14:30", zone) + 899_999
    period = find_period(name, now_ms=now_ms, zone=zone)
    assert (period.since_ms, period.until_ms) == (ms(since, zone), None)
    assert period.before == tuple(ms(one, zone) for one in before)


def test_last_month_is_over_and_all_has_no_border() -> None:
    now_ms = ms("2026-03-05T00:00", "UTC")
    last = find_period("last", now_ms=now_ms)
    assert (last.since_ms, last.until_ms) == (ms("2026-02-01", "UTC"), ms("2026-03-01", "UTC"))
    assert last.before == (ms("2026-01-01", "UTC"), ms("2026-02-01", "UTC"))
    everything = find_period("all", now_ms=now_ms)
    assert (everything.since_ms, everything.until_ms, everything.before) == (None, None, None)


def test_other_words_are_told_the_known_ones() -> None:
    with pytest.raises(UsageError, match="no period 'year'") as caught:
        find_period("year", now_ms=0)
    assert all(name in caught.value.why for name in NAMES)
