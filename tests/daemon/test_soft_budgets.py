"""Budgets that warn, downgrade and bill: what they answer, and what they book, against a model."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from noburn_cli.errors import UsageError
from noburn_daemon import ending, policy, reserving, running
from tests.daemon.parts import START_MS, balances, commit, open_book, read, reserve_frame, shown

HOUR_MS = 3_600_000
HOLD_NANO = 100 * 100 + 1000 * 500  # reserve_frame: 100 bytes in, 1,000 tokens out
CUSTOMERS = ("acme", "beta")
SOL, TERRA, LUNA = "gpt-6.1-sol", "gpt-6.1-terra", "gpt-6-luna"


class Desk:
    """A book over a real file, asked by hand; remembers every row of overage."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.now_ms = START_MS
        self.book, self.ledger = open_book(path)
        self.rows: list[Any] = []
        self.made = 0

    def budget(self, scope: str, per: str, unit: str, amount: int, action: str, **more: Any) -> Any:
        limit = {"unit": unit, "amount": amount}
        frame = {"n": 1, "op": "budget.set", "scope": scope, "per": per, "limit": limit}
        return policy.set_budget(self.book, read({**frame, "action": action, **more}), self.now_ms)

    def reserve(self, call: str = "", **changes: Any) -> dict[str, Any]:
        self.made += 1
        frame = reserve_frame(call or f"{self.made:06d}", **changes)
        return shown(
            reserving.reserve(
                self.book, read(frame), owner="o:1:1", caller=None, now_ms=self.now_ms
            )
        )

    def settle(self, call: str, output: int) -> dict[str, Any]:
        usage = {"input": 100, "output": output}
        frame = read({"n": 1, "op": "settle", "call": call, "usage": usage})
        return shown(ending.settle(self.book, frame, self.now_ms))

    def commit(self, *, snapshot: bool) -> None:
        self.rows += [event for event in self.book.events if event.kind == "overage"]
        commit(self.book, self.ledger, snapshot=snapshot)

    def restart(self, *, snapshot: bool) -> None:
        self.prune()
        self.commit(snapshot=snapshot)
        before = balances(self.book), self.overages()
        self.ledger.close()
        self.book, self.ledger = open_book(self.path, self.now_ms)
        self.prune()
        assert (balances(self.book), self.overages()) == before

    def prune(self) -> None:
        """Forget windows that have passed, as the daemon's clock does."""
        self.book.accounts.advance(self.now_ms)

    def overages(self) -> dict[tuple[str, int], int]:
        return {(a.name, a.start_ms): a.overage for a in self.book.accounts.all() if a.overage}

    def booked(self) -> dict[tuple[str, int], int]:
        """The sum of the rows by account and window, and that each says where it leads."""
        sums: dict[tuple[str, int], int] = {}
        for event in (*self.rows, *(e for e in self.book.events if e.kind == "overage")):
            detail = json.loads(event.detail)
            place = detail["account"], detail["window_start_ms"]
            sums[place] = sums.get(place, 0) + detail["amount"]
            assert sums[place] == detail["total"] >= 0
            assert event.cost_nano == (detail["amount"] if detail["unit"] == "dollars" else None)
        return {place: total for place, total in sums.items() if total}


@pytest.fixture
def desk(tmp_path):
    made = Desk(tmp_path / "ledger.sqlite3")
    yield made
    made.ledger.close()


# -- What is booked as overage, against a list of calls that is summed anew ----------------------


@dataclass
class Model:
    """What customers spent by hour, and everybody in tokens, beyond what they may."""

    calls: dict[str, dict[str, Any]] = field(default_factory=dict)
    topups: dict[tuple[str, int], int] = field(default_factory=dict)
    tokens: int = 3_000

    def overages(self) -> dict[tuple[str, int], int]:
        spent: dict[tuple[str, int], int] = {}
        for call in self.calls.values():
            if call["state"] in ("held", "voided"):
                continue
            nano, tokens = call["cost"]
            for place, amount in (
                ((f"customer={call['customer']} per hour", call["at"] // HOUR_MS * HOUR_MS), nano),
                (("global per total in tokens", 0), tokens),
            ):
                spent[place] = spent.get(place, 0) + amount
        over = {}
        for (name, start_ms), amount in spent.items():
            limit = self.tokens if start_ms == 0 else 400_000
            limit += self.topups.get((name, start_ms), 0)
            over[name, start_ms] = max(0, amount - limit)
        return {place: amount for place, amount in over.items() if amount}


class Run:
    def __init__(self, path: Path) -> None:
        self.desk = Desk(path)
        self.model = Model()
        self.desk.budget("customer=*", "hour", "dollars", 400_000, "bill")
        self.desk.budget("global", "total", "tokens", self.model.tokens, "bill")
        self.desk.budget("customer=acme", "day", "requests", 2, "warn")
        self.desk.commit(snapshot=True)

    def reserve(self, index: int, amount: int) -> None:
        customer = CUSTOMERS[index % 2]
        day = self.desk.now_ms // (24 * HOUR_MS)
        today = [
            call
            for call in self.model.calls.values()
            if (call["customer"], call["at"] // (24 * HOUR_MS)) == ("acme", day)
            and call["state"] != "voided"
        ]
        reply = self.desk.reserve(attrs={"customer": customer})
        # Whatever was spent: soft budgets neither block, nor clamp, nor make anybody wait.
        assert (reply["granted"], reply["hold_nano"]) == (1000, HOLD_NANO)
        assert bool(reply.get("warnings")) == (customer == "acme" and len(today) >= 2)
        self.model.calls[reply["call"]] = {
            "customer": customer, "at": self.desk.now_ms, "state": "held", "owner": "o:1:1"
        }  # fmt: skip

    def end(self, what: str, index: int, amount: int) -> None:
        known = list(self.model.calls)
        if not known:
            return
        call = known[-1 - index % len(known)]
        fact = self.model.calls[call]
        if what == "settle":
            if self.desk.settle(call, amount)["ok"] and fact["state"] != "settled":
                fact.update(state="settled", cost=(100 * 100 + amount * 500, 100 + amount))
            return
        if what == "orphan":
            ending.owner_gone(self.desk.book, "o:1:1", self.desk.now_ms)
            for one in self.model.calls.values():
                if one["state"] == "held":
                    one.update(state="orphaned", cost=(HOLD_NANO, 1100))
            return
        act = ending.lose if what == "lose" else ending.void
        act(self.desk.book, read({"n": 1, "op": what, "call": call}), self.desk.now_ms)
        if fact["state"] == "held":
            fact.update(state=what, cost=(HOLD_NANO, 1100))
            if what == "void":
                fact["state"] = "voided"

    def top_up(self, index: int, amount: int) -> None:
        scope = f"customer={CUSTOMERS[index % 2]}"
        place = f"{scope} per hour", self.desk.now_ms // HOUR_MS * HOUR_MS
        amount = (amount - 1000) * 100
        frame = {"n": 1, "op": "budget.topup", "scope": scope, "per": "hour", "amount": amount}
        policy.top_up(self.desk.book, read(frame), self.desk.now_ms)
        self.model.topups[place] = self.model.topups.get(place, 0) + amount
        self.desk.commit(snapshot=True)  # as the server does with all of these

    def limit(self, amount: int) -> None:
        self.model.tokens = amount
        self.desk.budget("global", "total", "tokens", amount, "bill")
        self.desk.commit(snapshot=True)

    def tick(self, index: int) -> None:
        before, self.desk.now_ms = self.desk.now_ms, self.desk.now_ms + index * 1_500_000
        if before // HOUR_MS != self.desk.now_ms // HOUR_MS:
            self.desk.prune()


steps = st.lists(
    st.tuples(
        st.sampled_from(
            ["reserve", "reserve", "settle", "settle", "lose", "void", "orphan", "topup", "limit",
             "tick", "restart"]
        ),
        st.integers(0, 9), st.integers(0, 2500), st.booleans(),
    ),
    min_size=5, max_size=40,
)  # fmt: skip


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps)
def test_what_is_booked_is_what_is_over(todo: list[tuple[str, int, int, bool]]) -> None:
    """Goal: sum of overage = max(0, settled - capacity) for each account, after every step."""
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder) / "ledger.sqlite3")
        try:
            for what, index, amount, flag in todo:
                if what == "reserve":
                    run.reserve(index, amount)
                elif what == "topup":
                    run.top_up(index, amount)
                elif what == "limit":
                    run.limit(amount)
                elif what == "tick":
                    run.tick(index)
                elif what == "restart":
                    run.desk.restart(snapshot=flag)
                else:
                    run.end(what, index, amount)
                assert run.desk.booked() == run.model.overages()
                if flag:
                    run.desk.commit(snapshot=index % 2 == 0)
        finally:
            run.desk.ledger.close()


def test_an_action_that_changes_takes_back_and_books_again(desk):
    desk.budget("global", "total", "dollars", 100_000, "bill")
    call = desk.reserve()["call"]
    desk.settle(call, 1000)
    over = {("global per total", 0): 510_000 - 100_000}
    assert desk.booked() == over
    desk.budget("global", "total", "dollars", 100_000, "block")
    assert desk.booked() == {}
    desk.budget("global", "total", "dollars", 100_000, "bill")
    assert desk.booked() == over
    desk.restart(snapshot=True)
    policy.remove_budget(
        desk.book, read({"n": 1, "op": "budget.rm", "scope": "global", "per": "total"}), desk.now_ms
    )
    assert desk.booked() == {}


def test_a_window_that_has_passed_keeps_the_limit_it_had(desk):
    desk.budget("customer=*", "hour", "dollars", 100_000, "bill")
    lost = desk.reserve()["call"]
    frame = read({"n": 1, "op": "lose", "call": lost})
    ending.lose(desk.book, frame, desk.now_ms)
    place = ("customer=acme per hour", START_MS - START_MS % HOUR_MS)
    assert desk.booked() == {place: 410_000}
    desk.now_ms += HOUR_MS
    desk.prune()
    desk.restart(snapshot=True)
    desk.budget("customer=*", "hour", "dollars", 900_000, "bill")
    desk.restart(snapshot=True)
    assert desk.settle(lost, 380)["state"] == "settled"  # the bill came late: 200,000 nano-dollars
    assert desk.booked() == {place: 100_000}
    desk.restart(snapshot=False)
    rows = list(desk.ledger._connection.execute("SELECT customer, sum(nano) FROM overages"))
    assert rows == [("acme", 100_000)]


# -- What a call is answered ---------------------------------------------------------------------


def spend(desk, amount: int) -> None:
    """Let a call of another customer settle at about that many nano-dollars."""
    call = desk.reserve(attrs={"customer": "other"})["call"]
    desk.settle(call, (amount - 10_000) // 500)


def note_of(desk, call: str) -> dict[str, Any]:
    event = next(e for e in desk.book.events if e.call == call and e.kind == "reserve")
    return json.loads(str(event.note))


def test_a_budget_that_warns_says_so_in_the_grant_and_once_to_the_run(desk):
    running.start_run(desk.book, read({"n": 1, "op": "run.start", "run": "r1"}), "o:1:1", START_MS)
    desk.budget("global", "day", "dollars", 20_000, "warn")
    first = desk.reserve(attrs={"run": "r1"}, output={"wanted": 10, "floor": 1})
    assert "warnings" not in first
    for _ in range(2):
        spend(desk, 20_000)
        again = desk.reserve(attrs={"run": "r1"}, output={"wanted": 10, "floor": 1})
        (said,) = again["warnings"]
        assert said.startswith("budget `global per day` of $0.00002 is spent until 20")
        assert said.endswith(" UTC, and only warns")
        assert note_of(desk, again["call"])["warned"] == ["global per day"]
    assert [(runs, said) for runs, _, said in desk.book.warnings] == [(["r1"], said)]


def test_in_flight_calls_count_as_what_the_new_one_needs_at_least(desk):
    """Uncapped calls hold a hundred times what they cost: that alone is no excess."""
    desk.budget("global", "total", "dollars", 100_000, "warn")
    replies = [
        desk.reserve(output={"wanted": None, "floor": 16, "choices": 1, "clamp": True})
        for _ in range(6)
    ]
    least = 100 * 100 + 16 * 500
    assert all(reply["hold_nano"] > 1_000_000 for reply in replies)
    assert [bool(r.get("warnings")) for r in replies] == [
        (n + 1) * least > 100_000 for n in range(6)
    ]


RULES = {SOL: TERRA, TERRA: LUNA}


def test_a_call_steps_down_the_rules_and_then_passes(desk):
    desk.budget("global", "total", "dollars", 10_000, "downgrade", downgrade=RULES)
    spend(desk, 12_000)
    sent: dict[str, Any] = {"model": SOL}
    steps = []
    for cheaper in (TERRA, LUNA):
        reply = desk.reserve("call-1", **sent)
        assert (reply["ok"], reply["error"], reply["model"]) == (False, "downgrade", cheaper)
        steps.append({"model": sent["model"], "budget": "global per total"})
        assert reply["downgraded"] == steps
        sent = {"model": cheaper, "downgraded": reply["downgraded"]}
    reply = desk.reserve("call-1", **sent)
    assert (reply["ok"], reply["call"]) == (True, "call-1")
    assert reply["warnings"] == [
        f"calls for {SOL} go out for {LUNA}: budget `global per total` is spent"
    ]
    note = note_of(desk, "call-1")
    assert (note["downgraded"], note["passed"]) == (steps, ["global per total"])
    # A repeat gets the same hold, and nothing was held for the dearer models.
    assert desk.reserve("call-1", **sent)["hold_nano"] == reply["hold_nano"]
    assert desk.book.accounts.by_place(1, "[]", 0).in_flight == 1


@pytest.mark.parametrize("rules", [{SOL: LUNA, LUNA: SOL}, {"*": SOL}, {LUNA: LUNA}, {TERRA: SOL}])
def test_no_rule_leads_in_a_circle_or_up(desk, rules):
    desk.budget("global", "total", "dollars", 10_000, "downgrade", downgrade=rules)
    spend(desk, 12_000)
    step = [{"model": SOL, "budget": "global per total"}]
    assert desk.reserve(model=LUNA, downgraded=step)["ok"]


def test_a_rule_may_name_a_model_by_any_of_its_names(desk):
    desk.budget("global", "total", "dollars", 10_000, "downgrade", downgrade={SOL: LUNA})
    spend(desk, 12_000)
    assert desk.reserve(model=f"openai/{SOL}")["model"] == LUNA
    assert desk.reserve(model="claude-opus-5-5")["ok"]  # which no rule names


@pytest.mark.parametrize(
    ("changes", "target", "why"),
    [
        ({"fixed_model": "the form has no model"}, LUNA, "the form has no model"),
        ({}, "gpt-nobody-knows", "no model"),
        ({}, "claude-haiku-5-5", "sold by anthropic"),
        ({"variants": ["priority"]}, "gpt-5-nano", "priority"),
    ],
)
def test_where_no_cheaper_model_can_be_had_the_call_is_blocked_with_the_reason(
    desk, changes, target, why
):
    desk.budget("customer=*", "total", "dollars", 600_000, "downgrade", downgrade={"*": target})
    desk.settle(desk.reserve(model=LUNA)["call"], 1000)
    reply = desk.reserve(model=SOL, **changes)
    assert (reply["error"], reply["why_blocked"]) == ("blocked", "downgrade")
    assert why in reply["message"]
    assert target in reply["message"]
    assert (reply["budget"], reply["waiting_helps"]) == ("customer=acme per total", False)
    (row,) = [e for e in desk.book.events if e.kind == "blocked"]
    assert (row.failure, json.loads(row.detail)["message"]) == ("downgrade", reply["message"])


def test_a_cap_above_the_cheaper_models_own_is_lowered_to_it(desk):
    model = desk.book.pricing.book.resolve("gpt-4o-mini")
    step = [{"model": "gpt-4o", "budget": "x"}]
    wanted = {"wanted": 10 * model.output_max, "floor": 1, "choices": 1, "clamp": False}
    reply = desk.reserve(model="gpt-4o-mini", downgraded=step, output=wanted)
    assert (reply["granted"], reply["write_cap"]) == (model.output_max, True)


def test_hard_budgets_decide_on_the_cheaper_model(desk):
    desk.budget("global", "total", "dollars", 100_000, "downgrade", downgrade={SOL: LUNA})
    desk.budget("global", "day", "dollars", 700_000, "block")
    spend(desk, 150_000)
    output = {"wanted": 900, "floor": 1, "choices": 1, "clamp": False}
    reply = desk.reserve("c1", model=SOL, output=output)  # which would not fit the hard one either
    assert reply["error"] == "downgrade"
    assert desk.reserve("c1", model=LUNA, output=output, downgraded=reply["downgraded"])["ok"]


@pytest.mark.parametrize(
    ("per", "action", "more", "why"),
    [
        ("1m", "bill", {}, "cannot be billed"),
        ("call", "bill", {}, "cannot be billed"),
        ("total", "downgrade", {}, "needs rules"),
        ("total", "warn", {"downgrade": RULES}, "only a budget with the action downgrade"),
    ],
)
def test_soft_budgets_that_mean_nothing_are_refused(desk, per, action, more, why):
    with pytest.raises(UsageError, match=why):
        desk.budget("global", per, "dollars", 1_000, action, **more)
    assert not desk.book.events
