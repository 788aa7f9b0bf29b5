"""What the ledger answers from its journal besides rows: sums, and the greatest ids.

Layer: daemon, storage.  Below: apsw, schema.  Above: sqlite.
Every function raises apsw.Error when the file cannot be read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

import apsw

from noburn_cli.core.seals import read_seal
from noburn_daemon import schema
from noburn_daemon.compacting import greatest_closed
from noburn_daemon.ledger import RunTotals

_ID_CHARS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz._:-"
#: Of ended calls: from a row on, reserved since a moment, of these contexts as a JSON list.
_CHARGED = (
    f"SELECT x.text, sum(CASE WHEN {schema.IS_NOTIONAL} THEN 0"  # noqa: S608 - a constant
    " ELSE e.cost_nano END),"
    " sum(e.cost_tokens), count(*) FROM journal AS r"
    " JOIN names AS x ON x.id = r.context LEFT JOIN names AS n ON n.id = r.note"
    " JOIN journal AS e ON e.seq = (SELECT max(c.seq) FROM journal AS c"
    "   WHERE c.call = r.call AND c.kind IN ('settle', 'lose', 'orphan', 'void'))"
    " WHERE r.seq >= ? AND r.kind = 'reserve' AND e.kind <> 'void' AND r.at_ms >= ?"
    " AND x.text IN (SELECT value FROM json_each(?)) GROUP BY r.context"
)

#: The same of corrections for a day since then.
_CORRECTED = (
    "SELECT x.text, sum(j.cost_nano), sum(j.cost_tokens),"
    " sum(json_extract(j.detail, '$.requests')) FROM journal AS j"
    " JOIN names AS x ON x.id = j.context"
    " WHERE j.kind = 'correction' AND json_extract(j.detail, '$.for_ms') >= ?"
    " AND x.text IN (SELECT value FROM json_each(?)) GROUP BY j.context"
)

#: A correction by its id or its batch, and what undid it.
OF_CORRECTION = (
    "WHERE kind = 'correction' AND ? IN (json_extract(detail, '$.id'),"
    " json_extract(detail, '$.batch'), json_extract(detail, '$.undoes')) ORDER BY seq"
)

#: Of compacted calls: a month counts as reserved in its last moment, late rather than early.
_ROLLED = (
    "SELECT x.text, sum(CASE WHEN u.notional THEN 0 ELSE u.cost_nano END), sum(u.cost_tokens),"
    " sum(u.calls) FROM rollups AS u JOIN names AS x ON x.id = u.context"
    " WHERE u.state = 'settled' AND u.month >= strftime('%Y-%m', ? / 1000, 'unixepoch')"
    " AND x.text IN (SELECT value FROM json_each(?)) GROUP BY u.context"
)
#: What a run came to since it began: ?1 is its path, ?2 the text that its contexts contain.
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
      AND r.context IN (SELECT x.id FROM names AS x WHERE x.kind = 'context'
        AND instr(x.text, ?2) AND (json_extract(x.text, '$.run') = ?1
          OR substr(json_extract(x.text, '$.run'), 1, length(?1) + 1) = ?1 || '/'))
"""  # noqa: S608 - our own constants


def charged(
    connection: apsw.Connection, *, head_seq: int, since_ms: int, contexts: Iterable[str]
) -> list[tuple[str, int, int, int]]:
    """(context, nano, tokens, requests) of ended calls reserved since then, corrections after them.

    What a subscription pays for costs nothing here: no budget of dollars is charged for it.
    """
    first = first_seq(connection, head_seq, since_ms)
    wanted = json.dumps(list(contexts), ensure_ascii=False)
    rows = list(connection.execute(_CHARGED, (first, since_ms, wanted)))
    rows += connection.execute(_CORRECTED, (since_ms, wanted))
    rows += connection.execute(_ROLLED, (since_ms, wanted))
    return [
        (str(text), int(nano), int(tokens), int(requests)) for text, nano, tokens, requests in rows
    ]


def run_totals(connection: apsw.Connection, run: str) -> RunTotals:
    """What a run's calls came to since it began."""
    row = next(connection.execute(_RUN_TOTALS, (run, run)))
    return RunTotals(*(int(value) for value in row))


def contexts(connection: apsw.Connection, having: Iterable[str]) -> list[str]:
    """Every context that any call ever had and that contains these pieces of text."""
    pieces = tuple(having)
    query = "SELECT text FROM names WHERE kind = 'context' AND text IS NOT NULL"
    query += " AND instr(text, ?) > 0" * len(pieces)
    return [str(text) for (text,) in connection.execute(query, pieces)]


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
