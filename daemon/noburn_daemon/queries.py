"""What the ledger answers from its journal besides rows: sums, and the greatest ids.

Layer: daemon, storage.  Below: apsw, schema.  Above: sqlite.
Every function raises apsw.Error when the file cannot be read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

import apsw

from noburn_cli.core.seals import read_seal
from noburn_daemon import schema
from noburn_daemon.compacting import greatest_closed
from noburn_daemon.ledger import SLOT_MS, RunTotals

_ID_CHARS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz._:-"
#: Of ended calls, one by one: from a row on, reserved since a moment.
_ENDED = (
    f"SELECT x.text, r.at_ms, CASE WHEN {schema.IS_NOTIONAL} THEN 0"  # noqa: S608 - a constant
    " ELSE e.cost_nano END, e.cost_tokens, 1 FROM journal AS r"
    " JOIN names AS x ON x.id = r.context LEFT JOIN names AS n ON n.id = r.note"
    " JOIN journal AS e ON e.seq = (SELECT max(c.seq) FROM journal AS c"
    "   WHERE c.call = r.call AND c.kind IN ('settle', 'lose', 'orphan', 'void'))"
    " WHERE r.seq >= ? AND r.kind = 'reserve' AND e.kind <> 'void' AND r.at_ms >= ?"
    " AND x.text IS NOT NULL"
)

#: The same of corrections for a day since then.
_CORRECTED = (
    "SELECT x.text, json_extract(j.detail, '$.for_ms'), j.cost_nano, j.cost_tokens,"
    " json_extract(j.detail, '$.requests') FROM journal AS j"
    " JOIN names AS x ON x.id = j.context"
    " WHERE j.kind = 'correction' AND json_extract(j.detail, '$.for_ms') >= ?"
    " AND j.seq >= ? AND x.text IS NOT NULL"
)

#: A correction by its id or its batch, and what undid it.
OF_CORRECTION = (
    "WHERE kind = 'correction' AND ? IN (json_extract(detail, '$.id'),"
    " json_extract(detail, '$.batch'), json_extract(detail, '$.undoes')) ORDER BY seq"
)

#: The contexts of a run: ?1 is its path, ?2 the text that they contain.
_OF_RUN = """
    (SELECT x.id FROM names AS x WHERE x.kind = 'context'
        AND instr(x.text, ?2) AND (json_extract(x.text, '$.run') = ?1
          OR substr(json_extract(x.text, '$.run'), 1, length(?1) + 1) = ?1 || '/'))
"""
#: What a run came to since it began, in the order of RunTotals; and what of it was compacted.
_RUN_TOTALS = f"""
    SELECT count(r.call) FILTER (WHERE r.kind = 'reserve'),
      count(r.call) FILTER (WHERE r.kind = 'reserve' AND e.kind IS NULL),
      total(r.hold_nano) FILTER (WHERE r.kind = 'reserve' AND e.kind IS NULL
        AND NOT {schema.IS_NOTIONAL}),
      total(e.cost_nano) FILTER (WHERE e.kind <> 'void' AND NOT {schema.IS_NOTIONAL}),
      total(e.cost_nano) FILTER (WHERE e.kind <> 'void' AND {schema.IS_NOTIONAL}),
      count(r.call) FILTER (WHERE r.kind = 'blocked'),
      count(r.call) FILTER (WHERE r.kind = 'refused'),
      count(r.call) FILTER (WHERE r.clamped = 1)
    FROM journal AS r
    LEFT JOIN journal AS e ON r.kind = 'reserve' AND e.seq = (SELECT max(c.seq)
      FROM journal AS c WHERE c.call = r.call
      AND c.kind IN ('settle', 'lose', 'orphan', 'void'))
    LEFT JOIN names AS n ON n.id = r.note
    WHERE r.kind IN ('reserve', 'blocked', 'refused')
      AND r.seq > coalesce((SELECT min(s.seq) FROM journal AS s
        WHERE s.run = ?1 AND s.kind = 'run_start'), 0)
      AND r.context IN {_OF_RUN}
"""  # noqa: S608 - our own constants
_COMPACTED_TOTALS = f"""
    SELECT total(calls) FILTER (WHERE state IN ('settled', 'voided')), 0, 0,
      total(cost_nano) FILTER (WHERE NOT notional), total(cost_nano) FILTER (WHERE notional),
      total(calls) FILTER (WHERE state = 'blocked'), total(calls) FILTER (WHERE state = 'refused'),
      total(clamped)
    FROM rollups WHERE context IN {_OF_RUN}
"""  # noqa: S608


def ended(
    connection: apsw.Connection, *, head_seq: int, since_ms: int
) -> list[tuple[str, int, int, int, int]]:
    """(context, moment of the reserve, nano, tokens, 1) of ended calls reserved since then,
    and of corrections for moments since then.

    What a subscription pays for costs nothing here: no budget of dollars is charged for it.
    """
    first = first_seq(connection, head_seq, since_ms)
    rows = list(connection.execute(_ENDED, (first, since_ms)))
    return rows + list(connection.execute(_CORRECTED, (since_ms, first)))


def sums(
    connection: apsw.Connection, keys: Sequence[str], since_slot: int, *, width_ms: int | None
) -> list[tuple[list[str | None], int, int, int, int]]:
    """What calls came to, by the values of some attributes, and by the bucket of their slot's end.

    A forgotten context has no values: only a budget without keys counts it.
    """
    # First by context: texts are looked into once, and not for each quarter-hour.
    bucket = "0" if width_ms is None else f"((slot + 1) * {SLOT_MS} - 1) / {int(width_ms)}"
    inner = (
        f"SELECT context, {bucket} AS bucket, sum(nano) AS nano, sum(tokens) AS tokens,"  # noqa: S608 - our own words
        " sum(requests) AS requests FROM sums WHERE slot >= ?"
        f" GROUP BY {'context, bucket' if keys else 'bucket'}"
    )
    values = "".join("json_extract(x.text, ?), " for _ in keys)
    query = (
        f"SELECT {values}s.bucket, sum(s.nano), sum(s.tokens), sum(s.requests)"  # noqa: S608
        f" FROM ({inner}) AS s"
        + (" CROSS JOIN names AS x ON x.id = s.context AND x.text IS NOT NULL" if keys else "")
        + f" GROUP BY {', '.join(str(n + 1) for n in range(len(keys) + 1))}"
    )
    paths = [f'$."{key}"' for key in keys]
    count = len(keys)
    return [
        (list(row[:count]), row[count], row[count + 1], row[count + 2], row[count + 3])
        for row in connection.execute(query, (*paths, since_slot))
    ]


def run_totals(connection: apsw.Connection, run: str) -> RunTotals:
    """What a run's calls came to since it began."""
    row = next(connection.execute(_RUN_TOTALS, (run, run)))
    compacted = next(connection.execute(_COMPACTED_TOTALS, (run, run)))
    return RunTotals(*(int(a) + int(b) for a, b in zip(row, compacted, strict=True)))


def find_lost(connection: apsw.Connection, provider_id: str) -> str | None:
    """The newest call that was lost under a provider's id, or None."""
    query = (
        "SELECT call FROM journal WHERE kind = 'lose' AND provider_id = ? ORDER BY seq DESC LIMIT 1"
    )
    row = connection.execute(query, (provider_id,)).fetchone()
    return None if row is None else str(row[0])


def known_corrections(connection: apsw.Connection, ids: Iterable[str]) -> set[str]:
    """Which of these corrections are booked."""
    query = (
        "SELECT json_extract(detail, '$.id') FROM journal WHERE kind = 'correction'"
        " AND json_extract(detail, '$.id') IN (SELECT value FROM json_each(?))"
    )
    return {str(found) for (found,) in connection.execute(query, (json.dumps(list(ids)),))}


def newest_correction(connection: apsw.Connection, besides: str) -> int:
    """The row of the newest correction that is not of a batch; 0 without any."""
    query = (
        "SELECT coalesce(max(seq), 0) FROM journal WHERE kind = 'correction'"
        " AND json_extract(detail, '$.batch') <> ?"
    )
    return int(next(connection.execute(query, (besides,)))[0])


def greatest(connection: apsw.Connection) -> dict[str, str]:
    """The greatest call id by first character."""
    found = {}
    for char in _ID_CHARS:
        row = connection.execute(
            "SELECT max(call) FROM journal WHERE call >= ? AND call < ?",
            (char, chr(ord(char) + 1)),
        ).fetchone()
        if row is not None and row[0] is not None:
            found[char] = str(row[0])
    for call in greatest_closed(connection):
        found[call[0]] = max(call, found.get(call[0], ""))
    return found


def sealed(connection: apsw.Connection) -> int:
    """The last row that the newest seal covers as a whole, 0 without one."""
    row = connection.execute(
        "SELECT detail FROM journal WHERE kind IN ('compact', 'forget') ORDER BY seq DESC LIMIT 1"
    ).fetchone()
    return 0 if row is None else read_seal(str(row[0])).through


def first_seq(connection: apsw.Connection, head_seq: int, since_ms: int) -> int:
    """The first number at or after a moment; times never go back, so halving finds it.

    Of compacted calls rows are missing: what lies in such a gap is told by the row after it.
    """
    low, high = 1, head_seq + 1
    while low < high:
        middle = (low + high) // 2
        row = connection.execute(
            "SELECT seq, at_ms FROM journal WHERE seq >= ? ORDER BY seq LIMIT 1", (middle,)
        ).fetchone()
        if row is not None and row[1] < since_ms:
            low = int(row[0]) + 1
        else:
            high = middle
    return low
