"""Connections of one process: taken out, used by one thread, put back.

Layer: client.  Below: connection, forking.  Above: the sync client.
Owns: every open connection, so that a forked child can drop all of them.
A waiting reserve keeps its connection; others get theirs, so a settle never stands behind it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from noburn_cli.client import forking
from noburn_cli.client.connection import Connection

IDLE_MAX = 32


class Pool(forking.Inherited):
    """Thread-safe.  A connection that was taken is put back or dropped, exactly once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()
        self._pid = os.getpid()
        forking.watch(self)

    def take(self, make: Callable[[], Connection], *, fresh: bool = False) -> Connection:
        """An idle connection, or what `make` opens (outside of the lock); `fresh` never reuses."""
        if os.getpid() != self._pid:  # Forked by C code, behind os.fork's back.
            self.drop_inherited()
        if not fresh:
            with self._lock:
                if self._idle:
                    return self._idle.pop()
        connection = make()
        with self._lock:
            self._open.add(connection)
        return connection

    def put_back(self, connection: Connection) -> None:
        with self._lock:
            if connection in self._open and len(self._idle) < IDLE_MAX:
                self._idle.append(connection)
                return
            self._open.discard(connection)
        connection.close()

    def drop(self, connection: Connection) -> None:
        """Close a connection that failed."""
        with self._lock:
            self._open.discard(connection)
        connection.close()

    def drop_idle(self) -> None:
        """The daemon has gone: connections to it are good for nothing."""
        with self._lock:
            idle, self._idle = self._idle, []
            self._open.difference_update(idle)
        for connection in idle:
            connection.close()

    def close(self) -> None:
        """Close everything; who waits in a connection wakes."""
        self.drop_idle()
        with self._lock:
            busy = list(self._open)
            self._open.clear()
        for connection in busy:
            connection.interrupt()

    def drop_inherited(self) -> None:
        # The lock may have been held by a thread that this process doesn't have.
        self._lock = threading.Lock()
        inherited = self._open
        self._open, self._idle, self._pid = set(), [], os.getpid()
        for connection in inherited:
            connection.close()  # Our copy only; no shutdown, which the parent would feel.
