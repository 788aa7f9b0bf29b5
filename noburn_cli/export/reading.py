"""Reading what is exported: some rows at a time, each step at one moment of the ledger.

Layer: export, I/O.  Below: ledger_file, columns.  Above: job.
Owns: the order (by the number of the row) and the border (the last row when the export began).
A call is told as it stands when it is read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noburn_cli.export.columns import CALLS, COLUMNS, OF_CALLS, OF_JOURNAL
from noburn_cli.ledger_file import reading_ledger

if TYPE_CHECKING:
    import apsw

#: So many rows are read, written and remembered together.
STEP_ROWS = 1_000

_PLACES = """
    SELECT j.seq, CASE j.kind WHEN 'correction' THEN 'correction:' || json_extract(j.detail, '$.id')
      ELSE j.call END
    FROM journal AS j
    WHERE j.seq > :after AND j.seq <= :upto AND j.at_ms >= :since AND j.at_ms < :until
      AND (j.kind IN ('reserve', 'blocked', 'refused')
        OR (j.kind = 'correction' AND j.cost_nano IS NOT NULL))
      AND NOT EXISTS (SELECT 1 FROM journal AS c WHERE c.call = j.call AND c.seq > j.seq
        AND j.kind <> 'correction' AND c.kind IN ('reserve', 'blocked', 'refused'))
    ORDER BY j.seq LIMIT :limit
"""
_CALLS = (
    f"SELECT {', '.join(column.sql for column in OF_CALLS[1:])} FROM calls"  # noqa: S608 -- ours
    " WHERE call IN (SELECT value FROM json_each(?))"
)
_ROWS = (
    f"SELECT {', '.join(column.sql for column in OF_JOURNAL)} FROM journal AS j"  # noqa: S608
    " WHERE seq > :after AND seq <= :upto AND at_ms >= :since AND at_ms < :until"
    " ORDER BY seq LIMIT :limit"
)
_HEAD = "SELECT seq, chain FROM journal ORDER BY seq DESC LIMIT 1"

Row = tuple[Any, ...]


@dataclass(frozen=True)
class Border:
    """The last row when an export began, and its link in hex."""

    seq: int
    link: str


def border(ledger_path: Path) -> Border:
    """The ledger's last row.  Raises LedgerUnavailable."""
    with reading_ledger(ledger_path) as connection:
        row = next(iter(connection.execute(_HEAD)), (0, b""))
    return Border(int(row[0]), bytes(row[1]).hex())


def link_of(connection: apsw.Connection, seq: int) -> str:
    """The link of a row, in hex; "" when there is none of that number."""
    found = connection.execute("SELECT chain FROM journal WHERE seq = ?", (seq,))
    return bytes(next(iter(found), (b"",))[0]).hex()


def still_there(ledger_path: Path, at: Border) -> bool:
    """Whether that row is still the one of that number."""
    with reading_ledger(ledger_path) as connection:
        return not at.seq or link_of(connection, at.seq) == at.link


def steps(
    ledger_path: Path, what: str, *, after: int, upto: int, since_ms: int | None,
    until_ms: int | None,
) -> Iterator[tuple[int, list[Row]]]:  # fmt: skip
    """(number of the last row read, rows in COLUMNS' order), step by step.

    since_ms, until_ms: recorded at or after, and before.  Raises LedgerUnavailable.
    """
    values = {
        "upto": upto, "since": since_ms or 0, "until": 2**62 if until_ms is None else until_ms,
        "limit": STEP_ROWS,
    }  # fmt: skip
    read = _read_calls if what == CALLS else _read_rows
    while True:
        with reading_ledger(ledger_path) as connection:
            last, rows = read(connection, {**values, "after": after})
        if not last:
            return
        after = last
        yield last, rows


def _read_rows(connection: apsw.Connection, values: dict[str, int]) -> tuple[int, list[Row]]:
    rows = list(connection.execute(_ROWS, values))
    return (int(str(rows[-1][0])) if rows else 0), rows


def _read_calls(connection: apsw.Connection, values: dict[str, int]) -> tuple[int, list[Row]]:
    places: dict[str, int] = {str(c): int(str(s)) for s, c in connection.execute(_PLACES, values)}
    if not places:
        return 0, []
    found = connection.execute(_CALLS, (json.dumps(list(places)),))
    rows = [(places[str(row[0])], *row) for row in found]
    return max(places.values()), sorted(rows, key=lambda row: row[0])


assert COLUMNS[CALLS] is OF_CALLS  # what is read is what is described
