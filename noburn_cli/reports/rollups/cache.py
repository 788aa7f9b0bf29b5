"""The file of kept sums: bound to its ledger, and brought up to the ledger's last row.

Layer: reports, I/O.  Below: files, shape, changes, merging, zones.  Above: answers.
Owns: when the file is believed.  It is while the row up to which it counts still has the link it
had, and nothing was compacted or forgotten since: a link says what all rows before it are.  A file
that says otherwise, or that cannot be read, is thrown away and made anew.

A transaction takes at most CHUNK_ROWS of the journal, so that the daemon's checkpoints wait for
seconds, never for a whole ledger; each commits the sums together with the row that they reach, so
that a process that dies in the middle leaves what it had finished.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from noburn_cli.core.windows import UTC
from noburn_cli.errors import NoburnError
from noburn_cli.ledger_file import SCHEMA
from noburn_cli.reports.localtime import LocalTime
from noburn_cli.reports.rollups import changes, merging, zones
from noburn_cli.reports.rollups.files import Unusable, attach_ledger, open_cache, throw_away
from noburn_cli.reports.rollups.shape import FORMAT, TABLES

if TYPE_CHECKING:
    import apsw

#: Some seconds' work.
CHUNK_ROWS = 100_000
#: What is caught up with in passing: a few tenths of a second.
WARM_ROWS_MAX = 2_000
#: Another process that catches up is waited for while it gets on, and this long if it does not.
STUCK_S = 60.0
_TRY_MS = 200
#: A file that cannot be believed is made anew; a second one says that something else is wrong.
_ATTEMPTS_MAX = 3

#: (rows done, rows in all)
Tell = Callable[[int, int], None]

_HEAD = "SELECT coalesce(max(seq), 0) FROM ledger.journal"
_SEAL = "SELECT coalesce(max(seq), 0) FROM ledger.journal WHERE kind IN ('compact', 'forget')"
_LINK = "SELECT lower(hex(chain)) FROM ledger.journal WHERE seq = ?"
_CHUNK = "SELECT seq FROM ledger.journal WHERE seq > ? ORDER BY seq LIMIT 1 OFFSET ?"


@dataclass(frozen=True)
class Kept:
    """An open cache, inside a transaction in which it was found to be the ledger's own.

    upto: the journal's row up to which the sums count.  zone: the number of the zone asked for.
    """

    connection: apsw.Connection
    upto: int
    zone: int
    local: LocalTime


@contextlib.contextmanager
def kept_sums(
    ledger_path: Path, cache_path: Path, *, zone: str = UTC, tell: Tell | None = None
) -> Iterator[Kept]:
    """The sums as of the ledger's last row at the moment of asking, or of a later one.

    Raises Unusable when nothing can be kept here (no room, no right to write, another process that
    holds the file and does not get on); LedgerUnavailable; UsageError for an unknown zone.
    """
    import apsw

    kept = _reach(ledger_path, cache_path, LocalTime(zone), tell or (lambda _done, _total: None))
    try:
        yield kept
    except apsw.Error as error:
        if isinstance(error, _not_believed()):
            throw_away(cache_path)
        raise Unusable(f"{type(error).__name__}: {error}") from error
    finally:
        kept.connection.close()


def _not_believed() -> tuple[type[Exception], ...]:
    """Errors that say that the file is no cache of ours, or a broken one."""
    import apsw

    return (apsw.CorruptError, apsw.NotADBError, apsw.SQLError, apsw.SchemaChangeError)


def warm(ledger_path: Path, cache_path: Path, *, rows_max: int = WARM_ROWS_MAX) -> bool:
    """Catch up where that is done in an instant, so that no person waits for it later.

    Whether it was done.  Where nobody reads reports there is no file, and none is made; what is
    wrong is for the next report to tell.
    """
    import apsw

    if not cache_path.exists():
        return False
    try:
        connection, _ = open_cache(cache_path, ledger_path)
        try:
            reaching = _Reaching(connection, LocalTime(), lambda _done, _total: None)
            return reaching.is_near(rows_max) and reaching.run() is not None
        finally:
            connection.close()
    except (apsw.Error, OSError, Unusable, NoburnError):
        return False


def _reach(ledger_path: Path, cache_path: Path, local: LocalTime, tell: Tell) -> Kept:
    import apsw

    for attempt in range(_ATTEMPTS_MAX):
        inode: int | None = None
        try:
            connection, inode = open_cache(cache_path, ledger_path)
            try:
                kept = _Reaching(connection, local, tell).run()
            except BaseException:
                connection.close()
                raise
            if kept is not None:
                return kept
            connection.close()
        except (apsw.Error, OSError) as error:
            if isinstance(error, _not_believed()) and attempt + 1 < _ATTEMPTS_MAX:
                throw_away(cache_path, inode)
                continue
            raise Unusable(f"{type(error).__name__}: {error}") from error
        throw_away(cache_path, inode)
    raise Unusable("the ledger was compacted or replaced again and again")


class _Reaching:
    """One connection's way to the ledger's last row."""

    def __init__(self, connection: apsw.Connection, local: LocalTime, tell: Tell) -> None:
        self._connection = connection
        self._local = local
        self._tell = tell

    def is_near(self, rows_max: int) -> bool:
        """Whether the file is this ledger's, and at most so many rows behind."""
        upto = self._upto()
        return upto is not None and upto >= 0 and self._number(_HEAD) - upto <= rows_max

    def run(self) -> Kept | None:
        """The sums, inside a transaction; None when the file is not this ledger's."""
        execute = self._connection.execute
        target: int | None = None
        while True:
            execute("BEGIN")
            upto = self._upto()
            if upto is None:
                execute("ROLLBACK")
                return None
            target = self._number(_HEAD) if target is None else target
            zone = zones.find_zone(self._connection, self._local) if upto >= 0 else None
            if upto >= target and zone is not None:
                return Kept(self._connection, upto, zone, self._local)
            execute("ROLLBACK")
            if upto >= target:
                self._add_zone()
                continue
            self._tell(max(0, upto), target)
            if not self._begin(upto):
                continue
            try:
                self._write()
                execute("COMMIT")
            except BaseException:
                if not self._connection.get_autocommit():
                    execute("ROLLBACK")
                raise

    def _upto(self) -> int | None:
        """The row that the sums reach; -1 when the file is empty, None when it is another's."""
        found = self._connection.execute(
            "SELECT count(*) FROM main.sqlite_schema WHERE name = 'meta'"
        ).fetchone()
        if found is None or not found[0]:
            return -1
        meta = dict(self._connection.execute("SELECT key, value FROM main.meta"))
        upto = int(meta["upto"])
        if meta["format"] != f"{FORMAT}.{SCHEMA}" or int(meta["seal"]) != self._number(_SEAL):
            return None
        return upto if self._link(upto) == meta["link"] else None

    def _begin(self, upto: int) -> bool:
        """Become the one who writes.  False when another has written meanwhile.

        Raises Unusable when another holds the file and gets nowhere.
        """
        import apsw

        until_s = time.monotonic() + STUCK_S
        self._connection.set_busy_timeout(_TRY_MS)
        while True:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
            except apsw.BusyError as error:
                now = self._upto()
                if now is None or now > upto:
                    return False
                if time.monotonic() > until_s:
                    raise Unusable("another process holds it and does not get on") from error
            else:
                return True

    def _write(self) -> None:
        """One step, inside a transaction of its own: a chunk of the journal."""
        upto = self._upto()
        if upto is None:
            return  # found and thrown away by the next look
        if upto < 0:
            upto = self._make()
        end = self._chunk_end(upto)
        if end > upto:
            self._take(upto, end)

    def _add_zone(self) -> None:
        """Make the sums of a zone from the cells alone: the ledger's log must not wait for it."""
        execute = self._connection.execute
        name = self._connection.db_filename("ledger")
        execute("DETACH ledger")
        self._connection.set_busy_timeout(int(STUCK_S * 1000))
        execute("BEGIN IMMEDIATE")
        try:
            if zones.find_zone(self._connection, self._local) is None:
                zones.add_zone(self._connection, self._local, self._tell)
            execute("COMMIT")
        except BaseException:
            if not self._connection.get_autocommit():
                execute("ROLLBACK")
            raise
        attach_ledger(self._connection, Path(str(name)))

    def _make(self) -> int:
        """Fill an empty file: tables, UTC, compacted months; return where the journal begins."""
        connection = self._connection
        connection.execute(TABLES)
        connection.execute("INSERT INTO zones VALUES (1, ?, ?)", (UTC, zones.rules_of(LocalTime())))
        self._prepare()
        if changes.months_compacted(connection):
            changes.collect_compacted(connection)
            merging.learn_texts(connection)
            merging.merge_cells(connection)
            merging.merge_rolled(connection)
        self._keep(0)
        return 0

    def _take(self, after: int, upto: int) -> None:
        """Add what the rows after one, up to another, change."""
        connection = self._connection
        self._prepare()
        changes.learn_notes(connection)
        changes.collect(connection, after=after, upto=upto)
        merging.learn_texts(connection)
        merging.merge_cells(connection)
        for number, name in zones.zones_of(connection):
            merging.merge_sums(connection, number, LocalTime(name))
        self._keep(upto)

    def _prepare(self) -> None:
        changes.prepare(self._connection)
        merging.prepare(self._connection)

    def _keep(self, upto: int) -> None:
        kept = {
            "format": f"{FORMAT}.{SCHEMA}", "upto": str(upto), "link": self._link(upto),
            "seal": str(self._number(_SEAL)),
        }  # fmt: skip
        self._connection.executemany("REPLACE INTO main.meta VALUES (?, ?)", list(kept.items()))

    def _chunk_end(self, upto: int) -> int:
        row = self._connection.execute(_CHUNK, (upto, CHUNK_ROWS - 1)).fetchone()
        return self._number(_HEAD) if row is None else int(row[0])

    def _link(self, seq: int) -> str:
        """The link of a row; "" when the journal has no such row."""
        row = self._connection.execute(_LINK, (seq,)).fetchone()
        return "" if row is None else str(row[0])

    def _number(self, sql: str) -> int:
        row = self._connection.execute(sql).fetchone()
        assert row is not None  # an aggregate has one row
        return int(row[0])
