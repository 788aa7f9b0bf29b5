"""What customers pay beside what they cost, kept while neither changes.

Layer: dashboard, I/O.  Below: profit, render.pnl_data, periods.  Above: dashboard.server.
Owns: which profit and loss a page asks for, and how much of it is sent: of thousands of customers
the lowest, with the totals and numbers of all.  Every figure is the one that `noburn pnl --json
--outlook` prints for the same period.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from noburn_cli import paths
from noburn_cli.core.profit_periods import parse_period
from noburn_cli.core.recognition_days import Days
from noburn_cli.dashboard.beside import changed_ns
from noburn_cli.dashboard.periods import ALL, LAST_MONTH, MONTH_30, THIS_MONTH, TODAY, WEEK
from noburn_cli.errors import UsageError
from noburn_cli.profit.outlooks import history_first, outlooks
from noburn_cli.profit.reading import Question, lines_of, read_books
from noburn_cli.render.pnl_data import pnl_data
from noburn_cli.reports.head import read_head
from noburn_cli.revenue import store

#: The page's periods as `noburn pnl --period` takes them.  Overhead is by month, so that all time
#: would book it for years in which nobody was there: the year stands in for it.
PERIODS = {
    TODAY: "1d", WEEK: "7d", MONTH_30: "30d", THIS_MONTH: "month", LAST_MONTH: "last-month",
    ALL: "year",
}  # fmt: skip
_BY = ("customer", "feature", "plan", "model")
_KEPT_MAX = 16
#: A page of more lines is slow, and nobody reads it; names of what is on one side only to begin
#: with.
ROWS_MAX = 300
NAMES_MAX = 10

Document = dict[str, Any]


class Margins:
    """Reads profit and loss of one home, one at a time, off the event loop.

    asked: the question whose days and grouping are left open.
    """

    def __init__(self, home: Path, asked: Question, *, now_ms: Callable[[], int]) -> None:
        self._home = home
        self._asked = asked
        self._now_ms = now_ms
        self._kept: dict[object, Document] = {}
        self._reading = threading.Lock()

    def read(self, name: str, by: str) -> Document:
        """A period's margin as a page shows it; `known` says whether there is any revenue.

        Raises NoburnError.
        """
        return shown(self._whole(name, by))

    def each(self, name: str, by: str) -> Document:
        """The margin of every line of a period, by its name.  Raises NoburnError."""
        found = self._whole(name, by)
        rows = found.get("rows", ())
        return {
            "known": found["known"],
            "margin_usd": {row["key"][by]: row["margin_usd"] for row in rows},
        }

    def _whole(self, name: str, by: str) -> Document:
        if name not in PERIODS:
            raise UsageError(f"there is no period {name!r}", why=f"known are {', '.join(PERIODS)}")
        if by not in _BY:
            raise UsageError(f"margin cannot be by {by!r}", why=f"known are {', '.join(_BY)}")
        revenue = paths.revenue_path(self._home)
        if not store.is_there(revenue):
            return {"known": False}
        now_ms = self._now_ms()
        today = Days(self._asked.rules.zone).of(now_ms)
        ledger = paths.ledger_path(self._home)
        head = read_head(ledger) if ledger.exists() else None
        changed = changed_ns(revenue), changed_ns(paths.imports_path(self._home))
        with self._reading:
            key = (name, by, today, head, changed)
            if key not in self._kept:
                if len(self._kept) >= _KEPT_MAX:
                    self._kept.clear()
                self._kept[key] = self._read(name, by, now_ms, today)
            return self._kept[key]

    def _read(self, name: str, by: str, now_ms: int, today: int) -> Document:
        period = parse_period(PERIODS[name], today=today)
        question = replace(self._asked, first=period.first, until=period.until, by=(by,))
        books = read_books(self._home, question, now_ms=now_ms, history_first=history_first(today))
        ends = outlooks(books, now_ms) if by == "customer" else None
        return {"known": bool(books.facts), "period": name,
                **pnl_data(lines_of(books), outlooks=ends)}  # fmt: skip


def shown(found: Document) -> Document:
    """What a page shows of profit and loss: the lowest lines, and how many there are of all."""
    if "rows" not in found:
        return found
    rows = found["rows"][:ROWS_MAX]
    document = {
        **found, "rows": rows, "rows_total": len(found["rows"]),
        "rows_under_water": sum(row["margin_usd"].startswith("-") for row in found["rows"]),
        "unmapped": {name: sides[:NAMES_MAX] for name, sides in found["unmapped"].items()},
        "unmapped_total": {name: len(sides) for name, sides in found["unmapped"].items()},
    }  # fmt: skip
    if "outlook" in found:
        named = {row["key"]["customer"] for row in rows}
        document["verdicts"] = Counter(one["verdict"] for one in found["outlook"])
        document["outlook"] = [
            one
            for place, one in enumerate(found["outlook"])
            if place < ROWS_MAX or one["customer"] in named
        ]
    return document
