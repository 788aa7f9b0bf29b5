"""Lending real keys to the daemon while a run lasts.

Layer: enforce, the supervisor's side.  Below: client.  Above: supervisor, the gateway's service.
Owns: the one connection whose life is the keys' life in the daemon.
"""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Mapping

from noburn_cli import paths, protocol
from noburn_cli.client.connection import Connection
from noburn_cli.client.opening import Opener
from noburn_cli.client.requests import accepted
from noburn_cli.client.retry import REPLY_S, NoReply, unavailable
from noburn_cli.errors import NoburnError

#: How long until a daemon that went away is tried again, in seconds; its successor waits for us.
RETRY_S = 0.1


class Lending:
    """Lent when made, so that no call is too early; `start` keeps it up from a thread.

    Raises DaemonUnavailable.
    """

    def __init__(self, run: str, keys: Mapping[str, str]) -> None:
        self._run = run
        self._keys = dict(keys)
        self._opener = Opener(paths.home(), start_daemon=True)
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._adding = threading.Lock()
        self._connection: Connection | None = None
        self._thread: threading.Thread | None = None
        if self._keys:
            self._lend()

    def start(self) -> None:
        if self._keys and self._thread is None:
            self._thread = threading.Thread(target=self._follow, name="noburn-keys", daemon=True)
            self._thread.start()

    def add(self, keys: Mapping[str, str]) -> None:
        """Lend more.  Raises DaemonUnavailable."""
        with self._adding:
            self._keys.update(keys)
            if self._connection is None:
                self._lend()
                self.start()
                return
            # The thread reads this connection, so they are lent on a new one; who holds both is we.
            before = self._connection
            self._lend()
            before.interrupt()

    def close(self) -> None:
        """Take the keys back."""
        self._closing.set()
        with self._lock:
            if self._connection is not None:
                self._connection.interrupt()
        if self._thread is not None:
            self._thread.join()
        if self._connection is not None:
            self._connection.close()

    def _lend(self) -> None:
        frame = {"op": protocol.KEYS_LEND, "run": self._run, "keys": self._keys}
        try:
            connection = self._opener.open()
            try:
                accepted(connection.exchange(frame, deadline=time.monotonic() + REPLY_S))
            except BaseException:
                connection.close()
                raise
        except NoReply as error:
            raise unavailable(frame, error, sent=True) from error
        with self._lock:
            self._connection = connection
            if self._closing.is_set():
                connection.interrupt()

    def _follow(self) -> None:
        # Signals are the main thread's.
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        while not self._closing.is_set():
            reading = None
            with contextlib.suppress(NoReply, NoburnError):
                with self._adding:
                    if self._connection is None:
                        self._lend()
                    reading = self._connection
                assert reading is not None
                reading.next_frame(deadline=None)  # Nothing comes but its end.
            with self._lock:
                if reading is not None:
                    reading.close()
                if self._connection is not reading:
                    continue  # More was lent, on a new one.
                self._connection = None
            if self._closing.wait(RETRY_S):
                return
