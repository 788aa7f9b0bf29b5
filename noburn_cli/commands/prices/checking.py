"""`noburn prices check`: does the book agree with its sources, and what is announced?

Layer: commands.  Below: price_sources.newer, comparing, disagreements, core.price_notices,
render.price_check.  Read-only, and without a network: the sources are installed packages and files.
Its exit code is 0 whatever it finds, unless `--strict` makes a gate of it: a difference between two
sources is a question for a person, and no failure of what was asked for.
"""

from __future__ import annotations

import os
from datetime import datetime, timezone
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated

import typer

from noburn_cli.commands.prices import shared
from noburn_cli.commands.prices.shared import Json
from noburn_cli.commands.prices.updating import Litellm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from noburn_cli.core.models import Model
    from noburn_cli.core.price_notices import PriceNotice
    from noburn_cli.core.pricebook import PriceBook
    from noburn_cli.price_sources.disagreements import Comparison
    from noburn_cli.price_sources.merging import Inputs

#: How far ahead is told; half a quarter leaves time to move to another model.
AHEAD_DAYS = 45
#: The exit code of a gate that failed.
_DISAGREES = 3


def check_command(
    model: Annotated[
        list[str] | None,
        typer.Option(help="Only names like this, `gpt-6*`. May be repeated.", metavar="GLOB"),
    ] = None,
    litellm: Litellm = None,
    days: Annotated[
        int,
        typer.Option(
            help="Tell what is announced for as many days.", min=0, max=3650, metavar="DAYS"
        ),
    ] = AHEAD_DAYS,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Exit with 3 where a difference has no known reason."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Compare the price book with its sources, and tell what is announced."""
    from noburn_cli.price_sources.comparing import compare_book
    from noburn_cli.price_sources.merging import Findings
    from noburn_cli.price_sources.newer import read_inputs
    from noburn_cli.price_sources.one_source import unlisted_models
    from noburn_cli.prices import load_book
    from noburn_cli.render.jsonout import print_json
    from noburn_cli.render.price_check import Check, check_data, render_check
    from noburn_cli.render.table import terminal_width

    book = load_book(os.environ)
    models = [one for one in book.models() if model is None or _fits(one, model)]
    inputs, version = read_inputs(models, today=shared.today(), litellm=litellm)
    at = datetime.now(tz=timezone.utc)
    comparison = _with_own(compare_book(models, inputs, at=at), book, models, inputs, at)
    new = [] if model else [m.name for m in unlisted_models(book.models(), inputs, Findings())]
    with_second = "" if inputs.second is None else " and litellm's list"
    check = Check(
        sources=f"genai-prices {version}{with_second}",
        comparison=comparison,
        notices=_notices(book, models, comparison, days),
        new=new,
    )
    shared.note_passed_over()
    if as_json:
        print_json("prices.check", shared.JSON_VERSION, check_data(check))
    else:
        typer.echo("\n".join(render_check(check, width=terminal_width())))
    if strict and check.unexplained:
        raise typer.Exit(_DISAGREES)


def _with_own(
    comparison: Comparison,
    book: PriceBook,
    models: Sequence[Model],
    inputs: Inputs,
    at: datetime,
) -> Comparison:
    """A contract's price is no question that nobody has decided: the person's own file did."""
    from noburn_cli.core.pricebook import PriceBook
    from noburn_cli.price_sources.comparing import compare_book
    from noburn_cli.price_sources.disagreements import with_own
    from noburn_cli.price_sources.keeping import base_texts

    listed = {one.name: one for one in PriceBook.from_texts(base_texts(os.environ)).models()}
    own = {one.name: book.origins(one.name)[-1] for one in models if listed.get(one.name) != one}
    if not own:
        return comparison
    as_listed = compare_book([listed[name] for name in own if name in listed], inputs, at=at)
    return with_own(comparison, as_listed, own)


def _fits(model: Model, globs: Sequence[str]) -> bool:
    return any(fnmatchcase(name, glob) for glob in globs for name in (model.name, *model.aliases))


def _notices(
    book: PriceBook, models: Sequence[Model], comparison: Comparison, days: int
) -> list[PriceNotice]:
    """What is announced, and which rows nobody compared for long: those just compared are not."""
    from noburn_cli.core.price_notices import RETIRED, notices, unchecked

    now_ms = shared.now_ms()
    names = [one.name for one in models]
    ahead = notices(book, names, at_ms=now_ms, horizon_days=days)
    stale = unchecked(book, comparison.alone, at_ms=now_ms)
    return [*(one for one in ahead if one.kind != RETIRED), *stale]
