"""Simulated programs that make calls: the client's rules, the guard's order, and a provider.

What decides (when to ask again, what is repeated, what goes into the journal) is the client's own
code, noburn_cli.client.retry, .requests and .journal's words; sockets, threads and files are not.
A program keeps to the one rule that matters: no call leaves without a grant that was heard.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from noburn_cli import protocol
from noburn_cli.client import requests, retry
from noburn_cli.errors import DaemonUnavailable
from tests.simulation.engine import SECOND_US
from tests.simulation.machine import Process
from tests.simulation.network import Wire

if TYPE_CHECKING:
    from tests.simulation.world import World

Frame = dict[str, Any]
_LATER = (protocol.UNKNOWN, protocol.LEDGER, protocol.DRAINING)
#: Told the reply, or the error that the client would raise.
Heard = Callable[[Frame | DaemonUnavailable], None]


@dataclass
class Truth:
    """What really happened to one call, whatever the daemon believes.

    heard: every answer that reached its program, by op.  sent: whether it left for the provider;
    billed: the usage that the provider bills, None while it has not.  final: the ending that the
    program wants, if it lived to decide.
    """

    call: str
    frame: Frame
    heard: list[tuple[str, Frame]] = field(default_factory=list)
    granted: Frame | None = None
    sent: bool = False
    billed: Frame | None = None
    final: Frame | None = None
    #: Whether it was asked for once more after its end had been heard.
    asked_again: bool = False
    #: Known to be lost with the machine's power, where only `process` durability was promised.
    excused: bool = False


class Link:
    """One greeted connection of a program: numbered frames and who waits for which."""

    def __init__(self, program: Program, wire: Wire, opened: Callable[[], None]) -> None:
        self.program = program
        self.wire = wire
        self.is_open = True
        self._opened = opened
        self._decoder = protocol.FrameDecoder()
        self._n = 0
        self._waiting: dict[int, tuple[Frame, Callable[[object], None]]] = {}
        #: When a reply is late; the news that a run is paused puts it off.
        self._late_at_us: dict[int, int] = {}
        wire.on_bytes = self._receive
        wire.on_end = lambda: self.lose("the daemon closed the connection")
        hello = {"op": protocol.HELLO, "v": protocol.VERSION, "client": "simulated"}
        self.ask(hello, self._greeted)

    def ask(self, frame: Frame, heard: Callable[[object], None]) -> None:
        """Send a frame; `heard` gets the reply, Lost or Late."""
        self._n += 1
        n = self._n
        self._waiting[n] = (frame, heard)
        self.wire.send(protocol.encode({"n": n, **frame}))
        self._expect(n)

    def _expect(self, n: int) -> None:
        timeline = self.program.world.timeline
        within_us = round(retry.reply_limit_s(self._waiting[n][0]) * SECOND_US)
        self._late_at_us[n] = timeline.now_us + within_us
        timeline.after(within_us, lambda: self._late(n))

    def lose(self, why: str) -> None:
        if not self.is_open:
            return
        self.is_open = False
        self.wire.close()
        waiting, self._waiting = self._waiting, {}
        for _, heard in waiting.values():
            if self.program.is_alive:
                heard(retry.Lost(why))

    def _late(self, n: int) -> None:
        if self._late_at_us[n] > self.program.world.timeline.now_us:
            return
        found = self._waiting.pop(n, None)
        if found is None or not self.program.is_alive:
            return
        self.program.world.late(found[0])
        found[1](retry.Late("no reply in time"))
        self.lose("a reply is late")

    def _receive(self, data: bytes) -> None:
        if not self.is_open or not self.program.is_alive:
            return
        for line in self._decoder.receive(data):
            if not self.is_open:
                return
            reply = protocol.decode(line)
            if reply.get("event"):
                if reply.get("n") in self._waiting:
                    self._expect(reply["n"])
                continue
            found = self._waiting.pop(reply.get("n", 0), None)
            if found is None:
                self.program.world.violation(f"an answer that nobody asked for: {reply}")
                continue
            frame, heard = found
            self.program.world.heard(frame, reply)
            heard(reply)

    def _greeted(self, reply: object) -> None:
        if isinstance(reply, dict):
            try:
                retry.check_hello(reply)
            except retry.Lost:
                self.lose("the daemon is about to leave")
                return
            self.program.replay(self)
        self._opened()


class Program:
    """One process that makes calls, several at a time over one connection."""

    def __init__(self, world: World, process: Process, chance: random.Random) -> None:
        self.world = world
        self.process = process
        self.chance = chance
        self.link: Link | None = None
        self._opening: list[Callable[[], None]] = []
        self.unfinished = 0
        process.die = self._died

    @property
    def is_alive(self) -> bool:
        return self.process.is_alive

    def _died(self) -> None:
        self.world.trace(f"program {self.process.owner} dies")
        if self.link is not None and self.link.is_open:
            self.link.is_open = False
            self.link.wire.close()

    # Asking.

    def ask(self, frame: Frame, heard: Heard) -> None:
        """Send until answered, as noburn_cli.client does."""
        self._attempt(frame, heard, retry.Patience(frame, now=self.world.loop_s()))

    def _attempt(self, frame: Frame, heard: Heard, patience: retry.Patience) -> None:
        if not self.is_alive:
            return
        if self.link is None or not self.link.is_open:
            self._connect(frame, heard, patience)
            return
        patience.sent = True
        if frame["op"] == protocol.RESERVE:
            truth = self.world.truths[frame["call"]]
            truth.asked_again |= any(op != protocol.RESERVE for op, _ in truth.heard)

        def answered(reply: object) -> None:
            if isinstance(reply, retry.Late):
                heard(retry.unavailable(frame, reply, sent=True))
            elif isinstance(reply, retry.Lost):
                self._pause(frame, heard, patience, str(reply))
            elif isinstance(reply, dict):
                if not retry.is_to_repeat(frame, reply):
                    heard(reply)
                    return
                if reply["error"] != protocol.UNKNOWN and self.link is not None:
                    self.link.lose("leaving, or sick")
                self._pause(frame, heard, patience, str(reply["error"]))

        self.link.ask(frame, answered)

    def _pause(self, frame: Frame, heard: Heard, patience: retry.Patience, reason: str) -> None:
        try:
            pause_s = patience.pause_s(reason, now=self.world.loop_s())
        except DaemonUnavailable as error:
            heard(error)
            return
        self.world.timeline.after(
            round(pause_s * SECOND_US), lambda: self._attempt(frame, heard, patience)
        )

    def _connect(self, frame: Frame, heard: Heard, patience: retry.Patience) -> None:
        self._opening.append(lambda: self._attempt(frame, heard, patience))
        if len(self._opening) > 1:
            return
        self.world.connect(self, self._connected)

    def _connected(self, wire: Wire | None) -> None:
        """wire: None when nobody listens; the daemon is being started meanwhile."""
        if not self.is_alive:
            return
        if wire is None:
            self.world.timeline.after(
                self.chance.randrange(10_000, 100_000),
                lambda: self.world.connect(self, self._connected),
            )
            return
        self.link = Link(self, wire, self._opened)

    def _opened(self) -> None:
        waiting, self._opening = self._opening, []
        for again in waiting:
            again()

    def replay(self, link: Link) -> None:
        """Send the endings that earlier programs could not deliver."""
        taken = self.world.take_journal()

        def sent(frame: Frame) -> Callable[[object], None]:
            def answered(reply: object) -> None:
                ended = isinstance(reply, dict) and (
                    reply.get("ok") or reply.get("error") in protocol.NEVER_BOOKED
                )
                if ended:
                    self.world.taken.pop(id(frame), None)
                elif isinstance(reply, dict) and reply.get("error") not in _LATER:
                    self.world.violation(f"an ending that no daemon will ever take: {reply}")
                else:
                    self.world.put_back(frame)

            return answered

        for frame in taken:
            self.world.taken[id(frame)] = (self, frame)
            link.ask(frame, sent(frame))

    # One call.

    def start_call(self) -> None:
        """Reserve, send, and tell how it ended."""
        frame = self.world.workload.reserve(self)
        truth = self.world.truths[frame["call"]] = Truth(frame["call"], frame)
        self.unfinished += 1
        self._reserve(truth, frame)
        if frame["wait_ms"] and self.chance.random() < 0.1:
            give_up_us = self.chance.randrange(1_000_000)
            self.world.timeline.after(give_up_us, lambda: self._give_up(truth))

    def ask_again(self, truth: Truth) -> None:
        """Ask for a call that has ended: whatever the answer, it does not go."""
        self.unfinished += 1

        def answered(reply: Frame | DaemonUnavailable) -> None:
            self.unfinished -= 1
            if isinstance(reply, dict) and reply.get("ok") and not truth.excused:
                self.world.violation(f"call {truth.call} has ended, and is granted again: {reply}")

        self.ask(truth.frame, answered)

    def _reserve(self, truth: Truth, frame: Frame) -> None:
        patience = retry.Patience(frame, now=self.world.loop_s())

        def answered(reply: Frame | DaemonUnavailable) -> None:
            if truth.final is not None:
                return  # It was given up.
            if isinstance(reply, DaemonUnavailable) or patience.may_be_held(reply):
                self._end(truth, requests.given_up_frame(truth.call))
            else:
                self._reserved(truth, reply)

        self._attempt(frame, answered, patience)

    def _give_up(self, truth: Truth) -> None:
        """The caller was cancelled while it waited; what is granted later does not leave."""
        if self.is_alive and truth.granted is None and truth.final is None:
            self._end(truth, requests.given_up_frame(truth.call))

    def _reserved(self, truth: Truth, reply: Frame) -> None:
        if reply.get("ok"):
            truth.granted = reply
            self._go(truth)
        elif reply["error"] == protocol.DOWNGRADE:
            step = {"model": reply["model"], "downgraded": reply["downgraded"]}
            if self.chance.random() < 0.1:
                step = {"fixed_model": "this program wants that model"}
            truth.frame = {**truth.frame, **step}
            self._reserve(truth, truth.frame)
        elif reply["error"] == protocol.REFINE:
            frame = {**truth.frame, "refined": True}
            if reply["by"] == "text" and self.chance.random() < 0.7:
                frame["texts"] = {"texts": ["word " * (truth.frame["input"]["bytes"] // 8)]}
                del frame["refined"]
            self._reserve(truth, frame)
        else:
            truth.final = {}
            self.unfinished -= 1

    def _go(self, truth: Truth) -> None:
        fate = self.chance.random()
        if fate < 0.1:
            # Connection refused: no byte left.
            self._end(truth, self._ending(truth, protocol.VOID))
            return
        self.world.leaves(truth)
        delay_us = self.chance.choice((5_000, 50_000, 300_000, 1_500_000))
        self.world.timeline.after(delay_us, lambda: self._billed(truth))

    def _billed(self, truth: Truth) -> None:
        """The provider has answered, or the stream broke; it bills in any case."""
        truth.billed = self.world.workload.usage(truth)
        if not self.is_alive:
            return
        if self.chance.random() < 0.15:
            self._end(truth, self._ending(truth, protocol.LOSE))
            return
        self._end(truth, self._settling(truth))

    def _settling(self, truth: Truth) -> Frame:
        assert truth.billed is not None
        return requests.settle_frame(
            truth.call, truth.billed, variant="standard", latency_ms=5, status=200,
            provider_id=None, served_model=None, failure=None,
        )  # fmt: skip

    @staticmethod
    def _ending(truth: Truth, op: str) -> Frame:
        return requests.unsettled_frame(op, truth.call, reason="", latency_ms=1, status=None)

    def _end(self, truth: Truth, frame: Frame) -> None:
        truth.final = frame

        def answered(reply: Frame | DaemonUnavailable) -> None:
            self.unfinished -= 1
            if isinstance(reply, DaemonUnavailable):
                self.world.keep(frame)
            elif frame["op"] == protocol.LOSE and self.chance.random() < 0.4:
                self._bill_late(truth)

        self.ask(frame, answered)

    def _bill_late(self, truth: Truth) -> None:
        """What was lost turns up after all."""
        self.unfinished += 1

        def later() -> None:
            if self.is_alive:
                self._end(truth, self._settling(truth))

        self.world.timeline.after(self.chance.randrange(2_000_000), later)
