"""The ledger in one SQLite file.

Layer: daemon, storage.  Below: apsw, opening, queries, snapshots, checkpoint, names, core.chain,
ledger (the interface).  Above: commits, server.
Owns: the file, its one writing connection, the chain of rows, which holds are open.
Not here: what an event means (book, rows), who may open the file (server holds the lock).

apsw brings its own current SQLite: versions before 3.51.3 can corrupt a WAL when a checkpoint on a
second connection meets a commit.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import apsw
import msgspec

from noburn_cli.core.chain import COLUMNS, FIRST_COLUMNS, GENESIS
from noburn_cli.errors import LedgerUnavailable
from noburn_daemon import queries
from noburn_daemon.checkpoint import Checkpointer
from noburn_daemon.compacting import was_compacted
from noburn_daemon.ledger import (
    COMPACTED,
    AccountRow,
    Event,
    Restored,
    RunTotals,
    Snapshot,
)
from noburn_daemon.names import Names
from noburn_daemon.opening import migrate, prepare
from noburn_daemon.outbox import Outbox
from noburn_daemon.rewriting import take_place
from noburn_daemon.snapshots import read_passed, read_tables, write_tables

DURABILITIES = {"process": "NORMAL", "power": "FULL"}
BUSY_MS = 2_000
#: How long a probe waits for a lock: it comes again, and meanwhile nobody is answered.
_PROBE_BUSY_MS = 20
#: Values of one row: its columns and its link.
_WIDTH = len(COLUMNS) + 1
#: How many rows a statement takes, largest first.  One for 64 rows costs a fifth less than 64 for
#: one each (measured 2026-11-27); there are few of them, so that all stay prepared.
_ROWS = (64, 32, 16, 8, 4, 2, 1)
_INSERTS = [
    (
        rows * _WIDTH,
        f"INSERT INTO journal ({', '.join(COLUMNS)}, chain) VALUES "  # noqa: S608 - our own
        + ", ".join([f"({', '.join('?' * _WIDTH)})"] * rows),
    )
    for rows in _ROWS
]
_SELECT = f"SELECT {', '.join(COLUMNS)} FROM journal "  # noqa: S608 - our own constants
#: Where a row without values in the later columns ends: what they add is cut off.
_BEFORE_LATER = -len(b",null" * (len(COLUMNS) - FIRST_COLUMNS) + b"]")
_encode = msgspec.json.Encoder().encode
_OPENS = "reserve"
#: Kinds of rows of which a call that is not compacted has one.
_TELLS = frozenset(("reserve", "tombstone", "blocked", "refused"))
_CLOSES = frozenset(("settle", "lose", "orphan", "void"))


class SqliteLedger:
    """The one writer of a ledger's file.  Methods raise LedgerUnavailable and nothing else."""

    def __init__(
        self, path: Path, *, durability: str = "process", now_ms: int = 0,
        checkpointer: type[Checkpointer] = Checkpointer,
    ) -> None:  # fmt: skip
        self.path = path
        self.durability = durability
        self._pending_books: dict[str, list[tuple[str, str]]] = {}
        #: Open holds' rows by call; those opened, and those closed, since the last snapshot.
        self._open: dict[str, int] = {}
        self._opened: dict[str, int] = {}
        self._closed: list[int] = []
        self._make_checkpointer = checkpointer
        self._connect(now_ms)

    def _connect(self, now_ms: int) -> None:
        path = self.path
        with self._unavailable():
            self._connection = apsw.Connection(str(path))
            self._connection.set_busy_timeout(BUSY_MS)
            prepare(self._connection, path, DURABILITIES[self.durability])
            migrate(self._connection, path, now_ms)
            #: Messages that wait to be delivered.
            self.outbox = Outbox(self._connection, self._unavailable)
            self._names = Names(self._connection)
            self._checkpointer = self._make_checkpointer(self._connection, path)
            self._read_head()
            wal = path.with_name(path.name + "-wal")  # there since the first look
            self._places = ((str(path), path.stat()), (str(wal), wal.stat()))

    def close(self) -> None:
        """Close the file; its WAL goes with the last connection."""
        self._checkpointer.close()
        with contextlib.suppress(apsw.Error):
            self._connection.close()

    def set_durability(self, durability: str) -> None:
        """Commit that durably (a word of DURABILITIES) from the next commit on."""
        if durability != self.durability:
            with self._unavailable():
                self._connection.execute(f"PRAGMA synchronous = {DURABILITIES[durability]}")
            self.durability = durability

    @property
    def head(self) -> tuple[int, str]:
        """(seq, link in hex) of the last row."""
        return self._seq, self._chain.hex()

    # Writing.

    def append(self, events: list[Event], snapshot: Snapshot | None) -> None:
        """Write the events, and a snapshot as of the last one, in one transaction.

        After a failure the file is as before, and restore() is to be called before the next one.
        """
        execute = self._connection.execute
        try:
            execute("BEGIN IMMEDIATE")
            seq, chain, values = self._rows(events)
            self._insert(values)
            self._note_holds(events)
            if snapshot is not None:
                self._write_snapshot(snapshot, seq)
            self._check_place()
            execute("COMMIT")
        except (apsw.Error, OSError, OverflowError) as error:
            self._roll_back()
            raise _unavailable(self.path, error) from error
        self._seq, self._chain = seq, chain
        if events:
            self._last_ms = events[-1].at_ms
        self._pending_books.clear()
        if snapshot is not None:
            self._opened.clear()
            self._closed.clear()

    def probe(self) -> None:
        """Try whether the file can be written."""
        with self._unavailable():
            self._check_place()
            self._connection.set_busy_timeout(_PROBE_BUSY_MS)
            try:
                self._connection.execute(
                    "BEGIN IMMEDIATE;"
                    "INSERT INTO meta VALUES ('probe', hex(zeroblob(20000)))"
                    " ON CONFLICT (key) DO UPDATE SET value = excluded.value;"
                    "DELETE FROM meta WHERE key = 'probe'; COMMIT"
                )
            except apsw.Error:
                self._roll_back()
                raise
            finally:
                self._connection.set_busy_timeout(BUSY_MS)

    def _insert(self, values: list[object]) -> None:
        """Write rows, given as their values one after the other."""
        execute = self._connection.execute
        begin, end = 0, len(values)
        for size, statement in _INSERTS:
            while end - begin >= size:
                execute(statement, values[begin : begin + size])
                begin += size

    def _check_place(self) -> None:
        """Whether file and log are still the ones of that name.  Raises FileNotFoundError.

        SQLite would go on writing to a file without a name, and the next daemon would find none of
        what was spent.
        """
        for path, place in self._places:
            if _is_at(path, place):
                continue
            raise FileNotFoundError(
                f"{Path(path).name} was taken away or replaced under the running daemon; put it"
                " back, or run `noburn daemon stop`, and the next daemon starts with what is there"
            )

    def set_meta(self, values: dict[str, str]) -> None:
        """Keep a few words outside the journal: the clock's anchor."""
        with self._unavailable():
            self._connection.executemany(
                "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET"
                " value = excluded.value",
                list(values.items()),
            )

    def meta(self) -> dict[str, str]:
        with self._unavailable():
            return dict(self._connection.execute("SELECT key, value FROM meta"))

    def last_ms(self) -> int:
        """The time of the last row, 0 when there is none."""
        return self._last_ms

    def store_book(self, version: str, texts: list[tuple[str, str]]) -> None:
        """Keep a price book's texts, once per version, with the next append."""
        if self.book_texts(version) is None:
            self._pending_books[version] = texts

    def _rows(self, events: list[Event]) -> tuple[int, bytes, list[object]]:
        """The new head, and the values of the rows, each after the `name` rows it gave birth to."""
        seq, chain = self._seq, self._chain
        ordered = [
            self._book_row(version, texts, events[0].at_ms if events else self._last_ms)
            for version, texts in self._pending_books.items()
        ]
        intern = self._names.intern
        for event in events:
            intern(event, ordered)
            ordered.append(event)
        values: list[object] = []
        encode, astuple, sha256 = _encode, msgspec.structs.astuple, hashlib.sha256
        for event in ordered:
            seq += 1
            event.seq = seq
            encoded = encode(event)
            if event.extra is None and event.ceiling_nano is None:
                encoded = encoded[:_BEFORE_LATER] + b"]"  # as core.chain.canonical
            chain = sha256(chain + encoded).digest()
            values += astuple(event)
            values.append(chain)
        return seq, chain, values

    def _book_row(self, version: str, texts: list[tuple[str, str]], at_ms: int) -> Event:
        stored = json.dumps(texts, ensure_ascii=False)
        self._connection.execute("INSERT OR IGNORE INTO books VALUES (?, ?)", (version, stored))
        digest = hashlib.sha256(stored.encode()).hexdigest()
        return Event(0, at_ms, "book", detail=json.dumps({"version": version, "digest": digest}))

    def _note_holds(self, events: list[Event]) -> None:
        for event in events:
            if event.kind == _OPENS:
                assert event.call is not None
                self._open[event.call] = self._opened[event.call] = event.seq
            elif event.kind in _CLOSES:
                assert event.call is not None
                seq = self._open.pop(event.call, None)
                if seq is not None and self._opened.pop(event.call, None) is None:
                    self._closed.append(seq)

    def _write_snapshot(self, snapshot: Snapshot, seq: int) -> None:
        many = self._connection.executemany
        many("DELETE FROM open_holds WHERE seq = ?", [(number,) for number in self._closed])
        many("INSERT INTO open_holds VALUES (?)", [(number,) for number in self._opened.values()])
        write_tables(self._connection, snapshot)
        self._connection.execute("INSERT OR REPLACE INTO meta VALUES ('as_of_seq', ?)", (str(seq),))

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            with contextlib.suppress(apsw.Error):
                self._connection.execute("ROLLBACK")
        self._names.forget_cache()

    # Another file in this one's place.

    def last_before(self, at_ms: int) -> int:
        """The last row from before a moment, or that the seal covers; 0 when there is none."""
        with self._unavailable():
            before = queries.first_seq(self._connection, self._seq, at_ms) - 1
            return max(before, queries.sealed(self._connection))

    def sealed(self) -> int:
        """The last row that the newest seal covers as a whole, 0 without one."""
        with self._unavailable():
            return queries.sealed(self._connection)

    def is_checkpointed(self) -> bool:
        """Bring all of the log into the file; False while a reader keeps that from happening."""
        with self._unavailable():
            self._connection.set_busy_timeout(_PROBE_BUSY_MS)
            try:
                self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
            except apsw.BusyError:
                return False
            finally:
                self._connection.set_busy_timeout(BUSY_MS)
            return True

    def go_on_with(self, new: Path) -> None:
        """Let another file take this one's place; it has all of it, and nothing is pending.

        After a failure the ledger is closed for good.
        """
        still_open = self._open
        self.close()
        with self._unavailable():
            take_place(new, self.path)
        self._connect(0)
        self._open = still_open

    # Reading.

    def restore(self) -> Restored:
        """Read the state as of the last commit."""
        with self._unavailable():
            self._names.forget_cache()
            self._read_head()
            as_of = int(self.meta().get("as_of_seq", "0"))
            open_holds = self._events("WHERE seq IN (SELECT seq FROM open_holds) ORDER BY seq")
            newer = self._events("WHERE seq > ? ORDER BY seq", (as_of,))
            self._open = {str(event.call): event.seq for event in open_holds}
            self._opened, self._closed = {}, []
            self._note_holds(newer)
            snapshot = read_tables(self._connection)
            return Restored(snapshot, open_holds, newer, queries.greatest(self._connection))

    def find(self, call: str) -> list[Event]:
        """Every row of a call, oldest first, texts resolved; of a compacted one that it was."""
        with self._unavailable():
            rows = self._events("WHERE call = ? ORDER BY seq", (call,))
            if any(row.kind in _TELLS for row in rows):
                return rows
            # Corrections and overages of a compacted call stay.
            gone = was_compacted(self._connection, call)
            return [Event(0, 0, COMPACTED, call=call)] if gone else rows

    def find_lost(self, provider_id: str) -> str | None:
        """The newest call that was lost under a provider's id, or None."""
        with self._unavailable():
            return queries.find_lost(self._connection, provider_id)

    def passed_account(self, budget: int, key: str, window_start_ms: int) -> AccountRow | None:
        """An account that was kept beyond its window, or None."""
        with self._unavailable():
            return read_passed(self._connection, budget, key, window_start_ms)

    def ended(self, since_ms: int) -> list[tuple[str, int, int, int, int]]:
        """(context, moment of the reserve, nano, tokens, 1) of ended calls reserved since then."""
        with self._unavailable():
            return queries.ended(self._connection, head_seq=self._seq, since_ms=since_ms)

    def sums(
        self, keys: Sequence[str], since_slot: int, *, width_ms: int | None
    ) -> list[tuple[list[str | None], int, int, int, int]]:
        """What ended calls were charged, as of the last snapshot, by the values of these keys."""
        with self._unavailable():
            return queries.sums(self._connection, keys, since_slot, width_ms=width_ms)

    def known_corrections(self, ids: Iterable[str]) -> set[str]:
        """Which of these corrections are booked."""
        with self._unavailable():
            return queries.known_corrections(self._connection, ids)

    def newest_correction(self, *, besides: str) -> int:
        """The row of the newest correction that is not of a batch; 0 without any."""
        with self._unavailable():
            return queries.newest_correction(self._connection, besides)

    def corrections(self, name: str) -> list[Event]:
        """The corrections of an id or a batch, and what undid them, oldest first."""
        with self._unavailable():
            return self._events(queries.OF_CORRECTION, (name,))

    def run_rows(self, run: str) -> list[Event]:
        """Every row of a run itself (not of its calls), oldest first, texts resolved."""
        with self._unavailable():
            return self._events("WHERE run = ? ORDER BY seq", (run,))

    def run_totals(self, run: str) -> RunTotals:
        """What a run's calls came to since it began."""
        with self._unavailable():
            return queries.run_totals(self._connection, run)

    def book_texts(self, version: str) -> list[tuple[str, str]] | None:
        """The texts of a price book that holds were stamped with."""
        if version in self._pending_books:
            return self._pending_books[version]
        with self._unavailable():
            row = self._connection.execute(
                "SELECT texts FROM books WHERE version = ?", (version,)
            ).fetchone()
        if row is None:
            return None
        return [(origin, text) for origin, text in json.loads(row[0])]

    @property
    def checkpoint_failures(self) -> int:
        """How many checkpoints failed since the file was opened."""
        return self._checkpointer.failures

    def counts(self) -> dict[str, int]:
        """How much there is, for `status`."""
        with contextlib.suppress(OSError):
            return {"events": self._seq, "bytes": self.path.stat().st_size}
        return {"events": self._seq, "bytes": 0}

    def _events(self, clause: str, values: tuple[object, ...] = ()) -> list[Event]:
        rows = list(self._connection.execute(_SELECT + clause, values))
        return [self._names.resolve(Event(*row)) for row in rows]

    def _read_head(self) -> None:
        row = self._connection.execute(
            "SELECT seq, chain, at_ms FROM journal ORDER BY seq DESC LIMIT 1"
        ).fetchone()
        self._seq, self._chain = (0, GENESIS) if row is None else (int(row[0]), bytes(row[1]))
        self._last_ms = 0 if row is None else int(row[2])
        self._open, self._opened, self._closed = {}, {}, []

    @contextlib.contextmanager
    def _unavailable(self) -> Iterator[None]:
        try:
            yield
        except (apsw.Error, OSError) as error:
            raise _unavailable(self.path, error) from error


def _is_at(path: str, place: os.stat_result) -> bool:
    """Whether the file of that name is still that one."""
    try:
        now = os.stat(path)  # noqa: PTH116 - a third of Path.stat's time
    except FileNotFoundError:
        return False
    return now.st_ino == place.st_ino and now.st_dev == place.st_dev


def _unavailable(path: Path, error: Exception) -> LedgerUnavailable:
    return LedgerUnavailable(
        f"the ledger at {path} is not available: {error}",
        why=type(error).__name__,
        next_step="check free space and permissions of its folder; nothing is granted until then",
    )
