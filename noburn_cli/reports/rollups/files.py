"""The cache's file: opening it beside the ledger, making it, throwing it away.

Layer: reports, I/O.  Below: ledger_file.  Above: cache, commands.ledger (what was forgotten).
Owns: that no two processes mix up an old file with a new log of the same name.  SQLite finds its
log by name, so whoever opens the file holds a lock (shared) until the log is open as well, and
whoever throws it away holds it alone.  Those who have it open keep what they have.

Only its owner can read it (0600), like the ledger: it holds the same names and amounts.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from noburn_cli.ledger_file import BUSY_MS, open_ledger

if TYPE_CHECKING:
    import apsw

_OWNER_ONLY = 0o600
_SUFFIXES = ("", "-wal", "-shm")
#: Pages kept in memory: sums of a chunk are made in tables of some tens of megabytes.
_CACHE_KIB = 65_536


class Unusable(Exception):
    """No sums can be kept here; the message says why.  The ledger itself can still be read."""


def open_cache(cache_path: Path, ledger_path: Path) -> tuple[apsw.Connection, int]:
    """A connection with the cache as `main` and the ledger, read-only, as `ledger`; the file's
    inode.

    The file may be empty.  Raises Unusable, apsw.Error; LedgerUnavailable without a ledger.
    """
    open_ledger(ledger_path).close()  # says what is wrong with it, in words
    while True:
        with _locked(cache_path, fcntl.LOCK_SH):
            connection, inode = _open(cache_path)
        before = _place(ledger_path)
        try:
            attach_ledger(connection, ledger_path)
        except BaseException:
            connection.close()
            raise
        if _place(ledger_path) == before:
            return connection, inode
        # Another file took the ledger's name in between, and the log may be that one's.
        connection.close()


def attach_ledger(connection: apsw.Connection, ledger_path: Path) -> None:
    """Make the ledger's tables readable as `ledger`.  Raises apsw.Error."""
    connection.execute("ATTACH ? AS ledger", (f"file:{quote(str(ledger_path))}?mode=ro",))
    connection.execute("SELECT count(*) FROM ledger.sqlite_schema").fetchone()


def _open(cache_path: Path) -> tuple[apsw.Connection, int]:
    import apsw

    try:
        descriptor = os.open(cache_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _OWNER_ONLY)
    except OSError as error:
        raise Unusable(f"{cache_path.name} cannot be written: {error.strerror}") from error
    try:
        inode = os.fstat(descriptor).st_ino
    finally:
        os.close(descriptor)
    connection = apsw.Connection(
        str(cache_path), flags=apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_URI
    )
    try:
        connection.set_busy_timeout(BUSY_MS)
        mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode is None or mode[0] != "wal":
            raise Unusable("its folder cannot hold a write-ahead log")
        # NORMAL: a power failure may lose the last sums, never their agreement with `upto`.
        connection.execute("PRAGMA synchronous = NORMAL; PRAGMA secure_delete = ON")
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}; PRAGMA temp_store = MEMORY")
        connection.execute("SELECT count(*) FROM main.sqlite_schema").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection, inode


def throw_away(cache_path: Path, inode: int | None = None) -> None:
    """Delete the file and its log.

    inode: only while the name is this file's: another process may have made it anew already.
    Raises Unusable.
    """
    with _locked(cache_path, fcntl.LOCK_EX):
        if inode is not None and _inode(cache_path) != inode:
            return
        for suffix in _SUFFIXES:
            try:
                cache_path.with_name(cache_path.name + suffix).unlink(missing_ok=True)
            except OSError as error:
                raise Unusable(f"{cache_path.name} cannot be replaced: {error.strerror}") from error


@contextlib.contextmanager
def _locked(cache_path: Path, how: int) -> Iterator[None]:
    """Hold the lock of the name.  Raises Unusable where no lock can be made."""
    path = cache_path.with_name(cache_path.name + ".lock")
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _OWNER_ONLY)
    except OSError as error:
        raise Unusable(f"{path.name} cannot be written: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, how)
        yield
    except OSError as error:
        raise Unusable(f"{path.name} cannot be locked: {error.strerror}") from error
    finally:
        os.close(descriptor)


def _place(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _inode(path: Path) -> int | None:
    place = _place(path)
    return None if place is None else place[1]
