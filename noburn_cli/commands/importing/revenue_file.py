"""`noburn import revenue`: what customers were billed, from a CSV.

Layer: commands.  Below: revenue.csv_file, revenue.store, render.revenue.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

JSON_VERSION = 1


def revenue_command(
    file: Annotated[
        Path | None,
        typer.Argument(
            help="A CSV with the columns of docs/revenue.md: id, date, amount, customer, …",
            metavar="FILE",
            show_default=False,
        ),
    ] = None,
    customers: Annotated[
        Path | None,
        typer.Option(help="A CSV payer,customer: whose customer a payer is.", metavar="FILE"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Bring revenue from a CSV: subscriptions, usage, refunds, fees, one fact a line."""
    from noburn_cli import paths
    from noburn_cli.commands.importing.told import use_settings
    from noburn_cli.errors import UsageError
    from noburn_cli.render.jsonout import print_json
    from noburn_cli.render.revenue import csv_data, render_csv
    from noburn_cli.revenue.csv_file import SOURCE, Read, read_csv, store_facts
    from noburn_cli.revenue.rating import stored_rates
    from noburn_cli.revenue.store import writing

    if file is None and customers is None:
        raise UsageError(
            "no file is named", next_step="name one: noburn import revenue invoices.csv"
        )
    with writing(paths.revenue_path()) as store:
        use_settings(store, customers)
        done = Read(0, 0, 0)
        if file is not None:
            done = store_facts(store, read_csv(file, rates=stored_rates(store)))
        missing = store.without_rate(SOURCE)
        unmapped = store.unmapped([SOURCE])
    if as_json:
        print_json("import.revenue", JSON_VERSION, csv_data(done, unmapped, missing))
    else:
        typer.echo("\n".join(render_csv(done, unmapped, missing)))
