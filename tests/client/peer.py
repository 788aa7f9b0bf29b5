"""A scripted daemon: a real Unix socket whose answers a test decides."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Frame = dict[str, Any]

#: Python 3.12 warns of a fork beside threads; the peer's are a test's own, and the child ends hard.
FORKING = pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")

#: What a script may answer instead of a reply.
SILENCE = {"": "no reply, the connection stays"}
HANG_UP = {"": "no reply, the connection is closed"}


def grant(frame: Frame) -> Frame:
    """The script of a friendly daemon."""
    return {"ok": True, "call": frame.get("call")}


def new_home() -> Path:
    """A short folder: a socket's path has room for about a hundred characters."""
    return Path(tempfile.mkdtemp(prefix="nb-", dir="/tmp"))


class Peer:
    """Answers each frame with what `script(frame)` says; greets by itself.

    seen: every frame but `hello`, in order of arrival; connections: how many were made.
    """

    def __init__(self, home: Path, script: Callable[[Frame], Frame] = grant) -> None:
        self.home = home
        self.script = script
        self.seen: list[Frame] = []
        self.connections = 0
        self.hello: Frame = {"ok": True, "v": 1}
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._changed = threading.Condition()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(home / "daemon.sock"))
        self._listener.listen(256)
        self._spawn(self._accept)

    def ops(self) -> list[str]:
        with self._changed:
            return [frame["op"] for frame in self.seen]

    def wait_until(self, is_met: Callable[[], bool]) -> None:
        """Return as soon as it holds, looked at after each frame and each close."""
        with self._changed:
            assert self._changed.wait_for(is_met, timeout=120), self.seen

    def open_count(self) -> int:
        return len(self._open)

    def close(self) -> None:
        """End as a killed daemon does: the socket's file stays behind."""
        with self._changed:
            for end in (self._listener, *self._open):
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _spawn(self, work: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=work, args=args)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                end, _ = self._listener.accept()
            except OSError:
                return
            with self._changed:
                self.connections += 1
                self._open.add(end)
            self._spawn(self._serve, end)

    def _serve(self, end: socket.socket) -> None:
        try:
            with end.makefile("rb") as lines:
                for line in lines:
                    reply = self._reply(json.loads(line))
                    if reply is HANG_UP:
                        return
                    if reply is not SILENCE:
                        end.sendall(json.dumps(reply).encode() + b"\n")
        except OSError:
            pass
        finally:
            with self._changed:
                self._open.discard(end)
                end.close()
                self._changed.notify_all()

    def _reply(self, frame: Frame) -> Frame:
        if frame["op"] == "hello":
            return {"n": frame["n"], **self.hello}
        with self._changed:
            self.seen.append(frame)
            self._changed.notify_all()
        reply = self.script(frame)
        return reply if reply is SILENCE or reply is HANG_UP else {"n": frame["n"], **reply}


def remove(home: Path) -> None:
    shutil.rmtree(home, ignore_errors=True)
