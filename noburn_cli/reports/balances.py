"""Every balance made again from the journal alone, and compared with the one that is stored.

Layer: reports, I/O (looks texts up).  Below: core.budgets, core.windows.  Above: reports.verify.
Owns: what every account of a current window comes to.  It shares no code with the daemon's book
but the rules of scopes and windows.
Not here: links and texts (reports.links, reports.bindings).

Memory is that of the accounts and of the calls in flight, whatever the journal's length.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from noburn_cli.core.budgets import account_keys, parse_scope, show_scope
from noburn_cli.core.chain import COLUMNS
from noburn_cli.core.money import DOLLARS, TOKENS
from noburn_cli.core.months import month_end_ms
from noburn_cli.core.windows import Window

if TYPE_CHECKING:
    import apsw

#: The limit of a run that ended longer ago is no longer kept up to date: nothing can run in it.
_ENDED_RUN_MS = 6 * 24 * 3_600_000
_CLOSES = ("settle", "lose", "orphan", "void")
_KNOWN_MAX = 50_000

_BUDGETS = (
    "SELECT id, scope, per, unit, ended_at_ms, zone, anchor FROM budgets"
    " WHERE removed_at_ms IS NULL"
)
_ACCOUNTS = "SELECT budget, key, window_start_ms, settled FROM accounts"
_EARLIER = """
    SELECT kind, at_ms, context, note, cost_nano, cost_tokens FROM journal
    WHERE call = ? AND seq < ? AND kind IN ('reserve', 'settle', 'lose', 'orphan', 'void')
    ORDER BY seq
"""
_ROLLUPS = """
    SELECT month, context, notional, cost_nano, cost_tokens, calls FROM rollups
    WHERE state = 'settled'
"""
_TEXT = "SELECT text FROM names WHERE id = ?"

_SEQ, _AT, _KIND, _CALL, _CONTEXT, _NOTE, _NANO, _TOKENS, _DETAIL = (
    COLUMNS.index(name)
    for name in (
        "seq",
        "at_ms",
        "kind",
        "call",
        "context",
        "note",
        "cost_nano",
        "cost_tokens",
        "detail",
    )
)

Place = tuple[int, str, int]
#: What a call weighs: nano-dollars, tokens, requests.
Weights = tuple[int, int, int]
_NOTHING: Weights = (0, 0, 0)


@dataclass(frozen=True)
class WrongBalance:
    """An account whose stored balance is not what its calls come to; in the budget's unit."""

    budget: str
    key: str
    unit: str
    stored: int
    recomputed: int


@dataclass(frozen=True)
class _Budget:
    id: int
    scope: str
    per: str
    unit: str
    window: Window
    start_ms: int

    @property
    def name(self) -> str:
        return f"{self.scope} per {self.per}"

    def weight(self, added: Weights, *, notional: bool) -> int:
        """Of dollars a call weighs nothing that a subscription pays for."""
        if self.unit == DOLLARS:
            return 0 if notional else added[0]
        return added[1] if self.unit == TOKENS else added[2]


@dataclass(frozen=True)
class _Reserved:
    """A call as its `reserve` row has it: its place in time, its attributes, who pays."""

    at_ms: int
    context: int
    note: int | None


class Balances:
    """Takes the journal's rows in order, up to the row of the snapshot that is compared with."""

    def __init__(self, connection: apsw.Connection, now_ms: int) -> None:
        self._connection = connection
        found = next(
            iter(connection.execute("SELECT value FROM meta WHERE key = 'as_of_seq'")), "0"
        )
        self._as_of = int(found[0])
        self._budgets = _read_budgets(connection, now_ms)
        self._sums: dict[Place, int] = {}
        self._open: dict[str, _Reserved] = {}
        self._accounts: dict[int, list[tuple[_Budget, str]]] = {}
        self._notional: dict[int | None, bool] = {None: False}
        for month, context, notional, nano, tokens, calls in connection.execute(_ROLLUPS):
            # In the last moment of its month: late rather than early.
            at_ms = month_end_ms(month) - 1
            self._charge(context, at_ms, (nano, tokens, calls), notional=bool(notional))

    def add(self, row: tuple[Any, ...]) -> None:
        """One row, its values in COLUMNS' order."""
        if row[_SEQ] > self._as_of:
            return
        kind, call = row[_KIND], row[_CALL]
        if kind == "correction" and row[_NANO] is not None:
            told = json.loads(row[_DETAIL])
            weights = (row[_NANO], row[_TOKENS] or 0, told["requests"])
            self._charge(row[_CONTEXT], told["for_ms"], weights, notional=False)
        elif kind == "reserve":
            self._open[call] = _Reserved(row[_AT], row[_CONTEXT], row[_NOTE])
        elif kind in _CLOSES:
            reserved = self._open.pop(call, None)
            before = _NOTHING
            if reserved is None:
                reserved, before = self._earlier(call, row[_SEQ])
            if reserved is None:
                return
            nano, tokens, requests = _weights(kind, row[_NANO], row[_TOKENS])
            added = (nano - before[0], tokens - before[1], requests - before[2])
            notional = self._is_notional(reserved.note)
            self._charge(reserved.context, reserved.at_ms, added, notional=notional)

    def compare(self) -> tuple[int, tuple[WrongBalance, ...]]:
        """How many accounts there are, and those that are wrong."""
        stored: dict[Place, int] = {}
        for number, key, start, settled in self._connection.execute(_ACCOUNTS):
            budget = self._budgets.get(number)
            if budget is not None and budget.start_ms == start:
                pairs = tuple((name, value) for name, value in json.loads(key))
                stored[number, show_scope(pairs), start] = settled
        places = sorted({*stored, *self._sums})
        wrong = (
            WrongBalance(
                budget=self._budgets[place[0]].name,
                key=place[1],
                unit=self._budgets[place[0]].unit,
                stored=stored.get(place, 0),
                recomputed=self._sums.get(place, 0),
            )
            for place in places
            if stored.get(place, 0) != self._sums.get(place, 0)
        )
        return len(places), tuple(wrong)

    def _earlier(self, call: str, seq: int) -> tuple[_Reserved | None, Weights]:
        """A call that had ended before, and what it was charged at until now."""
        reserved, charged = None, _NOTHING
        for kind, at_ms, context, note, nano, tokens in self._connection.execute(
            _EARLIER, (call, seq)
        ):
            if kind == "reserve":
                reserved = _Reserved(at_ms, context, note)
            else:
                charged = _weights(kind, nano, tokens)
        return reserved, charged

    def _charge(self, context: int, at_ms: int, added: Weights, *, notional: bool) -> None:
        for budget, key in self._matching(context):
            if budget.window.bounds(at_ms)[0] != budget.start_ms:
                continue
            place = (budget.id, key, budget.start_ms)
            weight = budget.weight(added, notional=notional)
            if weight or place not in self._sums:
                self._sums[place] = self._sums.get(place, 0) + weight

    def _matching(self, context: int) -> list[tuple[_Budget, str]]:
        found = self._accounts.get(context)
        if found is None:
            if len(self._accounts) >= _KNOWN_MAX:
                self._accounts.clear()
            attributes = json.loads(self._text(context) or "{}")
            found = self._accounts[context] = [
                (budget, show_scope(key))
                for budget in self._budgets.values()
                for key in account_keys(parse_scope(budget.scope), budget.per, attributes)
            ]
        return found

    def _is_notional(self, note: int | None) -> bool:
        found = self._notional.get(note)
        if found is None:
            if len(self._notional) >= _KNOWN_MAX:
                self._notional = {None: False}
            said: Mapping[str, Any] = json.loads(self._text(note) or "{}")
            found = self._notional[note] = bool(said.get("notional"))
        return found

    def _text(self, number: int | None) -> str | None:
        row = next(iter(self._connection.execute(_TEXT, (number,))), None)
        return None if row is None else row[0]


def _weights(kind: str, nano: int | None, tokens: int | None) -> Weights:
    return _NOTHING if kind == "void" else (nano or 0, tokens or 0, 1)


def _read_budgets(connection: apsw.Connection, now_ms: int) -> dict[int, _Budget]:
    """Those that count: not removed, and not of a run that ended long ago."""
    found = {}
    for number, scope, per, unit, ended_at_ms, zone, anchor in connection.execute(_BUDGETS):
        if ended_at_ms and ended_at_ms <= now_ms - _ENDED_RUN_MS:
            continue
        window = Window(per, zone, anchor)
        found[number] = _Budget(number, scope, per, unit, window, window.bounds(now_ms)[0])
    return found
