"""The gateway of one run: its address at once, its process at the first connection.

Layer: enforce, the supervisor's side.  Below: variables.  Above: supervisor.
Owns: the listening socket, which outlives the process: when that dies, the next connection gets
another.  A run that never connects pays for a socket and a thread.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping

from noburn_cli.enforce.gateway.variables import restored
from noburn_cli.enforce.launch import INJECT_FOLDER

#: A process that ends this soon after its start, in seconds, did not work; so often in a row, and
#: nobody is let in any more.
_SOON_S = 3.0
_TRIES = 3
#: How long the end may take: answers may be read on for their usage (see __main__).
END_S = 70.0


class HostedGateway:
    """Made before the child, `start`ed after it, `close`d after its end."""

    def __init__(self, listening: socket.socket | None = None) -> None:
        self._socket = listening or socket.create_server(("127.0.0.1", 0), backlog=1024)
        self._port: int = self._socket.getsockname()[1]
        self._wake_read, self._wake_write = os.pipe()
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread: threading.Thread | None = None
        self._environment: Mapping[str, str] = {}
        #: Why the gateway serves nobody, or None.
        self.failure: str | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def pid(self) -> int | None:
        """The process that serves at present."""
        process = self._process
        return None if process is None else process.pid

    def start(self, environment: Mapping[str, str]) -> None:
        """Begin to listen.  environment: the child's."""
        self._environment = _own_environment(environment)
        self._thread = threading.Thread(target=self._follow, name="noburn-gateway", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Let no more in, and wait until what is under way has its outcome."""
        self._closing.set()
        os.write(self._wake_write, b"x")
        with self._lock:
            process = self._process
        if process is not None:
            assert process.stdin is not None
            with contextlib.suppress(OSError):
                process.stdin.close()
            try:
                process.wait(END_S)
            except (subprocess.TimeoutExpired, KeyboardInterrupt):
                # Too late, or somebody does not want to wait: what is open is charged in full.
                process.kill()
                process.wait()
        if self._thread is not None:
            self._thread.join()
        self._socket.close()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _follow(self) -> None:
        # Signals are the main thread's; the process gets its own mask back (see __main__).
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        failed = 0
        while failed < _TRIES and self._wait_for_connection():
            with self._lock:
                if self._closing.is_set():
                    return
                try:
                    process = self._process = self._launch()
                except OSError as error:
                    self.failure = str(error)
                    break
            began = time.monotonic()
            process.wait()
            assert process.stdin is not None
            process.stdin.close()
            failed = failed + 1 if time.monotonic() - began < _SOON_S else 0
            self._process = None
            if self._closing.is_set():
                return
        if failed == _TRIES:
            self.failure = "its process ended at once"
        # Refused is told at once, where an unanswered connection would wait.
        self._socket.close()

    def _wait_for_connection(self) -> bool:
        readable, _, _ = select.select([self._socket.fileno(), self._wake_read], [], [])
        return self._wake_read not in readable

    def _launch(self) -> subprocess.Popen[bytes]:
        number = self._socket.fileno()
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "noburn_cli.enforce.gateway", "--fd", str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=None if os.environ.get("NOBURN_DEBUG") else subprocess.DEVNULL,
            pass_fds=(number,),
            start_new_session=True,
            env=dict(self._environment),
        )


def _own_environment(child: Mapping[str, str]) -> dict[str, str]:
    """The child's, without what would put a guard in front of the guard."""
    environment = restored(child)
    environment["NOBURN_GUARD"] = "0"
    entries = [
        entry
        for entry in environment.pop("PYTHONPATH", "").split(os.pathsep)
        if entry and entry != str(INJECT_FOLDER)
    ]
    if entries:
        environment["PYTHONPATH"] = os.pathsep.join(entries)
    return environment
