"""The changes of budgets that are to come, by their moments.

Layer: daemon, pure.  Below: ledger (ScheduledRow), rolling.  Above: book, scheduling.
Not here: what a change is, and who brings it about (scheduling).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from noburn_daemon.ledger import ScheduledRow
from noburn_daemon.rolling import NEVER_MS


class Schedule:
    """What is to come, soonest first; of one moment in the order in which it was asked for.

    next_ms: when the next change is due.  last_id: the greatest number that was ever given.
    """

    def __init__(self, rows: Iterable[ScheduledRow] = ()) -> None:
        stored = list(rows)
        self.last_id = max((row.id for row in stored), default=0)
        self._rows = {row.id: row for row in stored if row.ended_at_ms is None}
        self._look()

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[ScheduledRow]:
        return iter(sorted(self._rows.values(), key=lambda row: (row.at_ms, row.id)))

    def get(self, number: int) -> ScheduledRow | None:
        return self._rows.get(number)

    def add(self, row: ScheduledRow) -> None:
        self._rows[row.id] = row
        self.last_id = max(self.last_id, row.id)
        self._look()

    def remove(self, row: ScheduledRow) -> None:
        del self._rows[row.id]
        self._look()

    def due(self, now_ms: int) -> ScheduledRow | None:
        """The first change whose moment has come."""
        return next(iter(self)) if self.next_ms <= now_ms else None

    def _look(self) -> None:
        self.next_ms = min((row.at_ms for row in self._rows.values()), default=NEVER_MS)


def spec_of(row: ScheduledRow) -> dict[str, Any]:
    """The request that a change is."""
    return msgspec.json.decode(row.spec, type=dict[str, Any])


def shown(row: ScheduledRow) -> dict[str, Any]:
    """A change as `budget.list` tells it."""
    spec = spec_of(row)
    return {"id": row.id, "at_ms": row.at_ms, "op": spec.pop("op"), "spec": spec}
