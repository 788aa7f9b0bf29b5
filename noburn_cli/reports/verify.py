"""Is the ledger what the daemon wrote?  One pass over the journal, checked as it goes by.

Layer: reports, I/O.  Below: reading, links, bindings, balances, core.chain, core.seals.
Above: commands.ledger.
Owns: the verdict, and the order in which rows reach those who check them.
Not here: what each of them checks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noburn_cli.core import chain, seals
from noburn_cli.core.seals import Seal
from noburn_cli.errors import NoburnError
from noburn_cli.reports.balances import Balances, WrongBalance
from noburn_cli.reports.bindings import Books, Names
from noburn_cli.reports.links import Links
from noburn_cli.reports.reading import check_pages, reading

if TYPE_CHECKING:
    import apsw

_SELECT = f"SELECT {', '.join(chain.COLUMNS)}, chain FROM journal WHERE seq > ? ORDER BY seq"  # noqa: S608 -- our own names
_NEWEST_SEAL = """
    SELECT seq, detail FROM journal WHERE kind IN ('compact', 'forget') ORDER BY seq DESC LIMIT 1
"""
_KIND, _DETAIL = chain.COLUMNS.index("kind"), chain.COLUMNS.index("detail")
#: How often the progress is told, in rows.
_STEP_ROWS = 5_000

#: (rows checked, rows in all)
Tell = Callable[[int, int], None]


@dataclass(frozen=True)
class Verdict:
    """What was looked at, and the first thing wrong of each kind.

    rows: how many were checked.  since_seq: the row after which the check began; 0 for all.
    bad_seq: the first row whose link does not hold, or the row after the last if the head that was
        kept elsewhere is not in the chain.
    bad_table: what stands for compacted rows, or vouches for changed ones, and was itself changed.
    bad_name: the number of the first text that is not what the journal bound it to.
    bad_book: the version of a price book whose texts are not the ones that calls were priced with.
    through: the last row that a compaction may have taken; heads from before are not found.
    head: the last link, in hex, to keep elsewhere.
    accounts: how many balances were made again; None where only newer rows were checked.
    """

    rows: int
    since_seq: int
    head_seq: int
    head: str
    through: int
    bad_seq: int | None
    bad_row: str | None
    bad_table: str | None
    bad_name: int | None
    bad_book: str | None
    accounts: int | None
    wrong: tuple[WrongBalance, ...]

    @property
    def holds(self) -> bool:
        bad = (self.bad_seq, self.bad_table, self.bad_name, self.bad_book)
        return all(one is None for one in bad) and not self.wrong


def verify_ledger(
    ledger_path: Path, *, head: bytes | None = None, since: bytes | None = None,
    tell: Tell | None = None,
) -> Verdict:  # fmt: skip
    """Read the ledger at one moment and check it, in memory that does not grow with it.

    head: a link as kept elsewhere, which must be in the chain; or None.
    since: a link that an earlier check ended with: only what came after it is checked.
    Raises LedgerUnavailable when there is none, or a page of the file is damaged; NoburnError when
    `since` is not in it.
    """
    with reading(ledger_path) as connection:
        if since is None:
            check_pages(connection)
        return _Check(connection, head, since).run(tell or (lambda _done, _total: None))


class _Check:
    """One pass over one state of the file."""

    def __init__(
        self, connection: apsw.Connection, head: bytes | None, since: bytes | None
    ) -> None:
        self._connection = connection
        self._bad_table: str | None = None
        seal = self._read_seal()
        self._through = seal.through
        self._after = None if since is None else self._find(since, seal)
        self._links = Links(seal, self._changed(), after=self._after, head=head)
        self._names = Names(connection)
        self._books = Books(connection)
        _, now_ms = self._one("SELECT 0, coalesce(max(at_ms), 0) FROM journal")
        self._balances = Balances(connection, now_ms) if since is None else None
        if since is None and self._bad_table is None:
            self._bad_table = self._unsealed(seal)

    def run(self, tell: Tell) -> Verdict:
        """Walk, and say what was found."""
        from msgspec.json import encode

        since_seq = 0 if self._after is None else self._after[0]
        total = self._one("SELECT count(*) FROM journal WHERE seq > ?", since_seq)[0]
        links, balances = self._links, self._balances
        later = (None,) * (len(chain.COLUMNS) - chain.FIRST_COLUMNS)
        first = chain.FIRST_COLUMNS
        for row in self._connection.execute(_SELECT, (since_seq,)):
            values = row[:-1]
            # As core.chain.canonical, with the faster writer; a test holds the two equal.
            encoded = encode(values[:first] if values[first:] == later else values)
            if not links.add(row[0], encoded, row[-1]):
                break
            kind = row[_KIND]
            if kind == "name":
                self._names.add(row[_DETAIL])
            elif kind == "book":
                self._books.add(row[_DETAIL])
            elif balances is not None:
                balances.add(row)
            if not links.rows % _STEP_ROWS:
                tell(links.rows, total)
        else:
            links.end()
        tell(links.rows, total)
        return self._verdict(since_seq)

    def _verdict(self, since_seq: int) -> Verdict:
        """What was found.  Behind a bad link nothing more is read: the rest says nothing."""
        links = self._links
        seq, link = self._one("SELECT seq, chain FROM journal ORDER BY seq DESC LIMIT 1") or (
            0,
            chain.GENESIS,
        )
        accounts, bad_name, bad_book = None, None, None
        wrong: tuple[WrongBalance, ...] = ()
        if links.bad_seq is None:
            whole = self._after is None
            bad_name = self._names.first_bad(whole=whole)
            bad_book = self._books.first_bad(whole=whole)
            if self._balances is not None:
                accounts, wrong = self._balances.compare()
        return Verdict(
            rows=links.rows, since_seq=since_seq, head_seq=seq, head=link.hex(),
            through=self._through, bad_seq=links.bad_seq,
            bad_row=None if links.bad_seq is None else self._describe(links.bad_seq),
            bad_table=self._bad_table, bad_name=bad_name, bad_book=bad_book,
            accounts=accounts, wrong=wrong,
        )  # fmt: skip

    def _one(self, sql: str, *values: Any) -> tuple[Any, ...]:
        return tuple(next(iter(self._connection.execute(sql, values)), ()))

    def _read_seal(self) -> Seal:
        found = self._one(_NEWEST_SEAL)
        if not found:
            return Seal()
        try:
            return seals.read_seal(found[1])
        except ValueError:
            self._bad_table = "seal"
            return Seal()

    def _find(self, link: bytes, seal: Seal) -> tuple[int, bytes]:
        """The row of a link, to begin after.  Raises NoburnError."""
        if link.hex() == seal.link:
            return seal.through, link
        found = self._one("SELECT seq FROM journal WHERE chain = ? AND seq > ?", link, seal.through)
        if not found:
            compacted = ", or its row was compacted" if seal.through else ""
            raise NoburnError(
                f"no row of the ledger has the head {link.hex()}",
                why=f"rows were cut off, or the chain was made anew, since it was kept{compacted}",
                next_step="check the whole ledger with `noburn ledger verify`",
            )
        return int(found[0]), link

    def _changed(self) -> Iterator[tuple[int, str]]:
        after = 0 if self._after is None else self._after[0]
        sql = "SELECT seq, digest FROM redactions WHERE seq > ? ORDER BY seq"
        yield from self._connection.execute(sql, (after,))

    def _unsealed(self, seal: Seal) -> str | None:
        """The first table that does not say what the newest seal says it did."""
        for table, columns in seals.TABLES.items():
            order = ", ".join(columns[: seals.KEY_LENGTHS[table]])
            sql = f"SELECT {', '.join(columns)} FROM {table} ORDER BY {order}"  # noqa: S608 -- ours
            rows = self._connection.execute(sql)
            if seals.table_digest(rows) != seal.table(table):
                return table
        return None

    def _describe(self, seq: int) -> str | None:
        """What the bad row says of itself; None when there is no such row."""
        found = self._one("SELECT kind, call, run FROM journal WHERE seq = ?", seq)
        return " ".join(str(part) for part in found if part is not None) or None
