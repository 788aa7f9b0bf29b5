"""The dearest requests of a period, with what each of them earned.

Layer: profit, I/O.  Below: profit.reading, reports.reading.  Above: commands.pnl.
Owns: what one request earns: its customer's revenue of the period for its feature, in equal parts
for each of the calls, as overhead and fees are.  So requests that cost alike earn alike, and a dear
one is seen.  (Parts by cost would give every request the same margin.)
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from noburn_cli import paths
from noburn_cli.core.budgets import NONE
from noburn_cli.core.profit import CUSTOMER, FEATURE, Figures
from noburn_cli.core.profit_rules import BY_REQUESTS
from noburn_cli.profit.reading import Books, lines_of
from noburn_cli.reports.reading import reading

_DEAREST = f"""
    SELECT call, reserved_at_ms, coalesce(customer, '{NONE}'), coalesce(feature, '{NONE}'),
      coalesce(resolved_model, model, '{NONE}'), cost_nano, state
    FROM calls
    WHERE state NOT IN ('held', 'blocked', 'refused', 'voided', 'correction')
      AND reserved_at_ms >= :since AND reserved_at_ms < :until
      AND coalesce(json_extract(detail, '$.notional'), 0) = 0
      AND (:customer IS NULL OR coalesce(customer, '{NONE}') = :customer)
    ORDER BY cost_nano DESC, call LIMIT :limit
"""  # noqa: S608 -- our own names


@dataclass(frozen=True)
class Request:
    """One call.  Nano-dollars; shares of what its customer's feature earned are exact."""

    call: str
    at_ms: int
    customer: str
    feature: str
    model: str
    cost_nano: int
    revenue_nano: Fraction
    other_nano: Fraction
    state: str

    @property
    def margin_nano(self) -> Fraction:
        return self.revenue_nano - self.cost_nano - self.other_nano


def dearest(home: Path, books: Books, *, limit: int) -> list[Request]:
    """The calls that cost most, the dearest first.  Raises LedgerUnavailable."""
    path = paths.ledger_path(home)
    if not path.exists():
        return []
    question = books.question
    rules = replace(question.rules, split=BY_REQUESTS)
    asked = replace(question, by=(CUSTOMER, FEATURE), rules=rules)
    lines = {one.keys: one.figures for one in lines_of(replace(books, question=asked)).lines}
    values = {
        "since": books.days.start_ms(question.first),
        "until": books.days.start_ms(question.until),
        "customer": question.customer,
        "limit": limit,
    }
    with reading(path) as connection:
        rows = list(connection.execute(_DEAREST, values))
    found = []
    for call, at_ms, customer, feature, model, cost, state in rows:
        figures = lines.get((customer, feature), Figures())
        calls = max(1, figures.calls)
        found.append(
            Request(
                call, at_ms, customer, feature, model, cost or 0,
                Fraction(figures.net_nano, calls),
                Fraction(figures.overhead_nano - figures.fees_nano, calls), state,
            )
        )  # fmt: skip
    return found
