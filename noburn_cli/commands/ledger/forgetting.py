"""`noburn ledger forget`: a name out of the ledger, of imported calls and of what customers paid.

Layer: commands.  Below: rewriting (asking the daemon), importing.forgetting, revenue.forgetting,
paths, render.
Owns: that one stand-in takes the name's place everywhere, also where there is no ledger and calls
were only imported; and which copies and logs still say it.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from noburn_cli import protocol
from noburn_cli.commands.ledger.rewriting import (
    JSON_VERSION,
    DryRun,
    Json,
    check_there_is_one,
    wait_for,
)
from noburn_cli.core.plurals import counted
from noburn_cli.errors import UsageError


@dataclass(frozen=True)
class Forgotten:
    """What was changed, or would be.

    ledger: the daemon's reply, or nothing found where there is no ledger.  imported: records of
    calls.  revenue: facts.  copies, logs: files that say the name still, unless `erased`.
    """

    name: str
    dry_run: bool
    ledger: dict[str, Any]
    imported: int
    revenue: int
    copies: list[Path]
    logs: list[Path]
    erased: bool
    has_ledger: bool


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
    from noburn_cli.core.budgets import check_name
    from noburn_cli.render.jsonout import print_json

    key, equals, value = name.partition("=")
    if not equals or not value.strip():
        raise UsageError(f"not a name to forget: {name!r}", next_step="write it like customer=acme")
    done = _forget(key, check_name(key, value), erase=erase_copies and not dry_run, dry_run=dry_run)
    if as_json:
        print_json("ledger.forget", JSON_VERSION, _data(done))
    else:
        typer.echo("\n".join(_words(done)))


def _forget(key: str, value: str, *, erase: bool, dry_run: bool) -> Forgotten:
    from noburn_cli import paths
    from noburn_cli.importing.forgetting import forget
    from noburn_cli.revenue.forgetting import forget as forget_revenue

    home = paths.home()
    ledger = _in_ledger(paths.ledger_path(), key, value, dry_run=dry_run)
    imported = forget(home, key, value, stand_in=ledger["as"], dry_run=dry_run)
    billed = forget_revenue(home, key, value, stand_in=ledger["as"], dry_run=dry_run)
    if not dry_run:
        _throw_away(paths.reports_path())
    copies, logs = _copies(paths.ledger_path()), _logs(paths.log_path(), value)
    if erase:
        for copy in copies:
            copy.unlink(missing_ok=True)
        for log in logs:  # which the daemon goes on with
            os.truncate(log, 0)
    return Forgotten(
        f"{key}={value}", dry_run, ledger, imported, billed, copies, logs, erase,
        has_ledger=paths.ledger_path().exists(),
    )  # fmt: skip


def _in_ledger(ledger: Path, key: str, value: str, *, dry_run: bool) -> dict[str, Any]:
    """What the daemon did; nothing where calls or revenue were brought, and nothing recorded.

    Raises LedgerUnavailable where there is neither.
    """
    from noburn_cli import paths

    stand_in = f"(forgotten {secrets.token_hex(4)})"
    brought = (paths.imports_path(), paths.revenue_path())
    if not ledger.exists() and any(path.exists() for path in brought):
        return {"texts": 0, "rows": 0, "as": stand_in}
    check_there_is_one(ledger)
    reply = wait_for(protocol.LEDGER_FORGET, key=key, value=value, dry_run=dry_run)
    return {**reply, "as": reply.get("as") or stand_in}


def _data(done: Forgotten) -> dict[str, Any]:
    return {
        "dry_run": done.dry_run, **done.ledger,
        "copies": [str(copy) for copy in done.copies], "logs": [str(log) for log in done.logs],
        "erased": done.erased, "imported": done.imported, "revenue": done.revenue,
    }  # fmt: skip


def _words(done: Forgotten) -> Iterator[str]:
    ledger, would = done.ledger, "would be" if done.dry_run else "were"
    now = "" if done.dry_run else f"; it is {done.name.partition('=')[0]}={ledger['as']} now"
    if ledger["texts"] or ledger["rows"]:
        where = f"{counted(ledger['texts'], 'text')} and {counted(ledger['rows'], 'row')}"
        yield f"{where} that name {done.name} {would} changed{now}"
        now = ""
    elif not done.has_ledger:
        yield "there is no ledger; what was brought is looked through alone"
    else:
        yield f"nothing in the ledger names {done.name}; it is as it was"
    if done.imported:
        yield (
            f"{counted(done.imported, 'imported record')} {would} changed{now}; importing the same "
            "files again brings the name back"
        )
        now = ""
    if done.revenue:
        yield (
            f"{counted(done.revenue, 'fact')} of revenue {would} changed{now}; what the source "
            "says of who pays is the source's"
        )
    for what, files in (("copy", done.copies), ("log", done.logs)):
        for file in files:
            yield f"a {what} {'erased' if done.erased else 'still says it'}: {file}"
    yield "backups and exports that you keep elsewhere are not looked at"
    if done.has_ledger and not done.dry_run:
        yield f"head {ledger['head']}"


def _throw_away(kept_sums: Path) -> None:
    """Delete the sums that reports keep: they say the name, and the next report makes them anew."""
    from noburn_cli.reports.rollups.files import Unusable, throw_away

    if not kept_sums.exists():
        return
    try:
        throw_away(kept_sums)
    except Unusable as error:
        typer.echo(f"warning: {kept_sums} still says it: {error}", err=True)


def _copies(ledger_path: Path) -> list[Path]:
    """Copies of the ledger that noburn made beside it: before a migration, before a restore."""
    found = ledger_path.parent.glob(ledger_path.name + ".*")
    return sorted(p for p in found if ".schema-" in p.name or ".before-restore-" in p.name)


def _logs(path: Path, value: str) -> list[Path]:
    """The daemon's logs that say the name, as a word of its own: why something failed may."""
    says = re.compile(rf"(?<!\w){re.escape(value)}(?!\w)".encode())
    return sorted(p for p in path.parent.glob(f"{path.name}*") if says.search(p.read_bytes()))
