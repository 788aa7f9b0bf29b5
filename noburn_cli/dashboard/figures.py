"""What the ledger's file says was spent, kept while nothing more is written.

Layer: dashboard, I/O.  Below: reports, render's data, periods.  Above: dashboard.server.
Owns: which questions a page's figures come from.  Every figure is the one that `noburn report
--json` prints for the same question.
Not here: what is open now (dashboard.live).
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from noburn_cli import paths
from noburn_cli.core.windows import UTC
from noburn_cli.dashboard.beside import changed_ns
from noburn_cli.dashboard.periods import TODAY, Period, find_period
from noburn_cli.dashboard.shown import stopped_data
from noburn_cli.render.report import report_data
from noburn_cli.render.report_views import outlook_data, pareto_data, unusual_data
from noburn_cli.reports.anomalies import Rule
from noburn_cli.reports.blocks import read_last_stopped
from noburn_cli.reports.head import read_head
from noburn_cli.reports.lines import read_lines
from noburn_cli.reports.outlook import read_outlook, read_unusual
from noburn_cli.reports.pareto import read_pareto
from noburn_cli.reports.query import Question, check_column
from noburn_cli.reports.totals import Report, make_report

#: Reports that are kept; each of the pages' questions is one.
_KEPT_MAX = 64
_BLOCKS_SHOWN_MAX = 50
#: For how long the month's end is as it was, while nothing is written.
_OUTLOOK_MS = 900_000
#: Lines that a page is sent of a report; the total is always that of all.  Of days it needs each.
LINES_MAX = 500
OVERVIEW_LINES_MAX = 20

Document = dict[str, Any]


class Figures:
    """Reads reports of one home's ledger, one at a time, off the event loop.

    now_ms: the wall clock; zone: whose days and months.
    """

    def __init__(self, home: Path, *, now_ms: Callable[[], int], zone: str = UTC) -> None:
        self._home = home
        self._ledger = paths.ledger_path(home)
        self._imports = paths.imports_path(home)
        self._now_ms = now_ms
        self.zone = zone
        #: How far the kept sums have caught up, (rows done, rows in all); None when they have.
        self.counting: tuple[int, int] | None = None
        self._outlook: tuple[object, Document] | None = None
        self._kept: OrderedDict[object, tuple[object, Report]] = OrderedDict()
        self._reading = threading.Lock()

    def overview(self, name: str) -> Document:
        """Today, and a period by model, day, customer and feature.  Raises NoburnError."""
        now_ms = self._now_ms()
        today = find_period(TODAY, now_ms=now_ms, zone=self.zone)
        period = find_period(name, now_ms=now_ms, zone=self.zone)
        return {
            "period": period_data(period, self.zone),
            "today": self._told(today, ("model",)),
            "today_before": self._before(today),
            "before": self._before(period),
            **{
                f"by_{by[0]}": self._told(period, by, lines_max=OVERVIEW_LINES_MAX)
                for by in (("model",), ("day", "model"), ("customer",), ("feature",))
            },
        }

    def report(
        self, by: tuple[str, ...], name: str, chosen: tuple[tuple[str, str], ...], latency: bool
    ) -> Document:
        """One report, and the total of the period before.  Raises NoburnError.

        chosen: attributes and their values; latency: with the percentiles of how long calls took.
        """
        where = dict(chosen)
        for column in (*by, *where):
            check_column(column)
        period = find_period(name, now_ms=self._now_ms(), zone=self.zone)
        return {
            "period": period_data(period, self.zone),
            "where": where,
            "before": self._before(period, where),
            **self._told(period, by, where, latency=latency),
        }

    def outlook(self) -> Document:
        """How the month will end, and customers' days of the last week far above their norm.

        As `noburn report --forecast` and `--anomalies`.  Raises NoburnError.
        """
        if not self._ledger.exists() and not self._imports.exists():
            return {"forecast": None, "unusual": None}
        now_ms, by = self._now_ms(), "customer"
        with self._reading:
            stamp = (self._stamp(), now_ms // _OUTLOOK_MS)
            if self._outlook is None or self._outlook[0] != stamp:
                asked = Question((by,), zone=self.zone)
                ends = read_outlook(self._home, asked, now_ms=now_ms, tell=self._tell)
                unusual = read_unusual(self._home, asked, now_ms=now_ms, tell=self._tell)
                self.counting = None
                data = {
                    "forecast": outlook_data(ends),
                    "unusual": unusual_data(unusual, by, Rule()),
                }
                self._outlook = (stamp, data)
            return self._outlook[1]

    def served(self, by: str, name: str) -> Document:
        """How many users, or else customers, each value of a column serves.  Raises NoburnError.

        As `noburn report --pareto`.
        """
        check_column(by)
        period = find_period(name, now_ms=self._now_ms(), zone=self.zone)
        if not self._ledger.exists() and not self._imports.exists():
            return {"served": None, "rows": []}
        question = self._question((by,), period.since_ms, period.until_ms, None)
        with self._reading:
            found = read_pareto(self._home, question, tell=self._tell)
            self.counting = None
        return pareto_data(found, top=LINES_MAX)

    def blocks(self) -> Document:
        """The calls that were stopped last.  Raises LedgerUnavailable."""
        if not self._ledger.exists():
            return {"rows": []}
        found = read_last_stopped(self._ledger, shown_max=_BLOCKS_SHOWN_MAX)
        return {"rows": [stopped_data(one) for one in found]}

    def _told(
        self, period: Period, by: tuple[str, ...], where: Mapping[str, str] | None = None, *,
        latency: bool = False, lines_max: int = LINES_MAX,
    ) -> Document:  # fmt: skip
        question = self._question(by, period.since_ms, period.until_ms, where)
        report = self._read(replace(question, latency=latency))
        shown = report
        if len(report.lines) > lines_max and "day" not in by:
            shown = replace(report, lines=report.lines[:lines_max])
        return {**report_data(shown), "rows_total": len(report.lines)}

    def _before(self, period: Period, where: Mapping[str, str] | None = None) -> Document | None:
        if period.before is None:
            return None
        report = self._read(self._question(("model",), *period.before, where), moving=True)
        total: Document = report_data(report)["total"]
        return {"since_ms": period.before[0], "until_ms": period.before[1], "total": total}

    def _question(
        self, by: tuple[str, ...], since_ms: int | None, until_ms: int | None,
        where: Mapping[str, str] | None,
    ) -> Question:  # fmt: skip
        return Question(by, since_ms, until_ms, where or {}, zone=self.zone)

    def _read(self, question: Question, *, moving: bool = False) -> Report:
        """The report, from what is kept when the ledger has not grown since.

        moving: its end is as far into the period as now is into this one; kept all the same.
        """
        if not self._ledger.exists() and not self._imports.exists():
            return make_report(question.by, ())
        until_ms = None if moving else question.until_ms
        asked = (question.by, question.since_ms, until_ms, question.latency)
        key = (asked, tuple(sorted(question.where.items())))
        with self._reading:
            stamp = self._stamp()
            kept = self._kept.get(key)
            if kept is not None and kept[0] == stamp:
                self._kept.move_to_end(key)
                return kept[1]
            try:
                report = read_lines(self._home, question, tell=self._tell)
            finally:
                self.counting = None
            self._kept[key] = (stamp, report)
            while len(self._kept) > _KEPT_MAX:
                self._kept.popitem(last=False)
            return report

    def _tell(self, done: int, total: int) -> None:
        self.counting = (done, total)

    def _stamp(self) -> object:
        """What is another one when there is more to read."""
        head = read_head(self._ledger) if self._ledger.exists() else None
        return head, changed_ns(self._imports)


def period_data(period: Period, zone: str) -> Document:
    return {
        "name": period.name, "since_ms": period.since_ms, "until_ms": period.until_ms,
        "zone": zone,
    }  # fmt: skip
