"""One call as the ledger tells it: its row, its history, and the price book it was priced with.

Layer: reports, I/O.  Below: reading, core.pricebook.  Above: reports.receipt, commands.why.
Not here: the arithmetic (reports.receipt), the words (render.why).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noburn_cli.core.pricebook import PriceBook
from noburn_cli.core.usage import KINDS
from noburn_cli.errors import NoburnError, UsageError
from noburn_cli.reports.months import compacted_before_ms
from noburn_cli.reports.reading import reading

if TYPE_CHECKING:
    import apsw

_COLUMNS = (
    "call", "state", "api", "model", "resolved_model", "project", "customer", "feature", "user",
    "job", "run", "step", "tags", "reserved_at_ms", "closed_at_ms", "latency_ms", "status",
    "failure", "hold_nano", "cost_nano", "bound", "input_bound", "wanted", "granted", "clamped",
    "waited_ms", "book", "variant", "provider_id", "detail", "extra", "extra_max", "ceiling_nano",
    *KINDS,
)  # fmt: skip
_ATTRIBUTES = ("project", "customer", "feature", "user", "job", "run", "step")
#: Ids are made of characters below this one, so it ends every range of a prefix.
_AFTER_ALL = "\x7f"
_SHOWN_MAX = 5
#: An id of ours begins with the time in milliseconds (noburn_cli.client.new_call_id).
_MOMENT_CHARS = 11


CORRECTION = "correction"


@dataclass(frozen=True)
class HistoryRow:
    """One thing that happened to a call.

    failure: why, where something failed; of a correction its reason, and who said so.
    """

    at_ms: int
    kind: str
    cost_nano: int | None
    failure: str | None


@dataclass(frozen=True)
class CallFacts:
    """A call, its columns as in the view `calls`.  Amounts in nano-dollars, times in epoch ms.

    detail: of an admitted call its rates and budgets, of a blocked one the arithmetic of the block.
    extra_max: the most units of further kinds that were held for.
    factor_per_mille: what the model's bound had been raised by; 1000 is not at all.
    book: the price book it was priced with; None when it was refused without a price.
    """

    row: Mapping[str, Any]
    attributes: Mapping[str, str]
    usage: Mapping[str, int]
    extra_max: Mapping[str, int]
    detail: Mapping[str, Any]
    factor_per_mille: int
    owner: str | None
    history: tuple[HistoryRow, ...]
    book: PriceBook | None = field(repr=False)

    @property
    def told_by(self) -> str | None:
        """Which correction said what the call cost, if one did: then no usage has to."""
        last = [row for row in self.history if row.cost_nano is not None or row.kind == CORRECTION]
        if len(last) < 2 or last[-1].kind != "settle" or last[-2].kind != CORRECTION:
            return None
        return last[-2].failure

    def __getattr__(self, name: str) -> Any:
        try:
            return self.row[name]
        except KeyError as error:
            raise AttributeError(name) from error


def read_call(ledger_path: Path, prefix: str | None) -> CallFacts:
    """The call whose id begins with `prefix`, or the last one that was stopped.

    Raises UsageError when several begin so, NoburnError when none does, LedgerUnavailable.
    """
    with reading(ledger_path) as connection:
        call = _last_stopped(connection) if prefix is None else _find(connection, prefix)
        return _read(connection, call)


def _last_stopped(connection: apsw.Connection) -> str:
    sql = """SELECT call FROM calls WHERE state IN ('blocked', 'refused')
             ORDER BY reserved_at_ms DESC, call DESC LIMIT 1"""
    found = next(iter(connection.execute(sql)), None)
    if found is None:
        raise NoburnError(
            "no call has been blocked yet",
            why="without CALL this explains the last block",
            next_step="name a call: `noburn why CALL`; `noburn report --by state` counts them",
        )
    return str(found[0])


def _find(connection: apsw.Connection, prefix: str) -> str:
    sql = """SELECT DISTINCT call FROM journal WHERE call >= ? AND call < ?
             AND kind IN ('reserve', 'blocked', 'refused') ORDER BY call LIMIT ?"""
    wanted = prefix.strip()
    if not wanted:
        raise UsageError("the id of the call is empty", next_step="leave it out for the last block")
    rows = connection.execute(sql, (wanted, wanted + _AFTER_ALL, _SHOWN_MAX + 1))
    found = [str(row[0]) for row in rows]
    if wanted in found:
        return wanted
    if not found and _was_compacted(connection, wanted):
        raise NoburnError(
            f"call {prefix} was compacted: only the sums of its month are left",
            why="`noburn ledger compact` has replaced the calls of past months",
            next_step="`noburn report --by day` has the months; an archive or a backup from "
            "before has the call",
        )
    if not found:
        raise NoburnError(
            f"there is no call {prefix!r} in the ledger",
            next_step="the summary of `noburn run` and the message of a block name the call",
        )
    if len(found) > 1:
        more = ", …" if len(found) > _SHOWN_MAX else ""
        raise UsageError(
            f"several calls begin with {prefix!r}",
            why=", ".join(found[:_SHOWN_MAX]) + more,
            next_step="write more of the id",
        )
    return found[0]


def _was_compacted(connection: apsw.Connection, wanted: str) -> bool:
    """Whether an id that no row has is one of before the months that are left."""
    before_ms = compacted_before_ms(connection)
    if not before_ms:
        return False
    if len(wanted) >= _MOMENT_CHARS and not set(wanted[:_MOMENT_CHARS]) - set("0123456789abcdef"):
        return int(wanted[:_MOMENT_CHARS], 16) < before_ms
    closed = connection.execute(
        "SELECT 1 FROM closed_ids WHERE call >= ? AND call < ?", (wanted, wanted + _AFTER_ALL)
    )
    return next(iter(closed), None) is not None


def _read(connection: apsw.Connection, call: str) -> CallFacts:
    columns = ", ".join(f'"{name}"' for name in _COLUMNS)
    sql = f"SELECT {columns} FROM calls WHERE call = ?"  # noqa: S608 -- our own names
    row = dict(zip(_COLUMNS, next(iter(connection.execute(sql, (call,)))), strict=True))
    factor, owner = next(iter(connection.execute(_FACTOR_AND_OWNER, (call,))), (None, None))
    attributes = {name: str(row[name]) for name in _ATTRIBUTES if row[name] is not None}
    for tag, value in json.loads(row["tags"]).items():
        attributes[f"tag.{tag}"] = str(value)
    return CallFacts(
        row=row,
        attributes=attributes,
        usage={**{kind: row[kind] for kind in KINDS if row[kind]}, **_counts(row["extra"])},
        extra_max=_counts(row["extra_max"]),
        detail=json.loads(row["detail"]) if row["detail"] else {},
        factor_per_mille=factor or 1000,
        owner=owner,
        history=tuple(HistoryRow(*found) for found in connection.execute(_HISTORY, (call,))),
        book=_read_book(connection, row["book"]),
    )


def _counts(text: str | None) -> dict[str, int]:
    return dict(json.loads(text)) if text else {}


_FACTOR_AND_OWNER = """
    SELECT j.factor, o.text FROM journal AS j LEFT JOIN names AS o ON o.id = j.owner
    WHERE j.call = ? AND j.kind = 'reserve'
"""
_HISTORY = """
    SELECT at_ms, kind, cost_nano, CASE kind WHEN 'correction'
      THEN json_extract(detail, '$.why') || ', by ' || json_extract(detail, '$.by')
        || coalesce(': ' || nullif(json_extract(detail, '$.reason'), ''), '')
      ELSE failure END
    FROM journal
    WHERE call = ? AND kind != 'bound_defect' ORDER BY seq
"""


def _read_book(connection: apsw.Connection, version: str | None) -> PriceBook | None:
    if version is None:
        return None
    sql = "SELECT texts FROM books WHERE version = ?"
    found = next(iter(connection.execute(sql, (version,))), None)
    if found is None:
        return None
    return PriceBook.from_texts([(origin, text) for origin, text in json.loads(found[0])])
