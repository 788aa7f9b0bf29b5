"""Calls that are charged at their hold: nobody knows what they were billed.

Layer: reports, I/O.  Below: reading.  Above: commands.ledger.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from noburn_cli.reports.reading import reading

_UNBILLED = """
    SELECT c.call, c.state, coalesce(c.resolved_model, c.model), c.run, o.text, c.hold_nano,
      c.reserved_at_ms, c.closed_at_ms, c.failure
    FROM calls AS c
    JOIN journal AS j ON j.call = c.call AND j.kind = 'reserve'
    LEFT JOIN names AS o ON o.id = j.owner
    WHERE c.state IN ('orphaned', 'uncertain')
    ORDER BY c.reserved_at_ms, c.call
"""


@dataclass(frozen=True)
class Unbilled:
    """One call that stays charged at `hold_nano` until a late bill settles it.

    state: `orphaned` (its process is gone) or `uncertain` (its usage was never learnt).
    owner: the process that made it, as the daemon knew it; None once forgotten.
    """

    call: str
    state: str
    model: str
    run: str | None
    owner: str | None
    hold_nano: int
    reserved_at_ms: int
    closed_at_ms: int
    failure: str | None


def read_unbilled(ledger_path: Path) -> list[Unbilled]:
    """Every such call, oldest first.  Raises LedgerUnavailable."""
    with reading(ledger_path) as connection:
        return [Unbilled(*row) for row in connection.execute(_UNBILLED)]
