"""`noburn ledger compact`: the daemon makes the file anew, and we wait for it.

Layer: commands.  Below: client, copies.backup, paths, render.  Above: forgetting, which waits, too.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from noburn_cli import protocol
from noburn_cli.core.money import Nano, show_dollars
from noburn_cli.core.plurals import counted

JSON_VERSION = 1
_ASK_AGAIN_S = 0.2
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]


def compact_command(
    before: Annotated[
        str,
        typer.Option(help="The first month that stays as it is, like 2026-10.", metavar="MONTH"),
    ],
    archive: Annotated[
        Path | None,
        typer.Option(help="Back the whole ledger up into this file first.", metavar="FILE"),
    ] = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Replace the calls of past months by sums per month, and make the file smaller."""
    from noburn_cli import paths
    from noburn_cli.commands.ledger.telling import told
    from noburn_cli.copies.backup import back_up
    from noburn_cli.core.months import check_month
    from noburn_cli.render.jsonout import print_json

    check_month(before)
    check_there_is_one(paths.ledger_path())
    kept: str | None = None
    if archive is not None and not dry_run:
        with told() as tell:
            kept = str(back_up(paths.ledger_path(), archive.absolute(), tell).path)
    done = wait_for(protocol.LEDGER_COMPACT, before=before, dry_run=dry_run)
    if as_json:
        if "cost_nano" in done:
            done["cost_usd"] = Nano(done.pop("cost_nano")).exact()
        print_json("ledger.compact", JSON_VERSION, {"archive": kept, "dry_run": dry_run, **done})
        return
    calls, rows = counted(done["calls"], "call"), counted(done["rows"], "row")
    if dry_run:
        typer.echo(
            f"{calls} before {before} ({show_dollars(done['cost_nano'])}) would "
            f"become sums per month, {rows} would go"
        )
        if done["left"]:
            typer.echo(
                f"{done['left']:,} would stay: in flight, charged at their holds without a bill, "
                "or billed later"
            )
        return
    typer.echo(
        f"{calls} before {before} became sums per month, "
        f"{rows} went; {done['bytes_before']:,} bytes became {done['bytes']:,}"
    )
    if kept is not None:
        typer.echo(f"the ledger as it was is in {kept}, head {done['head_before']}")
    typer.echo(f"head {done['head']}")


def check_there_is_one(ledger_path: Path) -> None:
    """Raises LedgerUnavailable where a daemon that is asked would begin a ledger."""
    from noburn_cli.ledger_file import no_ledger

    if not ledger_path.exists():
        raise no_ledger(ledger_path)


def wait_for(op: str, **fields: Any) -> dict[str, Any]:
    """Ask until the daemon has done it.  Raises NoburnError with what it refused."""
    from noburn_cli.client import Client
    from noburn_cli.commands.ledger.telling import told

    with told() as tell, Client() as client:
        while True:
            reply = client.request(op, **fields)
            if reply["state"] == "done":
                break
            tell("rows copied", reply["done"], reply["total"])
            time.sleep(_ASK_AGAIN_S)
    return {key: value for key, value in reply.items() if key not in ("n", "ok", "state")}
