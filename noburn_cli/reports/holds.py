"""The calls whose money is held, read from the ledger's file without a look at the others.

Layer: reports, I/O.  Below: reading.  Above: dashboard.live.
The snapshot names the open holds as of one of the journal's rows; those after it are
looked through.  Whether the processes that made them still live only the daemon knows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from noburn_cli.reports.reading import reading

_AS_OF = "SELECT value FROM meta WHERE key = 'as_of_seq'"
#: CROSS: each hold's row is looked up; with a choice, SQLite reads the whole journal in order.
_NAMED = """
    SELECT j.seq, j.call, j.hold_nano FROM open_holds AS o CROSS JOIN journal AS j ON j.seq = o.seq
    WHERE o.seq <= ?
"""
_NEWER = "SELECT seq, call, hold_nano FROM journal WHERE seq > ? AND kind = 'reserve'"
_CLOSED = """
    SELECT call FROM journal WHERE seq > ? AND kind IN ('settle', 'lose', 'orphan', 'void')
"""
_HOLD = """
    SELECT r.call, coalesce(json_extract(m.text, '$[2]'), json_extract(m.text, '$[1]')), x.text,
      w.text, r.hold_nano, r.at_ms
    FROM journal AS r
    LEFT JOIN names AS m ON m.id = r.model
    LEFT JOIN names AS x ON x.id = r.context
    LEFT JOIN names AS w ON w.id = r.owner
    WHERE r.seq = ?
"""


@dataclass(frozen=True)
class OpenHold:
    """One call in flight.  owner_pid: the process that made it; None once forgotten."""

    call: str
    model: str
    attributes: Mapping[str, str]
    owner_pid: int | None
    hold_nano: int
    reserved_at_ms: int


@dataclass(frozen=True)
class OpenHolds:
    """All that is held, and the oldest of the calls it is held for."""

    calls: int
    hold_nano: int
    oldest: tuple[OpenHold, ...]


def read_open_holds(ledger_path: Path, *, shown_max: int) -> OpenHolds:
    """What the file has as held.  Raises LedgerUnavailable."""
    with reading(ledger_path) as connection:
        as_of = int(next(iter(connection.execute(_AS_OF)), ("0",))[0])
        closed = {call for (call,) in connection.execute(_CLOSED, (as_of,))}
        held = [
            (seq, nano)
            for sql in (_NAMED, _NEWER)
            for seq, call, nano in connection.execute(sql, (as_of,))
            if call not in closed
        ]
        rows = [next(iter(connection.execute(_HOLD, (seq,)))) for seq, _ in held[:shown_max]]
    oldest = (
        OpenHold(call, model, json.loads(context or "{}"), _pid(owner), hold_nano, at_ms)
        for call, model, context, owner, hold_nano, at_ms in rows
    )
    return OpenHolds(len(held), sum(nano for _, nano in held), tuple(oldest))


def _pid(owner: str | None) -> int | None:
    """The process in an owner's name, which is `boot:pid:start`."""
    parts = (owner or "").split(":")
    return int(parts[1]) if len(parts) > 1 and parts[1].isdigit() else None
