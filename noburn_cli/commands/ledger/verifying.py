"""`noburn ledger verify`: is the book true?

Layer: commands.  Below: reports.verify, render.  Reads the file; no daemon needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from noburn_cli.core.money import DOLLARS, Nano, show_amount
from noburn_cli.errors import NoburnError, UsageError

if TYPE_CHECKING:
    from noburn_cli.reports.verify import Verdict, WrongBalance

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
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
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
