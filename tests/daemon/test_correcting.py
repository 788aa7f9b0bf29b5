"""Corrections: booked once, all or none, in every balance, and taken back to the last unit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from noburn_cli.errors import UsageError
from noburn_cli.reports.query import Question, read_report
from noburn_cli.reports.verify import verify_ledger
from noburn_daemon import correcting, ending, policy, reserving
from tests.daemon.parts import START_MS, balances, commit, open_book, read, reserve_frame, shown

DAY_MS = 86_400_000
HOLD = 510_000


class Books:
    """A book over a file; every request is committed, and the whole is read back from disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.book, self.ledger = open_book(path)
        self.now = START_MS

    def ask(self, handle: Any, **frame: Any) -> dict[str, Any]:
        reply = shown(handle(self.book, read({"n": 1, **frame}), self.now))
        commit(self.book, self.ledger, snapshot=True)
        return reply

    def reserve(self, call: str, **changes: Any) -> None:
        frame = read(reserve_frame(call, **changes))
        assert shown(reserving.reserve(self.book, frame, owner="o", caller=None, now_ms=self.now))
        commit(self.book, self.ledger, snapshot=True)

    def budget(self, scope: str, amount: int, unit: str = "dollars", per: str = "month") -> None:
        limit = {"unit": unit, "amount": amount}
        assert self.ask(policy.set_budget, op="budget.set", scope=scope, per=per, limit=limit)["ok"]

    def correct(self, *entries: dict[str, Any], batch: str = "b1", **more: Any) -> dict[str, Any]:
        frame = {"op": "ledger.correct", "batch": batch, "entries": list(entries), **more}
        return self.ask(correcting.correct, **frame)

    def reopened(self) -> dict[str, tuple[int, int, int, int]]:
        self.ledger.close()
        self.book, self.ledger = open_book(self.path, self.now)
        return balances(self.book)

    def total(self) -> tuple[int, int, int]:
        """(nano-dollars, calls, output tokens) as a report says."""
        sums = read_report(self.path, Question(by=("customer",))).total
        return sums.cost_nano, sums.calls, sums.output_tokens

    def sound(self) -> bool:
        commit(self.book, self.ledger, snapshot=True)
        return verify_ledger(self.path).holds


@pytest.fixture
def books(tmp_path: Path) -> Any:
    books = Books(tmp_path / "ledger.sqlite3")
    yield books
    books.ledger.close()


def adjustment(name: str, nano: int, **more: Any) -> dict[str, Any]:
    entry = {"id": name, "why": "price", "model": "gpt-6-luna", "for_ms": START_MS, "nano": nano}
    return {**entry, "attrs": {"customer": "acme"}, **more}


def test_an_amount_is_booked_once_and_is_in_every_balance(books: Books) -> None:
    books.budget("customer=*", 1_000_000_000)
    books.budget("global", 10, unit="requests", per="day")
    usage = {"output": 70, "input": -5}
    first = books.correct(
        adjustment("c1", 700, usage=usage, requests=2), adjustment("c2", -100, attrs={}), after=0
    )
    assert (first["booked"], first["known"], first["over"]) == (2, 0, [])
    again = books.correct(adjustment("c1", 700), adjustment("c2", -100), after=0)
    assert (again["booked"], again["known"]) == (0, 2)
    before = balances(books.book)
    settled = {name.partition(" @")[0]: values[0] for name, values in before.items()}
    assert settled["customer=acme per month"] == 700
    assert settled["customer=(none) per month"] == -100
    assert books.reopened() == before
    assert (books.total(), books.sound()) == ((600, 2, 70), True)
    # A budget that is new starts with them as well.
    books.budget("customer=acme", 10**9, unit="tokens", per="total")
    assert {v[0] for k, v in balances(books.book).items() if "total" in k} == {65}
    assert books.sound()


def test_a_correction_of_an_ended_window_is_told_and_asks_nobody(books: Books) -> None:
    books.budget("customer=acme", 500, per="day")
    books.correct(adjustment("c1", 10**9, for_ms=START_MS - DAY_MS))
    assert balances(books.book) == {}
    assert (books.total()[0], books.sound()) == (10**9, True)
    assert books.correct(adjustment("c2", 501))["over"] == ["customer=acme per day"]
    refused = reserving.reserve(
        books.book, read(reserve_frame("x")), owner="o", caller=None, now_ms=books.now
    )
    assert shown(refused)["error"] == "blocked"


def test_a_call_without_a_bill_is_settled_once_and_reopened(books: Books) -> None:
    books.budget("customer=acme", 10**9)
    for call in ("a1", "a2", "a3"):
        books.reserve(call)
        books.ask(ending.lose, op="lose", call=call, reason="stream aborted")
    start = balances(books.book)
    bill = {"id": "c1", "why": "uncertain", "call": "a1", "ends": "settle", "nano": 40}
    priced = {"id": "c2", "why": "uncertain", "call": "a2", "ends": "settle"}
    gone = {"id": "c3", "why": "uncertain", "call": "a3", "ends": "void"}
    usage = {"input": 100, "output": 20}
    done = books.correct({**bill, "usage": usage}, {**priced, "usage": usage}, gone, by="ann")
    # By the book of its hold: 100 × $0.1/M + 20 × $0.5/M.
    assert (done["booked"], books.total()) == (3, (40 + 20_000, 3, 40))
    late = books.ask(ending.settle, op="settle", call="a1", usage={"output": 9})
    assert late["error"] == "conflict"
    refused = books.correct({**bill, "id": "c9"}, adjustment("c8", 5), batch="b2")
    assert (refused["error"], books.total()[0]) == ("conflict", 40 + 20_000)  # all or none
    assert (books.sound(), books.reopened()) == (True, balances(books.book))
    assert books.ask(correcting.undo, op="ledger.undo", id="b1")["undone"] == 3
    assert balances(books.book) == start
    assert (books.total(), books.sound()) == ((3 * HOLD, 3, 0), True)
    assert books.reopened() == start
    assert books.ask(correcting.undo, op="ledger.undo", id="b1")["undone"] == 0
    # A call that was reopened waits for its bill again.
    assert books.ask(ending.settle, op="settle", call="a3", usage={"output": 2})["ok"]
    assert books.sound()


def test_an_undone_amount_leaves_nothing(books: Books) -> None:
    books.budget("customer=*", 10**9)
    books.correct(adjustment("c1", 700, usage={"output": 7, "web_search": 2}, requests=1))
    books.correct(adjustment("c2", 55), batch="b2")
    assert books.ask(correcting.undo, op="ledger.undo", id="c1", by="ann")["undone"] == 1
    assert (books.total(), books.sound()) == ((55, 0, 0), True)
    assert books.ask(correcting.undo, op="ledger.undo", id="nope")["error"] == "not_found"


def test_what_means_nothing_changes_nothing(books: Books) -> None:
    books.correct(adjustment("c0", 1), batch="b0")
    with pytest.raises(UsageError):
        books.correct(adjustment("c1", 1), adjustment("c1", 2))
    with pytest.raises(UsageError):
        books.correct(adjustment("c1", 1), adjustment("c2", 1, attrs={"custmer": "x"}))
    with pytest.raises(UsageError):
        books.correct(adjustment("c1", 1), {"id": "c2", "why": "price", "for_ms": START_MS})
    # Somebody corrected the books after they were read.
    assert books.correct(adjustment("c1", 1), after=0)["error"] == "conflict"
    unknown = {"id": "c2", "why": "uncertain", "call": "zz", "ends": "void"}
    assert books.correct(adjustment("c1", 1), unknown)["error"] == "not_found"
    assert (books.total()[0], books.sound()) == (1, True)
