"""The rest of a daemon's life: months pass, its file is made anew, its settings change.

A history with it is another one than the same seed's without: what a seed found before is looked
for in that history.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from unittest import mock

from noburn_daemon import history, rewriting
from noburn_daemon.rewriting import NewFile
from noburn_daemon.service import Service
from noburn_daemon.sqlite import SqliteLedger
from noburn_daemon.supervised import Manager
from tests.simulation.around import CHANNELS, Receivers, SimulatedSettings
from tests.simulation.engine import SECOND_US
from tests.simulation.names import RENAME, SYNC_FOLDER, UNLINK, names_on
from tests.simulation.oracle import FORGOTTEN, Wrong

if TYPE_CHECKING:
    from tests.simulation.clients import Program
    from tests.simulation.world import World

Frame = dict[str, Any]
_DAY_MS = 24 * 3_600_000
#: What happens, and how often beside the others: drawn for each seed.
_KINDS = {
    "months": (0, 1, 2), "compact": (0, 1, 2), "forget": (0, 1, 2), "settings": (0, 1, 2),
    "again": (1, 2), "deliver": (0, 1),
}  # fmt: skip


class Whole:
    """Draws what happens around the ledger, and has it happen."""

    def __init__(self, world: World, chance: random.Random, mixture: Any) -> None:
        self._world = world
        self._chance = chance
        self.settings = SimulatedSettings(world.durability, chance)
        self.receivers = Receivers(world, chance)
        self._service: Service | None = None
        self._asker: Program | None = None
        self._is_mended = False
        #: The operation at which the process is to die, or "".
        self.dies_at = ""
        #: How often the power fails with the process.
        self._darkness = mixture.get("darkness", 0.5)
        self._deaths = mixture.get("deaths", (UNLINK, RENAME, SYNC_FOLDER))
        self._weights = {kind: chance.choice(often) for kind, often in _KINDS.items()}
        self._weights.update({k: v for k, v in mixture.items() if k in _KINDS})

    def service(self) -> Service:
        """What a new daemon process has around its ledger.  Raises UsageError."""
        self._service = Service(self.settings, self.settings.read(), Manager({}))  # type: ignore[arg-type]
        return self._service

    @property
    def is_moving(self) -> bool:
        """Whether a reload has not been answered: what it does ends in a later turn."""
        return self._service is not None and bool(self._service._tasks)

    def budgets(self) -> list[Frame]:
        """Limits whose thresholds are told."""
        limits = []
        for scope, per, amount, action in (
            ("global", "total", 9_000_000, "block"), ("customer=*", "month", 900_000, "warn"),
            ("customer=beta", "day", 600_000, "bill"),
        ):  # fmt: skip
            frame = self._world.workload.budget(scope, per, "dollars", amount)
            notify = [name for name in CHANNELS if self._chance.random() < 0.7]
            limits.append({**frame, "action": action, "thresholds": [30, 80], "notify": notify})
        return limits

    def begin(self) -> None:
        for frame in self.budgets():
            self._world.faults.terminal.ask(frame)
        self._next()

    def _next(self) -> None:
        if self._is_mended or self._world.calls_left <= 0:
            return  # The storm is to come to its end.
        kinds = [kind for kind, weight in self._weights.items() if weight]
        self._happen(self._chance.choices(kinds, [self._weights[kind] for kind in kinds])[0])
        self._world.timeline.after(1 + self._chance.randrange(1_200_000), self._next)

    def _happen(self, kind: str) -> None:
        world, chance = self._world, self._chance
        world.trace(f"around: {kind}")
        if kind == "months":
            world.machine.sleep(chance.randrange(8, 45) * _DAY_MS)
            world.timeline.after(chance.randrange(SECOND_US), lambda: self._happen("compact"))
        elif kind == "compact" and world.daemon is not None and self._weights[kind]:
            now_ms = world.daemon.clock.now_ms() - chance.choice((0, 0, 30)) * _DAY_MS
            self._rewrite({
                "op": "ledger.compact", "before": _month(now_ms), "dry_run": chance.random() < 0.1,
            })  # fmt: skip
        elif kind == "forget":
            self._rewrite({
                "op": "ledger.forget", "key": "customer", "value": FORGOTTEN,
                "dry_run": chance.random() < 0.1,
            })  # fmt: skip
        elif kind == "settings":
            self.settings.change()
            world.timeline.after(2 * SECOND_US, self.settings.repair)
            self._reload()
        elif kind == "again":
            self._ask_again()
        elif kind == "deliver":
            frame = {"op": "notify.test", "channel": chance.choice(CHANNELS)}
            world.faults.terminal.ask(chance.choice((frame, {"op": "notify.retry"})))

    def _reload(self) -> None:
        world = self._world
        if self._chance.random() < 0.5:
            world.faults.terminal.ask({"op": "reload"})
        elif world.loop is not None and self._service is not None:
            world.loop.arrive("signal", self._service.hang_up)

    def _rewrite(self, frame: Frame) -> None:
        """Ask for a new file, and for what came of it, as the commands do."""
        world, chance = self._world, self._chance
        if self._asker is not None and self._asker.is_alive:
            return
        if chance.random() < 0.4:
            self.dies_at = chance.choice(self._deaths)
        program = self._asker = world.start_program()
        program.unfinished += 1

        def heard(reply: Any) -> None:
            if isinstance(reply, dict) and reply.get("state") == "working":
                world.timeline.after(chance.randrange(20_000, 500_000), again)
                return
            program.unfinished -= 1
            world.machine.kill(program.process)
            for _ in range(3):
                world.timeline.after(chance.randrange(3 * SECOND_US), self._ask_again)

        def again() -> None:
            program.ask(frame, heard)

        again()

    def _ask_again(self) -> None:
        """A program asks for a call that has ended, perhaps months ago: it never goes twice."""
        world = self._world
        oracle = world.checks.oracle
        over = [
            truth for truth in world.truths.values()
            if not truth.excused and truth.final is not None
            and (truth.call in oracle.closed
                 or (truth.call in oracle.calls and oracle.calls[truth.call].state != "held"))
        ]  # fmt: skip
        living = [program for program in world.programs if program.is_alive]
        if over and living:
            # The oldest are the ones whose rows may be gone.
            self._chance.choice(living).ask_again(self._chance.choice(over[:12]))

    def is_to_die(self, kind: str) -> bool:
        """Whether the process dies at this operation of the disk."""
        if self._is_mended or kind != self.dies_at:
            return False
        self.dies_at = ""
        if self._chance.random() < self._darkness:
            self._world.timeline.after(1, self._world.fail_power)
        return True

    def mend(self) -> None:
        self._is_mended = True
        self.settings.mend()
        self.receivers.mend()
        self._insist([{"op": "reload"}, {"op": "notify.retry"}])

    def _insist(self, frames: list[Frame]) -> None:
        """Ask for one after the other, each until it is done."""
        world = self._world
        program = world.start_program()
        program.unfinished += 1

        def heard(reply: Any) -> None:
            if isinstance(reply, dict) and reply.get("ok"):
                del frames[0]
            if frames:
                world.timeline.after(SECOND_US, lambda: program.ask(frames[0], heard))
            else:
                program.unfinished -= 1

        program.ask(frames[0], heard)

    @contextlib.contextmanager
    def standing_in(self) -> Iterator[None]:
        """The new file is made in small steps, between which everybody else goes on."""
        world = self._world
        copy_some, seal, go_on_with = NewFile.copy_some, NewFile.seal, SqliteLedger.go_on_with

        def copy_some_slowly(new: NewFile) -> tuple[int, int]:
            world.go_on(self._chance.randrange(40))
            return copy_some(new)

        def seal_slowly(new: NewFile) -> Any:
            world.go_on(self._chance.randrange(40))
            return seal(new)

        def replace(ledger: SqliteLedger, new: Any) -> None:
            world.checks.follow()
            go_on_with(ledger, new)
            self._check_forgotten(ledger)

        patch = mock.patch.object
        with (
            names_on(world.disk),
            self.receivers.standing_in(),
            patch(rewriting, "CHUNK_ROWS", 40),
            patch(history, "LAST_ROWS", 15),
            patch(NewFile, "copy_some", copy_some_slowly),
            patch(NewFile, "seal", seal_slowly),
            patch(SqliteLedger, "go_on_with", replace),
        ):
            yield

    def _check_forgotten(self, ledger: SqliteLedger) -> None:
        """A file that has just forgotten a name has not one byte of it."""
        last = ledger._connection.execute("SELECT kind FROM journal ORDER BY seq DESC LIMIT 1")
        if next(last)[0] == "forget" and FORGOTTEN.encode() in ledger.path.read_bytes():
            raise Wrong(f"the file still says {FORGOTTEN}")


def _month(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m")
