"""The calls whose money is held, read from the ledger's file without a look at the others.

Layer: reports, I/O.  Below: reading.  Above: dashboard.live.
The snapshot names the open holds as of one of the journal's rows; those after it are
looked through.
Whether the processes that made them still live only the daemon knows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from noburn_cli.reports.reading import reading

_OPEN = """
    WITH named(seq) AS (
      SELECT seq FROM open_holds
      UNION SELECT seq FROM journal WHERE kind = 'reserve'
        AND seq > (SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'as_of_seq')
    ), open AS (
      SELECT j.seq, j.call, j.model, j.context, j.owner, j.hold_nano, j.at_ms
      FROM named JOIN journal AS j USING (seq)
      WHERE NOT EXISTS (SELECT 1 FROM journal AS c WHERE c.call = j.call AND c.seq > j.seq
        AND c.kind IN ('settle', 'lose', 'orphan', 'void'))
    )
"""
_TOTAL = f"{_OPEN} SELECT count(*), coalesce(sum(hold_nano), 0) FROM open"  # noqa: S608
_OLDEST = f"""
    {_OPEN}
    SELECT o.call, coalesce(json_extract(m.text, '$[2]'), json_extract(m.text, '$[1]')), x.text,
      w.text, o.hold_nano, o.at_ms
    FROM open AS o
    LEFT JOIN names AS m ON m.id = o.model
    LEFT JOIN names AS x ON x.id = o.context
    LEFT JOIN names AS w ON w.id = o.owner
    ORDER BY o.seq LIMIT ?
"""  # noqa: S608 -- our own names


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
        calls, nano = next(iter(connection.execute(_TOTAL)))
        rows = list(connection.execute(_OLDEST, (shown_max,)))
    oldest = (
        OpenHold(call, model, json.loads(context or "{}"), _pid(owner), hold_nano, at_ms)
        for call, model, context, owner, hold_nano, at_ms in rows
    )
    return OpenHolds(calls, nano, tuple(oldest))


def _pid(owner: str | None) -> int | None:
    """The process in an owner's name, which is `boot:pid:start`."""
    parts = (owner or "").split(":")
    return int(parts[1]) if len(parts) > 1 and parts[1].isdigit() else None
