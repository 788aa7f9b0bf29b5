"""Is the ledger what the daemon wrote?  The chain, the texts it binds, and the balances made again.

Layer: reports, I/O.  Below: reading, core.chain, core.budgets.  Above: commands.ledger.
Owns: recomputing every account from the journal alone, sharing no code with the daemon's book but
the rules of scopes and windows.  Not here: the chain itself (core.chain).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noburn_cli.core import chain
from noburn_cli.core.budgets import account_keys, parse_scope, show_scope
from noburn_cli.core.money import DOLLARS, TOKENS
from noburn_cli.core.windows import Window
from noburn_cli.reports.reading import check_pages, reading

if TYPE_CHECKING:
    import apsw

#: The limit of a run that ended longer ago is no longer kept up to date: nothing can run in it.
_ENDED_RUN_MS = 6 * 24 * 3_600_000

#: What each ended call is charged at, as of the snapshot: its last closing row counts.
_CHARGED = """
    SELECT x.text, r.at_ms,
      -- What a subscription pays for weighs on no budget of dollars.
      CASE WHEN json_extract(n.text, '$.notional') THEN 0 ELSE e.cost_nano END, e.cost_tokens
    FROM journal AS r
    JOIN journal AS e ON e.seq = (
      SELECT max(c.seq) FROM journal AS c WHERE c.call = r.call AND c.seq <= :as_of
        AND c.kind IN ('settle', 'lose', 'orphan', 'void'))
    JOIN names AS x ON x.id = r.context
    LEFT JOIN names AS n ON n.id = r.note
    WHERE r.kind = 'reserve' AND e.kind != 'void'
"""
_BUDGETS = (
    "SELECT id, scope, per, unit, ended_at_ms, zone, anchor FROM budgets"
    " WHERE removed_at_ms IS NULL"
)

Place = tuple[int, str, int]


@dataclass(frozen=True)
class WrongBalance:
    """An account whose stored balance is not what its calls come to; in the budget's unit."""

    budget: str
    key: str
    unit: str
    stored: int
    recomputed: int


@dataclass(frozen=True)
class Verdict:
    """What was looked at, and the first thing wrong of each kind.

    bad_seq: the first row whose link does not hold, or the row after the last if the head that was
        kept elsewhere is not in the chain.
    bad_name: the number of the first text that is not what the journal bound it to.
    bad_book: the version of a price book whose texts are not the ones that calls were priced with.
    head: the last link, in hex, to keep elsewhere.
    """

    rows: int
    head: str
    bad_seq: int | None
    bad_row: str | None
    bad_name: int | None
    bad_book: str | None
    accounts: int
    wrong: tuple[WrongBalance, ...]

    @property
    def holds(self) -> bool:
        bad = (self.bad_seq, self.bad_name, self.bad_book)
        return all(one is None for one in bad) and not self.wrong


@dataclass(frozen=True)
class _Budget:
    id: int
    scope: str
    per: str
    unit: str
    ended_at_ms: int | None
    zone: str
    anchor: int

    @cached_property
    def window(self) -> Window:
        return Window(self.per, self.zone, self.anchor)


def verify_ledger(ledger_path: Path, *, head: bytes | None = None) -> Verdict:
    """Read the whole ledger in one transaction and check it.

    head: the last link as kept elsewhere, or None.
    Raises LedgerUnavailable when there is none, or when a page of the file is damaged.
    """
    with reading(ledger_path) as connection:
        check_pages(connection)
        return _verify(connection, head)


def _verify(connection: apsw.Connection, head: bytes | None) -> Verdict:
    rows, last = _one(connection, "SELECT count(*), max(seq) FROM journal")
    link = _one(connection, "SELECT chain FROM journal WHERE seq = ?", (last,))
    bad_seq = chain.verify(_chained(connection), head=head)
    bad_name = chain.verify_names(_bound_names(connection), _names(connection))
    accounts, wrong = _check_balances(connection)
    return Verdict(
        rows=rows,
        head=(link[0] if link else chain.GENESIS).hex(),
        bad_seq=bad_seq,
        bad_row=None if bad_seq is None else _describe(connection, bad_seq),
        bad_name=bad_name,
        bad_book=_bad_book(connection),
        accounts=accounts,
        wrong=wrong,
    )


def _one(connection: apsw.Connection, sql: str, values: tuple[Any, ...] = ()) -> tuple[Any, ...]:
    return tuple(next(iter(connection.execute(sql, values)), ()))


def _chained(connection: apsw.Connection) -> Iterator[tuple[tuple[Any, ...], bytes]]:
    columns = ", ".join(f'"{name}"' for name in chain.COLUMNS)
    sql = f"SELECT {columns}, chain FROM journal ORDER BY seq"  # noqa: S608 -- our own names
    for row in connection.execute(sql):
        yield row[:-1], row[-1]


def _names(connection: apsw.Connection) -> Iterator[tuple[int, str, str | None, str | None]]:
    sql = "SELECT id, kind, text, salt FROM names ORDER BY id"
    yield from connection.execute(sql)


def _bound_names(connection: apsw.Connection) -> Iterator[tuple[int, str]]:
    """(number, digest) as the journal bound them."""
    for (detail,) in connection.execute("SELECT detail FROM journal WHERE kind = 'name'"):
        bound = json.loads(detail)
        yield bound["name"], bound["digest"]


def _bad_book(connection: apsw.Connection) -> str | None:
    """The first price book whose texts are not what the journal says they are."""
    stored = dict(connection.execute("SELECT version, texts FROM books"))
    bound = {}
    for (detail,) in connection.execute("SELECT detail FROM journal WHERE kind = 'book'"):
        row = json.loads(detail)
        bound[row["version"]] = row["digest"]
    for version in sorted({*stored, *bound}):
        texts = stored.get(version)
        digest = None if texts is None else hashlib.sha256(texts.encode()).hexdigest()
        if digest is None or digest != bound.get(version):
            return str(version)
    return None


def _describe(connection: apsw.Connection, seq: int) -> str | None:
    """What the bad row says of itself; None when there is no such row."""
    found = _one(connection, "SELECT kind, call, run FROM journal WHERE seq = ?", (seq,))
    return " ".join(str(part) for part in found if part is not None) or None


def _check_balances(connection: apsw.Connection) -> tuple[int, tuple[WrongBalance, ...]]:
    """Compare each account of a current window with the sum of its calls."""
    found = _one(connection, "SELECT value FROM meta WHERE key = 'as_of_seq'")
    as_of = int(found[0]) if found else 0
    now_ms = _one(connection, "SELECT coalesce(max(at_ms), 0) FROM journal")[0]
    budgets = {
        budget.id: budget
        for row in connection.execute(_BUDGETS)
        if not (budget := _Budget(*row)).ended_at_ms or budget.ended_at_ms > now_ms - _ENDED_RUN_MS
    }
    sums = _recompute(connection, budgets, as_of=as_of, now_ms=now_ms)
    stored: dict[Place, int] = {
        (
            budget,
            show_scope(tuple((name, value) for name, value in json.loads(key))),
            start,
        ): settled
        for budget, key, start, settled in connection.execute(
            "SELECT budget, key, window_start_ms, settled FROM accounts"
        )
        if budget in budgets and budgets[budget].window.bounds(now_ms)[0] == start
    }
    wrong = tuple(
        WrongBalance(
            budget=f"{budgets[place[0]].scope} per {budgets[place[0]].per}",
            key=place[1],
            unit=budgets[place[0]].unit,
            stored=stored.get(place, 0),
            recomputed=sums.get(place, 0),
        )
        for place in sorted({*stored, *sums})
        if stored.get(place, 0) != sums.get(place, 0)
    )
    return len({*stored, *sums}), wrong


def _recompute(
    connection: apsw.Connection, budgets: dict[int, _Budget], *, as_of: int, now_ms: int
) -> dict[Place, int]:
    """What every account of a current window comes to, from the journal alone."""
    scopes = {budget.id: parse_scope(budget.scope) for budget in budgets.values()}
    starts = {budget.id: budget.window.bounds(now_ms)[0] for budget in budgets.values()}
    keys: dict[str, list[tuple[_Budget, str]]] = {}
    sums: dict[Place, int] = {}
    for context, at_ms, nano, tokens in connection.execute(_CHARGED, {"as_of": as_of}):
        if context not in keys:
            attributes = json.loads(context)
            keys[context] = [
                (budget, show_scope(key))
                for budget in budgets.values()
                for key in account_keys(scopes[budget.id], budget.per, attributes)
            ]
        for budget, key in keys[context]:
            if budget.window.bounds(at_ms)[0] != starts[budget.id]:
                continue
            place = (budget.id, key, starts[budget.id])
            sums[place] = sums.get(place, 0) + _weight(budget.unit, nano, tokens)
    return sums


def _weight(unit: str, nano: int | None, tokens: int | None) -> int:
    if unit == DOLLARS:
        return nano or 0
    return (tokens or 0) if unit == TOKENS else 1
