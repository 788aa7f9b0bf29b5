"""`noburn ledger export`: calls or journal as CSV, JSON lines or Parquet.

Layer: commands.  Below: export, reports.query (moments), paths.
"""

from __future__ import annotations

import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated

import typer

from noburn_cli.errors import UsageError

_STDOUT = "-"


def export_command(
    output: Annotated[
        str, typer.Option(help="The file to write; - for standard output.", metavar="FILE")
    ] = _STDOUT,
    format_: Annotated[
        str, typer.Option("--format", help="csv, jsonl or parquet.", metavar="FORMAT")
    ] = "csv",
    what: Annotated[
        str,
        typer.Option(help="calls (one line each) or journal (every row).", metavar="WHAT"),
    ] = "calls",
    since: Annotated[
        str | None,
        typer.Option(help="Recorded from then on: 2026-11-01, 24h, 7d (UTC).", metavar="TIME"),
    ] = None,
    until: Annotated[str | None, typer.Option(help="Recorded before then.", metavar="TIME")] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on with an export into this file that was cut off."),
    ] = False,
) -> None:
    """Write calls or journal as CSV, JSON lines or Parquet, exact to the nano-dollar."""
    from noburn_cli import paths
    from noburn_cli.commands.ledger.telling import told
    from noburn_cli.export.columns import COLUMNS, WHATS
    from noburn_cli.export.job import Wanted, export, export_lines
    from noburn_cli.export.writing import FORMATS, PARQUET, Lines
    from noburn_cli.reports.query import parse_moment

    _check("--format", format_, FORMATS)
    _check("--what", what, WHATS)
    now = datetime.now(timezone.utc)
    wanted = Wanted(
        format_, what, since, until,
        None if since is None else parse_moment(since, now=now, what="--since"),
        None if until is None else parse_moment(until, now=now, what="--until"),
    )  # fmt: skip
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


def _check(option: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise UsageError(f"{option} cannot be {value!r}", why=f"known are {', '.join(known)}")
