"""`noburn dashboard`: spend, margin, open runs, budgets and holds as a page on this machine.

Layer: commands.  Below: dashboard.serving.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from noburn_cli.profit.reading import Question

#: Beside the gateway's, a fixed address that a browser can remember.
PORT = 4012


def dashboard_command(
    port: Annotated[
        int,
        typer.Option(
            help="Port on 127.0.0.1; 0 takes a free one.", min=0, max=65535, metavar="PORT"
        ),
    ] = PORT,
    no_open: Annotated[
        bool, typer.Option("--no-open", help="Print the address, and start no browser.")
    ] = False,
    allow_changes: Annotated[
        bool,
        typer.Option(
            "--allow-changes",
            help="Let the page stop, pause and resume runs, and top up budgets. Without it the "
            "page only shows.",
        ),
    ] = False,
    zone: Annotated[
        str | None,
        typer.Option(
            help="Whose days and months: Europe/Berlin; that of [pnl] unless given, which is UTC "
            "unless set.",
            metavar="ZONE",
        ),
    ] = None,
    plans: Annotated[
        str | None,
        typer.Option(help="The plans file; plans.toml beside noburn.toml.", metavar="FILE"),
    ] = None,
) -> None:
    """Show spend, margin, runs, budgets and holds on a page of this machine."""
    from noburn_cli import paths
    from noburn_cli.dashboard.pages import CHARTS_EXTRA, plotly_path
    from noburn_cli.dashboard.serving import listen, serve

    def tell(address: str) -> None:
        typer.echo("noburn: the dashboard is at")
        typer.echo(f"  {address}")
        if allow_changes:
            typer.echo("noburn: runs can be stopped and budgets topped up from it", err=True)
        if plotly_path() is None:
            typer.echo(f"noburn: it has no charts: {CHARTS_EXTRA} brings them", err=True)
        typer.echo("noburn: Ctrl-C ends it", err=True)

    asked = _asked(zone, plans)
    listening = listen(port)
    with listening:
        asyncio.run(
            serve(
                listening, paths.home(), allow_changes=allow_changes, asked=asked,
                opens=not no_open, tell=tell,
            )
        )  # fmt: skip


def _asked(zone: str | None, plans: str | None) -> Question:
    """The rules, plans and zone of the page, as `noburn pnl` has them.  Raises UsageError."""
    from noburn_cli import settings
    from noburn_cli.core.profit_rules import rules_of
    from noburn_cli.core.windows import check_zone
    from noburn_cli.plans_file import load_plans
    from noburn_cli.profit.reading import Question

    rules = rules_of(settings.load(os.environ, Path.cwd()).plain())
    if zone is not None:
        rules = replace(rules, zone=check_zone(zone))
    file = load_plans(os.environ, Path.cwd(), plans)
    return Question(0, 0, rules=rules, plans={} if file is None else dict(file.plans))
