"""Opening the ledger's file: how it is written, and which schema it has.

Layer: daemon, storage.  Below: apsw, schema.  Above: sqlite.
Owns: the migrations' run, and the copy that is kept before the first step.
Not here: what the tables are (schema), who may open the file (server holds the lock).
"""

from __future__ import annotations

import os
from pathlib import Path

import apsw

from noburn_cli.errors import LedgerUnavailable
from noburn_daemon import schema

_CHUNK_BYTES = 1024 * 1024


def prepare(connection: apsw.Connection, path: Path, synchronous: str) -> None:
    """Make a connection write ahead, as durably as `synchronous` says.

    Raises LedgerUnavailable where the file system cannot, or when the file is newer than we are
    (it is left as it is); apsw.Error, OSError.
    """
    execute = connection.execute
    _refuse_newer(_version(connection), path)
    mode = execute("PRAGMA journal_mode = WAL").fetchone()
    if mode is None or mode[0] != "wal":
        raise LedgerUnavailable(
            f"the ledger at {path} cannot use a write-ahead log",
            why="its file system lacks shared memory or locks, as network drives do",
            next_step="set NOBURN_HOME to a folder on a local disk",
        )
    execute(f"PRAGMA synchronous = {synchronous}")
    execute("PRAGMA foreign_keys = OFF")
    execute("PRAGMA cache_size = -16000")
    if synchronous == "FULL":
        _write_log_again(path)


def _write_log_again(path: Path) -> None:
    """Make what a daemon that died left in the log durable: the same bytes, written and synced.

    A sync that failed may have left pages in the system's cache that are called clean and are not
    on the disk (https://lwn.net/Articles/752063/, 2018).  SQLite finds them in the log, and goes on
    behind them, or brings them into the file; after a power failure the log would end before them.
    Raises OSError.
    """
    try:
        log = path.with_name(path.name + "-wal").open("r+b", buffering=0)
    except FileNotFoundError:
        return
    with log:
        at = 0
        while chunk := log.read(_CHUNK_BYTES):
            log.seek(at)
            at += log.write(chunk)
            log.seek(at)
        os.fsync(log.fileno())


def migrate(connection: apsw.Connection, path: Path, now_ms: int) -> None:
    """Bring a file up to our schema, each step in one transaction with its record.

    Raises LedgerUnavailable when it is newer than we are; apsw.Error, OSError.
    """
    execute = connection.execute
    version = _version(connection)
    _refuse_newer(version, path)
    if 0 < version < schema.VERSION:
        _keep_copy(connection, path, version)
    for number in range(version + 1, schema.VERSION + 1):
        with connection:
            execute(schema.MIGRATIONS[number])
            execute("INSERT INTO migrations VALUES (?, ?)", (number, now_ms))
            execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
            execute(f"PRAGMA user_version = {number}")


def _version(connection: apsw.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])  # type: ignore[index]


def _refuse_newer(version: int, path: Path) -> None:
    if version > schema.VERSION:
        raise LedgerUnavailable(
            f"the ledger at {path} was written by a newer noburn (schema {version})",
            why=f"this one knows schema {schema.VERSION}",
            next_step="upgrade noburn, or set NOBURN_HOME to another folder",
        )


def _keep_copy(connection: apsw.Connection, path: Path, version: int) -> None:
    """Keep the file as it was before a migration: `ledger.sqlite3.schema-1`, owner only.

    Whole or not at all: it gets its name when it is on the disk.
    """
    kept = path.with_name(f"{path.name}.schema-{version}")
    unfinished = kept.with_name(kept.name + ".part")
    unfinished.unlink(missing_ok=True)
    unfinished.touch(mode=0o600)
    copy = apsw.Connection(str(unfinished))
    try:
        with copy.backup("main", connection, "main") as backup:
            backup.step(-1)
        copy.execute("PRAGMA journal_mode = DELETE")
    finally:
        copy.close()
    with unfinished.open("rb") as file:
        os.fsync(file.fileno())
    unfinished.rename(kept)
