"""`noburn ledger compact` and `forget`: the daemon makes the file anew, and we wait for it.

Layer: commands.  Below: client, copies.backup, paths, render.
"""

from __future__ import annotations

import os
import re
import secrets
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from noburn_cli import protocol
from noburn_cli.core.money import Nano, show_dollars
from noburn_cli.core.plurals import counted
from noburn_cli.errors import UsageError

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
    _check_there_is_one(paths.ledger_path())
    kept: str | None = None
    if archive is not None and not dry_run:
        with told() as tell:
            kept = str(back_up(paths.ledger_path(), archive.absolute(), tell).path)
    done = _wait_for(protocol.LEDGER_COMPACT, before=before, dry_run=dry_run)
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


def forget_command(
    name: Annotated[
        str,
        typer.Argument(
            help="Whom or what: customer=acme, user=u1, tag.team=x.", metavar="KEY=VALUE"
        ),
    ],
    erase_copies: Annotated[
        bool,
        typer.Option(
            "--erase-copies",
            help="Also delete the copies of the ledger that noburn keeps beside it, and empty the "
            "daemon's logs that say the name.",
        ),
    ] = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Put a pseudonym made at random wherever the ledger says a name; balances stay."""
    from noburn_cli import paths
    from noburn_cli.core.budgets import check_name
    from noburn_cli.importing.forgetting import forget
    from noburn_cli.render.jsonout import print_json
    from noburn_cli.revenue.forgetting import forget as forget_revenue

    key, equals, value = name.partition("=")
    if not equals or not value.strip():
        raise UsageError(f"not a name to forget: {name!r}", next_step="write it like customer=acme")
    value = check_name(key, value)
    _check_there_is_one(paths.ledger_path())
    done = _wait_for(protocol.LEDGER_FORGET, key=key, value=value, dry_run=dry_run)
    stand_in = done.get("as") or f"(forgotten {secrets.token_hex(4)})"
    imported = forget(paths.home(), key, value, stand_in=stand_in, dry_run=dry_run)
    billed = forget_revenue(paths.home(), key, value, stand_in=stand_in, dry_run=dry_run)
    if not dry_run:
        _throw_away(paths.reports_path())
    copies = _copies(paths.ledger_path())
    logs = _logs(paths.log_path(), value)
    erased = erase_copies and not dry_run
    if erased:
        for copy in copies:
            copy.unlink(missing_ok=True)
        for log in logs:  # which the daemon goes on with
            os.truncate(log, 0)
    if as_json:
        found = {"copies": [str(c) for c in copies], "logs": [str(log) for log in logs]}
        more = {**found, "erased": erased}
        more["imported"] = imported
        more["revenue"] = billed
        print_json("ledger.forget", JSON_VERSION, {"dry_run": dry_run, **done, **more})
        return
    where = f"{counted(done['texts'], 'text')} and {counted(done['rows'], 'row')}"
    would = "would be" if dry_run else "were"
    if not done["texts"] and not done["rows"]:
        typer.echo(f"nothing in the ledger names {name}; it is as it was")
    else:
        typer.echo(
            f"{where} that name {name} {would} changed"
            + ("" if dry_run else f"; it is {key}={done['as']} now")
        )
    if imported:
        typer.echo(
            f"{counted(imported, 'imported record')} {would} changed, too; "
            "importing the same files again brings the name back"
        )
    if billed:
        typer.echo(
            f"{counted(billed, 'fact')} of revenue {would} changed, too; "
            "what the source says of who pays is the source's"
        )
    for what, files in (("copy", copies), ("log", logs)):
        for file in files:
            typer.echo(f"a {what} {'erased' if erased else 'still says it'}: {file}")
    typer.echo("backups and exports that you keep elsewhere are not looked at")
    if not dry_run:
        typer.echo(f"head {done['head']}")


def _throw_away(kept_sums: Path) -> None:
    """Delete the sums that reports keep: they say the name, and the next report makes them anew."""
    from noburn_cli.reports.rollups.files import Unusable, throw_away

    if not kept_sums.exists():
        return
    try:
        throw_away(kept_sums)
    except Unusable as error:
        typer.echo(f"warning: {kept_sums} still says it: {error}", err=True)


def _check_there_is_one(ledger_path: Path) -> None:
    """Raises LedgerUnavailable where a daemon that is asked would begin a ledger."""
    from noburn_cli.ledger_file import no_ledger

    if not ledger_path.exists():
        raise no_ledger(ledger_path)


def _wait_for(op: str, **fields: Any) -> dict[str, Any]:
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


def _copies(ledger_path: Path) -> list[Path]:
    """Copies of the ledger that noburn made beside it: before a migration, before a restore."""
    found = ledger_path.parent.glob(ledger_path.name + ".*")
    return sorted(p for p in found if ".schema-" in p.name or ".before-restore-" in p.name)


def _logs(path: Path, value: str) -> list[Path]:
    """The daemon's logs that say the name, as a word of its own: why something failed may."""
    says = re.compile(rf"(?<!\w){re.escape(value)}(?!\w)".encode())
    return sorted(p for p in path.parent.glob(f"{path.name}*") if says.search(p.read_bytes()))
