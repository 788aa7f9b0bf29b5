"""How a commit is made durable is chosen at start, shown by `status`, and really set."""

from __future__ import annotations

from pathlib import Path

import pytest

from noburn_daemon.sqlite import SqliteLedger
from tests.daemon.parts import START_MS, Caller, daemon

#: https://www.sqlite.org/pragma.html#pragma_synchronous
SYNCHRONOUS = {"process": 1, "power": 2}


@pytest.mark.parametrize("durability", ["process", "power"])
def test_holds_survive_a_kill(durability: str) -> None:
    with daemon("--durability", durability) as running:
        caller = Caller(running.home)
        assert caller.ask(n=1, op="status")["durability"] == durability
        first = caller.reserve("a1")
        assert first["ok"]
        running.kill()
        running.start()
        caller = Caller(running.home)
        assert caller.ask(n=1, op="status")["durability"] == durability
        assert caller.reserve("a1") == first
        assert caller.settle("a1")["state"] == "settled"


@pytest.mark.parametrize("durability", ["process", "power"])
def test_sqlite_is_told(tmp_path: Path, durability: str) -> None:
    ledger = SqliteLedger(tmp_path / "ledger.sqlite3", durability=durability, now_ms=START_MS)
    try:
        found = ledger._connection.execute("PRAGMA synchronous").fetchone()
        assert found == (SYNCHRONOUS[durability],)
    finally:
        ledger.close()
