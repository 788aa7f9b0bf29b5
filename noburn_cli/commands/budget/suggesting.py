"""`noburn budget suggest`: a limit from what was spent, as a policy file that `apply` takes.

Layer: commands.  Below: reports.recorded, core.suggesting, render.suggestion.
Read-only: it reads the ledger's file, and asks no daemon.
"""

from __future__ import annotations

import re
import sys
from enum import StrEnum
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated

import typer

from noburn_cli.commands.budget import shared
from noburn_cli.commands.budget.replaying import Until, output_caps
from noburn_cli.commands.budget.shared import Json
from noburn_cli.core.budget_spec import read_anchor
from noburn_cli.core.budgets import parse_scope
from noburn_cli.core.windows import Window
from noburn_cli.errors import NoburnError, UsageError

if TYPE_CHECKING:
    import apsw

    from noburn_cli.core.suggesting import Observed
    from noburn_cli.reports.recorded import Stretch

_HEADROOM = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3})?", re.ASCII)


class Per(StrEnum):
    """The windows of the calendar."""

    hour = "hour"
    day = "day"
    week = "week"
    month = "month"


class Unit(StrEnum):
    """What is limited."""

    dollars = "dollars"
    tokens = "tokens"
    requests = "requests"


def suggest_command(
    scope: Annotated[
        str,
        typer.Option(help="Whose limit: customer=each, feature=each, global …", metavar="SCOPE"),
    ] = "customer=each",
    per: Annotated[Per, typer.Option(help="In which windows.")] = Per.day,
    unit: Annotated[Unit, typer.Option(help="In what.")] = Unit.dollars,
    quantile: Annotated[
        int,
        typer.Option(
            help="How many per cent of the windows are to fit.", min=1, max=100, metavar="PERCENT"
        ),
    ] = 99,
    headroom: Annotated[
        str, typer.Option(help="How many times that the limit is to be.", metavar="TIMES")
    ] = "1.2",
    zone: Annotated[str, typer.Option(help="Whose days and months count.", metavar="ZONE")] = "UTC",
    anchor: Annotated[
        str | None,
        typer.Option(help="The day that a month or week begins with.", metavar="DAY"),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            help="From when on: 2026-11-01, 30d.", metavar="WHEN", show_default="the beginning"
        ),
    ] = None,
    until: Until = None,
    as_json: Json = False,
) -> None:
    """Suggest a limit from what was spent, as a policy file for `apply`."""
    from noburn_cli import paths
    from noburn_cli.core.suggesting import Observed, suggest
    from noburn_cli.render.suggestion import Asked, render_suggestion, suggestion_data
    from noburn_cli.reports.reading import reading

    parsed = parse_scope(scope)
    times = _headroom(headroom)
    day = 1 if anchor is None else read_anchor(anchor, per.value)
    window = Window(per.value, zone, day)
    observed = Observed(parsed, window, unit.value)
    with reading(paths.ledger_path(paths.home())) as connection:
        since_ms, until_ms = _observe(connection, observed, since, until)
    found = suggest(
        observed, quantile=quantile, headroom=times, since_ms=since_ms, until_ms=until_ms
    )
    if found is None:
        raise NoburnError(
            f"nothing was spent that {parsed} could be limited by",
            why="no call of that time matches it",
            next_step="`noburn report` shows what there is; give --scope or --since",
        )
    asked = Asked(parsed, per.value, unit.value, zone, day, quantile, headroom, since_ms, until_ms)
    if as_json:
        from noburn_cli.render.jsonout import print_json

        print_json("budget.suggest", shared.JSON_VERSION, suggestion_data(asked, found))
    else:
        typer.echo("\n".join(render_suggestion(asked, found)))


def _headroom(text: str) -> Fraction:
    if not _HEADROOM.fullmatch(text.strip()) or not Fraction(text.strip()):
        raise UsageError(
            f"no headroom: {text!r}", why="it is how many times as much", next_step="write 1.2"
        )
    return Fraction(text.strip())


def _observe(
    connection: apsw.Connection, observed: Observed, since: str | None, until: str | None
) -> tuple[int, int]:
    """Add up the calls of a stretch of the journal; from when to when that was."""
    from noburn_cli.commands.budget.replaying import moments
    from noburn_cli.reports.recorded import stretch

    since_ms, until_ms = moments("1970-01-01" if since is None else since, until)
    part = stretch(connection, since_ms=since_ms, until_ms=until_ms)
    _pass_by(connection, observed, part)
    return max(since_ms, part.begins_ms or 0), until_ms


def _pass_by(connection: apsw.Connection, observed: Observed, part: Stretch) -> None:
    from noburn_cli.core.policy_replay import Recorded
    from noburn_cli.render.progress import Progress
    from noburn_cli.reports.recorded import Ended, read_rows

    progress = Progress(sys.stderr)
    progress.begin(part.rows, "rows read")
    for happened in read_rows(connection, part, caps=output_caps(), step=progress.step):
        if isinstance(happened, Recorded):
            observed.reserve(
                happened.call, happened.context, happened.attributes, happened.at_ms,
                happened.hold, notional=happened.notional,
            )  # fmt: skip
        elif isinstance(happened, Ended) and happened.kind == "settle":
            observed.settle(happened.call, happened.cost)
        elif isinstance(happened, Ended) and happened.kind == "void":
            observed.void(happened.call)
    progress.end()
    observed.finish()
