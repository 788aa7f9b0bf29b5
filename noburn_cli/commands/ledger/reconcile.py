"""`noburn ledger reconcile`: the books beside the providers' own bills.

Layer: commands.  Below: reconcile, render.reconcile, client (to book), settings, prices.
Compares by reading; `--apply` and `--undo` let the daemon book.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from noburn_cli import protocol
from noburn_cli.commands.ledger import reconcile_options as options
from noburn_cli.core.money import show_dollars
from noburn_cli.core.plurals import counted
from noburn_cli.errors import LimitReached, UsageError

if TYPE_CHECKING:
    from noburn_cli.reconcile.bill import Bill
    from noburn_cli.reconcile.comparing import Comparison, Terms
    from noburn_cli.reconcile.entries import Booking

JSON_VERSION = 1
_DEFAULT_TOLERANCE = "$0.01"


def reconcile_command(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            help="Exports: JSON pages of OpenAI's or Anthropic's usage and cost APIs, CSV files of "
            "their dashboards, any CSV with --map; or `openai`, `anthropic` to ask their APIs with "
            "OPENAI_ADMIN_KEY, ANTHROPIC_ADMIN_API_KEY.",
            metavar="SOURCE…",
            show_default=False,
        ),
    ] = None,
    provider: Annotated[
        str | None,
        typer.Option(
            help="What the files are; recognised by themselves.", metavar="openai|anthropic|csv"
        ),
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="The first day, UTC: 2026-11-01, 30d.", metavar="DAY")
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(help="The last day, included; yesterday unless given.", metavar="DAY"),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(
            "--map",
            help="What a CSV's columns are: day=date,model=model_name,cost=usd; or the NAME of a "
            "[reconcile.NAME] table of the configuration.",
            metavar="WORD=COLUMN,…|NAME",
        ),
    ] = None,
    keys: Annotated[
        list[str] | None,
        typer.Option(
            "--key",
            help="Whose calls an API key, project or workspace makes; may be repeated.",
            metavar="ID=SCOPE",
        ),
    ] = None,
    charge: Annotated[
        str | None,
        typer.Option(
            help="Whom spend is charged to that is in no book; nobody unless given.",
            metavar="SCOPE",
        ),
    ] = None,
    tolerance: Annotated[
        str, typer.Option(help="How far a model may drift: $0.05, 0.1%.", metavar="AMOUNT")
    ] = _DEFAULT_TOLERANCE,
    apply: Annotated[
        bool, typer.Option("--apply", help="Book what the bills differ by, as corrections.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what --apply would book.")
    ] = False,
    undo: Annotated[
        str | None,
        typer.Option(help="Book the opposite of a correction, or of a whole batch.", metavar="ID"),
    ] = None,
    reason: Annotated[
        str, typer.Option(help="Why, for who reads the journal.", metavar="TEXT")
    ] = "",
    base_url: Annotated[
        str | None, typer.Option(help="Where a provider's API is asked.", metavar="URL")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare the ledger with the providers' own bills, and book what they differ by."""
    if undo is not None:
        if sources or apply or dry_run:
            raise UsageError("--undo stands alone", next_step="compare in a command of its own")
        _undo(undo, reason, as_json=as_json)
        return
    if apply and dry_run:
        raise UsageError("--apply books, and --dry-run does not", next_step="choose one")
    from noburn_cli import paths
    from noburn_cli.reconcile.comparing import compare
    from noburn_cli.reconcile.entries import Booking
    from noburn_cli.reconcile.scoping import scope_name

    allowed = options.read_tolerance(tolerance)
    table = options.read_table(columns, provider)
    terms = options.read_terms(since, until, {**table.keys, **options.read_scopes(keys or [])})
    bills = _bills(sources or [], provider, table.columns, terms, base_url)
    unguarded = {} if charge is None else options.read_attributes(charge)
    scopes = {scope_name(scope): scope for scope in terms.scoping.by_id.values()}
    found = compare(paths.ledger_path(), bills, terms)
    bookings = [Booking(one, scopes=scopes, unguarded=unguarded) for one in found]
    _show(found, bookings, dry_run=dry_run, as_json=as_json)
    if apply:
        _apply(found, bookings, reason, quiet=as_json)
    else:
        _judge(found, allowed)


def _show(
    found: list[Comparison], bookings: list[Booking], *, dry_run: bool, as_json: bool
) -> None:
    from noburn_cli.reconcile.entries import batch_of
    from noburn_cli.render.jsonout import print_json
    from noburn_cli.render.reconcile import comparison_data, render_comparison, render_entries

    pairs = list(zip(found, bookings, strict=True))
    if as_json:
        providers = [comparison_data(one, booking) for one, booking in pairs]
        data = {"batch": batch_of(bookings), "providers": providers}
        print_json("ledger.reconcile", JSON_VERSION, data)
        return
    for number, (one, booking) in enumerate(pairs):
        lines = ([""] if number else []) + render_comparison(one)
        typer.echo("\n".join([*lines, *(render_entries(booking) if dry_run else [])]))


def _bills(
    sources: list[str], provider: str | None, columns: Mapping[str, str] | None, terms: Terms,
    base_url: str | None,
) -> list[Bill]:  # fmt: skip
    from noburn_cli.reconcile.bill import PROVIDERS
    from noburn_cli.reconcile.formats import read_file
    from noburn_cli.reconcile.live import fetch

    if provider not in (None, *PROVIDERS):
        raise UsageError(f"unknown provider {provider!r}", why=f"known are {', '.join(PROVIDERS)}")
    if not sources:
        raise UsageError(
            "no export is named", next_step="name its files, or `openai` or `anthropic`"
        )
    bills: list[Bill] = []
    for source in sources:
        if source in options.LIVE and not Path(source).exists():
            first = terms.first or f"{date.fromisoformat(terms.last).replace(day=1)}"
            bills += fetch(source, first, terms.last, os.environ, base_url=base_url)
        else:
            bills.append(read_file(Path(source), mapping=columns, provider=provider))
    _refuse_doubles(bills)
    return bills


def _refuse_doubles(bills: list[Bill]) -> None:
    """The same export twice would be twice the bill."""
    seen: dict[str, str] = {}
    for bill in bills:
        if bill.rows and bill.digest in seen:
            raise UsageError(f"{bill.source} is the same export as {seen[bill.digest]}")
        seen[bill.digest] = bill.source
    for provider in {bill.provider for bill in bills}:
        costs = [b for b in bills if b.provider == provider and b.has_money]
        for one in costs:
            for other in costs[costs.index(one) + 1 :]:
                both = {row.day for row in one.rows} & {row.day for row in other.rows}
                if both:
                    raise UsageError(
                        f"{one.source} and {other.source} both have costs of {min(both)}",
                        why="added up they would be more than the bill",
                        next_step="name one of them, or bound it with --since and --until",
                    )


def _judge(found: list[Comparison], allowed: tuple[int, Fraction]) -> None:
    """Raises LimitReached when a model drifts further than is allowed."""
    from noburn_cli.reconcile.matching import ROUNDING
    from noburn_cli.render.reconcile import by_model

    beyond = []
    for one in found:
        for (model, _), sums in by_model(one.lines).items():
            drift = abs(sums.drift - sums.reasons.get(ROUNDING, [0])[0])
            if drift > max(Fraction(allowed[0]), allowed[1] * abs(sums.billed)):
                beyond.append(f"{model or '(no model)'} by {show_dollars(sums.drift)}")
    if beyond:
        raise LimitReached(
            f"the books drift from the bill: {', '.join(beyond)}",
            why=f"more than is tolerated ({options.shown_tolerance(allowed)} a model)",
            next_step="--dry-run shows what --apply would book",
        )


def _apply(found: list[Comparison], bookings: list[Booking], reason: str, *, quiet: bool) -> None:
    from noburn_cli.client import Client
    from noburn_cli.reconcile.entries import batch_of

    if not any(booking.entries for booking in bookings):
        typer.echo("nothing to book: the books say what the bills say", err=quiet)
        return
    batch = batch_of(bookings)
    over: list[str] = []
    with Client() as client:
        for one, booking in zip(found, bookings, strict=True):
            booked = 0
            for frame in _frames(one, booking, batch, reason):
                reply = client.request(protocol.LEDGER_CORRECT, **frame)
                booked, over = booked + reply["booked"], reply["over"]
            amount = show_dollars(booking.total_nano)
            typer.echo(
                f"{one.provider}: booked {counted(booked, 'correction')}, {amount} in all",
                err=quiet,
            )
    typer.echo(f"`noburn ledger reconcile --undo {batch}` takes them back", err=quiet)
    _tell_over(over)


def _frames(one: Comparison, booking: Booking, batch: str, reason: str) -> Iterator[dict[str, Any]]:
    from noburn_cli.live_runs import who

    for start in range(0, len(booking.entries), protocol.CORRECTIONS_MAX):
        yield {
            "batch": batch, "after": one.last_correction, "by": who(), "reason": reason,
            "entries": booking.entries[start : start + protocol.CORRECTIONS_MAX],
            "provider": one.provider, "export": one.digest[:4096],
            "source": ", ".join(one.sources)[:4096],
        }  # fmt: skip


def _tell_over(over: list[str]) -> None:
    for name in over:
        typer.echo(f"noburn: budget `{name}` is over now, and admits nothing", err=True)


def _undo(name: str, reason: str, *, as_json: bool) -> None:
    from noburn_cli.client import Client
    from noburn_cli.live_runs import who
    from noburn_cli.render.jsonout import print_json

    with Client() as client:
        reply = client.request(protocol.LEDGER_UNDO, id=name, by=who(), reason=reason)
    if as_json:
        data = {"id": name, "undone": reply["undone"], "over": reply["over"]}
        print_json("ledger.undo", JSON_VERSION, data)
    elif reply["undone"]:
        typer.echo(f"took {counted(reply['undone'], 'correction')} back")
    else:
        typer.echo(f"{name} was taken back before", err=True)
    _tell_over(reply["over"])
