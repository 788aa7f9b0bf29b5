"""The ledger's costs by day, customer, feature and model.

Layer: profit, I/O.  Below: ledger_file, core.profit.  Above: profit.reading.
Owns: which day a call belongs to in the zone of the rules.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from noburn_cli import paths
from noburn_cli.core.budgets import NONE
from noburn_cli.core.profit import CostLine
from noburn_cli.core.recognition_days import Days
from noburn_cli.ledger_file import no_ledger
from noburn_cli.reports.reading import reading

_SLOT_MS = 900_000
_CALLS = f"""
    SELECT reserved_at_ms / {_SLOT_MS}, coalesce(customer, '{NONE}'), coalesce(feature, '{NONE}'),
      coalesce(resolved_model, model, '{NONE}'),
      coalesce(sum(cost_nano) FILTER (WHERE state <> 'held' AND paid), 0),
      coalesce(sum(cost_nano) FILTER (WHERE state <> 'held' AND NOT paid), 0),
      coalesce(sum(hold_nano) FILTER (WHERE state = 'held' AND paid), 0),
      coalesce(sum(cost_nano) FILTER (WHERE state IN ('uncertain', 'orphaned') AND paid), 0),
      coalesce(sum(requests), 0),
      coalesce(sum(coalesce(input, 0) + coalesce(cache_read, 0) + coalesce(cache_write_5m, 0)
        + coalesce(cache_write_1h, 0) + coalesce(output, 0)), 0)
    FROM (SELECT *, coalesce(json_extract(detail, '$.notional'), 0) = 0 AS paid FROM calls)
    WHERE state NOT IN ('blocked', 'refused') AND reserved_at_ms >= ? AND reserved_at_ms < ?
    GROUP BY 1, 2, 3, 4
"""  # noqa: S608 -- our own names


def cost_lines(
    home: Path, days: Days, first: int, until: int, *, has_revenue: bool
) -> Iterator[CostLine]:
    """The costs of days, half-open.

    has_revenue: whether there is anything to show without a ledger.  Raises LedgerUnavailable.
    """
    path = paths.ledger_path(home)
    if not path.exists():
        if has_revenue:
            return
        raise no_ledger(path)
    with reading(path) as connection:
        rows = connection.execute(_CALLS, (days.start_ms(first), days.start_ms(until)))
        for slot, customer, feature, model, *sums in rows:
            yield CostLine(days.of(slot * _SLOT_MS), customer, feature, model, *sums)
