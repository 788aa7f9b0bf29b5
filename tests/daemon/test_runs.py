"""Runs that are stopped, paused, raised, ended: through a real daemon, and over its restarts."""

from __future__ import annotations

from typing import Any

from tests.daemon.parts import Caller, Running, eventually, reserve_frame

#: What one call of `reserve_frame` holds: 100 tokens at $0.1 and 1,000 at $0.5 a million.
HOLD = 510_000
COST = 10 * 100 + 10 * 500


def start(caller: Caller, run: str, amount: int | None = None, **attrs: str) -> None:
    limit = None if amount is None else {"unit": "dollars", "amount": amount}
    assert caller.ask(n=1, op="run.start", run=run, attrs=attrs, command=["agent"], limit=limit)[
        "ok"
    ]


def shown(caller: Caller, run: str) -> dict[str, Any]:
    reply = caller.ask(n=1, op="run.list", run=run)
    assert reply["ok"], reply
    return reply["runs"][0]


def test_a_stopped_run_and_all_below_it_get_no_hold_again(running: Running) -> None:
    """Goal: stop is final, heard by who watches and who waits, and outlives a killed daemon."""
    caller, waiter, watcher = (Caller(running.home) for _ in range(3))
    start(caller, "r1", HOLD)
    start(caller, "r1/r2")
    start(caller, "r9")
    assert caller.reserve("a", attrs={"run": "r1"})["ok"]
    waiter.send(**_reserve("b", {"run": "r1/r2"}, wait_ms=60_000))
    eventually(lambda: shown(caller, "r1")["waiting"] == 1, "somebody waits")
    below = watcher.ask(n=1, op="run.watch", run="r1/r2")
    assert (below["ok"], below["state"]) == (True, "open")
    assert watcher.ask(n=1, op="run.watch", run="r9")["ok"]
    told = caller.ask(n=1, op="run.stop", run="r1", reason="too dear", by="ann")
    assert told["message"] == "run `r1` was stopped by ann: too dear"
    assert (told["open"], told["waiting"]) == (1, 1)
    assert watcher.hear() == {
        "event": "stopped", "run": "r1/r2", "stopped": "r1", "message": told["message"],
    }  # fmt: skip
    dismissed = waiter.hear()
    assert (dismissed["error"], dismissed["why_blocked"]) == ("stopped", "stopped")
    assert dismissed["why"] == told["message"]
    again = caller.ask(n=1, op="run.stop", run="r1", by="bob")
    assert again["message"] == told["message"]  # who was first
    # What was on its way is settled as ever.
    assert caller.settle("a")["cost_nano"] == COST
    running.kill()
    running.start()
    caller = Caller(running.home)
    for number, run in enumerate(("r1", "r1/r2", "r1/new")):
        refused = caller.reserve(f"c{number}", attrs={"run": run})
        assert (refused["error"], refused["run"]) == ("stopped", "r1")
    assert caller.reserve("d", attrs={"run": "r9"})["ok"]
    assert caller.ask(n=1, op="run.watch", run="r1/r2")["message"] == told["message"]
    assert caller.ask(n=1, op="run.stop", run="nobody")["error"] == "not_found"


def test_a_run_that_has_ended_gets_no_hold_either(running: Running) -> None:
    """Goal: a process that outlives its run spends nothing, also after a restart."""
    caller = Caller(running.home)
    start(caller, "r1", 10 * HOLD)
    assert caller.ask(n=1, op="run.end", run="r1", exit_code=0)["stopped"] is None
    assert caller.reserve("a", attrs={"run": "r1"})["message"] == (
        "call blocked: run `r1` has ended"
    )
    running.kill()
    running.start()
    caller = Caller(running.home)
    assert caller.reserve("b", attrs={"run": "r1/r2"})["why_blocked"] == "ended"
    start(caller, "r1")  # It runs anew.
    assert caller.reserve("c", attrs={"run": "r1"})["ok"]


def answer(caller: Caller) -> dict[str, Any]:
    """The reply, after however many times it was said that the run is paused."""
    while (frame := caller.hear()).get("event") == "paused":
        pass
    return frame


def test_a_paused_run_waits_in_order_and_goes_on(running: Running) -> None:
    """Goal: pause refuses nobody, even who would not wait for money, and says so meanwhile."""
    caller, first, second = (Caller(running.home) for _ in range(3))
    start(caller, "r1", HOLD)
    assert caller.ask(n=1, op="run.pause", run="r1", by="ann")["state"] == "paused"
    first.send(**_reserve("a", {"run": "r1"}))
    second.send(**_reserve("b", {"run": "r1/r2"}))
    assert first.hear() == {"n": 1, "event": "paused", "call": "a"}
    assert second.hear()["event"] == "paused"
    assert shown(caller, "r1")["waiting"] == 2
    running.kill()
    running.start()
    caller, first, second = (Caller(running.home) for _ in range(3))
    assert shown(caller, "r1")["state"] == "paused"
    for number, (connection, call) in enumerate(((first, "a"), (second, "b"))):
        connection.send(**_reserve(call, {"run": "r1"}))
        eventually(lambda n=number: shown(caller, "r1")["waiting"] == n + 1, "in order")
    assert caller.ask(n=1, op="run.resume", run="r1")["state"] == "open"
    assert answer(first)["ok"]
    assert answer(second)["why_blocked"] == "in_flight"  # There was money for one.


def test_a_raised_limit_lets_a_waiter_go(running: Running) -> None:
    """Goal: run.limit replaces or adds, is felt at once, and is kept."""
    caller, waiter = Caller(running.home), Caller(running.home)
    start(caller, "r1", HOLD)
    assert caller.reserve("a", attrs={"run": "r1"})["ok"]
    waiter.send(**_reserve("b", {"run": "r1"}, wait_ms=60_000))
    eventually(lambda: shown(caller, "r1")["waiting"] == 1, "somebody waits")
    more = {"unit": "dollars", "amount": HOLD}
    reply = caller.ask(n=1, op="run.limit", run="r1", limit=more, add=True)
    assert reply["limit"]["amount"] == 2 * HOLD
    assert waiter.hear()["ok"]
    less = {"unit": "dollars", "amount": 5}
    assert caller.ask(n=1, op="run.limit", run="r1", limit=less)["ok"]
    assert caller.reserve("c", attrs={"run": "r1"})["budget"] == "run=r1 per run"
    tokens = {"unit": "tokens", "amount": 5}
    refused = caller.ask(n=1, op="run.limit", run="r1", limit=tokens, add=True)
    assert refused["error"] == "bad_frame"
    running.kill()
    running.start()
    assert Caller(running.home).account("run=r1 per run")["limit"] == 5


def test_a_budget_that_kills_stops_the_run_it_blocks(running: Running) -> None:
    """Goal: the block itself stops the run, and says which budget did it; others go on."""
    caller, watcher = Caller(running.home), Caller(running.home)
    limit = {"unit": "dollars", "amount": HOLD}
    scope = {"scope": "customer=acme", "per": "total", "limit": limit, "action": "kill"}
    assert caller.ask(n=1, op="budget.set", **scope)["budget"]["action"] == "kill"
    running.kill()
    running.start()
    caller, watcher = Caller(running.home), Caller(running.home)
    start(caller, "r1")
    start(caller, "r1/r2")
    assert watcher.ask(n=1, op="run.watch", run="r1/r2")["ok"]
    acme = {"customer": "acme", "run": "r1/r2"}
    assert caller.reserve("a", attrs=acme)["ok"]
    blocked = caller.reserve("b", attrs=acme)
    assert blocked["error"] == "blocked"
    events = {watcher.hear()["event"] for _ in range(2)}
    assert events == {"blocked", "stopped"}
    assert shown(caller, "r1/r2")["message"] == blocked["message"]
    assert caller.reserve("c", attrs={"run": "r1/r2"})["error"] == "stopped"
    assert caller.reserve("d", attrs={"run": "r1"})["ok"]
    assert caller.ask(n=1, op="budget.set", **{**scope, "action": "melt"})["error"] == "bad_frame"


def test_what_a_run_came_to_is_the_same_after_a_restart(running: Running) -> None:
    """Goal: the numbers of `noburn top`: live, and summed from the journal."""
    caller = Caller(running.home)
    start(caller, "r1", 3 * HOLD, customer="acme")
    start(caller, "r1/r2")
    attrs = {"run": "r1/r2", "customer": "acme"}
    for call in ("a", "b", "c"):
        assert caller.reserve(call, attrs=attrs)["ok"]
    assert caller.settle("a")["ok"]
    assert caller.ask(n=1, op="void", call="b")["ok"]
    assert caller.reserve("n", attrs={"run": "r1"}, notional=True)["ok"]
    assert caller.settle("n")["cost_nano"] == COST
    assert caller.reserve("x", attrs=attrs, output={"wanted": 9000})["error"] == "blocked"
    before = shown(caller, "r1")
    assert before["attrs"] == {"customer": "acme", "run": "r1"}
    assert (before["calls"], before["open"], before["blocked"]) == (4, 1, 1)
    assert (before["cost_nano"], before["held_nano"], before["notional_nano"]) == (
        COST, HOLD, COST,
    )  # fmt: skip
    assert before["rate_nano"] == COST
    account = before["accounts"][0]
    assert (account["name"], account["settled"], account["held"]) == ("run=r1 per run", COST, HOLD)
    assert [r["run"] for r in caller.ask(n=1, op="run.list")["runs"]] == ["r1", "r1/r2"]
    running.kill()
    running.start()
    after = shown(Caller(running.home), "r1")
    changed = ("rate_nano", "rate_ms")
    assert {k: v for k, v in after.items() if k not in changed} == {
        k: v for k, v in before.items() if k not in changed
    }


def test_a_notional_call_weighs_on_tokens_and_requests_alone(running: Running) -> None:
    """Goal: no budget of dollars is charged, not even one set later; the cost is kept."""
    caller = Caller(running.home)
    caller.budget("global", 1)
    caller.budget("global", 1500, unit="tokens")
    assert caller.reserve("a", notional=True)["hold_nano"] == HOLD
    refused = caller.reserve("b", notional=True)
    assert (refused["error"], refused["unit"]) == ("blocked", "tokens")
    assert caller.reserve("a", notional=False)["error"] == "conflict"
    running.kill()
    running.start()
    caller = Caller(running.home)
    assert caller.account("global per total")["held"] == 0
    assert caller.account("global per total in tokens")["held"] == 1100
    assert caller.settle("a")["cost_nano"] == COST
    caller.budget("customer=acme", 1)
    caller.budget("customer=acme", 9, unit="requests")
    assert caller.account("customer=acme per total")["settled"] == 0
    assert caller.account("customer=acme per total in requests")["settled"] == 1


def _reserve(call: str, attrs: dict[str, str], *, wait_ms: int = 0) -> dict[str, Any]:
    return reserve_frame(call, attrs=attrs, wait_ms=wait_ms)
