"""One message by one command: JSON on its standard input, what matters of it in variables.

Layer: daemon, I/O, in a thread of its own.  Below: notices, core.service_keys.  Above: delivering.
Owns: what the command is given.  No shell reads anything; the command leads a process group, which
is killed when its time is over; it finds no provider's key in its environment.
Not here: when to try again (notices, delivering).
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from noburn_cli.core.service_keys import Channel
from noburn_cli.providers.credentials import KEY_VARIABLES
from noburn_daemon.notices import Outcome, shown_failure

#: What of a message's `data` stands in a variable of its own.
_TOLD = ("message", "budget", "account", "percent", "settled", "limit", "unit")
_PREFIX = "NOBURN_NOTIFY_"
_SAID_BYTES_MAX = 2048
_JOIN_S = 0.5


class Commands:
    """Runs commands, and ends those that still run when the daemon leaves."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._closed = False

    def run(self, channel: Channel, key: str, body: bytes, own: Mapping[str, str]) -> Outcome:
        """Run a channel's command on one message once; raises nothing.

        own: the daemon's environment.
        """
        words = [str(Path(channel.command[0]).expanduser()), *channel.command[1:]]
        try:
            with self._lock:
                if self._closed:
                    return Outcome("the daemon is leaving")
                process = subprocess.Popen(
                    words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE, start_new_session=True, cwd="/",
                    env=environment(key, body, own),
                )  # fmt: skip
                self._running.add(process)
        except (OSError, ValueError) as error:
            return Outcome(f"it could not be started: {shown_failure(str(error))}")
        try:
            return _finish(process, body, channel.timeout_s)
        finally:
            with self._lock:
                self._running.discard(process)

    def close(self) -> None:
        """Kill what runs: its message is delivered anew by the next daemon."""
        with self._lock:
            self._closed = True
            for process in self._running:
                _kill(process)


def environment(key: str, body: bytes, own: Mapping[str, str]) -> dict[str, str]:
    """A command's environment: the daemon's without keys, and the message's own variables."""
    message = json.loads(body)
    data = message["data"]
    told = {"ID": key, "TYPE": message["type"], "TIMESTAMP": message["timestamp"]}
    told.update({name.upper(): str(data[name]) for name in _TOLD if name in data})
    kept = {name: value for name, value in own.items() if name not in KEY_VARIABLES}
    # A name out of the ledger may hold what no variable can.
    return {**kept, **{_PREFIX + name: text.replace("\0", "") for name, text in told.items()}}


def _finish(process: subprocess.Popen[bytes], body: bytes, timeout_s: float) -> Outcome:
    assert process.stdin is not None
    assert process.stderr is not None
    said = bytearray()
    reader = threading.Thread(target=_drain, args=(process.stderr, said), daemon=True)
    writer = threading.Thread(target=_write, args=(process.stdin, body), daemon=True)
    reader.start()
    writer.start()
    try:
        code = process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        _kill(process)
        process.wait()
        code = None
    writer.join(_JOIN_S)
    reader.join(_JOIN_S)  # what it left behind may hold its end open: that is not waited for
    if code == 0:
        return Outcome()
    why = shown_failure(said.decode("utf-8", "replace"))
    how = f"not within {timeout_s:g} s, killed" if code is None else f"it ended with {code}"
    return Outcome(f"{how}: {why}" if why else how)


def _drain(pipe: IO[bytes], said: bytearray) -> None:
    """Read all that is said, and keep the end of it."""
    with contextlib.suppress(OSError, ValueError), pipe:
        while chunk := os.read(pipe.fileno(), 4096):
            said += chunk
            del said[:-_SAID_BYTES_MAX]


def _write(pipe: IO[bytes], body: bytes) -> None:
    with contextlib.suppress(OSError, ValueError), pipe:
        pipe.write(body + b"\n")


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a command with its process group, which has its pid."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
