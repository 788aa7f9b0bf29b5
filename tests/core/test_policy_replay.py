"""The replay's running sums against the model that adds up everything anew."""

from __future__ import annotations

import random

from noburn_cli.core.actions import HARD
from noburn_cli.core.budget_spec import BudgetSpec
from noburn_cli.core.budgets import parse_scope
from noburn_cli.core.policy_model import PolicyModel
from noburn_cli.core.policy_replay import Recorded, Replay

HOUR_MS = 3_600_000
START_MS = 1_795_476_000_000
CUSTOMERS = ("acme", "beta", "")
BUDGETS = (
    BudgetSpec(parse_scope("global"), "total", "dollars", 500),
    BudgetSpec(parse_scope("customer=*"), "day", "dollars", 200, zone="Asia/Kathmandu", carry=500),
    BudgetSpec(parse_scope("customer=beta"), "day", "dollars", 130, override=True),
    BudgetSpec(parse_scope("global"), "hour", "requests", 2, carry=20),
    BudgetSpec(parse_scope("customer=*"), "3h", "requests", 4),
    BudgetSpec(parse_scope("customer=acme"), "week", "tokens", 250, anchor=3),
    BudgetSpec(parse_scope("global"), "call", "tokens", 75),
    BudgetSpec(parse_scope("customer=*"), "hour", "dollars", 60, action="warn", carry=400),
    BudgetSpec(parse_scope("customer=*"), "6h", "dollars", 150),
)
LATER_MS = (0, 0, 60_000, 7 * 60_000, HOUR_MS, 5 * HOUR_MS // 2, 3 * HOUR_MS + 60_000, 26 * HOUR_MS)
SEEDS = 24


class Both:
    """The same calls before the model and before the replay."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.budgets = self.random.sample(BUDGETS, 3)
        self.model = PolicyModel(self.budgets, since_ms=START_MS)
        self.replay = Replay(self.budgets, since_ms=START_MS)
        self.now_ms = START_MS
        self.open_calls: list[str] = []
        self.lost: list[str] = []
        self.blocked: dict[str, int] = {}
        self.warned = 0

    def reserve(self, call: str) -> None:
        customer = self.random.choice(CUSTOMERS)
        attributes = {"customer": customer} if customer else {}
        weight = self.random.randint(1, 120)
        hold = (weight, 2 * weight // 3, 1)
        notional = self.random.random() < 0.1
        beyond = list(self.model.beyond(attributes, self.now_ms, hold, notional=notional))
        refused = self.model.reserve(call, attributes, self.now_ms, hold, notional=notional)
        number = CUSTOMERS.index(customer)
        self.replay.reserve(
            Recorded(call, number, attributes, self.now_ms, ("m",), hold, notional=notional)
        )
        if refused is None:
            self.open_calls.append(call)
            self.warned += sum(spec.action not in HARD for spec, _, _ in beyond)
        else:
            self.blocked[refused.name] = self.blocked.get(refused.name, 0) + 1

    def end(self, what: str) -> None:
        place = self.lost if what == "settle" and self.random.random() < 0.3 else self.open_calls
        if not place:
            return
        call = place.pop(self.random.randrange(len(place)))
        weight = self.random.randint(0, 90)
        if what == "settle":
            cost = (weight, weight // 2, 1)
            self.model.settle(call, cost, self.now_ms)
            self.replay.settle(call, cost, self.now_ms)
        elif what == "lose":
            self.lost.append(call)
            self.model.charge(call, self.now_ms)
            self.replay.charge(call, self.now_ms)
        else:
            self.model.void(call, self.now_ms)
            self.replay.void(call, self.now_ms)

    def top_up(self) -> None:
        spec = self.random.choice(self.budgets)
        key = tuple((name, "acme") for name in spec.scope.keys)
        if spec.per != "call" and spec.name != BUDGETS[2].name:
            amount = self.random.randint(1, 40)
            self.model.top_up(spec.identity, key, amount, self.now_ms)
            self.replay.top_up(spec.identity, key, amount, self.now_ms)

    def compare(self, where: str) -> None:
        found = self.replay.findings.budgets
        assert {name: one.blocked for name, one in found.items() if one.blocked} == self.blocked
        theirs = self.model.balances(self.now_ms)
        for place, balance in self.replay.balances(self.now_ms).items():
            if place in theirs:  # The others have no call.
                one = theirs[place]
                assert balance == (one.settled, one.held, one.in_flight, one.capacity), where


def test_running_sums_are_those_of_the_model() -> None:
    """Goal: the same calls are blocked, by the same budgets, and as many are warned of."""
    blocked: dict[str, int] = {}
    for seed in range(SEEDS):
        both = Both(seed)
        for step in range(40):
            both.now_ms += both.random.choice(LATER_MS)
            what = both.random.choice(("reserve",) * 6 + ("settle",) * 3 + ("lose", "void", "top"))
            if what == "reserve":
                both.reserve(f"{step:03d}")
            elif what == "top":
                both.top_up()
            else:
                both.end(what)
            if step % 3 == 0:
                both.compare(f"seed {seed}, step {step}")
        assert both.replay.finish().total.warned == both.warned, f"seed {seed}"
        for name, count in both.blocked.items():
            blocked[name] = blocked.get(name, 0) + count
    # Each budget that can block did, so that the comparison means something.
    assert set(blocked) == {spec.name for spec in BUDGETS if spec.action in HARD}
