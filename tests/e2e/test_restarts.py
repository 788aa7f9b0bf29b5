"""A daemon that is killed under streams in flight: every bill is kept, and booked once."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import World, run_program

ROUNDS = 3


@contextmanager
def without_daemon(world: World) -> Iterator[int]:
    """Kill the daemon under calls, and let none start: whoever tries to finds its lock taken.

    Gives how many endings lay undelivered before.
    """
    lock = os.open(world.home / "daemon.lock", os.O_RDWR)
    try:
        _until(lambda: _stopped_under_calls(world), "calls are in flight")
        before = _kept(world)
        os.kill(_daemon_pid(world), signal.SIGKILL)
        _until(lambda: _has_lock(lock), "the killed daemon's lock is free")
        yield before
    finally:
        os.close(lock)


def _daemon_pid(world: World) -> int:
    """The daemon that has the lock now; raises OSError or ValueError when there is none."""
    pid = int((world.home / "daemon.lock").read_text())
    if b"noburn_daemon" not in Path(f"/proc/{pid}/cmdline").read_bytes():
        raise ProcessLookupError(pid)
    return pid


def _stopped_under_calls(world: World) -> bool:
    """Stop the daemon for good if calls are held: what a stopped daemon holds nobody ends."""
    try:
        pid = _daemon_pid(world)
        os.kill(pid, signal.SIGSTOP)
    except (OSError, ValueError):
        return False
    if world.rows("SELECT 1 FROM calls WHERE state = 'held' LIMIT 1"):
        return True
    os.kill(pid, signal.SIGCONT)
    return False


def _has_lock(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _kept(world: World) -> int:
    """How many endings lie in the folder of undelivered ones."""
    folder = world.home / "journal"
    found = 0
    for path in folder.iterdir() if folder.exists() else ():
        try:
            found += path.read_bytes().count(b"\n")
        except FileNotFoundError:  # somebody took it
            continue
    return found


def _ended(folder: Path) -> list[dict[str, Any]]:
    logs = folder.glob("*.jsonl")
    return [json.loads(line) for log in logs for line in log.read_text().splitlines()]


def _until(ready: Any, what: str, *, seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.02)


@pytest.mark.timeout(600)
def test_streams_outlive_their_daemon_and_every_bill_is_booked_once(
    world: World, tmp_path: Path
) -> None:
    """Goal: bill = books, to the last unit; no call is lost, doubled, uncertain or an orphan."""
    provider = world.provider("--default", "x-stub-chunk-delay-ms=15")
    running = world.start(
        "run", "--", *run_program("fleet.py", "2", "openai_stream", "4", "12", str(tmp_path))
    )
    kept = 0
    try:
        for number in range(1, ROUNDS + 1):
            _until(lambda n=number: len(_ended(tmp_path)) > 8 * n, "streams come to their ends")
            with without_daemon(world) as before:
                _until(lambda n=before: _kept(world) > n, "a bill that nobody takes is kept")
                kept += _kept(world) - before
        _, stderr = running.communicate(timeout=180)
        assert running.returncode == 0, stderr
        assert kept >= ROUNDS
        assert world.noburn("daemon", "start").returncode == 0
        _until(lambda: _kept(world) == 0, "the daemon takes what is left")
        states = dict(world.rows("SELECT state, count(*) FROM calls GROUP BY 1"))
        assert set(states) == {"settled"}, states
        bill = provider.bill()
        assert world.rows("SELECT sum(cost_nano) FROM calls")[0][0] == bill["total_nano"]
        rows = world.rows(
            "SELECT kind, count(*), count(DISTINCT call) FROM journal WHERE kind IN"
            " ('reserve', 'settle', 'lose', 'orphan', 'void') GROUP BY 1 ORDER BY 1"
        )
        calls = states["settled"]
        assert rows == [("reserve", calls, calls), ("settle", calls, calls)]
        finished = {line["id"] for line in _ended(tmp_path) if line["ok"]}
        booked = {row[0] for row in world.rows("SELECT provider_id FROM calls")}
        assert finished == booked
        verified = world.noburn("ledger", "verify")
        assert verified.returncode == 0, verified.stdout + verified.stderr
    finally:
        running.kill()
        provider.close()
