"""`noburn ledger backup`, `restore` and `migrate`: copies of the file, and its schema.

Layer: commands.  Below: copies, paths, render.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from noburn_cli.core.money import Nano, show_dollars
from noburn_cli.core.plurals import counted
from noburn_cli.errors import NoburnError
from noburn_cli.render.moments import second_of

if TYPE_CHECKING:
    from noburn_cli.copies.migration import Standing
    from noburn_cli.copies.restore import Restored

JSON_VERSION = 1
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def backup_command(
    file: Annotated[
        Path,
        typer.Argument(help="The file to write; an earlier backup is replaced.", metavar="FILE"),
    ],
    as_json: Json = False,
) -> None:
    """Copy the ledger as it is now into one file, while the daemon goes on, and check the copy."""
    from noburn_cli import paths
    from noburn_cli.commands.ledger.telling import told
    from noburn_cli.copies.backup import back_up
    from noburn_cli.render.jsonout import print_json

    with told() as tell:
        made = back_up(paths.ledger_path(), file.absolute(), tell)
    if as_json:
        data = {"file": str(made.path), "rows": made.rows, "head_row": made.head_seq,
                "head": made.head, "bytes": made.bytes}  # fmt: skip
        print_json("ledger.backup", JSON_VERSION, data)
        return
    typer.echo(
        f"backed up {counted(made.rows, 'row')} to {made.path}, {made.bytes:,} bytes, checked\n"
        f"head {made.head}"
    )


def restore_command(
    file: Annotated[
        Path, typer.Argument(help="A backup that `noburn ledger backup` made.", metavar="FILE")
    ],
    force: Annotated[
        bool, typer.Option("--force", help="Also when what was recorded since is lost.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Put a backup in the ledger's place; the present file is kept aside."""
    from noburn_cli import paths
    from noburn_cli.commands.ledger.telling import told
    from noburn_cli.copies.restore import restore
    from noburn_cli.render.jsonout import print_json

    with told() as tell:
        done = restore(
            file.absolute(), paths.home(), paths.ledger_path(), force=force, tell=tell
        )  # fmt: skip
    if as_json:
        print_json("ledger.restore", JSON_VERSION, _restored_data(done))
        return
    typer.echo(f"restored {counted(done.rows, 'row')} from {file}\nhead {done.head}")
    if done.aside is not None:
        typer.echo(f"the file before is kept as {done.aside}")
    if done.lost.unread:
        typer.echo(f"what is lost with it is not known: {done.lost.unread}")
    elif done.lost.rows:
        typer.echo(
            f"lost with it: {counted(done.lost.calls, 'call')} and "
            f"{show_dollars(done.lost.cost_nano)} recorded since {_moment(done.lost.since_ms)}"
        )
    if done.open_holds:
        typer.echo(
            f"{counted(done.open_holds, 'call')} in flight in the backup: those whose processes "
            "are gone are charged at their holds (`noburn ledger orphans`)"
        )


def migrate_command(
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit 1 when there is something to do.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Bring the ledger's file up to this noburn's schema, as the daemon's next start would."""
    from noburn_cli import paths
    from noburn_cli.copies.migration import look, migrate_file
    from noburn_cli.copies.pause import without_daemon
    from noburn_cli.errors import LedgerUnavailable
    from noburn_cli.render.jsonout import print_json

    path = paths.ledger_path()
    standing = look(path)
    if standing.schema > standing.ours:
        raise LedgerUnavailable(
            f"the ledger at {path} was written by a newer noburn (schema {standing.schema})",
            why=f"this one knows schema {standing.ours}",
            next_step="upgrade noburn, or set NOBURN_HOME to another folder",
        )
    if standing.steps and not check:
        with without_daemon(paths.home()):
            migrate_file(path)
    if as_json:
        data = {"file": str(path), "schema": standing.schema, "wanted": standing.ours,
                "steps": [{"schema": n, "brings": words} for n, words in standing.steps],
                "migrated": bool(standing.steps) and not check}  # fmt: skip
        print_json("ledger.migrate", JSON_VERSION, data)
    else:
        typer.echo("\n".join(_words(path, standing, done=not check)))
    if standing.steps and check:
        raise typer.Exit(1)


def _words(path: Path, standing: Standing, *, done: bool) -> list[str]:
    if not standing.steps:
        return [f"{path} has schema {standing.schema}, which is this noburn's: nothing to do"]
    kept = path.with_name(f"{path.name}.schema-{standing.schema}")
    verb, keep = ("was brought", "is kept") if done else ("would be brought", "would be kept")
    lines = [f"{path} {verb} from schema {standing.schema} to {standing.ours}:"]
    lines += [f"  schema {number}: {words}" for number, words in standing.steps]
    return [*lines, f"the file as it was {keep} as {kept}"]


def _restored_data(done: Restored) -> dict[str, object]:
    lost = done.lost
    return {
        "rows": done.rows,
        "head_row": done.head_seq,
        "head": done.head,
        "open_holds": done.open_holds,
        "kept_aside": None if done.aside is None else str(done.aside),
        "lost": {
            "rows": lost.rows,
            "calls": lost.calls,
            "cost_usd": Nano(lost.cost_nano).exact(),
            "since_ms": lost.since_ms,
            "unread": lost.unread or None,
        },
    }


def _moment(at_ms: int | None) -> str:
    if at_ms is None:
        raise NoburnError("nothing is lost, and since when was asked")
    return f"{second_of(at_ms)} UTC"
