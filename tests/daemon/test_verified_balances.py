"""`ledger verify` comes to the daemon's own balances: rolling, zoned, billed beyond, new ones."""

from __future__ import annotations

import itertools
import random
from pathlib import Path
from typing import Any

import apsw
import pytest

from noburn_cli.reports.verify import verify_ledger
from noburn_daemon import ending, policy, reserving
from noburn_daemon.book import Book
from tests.daemon.parts import START_MS, commit, open_book, read, reserve_frame, shown

_LATE: tuple[tuple[str, dict[str, Any]], ...] = (
    ("customer=*", {"per": "7d"}),
    ("customer=*", {"per": "90s", "unit": "requests"}),
    ("global", {"per": "2h", "unit": "tokens"}),
    ("customer=*", {"per": "month", "zone": "Asia/Tokyo", "anchor": 20}),
    ("customer=*", {"per": "day", "action": "bill", "amount": 10}),
    ("global", {"per": "total"}),
    ("feature=(none)", {"per": "day", "carry": 10**9, "amount": 10**9}),
)
_HOUR_MS = 3_600_000


def _set(book: Book, scope: str, at_ms: int, **fields: Any) -> None:
    limit = {"unit": fields.pop("unit", "dollars"), "amount": fields.pop("amount", 10**15)}
    frame = {"n": 1, "op": "budget.set", "scope": scope, "limit": limit, **fields}
    assert shown(policy.set_budget(book, read(frame), at_ms))["ok"]


def _fill(path: Path, seed: int) -> None:
    """Calls over three days, with every ending; budgets that come in the middle of them."""
    dice = random.Random(seed)
    book, ledger = open_book(path)
    late = iter(_LATE)
    at_ms = START_MS
    lost: list[str] = []
    for number in range(240):
        at_ms += dice.randrange(2 * 72 * _HOUR_MS // 240)
        if number % 30 == 20:
            commit(book, ledger, snapshot=True)
            for scope, fields in itertools.islice(late, 1):
                _set(book, scope, at_ms, **fields)
        book.accounts.advance(at_ms)
        attrs = {"customer": dice.choice("abc")} if number % 7 else {}
        frame = reserve_frame(f"c{number:04}", attrs=attrs, notional=number % 11 == 0)
        assert shown(
            reserving.reserve(book, read(frame), owner="b:1:1", caller=None, now_ms=at_ms)
        )["ok"]
        end = dice.choice(("settle", "settle", "settle", "lose", "void", "held"))
        request: dict[str, Any] = {"n": 1, "op": end, "call": frame["call"]}
        if end == "settle":
            request["usage"] = {"input": dice.randrange(90), "output": dice.randrange(90)}
        if end != "held":
            getattr(ending, end)(book, read(request), at_ms + 1)
        if end == "lose":
            lost.append(frame["call"])
        if lost and number % 5 == 0:
            bill = {"n": 1, "op": "settle", "call": lost.pop(0), "usage": {"input": 1, "output": 2}}
            ending.settle(book, read(bill), at_ms + 2)
        commit(book, ledger, snapshot=dice.random() < 0.5)
    commit(book, ledger, snapshot=True)
    ledger.close()


@pytest.mark.parametrize("seed", range(3))
def test_every_balance_is_made_again(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "ledger.sqlite3"
    _fill(path, seed)
    verdict = verify_ledger(path)
    assert verdict.holds, verdict
    assert (verdict.accounts or 0) > 10
    _, ledger = open_book(path, START_MS + 200 * _HOUR_MS)  # a restart changes nothing
    ledger.close()
    assert verify_ledger(path).holds


@pytest.mark.parametrize(
    ("edit", "budget"),
    [
        ("UPDATE accounts SET buckets = replace(buckets, '[', '[1') WHERE budget = 1", "per 7d"),
        ("UPDATE accounts SET overage = overage + 1 WHERE overage > 0", "overage of customer=*"),
        ("UPDATE accounts SET settled = settled + 1 WHERE budget = 4", "per month"),
        ("UPDATE accounts SET carried = 1 WHERE carried > 0", "carried into feature=(none)"),
        ("UPDATE budgets SET amount = amount + 1 WHERE id = 6", "limit of global per total"),
        ("UPDATE sums SET nano = nano + 1 WHERE slot = (SELECT max(slot) FROM sums)", "sums of"),
        ("UPDATE sums SET context = context + 1000 WHERE nano > 0", "sums of"),
    ],
)
def test_an_edited_balance_is_found(tmp_path: Path, edit: str, budget: str) -> None:
    path = tmp_path / "ledger.sqlite3"
    _fill(path, 1)
    connection = apsw.Connection(str(path))
    connection.execute(edit)
    assert connection.changes()
    connection.close()
    wrong = verify_ledger(path).wrong
    assert wrong
    assert all(budget in one.budget for one in wrong), wrong
