"""The budgets that stand, as the ledger's file has them: for those who ask no daemon.

Layer: reports, I/O.  Below: core.budget_spec.  Above: commands.budget (replay).
A change of the policy is written with the tables that it changes, so that these are never behind.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from noburn_cli.core.budget_spec import BudgetSpec, is_made_by_programs, spec_from

if TYPE_CHECKING:
    import apsw

_STANDING = """
    SELECT scope, per, unit, amount, override, action, zone, anchor, carry, downgrade, thresholds,
      notify
    FROM budgets WHERE removed_at_ms IS NULL AND run IS NULL ORDER BY id
"""


def standing_budgets(connection: apsw.Connection) -> list[BudgetSpec]:
    """Every standing budget, but those of runs, jobs and keys."""
    found = []
    for row in connection.execute(_STANDING):
        scope, per, unit, amount, override, action, zone, anchor, carry, *texts = row
        downgrade, thresholds, notify = (json.loads(text) for text in texts)
        spec = spec_from(
            {
                "scope": scope, "per": per, "limit": {"unit": unit, "amount": amount},
                "override": override, "action": action, "zone": zone, "anchor": anchor,
                "carry": carry, "downgrade": downgrade, "thresholds": thresholds, "notify": notify,
            }
        )  # fmt: skip
        if not is_made_by_programs(spec.scope):
            found.append(spec)
    return found
