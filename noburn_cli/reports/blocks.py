"""The calls that were stopped last, read backwards from the journal's end.

Layer: reports, I/O.  Below: reading.  Above: dashboard.figures.
No index has them: only so many of the last rows are looked through, whatever the ledger's length.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from noburn_cli.reports.reading import reading

#: How far back is looked, in rows of the journal.
ROWS_MAX = 200_000

_LAST = """
    SELECT r.call, r.kind, json_extract(m.text, '$[1]'), x.text, r.at_ms, r.failure, r.detail
    FROM journal AS r
    LEFT JOIN names AS m ON m.id = r.model
    LEFT JOIN names AS x ON x.id = r.context
    WHERE r.seq > (SELECT max(seq) FROM journal) - ? AND r.kind IN ('blocked', 'refused')
    ORDER BY r.seq DESC LIMIT ?
"""


@dataclass(frozen=True)
class Stopped:
    """One call that never left.  state: `blocked` by a budget or a run, or `refused` unpriced.

    detail: the arithmetic of the block, as docs/protocol.md has the reply.
    """

    call: str
    state: str
    model: str | None
    attributes: Mapping[str, str]
    at_ms: int
    failure: str | None
    detail: Mapping[str, Any]


def read_last_stopped(ledger_path: Path, *, shown_max: int) -> tuple[Stopped, ...]:
    """The last ones, newest first.  Raises LedgerUnavailable."""
    with reading(ledger_path) as connection:
        rows = list(connection.execute(_LAST, (ROWS_MAX, shown_max)))
    return tuple(
        Stopped(call, kind, model, json.loads(context or "{}"), at_ms, failure,
                json.loads(detail or "{}"))
        for call, kind, model, context, at_ms, failure, detail in rows
    )  # fmt: skip
