"""One simulated machine with a daemon, programs, faults, and what must be so at every step.

A seed decides everything.  A storm of calls and faults comes first; then all is mended, every
program finishes what it began, and nothing may be left open.
"""

from __future__ import annotations

import contextlib
import hashlib
import random
import shutil
import tempfile
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import apsw

from noburn_cli import journal_files, protocol
from noburn_cli.errors import NoburnError
from noburn_daemon.checkpoint import Checkpointer
from noburn_daemon.clock import Clock
from noburn_daemon.pricing import Pricing
from noburn_daemon.server import Daemon
from noburn_daemon.sqlite import SqliteLedger
from tests.simulation.checks import Checks
from tests.simulation.clients import Frame, Program, Truth
from tests.simulation.disk import Disk
from tests.simulation.engine import SECOND_US, SimulatedLoop, Timeline
from tests.simulation.faults import Faults
from tests.simulation.machine import Machine, SimulatedProcesses
from tests.simulation.network import Wire
from tests.simulation.oracle import Wrong
from tests.simulation.standins import (
    SimulatedPeer,
    SimulatedPrices,
    close_connections,
    memory_folder,
    standing_in,
)
from tests.simulation.whole import Whole
from tests.simulation.workload import Workload

START_MS = 1_795_476_000_000
_STEPS_MAX = 400_000


class Violation(Exception):
    """Something that must never be so was so."""


class World:
    """Everything of one seed."""

    def __init__(
        self, seed: int, *, trace: bool = False, calls: int = 60,
        mixture: Mapping[str, Any] | None = None, is_whole: bool = False,
    ) -> None:  # fmt: skip
        """mixture: weights of faults, and `durability`, instead of those that the seed draws.

        is_whole: with what stands around the ledger, and with what makes its file anew.
        """
        self.seed = seed
        self.lines: list[str] | None = [] if trace else None
        self._digest = hashlib.blake2b(digest_size=8)
        self.chance = random.Random(f"{seed} world")
        self.timeline = Timeline()
        self.machine = Machine(
            self.timeline, random.Random(f"{seed} machine"), start_ms=START_MS,
            has_exits=self.chance.random() < 0.7,
        )  # fmt: skip
        self.folder = Path(tempfile.mkdtemp(prefix="nb-sim-", dir=memory_folder())).resolve()
        self.disk = Disk(self.folder, random.Random(f"{seed} disk"))
        drawn = self.chance.choice(("process", "power"))
        self.durability = (mixture or {}).get("durability", drawn)
        self.workload = Workload(
            random.Random(f"{seed} workload"), is_patient=bool((mixture or {}).get("patient"))
        )
        self.prices = SimulatedPrices()
        self.daemon: Daemon | None = None
        self.ledger: SqliteLedger | None = None
        self.loop: SimulatedLoop | None = None
        self.wires: list[Wire] = []
        self.programs: list[Program] = []
        self.truths: dict[str, Truth] = {}
        #: Endings that lie in the home folder until a daemon takes them, and who takes which.
        self.journal = self.folder / "journal"
        self.taken: dict[int, tuple[Program, Frame]] = {}
        self.calls_left = calls
        #: What the daemon itself logged as its own failure.
        self.defects: list[str] = []
        self.is_storm = True
        self._is_starting = False
        self._is_going_on = False
        self._wrong: Exception | None = None
        self.checks = Checks(self)
        self.faults = Faults(self, random.Random(f"{seed} faults"), mixture or {})
        self.whole: Whole | None = None
        if is_whole:
            self.whole = Whole(self, random.Random(f"{seed} whole"), mixture or {})

    # Telling.

    def trace(self, text: str) -> None:
        line = f"{self.timeline.now_us / SECOND_US:10.6f} {text}"
        self._digest.update(line.encode())
        if self.lines is not None:
            self.lines.append(line)

    @property
    def digest(self) -> str:
        """What tells whether two runs were the same, to the byte of the journal."""
        whole = self._digest.copy()
        whole.update(self.checks.oracle.chain)
        return whole.hexdigest()

    def violation(self, what: str) -> None:
        self.trace(f"VIOLATION {what}")
        raise Violation(what)

    def note_wrong(self, error: Exception) -> None:
        """Something was found where an exception would be the daemon's own to handle."""
        self._wrong = self._wrong or error

    @property
    def promises_power(self) -> bool:
        """Whether every commit is to outlast the machine's power."""
        always = self.whole is None or self.whole.settings.was_always_power
        return self.durability == "power" and always

    def loop_s(self) -> float:
        return self.timeline.now_us / SECOND_US

    # The daemon's life.

    def start_daemon(self) -> None:
        """As noburn_daemon.__main__ does it; what fails there fails here."""
        self._is_starting = False
        if self.daemon is not None:
            return
        self.disk.is_dead = False
        ledger: SqliteLedger | None = None
        try:
            service = None if self.whole is None else self.whole.service()
            held = self.durability if self.whole is None else self.whole.settings.now.durability
            ledger = SqliteLedger(
                self.folder / "ledger.sqlite3", durability=held,
                now_ms=self.machine.wall_ms(), checkpointer=self._checkpointer(),
            )  # fmt: skip
            pricing = Pricing(self.prices.book, ledger.book_texts)
            clock = Clock(
                kept=ledger.meta(), last_ms=ledger.last_ms(), boot=self.machine.boot,
                wall=self.machine.wall_ms, since_boot=self.machine.since_boot_ms,
            )  # fmt: skip
            with contextlib.suppress(NoburnError):
                ledger.set_meta(clock.anchor)
            self.loop = self.machine.loop = SimulatedLoop(
                self.timeline, random.Random(self.chance.random()), failed=self._failed,
                after_turn=self._after_turn,
            )  # fmt: skip
            self.ledger = ledger
            self.daemon = Daemon(
                ledger=ledger, pricing=pricing, prices=self.prices, clock=clock,  # type: ignore[arg-type]
                idle_exit_s=600.0, loop=self.loop,
                processes=SimulatedProcesses(self.machine),  # type: ignore[arg-type]
                undelivered=self.journal, service=service,
            )  # fmt: skip
        except (NoburnError, OSError) as error:
            self.trace(f"the daemon cannot start: {str(error).replace(str(self.folder), '')}")
            self._bury(ledger)
            return
        if self.disk.is_dead:
            self._bury(ledger)
            return
        self.trace(f"the daemon starts at row {ledger.head[0]}")
        self.daemon.done.add_done_callback(lambda _: self._left())
        self.checks.started()

    def _checkpointer(self) -> type[Checkpointer]:
        world = self

        class Simulated(Checkpointer):
            """Its thread's moments are the simulation's."""

            def start(self) -> None:
                world.faults.checkpoint = None

            def wake(self) -> None:
                world.faults.checkpoint_is_due(self)

            def close(self) -> None:
                world.faults.checkpoint = None
                self.let_go()

        return Simulated

    def kill_daemon(self, how: str) -> None:
        """SIGKILL: what it wrote stays with the system, what it meant to do does not happen."""
        if self.loop is None:
            return
        self.trace(f"the daemon dies: {how}")
        self.disk.is_dead = True
        self.loop.die()
        # It may be in the middle of a statement: its connections are closed when that is over.
        self.timeline.after(0, self._buried)

    def _buried(self) -> None:
        self._bury(self.ledger)

    def _bury(self, ledger: SqliteLedger | None) -> None:
        self.checks.stopped()
        self.faults.checkpoint = None
        for wire in self.wires:
            wire.cut()
        self.wires.clear()
        self.disk.is_dead = True
        if self.loop is not None:
            self.loop.die()
        if self.daemon is not None and self.daemon._undelivered is not None:
            self.daemon._undelivered.close()  # the system lets its locks go
        self.daemon = self.ledger = self.loop = self.machine.loop = None
        if ledger is not None:
            with contextlib.suppress(apsw.Error):
                ledger.close()
        close_connections(self.folder)

    def _left(self) -> None:
        """It drained and left by itself: the file is closed as it should be."""
        self.trace("the daemon leaves")
        ledger, self.ledger = self.ledger, None
        self.checks.follow()
        self.checks.stopped()
        if self.loop is not None:
            self.loop.die()
        self.daemon = self.loop = self.machine.loop = None
        for wire in self.wires:
            wire.end()  # after what was written; also where nobody had taken the connection yet
        self.wires.clear()
        if ledger is not None:
            ledger.close()
        self.disk.is_dead = True

    def fail_power(self) -> None:
        """The machine goes off: every process, every unsynced byte."""
        self.trace("the power fails")
        self.kill_daemon("no power")
        if self.ledger is not None:
            self._buried()
        self.machine.reboot()
        self.taken.clear()
        for frame in self.take_journal():  # nothing there is synced
            if self.chance.random() < 0.5:
                self.keep(frame)
        self.disk.fail_power()
        self.checks.power_failed()

    def _failed(self, error: Exception) -> None:
        if isinstance(error, Violation | Wrong):
            raise error
        told = "".join(traceback.format_exception(error))
        self.violation(f"a callback of the daemon raised {error!r}\n{told}")

    def _after_turn(self) -> None:
        if self.defects:
            self.violation(f"the daemon distrusts itself:\n{self.defects[0]}")
        self.checks.after_turn()

    # Programs.

    def connect(self, program: Program, then: Callable[[Wire | None], None]) -> None:
        """A program connects; where nobody listens it has the daemon started."""
        if self.daemon is None or self.loop is None or self.loop.is_dead:
            if not self._is_starting:
                self._is_starting = True
                self.timeline.after(self.chance.randrange(1_000, 60_000), self.start_daemon)
            then(None)
            return
        wire = Wire(self.timeline, random.Random(self.chance.random()), owner=program.process.owner)
        self.wires = [w for w in self.wires if not w.is_cut]
        self.wires.append(wire)
        loop, daemon = self.loop, self.daemon
        self.timeline.after(
            self.chance.choice((1, 100, 5_000)),
            lambda: wire.cut() if loop.is_dead else wire.accept(loop, SimulatedPeer(daemon)),
        )
        then(wire)

    def start_program(self) -> Program:
        program = Program(self, self.machine.start(), random.Random(self.chance.random()))
        self.programs.append(program)
        self.trace(f"program {program.process.owner} starts")
        return program

    def leaves(self, truth: Truth) -> None:
        """A call leaves for the provider."""
        truth.sent = True
        self.checks.leaves(truth)

    def heard(self, frame: Frame, reply: Frame) -> None:
        self.checks.heard(frame, reply)

    def late(self, frame: Frame) -> None:
        self.checks.late(frame)

    def keep(self, frame: Frame) -> None:
        """An ending could not be delivered."""
        self.trace(f"kept in the journal: {frame['op']} {frame['call']}")
        journal_files.append(self.journal, protocol.encode(frame))

    def take_journal(self) -> list[Frame]:
        """All that lies there, unless the daemon has it."""
        found = []
        for path in journal_files.files(self.journal):
            with journal_files.take(path) as taken:
                if taken is not None:
                    found += [protocol.decode(line) for line in taken.lines]
                    taken.finish([])
        return found

    def put_back(self, frame: Frame) -> None:
        """A replayed ending was not answered: its file is still there."""
        if self.taken.pop(id(frame), None) is not None:
            journal_files.append(self.journal, protocol.encode(frame))

    def forget_dead_replayers(self) -> None:
        """A file whose replayer died is found by the next."""
        for _, frame in [pair for pair in self.taken.values() if not pair[0].is_alive]:
            self.put_back(frame)

    # One seed.

    def run(self) -> None:
        """Raises Violation."""
        try:
            with standing_in(self):
                self.start_daemon()
                self.faults.begin()
                if self.whole is not None:
                    self.whole.begin()
                self._run_until(lambda: self.calls_left <= 0 and not self._busy(), 400)
                self.trace("everything is mended")
                self.is_storm = False
                self.faults.mend()
                if self.whole is not None:
                    self.whole.mend()
                self._run_until(self._is_quiet, 120)
                self.checks.at_the_end()
        except Wrong as error:
            self.trace(f"VIOLATION {error}")
            raise Violation(str(error)) from error
        finally:
            if self.loop is not None:
                self.loop.die()
            shutil.rmtree(self.folder, ignore_errors=True)

    def go_on(self, steps: int) -> None:
        """Everybody else goes on while a thread of the daemon is at work."""
        if self._is_going_on or self._wrong is not None:
            return
        self._is_going_on = True
        try:
            for _ in range(steps):
                self.timeline.step()
        except (Violation, Wrong) as error:
            self.note_wrong(error)
        finally:
            self._is_going_on = False

    def _busy(self) -> bool:
        return any(program.is_alive and program.unfinished for program in self.programs)

    def _is_quiet(self) -> bool:
        self.forget_dead_replayers()
        kept = self.taken or journal_files.files(self.journal)
        return not self._busy() and not kept and self.checks.is_quiet()

    def _run_until(self, done: Callable[[], bool], seconds_max: int) -> None:
        until_us = self.timeline.now_us + seconds_max * SECOND_US
        for step in range(_STEPS_MAX):
            if step % 16 == 0 and done():
                return
            if self.timeline.now_us > until_us:
                break
            if not self.timeline.step():
                break
            if self._wrong is not None:
                raise self._wrong
        if not done():
            self.violation(f"not done after {seconds_max} s: {self.checks.what_is_open()}")
