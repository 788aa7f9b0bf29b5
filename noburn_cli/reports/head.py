"""How far the ledger has come: cheap to ask, and the same while nothing is written.

Layer: reports, I/O.  Below: reading.  Above: the dashboard.
"""

from __future__ import annotations

from pathlib import Path

from noburn_cli.reports.reading import reading

_HEAD = "SELECT coalesce(max(seq), 0) FROM journal"


def read_head(ledger_path: Path) -> int:
    """The number of the journal's last row.  Raises LedgerUnavailable."""
    with reading(ledger_path) as connection:
        (found,) = next(iter(connection.execute(_HEAD)))
    return int(found)
