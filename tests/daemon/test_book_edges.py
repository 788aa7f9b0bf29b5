"""The book at its edges: restarts in a row, late bills, the turn of an hour, enormous amounts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from noburn_cli.core.money import parse_limit
from noburn_cli.errors import UsageError
from noburn_daemon import ending, policy, reserving, showing
from noburn_daemon.book import Book
from noburn_daemon.sqlite import SqliteLedger
from tests.daemon.parts import START_MS, balances, commit, open_book, read, reserve_frame, shown

#: A reserve of parts.reserve_frame holds 100 × $0.1/M + 1000 × $0.5/M.
HOLD = 510_000
HOUR_MS = 3_600_000

OPEN: list[SqliteLedger] = []


@pytest.fixture(autouse=True)
def closed_ledgers() -> Iterator[None]:
    yield
    while OPEN:
        OPEN.pop().close()


def opened(path: Path) -> tuple[Book, SqliteLedger]:
    book, ledger = open_book(path)
    OPEN.append(ledger)
    return book, ledger


def reserve(book: Book, call: str, now_ms: int = START_MS, **changes: Any) -> Any:
    frame = read(reserve_frame(call, **changes))
    reply = reserving.reserve(book, frame, owner="o", caller=call, now_ms=now_ms)
    return None if reply is None else shown(reply)


def settle(book: Book, call: str, now_ms: int = START_MS, **changes: Any) -> dict[str, Any]:
    usage = changes.pop("usage", {"input": 10, "output": 10})
    frame = read({"n": 1, "op": "settle", "call": call, "usage": usage, **changes})
    return shown(ending.settle(book, frame, now_ms))


def budget(book: Book, scope: str, amount: int, per: str = "total", now_ms: int = START_MS) -> None:
    limit = {"unit": "dollars", "amount": amount}
    frame = read({"n": 1, "op": "budget.set", "scope": scope, "per": per, "limit": limit})
    policy.set_budget(book, frame, now_ms)


def test_a_raised_bound_outlives_any_number_of_restarts(tmp_path: Path) -> None:
    """The first restart reads it from the journal, later ones from the snapshot."""
    path = tmp_path / "l"
    book, ledger = opened(path)
    reserve(book, "a1")
    commit(book, ledger, snapshot=True)
    settle(book, "a1", usage={"input": 200, "output": 1})
    commit(book, ledger, snapshot=False)
    for call in ("a2", "a3", "a4"):
        ledger.close()
        book, ledger = opened(path)
        assert reserve(book, call)["hold_nano"] == HOLD + 10_000
        commit(book, ledger, snapshot=True)


def test_a_late_bill_reaches_a_budget_that_came_after_the_call_ended(tmp_path: Path) -> None:
    path = tmp_path / "l"
    book, ledger = opened(path)
    reserve(book, "a1")
    shown(ending.lose(book, read({"n": 1, "op": "lose", "call": "a1"}), START_MS))
    commit(book, ledger, snapshot=True)
    budget(book, "customer=acme", 10 * HOLD)
    commit(book, ledger, snapshot=True)
    cost = settle(book, "a1", usage={"input": 100, "output": 5000})["cost_nano"]
    commit(book, ledger, snapshot=False)
    live = balances(book)
    assert [settled for settled, *_ in live.values()] == [cost]
    ledger.close()
    assert balances(opened(path)[0]) == live


def test_a_settle_without_a_price_repeats_its_answer(tmp_path: Path) -> None:
    book, ledger = opened(tmp_path / "l")
    reserve(book, "a1")
    first = settle(book, "a1", variant="flex-of-tomorrow")
    assert (first["state"], first["cost_nano"]) == ("uncertain", HOLD)
    assert settle(book, "a1", variant="flex-of-tomorrow") == first
    commit(book, ledger, snapshot=True)
    ledger.close()
    book, _ = opened(tmp_path / "l")
    assert settle(book, "a1", variant="flex-of-tomorrow") == first
    assert settle(book, "a1")["state"] == "settled"


def test_a_bill_that_no_ledger_can_hold_is_charged_at_its_hold(tmp_path: Path) -> None:
    """Goal: one mad answer does not keep everybody else's calls from being written."""
    book, ledger = opened(tmp_path / "ledger.sqlite3")
    reserve(book, "c1", model="gpt-6.1-sol")
    hold = book.calls.open["c1"].hold[0]
    most = {"output": 10**10}
    reply = settle(book, "c1", usage={}, results=[most] * 60_000)
    assert (reply["state"], reply["cost_nano"]) == ("uncertain", hold)
    commit(book, ledger, snapshot=True)
    assert settle(book, "c1", usage={"input": 10, "output": 10})["state"] == "settled"


def test_nobody_passes_a_waiter_at_the_turn_of_the_hour(tmp_path: Path) -> None:
    """Who comes in the first moment of a window stands behind those who waited for it."""
    book, _ = opened(tmp_path / "l")
    before = START_MS - START_MS % HOUR_MS + HOUR_MS - 1
    budget(book, "global", HOLD, per="hour", now_ms=before)
    assert reserve(book, "a1", before)["ok"]
    assert reserve(book, "a2", before, wait_ms=60_000) is None
    late = reserve(book, "a3", before + 1)
    assert late["error"] == "blocked"
    assert [(caller, shown(reply)["ok"]) for caller, reply in book.outbox] == [("a2", True)]


def test_a_call_that_cannot_wait_gets_what_was_released_just_now(tmp_path: Path) -> None:
    """An earlier waiter is served first, and then there is room."""
    book, _ = opened(tmp_path / "l")
    budget(book, "global", 2 * HOLD)
    assert reserve(book, "a1")["ok"]
    assert reserve(book, "a2")["ok"]
    assert reserve(book, "a3", wait_ms=60_000) is None
    for call in ("a1", "a2"):
        ending.void(book, read({"n": 1, "op": "void", "call": call}), START_MS)
    assert reserve(book, "a4")["ok"]
    assert [caller for caller, _ in book.outbox] == ["a3"]


def test_two_calls_of_one_turn_stay_in_the_window_of_their_time(tmp_path: Path) -> None:
    """A context that was looked up in the new window does not charge an earlier moment to it."""
    path = tmp_path / "l"
    book, ledger = opened(path)
    edge = START_MS - START_MS % HOUR_MS + HOUR_MS
    budget(book, "global", 10 * HOLD, per="hour", now_ms=edge - 1)
    assert reserve(book, "a1", edge)["ok"]
    assert reserve(book, "a2", edge - 1)["ok"]
    commit(book, ledger, snapshot=True)
    live = balances(book)
    ledger.close()
    assert balances(opened(path)[0]) == live


def test_top_ups_that_no_ledger_can_hold_are_refused(tmp_path: Path) -> None:
    book, ledger = opened(tmp_path / "l")
    budget(book, "global", 10**18)
    frame = {"n": 1, "op": "budget.topup", "scope": "global", "per": "total", "amount": 10**18}
    policy.top_up(book, read(frame), START_MS)
    with pytest.raises(UsageError, match="beyond what a ledger can hold"):
        policy.top_up(book, read(frame), START_MS)
    commit(book, ledger, snapshot=True)


def test_a_limit_that_can_be_typed_can_be_set() -> None:
    frame = {"n": 1, "op": "budget.set", "scope": "global", "per": "total"}
    limit = parse_limit("1000000000usd")
    read({**frame, "limit": {"unit": limit.unit, "amount": limit.amount}})
    with pytest.raises(UsageError, match="out of range"):
        parse_limit("1000000001usd")


def test_a_budget_without_calls_says_when_it_resets(tmp_path: Path) -> None:
    book, _ = opened(tmp_path / "l")
    budget(book, "customer=acme", HOLD, per="hour")
    budget(book, "customer=*", HOLD, per="hour")
    listed = showing.list_budgets(book, read({"n": 1, "op": "budget.list"}), START_MS)["budgets"]
    (account,) = listed[0]["accounts"]
    assert account["key"] == "customer=acme"
    assert account["resets_at_ms"] == START_MS - START_MS % HOUR_MS + HOUR_MS
    assert listed[1]["accounts"] == []


def test_ended_waits_do_not_hide_a_removed_budget(tmp_path: Path) -> None:
    """A waiter whose budget is removed goes; one behind it by another budget stays in order."""
    book, _ = opened(tmp_path / "l")
    budget(book, "global", HOLD)
    budget(book, "customer=acme", HOLD)
    assert reserve(book, "a1")["ok"]
    assert reserve(book, "a2", wait_ms=60_000) is None
    assert reserve(book, "a3", wait_ms=60_000, attrs={"customer": "b"}) is None
    rm = {"n": 1, "op": "budget.rm", "scope": "global", "per": "total"}
    policy.remove_budget(book, read(rm), START_MS)
    reserving.look_at_waiters(book, START_MS)
    assert [caller for caller, _ in book.outbox] == ["a3"]
    settle(book, "a1")
    reserving.look_at_waiters(book, START_MS)
    assert shown(book.outbox[-1][1])["why_blocked"] == "spent"  # a1 has used some of it
    assert len(book.waiting) == 0
