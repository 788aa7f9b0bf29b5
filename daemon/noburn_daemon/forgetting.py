"""What forgetting a name changes: every text of the ledger that says it.

Layer: daemon, storage.  Below: apsw, rewriting, pseudonyms, core.chain, core.seals.
Above: history.
Owns: which columns are looked at, which rows are vouched for by their new digest.
Not here: how a text is changed (pseudonyms), how the new file is made (rewriting).

A name is replaced by a pseudonym made at random, not erased with all that stands beside it: calls
keep their other attributes and accounts their balances, a late bill finds both, and sums by
feature or project stay what they were.  A text that was bound to a digest is bound anew, with
another salt.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import apsw

from noburn_cli.core import chain
from noburn_cli.core.chain import COLUMNS, name_digest
from noburn_cli.core.seals import TABLES, row_digest
from noburn_daemon.pseudonyms import Pseudonym
from noburn_daemon.rewriting import INSERT_ROW, NAMES_OF_COLUMNS

#: Columns of the journal in which a name may stand.
_TEXTS = ("run", "failure", "provider_id", "served_model", "detail")
_PLACES = tuple(COLUMNS.index(name) for name in _TEXTS)
_KIND = COLUMNS.index("kind")
_SAYS = " OR ".join(f"instr({name}, :needle)" for name in _TEXTS)
#: Rows whose texts are none of ours to change: digests, and prices.
_NEVER = "'name', 'book'"
_RANGE = "seq > :after AND seq <= :upto"
_FROM = f"SELECT {NAMES_OF_COLUMNS} FROM old.journal WHERE {_RANGE}"  # noqa: S608 - our own constants
_OTHERS = (
    f"INSERT INTO main.journal ({NAMES_OF_COLUMNS}) {_FROM}"
    f" AND (kind IN ({_NEVER}) OR NOT coalesce({_SAYS}, 0))"
)
_SAYING = f"{_FROM} AND kind NOT IN ({_NEVER}) AND coalesce({_SAYS}, 0) ORDER BY seq"
_REDACT = "INSERT OR REPLACE INTO main.redactions VALUES (?, ?)"
#: Tables without a name in them.
_PLAIN = frozenset(("meta", "migrations", "books", "factors", "open_holds"))


class Forgetting:
    """A change that puts a pseudonym where a name stood; see rewriting.Change.

    sealed: the last row that the ledger's newest seal covers as a whole.
    """

    kind = "forget"

    def __init__(self, pseudonym: Pseudonym, sealed: int) -> None:
        self._pseudonym = pseudonym
        self._sealed = sealed
        self._names = 0
        self._bound: list[dict[str, object]] = []
        self.rows = 0
        self.texts = 0

    def begin(self, new: apsw.Connection) -> None:
        for table, columns in TABLES.items():
            names = ", ".join(columns)
            new.execute(f"INSERT INTO main.{table} ({names}) SELECT {names} FROM old.{table}")  # noqa: S608

    def copy_rows(self, new: apsw.Connection, after: int, upto: int) -> None:
        values = {"after": after, "upto": upto, "needle": self._pseudonym.needle}
        new.execute(_OTHERS, values)
        for row in new.execute(_SAYING, values).fetchall():
            new.execute(INSERT_ROW, self._changed(new, list(row)))

    def _changed(self, new: apsw.Connection, row: list[Any]) -> list[Any]:
        values = list(row)
        for place, name in zip(_PLACES, _TEXTS, strict=True):
            text = values[place]
            if isinstance(text, str):
                values[place] = (
                    self._pseudonym.in_detail(values[_KIND], text)
                    if name == "detail"
                    else self._pseudonym.in_column(name, text)
                )
        if values != row:
            self.rows += 1
            if values[0] > self._sealed:
                digest = row_digest(chain.canonical(values[:-1]))
                new.execute(_REDACT, (values[0], digest))
        return values

    def copy_names(self, new: apsw.Connection) -> None:
        sql = "SELECT id, kind, text, salt FROM old.names WHERE id > ? ORDER BY id"
        rows: list[tuple[Any, ...]] = new.execute(sql, (self._names,)).fetchall()
        for number, kind, text, salt in rows:
            self._names = number
            said = self._name(kind, text)
            if said is not None and said != text:
                self.texts += 1
                salt = secrets.token_hex(16)
                digest = name_digest(kind, said, salt)
                self._bound.append({"name": number, "of": kind, "digest": digest})
            new.execute(
                "INSERT INTO main.names (id, kind, text, salt) VALUES (?, ?, ?, ?)",
                (number, kind, said, salt),
            )

    def _name(self, kind: str, text: str | None) -> str | None:
        if text is None:
            return None
        if kind == "context":
            return self._pseudonym.in_attributes(text)
        return self._pseudonym.in_detail(kind, text) if kind == "note" else text

    def copy_table(self, new: apsw.Connection, table: str, columns: list[str]) -> None:
        names = ", ".join(columns)
        if table in _PLAIN or not _has_texts(new, table):
            new.execute(f"INSERT INTO main.{table} ({names}) SELECT {names} FROM old.{table}")  # noqa: S608
            return
        marks = ", ".join("?" * len(columns))
        rows = new.execute(f"SELECT {names} FROM old.{table}").fetchall()  # noqa: S608
        new.executemany(
            f"INSERT INTO main.{table} ({names}) VALUES ({marks})",  # noqa: S608
            [tuple(self._cells(columns, row)) for row in rows],
        )

    def _cells(
        self, columns: list[str], row: tuple[apsw.SQLiteValue, ...]
    ) -> Iterator[apsw.SQLiteValue]:
        for name, value in zip(columns, row, strict=True):
            said = self._pseudonym.in_column(name, value) if isinstance(value, str) else value
            self.texts += said != value
            yield said

    def through(self) -> int:
        return self._sealed

    def is_needed(self) -> bool:
        return bool(self.rows or self.texts)

    def detail(self) -> dict[str, object]:
        return {
            "attribute": self._pseudonym.key,
            "as": self._pseudonym.stand_in,
            "rows": self.rows,
            "texts": self.texts,
        }

    def further_rows(self) -> list[dict[str, object]]:
        return self._bound


def _has_texts(new: apsw.Connection, table: str) -> bool:
    rows = new.execute(f"PRAGMA main.table_info({table})")
    return any(row[2] == "TEXT" for row in rows)
