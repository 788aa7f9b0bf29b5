"""Every balance made again from the journal alone, and compared with the one that is stored.

Layer: reports, I/O (looks texts up).  Below: standing, quarter_hours, core.budgets.
Above: reports.verify.
Owns: what every account of a current window comes to, what was booked as overage or carried over,
the limits that were set, and the sums that new budgets start with.  It shares no code with the
daemon's book but the rules of scopes and windows.
Not here: links and texts (reports.links, reports.bindings).

Memory is that of the accounts and of the calls in flight, whatever the journal's length.  Of a
window that began before what was compacted, only a month's sums are known: it is not compared.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from noburn_cli.core.budgets import account_keys, parse_scope, show_scope
from noburn_cli.core.chain import COLUMNS
from noburn_cli.core.months import month_of
from noburn_cli.reports.quarter_hours import Cells
from noburn_cli.reports.standing import SLOT_MS, Budget, Weights, read_budgets

if TYPE_CHECKING:
    import apsw

_CLOSES = ("settle", "lose", "orphan", "void")
_KNOWN_MAX = 50_000

#: Rows that tell of accounts and budgets, and not of calls.
_OF_ACCOUNTS = ("overage", "carry", "budget_set")
_ACCOUNTS = "SELECT budget, key, window_start_ms, settled, buckets, overage, carried FROM accounts"
_EARLIER = """
    SELECT kind, at_ms, context, note, cost_nano, cost_tokens FROM journal
    WHERE call = ? AND seq < ? AND kind IN ('reserve', 'settle', 'lose', 'orphan', 'void')
    ORDER BY seq
"""
_ROLLUPS = """
    SELECT month, context, notional, cost_nano, cost_tokens, calls FROM rollups
    WHERE state = 'settled'
"""
_SUMS = "SELECT slot, context, nano, tokens, requests FROM sums"
_TEXT = "SELECT text FROM names WHERE id = ?"
_META = "SELECT value FROM meta WHERE key = ?"

_SEQ, _AT, _KIND, _CALL, _CONTEXT, _NOTE, _NANO, _TOKENS, _DETAIL = (
    COLUMNS.index(name)
    for name in (
        *("seq", "at_ms", "kind", "call", "context", "note", "cost_nano", "cost_tokens"),
        "detail",
    )
)

#: A budget, an account of it, and the window or bucket.
Place = tuple[int, str, int]
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
class _Reserved:
    """A call as its `reserve` row has it: its place in time, its attributes, who pays."""

    at_ms: int
    context: int
    note: int | None


class Balances:
    """Takes the journal's rows in order, up to the row of the snapshot that is compared with."""

    def __init__(self, connection: apsw.Connection, now_ms: int) -> None:
        self._connection = connection
        self._as_of = self._meta("as_of_seq")
        #: Calls from before are known by the month alone.
        self._horizon_ms = self._meta("compacted_before_ms")
        self._budgets = read_budgets(connection, now_ms)
        self._settled: dict[Place, int] = {}
        self._overage: dict[Place, int] = {}
        self._carried: dict[Place, int] = {}
        self._limits: dict[int, int] = {}
        self._cells = Cells()
        self._open: dict[str, _Reserved] = {}
        self._accounts: dict[int, list[tuple[Budget, str]]] = {}
        self._notional: dict[int | None, bool] = {None: False}
        for month, context, notional, nano, tokens, calls in connection.execute(_ROLLUPS):
            added = (nano, tokens, calls)
            self._cells.add(month, context, 0 if notional else nano, tokens, calls)
            for budget, key in self._matching(context):
                if budget.is_endless:
                    self._settle(budget, key, budget.start_ms, added, notional=bool(notional))

    def add(self, row: tuple[Any, ...]) -> None:
        """One row, its values in COLUMNS' order."""
        seq, kind, call = row[_SEQ], row[_KIND], row[_CALL]
        if seq > self._as_of:
            return
        if kind == "reserve":
            self._open[call] = _Reserved(row[_AT], row[_CONTEXT], row[_NOTE])
        elif kind in _CLOSES:
            reserved = self._open.pop(call, None)
            before = _NOTHING
            if reserved is None:
                reserved, before = self._earlier(call, seq)
            if reserved is None:
                return
            nano, tokens, requests = _weights(kind, row[_NANO], row[_TOKENS])
            added = (nano - before[0], tokens - before[1], requests - before[2])
            self._charge(reserved, added, seq)
        elif kind == "correction" and row[_CONTEXT] is not None:
            # An entry of its own; one that ends a call stands beside the row that does.
            detail = json.loads(row[_DETAIL])
            added = (row[_NANO] or 0, row[_TOKENS] or 0, detail["requests"])
            self._charge(_Reserved(detail["for_ms"], row[_CONTEXT], None), added, seq)
        elif kind in _OF_ACCOUNTS:
            self._note(kind, json.loads(row[_DETAIL]))

    def _note(self, kind: str, detail: dict[str, Any]) -> None:
        """What a row says of an account or budget besides calls."""
        if kind == "budget_set":
            self._limits[detail["budget"]] = detail["limit"]
            return
        place = (detail["budget"], detail["key"], detail["window_start_ms"])
        if kind == "overage":
            self._overage[place] = self._overage.get(place, 0) + detail["amount"]
        elif place[0] in self._budgets and self._budgets[place[0]].start_ms == place[2]:
            self._carried[place] = detail["carried"]

    def compare(self) -> tuple[int, tuple[WrongBalance, ...]]:
        """How many balances there are, and those that are wrong."""
        settled: dict[Place, int] = {}
        overage: dict[Place, int] = {}
        carried: dict[Place, int] = {}
        for number, key, start, amount, buckets, over, more in self._connection.execute(_ACCOUNTS):
            if over:
                overage[number, key, start] = over
            if (number, key, start) in self._carried:
                carried[number, key, start] = more
            budget = self._budgets.get(number)
            if budget is None:
                continue
            shown = show_scope(tuple((name, value) for name, value in json.loads(key)))
            if budget.length_ms is not None:
                for bucket, (held, _) in json.loads(buckets or "{}").items():
                    settled[number, shown, int(bucket)] = held
            elif budget.start_ms == start:
                settled[number, shown, start] = amount
        places = [place for place in sorted({*settled, *self._settled}) if self._is_known(place)]
        wrong = self._wrong(places, settled, self._settled, "")
        booked = sorted({*overage, *self._overage})
        wrong += self._wrong(booked, overage, self._overage, "overage of ")
        wrong += self._wrong(sorted(carried), carried, self._carried, "carried into ")
        wrong += self._wrong_limits()
        return len({place[:2] for place in places}), (*wrong, *self._wrong_sums())

    def _is_known(self, place: Place) -> bool:
        """Whether every call that belongs there is still told by itself, and still counts."""
        budget = self._budgets[place[0]]
        if budget.length_ms is not None and budget.is_over(place[2]):
            return False
        return budget.is_endless or budget.begins_ms(place[2]) >= self._horizon_ms

    def _wrong(
        self, places: list[Place], stored: dict[Place, int], made: dict[Place, int], what: str
    ) -> list[WrongBalance]:
        wrong = []
        for place in places:
            if stored.get(place, 0) == made.get(place, 0):
                continue
            budget = self._budgets.get(place[0])
            name = f"budget {place[0]}" if budget is None else budget.name
            unit = "dollars" if budget is None else budget.unit
            amounts = stored.get(place, 0), made.get(place, 0)
            wrong.append(WrongBalance(f"{what}{name}", place[1], unit, *amounts))
        return wrong

    def _wrong_limits(self) -> list[WrongBalance]:
        """Budgets in force whose limit is not the one that was set last."""
        return [
            WrongBalance(f"limit of {budget.name}", budget.scope, budget.unit, budget.limit, said)
            for number, budget in self._budgets.items()
            if (said := self._limits.get(number, budget.limit)) != budget.limit
        ]

    def _wrong_sums(self) -> list[WrongBalance]:
        total = requests = 0
        for slot, context, nano, tokens, count in self._connection.execute(_SUMS):
            self._cells.take(self._cell(slot * SLOT_MS), context, nano, tokens, count)
            total, requests = total + nano, requests + count
        if self._cells.agree:
            return []
        return [WrongBalance("sums of past calls", f"{requests:,} calls", "dollars", total, -1)]

    def _cell(self, at_ms: int) -> object:
        """A quarter-hour, or the month where no more than that is known."""
        return at_ms // SLOT_MS if at_ms >= self._horizon_ms else month_of(at_ms)

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

    def _charge(self, reserved: _Reserved, added: Weights, seq: int) -> None:
        at_ms, context = reserved.at_ms, reserved.context
        notional = self._is_notional(reserved.note)
        self._cells.add(self._cell(at_ms), context, 0 if notional else added[0], added[1], added[2])
        for budget, key in self._matching(context):
            place = budget.place(at_ms, seq)
            if place is not None:
                self._settle(budget, key, place, added, notional=notional)

    def _settle(self, budget: Budget, key: str, at: int, added: Weights, *, notional: bool) -> None:
        place = (budget.id, key, at)
        weight = budget.weight(added, notional=notional)
        self._settled[place] = self._settled.get(place, 0) + weight

    def _matching(self, context: int) -> list[tuple[Budget, str]]:
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

    def _meta(self, key: str) -> int:
        row = next(iter(self._connection.execute(_META, (key,))), None)
        return 0 if row is None else int(row[0])


def _weights(kind: str, nano: int | None, tokens: int | None) -> Weights:
    return _NOTHING if kind == "void" else (nano or 0, tokens or 0, 1)
