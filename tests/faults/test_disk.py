"""The file is locked, read-only, out of space, corrupted, torn or taken away.

What was granted is on the disk before anybody hears of it: so a file that cannot be written grants
nothing, and a file that is damaged is refused before a call leaves.
"""

from __future__ import annotations

import contextlib
import random
import shutil
import signal
import sqlite3
import subprocess
from pathlib import Path

import pytest

from noburn_cli.reports.verify import verify_ledger
from noburn_daemon import ending, reserving
from tests.daemon.parts import (
    START_MS,
    Caller,
    balances,
    commit,
    eventually,
    open_book,
    read,
    reserve_frame,
)
from tests.faults.conftest import Place, end_daemon, needs_root

PAGE = 4096


def stop(place: Place) -> None:
    """Have the daemon leave, its WAL written back."""
    done = place.noburn("daemon", "stop")
    assert done.returncode == 0, done.stderr


def test_a_ledger_that_another_program_locks_grants_nothing(place: Place) -> None:
    assert place.ask().ok
    other = sqlite3.connect(place.ledger, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert "locked" in place.refused()
    other.close()
    eventually(lambda: place.ask().ok, "it is written again")
    assert set(place.states()) <= {"settled", "voided"}
    place.check_nothing_lost()


@needs_root
def test_a_disk_that_became_read_only_starts_no_daemon(small_disk: Place) -> None:
    place = small_disk
    assert place.ask().ok
    stop(place)
    subprocess.run(["mount", "-o", "remount,ro", str(place.home)], check=True)
    assert "Read-only file system" in place.refused()
    subprocess.run(["mount", "-o", "remount,rw", str(place.home)], check=True)
    assert place.ask().ok
    place.check_nothing_lost()


@needs_root
def test_a_full_disk_lets_no_call_out_and_keeps_what_was_paid(small_disk: Place) -> None:
    place = small_disk
    assert place.ask().ok
    caller = Caller(place.home)
    filler = place.home / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * PAGE)
    granted = []
    for number in range(5000):  # what the log has grown by already is used up first
        reply = caller.reserve(f"k{number:05d}", attrs={"customer": f"c{number}"})
        if not reply["ok"]:
            break
        granted.append(reply["call"])
    assert reply["error"] in ("unknown", "ledger")
    assert "full" in place.refused()
    assert any("full" in warning for warning in place.status()["warnings"])
    filler.unlink()
    eventually(lambda: place.ask().ok, "it is written again")
    for call in granted:
        assert caller.ask(n=1, op="void", call=call)["state"] == "voided"
    place.check_nothing_lost()


def test_a_ledger_taken_away_lets_no_call_out(place: Place) -> None:
    assert place.ask().ok
    aside = place.home / "aside"
    place.ledger.rename(aside)
    assert "taken away" in place.refused()
    assert not place.ledger.exists()
    aside.rename(place.ledger)
    eventually(lambda: place.ask().ok, "it is written again")
    place.check_nothing_lost()


def spoil(path: Path, page: int) -> None:
    """Overwrite one page with noise, as a failing disk would."""
    with path.open("r+b") as file:
        file.seek((page - 1) * PAGE)
        file.write(random.Random(page).randbytes(PAGE))


def root_page(path: Path, table: str) -> int:
    with sqlite3.connect(path) as connection:
        row = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,))
        page = int(row.fetchone()[0])
    connection.close()
    return page


@pytest.mark.parametrize("table", ["budgets", "accounts", "open_holds", "journal", "meta"])
def test_a_page_that_is_needed_to_start_is_missed_at_once(place: Place, table: str) -> None:
    place.budget(10**12)
    assert place.ask().ok
    stop(place)
    whole = place.home / "whole"
    shutil.copy(place.ledger, whole)
    spoil(place.ledger, root_page(place.ledger, table))
    message = place.refused()
    assert "malformed" in message or "not a database" in message
    verified = place.noburn("ledger", "verify")
    assert verified.returncode in (1, 4)
    assert "Traceback" not in verified.stderr
    shutil.copy(whole, place.ledger)
    assert place.ask().ok
    place.check_nothing_lost()


def test_a_row_that_was_changed_is_named(place: Place) -> None:
    """A page that reads well and says something else is what the chain is for."""
    place.ask()
    place.ask()
    stop(place)
    with sqlite3.connect(place.ledger) as connection:
        connection.execute("DROP TRIGGER journal_is_unchanged")
        connection.execute("UPDATE journal SET cost_nano = 1 WHERE seq = (SELECT min(seq)"
                           " FROM journal WHERE kind = 'settle')")  # fmt: skip
        (seq,) = connection.execute("SELECT min(seq) FROM journal WHERE kind = 'settle'").fetchone()
    connection.close()
    verified = place.noburn("ledger", "verify")
    assert verified.returncode == 1
    assert f"broken at row {seq}" in verified.stderr


def test_a_torn_log_ends_with_a_whole_commit(tmp_path: Path) -> None:
    """However much of the log's end is missing or noise: a beginning of history, and it verifies.

    A power failure leaves such a log; with `durability = "power"` nobody was told of the missing
    part.
    """
    ledger_path = tmp_path / "ledger.sqlite3"
    book, ledger = open_book(ledger_path)
    history = [balances(book)]
    heads = {ledger.head: 0}
    for number in range(30):
        frame = read(reserve_frame(f"a{number:03d}"))
        reserving.reserve(book, frame, owner="b:1:1", caller=None, now_ms=START_MS + number)
        if number % 3 == 2:
            void = read({"n": 1, "op": "void", "call": f"a{number - 1:03d}"})
            ending.void(book, void, START_MS + number)
        commit(book, ledger, snapshot=number % 5 == 0)
        history.append(balances(book))
        heads[ledger.head] = number + 1
    wal = tmp_path / "ledger.sqlite3-wal"
    kept, log = ledger_path.read_bytes(), wal.read_bytes()
    ledger.close()
    chance = random.Random(7)
    seen = set()
    for round_number in range(60):
        cut = chance.randrange(len(log))
        noise = chance.randbytes(min(PAGE, len(log) - cut)) if round_number % 2 else b""
        folder = tmp_path / f"torn-{round_number}"
        folder.mkdir()
        torn = folder / "ledger.sqlite3"
        torn.write_bytes(kept)
        (folder / "ledger.sqlite3-wal").write_bytes(log[:cut] + noise)
        again, restored = open_book(torn)
        try:
            assert restored.head in heads or restored.head[0] == 0
            step = heads.get(restored.head, 0)
            assert balances(again) == history[step]
            seen.add(step)
            assert verify_ledger(torn).holds
        finally:
            restored.close()
    assert len(seen) > 10


def test_a_log_torn_under_a_daemon_that_was_killed_is_got_over(place: Place) -> None:
    place.budget(10**12)
    for _ in range(3):
        assert place.ask().ok
    place.signal_daemon(signal.SIGKILL)
    end_daemon(place.home)
    wal = place.home / "ledger.sqlite3-wal"
    with wal.open("ab") as file:
        file.write(b"\0" * 100 + random.Random(1).randbytes(3 * PAGE))
    assert place.ask().ok
    assert place.states() == ["settled"] * 4
    place.check_nothing_lost()
