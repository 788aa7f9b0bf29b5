"""Calls that other tools recorded and `noburn import` brought, as lines of a report.

Layer: reports, I/O.  Below: query (the SELECT), recorded (stretches of the journal), ledger_file.
Above: reports.lines.
Owns: that no call is counted twice: an imported one whose provider's id the ledger has is left out.

The file has a view `calls` with the columns of the ledger's (noburn_cli.importing.schema), and
`source` besides.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from noburn_cli.core.budgets import NONE
from noburn_cli.errors import LedgerUnavailable
from noburn_cli.ledger_file import BUSY_MS
from noburn_cli.reports.query import PAID, SHARED_COLUMNS, Question, grouped, parts
from noburn_cli.reports.recorded import stretch
from noburn_cli.reports.rollups.doubles import AROUND_MS, doubled_ids
from noburn_cli.reports.totals import KNOWN, Imported, Line, Unpriced

if TYPE_CHECKING:
    import apsw

#: The state of a call whose cost nobody knows: it is in no amount, and no amount is 0 for it.
UNPRICED = "unpriced"
_CALLS = f"""
    SELECT {SHARED_COLUMNS}, requests, detail, NULL AS month, reserved_at_ms AS first_ms,
      reserved_at_ms AS last_ms, NULL AS overage_nano, latency_ms, status, failure, source
    FROM calls
    WHERE provider_id IS NULL OR provider_id NOT IN (SELECT provider_id FROM temp.doubled)
"""  # noqa: S608 -- our own names
_DEAREST = f"""
    SELECT call, reserved_at_ms, coalesce(customer, '{NONE}'), coalesce(feature, '{NONE}'),
      coalesce(resolved_model, model, '{NONE}'), cost_nano, state, source
    FROM calls
    WHERE reserved_at_ms >= :since AND reserved_at_ms < :until AND cost_nano > 0 AND detail IS NULL
      AND (:customer IS NULL OR coalesce(customer, '{NONE}') = :customer)
      AND (provider_id IS NULL OR provider_id NOT IN (SELECT provider_id FROM temp.doubled))
    ORDER BY cost_nano DESC, call LIMIT :count
"""  # noqa: S608 -- our own names
_BORDERS = """
    SELECT min(reserved_at_ms), max(reserved_at_ms) FROM calls WHERE provider_id NOTNULL
"""
_DOUBLED = """
    INSERT OR IGNORE INTO temp.doubled SELECT provider_id FROM ledger.journal
    WHERE seq >= ? AND seq < ? AND provider_id NOTNULL
      AND provider_id IN (SELECT provider_id FROM calls WHERE provider_id NOTNULL)
"""


def imported_lines(
    imports: Path, ledger: Path | None, question: Question, *, cache: Path | None = None
) -> tuple[list[Line], Imported]:
    """The lines of a question over imported calls, and what they add.

    ledger: None where the ledger's own calls are not asked about: then nothing is left out.
    cache: where what both know is kept; None looks for it anew.
    Raises LedgerUnavailable when the file cannot be read.
    """
    with _without_doubles(imports, ledger, cache) as connection:
        lines = grouped(connection, question, _CALLS)
        calls: Counter[str] = Counter()
        costs: Counter[str] = Counter()
        some_unpriced = False
        for line in grouped(connection, parts(question, by=("source", "state")), _CALLS):
            source, state = line.keys
            calls[source] += line.sums.calls
            costs[source] += line.sums.cost_nano
            some_unpriced |= state == UNPRICED
        lacking = _unpriced_by(connection, question) if some_unpriced else {}
        (doubled,) = connection.execute("SELECT count(*) FROM temp.doubled").fetchone() or (0,)
    return lines, Imported(calls, costs, int(doubled), lacking)


def _unpriced_by(
    connection: apsw.Connection, question: Question
) -> dict[tuple[str, ...], Unpriced]:
    """Of the lines, how many calls have a cost that nobody knows."""
    asked = parts(question, question.by)
    found: dict[tuple[str, ...], Unpriced] = {}
    for paid, which in ((True, PAID), (False, f"NOT {PAID}")):
        source = f"SELECT * FROM ({_CALLS}) WHERE state = '{UNPRICED}' AND {which}"  # noqa: S608 -- our own names
        for line in grouped(connection, asked, source):
            calls = line.sums.calls
            more = Unpriced(paid=calls) if paid else Unpriced(notional=calls)
            found[line.keys] = found.get(line.keys, KNOWN).joined(more)
    return found


def dearest_imported(
    imports: Path, ledger: Path, *, since_ms: int, until_ms: int, customer: str | None, count: int
) -> list[tuple[Any, ...]]:
    """The imported calls of a time that cost most, the dearest first: (id, when it began, customer,
    feature, model, cost in nano-dollars, state, source).

    customer: only this one's.  What a subscription paid for is left out.
    Raises LedgerUnavailable when the file cannot be read.
    """
    values = {"since": since_ms, "until": until_ms, "customer": customer, "count": count}
    with _without_doubles(imports, ledger, None) as connection:
        return list(connection.execute(_DEAREST, values))


@contextlib.contextmanager
def _without_doubles(
    imports: Path, ledger: Path | None, cache: Path | None
) -> Iterator[apsw.Connection]:
    """The open file, and in `doubled` the provider's ids that the ledger has as well."""
    counts_twice = ledger is not None and ledger.exists()
    known: list[str] | None = None
    if ledger is not None and counts_twice and cache is not None:
        known = doubled_ids(cache, ledger, imports)
    with _opened(imports) as connection:
        connection.execute("CREATE TEMP TABLE doubled (provider_id TEXT PRIMARY KEY) WITHOUT ROWID")
        if known is not None:
            ids = [(one,) for one in known]
            connection.executemany("INSERT INTO temp.doubled VALUES (?)", ids)
        elif ledger is not None and counts_twice:
            _find_doubled(connection, ledger)
        yield connection


def _find_doubled(connection: apsw.Connection, ledger: Path) -> None:
    """Fill `doubled` with the provider's ids that both files have."""
    first_ms, last_ms = connection.execute(_BORDERS).fetchone() or (None, None)
    if first_ms is None or last_ms is None:
        return
    connection.execute("ATTACH ? AS ledger", (f"file:{quote(str(ledger))}?mode=ro",))
    part = stretch(connection, since_ms=first_ms - AROUND_MS, until_ms=last_ms + AROUND_MS)
    connection.execute(_DOUBLED, (part.first, part.end))


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[apsw.Connection]:
    import apsw

    try:
        connection = apsw.Connection(
            str(path), flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
        )
    except apsw.Error as error:
        raise _unreadable(path, error) from error
    try:
        connection.set_busy_timeout(BUSY_MS)
        yield connection
    except apsw.Error as error:
        raise _unreadable(path, error) from error
    finally:
        connection.close()


def _unreadable(path: Path, why: object) -> LedgerUnavailable:
    return LedgerUnavailable(
        f"the imported calls at {path} cannot be read",
        why=str(why),
        next_step="`noburn report --source ledger` leaves them out; importing again makes the file",
    )
