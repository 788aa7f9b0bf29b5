"""Days out of the ledger for those who judge them: what is unusual, and how the month will end.

Layer: reports, I/O.  Below: lines, anomalies, forecast, localtime.  Above: commands.report, the
dashboard.
Not here: the rules (anomalies, forecast).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from fractions import Fraction
from pathlib import Path

from noburn_cli.reports.anomalies import HISTORY_DAYS, Judged, Rule, judge
from noburn_cli.reports.forecast import WEEKS_MAX_DAYS, Forecast, forecast
from noburn_cli.reports.lines import read_lines
from noburn_cli.reports.localtime import LocalTime
from noburn_cli.reports.query import Question, parts
from noburn_cli.reports.totals import Line

Tell = Callable[[int, int], None]


@dataclass(frozen=True)
class Outlook:
    """The end of the month, and the days that led to it, in nano-dollars.

    unpriced: imported calls of these days whose cost nobody knows, and which are in no amount.
    """

    forecast: Forecast
    month: str
    days: dict[date, int]
    unpriced: int = 0


def read_unusual(
    home: Path, question: Question, *, now_ms: int, rule: Rule | None = None,
    tell: Tell | None = None, rollups: bool = True,
) -> Judged:  # fmt: skip
    """Days of a question's period that are far above the norm of its one column's values.

    Without a period the last seven days.  Raises as `read_lines`.
    """
    local = LocalTime(question.zone)
    today = local.date_of(now_ms)
    last = today
    if question.until_ms is not None:
        last = min(today, local.date_of(question.until_ms - 1))
    first = last - timedelta(days=6)
    if question.since_ms is not None:
        first = local.date_of(question.since_ms)
    begin_ms = local.start_ms(first - timedelta(days=HISTORY_DAYS))
    asked = replace(parts(question, ("day", question.by[0])), since_ms=begin_ms)
    costs: dict[str, dict[date, int]] = {}
    for line in read_lines(home, asked, tell=tell, rollups=rollups).lines:
        day = _day(line)
        if day is not None and line.sums.calls > 0:
            costs.setdefault(line.keys[1], {})[day] = line.sums.cost_nano
    return judge(costs, first, last, rule)


def read_outlook(
    home: Path, question: Question, *, now_ms: int, tell: Tell | None = None, rollups: bool = True
) -> Outlook:
    """The end of this month of the calls that a question asks about, whatever its period.

    Raises as `read_lines`.
    """
    local = LocalTime(question.zone)
    today = local.date_of(now_ms)
    starts_ms, ends_ms = local.month_bounds(now_ms)
    begin_ms = min(starts_ms, local.start_ms(today - timedelta(days=WEEKS_MAX_DAYS)))
    asked = replace(parts(question, ("day",)), since_ms=begin_ms, until_ms=None)
    report = read_lines(home, asked, tell=tell, rollups=rollups)
    days = _by_day(report.lines)
    month = local.date_of(starts_ms)
    spent = sum(cost for day, cost in days.items() if month <= day <= today)
    day_starts, day_ends = local.day_bounds(now_ms)
    found = forecast(
        days, begun=min(days, default=today), today=today, month_ends=local.date_of(ends_ms),
        spent_nano=spent, day_done=Fraction(now_ms - day_starts, day_ends - day_starts),
    )  # fmt: skip
    return Outlook(found, f"{month:%Y-%m}", days, report.imported.unpriced.paid)


def _by_day(lines: Iterable[Line]) -> dict[date, int]:
    found: dict[date, int] = {}
    for line in lines:
        day = _day(line)
        if day is not None:
            found[day] = found.get(day, 0) + line.sums.cost_nano
    return found


def _day(line: Line) -> date | None:
    """The day of a line; None of a compacted month, of which no days are known."""
    said = line.keys[0]
    return date.fromisoformat(said) if said.count("-") == 2 else None
