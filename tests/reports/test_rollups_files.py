"""The file of kept sums among processes that die, full disks, folders without rights, and others'
ledgers: the answer is right all the same, or read from the ledger."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import apsw
import pytest

from noburn_cli import paths
from noburn_cli.reports.lines import read_lines
from noburn_cli.reports.query import LEDGER, Question, read_report
from noburn_cli.reports.rollups import cache, files
from noburn_cli.reports.rollups.cache import kept_sums, warm
from tests.reports.made_ledger import Made

_BY = Question(by=("customer", "feature"), sources=(LEDGER,))
#: Catches up one row a step, and says after each how far it has come; goes on when its standard
#: input says so, or has ended.
_SLOW = """
import sys
from pathlib import Path
from noburn_cli.reports.rollups import cache
cache.CHUNK_ROWS = 1
def tell(done, total):
    print(done, total, flush=True)
    sys.stdin.readline()
home = Path(sys.argv[1])
with cache.kept_sums(home / "ledger.sqlite3", home / "reports.sqlite3", tell=tell) as kept:
    print("done", kept.upto, flush=True)
"""


def _fill(made: Made, calls: int) -> None:
    for number in range(calls):
        made.do(("reserve", {"customer": f"c{number % 7}", "feature": "chat"}, "gpt-6-luna", False))
        if number % 3:
            made.do(("settle", 0, {"input": 10, "output": number}, 200, 40))
    made.commit()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    made = Made(paths.ledger_path(tmp_path))
    _fill(made, 40)
    made.close()
    return tmp_path


def _slow(home: Path, *, by_steps: bool = False) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _SLOW, str(home)], stdout=subprocess.PIPE, text=True,
        stdin=subprocess.PIPE if by_steps else subprocess.DEVNULL,
    )  # fmt: skip


def _go_on(process: subprocess.Popen[str]) -> None:
    """Let a process that goes by steps take the next, and wait until it has."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    process.stdout.readline()


def _same(home: Path) -> None:
    report = read_lines(home, _BY)
    assert report.lines == read_report(paths.ledger_path(home), _BY).lines
    assert report.scanned is None


def _upto(home: Path) -> int:
    connection = apsw.Connection(str(paths.reports_path(home)))
    try:
        return int(connection.execute("SELECT value FROM meta WHERE key = 'upto'").fetchone()[0])
    finally:
        connection.close()


def test_killed_in_the_middle_of_catching_up(home: Path) -> None:
    """Goal: what a killed process had finished stays, and nothing of what it had not."""
    with _slow(home, by_steps=True) as process:
        for _ in range(12):
            _go_on(process)
        process.send_signal(signal.SIGKILL)
    reached = _upto(home)
    assert reached >= 5
    _same(home)
    assert _upto(home) > reached


def test_two_at_once_and_one_stopped_for_good(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with _slow(home) as first, _slow(home) as second:
        _same(home)
        both = [process.communicate()[0].splitlines()[-1] for process in (first, second)]
    assert len(set(both)) == 1
    # One that holds the file and does not get on is not waited for.
    monkeypatch.setattr(cache, "STUCK_S", 0.0)
    holder = apsw.Connection(str(paths.reports_path(home)))
    holder.execute("BEGIN IMMEDIATE")
    made = Made(paths.ledger_path(home), begin_ms=1_799_000_000_000)
    _fill(made, 3)
    made.close()
    report = read_lines(home, _BY)
    assert report.lines == read_report(paths.ledger_path(home), _BY).lines
    assert "does not get on" in str(report.scanned)
    holder.close()
    _same(home)


def test_only_the_owner_can_read_it(home: Path) -> None:
    old = os.umask(0)
    try:
        with kept_sums(paths.ledger_path(home), paths.reports_path(home)):
            kept = sorted(home.glob("reports.sqlite3*"))
            assert {path.name for path in kept} == {
                f"reports.sqlite3{end}" for end in ("", "-wal", "-shm", ".lock")
            }
            assert {stat.S_IMODE(path.stat().st_mode) for path in kept} == {0o600}
    finally:
        os.umask(old)


def test_what_is_no_file_of_ours_is_made_anew(home: Path) -> None:
    _same(home)
    target = paths.reports_path(home)
    target.write_bytes(b"this is no database" * 1000)
    _same(home)
    whole = target.read_bytes()
    target.write_bytes(whole[: len(whole) // 2])
    _same(home)
    connection = apsw.Connection(str(target))
    connection.execute("UPDATE meta SET value = '0.0' WHERE key = 'format'")
    connection.close()
    _same(home)
    connection = apsw.Connection(str(target))
    connection.execute("DROP TABLE sums")
    connection.close()
    made = Made(paths.ledger_path(home), begin_ms=1_799_000_000_000)
    _fill(made, 2)
    made.close()
    _same(home)


def test_another_ledger_and_an_older_one_under_the_same_name(home: Path, tmp_path: Path) -> None:
    ledger = paths.ledger_path(home)
    backup = tmp_path / "backup"
    shutil.copy(ledger, backup)
    made = Made(ledger, begin_ms=1_799_000_000_000)
    _fill(made, 9)
    made.close()
    _same(home)
    # Restored, and gone on with in another way, to more rows than the sums had seen.
    shutil.copy(backup, ledger)
    made = Made(ledger, begin_ms=1_799_500_000_000)
    _fill(made, 20)
    made.close()
    _same(home)


def test_a_name_that_was_forgotten_is_in_no_page(home: Path) -> None:
    made = Made(paths.ledger_path(home), begin_ms=1_799_000_000_000)
    made.do(("reserve", {"customer": "secret-corp"}, "gpt-6-luna", False))
    made.commit()
    _same(home)
    made.forget("secret-corp")
    made.close()
    _same(home)
    assert not any(b"secret-corp" in path.read_bytes() for path in home.glob("reports.sqlite3*"))


def test_a_folder_without_rights_is_read_call_by_call(home: Path) -> None:
    if os.geteuid() == 0:  # who may write everywhere, but into no folder as if it were a file
        (home / "reports.sqlite3.lock").mkdir()
    home.chmod(0o500)
    try:
        report = read_lines(home, _BY)
    finally:
        home.chmod(0o700)
    assert "cannot be written" in str(report.scanned)
    assert report.lines == read_report(paths.ledger_path(home), _BY).lines


def test_a_full_disk_is_read_call_by_call(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Goal: SQLITE_FULL in the middle of a step leaves the last whole step, and the answer."""
    opened = files.open_cache

    def small(cache_path: Path, ledger_path: Path) -> tuple[apsw.Connection, int]:
        connection, inode = opened(cache_path, ledger_path)
        connection.execute("PRAGMA main.max_page_count = 12")
        return connection, inode

    monkeypatch.setattr(cache, "open_cache", small)
    report = read_lines(home, _BY)
    assert "FullError" in str(report.scanned)
    assert report.lines == read_report(paths.ledger_path(home), _BY).lines
    monkeypatch.undo()
    _same(home)


def test_sums_are_kept_warm_only_where_there_are_some(home: Path) -> None:
    ledger, target = paths.ledger_path(home), paths.reports_path(home)
    assert not warm(ledger, target)
    assert not target.exists()
    _same(home)
    made = Made(ledger, begin_ms=1_799_000_000_000)
    _fill(made, 4)
    made.close()
    before = _upto(home)
    assert not warm(ledger, target, rows_max=2)
    assert warm(ledger, target)
    assert _upto(home) > before


def test_a_checkpoint_need_not_wait_for_a_report(home: Path) -> None:
    """Goal: between two steps no transaction is open, so that the ledger's log can be emptied."""
    ledger = paths.ledger_path(home)
    writer = apsw.Connection(str(ledger))
    writer.execute("PRAGMA journal_mode = WAL")
    with _slow(home, by_steps=True) as process:
        _go_on(process)
        writer.execute("UPDATE meta SET value = value")
        emptied = writer.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_RESTART)[0] >= 0
        process.kill()
    writer.close()
    assert emptied


def test_the_zone_that_came_first_goes_for_a_fifth(home: Path) -> None:
    zones = ["Asia/Kolkata", "America/New_York", "Europe/Berlin", "Pacific/Apia", "Asia/Tokyo"]
    for zone in zones:
        read_lines(home, Question(by=("day",), zone=zone))
    connection = apsw.Connection(str(paths.reports_path(home)))
    kept = {name for (name,) in connection.execute("SELECT name FROM zones")}
    connection.close()
    assert kept == {"UTC", *zones[1:]}
