"""One event loop's connection: many requests under way, each with a future.

Layer: client.  Below: protocol, connection, forking.  Above: the async client.
A guest in the loop: it takes a reader and, while the socket is full, a writer, nothing else; no
task, no transport, nothing that the loop's end has to wait for.
Only the loop's own thread uses it.  It imports asyncio for nobody who doesn't.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from noburn_cli import protocol
from noburn_cli.client import forking
from noburn_cli.client.connection import SEND_FLAGS, Connection, shown
from noburn_cli.client.retry import Late, Lost
from noburn_cli.errors import FrameRefused

if TYPE_CHECKING:
    import asyncio

_CHUNK_BYTES = 65536
#: Reserves may wait long, so they never fill the pipeline: what frees their money must get through.
RESERVES_MAX = protocol.PIPELINE_MAX * 3 // 4
OTHERS_MAX = protocol.PIPELINE_MAX - RESERVES_MAX


class _Lane:
    """Requests of one sort: so many unanswered, the others in line, in order."""

    def __init__(self, unanswered_max: int) -> None:
        self.unanswered_max = unanswered_max
        self.unanswered = 0
        self.queue: deque[_Request] = deque()


class _Request:
    __slots__ = ("data", "future", "lane", "n", "timer", "within_s")

    def __init__(
        self, n: int, data: bytes, future: asyncio.Future[Any], lane: _Lane, within_s: float
    ) -> None:
        self.n = n
        self.data = data
        self.future = future
        self.lane = lane
        self.within_s = within_s
        self.timer: asyncio.TimerHandle | None = None


class Channel(forking.Inherited):
    """A greeted connection, handed over to `loop`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, connection: Connection) -> None:
        self._loop = loop
        self._connection = connection
        self._sock = connection.sock
        self._sock.setblocking(False)
        # A number, as uvloop would hold on to a socket object and delay its close.
        self._file = self._sock.fileno()
        self._decoder = protocol.FrameDecoder()
        self._n = connection.asked
        self._unanswered: dict[int, _Request] = {}
        self._reserves = _Lane(RESERVES_MAX)
        self._others = _Lane(OTHERS_MAX)
        self._out = bytearray()
        self._closed = False
        self._pid = os.getpid()
        forking.watch(self)
        loop.add_reader(self._file, self._readable)

    @property
    def usable(self) -> bool:
        """Whether a request may be sent: open, in the process and the loop that it was made for."""
        return not self._closed and self._pid == os.getpid() and not self._loop.is_closed()

    async def ask(self, frame: Mapping[str, Any], *, within_s: float) -> dict[str, Any]:
        """Send a request and await its reply, `within_s` seconds from when it is sent.

        Raises Lost and Late; a late reply is the end of the channel.
        """
        request = self._start(frame, within_s)
        try:
            reply: dict[str, Any] = await request.future
            return reply
        finally:
            if request.timer is not None:
                request.timer.cancel()

    def post(self, frame: Mapping[str, Any], *, keep: Callable[[], None], within_s: float) -> None:
        """Send a request that nobody awaits; `keep` is called when it may not have arrived."""

        def ended(future: asyncio.Future[Any]) -> None:
            if request.timer is not None:
                request.timer.cancel()
            if future.cancelled() or future.exception() or not future.result().get("ok"):
                keep()

        request = self._start(frame, within_s)
        request.future.add_done_callback(ended)
        # The loop may end before the socket takes it, or `ended` is called.
        if self._out or request.lane.queue or self._closed:
            keep()

    def lose(self, why: str) -> None:
        """Close, and tell everybody who waits that the reply will not come."""
        self.close()
        waiting = [*self._unanswered.values(), *self._reserves.queue, *self._others.queue]
        self._unanswered.clear()
        self._reserves.queue.clear()
        self._others.queue.clear()
        for request in waiting:
            if not request.future.done():
                request.future.set_exception(Lost(why))

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._pid == os.getpid() and not self._loop.is_closed():
            self._loop.remove_reader(self._file)
            self._loop.remove_writer(self._file)
        self._connection.close()

    def drop_inherited(self) -> None:
        # The loop's epoll is shared with the parent: taking our reader out of it would be felt
        # there.  Closing our copy of the socket is not.
        self._closed = True
        self._connection.close()

    def _start(self, frame: Mapping[str, Any], within_s: float) -> _Request:
        self._n += 1
        lane = self._reserves if frame["op"] == protocol.RESERVE else self._others
        data = protocol.encode({"n": self._n, **frame})
        request = _Request(self._n, data, self._loop.create_future(), lane, within_s)
        if lane.unanswered < lane.unanswered_max:
            self._transmit(request)
        else:
            lane.queue.append(request)
        return request

    def _transmit(self, request: _Request) -> None:
        request.lane.unanswered += 1
        request.timer = self._loop.call_later(request.within_s, self._late, request)
        self._unanswered[request.n] = request
        data, request.data = request.data, b""
        if self._out:
            self._out += data
            return
        sent = self._send(data)
        if sent < len(data) and not self._closed:
            self._out += data[sent:]
            self._loop.add_writer(self._file, self._writable)

    def _send(self, data: bytes | bytearray) -> int:
        try:
            return self._sock.send(data, SEND_FLAGS)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError as error:
            self.lose(f"the connection to the daemon broke: {error}")
            return 0

    def _writable(self) -> None:
        del self._out[: self._send(self._out)]
        if not self._out and not self._closed:
            self._loop.remove_writer(self._file)

    def _readable(self) -> None:
        try:
            chunk = self._sock.recv(_CHUNK_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self.lose(f"the connection to the daemon broke: {error}")
            return
        if not chunk:
            self.lose("the daemon closed the connection")
            return
        try:
            for line in self._decoder.receive(chunk):
                self._answered(protocol.decode(line))
        except FrameRefused as error:
            self.lose(f"{error.message}: {error.why}")

    def _answered(self, reply: dict[str, Any]) -> None:
        if reply.get("event") == protocol.PAUSED:
            paused = self._unanswered.get(reply.get("n", 0))
            if paused is not None and paused.timer is not None:
                # The run is paused: this may take as long as a person likes.
                paused.timer.cancel()
                paused.timer = self._loop.call_later(paused.within_s, self._late, paused)
            return
        request = self._unanswered.pop(reply.get("n", 0), None)
        if request is None:
            raise FrameRefused("the daemon answered what was not asked", why=shown(reply))
        if not request.future.done():  # Else its caller has gone; only its place counted.
            request.future.set_result(reply)
        lane = request.lane
        lane.unanswered -= 1
        while lane.queue and lane.unanswered < lane.unanswered_max and not self._closed:
            following = lane.queue.popleft()
            if not following.future.done():
                self._transmit(following)

    def _late(self, request: _Request) -> None:
        if request.future.done():
            return
        request.future.set_exception(Late("no reply in time"))
        # The others ask again with their ids: that is harmless, a daemon that hangs is not.
        self.lose("the daemon does not answer in time")
