"""The replay's running sums against the model that adds up everything anew."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from noburn_cli.core.actions import HARD
from noburn_cli.core.budget_spec import BudgetSpec
from noburn_cli.core.budgets import parse_scope
from noburn_cli.core.policy_model import PolicyModel
from noburn_cli.core.policy_replay import Recorded, Replay

HOUR_MS = 3_600_000
START_MS = 1_795_476_000_000
CUSTOMERS = ("acme", "beta", "")
BUDGETS = (
    BudgetSpec(parse_scope("global"), "total", "dollars", 900),
    BudgetSpec(parse_scope("customer=*"), "day", "dollars", 200, zone="Asia/Kathmandu", carry=90),
    BudgetSpec(parse_scope("customer=beta"), "day", "dollars", 260, override=True),
    BudgetSpec(parse_scope("customer=*"), "3h", "requests", 6),
    BudgetSpec(parse_scope("customer=acme"), "week", "tokens", 700, anchor=3),
    BudgetSpec(parse_scope("global"), "call", "tokens", 95),
    BudgetSpec(parse_scope("customer=*"), "hour", "dollars", 60, action="warn", carry=100),
)
steps = st.lists(
    st.tuples(
        st.sampled_from(["reserve", "reserve", "reserve", "settle", "settle", "lose", "void"]),
        st.integers(0, 9),
        st.sampled_from(CUSTOMERS),
        st.integers(1, 120),
        st.sampled_from([0, 0, 1, 7 * 60_000, HOUR_MS, 9 * HOUR_MS, 26 * HOUR_MS]),
        st.booleans(),
    ),
    max_size=60,
)


@settings(max_examples=150, deadline=None)
@given(steps)
def test_running_sums_are_those_of_the_model(taken: Any) -> None:
    """Goal: the same call is blocked, by a budget that blocks there; warnings are as many."""
    model = PolicyModel(BUDGETS, since_ms=START_MS)
    replay = Replay(BUDGETS, since_ms=START_MS)
    open_calls: list[str] = []
    lost: list[str] = []
    now_ms, blocked, warned = START_MS, 0, 0
    for number, (what, index, customer, weight, later_ms, notional) in enumerate(taken):
        now_ms += later_ms
        if what == "reserve":
            call = f"{number:04d}"
            attributes = {"customer": customer} if customer else {}
            hold = (weight, 2 * weight // 3, 1)
            beyond = list(model.beyond(attributes, now_ms, hold, notional=notional))
            before = replay.findings.total.blocked
            refused = model.reserve(call, attributes, now_ms, hold, notional=notional)
            replay.reserve(
                Recorded(
                    call, CUSTOMERS.index(customer), attributes, now_ms, ("m",), hold,
                    notional=notional,
                )
            )  # fmt: skip
            assert replay.findings.total.blocked - before == (refused is not None)
            if refused is None:
                open_calls.append(call)
                warned += sum(spec.action not in HARD for spec, _, _ in beyond)
            else:
                blocked += 1
                assert replay.findings.budgets[refused.name].blocked
        elif what == "settle" and (open_calls or lost):
            place = open_calls or lost
            call = place.pop(index % len(place))
            cost = (weight // 2, weight // 3, 1)
            model.settle(call, cost)
            replay.settle(call, cost, now_ms)
        elif what == "lose" and open_calls:
            call = open_calls.pop(index % len(open_calls))
            lost.append(call)
            model.charge(call)
            replay.charge(call, now_ms)
        elif what == "void" and open_calls:
            call = open_calls.pop(index % len(open_calls))
            model.void(call)
            replay.void(call, now_ms)
        elif index == 0:
            identity = BUDGETS[1].identity
            key = (("customer", "acme"),)
            model.top_up(identity, key, weight, now_ms)
            replay.top_up(identity, key, weight, now_ms)
    found = replay.finish()
    assert (found.total.blocked, found.total.warned) == (blocked, warned)
