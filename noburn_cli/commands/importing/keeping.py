"""`noburn import list` and `undo`: what was brought in, and taking it back.

Layer: commands.  Below: importing.batches, render.importing.
"""

from __future__ import annotations

from typing import Annotated

import typer

from noburn_cli.commands.importing.options import JSON_VERSION, AsJson


def list_command(as_json: AsJson = False) -> None:
    """List what was brought in, batch by batch."""
    from noburn_cli import paths
    from noburn_cli.importing.batches import listed
    from noburn_cli.render.importing import batches_data, render_batches
    from noburn_cli.render.jsonout import print_json
    from noburn_cli.render.table import terminal_width

    batches = listed(paths.home())
    if as_json:
        print_json("import.list", JSON_VERSION, {"batches": batches_data(batches)})
    elif batches:
        typer.echo("\n".join(render_batches(batches, width=terminal_width())))
    else:
        typer.echo("nothing was imported", err=True)


def undo_command(
    batch: Annotated[
        str,
        typer.Argument(
            help="claude-code/3, as `noburn import list` shows it; a source alone for all of it.",
            metavar="SOURCE/BATCH",
        ),
    ],
) -> None:
    """Take back what an import brought in."""
    from noburn_cli import paths
    from noburn_cli.core.plurals import counted
    from noburn_cli.importing.batches import chosen, undo

    gone = undo(paths.home(), chosen(paths.home(), batch))
    typer.echo(f"{batch}: {counted(gone, 'record')} taken out", err=True)
