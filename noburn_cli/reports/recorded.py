"""The journal as it was written: calls that were let go, how they ended, top-ups; in their order.

Layer: reports, I/O.  Below: core.policy_replay (Recorded), core.replay_accounts.
Above: commands.budget (replay, suggest).
Owns: what a row tells of a call's cap: how far it could have been lowered.
A million calls pass in seconds, and none of them is kept.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from noburn_cli.core.budgets import Key, parse_scope
from noburn_cli.core.policy_replay import Recorded
from noburn_cli.core.replay_accounts import Weights
from noburn_cli.reports.months import compacted_before_ms

if TYPE_CHECKING:
    import apsw

#: What a lower cap is taken to be at least: `run.floor`'s default.
FLOOR_TOKENS = 256
_COLUMNS = (
    "seq, at_ms, kind, call, context, model, note, hold_nano, hold_tokens, input_bound,"
    " wanted, granted, clamped, write_cap, cost_nano, cost_tokens, detail, extra"
)
_KINDS = ("reserve", "settle", "lose", "orphan", "void", "blocked", "topup")
_NOTIONAL = '{"notional":true'
_CACHE_MAX = 200_000


@dataclass(frozen=True, slots=True)
class Ended:
    """How a call ended: `settle`, `lose`, `orphan` or `void`, and what it came to."""

    call: str
    kind: str
    at_ms: int
    cost: Weights


@dataclass(frozen=True, slots=True)
class Blocked:
    """A call that was blocked when it was made: what it would have cost is not known."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class ToppedUp:
    """A top-up of one account."""

    identity: tuple[str, str, str]
    key: Key
    amount: int
    at_ms: int


Happened = Recorded | Ended | Blocked | ToppedUp


@dataclass(frozen=True)
class Stretch:
    """A part of the journal: rows from `first` on and below `end`, and when the journal begins."""

    first: int
    end: int
    begins_ms: int | None

    @property
    def rows(self) -> int:
        return max(0, self.end - self.first)


def stretch(connection: apsw.Connection, *, since_ms: int, until_ms: int | None) -> Stretch:
    """The rows from a moment on (and before another); rows are in the order of time."""
    # Both in one SELECT would read every row: SQLite looks only one of them up.
    borders = "SELECT (SELECT min(seq) FROM journal), (SELECT max(seq) FROM journal)"
    row = next(iter(connection.execute(borders)))
    lowest, highest = row[0] or 1, row[1] or 0
    first = _first_at(connection, lowest, highest + 1, since_ms)
    end = highest + 1
    if until_ms is not None:
        end = _first_at(connection, first, highest + 1, until_ms)
    # Of compacted months nothing is told call by call.
    dated = "SELECT at_ms FROM journal WHERE at_ms > 0 ORDER BY seq LIMIT 1"
    begun = next(iter(connection.execute(dated)), None)  # What a new ledger begins with has none.
    begins_ms = None if begun is None else max(begun[0], compacted_before_ms(connection))
    return Stretch(first, end, begins_ms)


def _first_at(connection: apsw.Connection, low: int, high: int, at_ms: int) -> int:
    """The first row at or after a moment, by halving."""
    while low < high:
        middle = (low + high) // 2
        sql = "SELECT at_ms FROM journal WHERE seq >= ? ORDER BY seq LIMIT 1"
        row = next(iter(connection.execute(sql, (middle,))), None)
        if row is not None and row[0] < at_ms:
            low = middle + 1
        else:
            high = middle
    return low


def read_rows(
    connection: apsw.Connection, part: Stretch, *, caps: Callable[[str], int | None],
    step: Callable[[], None],
) -> Iterator[Happened]:  # fmt: skip
    """What happened in a part of the journal, in its order.

    caps: a model's own output cap, None where it has none or is not known.  step: called for
    each row, known or not, about as often as there are rows.
    """
    names = _Names(connection)
    kinds = ", ".join(f"'{kind}'" for kind in _KINDS)
    sql = (
        f"SELECT {_COLUMNS} FROM journal WHERE seq >= ? AND seq < ?"  # noqa: S608 - constants
        f" AND kind IN ({kinds}) ORDER BY seq"
    )
    seen = part.first
    for row in connection.execute(sql, (part.first, part.end)):
        while seen <= row[0]:
            seen += 1
            step()
        happened = _happened(row, names, caps)
        if happened is not None:
            yield happened


def _happened(
    row: tuple[Any, ...], names: _Names, caps: Callable[[str], int | None]
) -> Happened | None:
    kind, at_ms, call = row[2], row[1], row[3]
    if kind == "reserve":
        return _recorded(row, names, caps)
    if kind == "blocked":
        return Blocked(at_ms)
    if kind == "topup":
        return _topped_up(json.loads(row[16]), at_ms)
    if kind == "void":
        return Ended(call, kind, at_ms, (0, 0, 0))
    return Ended(call, kind, at_ms, (row[14] or 0, row[15] or 0, 1))


def _recorded(
    row: tuple[Any, ...], names: _Names, caps: Callable[[str], int | None]
) -> Recorded | None:
    (_, at_ms, _, call, context, model, note, nano, tokens, bound, wanted, granted, clamped,
     written, *_) = row  # fmt: skip
    attributes = names.attributes(context)
    if attributes is None:
        return None  # Forgotten: nobody can say whose it was.
    asked, resolved = names.models(model)
    is_notional, output_pico = names.note(note)
    granted = granted or 0
    choices = max(0, (tokens - (bound or 0)) // granted) if granted else 0
    floor = granted
    is_uncapped = clamped or written or (wanted is not None and wanted == caps(resolved))
    if granted and choices and output_pico and is_uncapped:
        floor = min(granted, FLOOR_TOKENS)
    return Recorded(
        call, context, attributes, at_ms, (asked, resolved), (nano or 0, tokens or 0, 1),
        granted, floor, choices, output_pico, is_notional,
    )  # fmt: skip


def _topped_up(detail: dict[str, Any], at_ms: int) -> ToppedUp | None:
    suffix = detail["account"].rpartition(" per ")
    if not suffix[1]:
        return None
    identity = (str(parse_scope(detail["scope"])), detail["per"], detail["unit"])
    return ToppedUp(identity, parse_scope(suffix[0]).pairs, detail["amount"], at_ms)


class _Names:
    """Texts by number, read when they are first asked for."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._attributes: dict[int, dict[str, str] | None] = {}
        self._models: dict[int, tuple[str, str]] = {}
        self._notes: dict[int | None, tuple[bool, int]] = {None: (False, 0)}

    def _text(self, number: int) -> str | None:
        sql = "SELECT text FROM names WHERE id = ?"
        row = next(iter(self._connection.execute(sql, (number,))), None)
        return None if row is None else row[0]

    def attributes(self, number: int) -> dict[str, str] | None:
        if number not in self._attributes:
            if len(self._attributes) >= _CACHE_MAX:
                self._attributes.clear()
            text = self._text(number)
            self._attributes[number] = None if text is None else json.loads(text)
        return self._attributes[number]

    def models(self, number: int) -> tuple[str, str]:
        """(as it was asked for, as the price book calls it)."""
        if number not in self._models:
            _, asked, resolved = json.loads(self._text(number) or '["", "", ""]')
            self._models[number] = (str(asked), str(resolved or asked))
        return self._models[number]

    def note(self, number: int | None) -> tuple[bool, int]:
        """(whether a subscription pays, the dearest output rate in pico-dollars per token)."""
        if number not in self._notes:
            if len(self._notes) >= _CACHE_MAX:
                self._notes = {None: (False, 0)}
            text = self._text(number) or "{}" if number is not None else "{}"
            output = json.loads(text).get("rates", {}).get("output") or {}
            pico = int(output.get("pico_per_token", 0))
            self._notes[number] = (text.startswith(_NOTIONAL), pico)
        return self._notes[number]
