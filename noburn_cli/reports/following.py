"""The journal's rows as they are committed, with what each is about.

Layer: reports, I/O.  Below: ledger_file.  Above: commands.ledger.
Owns: noticing that there are new rows without asking the file all the time, across a file that is
made anew or restored.

Watching a file is another interface on every system.  A look at the size and time of the log
(`ledger.sqlite3-wal`) is one system call, says whether anything was committed, and is the same
everywhere; only when it has changed is the file itself asked (PRAGMA data_version is for the same,
and costs a lock).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from noburn_cli.errors import LedgerUnavailable
from noburn_cli.ledger_file import open_ledger, reading_ledger

if TYPE_CHECKING:
    import apsw

#: How often the log is looked at: ten microseconds' work, a delay that nobody sees.
LOOK_S = 0.05
#: A look at the file itself, in case the log's place lies on a file system without fine times.
ASK_S = 2.0
_STEP_ROWS = 500

#: A row that ends a call names it alone: attributes and model are those of its reserve.
_ROWS = """
    SELECT j.seq, j.at_ms, j.kind, j.call, coalesce(j.run, json_extract(x.text, '$.run')),
      json_extract(x.text, '$.customer'), json_extract(x.text, '$.feature'),
      coalesce(json_extract(m.text, '$[2]'), json_extract(m.text, '$[1]')),
      j.hold_nano, j.cost_nano, j.cost_tokens, j.granted, j.status, j.failure, j.detail
    FROM journal AS j
    LEFT JOIN journal AS r ON j.context IS NULL AND r.seq = (
      SELECT min(c.seq) FROM journal AS c WHERE c.call = j.call AND c.kind = 'reserve')
    LEFT JOIN names AS x ON x.id = coalesce(j.context, r.context)
    LEFT JOIN names AS m ON m.id = coalesce(j.model, r.model)
    WHERE j.seq > :after {conditions}
    ORDER BY j.seq LIMIT :limit
"""
_LAST = """
    SELECT coalesce(min(seq), 1) - 1 FROM (
      SELECT j.seq AS seq FROM journal AS j
      LEFT JOIN journal AS r ON j.context IS NULL AND r.seq = (
        SELECT min(c.seq) FROM journal AS c WHERE c.call = j.call AND c.kind = 'reserve')
      LEFT JOIN names AS x ON x.id = coalesce(j.context, r.context)
      WHERE 1 {conditions} ORDER BY j.seq DESC LIMIT :limit)
"""


@dataclass(frozen=True)
class Entry:
    """One row, with the attributes and model of its call.  Amounts in nano-dollars, epoch ms."""

    seq: int
    at_ms: int
    kind: str
    call: str | None
    run: str | None
    customer: str | None
    feature: str | None
    model: str | None
    hold_nano: int | None
    cost_nano: int | None
    cost_tokens: int | None
    granted: int | None
    status: int | None
    failure: str | None
    detail: str | None


@dataclass(frozen=True)
class Filter:
    """Which rows: of these kinds, of this customer.  `name` and `book` rows only when asked for."""

    kinds: tuple[str, ...] = ()
    customer: str | None = None
    values: dict[str, str | int] = field(init=False, default_factory=dict)

    @property
    def conditions(self) -> str:
        """SQL, and its values into `values`."""
        found = ["AND j.kind NOT IN ('name', 'book')"]
        if self.kinds:
            places = []
            for number, kind in enumerate(self.kinds):
                self.values[f"kind{number}"] = kind
                places.append(f":kind{number}")
            found = [f"AND j.kind IN ({', '.join(places)})"]
        if self.customer is not None:
            self.values["customer"] = self.customer
            found.append("AND json_extract(x.text, '$.customer') = :customer")
        return " ".join(found)


def last_entries(ledger_path: Path, wanted: Filter, count: int) -> tuple[list[Entry], int]:
    """The last rows, oldest first, and the number of the journal's last row.

    Raises LedgerUnavailable.
    """
    with reading_ledger(ledger_path) as connection:
        head = _one(connection, "SELECT coalesce(max(seq), 0) FROM journal", {})
        if not count:
            return [], head
        sql = _LAST.format(conditions=wanted.conditions)
        after = _one(connection, sql, {**wanted.values, "limit": count})
        return _read(connection, wanted, after, count), head


def follow(
    ledger_path: Path, wanted: Filter, after: int, *, sleep: Callable[[float], None] = time.sleep
) -> Iterator[Entry]:
    """Every row after one, as it is committed; never ends by itself.

    A ledger that is made anew keeps its numbers, and is gone on with; one that was restored to
    fewer rows is gone on with from its end.  Raises LedgerUnavailable.
    """
    while True:
        file = _identity(ledger_path)
        connection = open_ledger(ledger_path)
        try:
            head = _one(connection, "SELECT coalesce(max(seq), 0) FROM journal", {})
            after = min(after, head)
            while True:
                seen = stamp(ledger_path)
                head = _one(connection, "SELECT coalesce(max(seq), 0) FROM journal", {})
                while entries := _read(connection, wanted, after, _STEP_ROWS):
                    yield from entries
                    after = entries[-1].seq
                after = max(after, head)
                wait_for_commit(ledger_path, seen, sleep)
                if _identity(ledger_path) != file:
                    break
        finally:
            connection.close()


def _read(connection: apsw.Connection, wanted: Filter, after: int, limit: int) -> list[Entry]:
    sql = _ROWS.format(conditions=wanted.conditions)
    values = {**wanted.values, "after": after, "limit": limit}
    return [Entry(*row) for row in connection.execute(sql, values)]


def _one(connection: apsw.Connection, sql: str, values: dict[str, str | int]) -> int:
    return int(next(iter(connection.execute(sql, values)))[0])


def _identity(path: Path) -> tuple[int, int]:
    """Which file has the name.  Raises LedgerUnavailable when none has."""
    try:
        found = path.stat()
    except FileNotFoundError as error:
        raise LedgerUnavailable(f"the ledger at {path} was taken away") from error
    return found.st_dev, found.st_ino


def stamp(path: Path) -> tuple[object, ...]:
    """What changes with every commit: size and time of the log, and of the file."""
    found: list[object] = []
    for name in (path.with_name(path.name + "-wal"), path):
        try:
            status = name.stat()
        except FileNotFoundError:
            found.append(None)
        else:
            found.append((status.st_ino, status.st_size, status.st_mtime_ns))
    return tuple(found)


def wait_for_commit(
    path: Path, seen: tuple[object, ...], sleep: Callable[[float], None] = time.sleep
) -> None:
    """Until something was committed, or it is time to ask all the same."""
    waited_s = 0.0
    while waited_s < ASK_S and stamp(path) == seen:
        sleep(LOOK_S)
        waited_s += LOOK_S
