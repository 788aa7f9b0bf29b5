"""Keeps the WAL short: checkpoints in a thread, on a connection of its own.

Layer: daemon, storage.  Below: apsw.  Above: sqlite.
A passive checkpoint never waits for anybody, but under steady load it alone lets the WAL grow
without end; past a limit one truncating checkpoint makes the writer wait for a moment.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from pathlib import Path

import apsw

#: A passive checkpoint each time the WAL has grown by so many pages of 4 KiB.
PASSIVE_PAGES = 4_000
TRUNCATE_PAGES = 16_000
_BUSY_MS = 1_000
_REST_S = 0.5

_log = logging.getLogger("noburn.checkpoint")


class Checkpointer:
    """A thread that wakes when the writer's commits have made the WAL long enough."""

    def __init__(self, writer: apsw.Connection, path: Path) -> None:
        self._path = path
        self._pages = 0
        self._due_at_pages = PASSIVE_PAGES
        self._due = threading.Event()
        self._leave = threading.Event()
        self._connection: apsw.Connection | None = None
        self.failures = 0
        writer.set_wal_hook(self._on_commit)  # replaces SQLite's own checkpoints
        self._thread = threading.Thread(target=self._run, name="checkpoint", daemon=True)
        self.start()

    def start(self) -> None:
        """Let the thread wait for work."""
        self._thread.start()

    def wake(self) -> None:
        """There is work."""
        self._due.set()

    def close(self) -> None:
        """End the thread; waits for a checkpoint under way."""
        self._leave.set()
        self._due.set()
        self._thread.join()

    def _on_commit(self, _connection: apsw.Connection, _name: str, pages: int) -> int:
        if pages < self._pages:  # the WAL has begun anew
            self._due_at_pages = PASSIVE_PAGES
        self._pages = pages
        if pages >= self._due_at_pages:
            self._due_at_pages = pages + PASSIVE_PAGES
            self.wake()
        return apsw.SQLITE_OK

    def _run(self) -> None:
        while True:
            self._due.wait()
            if self._leave.is_set():
                break
            self._due.clear()
            if not self.work():
                self._leave.wait(_REST_S)
        self.let_go()

    def work(self) -> bool:
        """Bring the WAL into the file; whether that could be done."""
        try:
            if self._connection is None:
                self._connection = apsw.Connection(str(self._path))
                self._connection.set_busy_timeout(_BUSY_MS)
                # A connection that has read nothing has no WAL: its checkpoints do nothing.
                self._connection.execute("PRAGMA schema_version").fetchall()
            self._checkpoint(self._connection)
        except apsw.Error as error:
            self.failures += 1
            _log.warning("checkpoint failed: %s", error)
            return False
        return True

    def let_go(self) -> None:
        """Close the thread's connection."""
        if self._connection is not None:
            with contextlib.suppress(apsw.Error):
                self._connection.close()

    def _checkpoint(self, connection: apsw.Connection) -> None:
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        if self._pages >= TRUNCATE_PAGES:
            connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
