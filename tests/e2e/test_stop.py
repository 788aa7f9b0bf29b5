"""`noburn stop`, as two people at two terminals see it: processes, streams, money, receipts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Provider, World, run_program

pytestmark = pytest.mark.usefixtures("provider")


def eventually(holds: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.05)


def begun(folder: Path) -> bool:
    return (folder / "chat.began").exists() and (folder / "message.began").exists()


@pytest.fixture
def slow(world: World) -> Any:
    made = world.provider(
        "--default", "x-stub-chunk-delay-ms=1000", "--default", "x-stub-output-tokens=3000"
    )
    yield made
    made.close()


def test_a_deaf_run_is_ended_with_its_streams_and_says_by_whom(
    world: World, slow: Provider, tmp_path: Path
) -> None:
    """Goal: one command ends a group that ignores SIGTERM; the money is never below the bill."""
    inner = run_program("streamer.py", str(tmp_path), "deaf")
    running = world.start("run", "--budget", "1", "--", *inner)
    eventually(lambda: begun(tmp_path), "two streams")
    stopped = world.noburn("stop", "last", "--reason", "too dear")
    assert stopped.returncode == 0, stopped.stderr
    assert "2 calls were in flight" in stopped.stdout
    out, err = running.communicate(timeout=120)
    assert running.returncode == 3, (out, err)
    assert "noburn ended the run: run `" in err
    assert "too dear" in err
    # Within the grace, a program that goes on hears of it in the provider's own words.
    assert "too dear" in (tmp_path / "chat.ended").read_text()
    assert (tmp_path / "chat.ended").read_text().startswith("openai.APIError")
    assert (tmp_path / "message.ended").read_text().startswith("anthropic.API")
    assert "402" in (tmp_path / "again").read_text()
    bill = slow.bill()
    rows = world.rows("SELECT state, cost_nano FROM calls WHERE state <> 'blocked'")
    assert [state for state, _ in rows] == ["uncertain", "uncertain"]
    assert sum(cost for _, cost in rows) >= bill["total_nano"] > 0
    assert world.rows("SELECT failure FROM calls WHERE state = 'blocked'") == [("stopped",)]
    why = world.noburn("why")
    assert "was stopped" in why.stdout
    again = world.noburn("stop", "last")
    assert (again.returncode, "no run is open" in again.stderr) == (1, True)


def test_a_child_that_left_the_group_is_cut_off_and_named(
    world: World, slow: Provider, tmp_path: Path
) -> None:
    """Goal: what the signal does not reach has no stream, no money, and is named."""
    inner = run_program("streamer.py", str(tmp_path), "leave")
    running = world.start("run", "--budget", "1", "--", *inner)
    eventually(lambda: begun(tmp_path), "two streams")
    pid = int((tmp_path / "pid").read_text())
    try:
        done = world.noburn("stop", "--all", "--json")
        assert done.returncode == 0, done.stderr
        [stopped] = json.loads(done.stdout)["data"]["runs"]
        assert stopped["ended"] is True
        assert [s.split()[0] for s in stopped["survivors"]] == [str(pid)]
        _, err = running.communicate(timeout=120)
        assert running.returncode == 3
        assert f"still running, outside of the run's process group: {pid}" in err
        eventually((tmp_path / "done").exists, "both streams ended")
        assert "was stopped by" in (tmp_path / "message.ended").read_text()
        assert "402" in (tmp_path / "again").read_text()
    finally:
        os.kill(pid, signal.SIGKILL)


def test_a_budget_that_kills_ends_the_run_at_its_block(world: World, tmp_path: Path) -> None:
    """Goal: the block is the end of the whole group, and the receipt names the budget."""
    set_up = world.noburn("budget", "set", "customer=acme", "0.00001", "--action", "kill")
    assert "(kills)" in set_up.stdout, set_up.stderr
    inner = run_program("streamer.py", str(tmp_path), "deaf")
    done = world.noburn("run", "--customer", "acme", "--", *inner)
    assert done.returncode == 3, done.stderr
    assert "noburn ended the run: call blocked: budget `customer=acme per total`" in done.stderr
    [(run, kind)] = world.rows("SELECT run, kind FROM journal WHERE kind = 'run_stop'")
    assert (bool(run), kind) == (True, "run_stop")


def test_stopping_what_is_not_there(world: World) -> None:
    """Goal: no daemon is started for it, and nothing is guessed."""
    nobody = world.noburn("stop", "last")
    assert nobody.returncode == 4
    assert not (world.home / "daemon.sock").exists()
    assert world.noburn("stop").returncode == 2
    assert world.noburn("stop", "r1", "--all").returncode == 2
    sleeping = [
        subprocess.Popen(
            [*_NOBURN, "run", "--", "sleep", "600"],
            env=world.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(2)
    ]
    try:
        eventually(lambda: len(_open(world)) == 2, "two runs")
        several = world.noburn("stop", "r")
        assert several.returncode == 2
        assert "several open runs begin with 'r'" in several.stderr
        unknown = world.noburn("stop", "nobody")
        assert (unknown.returncode, "open are r" in unknown.stderr) == (1, True)
        assert world.noburn("stop", "--all").returncode == 0
        assert [process.wait(60) for process in sleeping] == [3, 3]
    finally:
        for process in sleeping:
            process.kill()
            process.wait()


def _open(world: World) -> list[Any]:
    shown = json.loads(world.noburn("top", "--json").stdout)["data"]["runs"]
    return list(shown)


_NOBURN = [sys.executable, "-m", "noburn_cli"]
