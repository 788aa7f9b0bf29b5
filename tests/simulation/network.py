"""Simulated sockets: bytes that arrive late, in pieces, in any order between connections, or never.

A Wire is one connection.  The daemon's end is a transport as asyncio's; the client's end calls
`on_bytes` and `on_end`.  Within one direction bytes keep their order, as in a stream.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from tests.simulation.engine import SimulatedLoop, Timeline

#: A frame may arrive in two pieces; most do not.
_SPLIT = 0.15
_DELAYS_US = (1, 10, 50, 50, 200, 2_000, 40_000)


class Wire:
    """One connection between a client's process and the daemon."""

    def __init__(self, timeline: Timeline, chance: random.Random, *, owner: str) -> None:
        self.timeline = timeline
        self.chance = chance
        #: The process at the client's end, as the system would tell it.
        self.owner = owner
        self.on_bytes: Callable[[bytes], None] = lambda _data: None
        self.on_end: Callable[[], None] = lambda: None
        self.transport: Transport | None = None
        self.is_cut = False
        self._there_us = 0
        self._back_us = 0
        self._early: list[bytes] = []

    def accept(self, loop: SimulatedLoop, protocol: Any) -> None:
        """The daemon takes the connection."""
        if self.is_cut:
            return
        self.transport = Transport(self, loop, protocol)
        loop.arrive(self, protocol.connection_made, self.transport)
        early, self._early = self._early, []
        for data in early:
            self.transport.arrive(data)

    # The client's end.

    def send(self, data: bytes) -> None:
        for piece in self._pieces(data):
            self._there_us = max(self._there_us + 1, self.timeline.now_us + self._delay_us())
            self.timeline.after(self._there_us - self.timeline.now_us, lambda p=piece: self._in(p))

    def _in(self, data: bytes) -> None:
        if self.is_cut:
            return
        if self.transport is None:
            self._early.append(data)
        else:
            self.transport.arrive(data)

    def close(self) -> None:
        """The client closes its end; what it had sent still arrives."""
        self.on_bytes = lambda _data: None
        self.on_end = lambda: None
        self._there_us = max(self._there_us + 1, self.timeline.now_us + self._delay_us())
        self.timeline.after(self._there_us - self.timeline.now_us, self._end_of_input)

    def _end_of_input(self) -> None:
        if self.transport is not None and not self.is_cut:
            self.transport.end_of_input()
        self.is_cut = True

    # The daemon's end.

    def deliver(self, data: bytes) -> None:
        for piece in self._pieces(data):
            self._back_us = max(self._back_us + 1, self.timeline.now_us + self._delay_us())
            self.timeline.after(
                self._back_us - self.timeline.now_us,
                lambda p=piece: None if self.is_cut else self.on_bytes(p),
            )

    def end(self) -> None:
        """The daemon closed; the client hears of it after what was written before."""
        self._back_us = max(self._back_us + 1, self.timeline.now_us + self._delay_us())
        self.timeline.after(self._back_us - self.timeline.now_us, self._ended)

    def _ended(self) -> None:
        if not self.is_cut:
            self.is_cut = True
            self.on_end()

    def cut(self) -> None:
        """The connection breaks: nothing that is on its way arrives."""
        if self.is_cut:
            return
        self.is_cut = True
        if self.transport is not None:
            self.transport.lose()
        self.timeline.after(self._delay_us(), lambda: self.on_end())

    def _pieces(self, data: bytes) -> list[bytes]:
        if len(data) > 1 and self.chance.random() < _SPLIT:
            at = self.chance.randrange(1, len(data))
            return [data[:at], data[at:]]
        return [data]

    def _delay_us(self) -> int:
        return self.chance.choice(_DELAYS_US)


class Transport:
    """asyncio's Transport, as far as the daemon uses it."""

    def __init__(self, wire: Wire, loop: SimulatedLoop, protocol: Any) -> None:
        self._wire = wire
        self._loop = loop
        self._protocol = protocol
        self._is_closing = False
        self._is_lost = False
        self._paused: list[bytes] | None = None

    def arrive(self, data: bytes) -> None:
        if self._paused is not None:
            self._paused.append(data)
        else:
            self._loop.arrive(self._wire, self._received, data)

    def _received(self, data: bytes) -> None:
        if not self._is_closing and not self._is_lost:
            self._protocol.data_received(data)

    def end_of_input(self) -> None:
        self._loop.arrive(self._wire, self._end_of_input)

    def _end_of_input(self) -> None:
        if not self._is_lost and not self._protocol.eof_received():
            self.close()

    def lose(self) -> None:
        """The other end is gone."""
        self._is_closing = True
        self._loop.arrive(self._wire, self._lost)

    def _lost(self) -> None:
        if not self._is_lost:
            self._is_lost = True
            self._protocol.connection_lost(None)

    # What the daemon calls.

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._wire if name == "socket" else default

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass  # Nothing is ever unread here.

    def get_write_buffer_size(self) -> int:
        return 0

    def write(self, data: bytes) -> None:
        if not self._loop.is_dead and not self._is_lost and not self._is_closing:
            self._wire.deliver(bytes(data))

    def is_closing(self) -> bool:
        return self._is_closing

    def pause_reading(self) -> None:
        self._paused = self._paused or []

    def resume_reading(self) -> None:
        waiting, self._paused = self._paused or [], None
        for data in waiting:
            self.arrive(data)

    def close(self) -> None:
        if self._loop.is_dead or self._is_closing:
            return
        self._is_closing = True
        self._wire.end()
        self._loop.call_soon(self._lost)

    abort = close
