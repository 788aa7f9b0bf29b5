"""One blocking connection to the daemon: bytes to frames, each with a deadline.

Layer: client.  Below: protocol, retry.  Above: opening (which makes them) and pool.
Owns: the socket and its number of the last request.  Deadlines are `time.monotonic()` seconds.
Not here: who starts the daemon (starting), what is asked again (retry).
"""

from __future__ import annotations

import os
import socket
import time
import weakref
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from noburn_cli import protocol
from noburn_cli.client.retry import Late, Lost
from noburn_cli.errors import DaemonUnavailable, FrameRefused

_CHUNK_BYTES = 65536
#: A full listen queue answers EAGAIN at once; how long until the next try, in seconds.
_QUEUE_PAUSE_S = 0.005
#: A program may have set SIGPIPE to kill it; our peer's end is no reason to.
SEND_FLAGS = getattr(socket, "MSG_NOSIGNAL", 0)
_SO_NOSIGPIPE = 0x1022  # macOS, <sys/socket.h>; Python has no name for it.


def connect(path: str, *, deadline: float) -> socket.socket:
    """Connect to the Unix socket at `path`.

    Raises FileNotFoundError or ConnectionRefusedError when nobody listens, Late, and
    DaemonUnavailable when the path cannot be a daemon of ours.
    """
    _check_owner(path)
    while True:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.settimeout(_left_s(deadline))
            sock.connect(path)
            if not SEND_FLAGS:
                sock.setsockopt(socket.SOL_SOCKET, _SO_NOSIGPIPE, 1)
            return sock
        except BlockingIOError:
            sock.close()
            if time.monotonic() + _QUEUE_PAUSE_S >= deadline:
                raise Late("the daemon accepts no connections") from None
            time.sleep(_QUEUE_PAUSE_S)
        except TimeoutError as error:
            sock.close()
            raise Late("the daemon accepts no connections") from error
        except BaseException:
            sock.close()
            raise


def _check_owner(path: str) -> None:
    """A socket that somebody else put there is not our daemon's."""
    try:
        owner = os.lstat(path).st_uid
    except FileNotFoundError:
        raise
    except OSError as error:
        raise DaemonUnavailable(
            f"the daemon's socket {path} cannot be reached",
            why=str(error),
            next_step="set NOBURN_HOME to a folder of yours",
        ) from error
    if owner != os.geteuid():
        raise DaemonUnavailable(
            f"the daemon's socket {path} belongs to another user",
            why=f"its owner is user {owner}, we are {os.geteuid()}",
            next_step="set NOBURN_HOME to a folder of yours",
        )


class Connection:
    """A connected socket; used by one thread at a time."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._decoder = protocol.FrameDecoder()
        self._frames: deque[dict[str, Any]] = deque()
        #: The number of the last request.
        self.asked = 0
        # Closed by whoever forgot it, without a ResourceWarning.
        weakref.finalize(self, sock.close)

    def exchange(self, frame: Mapping[str, Any], *, deadline: float) -> dict[str, Any]:
        """Send one request and return its reply.

        Raises Lost, Late or FrameRefused, after which the connection is to be closed.
        """
        return self.exchange_all([frame], deadline=deadline)[0]

    def exchange_all(
        self, frames: Sequence[Mapping[str, Any]], *, deadline: float
    ) -> list[dict[str, Any]]:
        """Send requests in one go, and return their replies in the same order.  Raises likewise."""
        first = self.asked + 1
        self.asked += len(frames)
        numbered = [{"n": first + i, **frame} for i, frame in enumerate(frames)]
        self._send(b"".join(map(protocol.encode, numbered)), deadline)
        replies: dict[int, dict[str, Any]] = {}
        within_s = _left_s(deadline)
        while len(replies) < len(frames):
            reply = self.next_frame(deadline=deadline)
            if reply.get("event") == protocol.PAUSED:
                # The run is paused: this may take as long as a person likes.
                deadline = time.monotonic() + within_s
                continue
            n = reply.get("n")
            if type(n) is not int or not first <= n <= self.asked or n in replies:
                raise unasked(reply)
            replies[n] = reply
        return [replies[first + i] for i in range(len(frames))]

    def next_frame(self, *, deadline: float | None) -> dict[str, Any]:
        """The next frame from the daemon; without a deadline, however long it takes."""
        while not self._frames:
            try:
                self.sock.settimeout(None if deadline is None else _left_s(deadline))
                chunk = self.sock.recv(_CHUNK_BYTES)
            except TimeoutError as error:
                raise Late("no reply in time") from error
            except OSError as error:
                raise Lost(f"the connection to the daemon broke: {error}") from error
            if not chunk:
                raise Lost("the daemon closed the connection")
            self._frames.extend(map(protocol.decode, self._decoder.receive(chunk)))
        return self._frames.popleft()

    def close(self) -> None:
        self.sock.close()

    def interrupt(self) -> None:
        """Close from another thread: whoever waits in it wakes with Lost."""
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            self.sock.close()  # The peer has gone already.

    def _send(self, data: bytes, deadline: float) -> None:
        try:
            self.sock.settimeout(_left_s(deadline))
            self.sock.sendall(data, SEND_FLAGS)
        except TimeoutError as error:
            raise Late("the daemon does not read") from error
        except OSError as error:
            raise self._farewell() or Lost(
                f"the connection to the daemon broke: {error}"
            ) from error

    def _farewell(self) -> Lost | None:
        """Why the daemon closed, if it said so before we could ask anything."""
        try:
            self.sock.settimeout(0)
            lines = self._decoder.receive(self.sock.recv(_CHUNK_BYTES))
            last = unasked(protocol.decode(lines[-1])) if lines else None
        except (OSError, FrameRefused):
            return None
        return last if isinstance(last, Lost) else None


def _left_s(deadline: float) -> float:
    left_s = deadline - time.monotonic()
    if left_s <= 0:
        raise Late("no reply in time")
    return left_s


def unasked(reply: Mapping[str, Any]) -> Lost | FrameRefused:
    """What a frame without a request of ours means: that the daemon has no room, or nonsense."""
    if reply.get("n") is None and reply.get("error") == protocol.DRAINING:
        return Lost(str(reply.get("message", "the daemon is about to leave")))
    return FrameRefused("the daemon answered what was not asked", why=shown(reply))


def shown(frame: Mapping[str, Any]) -> str:
    """A frame for an error message; a real key that it carries is not shown."""
    return str({name: value for name, value in frame.items() if name != "key"})[:200]
