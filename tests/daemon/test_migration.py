"""A file of an earlier schema opens, is migrated, and still proves what it says."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from noburn_cli import ledger_file
from noburn_cli.core.pricebook import PriceBook
from noburn_cli.errors import LedgerUnavailable
from noburn_cli.reports.calls import read_call
from noburn_cli.reports.receipt import bill_of, hold_of
from noburn_cli.reports.verify import verify_ledger
from noburn_daemon import ending, reserving, schema
from noburn_daemon.pricing import Pricing
from noburn_daemon.restore import restore
from noburn_daemon.sqlite import SqliteLedger
from tests.daemon.parts import ROOT, START_MS, commit, open_book, read, reserve_frame, shown

#: Written by noburn at commit ee85505, before the second schema: four calls, one of them held.
OLD = ROOT / "tests" / "corpus" / "ledger-schema-1.sql"
OLD_HEAD = "d5ee4cc718ec0531492ce739c9dca86905f26df9d9310ae2035d088a3ce74766"


#: Written at commit 72a5f31, before the third: every kind of row, September to November 2026, a
#: call billed a month late, one orphaned, one held, one that a subscription pays for.
SECOND = ROOT / "tests" / "corpus" / "ledger-schema-2.sql"
SECOND_HEAD = "08454cd55eec504737a06ec5a7e70d398beee89478d3ec3f1e33fc2dfb3b3704"
SECOND_MS = 1_795_176_000_200  # 2026-11-20


def old_file(path: Path, dump: Path = OLD, version: int = 1) -> Path:
    with sqlite3.connect(path) as connection:
        connection.executescript(dump.read_text(encoding="utf-8"))
        connection.execute(f"PRAGMA user_version = {version}")
        connection.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
    connection.close()
    return path


def test_an_old_file_is_migrated_and_its_chain_still_holds(tmp_path: Path) -> None:
    path = old_file(tmp_path / "ledger.sqlite3")
    with pytest.raises(LedgerUnavailable, match="older noburn"):
        ledger_file.open_ledger(path)
    ledger = SqliteLedger(path, now_ms=START_MS + 100)
    assert ledger.head == (14, OLD_HEAD)
    book = restore(ledger, Pricing(PriceBook.from_texts([]), ledger.book_texts), START_MS + 100)
    late = {"n": 1, "op": "settle", "usage": {"input": 50, "output": 1}}
    for call, state in (("c3", "settled"), ("c1", "settled")):
        assert (
            shown(ending.settle(book, read({**late, "call": call}), START_MS + 200))["state"]
            == state
        )
    commit(book, ledger, snapshot=True)
    ledger.close()
    verdict = verify_ledger(path, head=bytes.fromhex(OLD_HEAD))
    assert (verdict.bad_seq, verdict.bad_name, verdict.bad_book, verdict.wrong) == (
        None, None, None, (),
    )  # fmt: skip
    assert read_call(path, "c0").provider_id == "é"


def test_a_copy_is_kept_before_migrating(tmp_path: Path) -> None:
    path = old_file(tmp_path / "ledger.sqlite3")
    SqliteLedger(path, now_ms=START_MS).close()
    kept = tmp_path / "ledger.sqlite3.schema-1"
    assert kept.stat().st_mode & 0o777 == 0o600
    with sqlite3.connect(kept) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        lines = {line for line in connection.iterdump() if line.startswith("INSERT")}
    connection.close()
    old = OLD.read_text(encoding="utf-8").splitlines()
    assert lines == {line for line in old if line.startswith("INSERT")}
    assert sorted(p.name for p in tmp_path.glob("*.part")) == []
    SqliteLedger(path, now_ms=START_MS).close()  # migrated already: nothing is copied again
    assert schema.VERSION == ledger_file.SCHEMA


def test_a_file_of_the_second_schema_tells_the_same(tmp_path: Path) -> None:
    """Goal: states, costs, balances and the chain are what the earlier noburn wrote."""
    path = old_file(tmp_path / "ledger.sqlite3", SECOND, 2)
    SqliteLedger(path, now_ms=SECOND_MS).close()
    verdict = verify_ledger(path, head=bytes.fromhex(SECOND_HEAD))
    assert verdict.holds, verdict
    with sqlite3.connect(path) as connection:
        calls = {call: (state, cost) for call, state, cost in connection.execute(
            "SELECT call, state, cost_nano FROM calls")}  # fmt: skip
        settled = connection.execute("SELECT sum(settled) FROM accounts").fetchone()
    connection.close()
    assert calls == {
        "s0": ("settled", 262_000), "s1": ("voided", 0), "o0": ("settled", 262_000),
        "o1": ("orphaned", 700_000), "o2": ("settled", 262_000), "o3": ("blocked", None),
        "o4": ("refused", None), "o6": ("blocked", None), "o7": ("settled", 400_000),
        "n0": ("settled", 10_262_000), "n1": ("held", None),
    }  # fmt: skip
    ledger = SqliteLedger(path, now_ms=SECOND_MS)
    book = restore(ledger, Pricing(PriceBook.from_texts([]), ledger.book_texts), SECOND_MS)
    assert {call.id for call in book.calls.open.values()} == {"n1"}
    for budget in book.accounts.budgets.values():
        assert (budget.row.zone, budget.row.anchor, budget.row.thresholds) == ("UTC", 1, [])
    late = {"n": 1, "op": "settle", "call": "o1", "usage": {"input": 50, "output": 1}}
    assert shown(ending.settle(book, read(late), SECOND_MS + 1))["state"] == "settled"
    commit(book, ledger, snapshot=True)
    ledger.close()
    assert verify_ledger(path).holds
    kept = path.with_name("ledger.sqlite3.schema-2")
    assert kept.exists() == (schema.VERSION > 2)
    assert settled == (10_262_000 + 750 + 3 + 262_000,)


def test_a_newer_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = old_file(tmp_path / "ledger.sqlite3", SECOND, schema.VERSION + 1)
    before = path.read_bytes()
    with pytest.raises(LedgerUnavailable, match="newer noburn") as refused:
        SqliteLedger(path, now_ms=SECOND_MS)
    assert refused.value.exit_code == 4
    with pytest.raises(LedgerUnavailable, match="newer noburn"):
        ledger_file.open_ledger(path)
    assert path.read_bytes() == before


def test_extra_kinds_are_chained_priced_and_explained(tmp_path: Path) -> None:
    """Goal: a fee is held, billed and shown with its arithmetic, and an edit of it is found."""
    path = tmp_path / "ledger.sqlite3"
    book, ledger = open_book(path)
    frame = reserve_frame("c1", extra={"web_search": 5, "file_search": 2}, ceiling=7)
    granted = shown(
        reserving.reserve(book, read(frame), owner="b:1:1", caller=None, now_ms=START_MS)
    )
    # 100 x 0.1 $/M + 1,000 x 0.5 $/M + 5 x $0.01 + 2 x $0.0025 + the ceiling
    assert granted["hold_nano"] == 10_000 + 500_000 + 50_000_000 + 5_000_000 + 7
    assert granted["bound"] == "assumed"
    settle = {"n": 1, "op": "settle", "call": "c1"}
    usage = {"input": 60, "output": 9, "extra": {"web_search": 3, "file_search": 0}}
    closed = shown(ending.settle(book, read({**settle, "usage": usage}), START_MS + 5))
    assert closed["cost_nano"] == 6_000 + 4_500 + 30_000_000
    other = {**usage, "extra": {"web_search": 2}}
    assert (
        shown(ending.settle(book, read({**settle, "usage": other}), START_MS + 6))["error"]
        == "conflict"
    )
    commit(book, ledger, snapshot=True)
    ledger.close()
    facts = read_call(path, "c1")
    assert facts.usage["web_search"] == 3
    bill, hold = bill_of(facts), hold_of(facts)
    assert bill is not None
    assert bill.agrees
    assert hold is not None
    assert hold.ceiling_nano == 7
    assert [(part.kind, part.tokens) for part in hold.parts] == [
        ("input", 100), ("output", 1000), ("web_search", 5), ("file_search", 2),
    ]  # fmt: skip
    assert verify_ledger(path, head=None).bad_seq is None
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TRIGGER journal_is_unchanged")
        seq = connection.execute("SELECT seq FROM journal WHERE kind = 'settle'").fetchone()[0]
        connection.execute("UPDATE journal SET extra = NULL WHERE seq = ?", (seq,))
    connection.close()
    assert verify_ledger(path, head=None).bad_seq == seq


def test_a_call_without_a_model_is_held_for_its_ceiling(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    book, ledger = open_book(path)
    frame = reserve_frame("c1", api="openai_batches", model="", output=None, ceiling=2 * 10**9)
    granted = shown(
        reserving.reserve(book, read(frame), owner="b:1:1", caller=None, now_ms=START_MS)
    )
    assert (granted["hold_nano"], granted["bound"]) == (2 * 10**9, "assumed")
    without = reserve_frame("c2", model="", output=None)
    refused = shown(
        reserving.reserve(book, read(without), owner="b:1:1", caller=None, now_ms=START_MS)
    )
    assert refused["error"] == "unbounded"
    # Nobody knows what it came to: it stays at its hold.
    settle = read({"n": 1, "op": "settle", "call": "c1", "usage": {"input": 1}})
    assert shown(ending.settle(book, settle, START_MS))["state"] == "uncertain"
    commit(book, ledger, snapshot=True)
    ledger.close()
    hold = hold_of(read_call(path, "c1"))
    assert hold is not None
    assert (hold.parts, hold.ceiling_nano) == ((), 2 * 10**9)
