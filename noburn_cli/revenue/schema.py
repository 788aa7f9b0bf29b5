"""The tables of the revenue file, and how an older file becomes a newer one.

Layer: revenue.  Below: apsw, errors.  Above: revenue.store.
Owns: MIGRATIONS; a step and the version it leads to commit together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from noburn_cli.errors import LedgerUnavailable

if TYPE_CHECKING:
    import apsw

_FIRST = """
-- core.revenue.RevenueFact, and the root that it is replaced with: an invoice, a charge, a line
CREATE TABLE facts (
    id TEXT PRIMARY KEY, source TEXT NOT NULL, root TEXT NOT NULL, kind TEXT NOT NULL,
    payer TEXT NOT NULL, payer_name TEXT NOT NULL, customer TEXT, feature TEXT, plan TEXT,
    amount_minor INTEGER NOT NULL, currency TEXT NOT NULL, amount_nano INTEGER,
    rate TEXT NOT NULL, rate_source TEXT NOT NULL, starts_ms INTEGER NOT NULL,
    ends_ms INTEGER NOT NULL, at_ms INTEGER NOT NULL, document TEXT NOT NULL,
    state TEXT NOT NULL, reverses TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX facts_of_root ON facts (source, root);
-- what a source told, as far as facts need it: no address, no card, no text of a person's
-- (the id first: with the source first, SQLite goes through the whole source instead of an index)
CREATE TABLE objects (
    source TEXT NOT NULL, id TEXT NOT NULL, type TEXT NOT NULL, parent TEXT NOT NULL,
    customer TEXT NOT NULL, data TEXT NOT NULL, PRIMARY KEY (id, source)
) STRICT, WITHOUT ROWID;
CREATE INDEX objects_below ON objects (source, parent);
CREATE INDEX objects_by_type ON objects (source, type);
CREATE INDEX objects_by_customer ON objects (source, customer);
-- how far an import has come; in one transaction with what it brought
CREATE TABLE cursors (
    source TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (source, name)
) STRICT, WITHOUT ROWID;
-- objects that changed and are to be asked for, and roots whose facts are to be made anew
CREATE TABLE wanted (
    source TEXT NOT NULL, type TEXT NOT NULL, id TEXT NOT NULL, PRIMARY KEY (source, type, id)
) STRICT, WITHOUT ROWID;
CREATE TABLE dirty (
    source TEXT NOT NULL, root TEXT NOT NULL, PRIMARY KEY (source, root)
) STRICT, WITHOUT ROWID;
-- whose customer of noburn a payer is, by a person's own word
CREATE TABLE identities (
    payer TEXT PRIMARY KEY, customer TEXT NOT NULL, origin TEXT NOT NULL
) STRICT, WITHOUT ROWID;
-- dollars for one unit of a currency from a day on (UTC)
CREATE TABLE rates (
    currency TEXT NOT NULL, starts_on TEXT NOT NULL, rate TEXT NOT NULL, origin TEXT NOT NULL,
    PRIMARY KEY (currency, starts_on)
) STRICT, WITHOUT ROWID;
"""
#: Of a subscription; NULL where the source does not say how many.
_SEATS = "ALTER TABLE facts ADD COLUMN seats INTEGER"
MIGRATIONS = (_FIRST, _SEATS)
#: Columns of facts that came later, by the schema they came with.
LATER = {"seats": 2}


def migrate(connection: apsw.Connection, path: object) -> None:
    """Bring a file to the newest schema.  Raises LedgerUnavailable for one of a newer noburn."""
    version = next(iter(connection.execute("PRAGMA user_version")))[0]
    check_version(version, path)
    for number in range(version, len(MIGRATIONS)):
        with connection:
            connection.execute(MIGRATIONS[number])
            connection.execute(f"PRAGMA user_version = {number + 1}")


def check_version(version: int, path: object) -> None:
    """Raises LedgerUnavailable for a file of a newer noburn."""
    if version > len(MIGRATIONS):
        raise LedgerUnavailable(
            f"the revenue file {path} was written by a newer noburn (schema {version})",
            why=f"this one knows schema {len(MIGRATIONS)}",
            next_step="upgrade noburn, or set NOBURN_HOME to another folder",
        )
