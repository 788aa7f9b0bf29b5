"""Days and months of further time zones, made from the cells.

Layer: reports, I/O (SQL).  Below: merging, localtime.  Above: cache.
Owns: which zones have sums, and under which rules their days were cut.  UTC always has; another
zone when a report first asks for it.  A zone whose rules changed (a new tzdata) is made anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from noburn_cli.core.windows import UTC
from noburn_cli.reports.localtime import LocalTime
from noburn_cli.reports.rollups import changes, merging

if TYPE_CHECKING:
    import apsw

#: Each costs what UTC costs, in room and in time of catching up: the oldest goes for a newer one.
ZONES_MAX = 4
#: How many quarter-hours are taken at once: a month's.
_STEP_SLOTS = 3_000
#: From when on ledgers have calls.
_FIRST_YEAR, _YEARS = 2020, 40


def zones_of(connection: apsw.Connection) -> list[tuple[int, str]]:
    """The zones that have sums, by number: the oldest first."""
    rows = connection.execute("SELECT id, name FROM zones ORDER BY id")
    return [(int(number), str(name)) for number, name in rows]


def find_zone(connection: apsw.Connection, local: LocalTime) -> int | None:
    """The number of a zone whose sums are there, cut by today's rules; else None."""
    row = connection.execute("SELECT id, rules FROM zones WHERE name = ?", (local.zone,)).fetchone()
    return None if row is None or row[1] != rules_of(local) else int(row[0])


def add_zone(
    connection: apsw.Connection, local: LocalTime, tell: Callable[[int, int], None]
) -> int:
    """Make the sums of a zone inside the caller's transaction; return its number.

    tell: hears how many quarter-hours are done, of how many.
    """
    old = connection.execute("SELECT id FROM zones WHERE name = ?", (local.zone,)).fetchone()
    if old is not None:
        _drop(connection, old[0])
    others = [number for number, name in zones_of(connection) if name != UTC]
    for number in others[: max(0, len(others) - ZONES_MAX + 1)]:
        _drop(connection, number)
    connection.execute(
        "INSERT INTO zones (id, name, rules)"
        " VALUES ((SELECT coalesce(max(id), 0) + 1 FROM zones), ?, ?)",
        (local.zone, rules_of(local)),
    )
    number = connection.last_insert_rowid()
    changes.prepare(connection)
    merging.prepare(connection)
    borders = "SELECT min(slot), max(slot) FROM cells WHERE slot >= 0"
    first, last = connection.execute(borders).fetchone() or (None, None)
    if first is not None and last is not None:
        for begin in range(first, last + 1, _STEP_SLOTS):
            tell(begin - first, last + 1 - first)
            merging.take_cells(connection, begin, begin + _STEP_SLOTS)
            merging.merge_sums(connection, number, local, taken="taken")
    return number


def _drop(connection: apsw.Connection, number: int) -> None:
    for table in ("sums", "latencies"):
        connection.execute(f"DELETE FROM {table} WHERE zone = ?", (number,))  # noqa: S608 -- ours
    connection.execute("DELETE FROM zones WHERE id = ?", (number,))


def rules_of(local: LocalTime) -> str:
    """A digest of how a zone's days are cut in the years of any ledger."""
    if local.zone == UTC:
        return UTC
    from zoneinfo import ZoneInfo

    zone = ZoneInfo(local.zone)
    seen = hashlib.sha256()
    for year in range(_FIRST_YEAR, _FIRST_YEAR + _YEARS):
        for month in range(1, 13):
            for day in (1, 15):
                noon = datetime(year, month, day, 12, tzinfo=timezone.utc)
                seen.update(str(noon.astimezone(zone).utcoffset()).encode())
    return seen.hexdigest()
