"""Charts of a report in the terminal: bars of its lines, or a curve along time.

Layer: commands.  Below: charts, core.money.  Above: report_showing, report_views.
Positions are floats, for the eye; the exact amounts stand in the table above.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING

from noburn_cli.charts import terminal
from noburn_cli.charts.model import Axis, Bars, Curve, Level, Line, Series
from noburn_cli.core.money import NANO_PER_DOLLAR, show_dollars

if TYPE_CHECKING:
    from noburn_cli.reports.totals import Report

#: More bars than that are a wall.
_BARS_MAX = 20


def report_chart(report: Report) -> list[str]:
    """Cost by line; days as a curve."""
    if report.by == ("day",):
        days = {
            date.fromisoformat(line.keys[0]): line.sums.cost_nano
            for line in report.lines if line.keys[0].count("-") == 2
        }  # fmt: skip
        return daily_curve(days)
    lines = report.lines[:_BARS_MAX]
    labels = [" / ".join(line.keys) or "all" for line in lines]
    return cost_bars(labels, [line.sums.cost_nano for line in lines], of=" / ".join(report.by))


def cost_bars(labels: Sequence[str], costs: Sequence[int], *, of: str) -> list[str]:
    """Bars of costs in nano-dollars."""
    series = Series("cost", [max(0.0, cost / NANO_PER_DOLLAR) for cost in costs])
    axis = Axis("$", show=_dollars, low=0.0)
    return terminal.bars(Bars(f"cost by {of}", labels, [series], axis), terminal.style_of())


def daily_curve(days: Mapping[date, int], *, norm_nano: int | None = None) -> list[str]:
    """A curve of costs by day, days without calls at 0."""
    if len(days) < 2:
        return ["no curve: it takes calls of two days"]
    first, last = min(days), max(days)
    count = (last - first).days + 1
    xs = [float(n) for n in range(count)]
    ys = [days.get(first + timedelta(days=n), 0) / NANO_PER_DOLLAR for n in range(count)]
    levels = [] if norm_nano is None else [Level(norm_nano / NANO_PER_DOLLAR, "mean")]
    shown = Curve(
        "cost by day",
        Axis("day", show=lambda x: f"{first + timedelta(days=round(x)):%m-%d}"),
        Axis("$", show=_dollars, low=0.0),
        [Line("cost", xs, list(ys))],
        levels=levels,
    )
    return terminal.curve(shown, terminal.style_of())


def _dollars(value: float) -> str:
    return show_dollars(round(value * NANO_PER_DOLLAR))
