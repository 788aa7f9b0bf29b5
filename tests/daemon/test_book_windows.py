"""Windows at their edges: what rolls, what one call may take, when somebody who waits goes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from noburn_cli.errors import UsageError
from noburn_daemon import ending, policy, reserving, showing
from noburn_daemon.book import Book
from noburn_daemon.sqlite import SqliteLedger
from tests.daemon.parts import START_MS, balances, commit, open_book, read, reserve_frame, shown

#: A reserve of parts.reserve_frame holds 100 × $0.1/M + 1000 × $0.5/M.
HOLD = 510_000
MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

OPEN: list[SqliteLedger] = []


@pytest.fixture(autouse=True)
def closed_ledgers() -> Iterator[None]:
    yield
    while OPEN:
        OPEN.pop().close()


def opened(path: Path, now_ms: int = START_MS) -> tuple[Book, SqliteLedger]:
    book, ledger = open_book(path, now_ms)
    OPEN.append(ledger)
    return book, ledger


def reopened(book: Book, path: Path, now_ms: int, *, snapshot: bool) -> Book:
    ledger = OPEN.pop()
    commit(book, ledger, snapshot=snapshot)
    ledger.close()
    return opened(path, now_ms)[0]


def reserve(book: Book, call: str, now_ms: int, **changes: Any) -> Any:
    frame = read(reserve_frame(call, **changes))
    reply = reserving.reserve(book, frame, owner="o", caller=call, now_ms=now_ms)
    return None if reply is None else shown(reply)


def settle(book: Book, call: str, now_ms: int, output: int = 1000) -> None:
    frame = read({"n": 1, "op": "settle", "call": call, "usage": {"input": 100, "output": output}})
    assert shown(ending.settle(book, frame, now_ms))["ok"]


def budget(
    book: Book, scope: str, amount: int, per: str, now_ms: int = START_MS, **more: Any
) -> dict[str, Any]:
    unit = more.pop("unit", "dollars")
    limit = {"unit": unit, "amount": amount}
    frame = {"n": 1, "op": "budget.set", "scope": scope, "per": per, "limit": limit, **more}
    reply = policy.set_budget(book, read(frame), now_ms)
    assert reply["ok"]
    return dict(reply["budget"])


def accounts(book: Book, now_ms: int) -> list[dict[str, Any]]:
    listed = showing.list_budgets(book, read({"n": 1, "op": "budget.list"}), now_ms)["budgets"]
    return [account for one in listed for account in one["accounts"]]


def test_a_rate_is_told_when_the_call_would_fit(tmp_path: Path) -> None:
    """Two calls a minute: the third is told the moment, to the millisecond; then it fits."""
    book, _ = opened(tmp_path / "l")
    budget(book, "global", 2, "60s", unit="requests")
    first, second = START_MS + 100, START_MS + 20_000
    for call, at_ms in (("a1", first), ("a2", second)):
        assert reserve(book, call, at_ms)["ok"]
        settle(book, call, at_ms + 5)
    refused = reserve(book, "a3", second + 1)
    leaves = first - first % 1000 + 1000 + MINUTE_MS
    assert (refused["why_blocked"], refused["resets_at_ms"]) == ("spent", leaves)
    assert refused["budget"] == "global per 1m in requests"
    assert reserve(book, "a4", leaves - 1)["error"] == "blocked"
    assert reserve(book, "a5", leaves)["ok"]


def test_who_waits_for_a_bucket_goes_when_it_leaves(tmp_path: Path) -> None:
    """Only who would wait past it is refused at once; a restart changes no moment."""
    path = tmp_path / "l"
    book, ledger = opened(path)
    budget(book, "customer=*", HOLD, "1m")
    commit(book, ledger, snapshot=True)
    assert reserve(book, "a1", START_MS)["ok"]
    settle(book, "a1", START_MS + 50_000)
    book = reopened(book, path, START_MS + 50_000, snapshot=False)
    leaves = START_MS + 61_000
    assert reserve(book, "b1", START_MS + 51_000, wait_ms=9_999)["why_blocked"] == "spent"
    assert reserve(book, "b2", START_MS + 51_000, wait_ms=10_000) is None
    assert reserve(book, "b3", START_MS + 51_000, attrs={"customer": "other"})["ok"]
    assert book.accounts.next_ms == leaves
    reserving.look_at_waiters(book, leaves - 1)
    assert len(book.waiting) == 1
    book.advance(leaves)
    assert book.stirred
    reserving.look_at_waiters(book, leaves)
    assert [(who, shown(reply)["ok"]) for who, reply in book.outbox] == [("b2", True)]


def test_a_bill_after_its_bucket_has_left_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "l"
    book, _ = opened(path)
    budget(book, "global", 10 * HOLD, "1m")
    for call in ("a1", "a2"):
        reserve(book, call, START_MS)
    ending.lose(book, read({"n": 1, "op": "lose", "call": "a1"}), START_MS + 1)
    late = START_MS + 61_000
    # a2 is in flight all along, and counts; a1 has left.
    assert accounts(book, late)[0]["held"] == HOLD
    settle(book, "a1", late, output=10)
    settle(book, "a2", late, output=9000)
    (account,) = accounts(book, late)
    assert (account["settled"], account["held"], account["resets_at_ms"]) == (0, 0, None)
    book = reopened(book, path, late, snapshot=True)
    assert accounts(book, late)[0]["settled"] == 0


@pytest.mark.parametrize("per", ["1h", "24h", "30d"])
def test_a_rolling_budget_starts_with_the_calls_of_its_length(tmp_path: Path, per: str) -> None:
    """Those of an hour to the call; of longer ones to the quarter-hour, and never too early."""
    path = tmp_path / "l"
    book, ledger = opened(path)
    length_ms = {"1h": HOUR_MS, "24h": DAY_MS, "30d": 30 * DAY_MS}[per]
    now_ms = START_MS + length_ms
    for n in range(8):  # from two lengths before up to now
        at_ms = START_MS - length_ms + n * length_ms // 4
        assert reserve(book, f"a{n}", at_ms)["ok"]
        settle(book, f"a{n}", at_ms + 1)
    commit(book, ledger, snapshot=True)
    assert reserve(book, "b1", now_ms)["ok"]
    settle(book, "b1", now_ms)
    commit(book, ledger, snapshot=False)
    budget(book, "customer=acme", 100 * HOLD, per, now_ms)
    (account,) = accounts(book, now_ms)
    # The call of exactly a length ago leaves with its bucket, and those after it.
    assert account["settled"] == 5 * HOLD
    gone = account["resets_at_ms"]
    assert now_ms < gone <= now_ms + length_ms // 60 + 2 * 900_000
    assert accounts(book, gone)[0]["settled"] == 4 * HOLD
    later = now_ms + length_ms + length_ms // 60 + 900_000
    assert accounts(book, later)[0]["settled"] == 0


def test_a_ceiling_clamps_and_refuses_one_call_and_adds_up_nothing(tmp_path: Path) -> None:
    path = tmp_path / "l"
    book, _ = opened(path)
    budget(book, "customer=*", 300_000, "call")
    open_end = {"wanted": None, "floor": 16, "choices": 1, "clamp": True}
    for n in range(3):
        granted = reserve(book, f"a{n}", START_MS, output=open_end)
        # (300,000 - 100 × 100) / 500: all of it, and no fair share
        assert (granted["granted"], granted["hold_nano"]) == (580, 300_000)
    refused = reserve(book, "b1", START_MS, wait_ms=60_000)
    assert (refused["error"], refused["why_blocked"]) == ("blocked", "spent")
    assert refused["message"] == (
        "call blocked: budget `customer=acme per call` allows $0.0003, this one may use $0.00051"
    )
    assert refused["resets_at_ms"] is None
    budget(book, "customer=acme", HOLD, "call", override=True)
    assert reserve(book, "b2", START_MS)["ok"]
    topup = {"n": 1, "op": "budget.topup", "scope": "customer=acme", "per": "call", "amount": 1}
    with pytest.raises(UsageError, match="adds up nothing"):
        policy.top_up(book, read(topup), START_MS)
    live = balances(book)
    assert live == {}
    assert balances(reopened(book, path, START_MS, snapshot=True)) == live


def test_another_zone_cuts_the_same_calls_anew(tmp_path: Path) -> None:
    """Setting the zone of a budget charges its new window with what belongs to it."""
    path = tmp_path / "l"
    book, ledger = opened(path)
    noon = START_MS - START_MS % DAY_MS + 12 * HOUR_MS  # UTC; 21:00 in Tokyo
    budget(book, "global", 10, "day", noon, unit="requests")
    for n, at_ms in enumerate((noon, noon + 4 * HOUR_MS)):  # the second: 01:00 of Tokyo's next day
        assert reserve(book, f"a{n}", at_ms)["ok"]
        settle(book, f"a{n}", at_ms)
    commit(book, ledger, snapshot=True)
    assert reserve(book, "a3", noon + 4 * HOUR_MS + 1)["ok"]
    now_ms = noon + 5 * HOUR_MS
    found = budget(book, "global", 10, "day", now_ms, unit="requests", zone="Asia/Tokyo")
    (account,) = found["accounts"]
    assert (account["settled"], account["held"]) == (1, 1)
    assert account["window_start_ms"] == noon + 3 * HOUR_MS
    commit(book, ledger, snapshot=True)
    live = balances(book)
    assert balances(reopened(book, path, now_ms, snapshot=True)) == live
