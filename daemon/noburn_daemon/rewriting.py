"""The ledger's file made anew beside itself, while the daemon goes on writing the old one.

Layer: daemon, storage.  Below: apsw, schema, core.chain, core.seals.  Above: compacting,
forgetting (what is left out, what is changed), history (when).
Owns: the new file until it takes the old one's place: copying in steps, catching up, the sealed
row at its end, and that it is on the disk before it gets the name.
Not here: the old file's connection (sqlite), which changes hands only when nothing is pending.

Rows of the journal are never changed where they are: a file without them is written and renamed,
so that a crash leaves the one or the other, nothing of what was taken stays in free pages, and no
decision waits for more than the last few rows.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Protocol

import apsw

from noburn_cli.core import chain, seals
from noburn_cli.core.chain import COLUMNS
from noburn_cli.core.seals import Digest, Seal
from noburn_daemon import schema
from noburn_daemon.ledger import SLOT_MS, json_text

#: How many numbers of rows are copied at a time: some milliseconds in which a thread reads.
CHUNK_ROWS = 5_000
#: So few may be left to copy while the daemon waits.
LAST_ROWS = 2_000
SUFFIX = ".new"
_ALL = (*COLUMNS, "chain")
NAMES_OF_COLUMNS = ", ".join(_ALL)
INSERT_ROW = f"INSERT INTO main.journal ({NAMES_OF_COLUMNS}) VALUES ({', '.join('?' * len(_ALL))})"  # noqa: S608 - our own constants
#: Tables that are copied row by row as the old file grows, or that a change makes itself.
_BY_THEMSELVES = frozenset(("journal", "names", "sums", *seals.TABLES))
_SUMS = "INSERT OR REPLACE INTO main.sums SELECT * FROM old.sums"
#: Of the sums those that rows after one have changed: there may be a million, and few are new.
#: The joins' order is told: SQLite does not know how few rows come after one.
_NEWER_SUMS = f"""
  INSERT OR REPLACE INTO main.sums
  SELECT s.* FROM (
    SELECT r.at_ms / {SLOT_MS} AS slot, r.context AS context FROM old.journal AS e NOT INDEXED
    CROSS JOIN old.journal AS r ON r.call = e.call AND r.kind = 'reserve'
    WHERE e.seq > :after AND e.kind IN ('settle', 'lose', 'orphan', 'void')
    UNION
    SELECT json_extract(c.detail, '$.for_ms') / {SLOT_MS}, c.context
    FROM old.journal AS c NOT INDEXED
    WHERE c.seq > :after AND c.kind = 'correction' AND c.context IS NOT NULL
  ) AS newer CROSS JOIN old.sums AS s ON s.slot = newer.slot AND s.context = newer.context
"""  # noqa: S608 - our own constants


class Change(Protocol):
    """What is different about the new file."""

    #: The kind of the row that tells it.
    kind: str

    def begin(self, new: apsw.Connection) -> None:
        """Before the first row."""

    def copy_rows(self, new: apsw.Connection, after: int, upto: int) -> None:
        """Write what is to stay of the old file's rows with such numbers."""

    def copy_names(self, new: apsw.Connection) -> None:
        """Write the names that came since the last time."""

    def copy_table(self, new: apsw.Connection, table: str, columns: list[str]) -> None:
        """Write all of one other table."""

    def through(self) -> int:
        """The last row of the old file that is no longer linked one by one."""

    def is_needed(self) -> bool:
        """Whether, all being written, the new file is to take the old one's place."""

    def detail(self) -> dict[str, object]:
        """What the new row says besides the seal."""

    def further_rows(self) -> list[dict[str, object]]:
        """Details of `name` rows to write before the new row: texts that were bound anew."""


class NewFile:
    """The new file while it is made.  Every method but `give_up` raises apsw.Error or OSError."""

    def __init__(self, old: Path, change: Change) -> None:
        self.path = old.with_name(old.name + SUFFIX)
        self.change = change
        self._copied = 0
        self._summed = 0
        remove_leftovers(old)
        self.path.touch(mode=0o600)
        self._connection = apsw.Connection(str(self.path))
        try:
            self._begin(old)
        except BaseException:
            self.give_up()
            raise

    def _begin(self, old: Path) -> None:
        execute = self._connection.execute
        # One by one: apsw stops at a statement that answers, and would do none that follows.
        for setting in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -16000"):
            execute(f"PRAGMA {setting}").fetchall()
        for number in sorted(schema.MIGRATIONS):
            execute(schema.MIGRATIONS[number])
        execute(
            f"PRAGMA application_id = {schema.APPLICATION_ID};"
            f"PRAGMA user_version = {schema.VERSION}"
        )
        execute("ATTACH ? AS old", (str(old),))
        with self._connection:
            self.change.begin(self._connection)

    def copy_some(self) -> tuple[int, int]:
        """Copy one chunk; (rows copied, rows there are)."""
        head = self._head_seq()
        upto = min(self._copied + CHUNK_ROWS, head)
        with self._connection:
            self.change.copy_rows(self._connection, self._copied, upto)
            self.change.copy_names(self._connection)
        self._copied = upto
        return upto, head

    def seal(self) -> Seal:
        """The seal of what has been copied; nothing that it covers comes later."""
        through = self.change.through()
        link = chain.GENESIS
        kept = Digest()
        rows = self._connection.execute(
            f"SELECT {NAMES_OF_COLUMNS} FROM main.journal WHERE seq <= ? ORDER BY seq",  # noqa: S608
            (through,),
        )
        for row in rows:
            kept.add(chain.canonical(row[:-1]), row[-1])
        if through:
            found = self._connection.execute(
                "SELECT chain FROM old.journal WHERE seq = ?", (through,)
            ).fetchone()
            link = bytes(found[0]) if found else self._sealed_link()
        self._copy_sums()
        digests = {table: self._digest(table) for table in seals.TABLES}
        self._sync()  # so that little is left to be written while everybody waits
        return Seal(through, link.hex(), kept.hex, **digests)

    def finish(self, seal: Seal, at_ms: int) -> None:
        """Copy the rest, write the sealed row, and bring it all to the disk.

        Nothing may be written to the old file from here on.
        """
        connection = self._connection
        with connection:
            while self._copied < self._head_seq():
                upto = min(self._copied + CHUNK_ROWS, self._head_seq())
                self.change.copy_rows(connection, self._copied, upto)
                self._copied = upto
            self.change.copy_names(connection)
            connection.execute(_NEWER_SUMS, {"after": self._summed})
            self.copy_tables()
            seal = Seal(**{**seal.as_detail(), "redactions": self._digest("redactions")})  # type: ignore[arg-type]
            self._append(seal, at_ms)
        self._connection.close()
        self._sync()

    def copy_tables(self) -> None:
        """Copy the tables that are as of the last snapshot."""
        for table in self._other_tables():
            found = self._connection.execute(f"PRAGMA main.table_info({table})")
            columns = [row[1] for row in found]
            self._connection.execute(f"DELETE FROM main.{table}")  # noqa: S608 - from the schema
            self.change.copy_table(self._connection, table, columns)

    def _copy_sums(self) -> None:
        """Copy the sums of past calls as of the row of their snapshot."""
        with self._connection:
            row = self._connection.execute(
                "SELECT value FROM old.meta WHERE key = 'as_of_seq'"
            ).fetchone()
            self._summed = 0 if row is None else int(str(row[0]))
            self._connection.execute(_SUMS)

    def _sync(self) -> None:
        with self.path.open("rb") as file:
            os.fsync(file.fileno())

    def give_up(self) -> None:
        """Leave nothing behind; what a sick disk does not let go is removed before the next one."""
        with contextlib.suppress(apsw.Error):
            self._connection.close()
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)

    def _head_seq(self) -> int:
        row = self._connection.execute("SELECT max(seq) FROM old.journal").fetchone()
        return 0 if row is None or row[0] is None else int(row[0])

    def _sealed_link(self) -> bytes:
        """The link at `through` as the seal before has it: that row is gone already."""
        row = self._connection.execute(
            "SELECT detail FROM old.journal WHERE kind IN ('compact', 'forget')"
            " ORDER BY seq DESC LIMIT 1"
        ).fetchone()
        return bytes.fromhex(seals.read_seal(None if row is None else str(row[0])).link)

    def _digest(self, table: str) -> str:
        columns = ", ".join(seals.TABLES[table])
        order = ", ".join(seals.TABLES[table][: seals.KEY_LENGTHS[table]])
        return seals.table_digest(
            self._connection.execute(f"SELECT {columns} FROM main.{table} ORDER BY {order}")  # noqa: S608
        )

    def _other_tables(self) -> list[str]:
        found = self._connection.execute(
            "SELECT name FROM main.sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        )
        return [str(name) for (name,) in found if name not in _BY_THEMSELVES]

    def _append(self, seal: Seal, at_ms: int) -> None:
        """The last rows: texts bound anew, and what was done, sealed."""
        row = self._connection.execute(
            "SELECT seq, chain, at_ms FROM old.journal ORDER BY seq DESC LIMIT 1"
        ).fetchone()
        seq, link, last_ms = (0, chain.GENESIS, 0) if row is None else row
        said = [("name", detail) for detail in self.change.further_rows()]
        said.append((self.change.kind, {**self.change.detail(), "seal": seal.as_detail()}))
        for kind, detail in said:
            seq += 1
            values: list[chain.Value] = [None] * len(COLUMNS)
            values[:3] = [seq, max(at_ms, last_ms), kind]
            values[COLUMNS.index("detail")] = json_text(detail)
            link = chain.link(link, chain.canonical(values))
            self._connection.execute(INSERT_ROW, (*values, link))


def remove_leftovers(ledger: Path) -> None:
    """Remove what a daemon that died left of a new file."""
    ledger.with_name(ledger.name + SUFFIX).unlink(missing_ok=True)


def take_place(new: Path, old: Path) -> None:
    """Give the new file the old one's name.  No connection of ours may be open on either.

    The old log has been checkpointed: without it the old file is whole.  It goes first, since a
    log that does not belong to a file would be read into it.
    """
    for ending in ("-wal", "-shm"):
        old.with_name(old.name + ending).unlink(missing_ok=True)
    new.rename(old)
    folder = os.open(old.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
