"""Endings that nobody could deliver: the daemon finds them, at its start and while it runs."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

from noburn_cli import journal_files
from tests.daemon.parts import Caller, Running, environment, eventually

_RESERVES = """
import json, sys
from pathlib import Path
from tests.daemon.parts import Caller
caller = Caller(Path(sys.argv[1]))
for call in sys.argv[2:]:
    assert caller.reserve(call)["ok"]
"""


def keep(home: Path, *frames: dict[str, Any]) -> None:
    for frame in frames:
        journal_files.append(home / "journal", json.dumps(frame).encode() + b"\n")


def settle(call: str, output: int = 20) -> dict[str, Any]:
    return {"op": "settle", "call": call, "usage": {"input": 10, "output": output}}


def kinds(home: Path) -> dict[str, list[str]]:
    """Kinds of rows by call, in order."""
    connection = sqlite3.connect(f"file:{home}/ledger.sqlite3?mode=ro", uri=True)
    try:
        found: dict[str, list[str]] = {}
        for call, kind in connection.execute(
            "SELECT call, kind FROM journal WHERE call IS NOT NULL ORDER BY seq"
        ):
            found.setdefault(call, []).append(kind)
        return found
    finally:
        connection.close()


def left(home: Path) -> list[str]:
    return sorted(path.suffix for path in (home / "journal").iterdir())


def test_at_its_start_bills_come_before_the_dead(running: Running) -> None:
    """A call whose process and whose daemon died has its bill, and is no orphan on the way."""
    gone = subprocess.Popen(
        [sys.executable, "-c", f"{_RESERVES}\nsys.stdin.read()", str(running.home), "a1", "a2"],
        env=environment(), stdin=subprocess.PIPE, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    eventually(lambda: set(kinds(running.home)) == {"a1", "a2"}, "both are held")
    running.kill()
    gone.communicate()
    keep(running.home, settle("a1"), {"op": "void", "call": "never-seen"})
    running.start()
    eventually(lambda: kinds(running.home).get("a2") == ["reserve", "orphan"], "a2 has no bill")
    assert kinds(running.home)["a1"] == ["reserve", "settle"]
    assert kinds(running.home)["never-seen"] == ["tombstone"]
    eventually(lambda: left(running.home) == [], "the file is gone")


def test_while_it_runs_it_looks_and_keeps_what_is_no_ending(running: Running) -> None:
    caller = Caller(running.home)
    for call in ("a1", "a2"):
        assert caller.reserve(call)["ok"]
    keep(running.home, settle("a1"), {"op": "shutdown"}, {"op": "settle", "call": "a2"})
    eventually(lambda: kinds(running.home)["a1"] == ["reserve", "settle"], "a1 is settled")
    eventually(lambda: left(running.home) == [".bad"], "two lines are kept for a person")
    [bad] = (running.home / "journal").iterdir()
    assert len(bad.read_bytes().splitlines()) == 2
    # Sent again by a client that comes later: harmless, and with another bill refused.
    assert caller.settle("a1", output=20)["ok"]
    keep(running.home, settle("a1", output=99), settle("a2"))
    eventually(lambda: kinds(running.home)["a2"] == ["reserve", "settle"], "a2 is settled")
    assert kinds(running.home)["a1"] == ["reserve", "settle"]
    assert caller.ask(n=9, op="status")["open_holds"] == 0


def test_a_file_that_somebody_sends_is_left_to_him(running: Running) -> None:
    caller = Caller(running.home)
    assert caller.reserve("a1")["ok"]
    assert caller.reserve("a2")["ok"]
    keep(running.home, settle("a1"))
    [path] = journal_files.files(running.home / "journal")
    with journal_files.take(path) as taken:
        assert taken is not None
        # Another process of the client's, at the same time.
        keep(running.home, settle("a2"))
        eventually(lambda: kinds(running.home)["a2"] == ["reserve", "settle"], "a2 is settled")
        assert kinds(running.home)["a1"] == ["reserve"]
    # He died without a word: the file is the daemon's.
    eventually(lambda: kinds(running.home)["a1"] == ["reserve", "settle"], "a1 is settled")
    eventually(lambda: left(running.home) == [], "nothing is left")
