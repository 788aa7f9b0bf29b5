"""One connection: bytes to frames, replies to bytes.

Layer: daemon, event loop.  Below: protocol (lines), frames.  Above: server.
Owns: the handshake and what one peer may use: frame size, unanswered frames, unread replies.
Not here: what a frame does (daemon).
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from typing import TYPE_CHECKING, Any, cast

import msgspec

from noburn_cli import protocol
from noburn_cli.errors import FrameRefused
from noburn_cli.version import __version__
from noburn_daemon import frames
from noburn_daemon.replies import refusal

if TYPE_CHECKING:
    from noburn_daemon.server import Daemon

_log = logging.getLogger("noburn.peer")

#: Above this many unread bytes nothing more is read from a peer; far above it the peer is dropped.
UNREAD_BYTES_HIGH = 1024 * 1024
UNREAD_BYTES_MAX = 32 * 1024 * 1024


class PeerConnection(asyncio.Protocol):
    """Feeds the daemon with requests; the daemon answers through `send`, then `deliver`."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._decoder = protocol.FrameDecoder(frame_bytes_max=protocol.FRAME_BYTES_MAX)
        self._transport: asyncio.Transport | None = None
        self._greeted = False
        self.owner = ""
        self.unanswered = 0
        self.out: list[bytes] = []
        #: Runs it watches: the last id to the path it named.
        self.watching: dict[str, str] = {}
        #: Virtual keys of its unanswered reserves, by the number of the frame.
        self.keyed: dict[int, str] = {}
        self.leaving = False
        #: Whether more than UNREAD_BYTES_HIGH wait to be read by the peer.
        self._full = False

    # The event loop's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if self._daemon.is_draining:  # It came before the listener closed: the next one serves it.
            self.close()
            return
        self._transport.set_write_buffer_limits(high=UNREAD_BYTES_HIGH)
        connection = cast("socket.socket", transport.get_extra_info("socket"))
        try:
            owner = self._daemon.processes.owner_of(connection)
        except OSError:
            owner = None
        if owner is None:
            self.close()
            return
        self.owner = owner
        self._daemon.peers.add(self)
        if len(self._daemon.peers) > protocol.CONNECTIONS_MAX:
            self._refuse(None, protocol.DRAINING, "too many connections", fatal=True)

    def data_received(self, data: bytes) -> None:
        if self.leaving:
            return
        try:
            lines = self._decoder.receive(data)
        except FrameRefused as error:
            self._refuse(None, protocol.BAD_FRAME, error.message, fatal=True)
            return
        for line in lines:
            try:
                request = frames.decode(line)
                if self._greeted:
                    self.unanswered += 1
                    if self.unanswered > protocol.PIPELINE_MAX:
                        raise frames.BadFrame(
                            "too many unanswered frames", n=request.n, fatal=False
                        )
                    self._daemon.handle(self, request)
                else:
                    self._greet(request)
            except frames.BadFrame as error:
                self._refuse(error.n, protocol.BAD_FRAME, error.why, fatal=error.fatal)
            if self.leaving or self._transport is None:
                return

    def eof_received(self) -> bool:
        return False  # close: nobody reads our replies any more

    def pause_writing(self) -> None:
        """The peer doesn't read: take nothing more from it."""
        self._full = True
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._full = False
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def connection_lost(self, _exc: Exception | None) -> None:
        self.leaving = True
        self._transport = None
        _log.debug("%s has gone", self.owner or "somebody")
        self._daemon.lost(self)

    # The daemon's side.

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self.leaving

    def send(self, reply: Any) -> None:
        """Queue a reply; it leaves with `deliver`."""
        if self.unanswered:
            self.unanswered -= 1
        if self.keyed:
            reply = self._with_key(reply)
        self.out.append(frames.encode(reply) + b"\n")

    def _with_key(self, reply: Any) -> Any:
        """A grant with the real key that was asked for, taken at the last moment."""
        number = reply["n"] if isinstance(reply, dict) else reply.n
        virtual = self.keyed.pop(number, None)
        if virtual is None or not isinstance(reply, frames.Granted):
            return reply
        return msgspec.structs.replace(reply, key=self._daemon.keys.real(virtual))

    def push(self, event: dict[str, Any]) -> None:
        """Queue something that nobody asked for."""
        self.out.append(frames.encode(event) + b"\n")

    def deliver(self) -> None:
        """Write everything queued at once."""
        out = self.out
        lines = out[0] if len(out) == 1 else b"".join(out)
        out.clear()
        transport = self._transport
        if not lines or transport is None:
            return
        transport.write(lines)
        if self._full and transport.get_write_buffer_size() > UNREAD_BYTES_MAX:
            transport.abort()

    def close(self) -> None:
        """Close once what is queued has been written."""
        self.leaving = True
        if self._transport is not None:
            self._transport.close()

    def _greet(self, request: frames.Request) -> None:
        if not isinstance(request, frames.Hello):
            raise frames.BadFrame("the first frame must be hello", n=request.n, fatal=True)
        if request.v != protocol.VERSION:
            self._refuse(
                request.n, protocol.VERSION_MISMATCH,
                f"this daemon speaks version {protocol.VERSION}", fatal=True,
            )  # fmt: skip
            return
        self._greeted = True
        _log.debug("%s connected: %s", self.owner, request.client)
        self._daemon.watch(self.owner)
        self.push(
            {
                "n": request.n,
                "ok": True,
                "v": protocol.VERSION,
                "daemon": __version__,
                "pid": os.getpid(),
                "frame_bytes_max": protocol.FRAME_BYTES_MAX,
            }
        )
        self.deliver()

    def _refuse(self, n: int | None, word: str, message: str, *, fatal: bool) -> None:
        """Answer at once: nothing of it is in the ledger, so there is nothing to wait for.

        It may overtake answers that wait for their commit, as the protocol allows.
        """
        self.unanswered = max(0, self.unanswered - 1)
        if self._transport is not None:
            self._transport.write(frames.encode(refusal(n, word, message)) + b"\n")
        if fatal:
            self.close()
