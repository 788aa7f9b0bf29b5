"""`noburn ledger tail`: what is written into the ledger, as it is written.

Layer: commands.  Below: reports.following, render.following, paths.
"""

from __future__ import annotations

import json
from typing import Annotated

import typer


def tail_command(
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on as rows are committed, until Ctrl-C.")
    ] = False,
    lines: Annotated[
        int,
        typer.Option(
            "--lines",
            "-n",
            min=0,
            max=10_000_000,
            metavar="N",
            help="How many rows of the end to show first.",
        ),
    ] = 10,
    kind: Annotated[
        list[str] | None,
        typer.Option(
            help="Only rows of this kind, like settle or blocked; may be repeated.", metavar="KIND"
        ),
    ] = None,
    customer: Annotated[
        str | None, typer.Option(help="Only rows about calls of this customer.", metavar="NAME")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, one row a line.")] = False,
) -> None:
    """Show the journal's last rows, and follow it."""
    from noburn_cli import paths
    from noburn_cli.render.following import entry_data, entry_line
    from noburn_cli.reports.following import Entry, Filter, last_entries
    from noburn_cli.reports.following import follow as followed

    wanted = Filter(tuple(kind or ()), customer)

    def show(entry: Entry) -> None:
        if as_json:
            typer.echo(json.dumps(entry_data(entry), ensure_ascii=False))
        else:
            typer.echo(entry_line(entry))

    found, head = last_entries(paths.ledger_path(), wanted, lines)
    for entry in found:
        show(entry)
    for entry in followed(paths.ledger_path(), wanted, head) if follow else ():
        show(entry)
