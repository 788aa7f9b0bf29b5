"""`noburn why`: one call explained, from the ledger's file.

Layer: commands.  Below: reports.calls, reports.receipt, render.why.  No daemon needed.
"""

from __future__ import annotations

from typing import Annotated

import typer

JSON_VERSION = 1


def why_command(
    call: Annotated[
        str | None,
        typer.Argument(
            help="The call's id, or its beginning. Without it: the last call that was stopped.",
            metavar="[CALL]",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Explain one call: its cost, clamp or block."""
    from noburn_cli import paths
    from noburn_cli.render.jsonout import print_json
    from noburn_cli.render.table import terminal_width
    from noburn_cli.render.why import render_why
    from noburn_cli.render.why_data import why_data
    from noburn_cli.reports.calls import read_call
    from noburn_cli.reports.receipt import bill_of, hold_of

    facts = read_call(paths.ledger_path(), call)
    bill, hold = bill_of(facts), hold_of(facts)
    if as_json:
        print_json("why", JSON_VERSION, why_data(facts, bill=bill, hold=hold))
    else:
        lines = render_why(facts, bill=bill, hold=hold, width=terminal_width())
        typer.echo("\n".join(lines))
