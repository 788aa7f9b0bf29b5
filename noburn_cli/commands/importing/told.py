"""What a person has said of payers and rates, laid down in the revenue file.

Layer: commands.  Below: revenue.csv_file, revenue.rating, revenue.store.
Above: revenue_file, stripe_account: every import of revenue does this first.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from noburn_cli.revenue.store import RevenueStore

#: Who said it: a file that was named on the command line.
FILE = "file"


def use_settings(store: RevenueStore, customers: Path | None) -> None:
    """Keep what `--customers` says.

    Raises InputRefused for a file that cannot be read, before anything is changed.
    """
    from noburn_cli.revenue.csv_file import read_identities

    if customers is not None:
        told = read_identities(customers)
        with store.change():
            store.set_identities(told, FILE)
