"""The views of `noburn report`: the few that make most, unusual days, the end of the month.

Layer: commands.  Below: reports.pareto, outlook, render.report_views.  Above: commands.report.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from noburn_cli.commands.report_showing import (
    JSON_VERSION,
    Output,
    catching_up,
    emit,
    say_nothing_found,
)

if TYPE_CHECKING:
    from noburn_cli.reports.anomalies import Rule
    from noburn_cli.reports.query import Question


def show_pareto(question: Question, out: Output) -> None:
    """Which few make most of the spend.  Raises UsageError, LedgerUnavailable."""
    from noburn_cli import paths
    from noburn_cli.render.report_views import pareto_data, render_pareto
    from noburn_cli.reports.pareto import read_pareto

    with catching_up() as tell:
        found = read_pareto(paths.home(), question, tell=tell, rollups=out.rollups)
    if out.format == "json":
        _json("report.pareto", question, pareto_data(found, top=out.top), out)
        return
    if not found.parts:
        say_nothing_found(question)
        return
    lines = render_pareto(found, top=out.top, width=_width(out))
    if out.chart:
        from noburn_cli.commands.report_charts import cost_bars

        shown = found.parts[: out.top or 20]
        labels = [part.line.keys[0] for part in shown]
        costs = [part.line.sums.cost_nano for part in shown]
        lines += ["", *cost_bars(labels, costs, of=question.by[0])]
    emit(lines, out)


def show_unusual(question: Question, out: Output, rule: Rule, *, now_ms: int) -> None:
    """Days far above their norm.  Raises UsageError, LedgerUnavailable."""
    from noburn_cli import paths
    from noburn_cli.render.report_views import render_unusual, unusual_data
    from noburn_cli.reports.outlook import read_unusual

    with catching_up() as tell:
        found = read_unusual(
            paths.home(), question, now_ms=now_ms, rule=rule, tell=tell, rollups=out.rollups
        )
    by = question.by[0]
    if out.format == "json":
        _json("report.anomalies", question, unusual_data(found, by, rule), out)
    else:
        emit(render_unusual(found, by, rule, width=_width(out)), out)


def show_outlook(question: Question, out: Output, *, now_ms: int) -> None:
    """How the month will end.  Raises UsageError, LedgerUnavailable."""
    from noburn_cli import paths
    from noburn_cli.render.report_views import outlook_data, render_outlook
    from noburn_cli.reports.outlook import read_outlook

    if question.since_ms is not None or question.until_ms is not None:
        typer.echo("note: a forecast is of this month, whatever period was asked for", err=True)
    with catching_up() as tell:
        found = read_outlook(paths.home(), question, now_ms=now_ms, tell=tell, rollups=out.rollups)
    if out.format == "json":
        _json("report.forecast", question, outlook_data(found), out)
        return
    lines = render_outlook(found, width=_width(out))
    if out.chart:
        from noburn_cli.commands.report_charts import daily_curve

        lines += ["", *daily_curve(found.days)]
    emit(lines, out)


def _width(out: Output) -> int | None:
    from noburn_cli.render.table import terminal_width

    return None if out.path is not None else terminal_width()


def _json(kind: str, question: Question, data: dict[str, object], out: Output) -> None:
    from noburn_cli.render.jsonout import format_json

    asked = {
        "since_ms": question.since_ms, "until_ms": question.until_ms, "zone": question.zone,
        "where": question.where, "sources": list(question.sources),
    }  # fmt: skip
    emit([format_json(kind, JSON_VERSION, {**asked, **data})], out)
