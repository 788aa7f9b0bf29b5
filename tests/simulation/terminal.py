"""Somebody at a terminal: changes of the policy, runs held up, corrections of the books."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.simulation.world import World

Frame = dict[str, Any]


class Terminal:
    """Draws what is asked for, and asks as a program of its own."""

    def __init__(self, world: World, chance: random.Random) -> None:
        self._world = world
        self._chance = chance
        self._corrections = 0

    def policy(self) -> Frame:
        chance, workload = self._chance, self._world.workload
        kind = chance.choice(("set", "set", "rm", "topup", "apply", "look"))
        scope, per, unit, amount = chance.choice(
            (("global", "total", "dollars", 20_000_000),
             ("customer=*", "hour", "dollars", 3_000_000),
             ("customer=acme", "total", "requests", 60),
             ("customer=beta", "day", "tokens", 30_000))
        )  # fmt: skip
        if kind == "look":
            return chance.choice((
                {"op": "budget.list"}, {"op": "run.list"}, {"op": "status"},
                {"op": "remaining", "attrs": {"customer": "acme", "run": "r1/r2"}},
            ))  # fmt: skip
        if kind == "apply":
            both = [(scope, per, unit), ("customer=beta", "day", "tokens")]
            steps = [
                {"n": 0, **workload.budget(*which, chance.randrange(amount // 10, amount))}
                for which in dict.fromkeys(both)
            ]
            return {"op": "budget.apply", "steps": steps}
        if kind == "rm":
            return {"op": "budget.rm", "scope": scope, "per": per, "unit": unit}
        if kind == "topup":
            return {
                "op": "budget.topup", "scope": scope.replace("*", "acme"), "per": per,
                "unit": unit, "amount": chance.randrange(amount),
            }  # fmt: skip
        frame = workload.budget(scope, per, unit, chance.randrange(amount // 10, amount))
        if chance.random() < 0.3:
            frame["at_ms"] = self._world.checks.oracle.at_ms + chance.choice((10_000, 3_700_000))
        return frame

    def run(self) -> Frame:
        chance = self._chance
        run = chance.choice(("r1", "r1/r2", "r3"))
        op = chance.choice(("start", "start", "pause", "resume", "stop", "end", "limit"))
        frame: Frame = {"op": f"run.{op}", "run": run}
        limit = {"unit": "dollars", "amount": chance.randrange(300_000, 3_000_000)}
        if op == "start" and chance.random() < 0.5:
            frame["limit"] = limit
        elif op == "limit":
            frame.update(limit=limit, add=chance.random() < 0.5)
        return frame

    def correction(self) -> Frame:
        """The provider's own report: an amount for a moment, a call's bill; or taken back."""
        world, chance = self._world, self._chance
        self._corrections += 1
        name = f"correction-{self._corrections}"
        if self._corrections > 1 and chance.random() < 0.2:
            undone = f"amount-{chance.randrange(1, self._corrections)}"
            return {"op": "ledger.undo", "id": undone}
        entry: Frame = {
            "id": f"amount-{self._corrections}", "why": "drift", "model": "sim-1",
            "attrs": {"customer": chance.choice(("acme", "beta"))},
            "for_ms": world.checks.oracle.at_ms, "nano": chance.randrange(-100_000, 400_000),
            "usage": {"input": chance.randrange(-50, 200)}, "requests": chance.randrange(2),
        }  # fmt: skip
        unbilled = [
            truth for truth in world.truths.values()
            if truth.billed and not truth.excused
            and (called := world.checks.oracle.calls.get(truth.call)) is not None
            and called.state in ("uncertain", "orphaned")
        ]  # fmt: skip
        if unbilled and chance.random() < 0.5:
            truth = chance.choice(unbilled)
            entry = {"id": f"bill-{self._corrections}", "why": "billed", "call": truth.call,
                     "ends": "settle", "usage": truth.billed}  # fmt: skip
        return {"op": "ledger.correct", "batch": name, "entries": [entry]}

    def ask(self, frame: Frame) -> None:
        """Somebody at a terminal, as a program of its own."""
        program = self._world.start_program()
        program.unfinished += 1

        def done(_reply: object) -> None:
            program.unfinished -= 1
            if not frame["op"].startswith("run."):
                self._world.machine.kill(program.process)

        program.ask(frame, done)
