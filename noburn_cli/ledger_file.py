"""Opening the ledger's file to read it; only the daemon writes.

Layer: beside reports and run_summary, below the commands.
The views `calls` and `runs` of noburn_daemon.schema are what may be relied upon.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from noburn_cli.errors import LedgerUnavailable

if TYPE_CHECKING:
    import apsw

BUSY_MS = 5_000
#: The schema whose views the readers rely on; the daemon brings an older file up to it, and a newer
#: one may mean other things by the same words.
SCHEMA = 3
_VIEWS = "SELECT count(*) FROM sqlite_schema WHERE type = 'view' AND name IN ('calls', 'runs')"


def open_ledger(path: Path) -> apsw.Connection:
    """Open the ledger read-only, while the daemon may be writing it, or making it anew.

    Raises LedgerUnavailable when there is none yet, or it is not readable as a ledger.
    """
    while True:
        before = _place(path)
        connection = _open(path)
        if _place(path) == before:
            return connection
        # Another file took the name in between, and the log that was opened may be that one's.
        connection.close()


def _place(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def no_ledger(path: Path) -> LedgerUnavailable:
    """The error for a file that is not there."""
    return LedgerUnavailable(
        f"there is no ledger at {path}",
        why="nothing has been recorded yet",
        next_step="record something with `noburn run -- COMMAND`, or check NOBURN_HOME",
    )


def _open(path: Path) -> apsw.Connection:
    import apsw

    if not path.exists():
        raise no_ledger(path)
    try:
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    except apsw.Error as error:
        raise _unreadable(path, error) from error
    try:
        connection.set_busy_timeout(BUSY_MS)
        # Touches the file: a wrong or damaged one is found here and not in the middle of a report.
        views = next(iter(connection.execute(_VIEWS)))[0]
        version = next(iter(connection.execute("PRAGMA user_version")))[0]
    except apsw.Error as error:
        connection.close()
        raise _unreadable(path, error) from error
    if views != 2:
        connection.close()
        raise _unreadable(path, "it is a database, but not a ledger")
    if version > SCHEMA:
        connection.close()
        raise LedgerUnavailable(
            f"the ledger at {path} was written by a newer noburn (schema {version})",
            why=f"this one reads schema {SCHEMA}",
            next_step="upgrade noburn, or set NOBURN_HOME to another folder",
        )
    if version < SCHEMA:
        connection.close()
        raise LedgerUnavailable(
            f"the ledger at {path} is as an older noburn wrote it (schema {version})",
            why=f"this noburn reads schema {SCHEMA}; its daemon migrates the file when it starts",
            next_step="run `noburn daemon start`, which keeps a copy of the file as it is",
        )
    return connection


@contextlib.contextmanager
def reading_ledger(path: Path) -> Iterator[apsw.Connection]:
    """The ledger at one moment: all that is read inside belongs together.

    Raises LedgerUnavailable as `open_ledger` does, and when reading fails inside.
    """
    import apsw

    connection = open_ledger(path)
    try:
        with connection:
            yield connection
    except apsw.Error as error:
        raise _unreadable(path, error) from error
    finally:
        connection.close()


def _unreadable(path: Path, why: object) -> LedgerUnavailable:
    return LedgerUnavailable(
        f"the ledger at {path} cannot be read",
        why=str(why),
        next_step="`noburn ledger verify` says what is wrong with it",
    )
