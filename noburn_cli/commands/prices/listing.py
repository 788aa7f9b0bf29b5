"""`noburn prices list` and `search`: which models the book has, and what they cost.

Layer: commands.  Below: prices, core.model_search, render.prices.
"""

from __future__ import annotations

import os
import sys
from datetime import datetime, timezone
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated

import typer

from noburn_cli.commands.prices import shared
from noburn_cli.commands.prices.shared import At, Json
from noburn_cli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from noburn_cli.core.models import Model
    from noburn_cli.core.rate_schedules import Schedule
    from noburn_cli.render.prices import Priced

Format = Annotated[
    str | None, typer.Option("--format", help="table, json or csv.", metavar="FORMAT")
]
Variant = Annotated[
    str,
    typer.Option(
        help=shared.VARIANT_HELP, metavar="VARIANT"
    ),
]  # fmt: skip


def list_command(
    provider: Annotated[
        list[str] | None,
        typer.Option(help="Only this provider's; may be repeated.", metavar="NAME"),
    ] = None,
    family: Annotated[
        str | None, typer.Option(help="text, reasoning, embedding or media.", metavar="FAMILY")
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="Only names like this, `gpt-6*`; other names count. May be repeated.",
            metavar="GLOB",
        ),
    ] = None,
    variant: Variant = "standard",
    at: At = None,
    format_: Format = None,
    as_json: Json = False,
) -> None:
    """List the models of the price book with their rates."""
    from noburn_cli.core.models import FAMILIES
    from noburn_cli.prices import load_book

    form = shared.format_of(
        format_, as_json=as_json, known=(shared.TABLE, shared.JSON, shared.CSV)
    )  # fmt: skip
    shared.check_variant(variant)
    if family is not None and family not in FAMILIES:
        raise UsageError(f"--family is {family!r}, not one of {', '.join(FAMILIES)}")
    models = load_book(os.environ).models()
    _check_providers(provider or [], models)
    shared.note_passed_over()
    chosen = [
        one
        for one in models
        if (not provider or one.provider in provider)
        and (family is None or one.family == family)
        and (not model or any(_matches(one, glob) for glob in model))
    ]
    _show(chosen, variant=variant, at_ms=shared.at_ms(at), form=form)


def search_command(
    words: Annotated[
        list[str],
        typer.Argument(
            help="What is remembered of the name: `sonnet 5`, `gpt4o mini`, `haiku`.",
            metavar="WORDS...",
            show_default=False,
        ),
    ],
    variant: Variant = "standard",
    at: At = None,
    format_: Format = None,
    as_json: Json = False,
) -> None:
    """Find models by words that may be part of a name, or misspelt."""
    from noburn_cli.core.model_search import search_models
    from noburn_cli.prices import load_book

    form = shared.format_of(
        format_, as_json=as_json, known=(shared.TABLE, shared.JSON, shared.CSV)
    )  # fmt: skip
    shared.check_variant(variant)
    split = [part for word in words for part in word.split()]
    found = search_models(load_book(os.environ).models(), split)
    _show(found, variant=variant, at_ms=shared.at_ms(at), form=form)


def _matches(model: Model, glob: str) -> bool:
    return any(fnmatchcase(name, glob) for name in (model.name, *model.aliases))


def _check_providers(wanted: Sequence[str], models: Sequence[Model]) -> None:
    known = dict.fromkeys(model.provider for model in models)
    for name in wanted:
        if name not in known:
            raise UsageError(
                f"the price book has no provider {name!r}", next_step=f"one of {', '.join(known)}"
            )


def _show(models: Sequence[Model], *, variant: str, at_ms: int, form: str) -> None:
    from noburn_cli.core.rate_schedules import schedule_at, variants_of
    from noburn_cli.render.jsonout import print_json
    from noburn_cli.render.prices import Priced, line_data, list_csv, render_list
    from noburn_cli.render.table import terminal_width

    day = datetime.fromtimestamp(at_ms / 1000, timezone.utc).date()

    def _of_day(model: Model, word: str) -> Schedule:
        return schedule_at([row for row in model.rows if row.variant == word], day)

    lines: list[Priced] = [
        Priced(model, row, tuple(one for one in _of_day(model, word) if one != row))
        for model in models
        for word in (variants_of(model.rows) if variant == shared.ALL else (variant,))
        if (row := model.row_at(word, at_ms)) is not None
    ]
    if form == shared.JSON:
        every = [row for line in lines for row in line.rows()]
        print_json("prices.list", shared.JSON_VERSION, [line_data(line) for line in every])
    elif form == shared.CSV:
        sys.stdout.write(list_csv(lines))
    elif lines:
        typer.echo("\n".join(render_list(lines, at_ms=at_ms, width=terminal_width())))
    else:
        what = f"no price of `{variant}` at that time" if models else "no model is like that"
        typer.echo(what, err=True)
