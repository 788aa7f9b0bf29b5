"""How far an export is, beside what it had counted: a small file for each destination.

Layer: otel, I/O.  Below: export.reading (Border), sums; apsw.  Above: job.
Owns: the file, that one export at a time uses it, and that a step is remembered whole or not at
all.  No name of a customer or model is in it: series are kept under digests.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from noburn_cli.errors import NoburnError, UsageError
from noburn_cli.export.reading import Border
from noburn_cli.otel.sums import Counts, Series

if TYPE_CHECKING:
    import apsw

_VERSION = "1"
_TABLES = """
    CREATE TABLE IF NOT EXISTS place (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS series (key TEXT PRIMARY KEY, counts TEXT NOT NULL) STRICT;
"""


@dataclass
class Place:
    """Where an export is.

    what: spans, metrics or both.  border: the last row that was exported.
    started_ns: when the counts begin.  time_ns: of the last data points.  bytes_: of each file.
    """

    what: str
    since_ms: int
    border: Border
    started_ns: int = 0
    time_ns: int = 0
    spans_bytes: int = 0
    metrics_bytes: int = 0


class Cursor:
    """The file, open.  is_new: nothing was exported by it yet."""

    def __init__(self, name: str, connection: apsw.Connection) -> None:
        connection.execute(_TABLES)
        self._name, self._connection = name, connection
        found = self._read()
        self.is_new = found is None
        self.place = found or Place("", 0, Border(0, ""))

    def recall(self, series: Series, bounds: Sequence[float]) -> Counts:
        """A series as it was remembered, or nothing counted.  Raises NoburnError."""
        sql = "SELECT counts FROM series WHERE key = ?"
        row = next(iter(self._connection.execute(sql, (series.key,))), None)
        try:
            return Counts(bounds) if row is None else Counts.of_text(str(row[0]), bounds)
        except ValueError as error:
            raise self._unreadable(error) from error

    def remember(self, place: Place, changed: Mapping[Series, Counts]) -> None:
        """Keep a step: its place and what it counted, in one transaction, on the disk."""
        with self._connection:
            self._connection.executemany(
                "INSERT OR REPLACE INTO series VALUES (?, ?)",
                [(series.key, counts.text()) for series, counts in changed.items()],
            )
            self._connection.executemany(
                "INSERT OR REPLACE INTO place VALUES (?, ?)", list(_texts(place).items())
            )
        self.place, self.is_new = place, False

    def _read(self) -> Place | None:
        """Raises NoburnError."""
        found = {str(k): str(v) for k, v in self._connection.execute("SELECT * FROM place")}
        if not found:
            return None
        try:
            if found["version"] != _VERSION:
                raise ValueError(f"it is of version {found['version']}")
            border = Border(int(found["seq"]), found["link"])
            return Place(
                found["what"], int(found["since_ms"]), border, int(found["started_ns"]),
                int(found["time_ns"]), int(found["spans_bytes"]), int(found["metrics_bytes"]),
            )  # fmt: skip
        except (KeyError, ValueError) as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: Exception) -> NoburnError:
        return NoburnError(
            f"{self._name} cannot be read", why=str(error), next_step="export with --restart"
        )


def _texts(place: Place) -> dict[str, str]:
    return {
        "version": _VERSION,
        "what": place.what,
        "since_ms": str(place.since_ms),
        "seq": str(place.border.seq),
        "link": place.border.link,
        "started_ns": str(place.started_ns),
        "time_ns": str(place.time_ns),
        "spans_bytes": str(place.spans_bytes),
        "metrics_bytes": str(place.metrics_bytes),
    }


@contextlib.contextmanager
def opened(path: Path | None, *, restart: bool) -> Iterator[Cursor]:
    """The cursor, for one export at a time; without a path one that nothing outlives.

    restart: forget what was remembered.  Raises UsageError while another export uses it,
    NoburnError when it cannot be opened.
    """
    import apsw

    if path is None:
        yield Cursor("the cursor", apsw.Connection(":memory:"))
        return
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        connection = apsw.Connection(str(path))
        try:
            _take(connection, path)
            if restart:
                connection.execute("DROP TABLE IF EXISTS place; DROP TABLE IF EXISTS series")
            yield Cursor(str(path), connection)
        finally:
            connection.close()
    except OSError as error:
        raise NoburnError(f"{path} cannot be written", why=error.strerror or "") from error
    except apsw.Error as error:
        raise NoburnError(
            f"{path}, which remembers how far the export is, cannot be used",
            why=str(error),
            next_step="mend that, or take it away and export everything again",
        ) from error


def _take(connection: apsw.Connection, path: Path) -> None:
    """Keep SQLite's lock until the connection is closed, or the process gone."""
    import apsw

    try:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("BEGIN EXCLUSIVE")
        connection.execute("COMMIT")
    except apsw.BusyError as error:
        raise UsageError(
            "another export to that place is running",
            why=f"it has {path}",
            next_step="wait for it, end it, or name another --cursor",
        ) from error
