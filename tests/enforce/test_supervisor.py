"""The order of a run: subscribed before the child, no block missed, what is left is named."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial

import pytest

from noburn_cli import paths
from noburn_cli.client import new_call_id
from noburn_cli.enforce.launch import LaunchSettings
from noburn_cli.enforce.supervisor import RunOutcome, run_supervised
from noburn_cli.enforce.survivors import find_survivors
from noburn_cli.enforce.watch import Watch
from noburn_cli.errors import LedgerUnavailable
from noburn_cli.run_summary import find_stopped, read_run_summary
from tests.enforce.conftest import Home


def refuse(home: Home, run: str, reason: str) -> None:
    """A call that was stopped, as the guard of a child would report it."""
    home.client.refused(
        new_call_id(), api="openai.chat", model="m", attrs={"run": run}, reason=reason
    )


def eventually(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def find(home: Home) -> Callable[[str], str | None]:
    home.client.run_start(run="r1", attrs={"run": "r1"}, command=["x"], limit=None)
    return partial(find_stopped, paths.ledger_path(home.folder))


def nobody(_run: str) -> str | None:
    raise AssertionError("the ledger is asked only for what no event told")


def test_a_block_before_the_watch_listens_is_heard(
    home: Home, find: Callable[[str], str | None]
) -> None:
    ended = threading.Event()
    watch = Watch("r1", find_stopped=nobody)
    refuse(home, "r1", "too early")
    watch.start(ended.set)
    assert ended.wait(20)
    assert watch.finish() == "too early"


def test_a_run_below_counts_and_another_does_not(
    home: Home, find: Callable[[str], str | None]
) -> None:
    ended = threading.Event()
    watch = Watch("r1", find_stopped=find)
    watch.start(ended.set)
    refuse(home, "r2", "not ours")
    refuse(home, "r10", "not ours")
    assert not ended.wait(0.2)
    assert find("r1") is None
    refuse(home, "r1/r3", "ours")
    assert ended.wait(20)
    assert watch.finish() == "ours"
    assert find("r1") == find("r1/r3") == "ours"


def test_what_was_missed_while_the_daemon_was_down_is_in_the_ledger(
    home: Home, find: Callable[[str], str | None]
) -> None:
    ended = threading.Event()
    watch = Watch("r1", find_stopped=find)
    os.kill(int(home.client.status()["pid"]), signal.SIGKILL)
    refuse(home, "r1", "missed")  # by another daemon, which this brings up
    watch.start(ended.set)
    assert ended.wait(20)
    assert watch.finish() == "missed"


def test_at_the_end_the_ledger_is_asked_once_more(
    home: Home, find: Callable[[str], str | None]
) -> None:
    ended = threading.Event()
    watch = Watch("r1", find_stopped=find)
    watch._first_stopped = lambda: None  # type: ignore[method-assign]  # an event that is late
    watch.start(ended.set)
    refuse(home, "r1", "late")
    assert watch.finish() == "late"
    assert ended.is_set(), "what is left of the job is ended as well"


def test_a_run_without_a_block_ends_nothing(home: Home, find: Callable[[str], str | None]) -> None:
    ended = threading.Event()
    watch = Watch("r1", find_stopped=find)
    watch.start(ended.set)
    assert watch.finish() is None
    assert not ended.is_set()


def run(command: list[str], kill: bool = False) -> RunOutcome:
    ledger = paths.ledger_path()
    return run_supervised(
        command,
        limit=None,
        settings=LaunchSettings(attributes={"project": "p"}),
        find_stopped=partial(find_stopped, ledger) if kill else None,
        environment=os.environ,
    )


@pytest.mark.parametrize("kill", [False, True])
def test_outcomes(home: Home, kill: bool) -> None:
    assert (run(["sh", "-c", "exit 4"], kill).exit_code, run(["true"], kill).limited) == (4, False)
    home.limit("project=p", 5)
    assert run(["true"], kill).limited
    lost = run(["no-such-command"], kill)
    assert (lost.exit_code, lost.child_code) == (127, None)
    assert lost.failure == "no-such-command: command not found"
    assert home.client.status()["runs"] == 0


def test_processes_that_left_the_group_are_named_by_their_run() -> None:
    environment = {**os.environ, "NOBURN_GUARD": "1", "NOBURN_RUN": "rx/ry"}
    with subprocess.Popen(["sleep", "60"], env=environment, start_new_session=True) as child:
        try:
            found = [f"{child.pid} (sleep)"] if sys.platform == "linux" else []
            eventually(lambda: find_survivors("rx") == found)  # once it has executed
            assert find_survivors("rx/ry") == found
            assert find_survivors("rx/r") == find_survivors("r") == []
        finally:
            child.kill()


def test_a_file_that_is_no_ledger_is_said_to_be_none(home: Home) -> None:
    empty = home.folder / "empty.sqlite3"
    with pytest.raises(LedgerUnavailable, match="no ledger"):
        read_run_summary(empty, "r1")
    empty.touch()
    with pytest.raises(LedgerUnavailable, match="cannot be read"):
        read_run_summary(empty, "r1")
    empty.write_bytes(b"something else " * 100)
    with pytest.raises(LedgerUnavailable, match="cannot be read"):
        find_stopped(empty, "r1")
    home.client.status()  # the home's own daemon, which the fixture stops
