"""Compacting and forgetting make the file anew: what is left still proves, counts and answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import apsw
import pytest

from noburn_cli.core.months import month_start_ms
from noburn_cli.core.pricebook import PriceBook
from noburn_cli.core.repricing import PriceList, Repricing
from noburn_cli.reports.reading import reading
from noburn_cli.reports.usages import Stretch, reprice
from noburn_cli.reports.verify import Verdict, verify_ledger
from noburn_daemon import ending, policy, reserving
from noburn_daemon.book import Book
from noburn_daemon.compacting import Compaction
from noburn_daemon.forgetting import Forgetting
from noburn_daemon.pricing import Pricing
from noburn_daemon.pseudonyms import Pseudonym
from noburn_daemon.restore import restore
from noburn_daemon.rewriting import Change, NewFile
from noburn_daemon.sqlite import SqliteLedger
from tests.daemon.parts import balances, commit, read, reserve_frame, shown
from tests.daemon.test_migration import SECOND, SECOND_MS, old_file

NOVEMBER = month_start_ms("2026-11")


def _open(path: Path) -> tuple[Book, SqliteLedger]:
    ledger = SqliteLedger(path, now_ms=SECOND_MS)
    texts = ledger.book_texts(str(_rows(path, "SELECT version FROM books")[0][0]))
    assert texts is not None
    prices = PriceBook.from_texts(texts)
    return restore(ledger, Pricing(prices, ledger.book_texts), SECOND_MS), ledger


def _rewrite(
    ledger: SqliteLedger, change: Change, meanwhile: Callable[[], None] = lambda: None
) -> None:
    new = NewFile(ledger.path, change)
    while (copied := new.copy_some())[0] < copied[1]:
        pass
    seal = new.seal()
    meanwhile()
    assert ledger.is_checkpointed()
    new.finish(seal, SECOND_MS)
    ledger.go_on_with(new.path)


def _compact(ledger: SqliteLedger, before: str = "2026-11") -> None:
    _rewrite(ledger, Compaction(before, ledger.last_before(month_start_ms(before))))


def _edit(path: Path, statement: str) -> Verdict:
    """What verify says after a change behind the daemon's back, which is then taken back."""
    kept = path.read_bytes()
    connection = apsw.Connection(str(path))
    for trigger in ("journal_is_kept", "journal_is_unchanged"):
        connection.execute(f"DROP TRIGGER {trigger}")
    connection.execute(statement)
    assert connection.changes(), statement
    connection.close()
    verdict = verify_ledger(path)
    path.write_bytes(kept)
    return verdict


def _rows(path: Path, sql: str) -> list[tuple[Any, ...]]:
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return list(connection.execute(sql))
    finally:
        connection.close()


def test_compacting_leaves_sums_balances_and_a_chain_that_holds(tmp_path: Path) -> None:
    path = old_file(tmp_path / "ledger.sqlite3", SECOND, 2)
    book, ledger = _open(path)
    before = balances(book)
    of_run = ledger.run_totals("r1")
    late = {"n": 1, "op": "settle", "call": "n1", "usage": {"input": 50, "output": 1}}
    _compact(ledger)
    # What was in memory goes on: the held call ends as ever.
    assert shown(ending.settle(book, read(late), SECOND_MS))["state"] == "settled"
    commit(book, ledger, snapshot=True)
    assert ledger.run_totals("r1") == of_run
    ledger.close()
    assert _rows(path, "SELECT month, state, calls, cost_nano FROM rollups ORDER BY 1, 2, 4") == [
        ("2026-09", "settled", 1, 262_000), ("2026-09", "voided", 1, 0),
        ("2026-10", "blocked", 1, 0), ("2026-10", "blocked", 1, 0), ("2026-10", "refused", 1, 0),
        ("2026-10", "settled", 1, 262_000), ("2026-10", "settled", 1, 400_000),
    ]  # fmt: skip
    # Billed only in November, or not at all: they stay, with all their rows.
    assert {row[0] for row in _rows(path, "SELECT call FROM calls")} == {"o0", "o1", "n0", "n1"}
    verdict = verify_ledger(path)
    assert verdict.holds, verdict
    assert verdict.through > 0

    book, ledger = _open(path)
    assert {place: numbers[0] for place, numbers in before.items()}.items() <= {
        **{place: numbers[0] for place, numbers in balances(book).items()},
        "customer=globex per month @1793491200000": 0,
    }.items() | {("global per total in tokens @0", 750)}
    ledger.close()


def test_the_new_file_is_synced_as_a_whole_and_not_at_each_step(tmp_path: Path) -> None:
    path = old_file(tmp_path / "ledger.sqlite3", SECOND, 2)
    SqliteLedger(path, now_ms=SECOND_MS).close()
    new = NewFile(path, Compaction("2026-11", 0))
    connection = new._connection
    assert (connection.pragma("synchronous"), connection.pragma("journal_mode")) == (0, "off")
    new.give_up()


def test_what_is_left_after_compacting_is_proven(tmp_path: Path) -> None:
    path = old_file(tmp_path / "ledger.sqlite3", SECOND, 2)
    _, ledger = _open(path)
    _compact(ledger)
    head = ledger.head
    ledger.close()
    assert _edit(path, "UPDATE rollups SET cost_nano = 1 WHERE cost_nano = 400000").bad_table == (
        "rollups"
    )
    assert _edit(path, "DELETE FROM closed_ids WHERE call = 's0'").bad_table == "closed_ids"
    kept = _edit(path, "UPDATE journal SET cost_nano = 1 WHERE call = 'o1' AND kind = 'orphan'")
    assert kept.bad_seq == kept.through
    after = _edit(path, "UPDATE journal SET cost_nano = 1 WHERE call = 'n0' AND kind = 'settle'")
    assert after.bad_row == "settle n0"
    assert verify_ledger(path, head=bytes.fromhex(head[1])).holds
    old_head = verify_ledger(path, head=bytes(32))
    assert (old_head.bad_row, old_head.bad_seq) == (None, head[0] + 1)


def test_a_compacted_id_is_closed_and_a_new_budget_counts_the_sums(tmp_path: Path) -> None:
    path = old_file(tmp_path / "ledger.sqlite3", SECOND, 2)
    _, ledger = _open(path)
    _compact(ledger)
    ledger.close()
    book, ledger = _open(path)  # its greatest ids are from the disk
    old_time = f"{NOVEMBER - 1:011x}-" + "0" * 20
    for call in ("s0", "o3", "o4", "o5", old_time):
        reply = shown(
            reserving.reserve(
                book, read(reserve_frame(call, model="m")), owner="b:1:1", caller=None,
                now_ms=SECOND_MS,
            )
        )  # fmt: skip
        assert (reply["error"], reply["state"]) == ("closed", "compacted"), call
        late = read({"n": 1, "op": "settle", "call": call, "usage": {"input": 1}})
        assert shown(ending.settle(book, late, SECOND_MS))["error"] == "closed"
    new_time = f"{NOVEMBER:011x}-" + "0" * 20
    assert book.calls.get(new_time) is None
    # All of 2026-09 and 2026-10 that acme was charged, the call billed in November included.
    frame = {
        "n": 1, "op": "budget.set", "scope": "customer=acme", "per": "total",
        "limit": {"unit": "dollars", "amount": 10**9},
    }  # fmt: skip
    reply = shown(policy.set_budget(book, read(frame), SECOND_MS))
    [account] = reply["budget"]["accounts"]
    assert account["settled"] == 262_000 + 400_000 + 262_000 + 10_262_000
    commit(book, ledger, snapshot=True)
    ledger.close()
    assert verify_ledger(path).holds


@pytest.mark.parametrize("kind", ["compact", "forget"])
def test_what_is_written_meanwhile_is_there(tmp_path: Path, kind: str) -> None:
    """Goal: calls, late bills and their sums that come while the file is copied come along."""
    path = old_file(tmp_path / "ledger.sqlite3", SECOND, 2)
    book, ledger = _open(path)

    def meanwhile() -> None:
        for call in ("n2", "n3"):
            frame = reserve_frame(call, model="m", attrs={"customer": "acme"})
            reserving.reserve(
                book, read(frame), owner="b:1:1", caller=None, now_ms=SECOND_MS + 3_600_000
            )
        for call in ("o1", "n2"):
            late = {"n": 1, "op": "settle", "call": call, "usage": {"input": 50, "output": 1}}
            ending.settle(book, read(late), SECOND_MS + 3_600_001)
        commit(book, ledger, snapshot=True)

    change: Change = Compaction("2026-11", ledger.last_before(NOVEMBER))
    if kind == "forget":
        change = Forgetting(Pseudonym("customer", "acme", "(forgotten 3f2a)"), ledger.sealed())
    _rewrite(ledger, change, meanwhile)
    ledger.close()
    verdict = verify_ledger(path)
    assert verdict.holds, verdict
    found = {row[0]: row[1:] for row in _rows(path, "SELECT call, state, customer FROM calls")}
    who = "acme" if kind == "compact" else "(forgotten 3f2a)"
    assert (found["n2"], found["n3"]) == (("settled", who), ("held", who))
    assert found["o1"] == ("settled", "globex")


def test_compacting_again_takes_what_has_been_billed_since(tmp_path: Path) -> None:
    path = old_file(tmp_path / "ledger.sqlite3", SECOND, 2)
    book, ledger = _open(path)
    _compact(ledger, "2026-10")
    _compact(ledger)
    late = {"n": 1, "op": "settle", "call": "o1", "usage": {"input": 50, "output": 1}}
    assert shown(ending.settle(book, read(late), SECOND_MS))["state"] == "settled"
    commit(book, ledger, snapshot=True)
    assert verify_ledger(path).holds
    _compact(ledger, "2026-12")
    ledger.close()
    assert {row[0] for row in _rows(path, "SELECT call FROM calls")} == {"n1"}
    sums = "SELECT sum(calls), sum(cost_nano) FROM rollups WHERE state = 'settled'"
    assert _rows(path, sums) == [
        (6, 262_000 * 3 + 400_000 + 110_000 + 10_262_000)
    ]  # fmt: skip
    assert _rows(path, "SELECT extra FROM rollups WHERE extra != '{}'") == [('{"web_search":1}',)]
    verdict = verify_ledger(path)
    assert verdict.holds, verdict


@pytest.mark.parametrize("compacted", [False, True])
def test_a_forgotten_name_is_nowhere_in_the_file(tmp_path: Path, compacted: bool) -> None:
    path = old_file(tmp_path / "ledger.sqlite3", SECOND, 2)
    book, ledger = _open(path)
    budget = {"n": 1, "op": "budget.set", "scope": "customer=acme", "per": "month",
              "limit": {"unit": "dollars", "amount": 10**9}}  # fmt: skip
    assert shown(policy.set_budget(book, read(budget), SECOND_MS))["ok"]
    commit(book, ledger, snapshot=True)
    if compacted:
        _compact(ledger)
    assert b"acme" in path.read_bytes() + path.with_name(path.name + "-wal").read_bytes()
    settled = _rows(path, "SELECT sum(settled) FROM accounts")
    _rewrite(ledger, Forgetting(Pseudonym("customer", "acme", "(forgotten 3f2a)"), ledger.sealed()))
    ledger.close()
    for file in tmp_path.glob("ledger.sqlite3*"):
        assert (b"acme" in file.read_bytes()) == file.name.endswith("schema-2"), file
    verdict = verify_ledger(path)
    assert verdict.holds, verdict
    assert _rows(path, "SELECT sum(settled) FROM accounts") == settled
    customers = {row[0] for row in _rows(path, "SELECT customer FROM calls")}
    assert customers - {None} == {"globex", "(forgotten 3f2a)"}
    assert _edit(
        path, "UPDATE journal SET hold_nano = 1 WHERE kind = 'blocked' OR call = 'n0'"
    ).bad_seq is not None  # fmt: skip

    book, ledger = _open(path)  # the same name is somebody else from now on
    reply = reserving.reserve(
        book, read(reserve_frame("n2", model="m", attrs={"customer": "acme"})), owner="b:1:1",
        caller=None, now_ms=SECOND_MS + 1,
    )  # fmt: skip
    assert shown(reply)["ok"]
    held = {place: numbers[1] for place, numbers in balances(book).items() if numbers[1]}
    assert "customer=acme per month @1793491200000" in held
    late = {"n": 1, "op": "settle", "call": "o1", "usage": {"input": 50, "output": 1}}
    assert shown(ending.settle(book, read(late), SECOND_MS + 2))["state"] == "settled"
    commit(book, ledger, snapshot=True)
    ledger.close()
    assert verify_ledger(path).holds


@pytest.mark.parametrize("name", ["ops", "dollars", "42"])
def test_the_ledgers_own_words_stay(name: str) -> None:
    """Goal: a customer called like a channel, a unit or a number takes none of them along."""
    pseudonym = Pseudonym("customer", name, "X")
    detail = '{"unit":"dollars","notify":["ops"],"scope":"customer=%s","note":"waited 42 ms"}'
    assert pseudonym.in_detail("budget_set", detail % name) == detail % "X"
    assert pseudonym.in_column("channel", name) == name
    assert pseudonym.in_column("owner", f"boot:{name}:1") == f"boot:{name}:1"


def test_a_compacted_month_at_other_prices_costs_what_its_calls_would(tmp_path: Path) -> None:
    """Goal: with sums in the place of calls, and nothing else left out."""
    path = old_file(tmp_path / "ledger.sqlite3", SECOND, 2)
    _, ledger = _open(path)
    texts = ledger.book_texts(str(_rows(path, "SELECT version FROM books")[0][0]))
    assert texts is not None
    book = PriceBook.from_texts(texts)

    def october() -> Repricing:
        found = Repricing([PriceList("now", book, NOVEMBER)])
        with reading(path) as connection:
            stretch = Stretch(month_start_ms("2026-10"), NOVEMBER, "2026-10")
            reprice(connection, stretch, found, begin=lambda _: None, step=lambda: None)
        return found

    by_calls = october()
    _compact(ledger)
    ledger.close()
    by_sums = october()
    assert by_sums.total() == replace(by_calls.total(), by_sums=1)
    assert by_sums.left_out == by_calls.left_out
