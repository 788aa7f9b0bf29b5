"""Opening the ledger's file to read it; only the daemon writes.

Layer: beside reports and run_summary, below the commands.
The views `calls` and `runs` of noburn_daemon.schema are what may be relied upon.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from noburn_cli.errors import LedgerUnavailable

if TYPE_CHECKING:
    import apsw

BUSY_MS = 5_000


def open_ledger(path: Path) -> apsw.Connection:
    """Open the ledger read-only, while the daemon may be writing it.

    Raises LedgerUnavailable when there is none yet, or it is not readable as a ledger.
    """
    import apsw

    if not path.exists():
        raise LedgerUnavailable(
            f"there is no ledger at {path}",
            why="nothing has been recorded yet",
            next_step="record something with `noburn run -- COMMAND`, or check NOBURN_HOME",
        )
    try:
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        connection.set_busy_timeout(BUSY_MS)
        # Touches the file: a wrong or damaged one is found here and not in the middle of a report.
        next(iter(connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'calls'")))
    except apsw.Error as error:
        raise LedgerUnavailable(
            f"the ledger at {path} cannot be read",
            why=str(error),
            next_step="`noburn ledger verify` says what is wrong with it",
        ) from error
    return connection
