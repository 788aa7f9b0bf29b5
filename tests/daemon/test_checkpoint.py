"""Goal: the WAL stays short while the daemon writes, not only when it leaves."""

from __future__ import annotations

from pathlib import Path

import pytest

from noburn_daemon import checkpoint
from noburn_daemon.ledger import Event
from noburn_daemon.sqlite import SqliteLedger
from tests.daemon.parts import START_MS, eventually

PAGE_BYTES = 4096
#: It counts checkpoints and carries salts: https://www.sqlite.org/fileformat2.html#walformat
WAL_HEADER_BYTES = 32


def test_checkpoints_bring_rows_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint on a connection that had read nothing did nothing, without an error."""
    monkeypatch.setattr(checkpoint, "PASSIVE_PAGES", 50)
    monkeypatch.setattr(checkpoint, "TRUNCATE_PAGES", 200)
    ledger = SqliteLedger(tmp_path / "ledger.sqlite3", now_ms=START_MS)
    wal = tmp_path / "ledger.sqlite3-wal"
    written = 0

    def grow() -> None:
        nonlocal written
        written += 1
        ledger.append([Event(0, START_MS + written, "refused", detail="x" * PAGE_BYTES)], None)

    try:
        while written < 50:
            grow()
        eventually(lambda: ledger.path.stat().st_size > 50 * PAGE_BYTES, "rows in the main file")

        first = wal.read_bytes()[:WAL_HEADER_BYTES]

        def began_anew() -> bool:
            grow()
            return wal.read_bytes()[:WAL_HEADER_BYTES] != first

        eventually(began_anew, "a WAL that begins anew under a writer that goes on")
    finally:
        ledger.close()
