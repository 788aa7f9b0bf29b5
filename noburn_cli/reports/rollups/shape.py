"""What is kept: the tables of the cache, and the groupings that it has sums of.

Layer: reports, pure.  Below: totals (the sums' names).  Above: changes, merging, cache, answers.

`cells` has the calls of each quarter of an hour by context, model and state, from which everything
else can be made; `sums` the same by the groupings of PROJECTIONS, for days and months of each zone
in use; `latencies` how long calls took, in the buckets of reports.latencies.  A compacted month is
a cell of its own, at the slot before 1970 that `month_slot` says, and a sum of level ROLLED.
"""

from __future__ import annotations

from collections.abc import Mapping

from noburn_cli.reports.totals import SUMS

#: Grows when what is kept, or how it is computed, changes: an older file is made anew.
FORMAT = 1

#: States of the view `calls`, by their number in `cells`.
STATES = (
    "held", "settled", "uncertain", "orphaned", "voided", "blocked", "refused", "correction",
)  # fmt: skip

#: Columns of every table with sums: `lines` of the view, and Sums by name.
MEASURES = ("lines", *SUMS)

#: What calls are grouped by: SQL of a context (x) or model (m).  '' is what has no value.
DIMENSIONS: Mapping[str, str] = {
    **{
        name: f"x.{name}"
        for name in ("project", "customer", "feature", "user", "job", "run", "step")
    },
    "api": "m.api",
    "model": "m.named",
    "state": "d.state",
}

#: Groupings whose sums are kept, the cheapest first: a question takes the first that has all it
#: names.  At most three dimensions each.
PROJECTIONS: tuple[tuple[str, ...], ...] = (
    (),
    ("state",),
    ("api",),
    ("model",),
    ("feature",),
    ("project",),
    ("customer",),
    ("feature", "model"),
    ("customer", "feature"),
    ("customer", "model"),
    ("customer", "feature", "model"),
    ("step",),
    ("job",),
    ("user",),
    ("feature", "user"),
    ("run",),
)
#: Those that are made from `daily`, which is small; the others have dimensions of many values.
DAILY = ("customer", "feature", "model", "project", "api", "state")
#: A tag's name and its value, of calls that have it.
TAGS = len(PROJECTIONS)
#: Groupings of which latencies are kept.
TIMED: tuple[tuple[str, ...], ...] = ((), ("model",), ("feature",), ("customer",), ("step",))

#: Levels of `sums`: days and months of a zone, and compacted months, which are UTC's.
DAY, MONTH, ROLLED = 0, 1, 2

_COLUMNS = ",\n  ".join(f"{name} INTEGER NOT NULL" for name in MEASURES)
TABLES = f"""
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE zones (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, rules TEXT NOT NULL) STRICT;
CREATE TABLE notes (
  id INTEGER PRIMARY KEY,
  notional INTEGER NOT NULL, warned INTEGER NOT NULL, downgraded INTEGER NOT NULL
) STRICT;
CREATE TABLE contexts (
  id INTEGER PRIMARY KEY,
  project TEXT NOT NULL, customer TEXT NOT NULL, feature TEXT NOT NULL, user TEXT NOT NULL,
  job TEXT NOT NULL, run TEXT NOT NULL, step TEXT NOT NULL,
  tags TEXT NOT NULL           -- JSON, names to values
) STRICT;
CREATE TABLE models (
  id INTEGER PRIMARY KEY,
  api TEXT NOT NULL, asked TEXT NOT NULL, resolved TEXT NOT NULL,
  named TEXT NOT NULL          -- as the book calls it, or else as it was asked for
) STRICT;
CREATE TABLE cells (
  slot INTEGER NOT NULL,       -- quarter-hours since 1970; below 0 a compacted month
  context INTEGER NOT NULL,
  model INTEGER NOT NULL,
  state INTEGER NOT NULL,
  {_COLUMNS},
  took TEXT NOT NULL,          -- buckets of latencies, each a call; one with a minus takes back
  PRIMARY KEY (slot, context, model, state)
) STRICT, WITHOUT ROWID;
CREATE TABLE sums (
  projection INTEGER NOT NULL,
  zone INTEGER NOT NULL,
  level INTEGER NOT NULL,
  at INTEGER NOT NULL,         -- days since the year 1, or months since the year 0
  a TEXT NOT NULL, b TEXT NOT NULL, c TEXT NOT NULL,
  {_COLUMNS},
  PRIMARY KEY (projection, zone, level, at, a, b, c)
) STRICT, WITHOUT ROWID;
CREATE TABLE latencies (
  projection INTEGER NOT NULL,
  zone INTEGER NOT NULL,
  level INTEGER NOT NULL,
  at INTEGER NOT NULL,
  a TEXT NOT NULL, b TEXT NOT NULL,
  bucket INTEGER NOT NULL,
  calls INTEGER NOT NULL,
  PRIMARY KEY (projection, zone, level, at, a, b, bucket)
) STRICT, WITHOUT ROWID;
CREATE TABLE doubled (provider_id TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
"""


def month_slot(months: int) -> int:
    """The slot of a compacted month.  months: since the year 0."""
    return -months


def needed(by: tuple[str, ...], where: Mapping[str, str]) -> frozenset[str]:
    """The dimensions that a question names, without those of time."""
    return frozenset((*by, *where)) - {"hour", "day", "week", "month"}


def projection_for(wanted: frozenset[str]) -> int | None:
    """The number of the smallest grouping that has all of them; None when none has."""
    for number, dimensions in enumerate(PROJECTIONS):
        if wanted <= set(dimensions):
            return number
    return None
