"""`noburn report` on the screen or into a file: table, CSV, JSON, Markdown, Parquet, charts.

Layer: commands.  Below: reports.lines, render.report*, charts.  Above: commands.report.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from noburn_cli.reports.query import Question
    from noburn_cli.reports.totals import Report

JSON_VERSION = 1


@dataclass(frozen=True)
class Output:
    """How an answer is to be shown.

    path: a file instead of standard output.  top: the dearest lines, and the rest as one.
    rollups: False reads every call of the ledger.
    """

    format: str
    path: str | None = None
    top: int | None = None
    chart: bool = False
    rollups: bool = True


def show_report(question: Question, out: Output) -> None:
    """Read and show.  Raises UsageError, LedgerUnavailable, NoburnError."""
    from noburn_cli import paths
    from noburn_cli.render.table import safe_text
    from noburn_cli.reports.lines import read_lines, read_top
    from noburn_cli.run_notes import RunNotes, read_notes

    with catching_up() as tell:
        if out.top is None:
            report = read_lines(paths.home(), question, tell=tell, rollups=out.rollups)
        else:
            report = read_top(paths.home(), question, out.top, tell=tell, rollups=out.rollups)
    if report.scanned is not None and out.rollups:
        typer.echo(f"note: every call was read: {safe_text(report.scanned)}", err=True)
    ledger = paths.ledger_path()
    has_notes = question.run is not None and ledger.exists()
    notes = read_notes(ledger, str(question.run)) if has_notes else RunNotes()
    if out.format == "parquet":
        _write_parquet(report, out)
        return
    if out.format == "json":
        bypass = {"bypass": notes.as_json()} if question.run is not None else {}
        emit([_as_json(question, report, bypass)], out)
        return
    if not report.lines and not (report.before is not None and report.before.lines):
        if out.format == "csv":
            emit([_csv(question, report)], out)
        else:
            say_nothing_found(question)
    elif out.format == "csv":
        emit([_csv(question, report)], out)
    else:
        emit(_text(question, report, out), out)
    if question.run is not None and out.format == "table" and out.path is None:
        for line in notes.lines():
            typer.echo(safe_text(line))


def say_nothing_found(question: Question) -> None:
    """Why a report has no line, and what helps."""
    from noburn_cli.render.table import remark_lines

    narrowed = question.where or question.run or question.step
    if narrowed or question.since_ms is not None or question.until_ms is not None:
        said = "no calls match: `noburn report` without filters shows all that there are"
    else:
        said = (
            "no calls yet: `noburn run -- COMMAND` records them, `noburn import` brings what "
            "others recorded"
        )
    typer.echo("\n".join(remark_lines([said], sys.stderr)), err=True)


@contextmanager
def catching_up() -> Iterator[Callable[[int, int], None]]:
    """Tells on a terminal how far the kept sums have caught up, when it takes a while."""
    from noburn_cli.render.progress import Progress

    progress = Progress(sys.stderr)
    begun = False

    def tell(done: int, total: int) -> None:
        nonlocal begun
        if not begun:
            begun = True
            progress.begin(total, "summed for this report and the next ones")
        progress.reach(done, total)

    try:
        yield tell
    finally:
        progress.end()


def emit(lines: list[str], out: Output) -> None:
    """Print lines, or write them to the file that was named, whole or not at all."""
    text = "\n".join(line.rstrip("\n") for line in lines) + "\n"
    if out.path is None:
        typer.echo(text, nl=False)
        return
    from noburn_cli.whole_files import appearing

    with appearing(Path(out.path)) as part:
        part.write_text(text, encoding="utf-8")


def is_tree(question: Question) -> bool:
    """Whether the lines are a tree of steps: of steps alone, with nothing beside the cost."""
    from noburn_cli.reports import steps

    return question.by == steps.BY and not question.compare and not question.latency


def _text(question: Question, report: Report, out: Output) -> list[str]:
    from noburn_cli.render.report import render_report
    from noburn_cli.render.report_markdown import report_markdown
    from noburn_cli.render.steps import render_steps
    from noburn_cli.render.table import terminal_width

    if out.format == "markdown":
        return report_markdown(report)
    width = None if out.path is not None else terminal_width()
    tree = is_tree(question) and out.top is None
    lines = (render_steps if tree else render_report)(report, width=width)
    if out.chart:
        from noburn_cli.commands.report_charts import report_chart

        lines += ["", *report_chart(report)]
    return lines


def _csv(question: Question, report: Report) -> str:
    from noburn_cli.render.report import report_csv
    from noburn_cli.render.steps import steps_csv

    return (steps_csv if is_tree(question) else report_csv)(report)


def _as_json(question: Question, report: Report, bypass: Mapping[str, object]) -> str:
    from noburn_cli.render.jsonout import format_json
    from noburn_cli.render.report import report_data
    from noburn_cli.render.steps import steps_data

    data = {
        "since_ms": question.since_ms, "until_ms": question.until_ms, "run": question.run,
        "step": question.step, **bypass, "where": question.where,
        **(steps_data if is_tree(question) else report_data)(report),
        "zone": question.zone, "sources": list(question.sources),
    }  # fmt: skip
    return format_json("report", JSON_VERSION, data)


def _write_parquet(report: Report, out: Output) -> None:
    from noburn_cli.render.report import NUMBERS, report_rows
    from noburn_cli.reports.parquet import write_parquet

    assert out.path is not None  # report_asking has seen to it
    write_parquet(Path(out.path), report.by, report_rows(report), NUMBERS)
