"""A real daemon whose file is locked, moved or taken away: nobody is told what is not on disk."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon.parts import (
    Caller,
    Running,
    environment,
    eventually,
    reserve_frame,
)

HOLD = 510_000


@contextlib.contextmanager
def locked(home: Path) -> Iterator[None]:
    """Somebody else writes, and does not get done."""
    connection = sqlite3.connect(home / "ledger.sqlite3", isolation_level=None, timeout=120)
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield
    finally:
        connection.close()


def pipeline(caller: Caller, *requests: dict[str, object]) -> dict[int, dict[str, object]]:
    """Send frames in one chunk, numbered from 1; replies by number."""
    lines = [json.dumps({**frame, "n": i}) for i, frame in enumerate(requests, 1)]
    caller.socket.sendall("".join(line + "\n" for line in lines).encode())
    return {reply["n"]: reply for reply in (caller.hear() for _ in requests)}


def recovered(caller: Caller) -> None:
    probe = {"n": 1, "op": "void", "call": "probe"}
    eventually(lambda: caller.ask(**probe)["ok"], "the ledger is well again")


def test_a_budget_is_not_acknowledged_behind_a_failed_commit(running: Running) -> None:
    """What is pending fails first, in the same turn: the budget's own change is refused, too."""
    caller = Caller(running.home)
    limit = {"unit": "dollars", "amount": 7}
    change = {"op": "budget.set", "scope": "global", "per": "total", "limit": limit}
    with locked(running.home):
        replies = pipeline(caller, reserve_frame("a1"), change)
        assert replies[1]["error"] == "unknown"
        assert replies[2]["ok"] is False
        assert replies[2]["error"] in ("unknown", "ledger")
    recovered(caller)
    assert caller.ask(n=1, op="budget.list")["budgets"] == []
    assert caller.reserve("a1")["ok"]


def test_who_was_answered_from_the_queue_hears_of_a_failed_commit(running: Running) -> None:
    caller, waiting = Caller(running.home), Caller(running.home)
    caller.budget("global", HOLD)
    caller.reserve("a1")
    waiting.send(**reserve_frame("a2", wait_ms=60_000))
    eventually(lambda: caller.ask(n=1, op="status")["waiters"], "a2 waits")
    with locked(running.home):
        voids = [{"op": "void", "call": call} for call in ("a1", "a2")]
        assert {reply["error"] for reply in pipeline(caller, *voids).values()} == {"unknown"}
        assert waiting.hear()["error"] == "unknown"
    recovered(caller)
    assert waiting.reserve("a2")["why_blocked"] == "in_flight"


def test_a_process_that_ends_while_the_ledger_is_sick_is_not_forgotten(running: Running) -> None:
    code = "import sys; sys.path.insert(0, sys.argv[1]); from tests.daemon.parts import Caller;"
    code += "from pathlib import Path; c = Caller(Path(sys.argv[2])); c.reserve('dead');"
    code += "print('held', flush=True); input()"
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(Path(__file__).parents[2]), str(running.home)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment(),
    )  # fmt: skip
    caller = Caller(running.home)
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"held\n"
        with locked(running.home):
            child.kill()
            child.wait(60)
            log = running.home / "daemon.log"
            eventually(lambda: "not available" in log.read_text(), "the orphan's commit failed")
    eventually(lambda: caller.ask(n=1, op="status")["open_holds"] == 0, "the orphan is charged")
    assert caller.ask(n=1, op="void", call="dead")["state"] == "orphaned"


@pytest.mark.parametrize("how", ["moved", "replaced"])
def test_a_ledger_that_was_taken_away_grants_nothing(running: Running, how: str) -> None:
    """Its daemon could go on writing to the nameless file, and all of it would be lost."""
    caller = Caller(running.home)
    assert caller.reserve("a1")["ok"]
    ledger, aside = running.home / "ledger.sqlite3", running.home / "aside"
    ledger.rename(aside)
    if how == "replaced":
        shutil.copy(aside, ledger)
    assert caller.reserve("a2")["error"] == "unknown"
    time.sleep(0.2)  # the daemon looks again after a tenth of a second
    assert caller.reserve("a2")["error"] == "ledger"
    assert "aken away" in caller.ask(n=1, op="status")["warnings"][0]
    aside.rename(ledger)
    recovered(caller)
    assert caller.reserve("a2")["ok"]


def test_a_log_that_was_taken_away_grants_nothing_and_loses_nothing(running: Running) -> None:
    """The newest calls are in the log alone; a daemon that is told to leave still has it open."""
    caller = Caller(running.home)
    assert caller.reserve("a1")["ok"]
    (running.home / "ledger.sqlite3-wal").unlink()
    assert caller.reserve("a2")["error"] == "unknown"
    assert caller.ask(n=1, op="shutdown")["ok"]
    assert running.finish() == 0
    running.start()
    again = Caller(running.home)
    assert again.settle("a1")["state"] == "settled"
    assert again.reserve("a2")["ok"]


def test_a_sick_daemon_leaves_when_told(running: Running) -> None:
    caller = Caller(running.home)
    (running.home / "ledger.sqlite3").rename(running.home / "aside")
    assert caller.reserve("a1")["error"] == "unknown"
    assert caller.ask(n=1, op="shutdown")["ok"]
    assert running.finish() == 0


def test_a_locked_ledger_still_answers_soon(running: Running) -> None:
    """After the first wait for the lock the daemon only looks whether it is free."""
    caller = Caller(running.home)
    with locked(running.home):
        assert caller.reserve("a1")["error"] == "unknown"
        for _ in range(20):
            assert caller.reserve("a1")["error"] == "ledger"
            time.sleep(0.12)
    recovered(caller)
