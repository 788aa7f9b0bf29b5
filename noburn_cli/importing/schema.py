"""`imports.sqlite3`: its tables, and the view that reports read.

Layer: importing.  Below: nothing.  Above: store.
Owns: every CREATE statement and the file's version.  The view `calls` has the columns of the
ledger's view of that name (noburn_daemon.schema), and further ones behind them: `source`, `batch`,
`said_nano`, `list_nano`, `counts` and `note`.  Its state is `settled`, or `unpriced`, where nobody
knows the cost: then `cost_nano` is NULL.

Two sources can tell of one call (a proxy, and the tracing behind it).  Where both name the
provider's id of the answer, the one that was imported first is in the view, and the other waits.
"""

from __future__ import annotations

APPLICATION_ID = 0x6E6F6269  # "nobi"
VERSION = 1

TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO meta VALUES ('changes', 0);      -- grows with every commit: what a cache can go by

CREATE TABLE batches (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  source TEXT NOT NULL,
  at_ms INTEGER NOT NULL,
  ended_at_ms INTEGER,         -- NULL: under way, or cut off
  summary TEXT NOT NULL        -- JSON
) STRICT;

CREATE TABLE files (            -- how far each file was read
  source TEXT NOT NULL,
  path TEXT NOT NULL,
  size INTEGER NOT NULL,
  modified_ns INTEGER NOT NULL,
  head TEXT NOT NULL,          -- digest of its first bytes
  head_bytes INTEGER NOT NULL,
  offset INTEGER NOT NULL,
  line INTEGER NOT NULL,
  done INTEGER NOT NULL,       -- whether `size` and `modified_ns` were read to the end
  state TEXT NOT NULL,         -- JSON, of the reader
  asked TEXT NOT NULL,         -- digest of the choices it was read with
  PRIMARY KEY (source, path)
) STRICT, WITHOUT ROWID;
CREATE INDEX files_head ON files (source, head);

CREATE TABLE lineage (session TEXT PRIMARY KEY, parent TEXT NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE models (
  id INTEGER PRIMARY KEY,
  api TEXT NOT NULL,
  model TEXT NOT NULL,
  resolved_model TEXT,
  key TEXT NOT NULL UNIQUE
) STRICT;
CREATE TABLE contexts (
  id INTEGER PRIMARY KEY,
  project TEXT, customer TEXT, feature TEXT, "user" TEXT, job TEXT, run TEXT, step TEXT,
  tags TEXT NOT NULL,          -- JSON
  key TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE imported (
  seq INTEGER PRIMARY KEY,
  source TEXT NOT NULL,
  id TEXT NOT NULL,            -- the source's own
  batch INTEGER NOT NULL REFERENCES batches,
  at_ms INTEGER NOT NULL,
  model INTEGER NOT NULL REFERENCES models,
  context INTEGER NOT NULL REFERENCES contexts,
  input INTEGER NOT NULL,
  cache_read INTEGER NOT NULL,
  cache_write_5m INTEGER NOT NULL,
  cache_write_1h INTEGER NOT NULL,
  output INTEGER NOT NULL,
  reasoning INTEGER NOT NULL,
  extra TEXT,                  -- JSON, further kinds
  said_nano INTEGER,           -- the cost by the source
  list_nano INTEGER,           -- the cost by our book at the call's own time
  cost_nano INTEGER,           -- the one that counts; NULL when nobody knows
  counts TEXT NOT NULL,        -- source, list, unpriced; bill: a day's costs are told elsewhere
  notional INTEGER NOT NULL,
  requests INTEGER NOT NULL,
  ran_ms INTEGER,
  status INTEGER,
  failure TEXT,
  variant TEXT NOT NULL,
  book TEXT,
  provider_id TEXT,
  note TEXT,
  rank INTEGER NOT NULL,
  shadowed INTEGER NOT NULL    -- whether another source told of the same call before
) STRICT;
CREATE UNIQUE INDEX imported_id ON imported (source, id);
CREATE INDEX imported_provider ON imported (provider_id) WHERE provider_id IS NOT NULL;
CREATE INDEX imported_batch ON imported (batch);
CREATE INDEX imported_time ON imported (at_ms);
"""

VIEWS = """
CREATE VIEW calls AS
SELECT
  'import:' || i.source || ':' || i.id AS call,
  CASE i.counts WHEN 'unpriced' THEN 'unpriced' ELSE 'settled' END AS state,
  m.api AS api, m.model AS model, m.resolved_model AS resolved_model,
  x.project AS project, x.customer AS customer, x.feature AS feature, x."user" AS "user",
  x.job AS job, x.run AS run, x.step AS step, x.tags AS tags,
  i.at_ms AS reserved_at_ms, i.at_ms + coalesce(i.ran_ms, 0) AS closed_at_ms,
  i.ran_ms AS latency_ms, i.status AS status, i.failure AS failure,
  i.input AS input, i.cache_read AS cache_read, i.cache_write_5m AS cache_write_5m,
  i.cache_write_1h AS cache_write_1h, i.output AS output, i.reasoning AS reasoning,
  NULL AS hold_nano, i.cost_nano AS cost_nano,
  NULL AS bound, NULL AS input_bound, NULL AS wanted, NULL AS granted, 0 AS clamped,
  NULL AS waited_ms, i.book AS book, i.variant AS variant, i.provider_id AS provider_id,
  CASE WHEN i.notional THEN '{"notional":true}' END AS detail,
  i.extra AS extra, NULL AS extra_max, NULL AS ceiling_nano, i.requests AS requests,
  i.source AS source, i.batch AS batch, i.said_nano AS said_nano, i.list_nano AS list_nano,
  i.counts AS counts, i.note AS note
FROM imported AS i
JOIN models AS m ON m.id = i.model
JOIN contexts AS x ON x.id = i.context
WHERE NOT i.shadowed;
"""
