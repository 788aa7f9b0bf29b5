"""Thresholds: told once per account, window and percent, whatever happens to the daemon."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from noburn_daemon import alerts, ending, policy, reserving
from tests.daemon.parts import (
    START_MS,
    Caller,
    Running,
    commit,
    daemon,
    eventually,
    open_book,
    read,
    reserve_frame,
)
from tests.daemon.receivers import receiver
from tests.daemon.test_notify import channels, listed

#: A call of parts is settled at 10 tokens in and 10 out.
COST = 6_000


def put(caller: Caller, amount: int, **more: Any) -> dict[str, Any]:
    told = {"thresholds": [50, 100], "notify": ["ops"], "per": "total", "scope": "customer=*"}
    limit = {"unit": "dollars", "amount": amount}
    return caller.ask(n=1, op="budget.set", limit=limit, **{**told, **more})


def spend(caller: Caller, *calls: str) -> None:
    for call in calls:
        assert caller.reserve(call)["ok"]
        assert caller.settle(call)["ok"]


def rows(home: Path) -> list[tuple[str, int]]:
    with sqlite3.connect(f"file:{home}/ledger.sqlite3?mode=ro", uri=True) as connection:
        found = connection.execute("SELECT detail FROM journal WHERE kind = 'threshold'").fetchall()
    connection.close()
    told = [json.loads(detail) for (detail,) in found]
    return [(one["account"], one["percent"]) for one in told]


def ready(running: Running, url: str) -> Caller:
    channels(running, ops=url)
    caller = Caller(running.home)
    caller.ask(n=1, op="reload")
    return caller


def test_a_crossing_is_told_once_over_kills_and_other_limits() -> None:
    with receiver() as ops, daemon() as running:
        caller = ready(running, ops.url)
        refused = put(caller, 10**6, notify=["pager"])
        assert (refused["error"], caller.ask(n=1, op="budget.list")["budgets"]) == ("not_found", [])
        assert put(caller, 10**6, notify=["ops"])["ok"]
        put(caller, 1_000 * COST)  # 50 % is 500 calls: nothing yet
        spend(caller, "a1", "a2")
        assert rows(running.home) == []
        put(caller, 600_000)  # of which 12,000 are spent
        assert rows(running.home) == []
        put(caller, 20_000)  # by which the limit crosses the account
        name = "customer=acme per total"
        assert rows(running.home) == [(name, 50)]
        running.kill()
        running.start()
        caller = Caller(running.home)
        put(caller, 100 * COST)
        put(caller, 530_000)
        spend(caller, "a3")
        put(caller, 18_000)
        assert rows(running.home) == [(name, 50), (name, 100)]
        put(caller, 10**9)
        put(caller, 18_000)
        running.kill()
        running.start()
        caller = Caller(running.home)
        assert rows(running.home) == [(name, 50), (name, 100)]
        eventually(lambda: len(ops.got) >= 2 and len(set(ops.keys())) == 2, "both arrive")
        first = ops.got[0].document
        assert first["type"] == "budget.threshold"
        data = first["data"]
        assert (data["account"], data["percent"], data["settled"], data["limit"]) == (
            *(name, 50, "0.000012", "0.00002"),
        )
        assert data["message"].startswith(f"`{name}` has reached 50 %: $0.000012 spent of $0.00002")
        assert all(one.is_signed() for one in ops.got)


def test_a_budget_that_was_removed_tells_nothing(tmp_path: Path) -> None:
    """Its calls in flight end later, and weigh on nothing that anybody asks about."""
    book, ledger = open_book(tmp_path / "ledger.sqlite3")
    limit = {"unit": "dollars", "amount": 10**9}
    named = {"n": 1, "scope": "customer=acme", "per": "total"}
    more = {"limit": limit, "thresholds": [1], "notify": ["ops"]}
    policy.set_budget(book, read({"op": "budget.set", **named, **more}), START_MS)
    granted = reserving.reserve(
        book, read(reserve_frame("c1")), owner="p", caller=None, now_ms=START_MS
    )
    assert granted is not None
    policy.remove_budget(book, read({"op": "budget.rm", **named}), START_MS)
    usage = {"input": 100, "output": 10**6}
    ending.settle(book, read({"n": 1, "op": "settle", "call": "c1", "usage": usage}), START_MS)
    alerts.tell(book, START_MS, ())
    assert [event.kind for event in book.events if event.kind == "threshold"] == []
    assert book.changed.notices == []
    ledger.close()


def test_one_jump_tells_every_percent_and_each_account_has_its_own() -> None:
    with receiver() as ops, daemon() as running:
        caller = ready(running, ops.url)
        put(caller, 100 * 510_000, thresholds=[1, 200], scope="global")
        put(caller, 3 * 510_000, thresholds=[], notify=[], scope="customer=b")
        spend(caller, *(f"c{n}" for n in range(9)))
        assert len(rows(running.home)) == 1 - 1  # 54,000 of 51,000,000 nano-dollars
        put(caller, 26_000, thresholds=[1, 200], scope="global")
        assert rows(running.home) == [("global per total", 1), ("global per total", 200)]
        put(caller, 510_000 * 9, thresholds=[1])
        assert rows(running.home)[2:] == [("customer=acme per total", 1)]
        eventually(lambda: len(set(ops.keys())) == 3, "all arrive")
        eventually(
            lambda: all(m["delivered_at_ms"] for m in listed(caller).values()), "and are recorded"
        )


def test_the_daemons_own_troubles_go_to_its_own_channels() -> None:
    with receiver() as ops, daemon() as running:
        channels(running, ops=ops.url)
        file = running.home / "config" / "noburn.toml"
        file.write_text(file.read_text().replace("[daemon]", '[daemon]\nnotify = ["ops"]'))
        caller = Caller(running.home)
        assert "daemon.notify" in caller.ask(n=1, op="reload")["changed"]
        caller.reserve("b1")
        caller.ask(n=1, op="settle", call="b1", usage={"input": 200, "output": 10})
        eventually(lambda: ops.got, "a bound defect is told")
        assert ops.got[0].document["type"] == "bound.defect"
        ledger = running.home / "ledger.sqlite3"
        ledger.rename(ledger.with_suffix(".away"))
        caller.reserve("b2")
        eventually(lambda: len(ops.got) == 2, "told without a disk")
        assert ops.got[1].document["type"] == "ledger.unavailable"
        ledger.with_suffix(".away").rename(ledger)
        eventually(lambda: caller.reserve("b3").get("ok"), "it can be written again")
        eventually(lambda: len(ops.got) == 3, "and that is told")
        assert ops.got[2].document["type"] == "ledger.recovered"


steps = st.lists(
    st.one_of(
        st.tuples(st.just("spend"), st.integers(1, 9)),
        st.tuples(st.just("limit"), st.integers(1, 60)),
        st.tuples(st.just("topup"), st.integers(-5, 20)),
        st.tuples(st.just("later"), st.integers(1, 40)),
        st.tuples(st.just("restart"), st.booleans()),
    ),
    max_size=25,
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps, st.sampled_from(["total", "hour"]))
@example([("spend", 9), ("restart", True), ("spend", 1)], "total")
def test_what_is_told_is_what_a_simple_model_says(
    tmp_path_factory: pytest.TempPathFactory, script: list[tuple[str, int]], per: str
) -> None:
    """Goal: per window, each percent once, at the first moment at which it is reached."""
    path = tmp_path_factory.mktemp("ledger") / "ledger.sqlite3"
    now_ms, calls = START_MS, 0
    book, ledger = open_book(path, now_ms)
    limit, spent, topped, told, expected = 40, 0, 0, 0, []

    def set_limit(units: int) -> None:
        limit = {"unit": "requests", "amount": units}
        frame = {"n": 1, "op": "budget.set", "scope": "global", "per": per, "limit": limit,
                 "thresholds": [20, 50, 100]}  # fmt: skip
        policy.set_budget(book, read(frame), now_ms)

    set_limit(limit)
    commit(book, ledger, snapshot=True)
    for word, number in script:
        snapshot = word in ("limit", "topup") or number % 2 == 0
        if word == "spend":
            for _ in range(number):
                calls += 1
                call = f"c{calls}"
                answer = reserving.reserve(
                    book, read(reserve_frame(call)), owner="o:1:1", caller=None, now_ms=now_ms
                )
                if getattr(answer, "ok", False):
                    frame = {"n": 1, "op": "settle", "call": call, "usage": {"output": 1}}
                    ending.settle(book, read(frame), now_ms)
                    spent += 1
        elif word == "limit":
            limit = number
            set_limit(limit)
        elif word == "topup":
            topped += number
            frame = {"n": 1, "op": "budget.topup", "scope": "global", "per": per,
                     "unit": "requests", "amount": number}  # fmt: skip
            policy.top_up(book, read(frame), now_ms)
        elif word == "later":
            before = now_ms
            now_ms += number * 60_000
            if per == "hour" and before // 3_600_000 != now_ms // 3_600_000:
                spent = topped = told = 0
            book.advance(now_ms)
        for percent in (20, 50, 100):
            if percent > told and spent >= max(1, -(-(limit + topped) * percent // 100)):
                told = percent
                expected.append(percent)
        alerts.tell(book, now_ms, ())
        commit(book, ledger, snapshot=snapshot)
        if word == "restart":
            ledger.close()
            book, ledger = open_book(path, now_ms)
    ledger.close()
    with sqlite3.connect(path) as connection:
        found = connection.execute(
            "SELECT detail ->> '$.percent' FROM journal WHERE kind = 'threshold' ORDER BY seq"
        ).fetchall()
    connection.close()
    assert [percent for (percent,) in found] == expected


def test_a_window_that_rolls_is_told_of_again_once_it_was_calm(tmp_path: Path) -> None:
    book, ledger = open_book(tmp_path / "ledger.sqlite3")
    limit = {"unit": "requests", "amount": 10}
    frame = {"n": 1, "op": "budget.set", "scope": "global", "per": "1m", "limit": limit,
             "thresholds": [50, 80]}  # fmt: skip
    policy.set_budget(book, read(frame), START_MS)
    told = []
    for minute, calls in enumerate((6, 0, 4, 8)):
        for second in range(calls):
            now_ms = START_MS + minute * 120_000 + second
            book.advance(now_ms)
            call = f"c{minute}-{second}"
            reserving.reserve(
                book, read(reserve_frame(call)), owner="o:1:1", caller=None, now_ms=now_ms
            )
            frame = {"n": 1, "op": "settle", "call": call, "usage": {"output": 1}}
            ending.settle(book, read(frame), now_ms)
            book.events.clear()
            alerts.tell(book, now_ms, ())
            told += [json.loads(e.detail or "")["percent"] for e in book.events]
    assert told == [50, 50, 80]
    ledger.close()
