"""Closed-loop callers against a line protocol over a Unix socket, in one event loop.

Each caller has a connection of its own and one frame in flight; the next one goes out when the
reply has come.  Making a frame is one string format, so what is measured is the peer.
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

    def percentile_ms(self, share: float) -> float:
        ordered = sorted(self.latencies_ns)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] / 1e6

    def as_row(self) -> dict[str, float]:
        return {
            "per_s": round(self.operations / self.seconds),
            "p50_ms": round(self.percentile_ms(0.5), 3),
            "p99_ms": round(self.percentile_ms(0.99), 3),
            "p999_ms": round(self.percentile_ms(0.999), 3),
            "operations": self.operations,
            "refused": self.refused,
        }


class _Caller(asyncio.Protocol):
    def __init__(self, frames: Callable[[int], bytes], load: Load, hello: bytes | None) -> None:
        self._frames = frames
        self._load = load
        self._hello = hello
        self._number = 0
        self._tail = b""
        self.deadline_ns = 0
        self.ready = asyncio.get_running_loop().create_future()
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if self._hello is None:
            self.ready.set_result(None)
        else:
            transport.write(self._hello)

    def start(self, deadline_ns: int) -> None:
        self.deadline_ns = deadline_ns
        self._send()

    def _send(self) -> None:
        frame = self._frames(self._number)
        self._number += 1
        self._sent_ns = time.perf_counter_ns()
        self._transport.write(frame)

    def data_received(self, data: bytes) -> None:
        if data[-1] != 10:
            self._tail += data
            return
        if not self.ready.done():
            self.ready.set_result(None)
            return
        now = time.perf_counter_ns()
        self._load.latencies_ns.append(now - self._sent_ns)
        if b'"ok":false' in data:
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


def drive(
    path: str,
    frames: Callable[[int], Callable[[int], bytes]],
    *,
    callers: int,
    seconds: float,
    hello: bytes | None = None,
) -> Load:
    """Let `callers` run for `seconds`; `frames(caller)(number)` is each caller's next frame."""

    async def run() -> Load:
        load = Load()
        made = [
            await _connected(path, _Caller(frames(number), load, hello))
            for number in range(callers)
        ]
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
