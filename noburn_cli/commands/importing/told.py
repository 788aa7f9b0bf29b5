"""What a person has said of payers, rates and metadata, laid down in the revenue file.

Layer: commands.  Below: settings, revenue.csv_file, revenue.rating, revenue.store.
Above: revenue_file, stripe_account: every import of revenue does this first.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from noburn_cli.revenue.store import RevenueStore
    from noburn_cli.revenue.stripe_lines import Keys

#: Who said it: a file that was named on the command line, or the configuration; the file wins.
CONFIGURATION, FILE = "configuration", "file"


def use_settings(store: RevenueStore, customers: Path | None) -> Keys:
    """Keep what the configuration and `--customers` say; Stripe's metadata keys.

    Rates that changed price again what they had priced.
    Raises UsageError or InputRefused for what cannot be read, before anything is changed.
    """
    from noburn_cli import settings
    from noburn_cli.core.revenue_keys import CUSTOMERS, RATES, REVENUE
    from noburn_cli.revenue.csv_file import price_again, read_identities
    from noburn_cli.revenue.rating import RateRow, set_rates
    from noburn_cli.revenue.stripe_keeping import Keeping
    from noburn_cli.revenue.stripe_key import LIVE, TEST
    from noburn_cli.revenue.stripe_lines import Keys

    found = settings.load(os.environ, Path.cwd())
    if any(key.startswith(f"{REVENUE}.") for key in found.ignored):
        # Else a rate that is written there would be missed, and be asked for where it stands.
        for line in found.remarks():
            typer.echo(line, err=True)
    told = None if customers is None else read_identities(customers)
    rates = [
        RateRow(currency, day, rate, source)
        for currency, rows in found.below(RATES).items()
        for day, rate, source in rows
    ]
    with store.change():
        store.set_identities(found.below(CUSTOMERS), CONFIGURATION)
        if told is not None:
            store.set_identities(told, FILE)
        if set_rates(store, rates):
            price_again(store)
            for source in (LIVE, TEST):
                Keeping(store, source).mark_all()
    return Keys(*(found.value(f"revenue.{name}_key") for name in ("customer", "feature", "plan")))
