"""What compacting takes out of the ledger, and the sums it leaves.

Layer: daemon, storage.  Below: apsw, schema, rewriting, core.months.  Above: history.
Owns: which calls are done and over, so that their rows may go; the rollups that stand for them.
Not here: how the new file is made (rewriting), when (history).

A call goes when all its rows are from before the month and it has its bill or was released.  One
that is still held, or charged at its hold because no bill came, stays as it is: a late bill finds
it, and so does a batch.  What is told of budgets, runs, texts and price books stays as well.
"""

from __future__ import annotations

import json

import apsw

from noburn_cli.core.months import month_start_ms
from noburn_cli.core.seals import TABLES
from noburn_daemon import schema
from noburn_daemon.rewriting import NAMES_OF_COLUMNS

#: When the months that are compacted end: ids from before are closed.
META_BEFORE = "compacted_before_ms"

_CALL_KINDS = (
    "'reserve', 'settle', 'lose', 'orphan', 'void', 'tombstone', 'blocked', 'refused',"
    " 'bound_defect'"
)
_CLOSES = "'settle', 'lose', 'orphan', 'void'"
#: Whether row r belongs to a call that goes.
_GOES = f"""
  r.kind IN ({_CALL_KINDS}) AND r.call IS NOT NULL
  AND (SELECT max(c.seq) FROM old.journal AS c
       WHERE c.call = r.call AND c.kind IN ({_CALL_KINDS})) <= :through
  AND coalesce(
    (SELECT c.kind IN ('settle', 'void') FROM old.journal AS c
     WHERE c.call = r.call AND c.kind IN ({_CLOSES}) ORDER BY c.seq DESC LIMIT 1),
    NOT EXISTS (SELECT 1 FROM old.journal AS c WHERE c.call = r.call AND c.kind = 'reserve'))
  -- The view `overages` finds the customer of these by their call alone.
  AND NOT EXISTS (SELECT 1 FROM old.journal AS c WHERE c.call = r.call AND c.kind = 'overage'
    AND NOT EXISTS (SELECT 1 FROM json_each(json_extract(c.detail, '$.key')) AS k
      WHERE json_extract(k.value, '$[0]') = 'customer'))
"""  # noqa: S608 - our own constants
_RANGE = "r.seq > :after AND r.seq <= :upto"
_COPY = f"""
  INSERT INTO main.journal ({NAMES_OF_COLUMNS}) SELECT {NAMES_OF_COLUMNS} FROM old.journal AS r
  WHERE {_RANGE} AND NOT (r.seq <= :through AND {_GOES})
"""  # noqa: S608
_KEY = TABLES["rollups"][:5]
_SUMMED = TABLES["rollups"][5:-1]
#: Calls that go, each once: of one that was asked again with the same id the last answer counts.
_GOING_CALLS = f"""
  FROM old.journal AS r
  LEFT JOIN old.journal AS e ON r.kind = 'reserve' AND e.seq = (
    SELECT max(c.seq) FROM old.journal AS c WHERE c.call = r.call AND c.kind IN ({_CLOSES}))
  LEFT JOIN old.names AS n ON n.id = r.note
  WHERE {_RANGE} AND r.kind IN ('reserve', 'blocked', 'refused') AND {_GOES}
    AND (r.kind = 'reserve' OR NOT EXISTS (SELECT 1 FROM old.journal AS c
      WHERE c.call = r.call AND c.seq > r.seq AND c.kind IN ('reserve', 'blocked', 'refused')))
"""  # noqa: S608
_BILLED = "FILTER (WHERE e.kind = 'settle')"
_ROLL_UP = f"""
  INSERT INTO main.rollups ({", ".join(TABLES["rollups"])})
  SELECT strftime('%Y-%m', r.at_ms / 1000, 'unixepoch'), r.context, r.model,
    CASE WHEN r.kind <> 'reserve' THEN r.kind WHEN e.kind = 'void' THEN 'voided'
      ELSE 'settled' END,
    {schema.IS_NOTIONAL} <> 0,
    count(*),
    coalesce(sum(e.cost_nano) {_BILLED}, 0), coalesce(sum(e.cost_tokens) {_BILLED}, 0),
    coalesce(sum(r.hold_nano) FILTER (WHERE r.kind = 'reserve'), 0),
    count(*) FILTER (WHERE r.clamped = 1),
    {", ".join(f"coalesce(sum(e.{name}) {_BILLED}, 0)" for name in _SUMMED[5:])},
    coalesce(add_counts(e.extra) FILTER (WHERE e.kind = 'settle' AND e.extra IS NOT NULL), '{{}}')
  {_GOING_CALLS}
  GROUP BY 1, 2, 3, 4, 5
  ON CONFLICT ({", ".join(_KEY)}) DO UPDATE SET
    {", ".join(f"{name} = {name} + excluded.{name}" for name in _SUMMED)},
    extra = merge_counts(extra, excluded.extra)
"""
#: Ids that do not begin with a moment before the months' end: they have to be remembered.
_REMEMBER = f"""
  INSERT OR IGNORE INTO main.closed_ids SELECT r.call FROM old.journal AS r
  WHERE {_RANGE} AND r.kind IN ('reserve', 'blocked', 'refused', 'tombstone') AND {_GOES}
    AND NOT (length(r.call) = 32 AND substr(r.call, 12, 1) = '-'
      AND substr(r.call, 1, 11) NOT GLOB '*[^0-9a-f]*' AND substr(r.call, 1, 11) < :moment)
"""  # noqa: S608
_COUNT = f"""
  SELECT count(*), coalesce(sum(e.cost_nano) {_BILLED}, 0) {_GOING_CALLS}
"""
_COUNT_ROWS = f"""
  SELECT count(*) FROM old.journal AS r WHERE {_RANGE} AND {_GOES}
"""  # noqa: S608
_COUNT_LEFT = f"""
  SELECT count(*) FROM old.journal AS r WHERE {_RANGE} AND r.kind = 'reserve' AND NOT ({_GOES})
"""  # noqa: S608


class Compaction:
    """A change that takes the calls of the months before one; see rewriting.Change.

    through: the last row from before that month.
    """

    kind = "compact"

    def __init__(self, before: str, through: int) -> None:
        self._before = before
        self._through = through
        self._names = 0
        self._goes: dict[str, int | str] = {
            "through": through, "moment": f"{month_start_ms(before):011x}",
        }  # fmt: skip
        self._rows = 0
        self._calls = 0

    def begin(self, new: apsw.Connection) -> None:
        new.create_aggregate_function("add_counts", _Counts)
        new.create_scalar_function("merge_counts", _merge, 2, deterministic=True)
        for table, clause in (
            ("rollups", ""),
            ("closed_ids", ""),
            # Of rows up to `through` the seal itself vouches for what they say.
            ("redactions", f"WHERE seq > {self._through}"),
        ):
            columns = ", ".join(TABLES[table])
            new.execute(
                f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM old.{table} {clause}"  # noqa: S608
            )

    def copy_rows(self, new: apsw.Connection, after: int, upto: int) -> None:
        values = {**self._goes, "after": after, "upto": upto}
        if after < self._through:
            counted = {**values, "upto": min(upto, self._through)}
            calls, _ = next(new.execute(_COUNT, counted))
            self._calls += int(calls)
            new.execute(_ROLL_UP, counted)
            new.execute(_REMEMBER, counted)
        before = new.total_changes()
        new.execute(_COPY, values)
        there = next(new.execute(
            "SELECT count(*) FROM old.journal AS r WHERE r.seq > ? AND r.seq <= ?", (after, upto)
        ))[0]  # fmt: skip
        self._rows += int(there) - (new.total_changes() - before)

    def copy_names(self, new: apsw.Connection) -> None:
        new.execute(
            "INSERT INTO main.names (id, kind, text, salt)"
            " SELECT id, kind, text, salt FROM old.names WHERE id > ?",
            (self._names,),
        )
        self._names = next(new.execute("SELECT coalesce(max(id), 0) FROM main.names"))[0]

    def copy_table(self, new: apsw.Connection, table: str, columns: list[str]) -> None:
        names = ", ".join(columns)
        new.execute(f"INSERT INTO main.{table} ({names}) SELECT {names} FROM old.{table}")  # noqa: S608
        if table == "meta":
            new.execute(
                "INSERT OR REPLACE INTO main.meta VALUES (?, ?)",
                (META_BEFORE, str(month_start_ms(self._before))),
            )

    def through(self) -> int:
        return self._through

    def is_needed(self) -> bool:
        return True

    def detail(self) -> dict[str, object]:
        return {"before": self._before, "rows": self._rows, "calls": self._calls}

    def further_rows(self) -> list[dict[str, object]]:
        return []


def count(old: apsw.Connection, before: str, through: int) -> dict[str, int]:
    """What compacting would take and leave, of a connection that has the ledger attached as old."""
    moment = f"{month_start_ms(before):011x}"
    values = {"through": through, "moment": moment, "after": 0, "upto": through}
    calls, cost_nano = next(old.execute(_COUNT, values))
    rows = next(old.execute(_COUNT_ROWS, values))[0]
    left = next(old.execute(_COUNT_LEFT, values))[0]
    return {"calls": calls, "rows": rows, "cost_nano": cost_nano, "left": left}


def was_compacted(connection: apsw.Connection, call: str) -> bool:
    """Whether an id without a row is that of a compacted call, or must be taken for one."""
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (META_BEFORE,)).fetchone()
    if row is None:
        return False
    moment = call[:11]
    tells_time = len(call) == 32 and call[11] == "-" and not set(moment) - set("0123456789abcdef")
    if tells_time and int(moment, 16) < int(row[0]):
        return True
    found = connection.execute("SELECT 1 FROM closed_ids WHERE call = ?", (call,)).fetchone()
    return found is not None


def greatest_closed(connection: apsw.Connection) -> list[str]:
    """Ids that no new id may be taken to lie above: one for each first character at least."""
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (META_BEFORE,)).fetchone()
    if row is None:
        return []
    found = connection.execute("SELECT max(call) FROM closed_ids GROUP BY substr(call, 1, 1)")
    return [f"{int(row[0]) - 1:011x}-~", *(str(call) for (call,) in found)]


class _Counts:
    """The aggregate function `add_counts`: JSON objects of counts, added up."""

    def __init__(self) -> None:
        self._sums: dict[str, int] = {}

    def step(self, *values: apsw.SQLiteValue) -> None:
        for kind, amount in json.loads(str(values[0])).items():
            self._sums[kind] = self._sums.get(kind, 0) + amount

    def final(self) -> str:
        return _text(self._sums)


def _merge(*values: apsw.SQLiteValue) -> str:
    sums: dict[str, int] = json.loads(str(values[0]))
    for kind, amount in json.loads(str(values[1])).items():
        sums[kind] = sums.get(kind, 0) + amount
    return _text(sums)


def _text(sums: dict[str, int]) -> str:
    return json.dumps(dict(sorted(sums.items())), separators=(",", ":"))
