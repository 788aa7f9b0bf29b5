"""`noburn ledger verify`: is the book true?

Layer: commands.  Below: reports.verify, render.  Reads the file; no daemon needed.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from noburn_cli.core.money import DOLLARS, Nano, show_amount
from noburn_cli.core.plurals import counted
from noburn_cli.errors import NoburnError, UsageError

if TYPE_CHECKING:
    from noburn_cli.reports.balances import WrongBalance
    from noburn_cli.reports.verify import Verdict

JSON_VERSION = 1
_LINK_BYTES = 32


def verify_command(
    head: Annotated[
        str | None,
        typer.Option(
            help="The head that an earlier `verify` printed and that you kept elsewhere: finds "
            "rows that were cut off and a chain made anew.",
            metavar="HEX",
        ),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            help="Check only what came after this head, which an earlier `verify` printed; "
            "balances, which need every call, are left out.",
            metavar="HEX",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check every row's link, every text, and every balance against its calls."""
    from noburn_cli import paths
    from noburn_cli.render.jsonout import print_json
    from noburn_cli.render.progress import Progress
    from noburn_cli.reports.verify import verify_ledger

    progress = Progress(sys.stderr)
    progress.begin(0, "rows checked")
    try:
        verdict = verify_ledger(
            paths.ledger_path(),
            head=None if head is None else _read_head(head, "--head"),
            since=None if since is None else _read_head(since, "--since"),
            tell=progress.reach,
        )
    finally:
        progress.end()
    if as_json:
        print_json("ledger.verify", JSON_VERSION, _verdict_data(verdict))
    elif verdict.holds:
        typer.echo(_holds(verdict))
    if not verdict.holds:
        raise _broken(verdict)


def _holds(verdict: Verdict) -> str:
    """What was found to be in order, and the head to keep."""
    checked = counted(verdict.rows, "row")
    if verdict.accounts is None:
        checked = f"{checked} after row {verdict.since_seq:,}, balances not looked at"
    else:
        checked += f", {counted(verdict.accounts, 'balance')}"
    if verdict.through and verdict.accounts is not None:
        checked += f"; calls up to row {verdict.through:,} were compacted"
    return f"the ledger holds: {checked}\nhead {verdict.head}"


def _read_head(text: str, option: str) -> bytes:
    try:
        head = bytes.fromhex(text.strip())
    except ValueError as error:
        raise _not_a_head(text, option) from error
    if len(head) != _LINK_BYTES:
        raise _not_a_head(text, option)
    return head


def _not_a_head(text: str, option: str) -> UsageError:
    return UsageError(
        f"{option} is not a link of the chain: {text!r}",
        why=f"expected {2 * _LINK_BYTES} hexadecimal digits",
        next_step="copy the `head` line that `noburn ledger verify` printed",
    )


def _broken(verdict: Verdict) -> NoburnError:
    """What is wrong first: a changed row explains a changed balance."""
    if verdict.bad_seq is not None:
        message, why = _bad_row(verdict)
    elif verdict.bad_table is not None:
        message = (
            f"what the ledger keeps of changed or compacted rows was changed: {verdict.bad_table}"
        )
        why = "it is not what the newest `compact` or `forget` row vouches for"
    elif verdict.bad_name is not None:
        message = f"the ledger is broken at text {verdict.bad_name:,}"
        why = "an attribute, model, process or note is not what the journal bound it to"
    elif verdict.bad_book is not None:
        message = f"the ledger's price book {verdict.bad_book} was changed"
        why = "its texts are not the ones that the journal says calls were priced with"
    else:
        number = len(verdict.wrong)
        verb = "is" if number == 1 else "are"
        message = f"{counted(number, 'balance')} {verb} not what the calls come to"
        why = "; ".join(_wrong_words(wrong) for wrong in verdict.wrong[:3])
    return NoburnError(
        message, why=why, next_step="stop the daemon, and restore the file from a backup"
    )


def _bad_row(verdict: Verdict) -> tuple[str, str]:
    """What is wrong with the first bad row, and why it is known."""
    seq = verdict.bad_seq or 0
    if verdict.bad_row is None and seq > verdict.head_seq:
        why = (
            "the head that was kept is no row's link: rows were cut off, or the chain was made anew"
        )
        if verdict.through:
            why += (
                f"; or it is from before row {verdict.through:,}, up to which calls were compacted"
            )
        return f"the ledger is broken at row {seq:,} (which is missing)", why
    if seq <= verdict.through:
        return (
            f"the ledger is broken in the rows up to {seq:,}, of which calls were compacted",
            "the rows that were left are not the ones that the newest seal vouches for",
        )
    row = verdict.bad_row or "which is missing: a row was taken out"
    return (
        f"the ledger is broken at row {seq:,} ({row})",
        "its link is not the digest of the row before and of what it says: it was changed",
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
        "since_row": verdict.since_seq,
        "compacted_to_row": verdict.through,
        "head": verdict.head,
        "bad_seq": verdict.bad_seq,
        "bad_row": verdict.bad_row,
        "bad_table": verdict.bad_table,
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
