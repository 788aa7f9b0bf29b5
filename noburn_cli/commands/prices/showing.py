"""`noburn prices show` and `history`: one model, as the book knows it now and over time.

Layer: commands.  Below: prices, core.price_notices, render.prices, render.price_changes.
"""

from __future__ import annotations

import os
from typing import Annotated

import typer

from noburn_cli.commands.prices import shared
from noburn_cli.commands.prices.shared import At, Json
from noburn_cli.errors import UsageError

ModelArgument = Annotated[
    str,
    typer.Argument(help="A model, by any of its names.", metavar="MODEL", show_default=False),
]
#: Everything that is announced is shown of one model, however far ahead.
_AHEAD_DAYS = 36_500


def show_command(model: ModelArgument, at: At = None, as_json: Json = False) -> None:
    """Show all that the price book knows of a model, and where it is from."""
    from noburn_cli.core.price_notices import notices
    from noburn_cli.prices import load_book
    from noburn_cli.render.jsonout import print_json
    from noburn_cli.render.prices import model_data, render_model
    from noburn_cli.render.table import terminal_width

    book = load_book(os.environ)
    found = book.resolve(model)
    moment = shared.at_ms(at)
    announced = notices(book, [model], at_ms=moment, horizon_days=_AHEAD_DAYS)
    origins = book.origins(found.name)
    shared.note_passed_over()
    if as_json:
        data = model_data(found, origins)
        data["announced"] = [
            {"kind": one.kind, "on": one.on.isoformat(), "text": one.text} for one in announced
        ]
        print_json("prices.model", shared.JSON_VERSION, data)
        return
    lines = render_model(found, origins, announced, at_ms=moment, width=terminal_width())
    typer.echo("\n".join(lines))


def history_command(
    model: ModelArgument,
    variant: Annotated[
        str,
        typer.Option(
            help=shared.VARIANT_HELP,
            metavar="VARIANT",
        ),
    ] = "all",
    as_json: Json = False,
) -> None:
    """Show what a model has cost from day to day, by how much it changed, and what is to come."""
    from noburn_cli.prices import load_book
    from noburn_cli.render.jsonout import print_json
    from noburn_cli.render.price_changes import history_data, render_history

    shared.check_variant(variant)
    found = load_book(os.environ).resolve(model)
    rows = [row for row in found.rows if variant in (shared.ALL, row.variant)]
    if not rows:
        raise UsageError(
            f"`{found.name}` has no rows of {variant}",
            why="what a region costs more is a factor of the plain variant's rows",
            next_step=f"`noburn prices show {found.name}` has the regions and their factors",
        )
    if as_json:
        print_json("prices.history", shared.JSON_VERSION, history_data(found, rows))
        return
    typer.echo("\n".join(render_history(found, rows, today=shared.today())))
