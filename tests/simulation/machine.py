"""The simulated machine: its clocks, and the processes that live and die on it."""

from __future__ import annotations

import random
from collections.abc import Callable

from tests.simulation.engine import SimulatedLoop, Timeline
from tests.simulation.network import Wire

#: Few numbers, so that a dead process's number is soon another's.
_PIDS = range(101, 400)


class Process:
    """One process.  die: called when it is killed."""

    def __init__(self, boot: str, pid: int, start: int) -> None:
        self.pid = pid
        self.owner = f"{boot[:8]}:{pid}:{start}"
        self.is_alive = True
        self.die: Callable[[], None] = lambda: None


class Machine:
    """Clocks, and who lives.

    has_exits: whether the system tells of a process's end by a descriptor, as Linux does.
    """

    def __init__(
        self, timeline: Timeline, chance: random.Random, *, start_ms: int, has_exits: bool
    ) -> None:
        self._timeline = timeline
        self._chance = chance
        self._has_exits = has_exits
        self._wall_offset_us = start_ms * 1000
        self._booted_us = 0
        self._boots = 0
        self._starts = 0
        self._descriptors = 1000
        self._exits: dict[int, Process] = {}
        self.living: dict[int, Process] = {}
        self.loop: SimulatedLoop | None = None
        self.boot = ""
        self.reboot()

    # Clocks.

    def wall_ms(self) -> int:
        return (self._timeline.now_us + self._wall_offset_us) // 1000

    def since_boot_ms(self) -> int:
        return (self._timeline.now_us - self._booted_us) // 1000

    def set_wall(self, by_ms: int) -> None:
        """Somebody sets the clock."""
        self._wall_offset_us += by_ms * 1000

    def sleep(self, by_ms: int) -> None:
        """The machine sleeps: the boot clock and the wall clock count that, timers do not."""
        self._booted_us -= by_ms * 1000
        self._wall_offset_us += by_ms * 1000

    def reboot(self) -> None:
        """Everything is dead, and the boot clock begins anew."""
        self._boots += 1
        self.boot = f"boot{self._boots:04d}-simulated"
        self._booted_us = self._timeline.now_us - self._chance.randrange(5_000_000)
        for process in list(self.living.values()):
            self.kill(process)
        self._exits.clear()

    # Processes.

    def start(self) -> Process:
        self._starts += 1
        free = [pid for pid in _PIDS if pid not in self.living]
        process = Process(self.boot, self._chance.choice(free), self._starts)
        self.living[process.pid] = process
        return process

    def kill(self, process: Process) -> None:
        if not process.is_alive:
            return
        process.is_alive = False
        del self.living[process.pid]
        process.die()
        for descriptor, watched in list(self._exits.items()):
            if watched is process:
                self._timeline.after(
                    self._chance.choice((1, 100, 20_000)), lambda d=descriptor: self._tell(d)
                )

    def _tell(self, descriptor: int) -> None:
        if self.loop is not None and descriptor in self._exits:
            self.loop.become_readable(descriptor)


class SimulatedProcesses:
    """What one daemon sees of the machine: noburn_daemon.owners.Processes."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def owner_of(self, connection: Wire) -> str | None:
        """As SO_PEERCRED and /proc tell it: of a process that has died meanwhile, no start time."""
        if self.is_alive(connection.owner):
            return connection.owner
        return connection.owner.rpartition(":")[0] + ":"

    def is_alive(self, owner: str) -> bool:
        return any(process.owner == owner for process in self._machine.living.values())

    def open_exit(self, owner: str) -> int | None:
        machine = self._machine
        # By its number, as pidfd_open does: it may be another process's by now.
        process = machine.living.get(int(owner.split(":")[1]))
        if process is None or not machine._has_exits:
            return None
        machine._descriptors += 1
        machine._exits[machine._descriptors] = process
        return machine._descriptors

    def close_exit(self, descriptor: int) -> None:
        self._machine._exits.pop(descriptor, None)
