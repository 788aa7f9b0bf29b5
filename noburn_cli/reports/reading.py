"""One moment of the ledger: every row that is read inside belongs to the same commit.

Layer: reports, I/O.  Below: ledger_file.  Above: the readers of this package.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from noburn_cli.errors import LedgerUnavailable
from noburn_cli.ledger_file import open_ledger

if TYPE_CHECKING:
    import apsw


@contextlib.contextmanager
def reading(ledger_path: Path) -> Iterator[apsw.Connection]:
    """A read-only connection inside one transaction.

    Raises LedgerUnavailable when there is no ledger, or the file turns out to be damaged.
    """
    import apsw

    connection = open_ledger(ledger_path)
    try:
        with connection:
            yield connection
    except apsw.Error as error:
        raise LedgerUnavailable(
            f"the ledger at {ledger_path} cannot be read to its end",
            why=f"{type(error).__name__}: {error}",
            next_step="stop the daemon, and restore the file from a backup",
        ) from error
    finally:
        connection.close()


def check_pages(connection: apsw.Connection) -> None:
    """Look at every page of the file, used by a report or not.  Raises apsw.CorruptError."""
    import apsw

    (found,) = connection.execute("PRAGMA quick_check(1)").fetchone() or ("nothing was checked",)
    if found != "ok":
        raise apsw.CorruptError(str(found).replace("\n", "; "))
