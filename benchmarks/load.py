"""Closed-loop callers over a Unix socket, in one event loop, whatever the protocol.

Each caller has a connection of its own and one request in flight; the next one goes out when the
reply has come.  Making a request is one string format, so what is measured is the peer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import uvloop


@dataclass
class Load:
    """What one pass measured: operations, seconds and each latency in nanoseconds."""

    operations: int = 0
    seconds: float = 0.0
    latencies_ns: list[int] = field(default_factory=list)
    refused: int = 0

    @property
    def per_s(self) -> float:
        return self.operations / self.seconds

    def percentile_ms(self, share: float) -> float:
        ordered = sorted(self.latencies_ns)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] / 1e6

    def as_row(self) -> dict[str, float]:
        return {
            "per_s": round(self.per_s),
            "p50_ms": round(self.percentile_ms(0.5), 3),
            "p99_ms": round(self.percentile_ms(0.99), 3),
            "p999_ms": round(self.percentile_ms(0.999), 3),
            "operations": self.operations,
            "refused": self.refused,
        }


@dataclass(frozen=True)
class Wire:
    """How to talk to a peer.

    frames: for each caller, what makes its requests, numbered from 0: a reserve, its settle, and
        so on.
    end: what the last bytes of a whole reply are; `wanted`: what every good one contains.
    hello: sent first, answered by `hellos` replies.
    """

    frames: Callable[[int], Callable[[int], bytes]]
    end: bytes = b"\n"
    wanted: bytes = b""
    hello: bytes = b""
    hellos: int = 1


class _Caller(asyncio.Protocol):
    def __init__(self, wire: Wire, number: int, load: Load) -> None:
        self._wire = wire
        self._frames = wire.frames(number)
        self._load = load
        self._number = 0
        self._tail = b""
        self.deadline_ns = 0
        self.ready = asyncio.get_running_loop().create_future()
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if self._wire.hello:
            self._transport.write(self._wire.hello)
        else:
            self.ready.set_result(None)

    def start(self, deadline_ns: int) -> None:
        self.deadline_ns = deadline_ns
        self._send()

    def _send(self) -> None:
        frame = self._frames(self._number)
        self._number += 1
        self._sent_ns = time.perf_counter_ns()
        self._transport.write(frame)

    def data_received(self, data: bytes) -> None:
        wire = self._wire
        if self._tail:
            data = self._tail + data
        if not data.endswith(wire.end):
            self._tail = data
            return
        if not self.ready.done():
            if data.count(wire.end) < wire.hellos:
                self._tail = data
                return
            self._tail = b""
            self.ready.set_result(None)
            return
        self._tail = b""
        now = time.perf_counter_ns()
        self._load.latencies_ns.append(now - self._sent_ns)
        if wire.wanted not in data:
            self._load.refused += 1
        if now < self.deadline_ns:
            self._send()
        elif not self.done.done():
            self.done.set_result(None)
            self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(error or ConnectionError("the peer closed"))


async def _connected(path: str, caller: _Caller) -> _Caller:
    """Connect, again while the peer's queue of new connections is full."""
    while True:
        try:
            await asyncio.get_running_loop().create_unix_connection(lambda: caller, path)
        except BlockingIOError:
            await asyncio.sleep(0.01)
        else:
            return caller


def drive(path: str, wire: Wire, *, callers: int, seconds: float) -> Load:
    """Let `callers` run for `seconds`."""

    async def run() -> Load:
        load = Load()
        made = [await _connected(path, _Caller(wire, number, load)) for number in range(callers)]
        await asyncio.gather(*(caller.ready for caller in made))
        began = time.perf_counter()
        deadline = time.perf_counter_ns() + int(seconds * 1e9)
        for caller in made:
            caller.start(deadline)
        await asyncio.gather(*(caller.done for caller in made))
        load.seconds = time.perf_counter() - began
        load.operations = len(load.latencies_ns)
        return load

    return uvloop.run(run())


def names() -> Callable[[int, int], bytes]:
    """Ids of calls for one caller: (caller, number) to a fresh one for a reserve (an even number),
    the same again for the settle that follows.  They start with the time, as the client's do."""
    name = b""

    def name_of(caller: int, number: int) -> bytes:
        nonlocal name
        if number % 2 == 0:
            name = b"%012x-%d-%d" % (time.time_ns() // 1_000_000, caller, number)
        return name

    return name_of
