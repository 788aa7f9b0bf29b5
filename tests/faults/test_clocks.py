"""The wall clock is set back an hour or forward a month, and goes across daylight saving time.

Nobody opens a new window by setting a clock, and nobody is charged twice for an hour that the wall
clock shows twice.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from datetime import datetime, timezone

import pytest

from noburn_cli.client import Client
from tests.daemon.parts import eventually
from tests.faults.conftest import LAUNCHER, Place

HOUR_MS = 3_600_000
MONTH_MS = 31 * 24 * HOUR_MS
#: What one call of the program holds at the most is far below it, and ten thousand are far above.
FITS_ONE_NANO = 40_000


class Machine:
    """The machine's clocks, in milliseconds ahead of the real ones."""

    def __init__(self, place: Place) -> None:
        self._path = place.home / "clocks.json"
        self.place = place
        self.wall_ms = self.boot_ms = self.boots = 0
        self.tell()

    def tell(self) -> None:
        beside = self._path.with_suffix(".new")
        beside.write_text(
            json.dumps({"wall_ms": self.wall_ms, "boot_ms": self.boot_ms, "boots": self.boots})
        )
        beside.rename(self._path)

    def set_wall(self, ms: int) -> None:
        """Somebody sets the clock."""
        self.wall_ms += ms
        self.tell()

    def pass_time(self, ms: int) -> None:
        """Time goes by; a sleeping laptop's, too."""
        self.wall_ms += ms
        self.boot_ms += ms
        self.tell()

    def restart_daemon(self) -> None:
        pid = self.place.daemon_pid()
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: not _lives(pid), "the daemon is gone")

    def restart(self) -> None:
        """The machine starts anew; its boot clock begins at 0, its wall clock goes on."""
        self.restart_daemon()
        self.boots += 1
        self.boot_ms = -time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000
        self.tell()

    def resets_at_ms(self) -> int:
        (account,) = self._accounts()
        return int(account["resets_at_ms"])

    def settled(self) -> int:
        (account,) = self._accounts()
        return int(account["settled"])

    def _accounts(self) -> list[dict[str, int]]:
        with Client(self.place.home) as client:
            (budget,) = client.budget_list()["budgets"]
        accounts: list[dict[str, int]] = budget["accounts"]
        return accounts


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def machine(place: Place, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setenv("NOBURN_DAEMON", json.dumps([sys.executable, str(LAUNCHER)]))
    return Machine(place)


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp()) * 1000


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@pytest.mark.parametrize("jump_ms", [-HOUR_MS, MONTH_MS], ids=["back an hour", "forward a month"])
def test_a_clock_that_is_set_opens_no_window(machine: Machine, jump_ms: int) -> None:
    place = machine.place
    # Far from the end of an hour, whatever time it is.
    machine.set_wall(at("2027-02-10T12:10:00") - now_ms())
    place.budget(FITS_ONE_NANO, per="hour")
    assert place.ask().ok
    place.refused()
    ends = machine.resets_at_ms()
    machine.set_wall(jump_ms)
    assert "per hour" in place.refused()
    assert machine.resets_at_ms() == ends
    assert "wall clock" in " ".join(place.status()["warnings"])
    machine.restart_daemon()  # it goes on from the same anchor
    assert "per hour" in place.refused()
    assert machine.resets_at_ms() == ends
    machine.set_wall(-jump_ms)
    assert place.status()["warnings"] == []
    machine.pass_time(HOUR_MS)
    assert place.ask().ok
    place.check_nothing_lost()


def test_a_machine_that_starts_with_its_clock_back_goes_on_from_the_last_row(
    machine: Machine,
) -> None:
    place = machine.place
    machine.set_wall(at("2027-02-10T12:10:00") - now_ms())
    place.budget(FITS_ONE_NANO, per="day")
    assert place.ask().ok
    ends = machine.resets_at_ms()
    machine.set_wall(-48 * HOUR_MS)
    machine.restart()
    place.refused()
    assert machine.resets_at_ms() == ends
    place.check_nothing_lost()


@pytest.mark.parametrize(
    ("morning", "evening", "hours"),
    [
        ("2027-03-27T23:10:00", "2027-03-28T22:00:00", 23),
        ("2027-10-30T22:10:00", "2027-10-31T23:00:00", 25),
    ],
    ids=["spring", "autumn"],
)
def test_a_day_in_berlin_is_as_long_as_it_is_there(
    machine: Machine, morning: str, evening: str, hours: int
) -> None:
    """The last Sundays of March and October at 01:00 UTC: directive 2000/84/EC."""
    place = machine.place
    machine.set_wall(at(morning) - now_ms())
    with Client(place.home) as client:
        limit = {"unit": "dollars", "amount": FITS_ONE_NANO}
        client.request("budget.set", scope="global", per="day", limit=limit, zone="Europe/Berlin")
    assert place.ask().ok
    assert machine.resets_at_ms() == at(evening)
    for _ in range(hours - 1):  # through the hour that is missing, or there twice
        machine.pass_time(HOUR_MS)
        place.refused()
    machine.pass_time(HOUR_MS)
    assert place.ask().ok
    place.check_nothing_lost()
