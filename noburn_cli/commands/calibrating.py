"""`noburn report --calibration`: what was estimated, against what was settled.

Layer: commands.  Below: reports.calibration, render.calibration.  Above: commands.report.
"""

from __future__ import annotations

import sys

import typer

from noburn_cli.reports.query import Question

JSON_VERSION = 1


def show_calibration(question: Question, *, as_json: bool, as_csv: bool) -> None:
    """Read the ledger once, and print what was found.  Raises LedgerUnavailable."""
    from noburn_cli import paths
    from noburn_cli.render.calibration import (
        calibration_csv,
        calibration_data,
        render_calibration,
    )
    from noburn_cli.render.jsonout import print_json
    from noburn_cli.render.progress import Progress
    from noburn_cli.render.table import terminal_width
    from noburn_cli.reports.calibration import read_calibration

    progress = Progress(sys.stderr)
    progress.begin(0, "rows read")
    found = read_calibration(paths.ledger_path(), question, progress.reach)
    progress.end()
    if as_json:
        asked = {
            "since_ms": question.since_ms, "until_ms": question.until_ms, "run": question.run,
            "step": question.step, "where": question.where,
        }  # fmt: skip
        print_json("report.calibration", JSON_VERSION, {**asked, **calibration_data(found)})
    elif as_csv:
        typer.echo(calibration_csv(found), nl=False)
    elif found.total.calls:
        typer.echo("\n".join(render_calibration(found, width=terminal_width())))
    else:
        typer.echo("no settled calls match", err=True)
