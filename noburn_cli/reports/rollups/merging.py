"""Signed lines into the sums that are kept.

Layer: reports, I/O (SQL).  Below: shape, changes (the table `changes`), localtime.  Above: cache.
Everything happens inside the caller's transaction, together with the row up to which it counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from noburn_cli.reports.localtime import SLOT_MS, LocalTime, months_of
from noburn_cli.reports.rollups.shape import (
    DAILY,
    DAY,
    DIMENSIONS,
    MEASURES,
    MONTH,
    PROJECTIONS,
    ROLLED,
    STATES,
    TAGS,
    TIMED,
)

if TYPE_CHECKING:
    import apsw

_COLUMNS = ", ".join(MEASURES)
_SUMMED = ", ".join(f"sum({name})" for name in MEASURES)
_ADDED = ", ".join(f"{name} = {name} + excluded.{name}" for name in MEASURES)
_STATE = "CASE state " + " ".join(f"WHEN {n} THEN '{s}'" for n, s in enumerate(STATES)) + " END"

_CONTEXTS = """
    INSERT INTO main.contexts
    SELECT number, coalesce(json_extract(text, '$.project'), ''),
      coalesce(json_extract(text, '$.customer'), ''), coalesce(json_extract(text, '$.feature'), ''),
      coalesce(json_extract(text, '$.user'), ''), coalesce(json_extract(text, '$.job'), ''),
      coalesce(json_extract(text, '$.run'), ''), coalesce(json_extract(text, '$.step'), ''),
      coalesce((SELECT json_group_object(substr(t.key, 5), t.value) FROM json_each(text) AS t
        WHERE t.key LIKE 'tag.%'), '{}')
    FROM (SELECT DISTINCT context AS number FROM temp.{table}
      WHERE context NOT IN (SELECT id FROM main.contexts))
    LEFT JOIN ledger.names ON id = number
"""
_MODELS = """
    INSERT INTO main.models
    SELECT number, coalesce(json_extract(text, '$[0]'), ''),
      coalesce(json_extract(text, '$[1]'), ''), coalesce(json_extract(text, '$[2]'), ''),
      coalesce(json_extract(text, '$[2]'), json_extract(text, '$[1]'), '')
    FROM (SELECT DISTINCT model AS number FROM temp.{table}
      WHERE model NOT IN (SELECT id FROM main.models))
    LEFT JOIN ledger.names ON id = number
"""
_CELLS = f"""
    INSERT INTO main.cells
    SELECT slot, context, model, state, {_SUMMED},
      coalesce(group_concat(CASE WHEN lines < 0 THEN '-' || bucket ELSE bucket END, ' '), '')
    FROM temp.changes GROUP BY slot, context, model, state
    ON CONFLICT DO UPDATE SET {_ADDED},
      took = CASE WHEN took = '' THEN excluded.took WHEN excluded.took = '' THEN took
        ELSE took || ' ' || excluded.took END
"""  # noqa: S608 -- our own names
#: Days and months of the slots at hand, and what `sums` are made from.
_TABLES = f"""
CREATE TEMP TABLE IF NOT EXISTS slots (slot INTEGER PRIMARY KEY, day INTEGER, month INTEGER);
CREATE TEMP TABLE IF NOT EXISTS daily (
  day INTEGER, month INTEGER, {", ".join(f"{name} TEXT" for name in DAILY)},
  {", ".join(f"{name} INTEGER" for name in MEASURES)}
);
CREATE TEMP TABLE IF NOT EXISTS taken (
  slot INTEGER, context INTEGER, model INTEGER, bucket INTEGER, lines INTEGER
);
CREATE TEMP TABLE IF NOT EXISTS timed (
  day INTEGER, month INTEGER, customer TEXT, feature TEXT, model TEXT, step TEXT, bucket INTEGER,
  calls INTEGER
);
CREATE TEMP TABLE IF NOT EXISTS fresh (
  at INTEGER, month INTEGER, a TEXT, b TEXT, c TEXT, {", ".join(f"{n} INTEGER" for n in MEASURES)}
);
"""
_DAILY = f"""
    INSERT INTO temp.daily
    SELECT day, month, {", ".join(DIMENSIONS[n] if n != "state" else _STATE for n in DAILY)},
      {_SUMMED}
    FROM temp.changes AS d JOIN temp.slots AS s USING (slot)
    JOIN main.contexts AS x ON x.id = context JOIN main.models AS m ON m.id = model
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
"""  # noqa: S608


def prepare(connection: apsw.Connection) -> None:
    """Make the temporary tables that sums are made in."""
    connection.execute(_TABLES)


def learn_texts(connection: apsw.Connection, table: str = "changes") -> None:
    """Look up what contexts and models of a temporary table stand for."""
    connection.execute(_CONTEXTS.replace("{table}", table))
    connection.execute(_MODELS.replace("{table}", table))


def merge_cells(connection: apsw.Connection) -> None:
    """Add `changes` to the cells."""
    connection.execute(_CELLS)


def merge_sums(
    connection: apsw.Connection, number: int, local: LocalTime, *, taken: str = "changes"
) -> None:
    """Add `changes` to the sums of a zone.  Compacted months are no days of any zone.

    taken: the temporary table that says how long calls took.
    """
    connection.execute("DELETE FROM temp.slots; DELETE FROM temp.daily")
    slots = connection.execute("SELECT DISTINCT slot FROM temp.changes WHERE slot >= 0")
    rows = list(_cut(local, (slot for (slot,) in slots)))
    if not rows:
        return
    connection.executemany("INSERT INTO temp.slots VALUES (?, ?, ?)", rows)
    connection.execute(_DAILY)
    empty = _unused(connection)
    for projection, dimensions in enumerate(PROJECTIONS):
        named = [name for name in dimensions if name not in empty]
        small = all(name in DAILY for name in named)
        columns = [
            "''" if name in empty else (name if small else DIMENSIONS[name]) for name in dimensions
        ]
        _make_fresh(connection, columns, small=small)
        _merge(connection, projection, number)
    if _has_tags(connection):
        _make_fresh(connection, ["t.key", "t.value"], small=False, tags=True)
        _merge(connection, TAGS, number)
    _merge_latencies(connection, number, empty, taken)


def take_cells(connection: apsw.Connection, first: int, end: int) -> None:
    """Fill `changes` and `taken` with the cells of some slots, for a zone that is new."""
    connection.execute("DELETE FROM temp.changes; DELETE FROM temp.taken")
    connection.execute(
        f"""INSERT INTO temp.changes SELECT slot, context, model, state, NULL, {_COLUMNS}
        FROM main.cells WHERE slot >= ? AND slot < ?""",  # noqa: S608
        (first, end),
    )
    cells = connection.execute(
        "SELECT slot, context, model, took FROM main.cells WHERE slot >= ? AND slot < ?"
        " AND took <> ''",
        (first, end),
    )
    connection.executemany(
        "INSERT INTO temp.taken VALUES (?, ?, ?, ?, ?)",
        [
            (slot, context, model, bucket, count)
            for slot, context, model, took in cells
            for bucket, count in read_took(took).items()
        ],
    )


def read_took(took: str) -> dict[int, int]:
    """Calls by bucket of a cell."""
    counts: dict[int, int] = {}
    for word in took.split():
        bucket = int(word.removeprefix("-"))
        counts[bucket] = counts.get(bucket, 0) + (-1 if word[0] == "-" else 1)
    return counts


def merge_rolled(connection: apsw.Connection) -> None:
    """Add compacted months to the sums: they are whole months of UTC, the same for every zone."""
    rows = connection.execute("SELECT DISTINCT slot FROM temp.changes WHERE slot < 0")
    months = [(slot, -slot, -slot) for (slot,) in rows]
    connection.execute("DELETE FROM temp.slots")
    connection.executemany("INSERT INTO temp.slots VALUES (?, ?, ?)", months)
    for projection, dimensions in enumerate(PROJECTIONS):
        columns = [DIMENSIONS[n] if n != "state" else _STATE for n in dimensions]
        _make_fresh(connection, columns, small=False)
        _add(connection, projection, 0, ROLLED, "at")
    _make_fresh(connection, ["t.key", "t.value"], small=False, tags=True)
    _add(connection, TAGS, 0, ROLLED, "at")


def _cut(local: LocalTime, slots: Iterable[int]) -> Iterable[tuple[int, int, int]]:
    for slot in slots:
        day = local.date_of(slot * SLOT_MS)
        yield slot, day.toordinal(), months_of(day)


def _unused(connection: apsw.Connection) -> frozenset[str]:
    """Attributes that no call at hand has: their groupings are those without them."""
    connection.execute(
        """CREATE TEMP TABLE IF NOT EXISTS seen (id INTEGER PRIMARY KEY);
        DELETE FROM temp.seen;
        INSERT INTO temp.seen SELECT DISTINCT context FROM temp.changes"""
    )
    found = []
    for name in ("user", "job", "run", "step"):
        sql = f"SELECT 1 FROM temp.seen JOIN main.contexts USING (id) WHERE {name} <> '' LIMIT 1"  # noqa: S608
        if next(iter(connection.execute(sql)), None) is None:
            found.append(name)
    return frozenset(found)


def _has_tags(connection: apsw.Connection) -> bool:
    sql = "SELECT 1 FROM temp.seen JOIN main.contexts USING (id) WHERE tags <> '{}' LIMIT 1"
    return next(iter(connection.execute(sql)), None) is not None


def _make_fresh(
    connection: apsw.Connection, columns: list[str], *, small: bool, tags: bool = False
) -> None:
    """Fill `fresh` with sums by day and these columns.

    small: from `daily`, which has few rows; else from every change.
    """
    connection.execute("DELETE FROM temp.fresh")
    a, b, c = (*columns, "''", "''", "''")[:3]
    source = "temp.daily"
    if not small:
        source = (
            "temp.changes AS d JOIN temp.slots AS s USING (slot)"
            " JOIN main.contexts AS x ON x.id = context JOIN main.models AS m ON m.id = model"
        )
    if tags:
        source += ", json_each(x.tags) AS t"
    connection.execute(
        f"INSERT INTO temp.fresh SELECT day, month, {a}, {b}, {c}, {_SUMMED} FROM {source}"  # noqa: S608
        " GROUP BY 1, 2, 3, 4, 5"
    )


def _merge(connection: apsw.Connection, projection: int, zone: int) -> None:
    _add(connection, projection, zone, DAY, "at")
    _add(connection, projection, zone, MONTH, "month")


def _add(connection: apsw.Connection, projection: int, zone: int, level: int, column: str) -> None:
    """Add `fresh` to `sums`, by its days or its months."""
    # By days `fresh` is grouped already.
    summed = _COLUMNS if column == "at" else _SUMMED
    grouped = "" if column == "at" else f"GROUP BY {column}, a, b, c"
    connection.execute(
        f"""INSERT INTO main.sums
        SELECT :projection, :zone, :level, {column}, a, b, c, {summed} FROM temp.fresh
        WHERE 1 {grouped} ON CONFLICT DO UPDATE SET {_ADDED}""",  # noqa: S608 -- our own names
        {"projection": projection, "zone": zone, "level": level},
    )


def _merge_latencies(
    connection: apsw.Connection, zone: int, empty: frozenset[str], taken: str
) -> None:
    """Add how long the calls at hand took, for the groupings of TIMED, by days and by months."""
    some = f"SELECT 1 FROM temp.{taken} WHERE bucket NOTNULL LIMIT 1"  # noqa: S608 -- our own names
    if next(iter(connection.execute(some)), None) is None:
        return
    connection.execute("DELETE FROM temp.timed")
    connection.execute(
        f"""INSERT INTO temp.timed
        SELECT day, month, x.customer, x.feature, m.named, x.step, bucket, sum(lines)
        FROM temp.{taken} AS d JOIN temp.slots AS s USING (slot)
        JOIN main.contexts AS x ON x.id = context JOIN main.models AS m ON m.id = model
        WHERE bucket NOTNULL GROUP BY 1, 2, 3, 4, 5, 6, 7"""  # noqa: S608
    )
    for dimensions in TIMED:
        columns = ["''" if name in empty else name for name in dimensions]
        a, b = (*columns, "''", "''")[:2]
        values = {"projection": PROJECTIONS.index(dimensions), "zone": zone}
        for level, column in ((DAY, "day"), (MONTH, "month")):
            connection.execute(
                f"""INSERT INTO main.latencies
                SELECT :projection, :zone, :level, {column}, {a}, {b}, bucket, sum(calls)
                FROM temp.timed WHERE 1 GROUP BY {column}, {a}, {b}, bucket
                ON CONFLICT DO UPDATE SET calls = calls + excluded.calls""",  # noqa: S608
                {**values, "level": level},
            )
