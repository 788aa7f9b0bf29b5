"""`noburn prices diff`: in what one price book differs from another.

Layer: commands.  Below: commands.prices.shared, core.book_diff, render.price_changes.
"""

from __future__ import annotations

from typing import Annotated

import typer

from noburn_cli.commands.prices import shared
from noburn_cli.commands.prices.shared import Json

_BOOK_HELP = "A file, `shipped`, `current`, `genai-prices`, or REVISION:FILE of a git repository."


def diff_command(
    first: Annotated[str, typer.Argument(help=_BOOK_HELP, metavar="A", show_default=False)],
    second: Annotated[str, typer.Argument(help="Likewise.", metavar="B", show_default=False)],
    as_json: Json = False,
) -> None:
    """Show in what one price book differs from another."""
    from noburn_cli.core.book_diff import diff_books
    from noburn_cli.render.jsonout import print_json
    from noburn_cli.render.price_changes import diff_data, render_diff

    diffs = diff_books(shared.named_models(first), shared.named_models(second))
    if as_json:
        data = {"first": first, "second": second, "models": diff_data(diffs)}
        print_json("prices.diff", shared.JSON_VERSION, data)
        return
    typer.echo("\n".join(render_diff(diffs, first, second)))
