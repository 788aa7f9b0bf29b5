"""The daemon's small parts: the clock, owners, folders, the chain."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from noburn_cli.core import chain
from noburn_cli.core.holds import HOLD_NEXT, HoldState, transitions_table
from noburn_cli.errors import DaemonUnavailable, LedgerUnavailable
from noburn_daemon import home, reserving, schema
from noburn_daemon.clock import Clock
from noburn_daemon.owners import Peer, Processes, is_alive, may_talk, owner_name
from noburn_daemon.policy import set_budget
from noburn_daemon.reaper import POLL_S, Reaper
from noburn_daemon.sqlite import SqliteLedger
from tests.daemon.parts import (
    START_MS,
    commit,
    eventually,
    open_book,
    read,
    reserve_frame,
    shown,
)


class Hands:
    """A wall clock and a boot clock that a test sets."""

    def __init__(self) -> None:
        self.wall = START_MS
        self.boot = 5_000

    def clock(self, kept: dict[str, str], last_ms: int = 0, boot: str = "b1") -> Clock:
        return Clock(
            kept=kept, last_ms=last_ms, boot=boot,
            wall=lambda: self.wall, since_boot=lambda: self.boot,
        )  # fmt: skip


def test_a_clock_that_is_set_opens_no_new_window() -> None:
    hands = Hands()
    clock = hands.clock({})
    hands.wall += 40 * 86_400_000
    hands.boot += 1_000
    assert clock.now_ms() == START_MS + 1_000
    assert clock.jump_ms() == 40 * 86_400_000 - 1_000
    restarted = hands.clock(clock.anchor, last_ms=clock.now_ms())
    assert restarted.now_ms() == START_MS + 1_000
    rebooted = hands.clock(clock.anchor, boot="b2")
    assert rebooted.now_ms() == hands.wall


def test_time_never_goes_back() -> None:
    hands = Hands()
    clock = hands.clock({}, last_ms=START_MS + 60_000)
    assert clock.now_ms() == START_MS + 60_000
    hands.boot -= 1_000
    assert clock.now_ms() == START_MS + 60_000


def test_owners_are_told_apart_by_start() -> None:
    name = owner_name("boot1234-5", os.getpid())
    assert is_alive(name, boot="boot1234-5")
    assert not is_alive(name, boot="other999-5")
    assert not is_alive(name + "1", boot="boot1234-5")
    child = subprocess.Popen([sys.executable, "-c", ""])
    gone = owner_name("b", child.pid)
    child.wait()
    assert not is_alive(gone, boot="b")


@contextlib.contextmanager
def no_descriptor() -> Iterator[None]:
    """Nothing can be opened any more."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_a_process_that_cannot_be_looked_at_is_not_dead() -> None:
    """Without a free descriptor it was taken for gone: its holds were charged, its calls cut."""
    gone: list[str] = []
    with (
        subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child,
        asyncio.Runner() as runner,
    ):
        owner = owner_name("b", child.pid)
        reaper = Reaper(runner.get_loop(), gone.append, processes=Processes("b"))
        with no_descriptor():
            with pytest.raises(OSError):
                is_alive(owner, boot="b")
            reaper.watch(owner)
            runner.run(asyncio.sleep(2 * POLL_S))
        assert gone == []
        child.kill()
        child.wait()
        eventually(lambda: runner.run(asyncio.sleep(0.05)) or gone, "it is seen to be gone")
        assert gone == [owner]
        reaper.close()


def test_only_the_own_user_may_talk() -> None:
    assert may_talk(Peer(1, 1000), own_uid=1000)
    assert not may_talk(Peer(1, 1001), own_uid=1000)
    assert not may_talk(Peer(1, 0), own_uid=1000)


def test_folders_are_made_private_or_refused(tmp_path: Path) -> None:
    wide = tmp_path / "wide"
    wide.mkdir(mode=0o755)
    home.make_private(wide)
    assert wide.stat().st_mode & 0o777 == 0o700
    with pytest.raises(DaemonUnavailable, match="another user"):
        home.check_folder(wide, owner=1, own_uid=2)
    with pytest.raises(DaemonUnavailable, match="too long"):
        home.bind(tmp_path / ("x" * 120))


def test_a_newer_ledger_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    SqliteLedger(path).close()
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    connection.close()
    with pytest.raises(LedgerUnavailable, match="newer noburn"):
        SqliteLedger(path)


def rows_of(path: Path) -> list[tuple[tuple[chain.Value, ...], bytes]]:
    connection = sqlite3.connect(path)
    columns = ", ".join(chain.COLUMNS)
    rows = connection.execute(f"SELECT {columns}, chain FROM journal ORDER BY seq").fetchall()
    connection.close()
    return [(row[:-1], row[-1]) for row in rows]


def test_the_chain_finds_an_edit_and_a_cut(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    book, ledger = open_book(path)
    for number in range(3):
        frame = read(reserve_frame(f"c{number}"))
        reserving.reserve(book, frame, owner="o:1:1", caller=None, now_ms=START_MS)
    commit(book, ledger, snapshot=False)
    head = bytes.fromhex(ledger.head[1])
    ledger.close()
    rows = rows_of(path)
    assert chain.verify(rows, head=head) is None
    for place in range(len(rows)):
        values = list(rows[place][0])
        values[1] = START_MS + 1
        edited = [*rows[:place], (tuple(values), rows[place][1]), *rows[place + 1 :]]
        assert chain.verify(edited) == place + 1
    assert chain.verify(rows[:-1], head=head) == len(rows)


def test_the_journal_refuses_to_change(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    book, ledger = open_book(path)
    reserving.reserve(book, read(reserve_frame("c")), owner="o:1:1", caller=None, now_ms=START_MS)
    commit(book, ledger, snapshot=True)
    ledger.close()
    connection = sqlite3.connect(path)
    for statement in ("DELETE FROM journal", "UPDATE journal SET hold_nano = 0"):
        with pytest.raises(sqlite3.IntegrityError):
            connection.execute(statement)
    connection.close()


def test_the_document_shows_the_table_of_transitions() -> None:
    document = Path(__file__).resolve().parents[2] / "docs" / "ledger.md"
    assert transitions_table() in document.read_text()
    assert set(HOLD_NEXT.values()) < set(HoldState)


def test_the_advice_fits_the_unit_and_the_shell(tmp_path: Path) -> None:
    book, ledger = open_book(tmp_path / "ledger.sqlite3")
    try:
        limit = {"unit": "requests", "amount": 0}
        frame = {"n": 1, "op": "budget.set", "scope": "customer=a b", "per": "day", "limit": limit}
        set_budget(book, read(frame), START_MS)
        reply = shown(
            reserving.reserve(book, read(reserve_frame("a-1", attrs={"customer": "a b"})),
                owner="me", caller=None, now_ms=START_MS,
            )
        )  # fmt: skip
        assert reply["next"] == "run `noburn budget topup 'customer=a b' 100req --per day`"
        assert reply["message"].endswith("this call may use 1 request")
    finally:
        ledger.close()
