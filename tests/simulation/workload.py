"""What simulated programs ask for: budgets, attributes, sizes; and what their provider bills."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from noburn_cli.core.pricebook import PriceBook

if TYPE_CHECKING:
    from tests.simulation.clients import Program, Truth

Frame = dict[str, Any]
MODEL = "sim-1"
CHEAPER = "sim-mini"
#: Nano-dollars per token of input and of output.
RATES = {MODEL: (100, 500), CHEAPER: (40, 200)}
CUSTOMERS = ("acme", "beta", "")
RUNS = ("", "", "r1", "r1/r2", "r3")

_PRICES = """
format = 1

[[model]]
name = "sim-1"
provider = "openai"
family = "reasoning"
tokenizer = "o200k_base"
context_window = 100000
output_max = 4000

[[model.rate]]
variant = "standard"
starts_on = 1970-01-01
input = 0.1
output = 0.5
url = "https://example.com/prices"
checked_on = 2026-11-01

[[model]]
name = "sim-mini"
provider = "openai"
family = "reasoning"
tokenizer = "o200k_base"
context_window = 100000
output_max = 4000

[[model.rate]]
variant = "standard"
starts_on = 1970-01-01
input = 0.04
output = 0.2
url = "https://example.com/prices"
checked_on = 2026-11-01
"""

#: Scope, window, unit, least and most of the limit, how often, and what else it says.
_BUDGETS: tuple[tuple[str, str, str, int, int, float, Frame], ...] = (
    ("global", "total", "dollars", 2_000_000, 20_000_000, 0.6, {}),
    ("customer=*", "hour", "dollars", 500_000, 3_000_000, 0.6, {}),
    ("customer=acme", "total", "requests", 5, 60, 0.6, {}),
    ("customer=*", "day", "tokens", 2_000, 30_000, 0.6, {}),
    ("run=*", "run", "dollars", 400_000, 4_000_000, 0.4, {}),
    ("run=*", "run", "dollars", 400_000, 4_000_000, 0.2, {"action": "kill"}),
    ("customer=beta", "hour", "dollars", 500_000, 4_000_000, 0.6, {"override": True}),
    ("customer=*", "3s", "requests", 2, 20, 0.25, {}),
    ("global", "90s", "dollars", 1_000_000, 9_000_000, 0.25, {}),
    ("customer=*", "24h", "tokens", 4_000, 30_000, 0.15, {}),
    ("global", "call", "dollars", 200_000, 2_000_000, 0.2, {}),
    ("customer=*", "day", "dollars", 900_000, 9_000_000, 0.25, {"zone": "Asia/Kolkata"}),
    ("global", "month", "requests", 20, 80, 0.2, {"anchor": 25}),
    ("customer=acme", "hour", "tokens", 2_000, 9_000, 0.3, {"carry": 3_000}),
    ("customer=beta", "total", "dollars", 100_000, 900_000, 0.3, {"action": "bill"}),
    ("customer=acme", "hour", "dollars", 100_000, 900_000, 0.3,
     {"action": "warn", "thresholds": [50, 100]}),
    ("customer=*", "total", "tokens", 2_000, 9_000, 0.25,
     {"action": "downgrade", "downgrade": {"*": CHEAPER}}),
)  # fmt: skip


def price_book() -> PriceBook:
    return PriceBook.from_texts([("simulation", _PRICES)])


class Workload:
    """Draws requests.  Amounts are so small that budgets are always in somebody's way."""

    def __init__(self, chance: random.Random, *, is_patient: bool = False) -> None:
        """is_patient: whether every call waits for money in flight."""
        self._chance = chance
        self._waits_ms = (5_000,) if is_patient else (0, 0, 300, 5_000)
        self._made = 0

    def budgets(self) -> list[Frame]:
        """The limits to begin with."""
        found = []
        for scope, per, unit, low, high, often, more in _BUDGETS:
            amount = self._chance.randrange(low, high)
            if self._chance.random() < often:
                found.append({**self.budget(scope, per, unit, amount), **more})
        return found

    @staticmethod
    def budget(scope: str, per: str, unit: str, amount: int) -> Frame:
        return {
            "op": "budget.set", "scope": scope, "per": per,
            "limit": {"unit": unit, "amount": amount},
        }  # fmt: skip

    def reserve(self, program: Program) -> Frame:
        chance = self._chance
        self._made += 1
        # Most ids sort by time; some programs make them otherwise.
        prefix = "0" if chance.random() < 0.9 else chance.choice("9za")
        attrs = {"customer": chance.choice(CUSTOMERS)}
        run = chance.choice(RUNS)
        if run:
            attrs["run"] = run
        size = chance.choice((10, 100, 400, 2_000))
        wanted = chance.choice((None, 50, 400, 1_500))
        return {
            "op": "reserve", "call": f"{prefix}{self._made:05d}-{chance.randrange(10)}",
            "api": "openai_chat", "model": MODEL, "attrs": attrs,
            "input": {"bytes": size, "expanded": size, "overhead": 0},
            "output": {"wanted": wanted, "floor": chance.choice((1, 40)), "choices": 1,
                       "clamp": chance.random() < 0.4},
            "wait_ms": chance.choice(self._waits_ms),
            "notional": chance.random() < 0.07,
        }  # fmt: skip

    def usage(self, truth: Truth) -> Frame:
        """What the provider bills: within the cap, and nearly always within the bound."""
        chance = self._chance
        assert truth.granted is not None
        size = truth.frame["input"]["bytes"]
        went_in = truth.granted["input_bound"] - chance.randrange(max(1, size // 4))
        if chance.random() < 0.02:
            went_in = truth.granted["input_bound"] + chance.randrange(1, 5)
        came_out = chance.randrange(truth.granted["granted"] + 1)
        return {"input": max(0, went_in), "output": came_out}
