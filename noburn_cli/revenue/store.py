"""The revenue file: `revenue.sqlite3` beside the ledger.

Layer: revenue, I/O.  Below: apsw, revenue.schema, core.revenue, paths.
Above: revenue.csv_file, revenue.stripe_*, noburn_cli.profit (reads facts).
Owns: the file and its lock: one writer, any number of readers; that facts are replaced whole, root
by root, in one transaction with how far the import has come.
Not here: what a fact means (core.revenue), which of Stripe's objects make one (revenue.deriving).
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noburn_cli.core.revenue import KINDS, UNCOUNTED, RevenueFact
from noburn_cli.errors import LedgerUnavailable, NoburnError
from noburn_cli.revenue.schema import LATER, MIGRATIONS, check_version, migrate

if TYPE_CHECKING:
    import apsw

BUSY_MS = 5_000
_LOCK_PAUSE_S = 0.05
_FLAGS = os.O_CREAT | os.O_RDWR | os.O_CLOEXEC
#: A moment that nothing comes after.
_ALWAYS = 2**62
#: Facts of this source are a rehearsal: nobody gets them who does not ask.
TEST_SOURCE = "stripe-test"
#: The origin of identities that stand in for a forgotten customer.
FORGOTTEN = "forgotten"
_NAMES = tuple(field.name for field in fields(RevenueFact))
_COLUMNS = ", ".join(_NAMES)
#: A person's own word on who a payer is beats what the source's metadata say.
_OWN_WORD = {"customer": "coalesce(identities.customer, facts.customer)"}
_WRITE = (
    f"INSERT INTO facts (root, {_COLUMNS}) VALUES (?{', ?' * len(_NAMES)}) "  # noqa: S608 -- our own
    "ON CONFLICT (id) DO UPDATE SET (root, " + _COLUMNS + ") = "
    f"(excluded.root, {', '.join(f'excluded.{name}' for name in _NAMES)})"
)


class RevenueStore:
    """The open file.  What changes it runs inside `with store.change():`, all or nothing."""

    def __init__(
        self, connection: apsw.Connection, path: Path, version: int = len(MIGRATIONS)
    ) -> None:
        self.connection = connection
        self.path = path
        self._version = version

    @contextlib.contextmanager
    def change(self) -> Iterator[None]:
        """One transaction.  Raises LedgerUnavailable when the disk does not take it."""
        import apsw

        try:
            with self.connection:
                yield
        except apsw.Error as error:
            raise _unusable(self.path, error) from error

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """All rows of a question.  Raises LedgerUnavailable."""
        import apsw

        try:
            return list(self.connection.execute(sql, values))
        except apsw.Error as error:
            raise _unusable(self.path, error) from error

    def replace(self, source: str, root: str, facts: Iterable[RevenueFact]) -> None:
        """The facts of a root become exactly these."""
        self.connection.execute("DELETE FROM facts WHERE source = ? AND root = ?", (source, root))
        rows = [(root, *(getattr(fact, name) for name in _NAMES)) for fact in facts]
        self.connection.executemany(_WRITE, rows)

    def facts(
        self,
        since_ms: int | None = None,
        until_ms: int | None = None,
        *,
        sources: Iterable[str] | None = None,
    ) -> list[RevenueFact]:
        """The facts of a time, oldest first.

        since_ms, until_ms: epoch ms, half-open; a fact belongs to it that was made in it (`at_ms`)
        or whose service period reaches into it, and so does what takes back from it, is its fee or
        tax, and what those are about.  None: no bound.
        sources: None for all but the test mode's.
        """
        where, chosen = _of_sources(sources)
        # A period without length is a moment, and is in it when the moment is.
        until = _ALWAYS if until_ms is None else until_ms
        since = -_ALWAYS if since_ms is None else since_ms
        within = (
            "SELECT id FROM facts WHERE min(starts_ms, at_ms) < ? AND max(ends_ms, at_ms + 1) > ?"
        )
        reached = self._with_related({str(id_) for (id_,) in self.rows(within, until, since)})
        sql = (
            f"{self._select()} WHERE facts.id IN (SELECT value FROM json_each(?)) AND {where}"  # noqa: S608
            " ORDER BY facts.at_ms, facts.id"
        )
        return [RevenueFact(*row) for row in self.rows(sql, json.dumps(sorted(reached)), *chosen)]

    def _select(self) -> str:
        """All facts.  A file that no import has migrated yet lacks what came later."""
        read = ", ".join(
            "NULL" if LATER.get(name, 0) > self._version else _OWN_WORD.get(name, f"facts.{name}")
            for name in _NAMES
        )
        return f"SELECT {read} FROM facts LEFT JOIN identities USING (payer)"  # noqa: S608 -- our own

    def _with_related(self, ids: set[str]) -> set[str]:
        """Those, what reverses them or is reversed by them, and so on."""
        related: dict[str, list[str]] = {}
        for one, other in self.rows("SELECT id, reverses FROM facts WHERE reverses <> ''"):
            related.setdefault(str(one), []).append(str(other))
            related.setdefault(str(other), []).append(str(one))
        waiting = list(ids)
        while waiting:
            found = [one for one in related.get(waiting.pop(), ()) if one not in ids]
            ids.update(found)
            waiting += found
        return ids

    def cursor(self, source: str, name: str) -> str | None:
        found = self.rows("SELECT value FROM cursors WHERE source = ? AND name = ?", source, name)
        return found[0][0] if found else None

    def set_cursor(self, source: str, name: str, value: str | None) -> None:
        """Inside `change`.  None takes it away."""
        if value is None:
            self.connection.execute(
                "DELETE FROM cursors WHERE source = ? AND name = ?", (source, name)
            )
            return
        self.connection.execute(
            "INSERT INTO cursors VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
            (source, name, value),
        )

    def set_identities(self, customers: Mapping[str, str], origin: str) -> None:
        """Inside `change`: what one origin says of payers, by payer, in place of what it said.

        A payer whose customer was forgotten stays that one's stand-in.
        """
        self.connection.execute("DELETE FROM identities WHERE origin = ?", (origin,))
        self.connection.executemany(
            "INSERT INTO identities VALUES (?, ?, ?) ON CONFLICT DO UPDATE "
            "SET customer = excluded.customer, origin = excluded.origin "
            "WHERE identities.origin <> ?",
            [(payer, customer, origin, FORGOTTEN) for payer, customer in customers.items()],
        )

    def unmapped(self, sources: Iterable[str] | None = None) -> list[tuple[str, str, int]]:
        """Payers that are nobody's customer: (payer, its name, facts), the most facts first."""
        where, chosen = _of_sources(sources)
        return self.rows(
            "SELECT payer, max(payer_name), count(*) AS facts FROM facts "  # noqa: S608 -- our own
            f"LEFT JOIN identities USING (payer) WHERE {where} AND payer <> '' "
            "AND identities.customer IS NULL AND facts.customer IS NULL "
            "GROUP BY payer ORDER BY facts DESC, payer",
            *chosen,
        )

    def sums(self, source: str) -> list[tuple[str, int, int]]:
        """(kind, nano-dollars, facts) of what counts, by kind in the order of KINDS."""
        uncounted = ", ".join("?" * len(UNCOUNTED))
        rows = self.rows(
            "SELECT kind, coalesce(sum(amount_nano), 0), count(*) FROM facts "  # noqa: S608
            f"WHERE source = ? AND state NOT IN ({uncounted}) GROUP BY kind",
            source, *UNCOUNTED,
        )  # fmt: skip
        return sorted(rows, key=lambda one: KINDS.index(one[0]))

    def without_rate(self, source: str) -> dict[str, int]:
        """How many facts of each currency have no amount in dollars, for want of a rate."""
        rows = self.rows(
            "SELECT currency, count(*) FROM facts WHERE source = ? AND amount_nano IS NULL "
            "GROUP BY currency ORDER BY currency",
            source,
        )
        return dict(rows)


def _of_sources(sources: Iterable[str] | None) -> tuple[str, list[str]]:
    """A condition and its values; None is every source but the test mode's."""
    if sources is None:
        return "facts.source <> ?", [TEST_SOURCE]
    chosen = list(sources)
    return f"facts.source IN ({', '.join('?' * len(chosen))})", chosen


@contextlib.contextmanager
def writing(path: Path, *, wait_s: float = 0) -> Iterator[RevenueStore]:
    """The file to write, made when it is not there; nobody else writes it meanwhile.

    wait_s: how long another writer is waited for.
    Raises NoburnError while another import runs, LedgerUnavailable for a file that cannot be used.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path.with_suffix(".lock"), _FLAGS, 0o600)
    except OSError as error:
        raise _unusable(path, error) from error
    try:
        _lock(descriptor, path, time.monotonic() + wait_s)
        with contextlib.closing(_opened(path)) as connection:
            yield RevenueStore(connection, path)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def reading(path: Path) -> Iterator[RevenueStore]:
    """The file as it is at one moment.  Raises LedgerUnavailable; see `is_there`."""
    import apsw

    try:
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    except apsw.Error as error:
        raise _unusable(path, error) from error
    with contextlib.closing(connection):
        connection.set_busy_timeout(BUSY_MS)
        try:
            version = next(iter(connection.execute("PRAGMA user_version")))[0]
        except apsw.Error as error:
            raise _unusable(path, error) from error
        check_version(version, path)
        if not version:
            raise _unusable(path, "it is a database, but not one of revenue")
        with connection:
            yield RevenueStore(connection, path, version)


def _lock(descriptor: int, path: Path, until: float) -> None:
    """Hold the lock by `until`, by the monotonic clock.  Raises NoburnError."""
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError as error:
            if time.monotonic() >= until:
                raise _busy(path) from error
        time.sleep(_LOCK_PAUSE_S)


def is_there(path: Path) -> bool:
    """Whether anything was imported yet."""
    return path.exists()


def _opened(path: Path) -> apsw.Connection:
    import apsw

    try:
        # Before SQLite makes it, which would go by the umask; its log and index follow the file.
        os.close(os.open(path, _FLAGS, 0o600))
        connection = apsw.Connection(str(path))
    except (OSError, apsw.Error) as error:
        raise _unusable(path, error) from error
    try:
        connection.set_busy_timeout(BUSY_MS)
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "secure_delete = ON"):
            connection.execute(f"PRAGMA {pragma}")
        migrate(connection, path)
    except apsw.Error as error:
        connection.close()
        raise _unusable(path, error) from error
    except NoburnError:
        connection.close()
        raise
    return connection


def _busy(path: Path) -> NoburnError:
    return NoburnError(
        "another import is writing revenue",
        why=f"it holds {path.with_suffix('.lock')}",
        next_step="wait until it has ended, then run the same command again",
    )


def _unusable(path: Path, why: object) -> LedgerUnavailable:
    return LedgerUnavailable(
        f"the revenue file {path} cannot be used",
        why=str(why),
        next_step="see that the disk has room and the file is yours; it can be deleted and "
        "imported anew",
    )
