"""`noburn prices update`: a newer book, looked at before it is taken.

Layer: commands.  Below: price_sources.taking, price_sources.keeping, reports.usages,
render.price_plan, render.price_impact.
The daemon is not asked: it looks at the files of its book every two seconds.
"""

from __future__ import annotations

import os
import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from noburn_cli.commands.prices import shared
from noburn_cli.commands.prices.shared import Json
from noburn_cli.errors import LedgerUnavailable, NoburnError, UsageError

if TYPE_CHECKING:
    from noburn_cli.core.repricing import Repricing
    from noburn_cli.price_sources.taking import Update

#: The `--litellm` of update and check.
Litellm = Annotated[
    Path | None,
    typer.Option(
        help="A copy of litellm's list of prices, for limits and what genai-prices lacks; the "
        "installed litellm's unless given.",
        metavar="FILE",
        show_default=False,
    ),
]


def update_command(
    source: Annotated[
        str,
        typer.Option(
            "--from", help="genai-prices (the installed package), a file, or an https address.",
            metavar="SOURCE",
        ),
    ] = shared.GENAI,
    sha256: Annotated[
        str | None,
        typer.Option(help="The SHA-256 of the file; an address needs one.", metavar="HEX"),
    ] = None,
    litellm: Litellm = None,
    corrections: Annotated[
        bool,
        typer.Option(
            "--corrections", help="Take what the newer book says otherwise of past days, too."
        ),
    ] = False,
    impact: Annotated[
        bool,
        typer.Option("--impact", help="Show what the last month's calls cost at both prices."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the plan, and change nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before changing.")] = False,
    undo: Annotated[
        bool, typer.Option("--undo", help="Go back to the book before the last update.")
    ] = False,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Take newer prices: rows are added with their day, and what was charged stays."""
    if undo:
        _undo(others=source != shared.GENAI or bool(sha256) or dry_run or impact or corrections)
        return
    if as_json and not (dry_run or yes):
        raise UsageError("--json asks nothing", next_step="add --dry-run, or --yes to take it")
    from noburn_cli.price_sources.taking import plan_from

    update = plan_from(
        os.environ, source, sha256=sha256, litellm=litellm, today=shared.today(),
        corrections=corrections,
    )  # fmt: skip
    repricing = _impact(update) if impact else None
    if not as_json:
        _show(update, repricing)
    take = update.plan.changes_anything and not dry_run
    if take:
        _take(update, yes=yes)
    if as_json:
        _print(update, repricing, taken=take)


def _take(update: Update, *, yes: bool) -> None:
    from noburn_cli.price_sources.keeping import replace_book

    if not yes:
        if not sys.stdin.isatty():
            raise UsageError(
                "nothing was changed: there is nobody to ask whether the plan is right",
                next_step="look at it with --dry-run, then take it with --yes",
            )
        if not typer.confirm("Take these prices?", default=False, err=True):
            raise NoburnError("nothing was changed")
    path = replace_book(os.environ, update.text, over=update.over)
    typer.echo(
        f"taken: {path}; the running daemon follows within seconds, "
        "`noburn prices update --undo` goes back",
        err=True,
    )


def _undo(*, others: bool) -> None:
    if others:
        raise UsageError("--undo stands alone", next_step="`noburn prices update --undo`")
    from noburn_cli.price_sources import keeping

    path, holds = keeping.undo(os.environ)
    what = f"the book before the last update holds again: {path}" if holds else (
        "no update holds any more; prices are those of noburn's own book"
    )  # fmt: skip
    typer.echo(f"{what}; another --undo takes that back", err=True)


def _impact(update: Update) -> tuple[str, Repricing] | None:
    """(the stretch of time in words, its calls at both prices); None where there is no ledger."""
    from noburn_cli import paths
    from noburn_cli.core.repricing import PriceList, Repricing
    from noburn_cli.render.progress import Progress
    from noburn_cli.reports.reading import reading
    from noburn_cli.reports.usages import last_month, reprice

    now_ms = shared.now_ms()
    lists = [PriceList("before", update.before, now_ms), PriceList("after", update.after, now_ms)]
    last = _last_day(update)
    if last is not None:
        lists.append(PriceList(f"from {last}", update.after, shared.at_ms(last.isoformat())))
    repricing = Repricing(lists)
    progress = Progress(sys.stderr)
    try:
        with reading(paths.ledger_path(paths.home())) as connection:
            stretch = last_month(connection, now_ms)
            reprice(
                connection, stretch, repricing,
                begin=lambda calls: progress.begin(calls, "calls priced anew"), step=progress.step,
            )  # fmt: skip
    except LedgerUnavailable as error:
        typer.echo(f"note: no impact can be told: {error.message}", err=True)
        return None
    progress.end()
    return stretch.month or "the last 30 days", repricing


def _last_day(update: Update) -> date | None:
    """The last day to come on which the plan changes a price."""
    today = shared.today()
    days = [row.starts_on for one in update.plan.models for row in one.rows if row.applied]
    return max((day for day in days if day > today), default=None)


def _show(update: Update, impact: tuple[str, Repricing] | None) -> None:
    from noburn_cli.render.price_impact import render_impact
    from noburn_cli.render.price_plan import render_plan
    from noburn_cli.render.table import terminal_width

    typer.echo(
        "\n".join(render_plan(update.plan, update.source, update.overridden, update.not_taken))
    )
    if impact is not None:
        period, repricing = impact
        lines = render_impact(repricing, period, width=terminal_width())
        typer.echo("\n".join(["", *lines]))


def _print(update: Update, impact: tuple[str, Repricing] | None, *, taken: bool) -> None:
    from noburn_cli.render.jsonout import print_json
    from noburn_cli.render.price_impact import impact_data
    from noburn_cli.render.price_plan import plan_data

    data: dict[str, Any] = {
        "source": update.source,
        "taken": taken,
        **plan_data(update.plan, update.overridden),
        "not_taken": list(update.not_taken),
        "impact": None if impact is None else impact_data(impact[1], impact[0]),
    }
    print_json("prices.update", shared.JSON_VERSION, data)
