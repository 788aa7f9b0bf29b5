"""The file of imported calls: opening it, to write or to read.

Layer: importing, I/O.  Below: schema, paths.  Above: writing, batches, job; reports read the view.
Owns: who may read it (its owner alone), and that a transaction is whole or nothing.
Several imports may run at once: each commit is a step of its own, and a record is known by its id.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noburn_cli import paths
from noburn_cli.errors import LedgerUnavailable, NoburnError
from noburn_cli.importing import schema

if TYPE_CHECKING:
    import apsw

BUSY_MS = 30_000


class Store:
    """An open file, in which one import at a time writes its steps."""

    def __init__(self, connection: apsw.Connection, path: Path) -> None:
        self.connection = connection
        self.path = path

    def execute(self, sql: str, values: object = ()) -> Iterator[Any]:
        """Run one statement.  Raises apsw.Error."""
        return self.connection.execute(sql, values)  # type: ignore[arg-type]

    @contextlib.contextmanager
    def step(self) -> Iterator[None]:
        """One transaction: all of it is kept, or nothing.  Raises NoburnError on a full disk."""
        import apsw

        try:
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.connection.execute("UPDATE meta SET value = value + 1 WHERE key = 'changes'")
                self.connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(apsw.Error):
                    self.connection.execute("ROLLBACK")
                raise
        except apsw.Error as error:
            raise NoburnError(
                f"{self.path} cannot be written",
                why=f"{type(error).__name__}: {error}",
                next_step="what was kept before is there; mend that and import again",
            ) from error


@contextlib.contextmanager
def open_store(home: Path) -> Iterator[Store]:
    """The file of a home, to write; it is made where it is missing.

    Raises LedgerUnavailable for a file that is none of ours, or a newer noburn's.
    """
    import apsw

    path = paths.imports_path(home)
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    try:
        connection = apsw.Connection(str(path))
    except apsw.Error as error:
        raise _unreadable(path, error) from error
    try:
        _prepare(connection, path)
        yield Store(connection, path)
    except apsw.Error as error:
        raise _unreadable(path, error) from error
    finally:
        connection.close()


@contextlib.contextmanager
def read_store(home: Path) -> Iterator[apsw.Connection | None]:
    """The file of a home at one moment, to read; None where there is none.

    Raises LedgerUnavailable.
    """
    import apsw

    path = paths.imports_path(home)
    if not path.exists() or path.stat().st_size == 0:
        yield None
        return
    try:
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    except apsw.Error as error:
        raise _unreadable(path, error) from error
    try:
        connection.set_busy_timeout(BUSY_MS)
        _check(connection, path)
        with connection:
            yield connection
    except apsw.Error as error:
        raise _unreadable(path, error) from error
    finally:
        connection.close()


def _prepare(connection: apsw.Connection, path: Path) -> None:
    connection.set_busy_timeout(BUSY_MS)
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "secure_delete = ON",
                   "temp_store = FILE", "cache_size = -16000"):  # fmt: skip
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("BEGIN IMMEDIATE")
    try:
        if _number(connection, "user_version") == 0 and not _number(connection, "application_id"):
            connection.execute(schema.TABLES + schema.VIEWS)
            connection.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {schema.VERSION}")
        _check(connection, path)
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _check(connection: apsw.Connection, path: Path) -> None:
    if _number(connection, "application_id") != schema.APPLICATION_ID:
        raise _unreadable(path, "it is a database, but none of imported calls")
    version = _number(connection, "user_version")
    if version > schema.VERSION:
        raise LedgerUnavailable(
            f"{path} was written by a newer noburn (schema {version})",
            why=f"this one reads schema {schema.VERSION}",
            next_step="upgrade noburn, or set NOBURN_HOME to another folder",
        )


def _number(connection: apsw.Connection, pragma: str) -> int:
    return int(next(iter(connection.execute(f"PRAGMA {pragma}")))[0])


def _unreadable(path: Path, why: object) -> LedgerUnavailable:
    return LedgerUnavailable(
        f"the imported calls at {path} cannot be read",
        why=f"{type(why).__name__}: {why}" if isinstance(why, Exception) else str(why),
        next_step="move the file away and import again; the sources are unchanged",
    )
