"""The dearest requests of a period, with what each of them earned.

Layer: profit, I/O.  Below: profit.reading, reports.reading, reports.imported.  Above: commands.pnl.
Owns: what one request earns: its customer's revenue of the period for its feature, in equal parts
for each of the calls, as overhead and fees are.  So requests that cost alike earn alike, and a dear
one is seen.  (Parts by cost would give every request the same margin.)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noburn_cli import paths
from noburn_cli.core.budgets import NONE
from noburn_cli.core.profit import CUSTOMER, FEATURE, Figures
from noburn_cli.core.profit_rules import BY_REQUESTS
from noburn_cli.profit.reading import Books, lines_of
from noburn_cli.reports.imported import dearest_imported
from noburn_cli.reports.query import LEDGER
from noburn_cli.reports.reading import reading

if TYPE_CHECKING:
    import apsw

#: Ends of calls, the dearest first.  The view `calls` alone would look up the end of every call.
_ENDS = """
    SELECT call FROM journal
    WHERE kind IN ('settle', 'lose', 'orphan') AND at_ms >= :since AND cost_nano > 0
    ORDER BY cost_nano DESC, call
"""
_CALL = f"""
    SELECT call, reserved_at_ms, coalesce(customer, '{NONE}'), coalesce(feature, '{NONE}'),
      coalesce(resolved_model, model, '{NONE}'), cost_nano, state, '{LEDGER}'
    FROM calls
    WHERE call = :call AND reserved_at_ms >= :since AND reserved_at_ms < :until
      AND state IN ('settled', 'uncertain', 'orphaned')
      AND coalesce(json_extract(detail, '$.notional'), 0) = 0
"""  # noqa: S608 -- our own names


@dataclass(frozen=True)
class Request:
    """One call.  Nano-dollars; shares of what its customer's feature earned are exact.

    source: `ledger`, or where it was imported from.
    """

    call: str
    at_ms: int
    customer: str
    feature: str
    model: str
    cost_nano: int
    revenue_nano: Fraction
    other_nano: Fraction
    state: str
    source: str

    @property
    def margin_nano(self) -> Fraction:
        return self.revenue_nano - self.cost_nano - self.other_nano


def dearest(home: Path, books: Books, *, limit: int) -> list[Request]:
    """The calls that cost most, the dearest first.  Raises LedgerUnavailable."""
    question = books.question
    rules = replace(question.rules, split=BY_REQUESTS)
    asked = replace(question, by=(CUSTOMER, FEATURE), rules=rules)
    lines = {one.keys: one.figures for one in lines_of(replace(books, question=asked)).lines}
    since_ms, until_ms = (books.days.start_ms(day) for day in (question.first, question.until))
    rows = _dearest(home, since_ms, until_ms, question.customer, limit)
    found = []
    for call, at_ms, customer, feature, model, cost, state, source in rows:
        figures = lines.get((customer, feature), Figures())
        calls = max(1, figures.calls)
        found.append(
            Request(
                call, at_ms, customer, feature, model, cost or 0,
                Fraction(figures.net_nano, calls),
                Fraction(figures.overhead_nano - figures.fees_nano, calls), state, source,
            )
        )  # fmt: skip
    return found


def _dearest(
    home: Path, since_ms: int, until_ms: int, customer: str | None, limit: int
) -> list[tuple[Any, ...]]:
    """The dearest calls of a period, as `_CALL` tells them, imported ones among them."""
    ledger, imports = paths.ledger_path(home), paths.imports_path(home)
    found: list[tuple[Any, ...]] = []
    if ledger.exists():
        with reading(ledger) as connection:
            found += _rows(connection, since_ms, until_ms, customer, limit)
    if imports.exists():
        found += dearest_imported(
            imports, ledger, since_ms=since_ms, until_ms=until_ms, customer=customer, count=limit
        )
    return sorted(found, key=lambda row: (-row[5], row[0]))[:limit]


def _rows(
    connection: apsw.Connection, since_ms: int, until_ms: int, customer: str | None, limit: int
) -> Iterator[tuple[Any, ...]]:
    """Those of the ledger."""
    found: dict[str, tuple[Any, ...]] = {}
    for (call,) in connection.execute(_ENDS, {"since": since_ms}):
        if len(found) >= limit:
            break
        values = {"call": call, "since": since_ms, "until": until_ms}
        for row in connection.execute(_CALL, values):
            if customer in (None, row[2]):
                found[call] = row
    yield from found.values()
