"""`noburn ledger orphans settle`: a call's bill, told by a person.

Layer: commands.  Below: reports.orphans, client.
The daemon books it as a correction, with who said so and why; `reconcile --undo` takes it back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from noburn_cli.core.money import Nano, parse_count, parse_dollars, show_dollars
from noburn_cli.errors import NoburnError, UsageError

if TYPE_CHECKING:
    from noburn_cli.reports.orphans import Unbilled

JSON_VERSION = 1


def settle_command(
    call: Annotated[
        str,
        typer.Argument(help="A call's id, or its beginning.", metavar="CALL", show_default=False),
    ],
    reason: Annotated[
        str, typer.Option(help="How it is known, for who reads the journal.", metavar="TEXT")
    ],
    cost: Annotated[
        str | None, typer.Option(help="What the provider billed: $0.042.", metavar="AMOUNT")
    ] = None,
    usage: Annotated[
        str | None,
        typer.Option(
            help="The tokens it billed, priced as the call was: input=1200,output=85.",
            metavar="KIND=COUNT,…",
        ),
    ] = None,
    void: Annotated[bool, typer.Option("--void", help="It billed nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Settle a call whose bill did not come, by hand: what it cost, or that it cost nothing."""
    from noburn_cli import paths, protocol
    from noburn_cli.client import Client, new_call_id
    from noburn_cli.live_runs import who
    from noburn_cli.render.jsonout import print_json
    from noburn_cli.reports.orphans import read_unbilled

    if void == bool(cost or usage):
        raise UsageError(
            "say what the call cost", next_step="one of --cost, --usage (or both) and --void"
        )
    if not reason.strip():
        raise UsageError("--reason is empty", why="a correction by hand says how it is known")
    found = _one(read_unbilled(paths.ledger_path()), call)
    entry: dict[str, Any] = {"id": f"hand-{new_call_id()}", "why": "by_hand", "call": found.call}
    entry["ends"] = "void" if void else "settle"
    if cost is not None:
        entry["nano"] = parse_dollars(cost, what="--cost")
    if usage is not None:
        entry["usage"] = _usage(usage)
    with Client() as client:
        [ended] = client.request(
            protocol.LEDGER_CORRECT, batch=entry["id"], entries=[entry], by=who(), reason=reason
        )["ended"]
    if as_json:
        data = {
            "call": found.call, "id": entry["id"], "state": ended["state"],
            "cost_usd": Nano(ended["cost_nano"]).exact(),
        }  # fmt: skip
        print_json("ledger.orphans.settle", JSON_VERSION, data)
        return
    typer.echo(
        f"call {found.call} is {ended['state']} at {show_dollars(ended['cost_nano'])}, "
        f"instead of {show_dollars(found.hold_nano)};\n"
        f"`noburn ledger reconcile --undo {entry['id']}` takes it back"
    )


def _one(calls: list[Unbilled], prefix: str) -> Unbilled:
    found = [one for one in calls if one.call == prefix]
    found = found or [one for one in calls if prefix and one.call.startswith(prefix)]
    if not found:
        raise NoburnError(
            f"no call {prefix!r} is waiting for a bill",
            why="only calls that are uncertain or orphaned are settled by hand",
            next_step="`noburn ledger orphans` lists them; `noburn why CALL` explains another one",
        )
    if len(found) > 1:
        raise UsageError(
            f"several calls begin with {prefix!r}",
            why=", ".join(one.call for one in found[:5]),
            next_step="write more of the id",
        )
    return found[0]


def _usage(text: str) -> dict[str, int]:
    from noburn_cli.core.usage import checked

    counts: dict[str, object] = {}
    for pair in text.split(","):
        kind, equals, count = pair.partition("=")
        if not equals:
            raise UsageError(
                f"--usage cannot be read from {pair!r}", next_step="write it like input=1200"
            )
        counts[kind.strip()] = parse_count(count, what=kind.strip())
    try:
        return checked(counts)
    except ValueError as error:
        raise UsageError(f"--usage: {error}") from error
