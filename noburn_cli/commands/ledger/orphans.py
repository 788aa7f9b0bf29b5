"""`noburn ledger orphans`: which calls have no bill?

Layer: commands.  Below: reports.orphans, render, settling.  Listing reads the file; no daemon
needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from noburn_cli.commands.ledger.settling import settle_command
from noburn_cli.core.money import Nano, show_dollars
from noburn_cli.render.moments import second_of

if TYPE_CHECKING:
    from noburn_cli.reports.orphans import Unbilled

JSON_VERSION = 1

app = typer.Typer(
    help="List the calls that are charged at their hold because no bill came.",
    add_completion=False,
    rich_markup_mode=None,
    invoke_without_command=True,
)
app.command("settle")(settle_command)


@app.callback()
def orphans_command(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the calls that are charged at their hold because no bill came."""
    if context.invoked_subcommand is not None:
        return
    from noburn_cli import paths
    from noburn_cli.render.jsonout import print_json
    from noburn_cli.render.table import print_table
    from noburn_cli.reports.orphans import read_unbilled

    found = read_unbilled(paths.ledger_path())
    if as_json:
        data = {"calls": [_unbilled_data(call) for call in found], "charged_usd": _charged(found)}
        print_json("ledger.orphans", JSON_VERSION, data)
        return
    if not found:
        typer.echo("no orphans: every call that has ended has its bill", err=True)
        return
    headers = ("CALL", "STATE", "SINCE", "MODEL", "RUN", "PROCESS", "CHARGED", "REASON")
    rows = [
        (
            call.call, call.state, second_of(call.closed_at_ms), call.model, call.run or "-",
            _process(call.owner), show_dollars(call.hold_nano), call.failure or "-",
        )
        for call in found
    ]  # fmt: skip
    print_table(headers, rows, align="llllllrl")
    total = show_dollars(sum(call.hold_nano for call in found))
    typer.echo(
        f"\n{len(found):,} charged at their holds, {total}: the provider may have billed them. "
        "A late bill settles each, once; `reconcile` and `orphans settle` do as well."
    )


def _unbilled_data(call: Unbilled) -> dict[str, Any]:
    return {
        "call": call.call,
        "state": call.state,
        "model": call.model,
        "run": call.run,
        "owner": call.owner,
        "pid": _pid(call.owner),
        "charged_usd": Nano(call.hold_nano).exact(),
        "reserved_at_ms": call.reserved_at_ms,
        "closed_at_ms": call.closed_at_ms,
        "reason": call.failure,
    }


def _charged(calls: list[Unbilled]) -> str:
    return Nano(sum(call.hold_nano for call in calls)).exact()


def _pid(owner: str | None) -> int | None:
    """The process id in an owner's name, which is `boot:pid:start`."""
    parts = (owner or "").split(":")
    return int(parts[1]) if len(parts) > 1 and parts[1].isdecimal() else None


def _process(owner: str | None) -> str:
    pid = _pid(owner)
    return "-" if pid is None else str(pid)
