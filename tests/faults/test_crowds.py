"""10,000 connections, and no descriptor left: who is in goes on, and who is not is told."""

from __future__ import annotations

import contextlib
import json
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from noburn_cli import protocol
from noburn_cli.client import Client
from noburn_cli.errors import DaemonUnavailable
from tests.daemon.parts import eventually
from tests.faults.conftest import Place

CROWD = Path(__file__).with_name("crowd.py")
PROCESSES, EACH = 4, 2_500
FEW = 96


@contextlib.contextmanager
def crowd(place: Place, processes: int, each: int) -> Iterator[tuple[int, int]]:
    """So many connections; how many of them were greeted, and how many turned away."""
    members = [
        subprocess.Popen(
            [sys.executable, str(CROWD), str(place.home), str(each)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for _ in range(processes)
    ]  # fmt: skip
    try:
        lines = [member.stdout.readline().split() for member in members if member.stdout]
        yield sum(int(line[0]) for line in lines), sum(int(line[1]) for line in lines)
    finally:
        for member in members:
            member.communicate("")


def few_connections(place: Place) -> bool:
    """Whether those of the crowd have gone; until then, one more may be turned away."""
    with contextlib.suppress(DaemonUnavailable):
        return int(place.status()["connections"]) < 10
    return False


def test_ten_thousand_connections(place: Place) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2 * protocol.CONNECTIONS_MAX:
        pytest.skip(f"the system allows {hard} descriptors a process")
    assert place.ask().ok
    with crowd(place, PROCESSES, EACH) as (greeted, turned_away):
        assert greeted + turned_away == PROCESSES * EACH
        assert greeted > protocol.CONNECTIONS_MAX - 100
        assert place.ask().ok  # over the connection that it has
        with Client(place.home) as late, pytest.raises(DaemonUnavailable) as told:
            late.status()
        assert told.value.why == "too many connections"
    eventually(lambda: few_connections(place), "they have gone")
    assert place.ask().ok
    place.check_nothing_lost()


def test_no_descriptor_is_left(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    script = f'ulimit -n {FEW}; exec "{sys.executable}" -m noburn_daemon'
    monkeypatch.setenv("NOBURN_DAEMON", json.dumps(["/bin/sh", "-c", script]))
    assert place.ask().ok
    with crowd(place, 1, 2 * FEW) as (greeted, turned_away):
        assert 10 < greeted < FEW
        assert turned_away > FEW
        assert place.ask().ok
        with Client(place.home) as late, pytest.raises(DaemonUnavailable, match="did not answer"):
            late.status()
    eventually(lambda: few_connections(place), "they have gone")
    assert place.ask().ok
    place.check_nothing_lost()
