"""`noburn import --detect`: coding agents' logs on this machine, at list price.

Layer: commands.  Below: importing.detecting, render.detected.  No daemon, no ledger; reads only.
"""

from __future__ import annotations

import os
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Annotated

import typer

from noburn_cli.errors import UsageError

JSON_VERSION = 1
_DAYS_MAX = 3_660


def import_callback(
    context: typer.Context,
    detect: Annotated[
        bool,
        typer.Option(
            "--detect",
            help="Show what coding agents on this machine used, at list price; writes nothing.",
        ),
    ] = False,
    days: Annotated[
        int, typer.Option(help="With --detect: so many days back.", min=1, metavar="DAYS")
    ] = 30,
    as_json: Annotated[bool, typer.Option("--json", help="With --detect: print JSON.")] = False,
) -> None:
    """Bring what you have: calls that others recorded, and revenue."""
    if context.invoked_subcommand is not None:
        if detect or as_json:
            raise UsageError("--detect stands alone", next_step="noburn import --detect")
        return
    if not detect:
        typer.echo(context.get_help())
        return
    show_detected(days, as_json=as_json)


def show_detected(days: int, *, as_json: bool) -> None:
    """Look, and print what was found."""
    from noburn_cli.core.imported import ListPrices
    from noburn_cli.importing.detecting import detect
    from noburn_cli.prices import load_book
    from noburn_cli.render.detected import detected_data, render_detected
    from noburn_cli.render.jsonout import print_json
    from noburn_cli.render.progress import Progress
    from noburn_cli.render.table import terminal_width

    if days > _DAYS_MAX:
        raise UsageError(f"--days is at most {_DAYS_MAX:,}")
    now = datetime.now(timezone.utc)
    progress = Progress(sys.stderr)
    progress.begin(0, "logs read")
    try:
        found = detect(
            os.environ, Path.home(), since_ms=int((now - timedelta(days=days)).timestamp() * 1000),
            until_ms=int(now.timestamp() * 1000) + 1, zone=None,
            prices=ListPrices(load_book(os.environ)),
            tell=lambda done, total, _title: progress.reach(done, total),
        )  # fmt: skip
    finally:
        progress.end()
    if as_json:
        print_json("import.detect", JSON_VERSION, detected_data(found))
    else:
        typer.echo("\n".join(render_detected(found, width=terminal_width())))
