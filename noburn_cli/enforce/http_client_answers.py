"""The answer's bytes on their way to the program, read for their usage: http.client and all on it.

Layer: enforce, injected (standard library, Python 3.10).  Below: follower, http_bytes, drivers.
Above: http_client_hook.
The raw body is read below `HTTPResponse`, because urllib3 takes chunked bodies apart by itself; so
its framing is followed here as well, and an edited body is framed anew.
"""

from __future__ import annotations

import contextlib
import io
import socket
import zlib
from typing import Any

from noburn_cli.enforce import background
from noburn_cli.enforce.drivers import deliver, deliver_aside
from noburn_cli.enforce.follower import Follower
from noburn_cli.enforce.http_bytes import LAST_CHUNK, Chunked, Framing, Sized, UntilClose, chunk
from noburn_cli.enforce.outcome import Tracker

_READ_BYTES = 64 * 1024


def follow(response: Any, tracker: Tracker) -> None:
    """Read along with an answer whose head has come; `response` is an http.client.HTTPResponse."""
    headers = {name.lower(): value for name, value in response.msg.items()}
    # A stream of events is framed anew as well, so that it can be cut between two of them.
    edits = tracker.answered(response.status, headers) or tracker.edits() or tracker.can_be_cut()
    framing = _framing(response)
    if response.fp is None or framing.ended:
        deliver(tracker.completed())
        return
    if edits:
        _forget_size(response, unpacked="content-encoding" in headers)
    tap = _Tap(response.fp, framing, tracker, edits=edits)
    response.fp = io.BufferedReader(tap, _READ_BYTES)


def _framing(response: Any) -> Framing:
    if response.chunked:
        return Chunked()
    return UntilClose() if response.length is None else Sized(response.length)


def _forget_size(response: Any, *, unpacked: bool) -> None:
    """An edited answer has another length than its head says."""
    del response.msg["content-length"]
    response.length = None
    if unpacked:
        del response.msg["content-encoding"]


class _Tap(io.RawIOBase):
    """Stands where the response reads from its socket."""

    def __init__(self, inner: Any, framing: Framing, tracker: Tracker, *, edits: bool) -> None:
        self._inner = inner
        self._framing = framing
        self._edits = edits
        self._rechunks = edits and isinstance(framing, Chunked)
        self._follower = Follower(tracker, self)
        self._ready = bytearray()
        self._at_end = False

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return int(self._inner.fileno())

    def readinto(self, buffer: Any) -> int:
        while not self._ready and not self._at_end:
            self._ready += self._read(len(buffer))
        size = min(len(buffer), len(self._ready))
        buffer[:size] = self._ready[:size]
        del self._ready[:size]
        return size

    def _read(self, size: int) -> bytes:
        """Some more of the answer, as it is handed on."""
        try:
            raw = self._inner.read1(max(size, 1))
            payload = self._follower.receive(self._framing.receive(raw))
        except BaseException as error:
            deliver(self._follower.broke(error))
            if isinstance(error, zlib.error):
                raise OSError(f"the answer cannot be unpacked: {error}") from error
            raise
        if self._follower.tracker.cut is not None:
            return self._cut_off(payload)
        if raw and not self._framing.ended:
            return self._handed_on(raw, payload)
        self._at_end = True
        return self._handed_on(raw, payload) + self._end(whole=bool(raw) or self._is_until_close())

    def _cut_off(self, payload: bytes) -> bytes:
        """The run was stopped: the answer ends here, and so does its connection."""
        self._at_end = True
        with contextlib.suppress(Exception):
            # Not to be used again: the rest of the answer is still on its way.
            self._inner.raw._sock.shutdown(socket.SHUT_RDWR)
        deliver(self._follower.abandoned())
        return chunk(payload) + LAST_CHUNK if self._rechunks else payload

    def _handed_on(self, raw: bytes, payload: bytes) -> bytes:
        if not self._edits:
            return bytes(raw)
        return chunk(payload) if self._rechunks else payload

    def _is_until_close(self) -> bool:
        return isinstance(self._framing, UntilClose)

    def _end(self, *, whole: bool) -> bytes:
        rest = self._follower.rest() if self._edits else b""
        if whole:
            deliver(self._follower.completed())
        else:
            deliver(self._follower.broke(EOFError("the connection ended in the answer")))
        if not self._rechunks:
            return rest
        return chunk(rest) + (LAST_CHUNK if whole else b"")

    def close(self) -> None:
        if self.closed:
            return
        super().close()
        if self._at_end:
            self._inner.close()
            return
        # Perhaps in a finalizer, so nothing here may take a lock or wait.
        if self._follower.reading_on() is None:
            deliver_aside(self._follower.abandoned())
            self._inner.close()
            return
        if not background.start(self._read_on):
            self._let_go()

    def _read_on(self) -> None:
        """In a thread: learn the usage of an answer that nobody waits for."""
        patience = self._follower.reading_on()
        # Whatever fails, the call ends below.
        with contextlib.suppress(Exception):
            while patience is not None and not self._follower.knows_enough():
                raw = self._inner.read1(_READ_BYTES)
                self._follower.receive(self._framing.receive(raw))
                if self._framing.ended:
                    deliver(self._follower.completed())
                if not raw or self._framing.ended or patience.is_spent(raw):
                    break
        self._let_go()

    def _let_go(self) -> None:
        deliver(self._follower.abandoned())
        self._inner.close()
