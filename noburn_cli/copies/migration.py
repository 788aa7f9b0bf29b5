"""Which schema a ledger's file has, and bringing it up to ours before a daemon does.

Layer: copies, I/O.  Below: ledger_file, client.starting.  Above: copies.restore, commands.ledger.
Owns: what each step means, in words.  Not here: the steps (noburn_daemon.schema), which a process
of the daemon's package does.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from noburn_cli.errors import LedgerUnavailable
from noburn_cli.ledger_file import SCHEMA, no_ledger

if TYPE_CHECKING:
    import apsw

#: What each schema brought, by its number.
STEPS = {
    2: "kinds of usage beyond text, fees and ceilings; budgets that kill",
    3: "time zones, rolling windows, carry-over, schedules; notifications; corrections; "
    "compacting and forgetting",
}


@dataclass(frozen=True)
class Standing:
    """A file's schema beside ours."""

    schema: int
    ours: int = SCHEMA

    @property
    def steps(self) -> tuple[tuple[int, str], ...]:
        """What is to be done, in order."""
        return tuple((number, STEPS[number]) for number in range(self.schema + 1, self.ours + 1))


def look(path: Path) -> Standing:
    """Which schema a file has.  Raises LedgerUnavailable when there is none, or it is no ledger."""
    import apsw

    if not path.exists():
        raise no_ledger(path)
    try:
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            version = _number(connection, "PRAGMA user_version")
            tables = _number(
                connection, "SELECT count(*) FROM sqlite_schema WHERE name = 'journal'"
            )
        finally:
            connection.close()
    except apsw.Error as error:
        raise LedgerUnavailable(f"{path} cannot be read", why=str(error)) from error
    if not version or not tables:
        raise LedgerUnavailable(f"{path} is not a ledger", why="it has no journal")
    return Standing(version)


def migrate_file(path: Path) -> None:
    """Bring a file up to our schema, keeping a copy beside it.  No daemon may have it open.

    Raises LedgerUnavailable with what the process said.
    """
    done = subprocess.run(
        [sys.executable, "-m", "noburn_daemon.migrating", str(path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise LedgerUnavailable(
            f"{path} could not be migrated",
            why=said[-1] if said else f"exit code {done.returncode}",
            next_step="it is as it was: check free space and permissions of its folder",
        )


def _number(connection: apsw.Connection, sql: str) -> int:
    row = connection.execute(sql).fetchone()
    return 0 if row is None else int(row[0])
