"""What rows of the journal change in the sums: each call's line as it stands now, and minus the
line as it stood before.

Layer: reports, I/O (SQL over the ledger, attached as `ledger`).  Below: shape, latencies.
Above: merging (what to add), answers (a few calls at the edges of a period).
Owns: what a call's line is, written a second time: the view `calls` is the first, and a test holds
the two equal under random events.

A call's line is that of its `reserve` row with the last row up to `upto` that ended it.  Rows are
never changed, so the line as of any row can be made again, also when later ones came: that is how a
late bill, an orphan or a correction of a call takes back exactly what was added for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from noburn_cli.core.usage import (
    AUDIO_CACHE_READ,
    EXTRA_INPUT_KINDS,
    EXTRA_OUTPUT_KINDS,
    FILE_SEARCH,
    IMAGE_CACHE_READ,
    WEB_SEARCH,
    WEB_SEARCH_PREVIEW,
)
from noburn_cli.reports.latencies import BUCKET_SQL
from noburn_cli.reports.localtime import SLOT_MS
from noburn_cli.reports.rollups.shape import MEASURES, STATES
from noburn_cli.reports.totals import SUMS

if TYPE_CHECKING:
    import apsw

_HELD, _SETTLED, _UNCERTAIN, _ORPHANED, _VOIDED, _BLOCKED, _REFUSED, _CORRECTION = range(
    len(STATES)
)
_CLOSES = "('settle', 'lose', 'orphan', 'void')"
_STOPS = "('blocked', 'refused')"

#: A table of signed lines: where they lie, what they add, and the bucket of the latency.
CHANGES = f"""
CREATE TEMP TABLE IF NOT EXISTS changes (
  slot INTEGER, context INTEGER, model INTEGER, state INTEGER, bucket INTEGER,
  {", ".join(f"{name} INTEGER" for name in MEASURES)}
);
CREATE TEMP TABLE IF NOT EXISTS touched (call TEXT PRIMARY KEY) WITHOUT ROWID;
"""

#: What is known of a line before it is summed.
_LINE = """at_ms, context, model, state, requests, detail, note, input, cache_read, write_5m,
    write_1h, output, reasoning, extra, cost, hold, clamped, took, status, failure, over"""

#: Calls that were let go.  `{over}`: what was booked as overage.
_RESERVED = f"""
    SELECT r.at_ms, coalesce(r.context, 0), coalesce(r.model, 0),
      CASE e.kind WHEN 'settle' THEN {_SETTLED} WHEN 'lose' THEN {_UNCERTAIN}
        WHEN 'orphan' THEN {_ORPHANED} WHEN 'void' THEN {_VOIDED} ELSE {_HELD} END,
      1, r.detail, r.note,
      e.input, e.cache_read, e.cache_write_5m,
      e.cache_write_1h, e.output, e.reasoning, e.extra,
      CASE e.kind WHEN 'void' THEN 0 ELSE e.cost_nano END, r.hold_nano,
      r.clamped,
      coalesce(e.latency_ms, (SELECT max(l.latency_ms) FROM ledger.journal AS l
        WHERE l.call = r.call AND l.kind = 'lose' AND l.seq <= :upto)),
      coalesce(e.status, (SELECT max(l.status) FROM ledger.journal AS l
        WHERE l.call = r.call AND l.kind = 'lose' AND l.seq <= :upto)),
      e.failure, {{over}}
    FROM {{rows}}
    LEFT JOIN ledger.journal AS e ON e.seq = (
      SELECT max(c.seq) FROM ledger.journal AS c
      WHERE c.call = r.call AND c.kind IN {_CLOSES} AND c.seq <= :upto)
    WHERE r.kind = 'reserve' AND {{which}}
"""  # noqa: S608 -- our own names
#: Calls that never left; of one that was asked for again the last answer counts.
_STOPPED = f"""
    SELECT r.at_ms, coalesce(r.context, 0), coalesce(r.model, 0),
      CASE r.kind WHEN 'blocked' THEN {_BLOCKED} ELSE {_REFUSED} END,
      1, r.detail, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, r.hold_nano, r.clamped,
      NULL, NULL, r.failure, {{over}}
    FROM {{rows}}
    WHERE r.kind IN {_STOPS} AND {{which}} AND NOT EXISTS (
      SELECT 1 FROM ledger.journal AS c WHERE c.call = r.call AND c.seq > r.seq
        AND c.seq <= :upto AND c.kind IN ('reserve', 'blocked', 'refused'))
"""  # noqa: S608
#: Entries beside the calls, for the moment that they are about.
_CORRECTED = f"""
    SELECT json_extract(r.detail, '$.for_ms'), coalesce(r.context, 0), coalesce(r.model, 0),
      {_CORRECTION}, json_extract(r.detail, '$.requests'), r.detail, NULL,
      r.input, r.cache_read, r.cache_write_5m, r.cache_write_1h, r.output, r.reasoning, r.extra,
      r.cost_nano, NULL, NULL, NULL, NULL, NULL, NULL
    FROM {{rows}}
    WHERE r.kind = 'correction' AND r.cost_nano IS NOT NULL AND {{which}}
"""  # noqa: S608
_OVERAGE = """(SELECT sum(o.cost_nano) FROM ledger.journal AS o
      WHERE o.call = r.call AND o.kind = 'overage' AND o.seq <= :upto)"""

_NEW = "ledger.journal AS r", "r.seq > :after AND r.seq <= :upto"
_OLD = "touched AS t CROSS JOIN ledger.journal AS r ON r.call = t.call", "r.seq <= :after"
_SEQS = "ledger.journal AS r", "r.seq >= :first AND r.seq < :end"
#: Corrections have an index of their own, but none by time: all are read, where the quarter-hours
#: in question have any.
_IS_CORRECTED = f"""
    SELECT EXISTS (SELECT 1 FROM main.cells WHERE slot >= ? AND slot < ? AND state = {_CORRECTION})
"""  # noqa: S608 -- our own names
_ALL = "ledger.journal AS r INDEXED BY journal_correction", "r.seq <= :upto"


def _extra(*kinds: str) -> str:
    parts = " + ".join(f"coalesce(json_extract(extra, '$.{kind}'), 0)" for kind in kinds)
    return f"CASE WHEN extra IS NULL THEN 0 ELSE {parts} END"


def _said(key: str, word: str) -> str:
    """Whether a call's note, or what its row says instead, has a key."""
    return f"""CASE WHEN detail IS NULL THEN coalesce(n.{word}, 0)
        ELSE {key.format("detail")} END"""


_NOTIONAL_KEY = "coalesce(json_extract({0}, '$.notional'), 0) <> 0"
_WARNED_KEY = "json_extract({0}, '$.warned') IS NOT NULL"
_DOWNGRADED_KEY = "json_extract({0}, '$.downgraded') IS NOT NULL"
_NEVER = f"state IN ({_BLOCKED}, {_REFUSED})"
_WENT = f"NOT {_NEVER} AND state <> {_CORRECTION}"
_UNBILLED = f"state IN ({_UNCERTAIN}, {_ORPHANED})"
_CHARGED = f"state <> {_HELD} AND NOT {_NEVER}"

#: Each of Sums for one line, from the columns above and `free` (a subscription pays).
_EACH = {
    "calls": f"CASE WHEN {_NEVER} THEN 0 ELSE requests END",
    "input_tokens": "coalesce(input, 0) + coalesce(cache_read, 0) + coalesce(write_5m, 0)"
    f" + coalesce(write_1h, 0) + {_extra(*EXTRA_INPUT_KINDS)}",
    "cached_tokens": f"coalesce(cache_read, 0) + {_extra(AUDIO_CACHE_READ, IMAGE_CACHE_READ)}",
    "output_tokens": f"coalesce(output, 0) + {_extra(*EXTRA_OUTPUT_KINDS)}",
    "reasoning_tokens": "coalesce(reasoning, 0)",
    "cost_nano": f"CASE WHEN {_CHARGED} AND NOT free THEN coalesce(cost, 0) ELSE 0 END",
    "held_nano": f"CASE WHEN state = {_HELD} AND NOT free THEN coalesce(hold, 0) ELSE 0 END",
    "uncertain_nano": f"CASE WHEN {_UNBILLED} AND NOT free THEN coalesce(cost, 0) ELSE 0 END",
    "uncertain": _UNBILLED,
    "blocked": f"CASE WHEN state = {_BLOCKED} THEN requests ELSE 0 END",
    "refused": f"CASE WHEN state = {_REFUSED} THEN requests ELSE 0 END",
    "clamped": f"CASE WHEN {_NEVER} THEN 0 ELSE coalesce(clamped, 0) END",
    "notional_nano": f"CASE WHEN {_CHARGED} AND free THEN coalesce(cost, 0) ELSE 0 END",
    "searches": _extra(WEB_SEARCH, WEB_SEARCH_PREVIEW, FILE_SEARCH),
    "warned": _said(_WARNED_KEY, "warned"),
    "downgraded": _said(_DOWNGRADED_KEY, "downgraded"),
    "overage_nano": "coalesce(over, 0)",
    "limited": f"coalesce({_WENT} AND status = 429, 0)",
    "client_errors": f"coalesce({_WENT} AND status >= 400 AND status < 500 AND status <> 429, 0)",
    "server_errors": f"coalesce({_WENT} AND status >= 500, 0)",
    "broken": f"{_WENT} AND failure IS NOT NULL AND coalesce(status, 0) < 400",
    "timed": "took IS NOT NULL",
    "latency_ms": "coalesce(took, 0)",
    "write_5m_tokens": "coalesce(write_5m, 0)",
    "write_1h_tokens": "coalesce(write_1h, 0)",
    "extra_input_tokens": _extra(*EXTRA_INPUT_KINDS),
    "extra_cached_tokens": _extra(AUDIO_CACHE_READ, IMAGE_CACHE_READ),
    "extra_output_tokens": _extra(*EXTRA_OUTPUT_KINDS),
}


def _insert(lines: str, *, only: str = "") -> str:
    """The statement that adds lines, with the sign :sign, to `changes`."""
    sums = ", ".join(f":sign * ({_EACH[name]})" for name in SUMS)
    return f"""
        INSERT INTO temp.changes
        WITH line({_LINE}) AS ({lines})
        SELECT at_ms / {SLOT_MS}, context, model, state,
          CASE WHEN took IS NULL THEN NULL ELSE {BUCKET_SQL.format("took")} END, :sign, {sums}
        FROM (
          SELECT *, {_said(_NOTIONAL_KEY, "notional")} AS free
          FROM line LEFT JOIN main.notes AS n ON n.id = note
        ) AS n {only}
    """  # noqa: S608


def prepare(connection: apsw.Connection) -> None:
    """Make the temporary tables that changes are collected in."""
    connection.execute(CHANGES)


def learn_notes(connection: apsw.Connection) -> None:
    """Read what notes say of a call that matters here; each is read once.

    Numbers of texts only grow, and a note that is there may name more calls later.
    """
    said = ", ".join(key.format("text") for key in (_NOTIONAL_KEY, _WARNED_KEY, _DOWNGRADED_KEY))
    connection.execute(
        f"""INSERT INTO main.notes SELECT id, {said} FROM ledger.names
        WHERE kind = 'note' AND text NOTNULL AND id > (SELECT coalesce(max(id), 0) FROM main.notes)
        """  # noqa: S608
    )


def collect(connection: apsw.Connection, *, after: int, upto: int) -> None:
    """Fill `changes` with what the rows after one, up to another, change."""
    connection.execute("DELETE FROM temp.changes; DELETE FROM temp.touched")
    values = {"after": after, "upto": upto}
    over = _overage(connection)
    for shape in (_RESERVED, _STOPPED, _CORRECTED):
        lines = shape.format(rows=_NEW[0], which=_NEW[1], over=over)
        connection.execute(_insert(lines), {**values, "sign": 1})
    if not after:
        return
    # Calls from before that something happened to: every row of theirs is found by its call.
    connection.execute(
        """INSERT INTO temp.touched
        SELECT DISTINCT call FROM ledger.journal
        WHERE seq > :after AND seq <= :upto AND call NOTNULL
          AND kind IN ('settle', 'lose', 'orphan', 'void', 'overage', 'reserve', 'blocked',
            'refused')
          AND EXISTS (SELECT 1 FROM ledger.journal AS p WHERE p.call = journal.call
            AND p.seq <= :after AND p.kind IN ('reserve', 'blocked', 'refused'))
        """,
        values,
    )
    for shape in (_RESERVED, _STOPPED):
        lines = shape.format(rows=_OLD[0], which=_OLD[1], over=over)
        connection.execute(_insert(lines), {**values, "sign": 1})
        before = {"after": after, "upto": after, "sign": -1}
        connection.execute(_insert(lines), before)


def collect_between(
    connection: apsw.Connection, *, since_ms: int, until_ms: int, first: int, end: int, upto: int
) -> None:
    """Add the lines of calls that were reserved in a stretch of time, as they stood at row `upto`.

    first, end: the journal's rows from that time, the end not among them.
    """
    values = {"since": since_ms, "until": until_ms, "upto": upto, "sign": 1}
    only = "WHERE at_ms >= :since AND at_ms < :until"
    over = _overage(connection)
    shapes = [_RESERVED, _STOPPED]
    slots = (since_ms // SLOT_MS, -(-until_ms // SLOT_MS))
    if next(iter(connection.execute(_IS_CORRECTED, slots)))[0]:
        shapes.append(_CORRECTED)
    for shape in shapes:
        rows, which = _ALL if shape is _CORRECTED else _SEQS
        which += "" if shape is _CORRECTED else " AND r.seq <= :upto"
        found = {**values} if shape is _CORRECTED else {**values, "first": first, "end": end}
        lines = shape.format(rows=rows, which=which, over=over)
        connection.execute(_insert(lines, only=only), found)


def collect_compacted(connection: apsw.Connection) -> None:
    """Add the lines of compacted months, each at its month's own slot.

    They are what compacting left, and stay as they are until the next one.
    """
    state = " ".join(f"WHEN '{word}' THEN {number}" for number, word in enumerate(STATES))
    # A month's lines are told by the view's words for them; the calls' own columns are summed.
    lines = f"""
        SELECT -(CAST(substr(month, 1, 4) AS INTEGER) * 12 + CAST(substr(month, 6) AS INTEGER) - 1)
            * {SLOT_MS} AS at_ms,
          context, model, CASE state {state} END AS state, calls AS requests,
          CASE WHEN notional THEN '{{"notional":true}}' ELSE '{{}}' END AS detail, NULL AS note,
          input, cache_read, cache_write_5m AS write_5m, cache_write_1h AS write_1h, output,
          reasoning, extra, cost_nano AS cost, hold_nano AS hold, clamped, NULL AS took,
          NULL AS status, NULL AS failure, NULL AS over
        FROM ledger.rollups
    """  # noqa: S608 -- our own names
    connection.execute(_insert(lines), {"sign": 1})


def _overage(connection: apsw.Connection) -> str:
    """SQL for a call's overage: nothing is looked for where none was ever booked."""
    sql = "SELECT EXISTS (SELECT 1 FROM ledger.journal WHERE kind = 'overage')"
    return _OVERAGE if next(iter(connection.execute(sql)))[0] else "NULL"


def months_compacted(connection: apsw.Connection) -> list[str]:
    """The months of which only sums are left, in their order."""
    sql = "SELECT DISTINCT month FROM ledger.rollups ORDER BY month"
    return [str(month) for (month,) in connection.execute(sql)]
