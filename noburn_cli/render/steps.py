"""How the tree of steps looks: a table whose first column is indented, CSV, or data.

Layer: render.  Below: reports.steps, render.report, report_columns, report_notes, render.table.
Above: commands.report.
Data and CSV give each step's own numbers first, so that a sum over the rows is the total.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from noburn_cli.render.csv_cells import csv_text
from noburn_cli.render.report import NUMBERS, numbers, report_data
from noburn_cli.render.report_columns import Shown, cost_cell, number_columns
from noburn_cli.render.report_notes import notes
from noburn_cli.render.table import RIGHT, Column, fit_table
from noburn_cli.reports.steps import Step, step_tree
from noburn_cli.reports.totals import Report, Sums

#: Of a step with everything below it, in CSV.
_WITH_BELOW = ("calls", "cost_usd", "share")
_INDENT = "  "


def render_steps(report: Report, *, width: int | None = None) -> list[str]:
    """The tree as aligned lines: OWN is the step's cost alone, the rest is with all below it."""
    steps = step_tree(report)
    total, lacking = report.total, report.imported.unpriced
    shown = [Shown(one.total, _share(report, one.total), one.unpriced) for one in steps]
    own = [cost_cell(one.own.cost_nano, one.own_unpriced.paid) for one in steps]
    names = [_INDENT * one.depth + one.name for one in steps]
    columns = [
        Column("STEP", [*names, "TOTAL"], shorten=True),
        *number_columns([*shown, Shown(total, _share(report, total), lacking)]),
    ]
    place = next(n for n, column in enumerate(columns) if column.header == "COST")
    own.append(cost_cell(total.cost_nano, lacking.paid))
    columns.insert(place, Column("OWN", own, RIGHT, give_up=9))
    return [*fit_table(columns, width=width), *notes(report, width=width)]


def _share(report: Report, sums: Sums) -> Fraction | None:
    whole = report.total.cost_nano
    return Fraction(sums.cost_nano, whole) if whole else None


def steps_csv(report: Report) -> str:
    """The steps as CSV: their own numbers, then the main ones with everything below."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("step", *NUMBERS, *(f"with_below_{name}" for name in _WITH_BELOW)))
    for step in step_tree(report):
        own, total = _both(report, step)
        shown = (*own.values(), *(total[name] for name in _WITH_BELOW))
        writer.writerow((csv_text(step.path), *("" if value is None else value for value in shown)))
    return text.getvalue()


def steps_data(report: Report) -> dict[str, Any]:
    """The report as data, a row a step: its own numbers, and `with_below`, in the tree's order."""
    return {**report_data(report), "rows": list(_rows(report))}


def _rows(report: Report) -> Iterator[dict[str, Any]]:
    for step in step_tree(report):
        own, total = _both(report, step)
        yield {
            "key": {"step": step.path}, "name": step.name, "depth": step.depth, **own,
            "with_below": total,
        }  # fmt: skip


def _both(
    report: Report, step: Step
) -> tuple[dict[str, int | str | None], dict[str, int | str | None]]:
    own = numbers(step.own, _share(report, step.own), unpriced=step.own_unpriced.calls)
    total = numbers(step.total, _share(report, step.total), unpriced=step.unpriced.calls)
    return own, total
