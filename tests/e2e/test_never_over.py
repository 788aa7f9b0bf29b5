"""The promise: settled plus held never passes a limit, whatever runs, dies or is cut.

Real SDKs in real processes, a real daemon, a provider that keeps a bill of its own.
"""

from __future__ import annotations

import json
import math
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Provider, World, run_program

NANO = 1_000_000_000
PROCESSES, THREADS = 8, 16
#: The least output, in tokens, that an uncapped call is lowered to: `run.floor` as it is preset.
FLOOR = 256
HELD_BY = """
SELECT 1 FROM journal AS r JOIN names AS o ON o.id = r.owner
WHERE r.kind = 'reserve' AND o.text LIKE ?
AND NOT EXISTS (SELECT 1 FROM journal AS c WHERE c.call = r.call AND c.seq > r.seq)
LIMIT 1
"""


def settled_nano(world: World) -> int:
    """Everything charged in the ledger."""
    return int(world.rows("SELECT coalesce(sum(cost_nano), 0) FROM calls")[0][0])


def replayed(world: World) -> Iterator[tuple[str, int, int, int, int]]:
    """Each journal row's kind, hold and granted output; charged and held before it and after it."""
    stands: dict[str, int] = {}
    total = 0
    for kind, call, hold, granted, cost in world.rows(
        "SELECT kind, call, hold_nano, granted, cost_nano FROM journal "
        "WHERE call IS NOT NULL ORDER BY seq"
    ):
        before, stood = total, stands.get(call, 0)
        if kind == "reserve":
            stands[call] = hold
        elif kind in ("settle", "lose", "orphan", "void"):
            stands[call] = cost or 0
        total += stands.get(call, 0) - stood
        yield kind, hold, granted, before, total


def peak_nano(world: World) -> int:
    """The most that was ever charged and held at once."""
    return max((after for *_, after in replayed(world)), default=0)


def logs(folder: Path) -> list[dict[str, Any]]:
    return [
        json.loads(line)
        for path in sorted(folder.glob("*.jsonl"))
        for line in path.read_text().splitlines()
    ]


def one_call_nano(world: World, provider: Provider, kind: str, folder: Path) -> tuple[int, int]:
    """What one call of the worker holds at the most and costs, found by making it."""
    done = world.noburn(
        "run", "--", *run_program("worker.py", kind, "1", "1", str(folder / "probe.log"))
    )
    assert done.returncode == 0, done.stderr
    hold, cost = world.rows("SELECT hold_nano, cost_nano FROM calls")[0]
    assert provider.bill()["total_nano"] == cost
    return hold, cost


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("kind", "calls"), [("openai_plain", 3), ("openai_stream", 6), ("anthropic_stream", 3)]
)
def test_many_processes_and_threads_on_a_budget_that_fits_a_fraction(
    world: World, provider: Provider, tmp_path: Path, kind: str, calls: int
) -> None:
    """Goal: overshoot 0, at least 95 % used, our books equal to the provider's bill."""
    hold, cost = one_call_nano(world, provider, kind, tmp_path)
    attempts = PROCESSES * THREADS * calls
    limit = cost * attempts // 3 + hold
    exact = f"{limit // NANO}.{limit % NANO:09d}"
    done = world.noburn("budget", "set", "project=fleet", exact)
    assert done.returncode == 0, done.stderr
    done = world.noburn(
        "run", "--project", "fleet", "--",
        *run_program("fleet.py", str(PROCESSES), kind, str(THREADS), str(calls), str(tmp_path)),
        timeout=280,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    bill = provider.bill()
    in_fleet = "project = 'fleet'"
    spent = world.rows(f"SELECT sum(cost_nano) FROM calls WHERE {in_fleet}")[0][0]
    seen = logs(tmp_path)
    blocked = [line for line in seen if not line["ok"]]
    assert len(seen) == attempts
    assert {line["status"] for line in blocked} == {402}, blocked[:3]
    assert len(blocked) > attempts // 2
    assert "noburn" in blocked[0]["message"]
    assert spent <= limit
    assert peak_nano(world) <= limit + cost  # the probe was outside the budget
    assert spent + cost == bill["total_nano"]
    assert spent >= limit * 95 // 100
    assert limit - spent < hold  # What is left is too little for another call.
    states = dict(world.rows(f"SELECT state, count(*) FROM calls WHERE {in_fleet} GROUP BY 1"))
    assert states == {"settled": attempts - len(blocked), "blocked": len(blocked)}


@pytest.mark.timeout(200)
def test_uncapped_calls_are_clamped_and_stay_inside(
    world: World, provider: Provider, tmp_path: Path
) -> None:
    """Goal: uncapped calls share what is left, end in the own limit of the provider, never over."""
    limit = NANO // 100
    done = world.noburn(
        "run", "--budget", "0.01", "--",
        *run_program("fleet.py", "4", "openai_uncapped", "8", "4", str(tmp_path)),
        timeout=180,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    spent = settled_nano(world)
    assert spent == provider.bill()["total_nano"]
    assert peak_nano(world) <= limit
    clamped = world.rows("SELECT count(*) FROM calls WHERE clamped = 1 AND state = 'settled'")[0][0]
    assert clamped > 0
    # Not one call may take so much that the rest of the fleet gets nothing: at most half of what is
    # left, but for the floor.  How many calls that makes depends on how many come at once.
    reserved = [row[1:4] for row in replayed(world) if row[0] == "reserve"]
    assert all(
        granted == FLOOR or hold <= (limit - before) // 2 for hold, granted, before in reserved
    )
    dearest_floor = max(hold for hold, granted, _ in reserved if granted == FLOOR)
    assert len(reserved) > math.log2(limit / dearest_floor)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("on_disconnect", ["stop", "run_on", "to_cap"])
def test_clients_killed_in_the_middle(world: World, tmp_path: Path, on_disconnect: str) -> None:
    """Goal: a killed client's calls stay charged; the provider's bill never passes the limit."""
    provider = world.provider(
        "--on-disconnect", on_disconnect, "--default", "x-stub-chunk-delay-ms=10"
    )
    limit = NANO // 50
    running = world.start(
        "run", "--budget", "0.02", "--",
        *run_program("fleet.py", "4", "openai_stream", "8", "60", str(tmp_path)),
    )  # fmt: skip
    try:
        victims = _pids_of(tmp_path)[:2]
        for victim in victims:
            _kill_while_it_holds(world, victim)
        _, stderr = running.communicate(timeout=280)
        assert running.returncode == 0, stderr
        bill = provider.bill()["total_nano"]
        assert bill <= settled_nano(world) <= limit
        assert peak_nano(world) <= limit
        orphans = world.noburn("ledger", "orphans", "--json")
        assert orphans.returncode == 0
        listed = world.rows("SELECT count(*) FROM calls WHERE state = 'orphaned'")[0][0]
        assert listed > 0
        assert all(str(pid) in orphans.stdout for pid in victims)
        assert world.rows("SELECT count(*) FROM calls WHERE state = 'held'")[0][0] == 0
    finally:
        running.kill()
        provider.close()


@pytest.mark.timeout(300)
def test_daemon_killed_in_the_middle(world: World, provider: Provider, tmp_path: Path) -> None:
    """Goal: nothing acknowledged is lost, nothing passes the limit, work goes on by itself."""
    limit = NANO // 50
    running = world.start(
        "run", "--budget", "0.02", "--",
        *run_program("fleet.py", "4", "openai_plain", "8", "50", str(tmp_path)),
    )  # fmt: skip
    try:
        killed = set()
        for round_number in range(1, 4):
            _until(lambda least=round_number * 60: len(logs(tmp_path)) > least)
            pid = world.daemon_pid()
            killed.add(pid)
            os.kill(pid, signal.SIGKILL)
        _, stderr = running.communicate(timeout=280)
        assert running.returncode == 0, stderr
        assert len(killed) == 3  # Each time another one had been started.
        bill = provider.bill()["total_nano"]
        assert bill <= settled_nano(world) <= limit
        assert peak_nano(world) <= limit
        finished = {line["id"] for line in logs(tmp_path) if line["ok"]}
        known = {
            row[0] for row in world.rows("SELECT provider_id FROM calls WHERE state = 'settled'")
        }
        assert finished <= known
        verified = world.noburn("ledger", "verify")
        assert verified.returncode == 0, verified.stdout + verified.stderr
    finally:
        running.kill()


def _kill_while_it_holds(world: World, pid: int) -> None:
    """SIGKILL in the middle of a call: what a stopped process holds does not end meanwhile."""

    def holds() -> bool:
        return world.ledger.exists() and world.rows(HELD_BY, f"%:{pid}:%") != []

    def killed() -> bool:
        if not holds():
            return False
        os.kill(pid, signal.SIGSTOP)
        time.sleep(0.2)  # What it had sent before is in the ledger now.
        mid_call = holds()
        os.kill(pid, signal.SIGKILL if mid_call else signal.SIGCONT)
        return mid_call

    _until(killed)


def _pids_of(folder: Path) -> list[int]:
    path = folder / "pids"
    _until(lambda: path.exists() and path.read_text() != "")
    return [int(pid) for pid in path.read_text().split()]


def _until(ready: Any, *, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)
