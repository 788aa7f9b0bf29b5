"""Budgets that count, as a check of their balances needs them: which calls, and for how long.

Layer: reports, I/O (reads budgets).  Below: core.budgets, core.windows.  Above: reports.balances.
Owns: the place of a charge: the account's window, or its bucket where the window rolls.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from noburn_cli.core.money import DOLLARS, TOKENS
from noburn_cli.core.windows import CALL, Window, bucket_ms, expires_at_ms, rolling_ms

if TYPE_CHECKING:
    import apsw

#: The limit of a run that ended longer ago is no longer kept up to date: nothing can run in it.
_ENDED_RUN_MS = 6 * 24 * 3_600_000
#: A new budget whose window rolls for longer than an hour starts with sums by quarter-hour, each
#: as of its end (noburn_daemon.starting).
_EXACT_MS_MAX = 3_600_000
SLOT_MS = 900_000

_BUDGETS = """
    SELECT id, scope, per, unit, amount, ended_at_ms, zone, anchor FROM budgets
    WHERE removed_at_ms IS NULL
"""
_CREATED = """
    SELECT json_extract(detail, '$.budget'), min(seq), at_ms FROM journal
    WHERE kind = 'budget_set' GROUP BY 1
"""

#: What a call weighs: nano-dollars, tokens, requests.
Weights = tuple[int, int, int]


@dataclass
class Budget:
    """One budget in force.

    start_ms: when its current window began; 0 for those that never end.
    length_ms: of a window that rolls, else None.
    created: (row, moment) of its first `budget_set`.
    """

    id: int
    scope: str
    per: str
    unit: str
    limit: int
    window: Window
    now_ms: int
    created: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        self.length_ms = rolling_ms(self.per)
        self.start_ms = self.window.bounds(self.now_ms)[0]

    @property
    def name(self) -> str:
        return f"{self.scope} per {self.per}"

    @property
    def is_endless(self) -> bool:
        """Whether all calls ever made count."""
        return self.length_ms is None and not self.start_ms

    def weight(self, added: Weights, *, notional: bool) -> int:
        """Of dollars a call weighs nothing that a subscription pays for."""
        if self.unit == DOLLARS:
            return 0 if notional else added[0]
        return added[1] if self.unit == TOKENS else added[2]

    def place(self, at_ms: int, seq: int) -> int | None:
        """The window or bucket of a call that was reserved then; None when it does not count now.

        seq: the row that charges it; those from before the budget it started with, as sums.
        """
        if self.length_ms is None:
            return self.start_ms if self.window.bounds(at_ms)[0] == self.start_ms else None
        if seq < self.created[0] and self.length_ms > _EXACT_MS_MAX:
            at_ms = min(at_ms - at_ms % SLOT_MS + SLOT_MS - 1, self.created[1])
        if expires_at_ms(self.length_ms, at_ms) <= self.now_ms:
            return None
        return at_ms // bucket_ms(self.length_ms)

    def is_over(self, bucket: int) -> bool:
        """Whether a bucket has left."""
        assert self.length_ms is not None
        at_ms = bucket * bucket_ms(self.length_ms)
        return expires_at_ms(self.length_ms, at_ms) <= self.now_ms

    def begins_ms(self, place: int) -> int:
        """The first moment whose calls belong to a place."""
        return place if self.length_ms is None else place * bucket_ms(self.length_ms)


def read_budgets(connection: apsw.Connection, now_ms: int) -> dict[int, Budget]:
    """Those that add anything up: not removed, no ceilings, not of a run that ended long ago."""
    found = {}
    for row in connection.execute(_BUDGETS):
        number, scope, per, unit, limit, ended_at_ms, zone, anchor = row
        if per == CALL or (ended_at_ms and ended_at_ms <= now_ms - _ENDED_RUN_MS):
            continue
        window = Window(per, zone, anchor)
        found[number] = Budget(number, scope, per, unit, limit, window, now_ms)
    if any((budget.length_ms or 0) > _EXACT_MS_MAX for budget in found.values()):
        for number, seq, at_ms in connection.execute(_CREATED):
            if number in found:
                found[number].created = (seq, at_ms)
    return found
