"""Changes that are to come, in a real daemon: done at their moment, by whichever daemon sees it."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon.parts import OPEN, ROOT, Caller, Running, eventually, reserve_frame

#: A daemon on a machine whose clocks a test sets.
WITH_HANDS = str(ROOT / "tests" / "faults" / "daemon_with_hands.py")


def set_clocks(home: Path, ahead_ms: int) -> None:
    clocks = {"wall_ms": ahead_ms, "boot_ms": ahead_ms, "boots": 0}
    (home / "clocks.json").write_text(json.dumps(clocks))


@pytest.fixture
def running() -> Iterator[Running]:
    home = Path(tempfile.mkdtemp(prefix="nb-", dir="/tmp"))
    set_clocks(home, 0)
    made = Running(home, program=[WITH_HANDS], variables={"NOBURN_HOME": str(home)})
    made.start()
    yield made
    while OPEN:
        OPEN.pop().close()
    made.stop()
    shutil.rmtree(home, ignore_errors=True)


def limits(caller: Caller) -> dict[str, int]:
    return {b["name"]: b["limit"] for b in caller.ask(n=1, op="budget.list")["budgets"]}


def test_a_budget_begins_and_ends_by_itself_also_after_a_kill(running: Running) -> None:
    caller = Caller(running.home)
    now_ms = caller.ask(n=1, op="status")["now_ms"]
    new = {"op": "budget.set", "scope": "customer=each", "per": "60m"}
    limit = {"unit": "requests", "amount": 0}
    soon = caller.ask(n=2, **new, limit=limit, at_ms=now_ms + 600_000)["scheduled"]
    assert (soon["at_ms"], soon["op"]) == (now_ms + 600_000, "budget.set")
    assert (soon["spec"]["scope"], soon["spec"]["per"]) == ("customer=*", "1h")
    end = {"op": "budget.rm", "scope": "customer=*", "per": "1h", "unit": "requests"}
    later = caller.ask(n=3, **end, at_ms=now_ms + 10**9)["scheduled"]
    late = caller.ask(n=4, **new, limit=limit, at_ms=now_ms - 1)
    assert (late["error"], "past" in late["message"]) == ("bad_frame", True)
    wrong = caller.ask(n=5, **new, limit=limit, zone="Mars/Olympus", at_ms=now_ms + 10**9)
    assert wrong["error"] == "bad_frame"
    listed = caller.ask(n=6, op="budget.list")
    assert (listed["budgets"], [s["id"] for s in listed["scheduled"]]) == ([], [1, 2])
    running.kill()
    set_clocks(running.home, 600_000)  # its moment passes while no daemon runs
    running.start()
    caller = Caller(running.home)
    blocked = caller.ask(**reserve_frame("c1"))
    assert (blocked["error"], blocked["budget"]) == (
        "blocked", "customer=acme per 1h in requests",
    )  # fmt: skip
    assert [s["id"] for s in caller.ask(n=7, op="budget.list")["scheduled"]] == [2]
    gone = caller.ask(n=8, op="budget.unschedule", id=later["id"])
    assert gone["ok"]
    assert caller.ask(n=9, op="budget.unschedule", id=later["id"])["error"] == "not_found"
    soon_ms = caller.ask(n=10, op="status")["now_ms"] + 300
    third = caller.ask(n=11, **end, at_ms=soon_ms)["scheduled"]
    assert third["id"] == 3  # numbers are not given twice
    eventually(lambda: not limits(caller), "the budget ends by itself")
    assert caller.ask(**reserve_frame("c2"))["ok"]


def test_a_familys_account_is_topped_up_beside_an_exact_budget(running: Running) -> None:
    caller = Caller(running.home)
    for scope, amount in (("customer=*", 100), ("customer=acme", 200)):
        limit = {"unit": "tokens", "amount": amount}
        assert caller.ask(n=1, op="budget.set", scope=scope, per="month", limit=limit)["ok"]
    top = {"op": "budget.topup", "scope": "customer=acme", "per": "month", "unit": "tokens"}
    exact = caller.ask(n=2, **top, amount=7)["account"]
    family = caller.ask(n=3, **top, amount=9, family=True)["account"]
    assert [(a["limit"], a["topup"]) for a in (exact, family)] == [(200, 7), (100, 9)]
