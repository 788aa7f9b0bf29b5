"""`noburn ledger`: is the book true, and which calls have no bill?

Layer: commands.  Below: reports.verify, reports.orphans.  Reads the file; no daemon needed.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Annotated, Any

import typer

from noburn_cli.core.money import DOLLARS, Nano, show_amount, show_dollars
from noburn_cli.errors import NoburnError, UsageError

if TYPE_CHECKING:
    from noburn_cli.reports.orphans import Unbilled
    from noburn_cli.reports.verify import Verdict, WrongBalance

JSON_VERSION = 1
_LINK_BYTES = 32

app = typer.Typer(
    help="Verify the ledger and list its orphans.", add_completion=False, rich_markup_mode=None
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("verify")
def verify_command(
    head: Annotated[
        str | None,
        typer.Option(
            help="The head that an earlier `verify` printed and that you kept elsewhere: finds "
            "rows that were cut off and a chain made anew.",
            metavar="HEX",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Check every row's link, every text, and every balance against its calls."""
    from noburn_cli import paths
    from noburn_cli.render.jsonout import print_json
    from noburn_cli.reports.verify import verify_ledger

    path = paths.ledger_path()
    verdict = verify_ledger(path, head=None if head is None else _read_head(head))
    if as_json:
        print_json("ledger.verify", JSON_VERSION, _verdict_data(verdict))
    elif verdict.holds:
        typer.echo(
            f"the ledger holds: {verdict.rows:,} rows, {verdict.accounts:,} balances\n"
            f"head {verdict.head}"
        )
    if not verdict.holds:
        raise _broken(verdict)


@app.command("orphans")
def orphans_command(as_json: Json = False) -> None:
    """List the calls that are charged at their hold because no bill came."""
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
            call.call, call.state, _moment(call.closed_at_ms), call.model, call.run or "-",
            _process(call.owner), show_dollars(call.hold_nano), call.failure or "-",
        )
        for call in found
    ]  # fmt: skip
    print_table(headers, rows, align="llllllrl")
    total = show_dollars(sum(call.hold_nano for call in found))
    typer.echo(
        f"\n{len(found):,} charged at their holds, {total}: the provider may have billed them. "
        "A late bill settles each, once."
    )


def _read_head(text: str) -> bytes:
    try:
        head = bytes.fromhex(text.strip())
    except ValueError as error:
        raise _not_a_head(text) from error
    if len(head) != _LINK_BYTES:
        raise _not_a_head(text)
    return head


def _not_a_head(text: str) -> UsageError:
    return UsageError(
        f"--head is not a link of the chain: {text!r}",
        why=f"expected {2 * _LINK_BYTES} hexadecimal digits",
        next_step="copy the `head` line that `noburn ledger verify` printed",
    )


def _broken(verdict: Verdict) -> NoburnError:
    """What is wrong first: a changed row explains a changed balance."""
    if verdict.bad_seq is not None:
        row = verdict.bad_row or "which is missing: rows were cut off, or the chain was made anew"
        message = f"the ledger is broken at row {verdict.bad_seq:,} ({row})"
        why = "its link is not the digest of the row before and of what it says: it was changed"
    elif verdict.bad_name is not None:
        message = f"the ledger is broken at text {verdict.bad_name:,}"
        why = "an attribute, model, process or note is not what the journal bound it to"
    elif verdict.bad_book is not None:
        message = f"the ledger's price book {verdict.bad_book} was changed"
        why = "its texts are not the ones that the journal says calls were priced with"
    else:
        message = f"{len(verdict.wrong):,} balances are not what their calls come to"
        why = "; ".join(_wrong_words(wrong) for wrong in verdict.wrong[:3])
    return NoburnError(
        message, why=why, next_step="stop the daemon, and restore the file from a backup"
    )


def _wrong_words(wrong: WrongBalance) -> str:
    stored = show_amount(wrong.unit, wrong.stored)
    return (
        f"{wrong.key} of `{wrong.budget}` says {stored}, "
        f"its calls come to {show_amount(wrong.unit, wrong.recomputed)}"
    )


def _verdict_data(verdict: Verdict) -> dict[str, Any]:
    return {
        "holds": verdict.holds,
        "rows": verdict.rows,
        "head": verdict.head,
        "bad_seq": verdict.bad_seq,
        "bad_row": verdict.bad_row,
        "bad_name": verdict.bad_name,
        "bad_book": verdict.bad_book,
        "balances": verdict.accounts,
        "wrong_balances": [_wrong_data(wrong) for wrong in verdict.wrong],
    }


def _wrong_data(wrong: WrongBalance) -> dict[str, Any]:
    dollars = wrong.unit == DOLLARS
    return {
        "budget": wrong.budget,
        "key": wrong.key,
        "unit": wrong.unit,
        "stored": Nano(wrong.stored).exact() if dollars else wrong.stored,
        "recomputed": Nano(wrong.recomputed).exact() if dollars else wrong.recomputed,
    }


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


def _moment(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, tz=timezone.utc):%Y-%m-%d %H:%M:%S}"
