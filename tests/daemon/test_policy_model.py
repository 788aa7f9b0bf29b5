"""The book against core.policy_model, balance by balance: what replays rest on is what happens."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

from noburn_cli.core.actions import HARD
from noburn_cli.core.budget_spec import BudgetSpec
from noburn_cli.core.budgets import parse_scope
from noburn_cli.core.policy_model import PolicyModel
from noburn_daemon import ending, policy, reserving
from tests.daemon.parts import START_MS, commit, open_book, read, reserve_frame, shown

HOUR_MS = 3_600_000
INPUT_PICO, OUTPUT_PICO = 100_000, 500_000  # gpt-6-luna: $0.1 and $0.5 a million
BUDGETS = (
    BudgetSpec(parse_scope("global"), "total", "dollars", 1_500_000),
    BudgetSpec(
        parse_scope("customer=*"), "day", "dollars", 400_000, zone="Asia/Kathmandu",
        carry=900_000,
    ),
    BudgetSpec(parse_scope("customer=beta"), "day", "dollars", 500_000, override=True),
    BudgetSpec(parse_scope("global"), "hour", "requests", 1, carry=3),
    BudgetSpec(parse_scope("customer=*"), "3h", "requests", 3),
    BudgetSpec(parse_scope("customer=acme"), "week", "tokens", 1_200, anchor=3),
    BudgetSpec(parse_scope("global"), "call", "tokens", 1_000),
    BudgetSpec(parse_scope("customer=*"), "6h", "dollars", 400_000),
)  # fmt: skip
LATER_MS = (0, 0, 60_000, HOUR_MS, 5 * HOUR_MS // 2, 3 * HOUR_MS + 60_000, 26 * HOUR_MS)
SEEDS, STEPS = 12, 50


class Both:
    """The same requests to a book over a real file and to the model."""

    def __init__(self, path: Path, seed: int) -> None:
        self.random = random.Random(seed)
        self.now_ms = START_MS
        self.book, self.ledger = open_book(path)
        specs = self.random.sample(BUDGETS, 3)
        for spec in specs:
            frame = {"n": 1, "op": "budget.set", **spec.frame()}
            policy.set_budget(self.book, read(frame), self.now_ms)
        commit(self.book, self.ledger, snapshot=True)
        self.model = PolicyModel(specs, since_ms=START_MS)
        self.open_calls: list[str] = []
        self.lost: list[str] = []

    def reserve(self, call: str) -> str | None:
        """The budget that blocked it, if one did."""
        customer = self.random.choice(("acme", "beta", ""))
        tokens = self.random.choice((50, 300, 700, 950))
        attributes = {"customer": customer} if customer else {}
        output = {"wanted": tokens, "floor": 1, "choices": 1, "clamp": False}
        answer = shown(
            reserving.reserve(
                self.book, read(reserve_frame(call, attrs=attributes, output=output)),
                owner="o:1:1", caller=None, now_ms=self.now_ms,
            )
        )  # fmt: skip
        nano = -(-(100 * INPUT_PICO + tokens * OUTPUT_PICO) // 1000)
        weights = (nano, 100 + tokens, 1)
        beyond = [
            spec
            for spec, _, _ in self.model.beyond(attributes, self.now_ms, weights)
            if spec.action in HARD
        ]
        refused = self.model.reserve(call, attributes, self.now_ms, weights)
        assert answer["ok"] == (refused is None), answer
        if refused is None:
            self.open_calls.append(call)
            return None
        window = answer["budget"].partition(" per ")[2]
        assert window in {one.name.partition(" per ")[2] for one in beyond}, answer
        return refused.name

    def end(self, what: str) -> None:
        place = self.lost if what == "settle" and self.random.random() < 0.3 else self.open_calls
        if not place:
            return
        call = place.pop(self.random.randrange(len(place)))
        frame = {"n": 1, "op": what, "call": call}
        if what == "settle":
            usage = {"input": self.random.randint(1, 100), "output": self.random.randint(0, 600)}
            assert shown(ending.settle(self.book, read({**frame, "usage": usage}), self.now_ms))[
                "ok"
            ]
            known = self.book.calls.get(call)
            assert known is not None
            self.model.settle(call, known.cost, self.now_ms)
        elif what == "lose":
            ending.lose(self.book, read(frame), self.now_ms)
            self.lost.append(call)
            self.model.charge(call, self.now_ms)
        else:
            ending.void(self.book, read(frame), self.now_ms)
            self.model.void(call, self.now_ms)

    def compare(self, where: str) -> None:
        """Every account of a current window that the model has a call in."""
        self.book.advance(self.now_ms)
        theirs = self.model.balances(self.now_ms)
        for account in self.book.accounts.all():
            row = account.budget.row
            place = (row.scope, row.per, row.unit), account.key
            ended = account.end_ms is not None and account.end_ms <= self.now_ms
            if ended or place not in theirs:
                continue
            one = theirs[place]
            ours = (account.settled, account.held, account.in_flight, account.capacity)
            assert ours == (one.settled, one.held, one.in_flight, one.capacity), where


def test_the_book_is_what_the_model_says(tmp_path: Path) -> None:
    """Goal: over windows that end, roll and carry over, with late bills; every budget blocks."""
    blocked: Counter[str] = Counter()
    for seed in range(SEEDS):
        both = Both(tmp_path / f"{seed}.sqlite3", seed)
        for step in range(STEPS):
            both.now_ms += both.random.choice(LATER_MS)
            what = both.random.choice(("reserve",) * 6 + ("settle",) * 3 + ("lose", "void"))
            if what == "reserve":
                name = both.reserve(f"{step:06d}")
                blocked.update([name] if name else [])
            else:
                both.end(what)
            commit(both.book, both.ledger, snapshot=step % 7 == 0)
            if step % 3 == 0:
                both.compare(f"seed {seed}, step {step}")
        both.ledger.close()
    assert set(blocked) == {spec.name for spec in BUDGETS}
