"""What goes wrong, and when: drawn from the seed, told in the trace."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import apsw

from noburn_daemon.checkpoint import Checkpointer
from tests.simulation.disk import Dropped, Partly
from tests.simulation.engine import SECOND_US
from tests.simulation.terminal import Terminal

if TYPE_CHECKING:
    from tests.simulation.world import World


class Faults:
    """Draws faults while the storm lasts.

    Each seed has its own mixture: some have crashes alone, some a sick disk, some everything.
    """

    def __init__(self, world: World, chance: random.Random, mixture: Mapping[str, Any]) -> None:
        self._world = world
        self._chance = chance
        self.checkpoint: Checkpointer | None = None
        self._dies_in: int | None = None
        self._sick_until_us = 0
        self._sickness = ""
        self._stalls_from_us = 0
        self._unlocks_at_us: int | None = None
        self._locker: apsw.Connection | None = None
        self._is_interleaving = False
        self._is_mended = False
        self.terminal = Terminal(world, chance)
        self.is_quiet = False
        self._weights = {
            "kill": chance.choice((0, 1, 3)), "kill in a write": chance.choice((0, 1, 3)),
            "leave": chance.choice((0, 0, 1)), "power": chance.choice((0, 0, 1, 2)),
            "program dies": chance.choice((0, 1, 3)), "cut": chance.choice((0, 1, 3)),
            "sick": chance.choice((0, 0, 1, 3)), "locked": chance.choice((0, 0, 1)),
            "wall": chance.choice((0, 1)), "sleep": chance.choice((0, 1, 3)),
            "stall": chance.choice((0, 1)), "policy": chance.choice((0, 1, 3)),
            "run": chance.choice((0, 1, 2)), "correction": chance.choice((0, 0, 2)),
        }  # fmt: skip
        self._every_us = chance.choice((100_000, 300_000, 1_000_000))
        self._error_rate = chance.choice((0, 0, 0, 0.002, 0.01))
        self._sync_us = chance.choice((0, 100, 5_000))
        self._weights.update({k: v for k, v in mixture.items() if k in self._weights})
        self._error_rate = mixture.get("errors", self._error_rate)
        self._every_us = mixture.get("every_us", self._every_us)

    def begin(self) -> None:
        world = self._world
        world.disk.op = self._op
        for frame in world.workload.budgets():
            self.terminal.ask(frame)
        for _ in range(self._chance.randrange(2, 5)):
            world.start_program()
        self._call()
        self._next()

    def mend(self) -> None:
        """No more faults: what was done stays done."""
        self._is_mended = True
        self._dies_in = None
        self._sick_until_us = 0
        self._unlock()
        self.terminal.ask({"op": "status"})
        for run in ("r1", "r1/r2", "r3"):
            self.terminal.ask({"op": "run.resume", "run": run})

    # What happens by itself.

    def _call(self) -> None:
        """Programs make calls, and new ones start where all are dead."""
        world, chance = self._world, self._chance
        if world.calls_left <= 0:
            return
        world.forget_dead_replayers()
        living = [program for program in world.programs if program.is_alive]
        if not living or (len(living) < 3 and chance.random() < 0.3):
            living.append(world.start_program())
        for _ in range(chance.choice((1, 1, 1, 3, 8))):
            world.calls_left -= 1
            chance.choice(living).start_call()
        world.timeline.after(chance.choice((100, 20_000, 60_000, 300_000)), self._call)

    def _next(self) -> None:
        if self._is_mended:
            return
        kinds = [kind for kind, weight in self._weights.items() if weight]
        if kinds:
            weights = [self._weights[kind] for kind in kinds]
            self._happen(self._chance.choices(kinds, weights)[0])
        self._world.timeline.after(1 + self._chance.randrange(2 * self._every_us), self._next)

    def _happen(self, kind: str) -> None:
        world, chance = self._world, self._chance
        world.trace(f"fault: {kind}")
        if kind == "kill":
            world.kill_daemon("killed")
        elif kind == "kill in a write":
            self._dies_in = chance.randrange(1, 30)
        elif kind == "leave" and world.daemon is not None and world.loop is not None:
            world.loop.arrive("signal", world.daemon.drain)
        elif kind == "power":
            world.fail_power()
        elif kind == "program dies":
            living = [program for program in world.programs if program.is_alive]
            if living:
                world.machine.kill(chance.choice(living).process)
        elif kind == "cut" and world.wires:
            chance.choice(world.wires).cut()
        elif kind == "sick":
            self._sickness = chance.choice(("full", "io", "sync"))
            self._sick_until_us = world.timeline.now_us + chance.randrange(SECOND_US)
        elif kind == "locked":
            self._lock()
        elif kind == "wall":
            world.machine.set_wall(chance.choice((-3_600_000, -5_000, 5_000, 40 * 86_400_000)))
        elif kind == "sleep":
            world.machine.sleep(chance.choice((10_000, 3_000_000, 4_000_000)))
        elif kind == "stall":
            self._stall()
        elif kind == "policy":
            self.terminal.ask(self.terminal.policy())
        elif kind == "run":
            self.terminal.ask(self.terminal.run())
        elif kind == "correction":
            self.terminal.ask(self.terminal.correction())

    def _stall(self) -> None:
        """The daemon is stopped for a while, but not again and again: that were a hung one."""
        now_us = self._world.timeline.now_us
        if self._world.loop is not None and now_us >= self._stalls_from_us:
            until_us = now_us + self._chance.randrange(3 * SECOND_US)
            self._world.loop.stalled_until_us = until_us
            self._stalls_from_us = until_us + 8 * SECOND_US

    # The disk.

    def _op(self, kind: str, name: str) -> None:
        """Between two operations of SQLite.  Raises what SQLite is to get."""
        world, chance = self._world, self._chance
        if self.is_quiet:
            return
        if kind == "sync" and self._sync_us:
            world.timeline.now_us += chance.randrange(self._sync_us)
        if self._is_mended or world.loop is None:
            return
        if kind != "read" and not self._is_interleaving:
            self._interleave()
            if self._dies_in is not None:
                self._dies_in -= 1
                if self._dies_in <= 0:
                    self._dies_in = None
                    world.kill_daemon(f"in a {kind} of {name}")
                    if kind == "write":
                        raise Partly(chance.random(), apsw.IOError("the process is dead"))
                    return
            if world.whole is not None and world.whole.is_to_die(kind):
                world.kill_daemon(f"before it could {kind} of {name}")
                return
        self._maybe_fail(kind)

    def _maybe_fail(self, kind: str) -> None:
        world, chance = self._world, self._chance
        sick = self._sickness if world.timeline.now_us < self._sick_until_us else ""
        if kind == "write" and sick == "full":
            raise Partly(chance.random(), apsw.FullError("no space left on device"))
        if kind == "sync" and (sick == "sync" or chance.random() < self._error_rate):
            # Where syncs are not what makes a commit durable, a dropped one breaks SQLite's order.
            if world.promises_power and chance.random() < 0.5:
                raise Dropped(apsw.IOError("sync failed, and what it had is gone"))
            raise apsw.IOError("sync failed")
        if sick == "io" or chance.random() < self._error_rate / 5:
            raise apsw.IOError(f"{kind} failed")

    def checkpoint_is_due(self, checkpointer: Checkpointer) -> None:
        self.checkpoint = checkpointer
        self._world.timeline.after(
            self._chance.choice((10, 10_000, 200_000)), lambda: self._checkpoint(checkpointer)
        )

    def _interleave(self) -> None:
        """The checkpoint's thread may run at any moment, also within a commit."""
        if self.checkpoint is not None and self._chance.random() < 0.2:
            self._checkpoint(self.checkpoint)

    def _checkpoint(self, checkpointer: Checkpointer) -> None:
        if checkpointer is not self.checkpoint or self._world.disk.is_dead:
            return
        self.checkpoint = None
        self._is_interleaving = True
        try:
            checkpointer.work()
        finally:
            self._is_interleaving = False

    def _lock(self) -> None:
        """Another program writes to the ledger, and takes its time."""
        world = self._world
        if self._locker is not None or world.ledger is None or world.disk.is_dead:
            return
        self.is_quiet = True
        try:
            locker = apsw.Connection(str(world.ledger.path))
            locker.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
            locker.execute("BEGIN IMMEDIATE")
        except apsw.Error:
            return
        finally:
            self.is_quiet = False
        self._locker = locker
        delay_us = self._chance.choice((10_000, 500_000, 3_000_000))
        self._unlocks_at_us = world.timeline.now_us + delay_us
        world.timeline.after(delay_us, self._unlock_when_due)

    def _unlock_when_due(self) -> None:
        if self._unlocks_at_us is not None and self._world.timeline.now_us >= self._unlocks_at_us:
            self._unlock()

    def _unlock(self) -> None:
        locker, self._locker, self._unlocks_at_us = self._locker, None, None
        if locker is not None:
            locker.close()

    def slept(self, microseconds: int) -> None:
        """SQLite waits for a lock."""
        self._world.timeline.now_us += microseconds
        self._unlock_when_due()
