"""The costs of days as profit and loss takes them.

Layer: profit, I/O.  Below: reports.costs, core.profit.  Above: profit.reading.
Owns: that revenue without a ledger is shown all the same.
Not here: which day a call belongs to, and calls that were imported (reports.costs).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from noburn_cli import paths
from noburn_cli.core.budgets import NONE
from noburn_cli.core.profit import CostLine
from noburn_cli.core.recognition_days import Days
from noburn_cli.core.usage import REASONING
from noburn_cli.ledger_file import no_ledger
from noburn_cli.reports.costs import daily_costs


def cost_lines(
    home: Path, days: Days, first: int, until: int, *, has_revenue: bool
) -> Iterator[CostLine]:
    """The costs of days, half-open.

    has_revenue: whether there is anything to show without a ledger.  Raises LedgerUnavailable.
    """
    ledger = paths.ledger_path(home)
    if not ledger.exists() and not paths.imports_path(home).exists():
        if has_revenue:
            return
        raise no_ledger(ledger)
    # From a day before on: a compacted month is UTC's, and told whole or not at all.
    for one in daily_costs(home, days.start_ms(first - 1), days.start_ms(until), days.zone):
        if one.day.toordinal() < first:
            continue
        tokens = sum(count for kind, count in one.tokens.items() if kind != REASONING)
        yield CostLine(
            one.day.toordinal(), one.customer or NONE, one.feature or NONE, one.model or NONE,
            one.cost_nano, one.notional_nano, one.held_nano, one.uncertain_nano, one.calls, tokens,
            one.is_month,
        )  # fmt: skip
