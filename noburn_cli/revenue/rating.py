"""Exchange rates from a person's own table: what a currency was worth in dollars on a day.

Layer: revenue.  Below: core.currencies, core.revenue, revenue.store.
Above: revenue.csv_file, revenue.deriving, commands.importing.
Owns: which row holds on a day, and pricing facts again when the table changes.
Not here: what Stripe itself converted at (revenue.stripe_settling).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from noburn_cli.core.currencies import USD, read_rate
from noburn_cli.core.revenue import RevenueFact, to_nano

if TYPE_CHECKING:
    from noburn_cli.revenue.store import RevenueStore

#: How the source of a rate begins that is from the table.
TABLE = "table: "


@dataclass(frozen=True)
class RateRow:
    """Dollars for one unit, from a day on (UTC, `2026-01-31`), and who says so."""

    currency: str
    starts_on: str
    rate: str
    origin: str


class Rates:
    """The table, to be asked by day."""

    def __init__(self, rows: Iterable[RateRow]) -> None:
        self._by_currency: dict[str, list[RateRow]] = {}
        for row in sorted(rows, key=lambda one: one.starts_on):
            self._by_currency.setdefault(row.currency, []).append(row)

    def find(self, currency: str, at_ms: int) -> RateRow | None:
        """The row that holds at a moment; None before the first, and for another currency."""
        rows = self._by_currency.get(currency, [])
        day = f"{datetime.fromtimestamp(at_ms // 1000, tz=timezone.utc):%Y-%m-%d}"
        place = bisect_right([row.starts_on for row in rows], day)
        return rows[place - 1] if place else None

    def priced(self, fact: RevenueFact) -> RevenueFact:
        """A fact in dollars: as billed for USD, else by the table, else without an amount."""
        if fact.currency == USD:
            nano = to_nano(fact.amount_minor, USD, read_rate("1"))
            return replace(fact, amount_nano=nano, rate="", rate_source="")
        row = self.find(fact.currency, fact.at_ms)
        if row is None:
            nothing = None if fact.amount_minor else 0
            return replace(fact, amount_nano=nothing, rate="", rate_source="")
        nano = to_nano(fact.amount_minor, fact.currency, read_rate(row.rate))
        source = f"{TABLE}{row.origin}, from {row.starts_on}"
        return replace(fact, amount_nano=nano, rate=row.rate, rate_source=source)


def stored_rates(store: RevenueStore) -> Rates:
    """The table as it is kept."""
    rows = store.rows("SELECT currency, starts_on, rate, origin FROM rates")
    return Rates(RateRow(*row) for row in rows)


def set_rates(store: RevenueStore, rows: Iterable[RateRow]) -> bool:
    """Inside `change`: the table becomes these rows; whether it is another one now."""
    wanted = sorted((r.currency, r.starts_on, r.rate, r.origin) for r in rows)
    if wanted == sorted(store.rows("SELECT currency, starts_on, rate, origin FROM rates")):
        return False
    store.connection.execute("DELETE FROM rates")
    store.connection.executemany("INSERT INTO rates VALUES (?, ?, ?, ?)", wanted)
    return True
