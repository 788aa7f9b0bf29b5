"""`noburn import stripe`: what customers were billed and what became of it, from Stripe.

Layer: commands.  Below: revenue.stripe_import, revenue.stripe_webhook, render.revenue, settings.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from noburn_cli.render.progress import Progress
    from noburn_cli.revenue.stripe_api import StripeApi
    from noburn_cli.revenue.stripe_import import Imported, StripeImport
    from noburn_cli.revenue.stripe_lines import Keys

JSON_VERSION = 1
_DAY_S = 86_400
_LOCK_WAIT_S = 5.0


def stripe_command(
    context: typer.Context,
    key_file: Annotated[
        Path | None,
        typer.Option(
            help="A file with a restricted key, readable by you alone; STRIPE_API_KEY is read "
            "unless given.",
            metavar="FILE",
        ),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            help="List what was made from then on: 2026-01-01; unless given everything the first "
            "time, and then what is new.",
            metavar="DAY",
        ),
    ] = None,
    look_back: Annotated[
        str | None,
        typer.Option(
            help="Ask again for everything of so many days, whatever events say: 90d.",
            metavar="DAYS",
        ),
    ] = None,
    customers: Annotated[
        Path | None,
        typer.Option(help="A CSV payer,customer: whose customer a payer is.", metavar="FILE"),
    ] = None,
    webhook: Annotated[
        int | None,
        typer.Option(
            help="Then stay, and take Stripe's events at this port of 127.0.0.1; the secret is "
            "read from STRIPE_WEBHOOK_SECRET.",
            metavar="PORT",
            min=0,
            max=65_535,
        ),
    ] = None,
    events: Annotated[
        str | None,
        typer.Option(
            help="Then take events from a file, one JSON object a line; - for standard input.",
            metavar="FILE",
        ),
    ] = None,
    base_url: Annotated[
        str | None, typer.Option(help="Where Stripe's API is asked.", metavar="URL")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Bring revenue from Stripe: invoices, payments, refunds, disputes, fees; only what is new."""
    from noburn_cli import paths
    from noburn_cli.commands.importing.told import use_settings
    from noburn_cli.errors import UsageError
    from noburn_cli.render.progress import Progress
    from noburn_cli.revenue.store import writing
    from noburn_cli.revenue.stripe_api import BASE, StripeApi
    from noburn_cli.revenue.stripe_import import StripeImport
    from noburn_cli.revenue.stripe_key import find_key
    from noburn_cli.revenue.stripe_webhook import find_secret

    if webhook is not None and events is not None:
        raise UsageError("--webhook and --events exclude each other", next_step="choose one")
    if context.args:
        raise UsageError(
            "`noburn import stripe` takes options alone",
            why="a word is too many; it is not repeated here, as it may be a key",
            next_step="a key is read from STRIPE_API_KEY, or from the file that --key-file names",
        )
    key = find_key(os.environ, key_file)
    secret = None if webhook is None else find_secret(os.environ)
    since_s, look_back_s = _read_since(since), _read_days(look_back)
    api = StripeApi(key, base=base_url or BASE)
    progress = Progress(sys.stderr)
    with writing(paths.revenue_path()) as store:
        keys = use_settings(store, customers)
        job = StripeImport(api, store, keys, _told(progress))
        try:
            done = job.run(since_s=since_s, look_back_s=look_back_s)
        finally:
            progress.end()
        _show(job, done, as_json=as_json)
        if events is not None:
            _take(job, events)
    if webhook is not None and secret is not None:
        _serve(api, keys, webhook, secret)


def _told(progress: Progress) -> Callable[[int, str], None]:
    """Shows how far an import is: `1,200 invoices read`."""
    shown = ""

    def tell(count: int, what: str) -> None:
        nonlocal shown
        if what != shown:
            shown = what
            progress.begin(0, f"{what} read")
        progress.reach(count)

    return tell


def _show(job: StripeImport, done: Imported, *, as_json: bool) -> None:
    from noburn_cli.render.jsonout import print_json
    from noburn_cli.render.revenue import render_stripe, stripe_data
    from noburn_cli.revenue.stripe_strays import strays

    source = job.api.source
    sums, missing = job.store.sums(source), job.store.without_rate(source)
    unmapped, loose = job.store.unmapped([source]), strays(job.store, source)
    if as_json:
        data = stripe_data(source, done, sums, unmapped, missing, loose)
        print_json("import.stripe", JSON_VERSION, data)
    else:
        lines = render_stripe(source, done, sums, unmapped, missing, loose)
        typer.echo("\n".join(lines))


def _serve(api: StripeApi, keys: Keys, port: int, secret: str) -> None:
    from noburn_cli import paths
    from noburn_cli.revenue.store import writing
    from noburn_cli.revenue.stripe_import import StripeImport
    from noburn_cli.revenue.stripe_webhook import Webhook

    @contextlib.contextmanager
    def open_job() -> Iterator[StripeImport]:
        # Less than Stripe waits for an answer; an event that finds no room comes again.
        with writing(paths.revenue_path(), wait_s=_LOCK_WAIT_S) as store:
            yield StripeImport(api, store, keys, lambda *_: None)

    with Webhook(open_job, secret, port) as hook:
        typer.echo(
            f"noburn: taking Stripe's events at http://127.0.0.1:{hook.port}/, until Ctrl-C",
            err=True,
        )
        hook.serve(lambda line: typer.echo(f"noburn: {line}", err=True))


def _take(job: StripeImport, name: str) -> None:
    from noburn_cli.errors import InputRefused
    from noburn_cli.revenue.stripe_webhook import take_lines

    try:
        if name == "-":
            done = take_lines(job, sys.stdin.buffer)
        else:
            with Path(name).open("rb") as file:
                done = take_lines(job, file)
    except OSError as error:
        raise InputRefused(f"{name} cannot be read: {error.strerror or error}") from error
    typer.echo(f"{done.events} events, {done.roots} invoices and charges looked at again", err=True)


def _read_since(text: str | None) -> int | None:
    """Epoch seconds of a day, UTC.  Raises UsageError."""
    from datetime import date, datetime, time, timezone

    from noburn_cli.errors import UsageError

    if text is None:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(
            f"--since cannot be read from {text!r}", next_step="write a day like 2026-01-01"
        ) from error
    return int(datetime.combine(day, time(), timezone.utc).timestamp())


def _read_days(text: str | None) -> int:
    """Seconds of `90d`; 0 for nothing.  Raises UsageError."""
    from noburn_cli.errors import UsageError

    if text is None:
        return 0
    number = text.removesuffix("d")
    if not number.isdecimal() or not 0 < int(number) <= 3_660:
        raise UsageError(
            f"--look-back cannot be read from {text!r}", next_step="write days, like 90d"
        )
    return int(number) * _DAY_S
