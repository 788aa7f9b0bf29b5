"""`noburn export csv|jsonl|parquet`: calls or journal as tables, one line or row each.

Layer: commands.  Below: export, reports.period (moments), paths.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from noburn_cli.errors import UsageError

if TYPE_CHECKING:
    from noburn_cli.export.job import Wanted

_STDOUT = "-"

_What = Annotated[
    str, typer.Option(help="calls (one line each) or journal (every row).", metavar="WHAT")
]
_Since = Annotated[
    str | None,
    typer.Option(help="Recorded from then on: 2026-11-01, 24h, 7d (UTC).", metavar="TIME"),
]
_Until = Annotated[str | None, typer.Option(help="Recorded before then.", metavar="TIME")]
_Resume = Annotated[
    bool, typer.Option("--resume", help="Go on with an export into this file that was cut off.")
]
_Output = Annotated[
    str, typer.Option(help="The file to write; - for standard output.", metavar="FILE")
]


def csv_command(
    output: _Output = _STDOUT,
    what: _What = "calls",
    since: _Since = None,
    until: _Until = None,
    resume: _Resume = False,
) -> None:
    """Write calls or journal as CSV, exact to the nano-dollar."""
    _write("csv", output, what, since, until, resume)


def jsonl_command(
    output: _Output = _STDOUT,
    what: _What = "calls",
    since: _Since = None,
    until: _Until = None,
    resume: _Resume = False,
) -> None:
    """Write calls or journal as JSON, one object a line, exact to the nano-dollar."""
    _write("jsonl", output, what, since, until, resume)


def parquet_command(
    output: Annotated[str, typer.Option(help="The file to write.", metavar="FILE")],
    what: _What = "calls",
    since: _Since = None,
    until: _Until = None,
    resume: _Resume = False,
) -> None:
    """Write calls or journal as Parquet, money as decimals."""
    _write("parquet", output, what, since, until, resume)


def _write(
    format_: str, output: str, what: str, since: str | None, until: str | None, resume: bool
) -> None:
    from noburn_cli import paths
    from noburn_cli.commands.ledger.telling import told
    from noburn_cli.export.columns import COLUMNS
    from noburn_cli.export.job import export, export_lines
    from noburn_cli.export.writing import PARQUET, Lines

    wanted = _wanted(format_, what, since, until)
    if output == _STDOUT:
        if format_ == PARQUET or resume:
            raise UsageError(
                "Parquet and --resume need a file", next_step="name one with --output FILE"
            )
        export_lines(paths.ledger_path(), wanted, Lines(format_, COLUMNS[what], sys.stdout))
        return
    with told() as tell:
        rows = export(
            paths.ledger_path(), Path(output).absolute(), wanted, resume=resume, tell=tell
        )  # fmt: skip
    typer.echo(f"exported {rows:,} {'calls' if what == 'calls' else 'rows'} to {output}", err=True)


def _wanted(format_: str, what: str, since: str | None, until: str | None) -> Wanted:
    """What the options ask for.  Raises UsageError."""
    from noburn_cli.export.columns import WHATS
    from noburn_cli.export.job import Wanted
    from noburn_cli.reports.period import parse_span

    if what not in WHATS:
        raise UsageError(f"--what cannot be {what!r}", why=f"known are {', '.join(WHATS)}")
    since_ms, until_ms = parse_span(since, until, now_ms=time.time_ns() // 1_000_000)
    return Wanted(format_, what, since, until, since_ms, until_ms)
