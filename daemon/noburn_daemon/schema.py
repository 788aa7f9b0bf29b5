"""The ledger's file: tables, views and migrations.

Layer: daemon, storage.  Below: core.chain (the journal's columns).  Above: noburn_daemon.sqlite.
Owns: every CREATE statement and the file's version.  Not here: a single INSERT of business data.

`journal` is append-only, one row per event, and the truth.  `names` interns texts.  The tables
under "snapshot" can all be recomputed from the journal; they carry the state as of
`meta.as_of_seq`, so that start-up does not depend on the ledger's length.  Reports read the views
`calls` and `runs`.
"""

from __future__ import annotations

APPLICATION_ID = 0x6E6F6275  # "nobu"

#: Kinds of journal rows.  Which columns each fills is told in docs/ledger.md.
KINDS = (
    "name", "reserve", "settle", "lose", "orphan", "void", "tombstone", "blocked", "refused",
    "run_start", "run_end", "run_note", "run_stop", "run_pause", "run_resume",
    "budget_set", "budget_rm", "topup", "book", "bound_defect", "clock",
    "carry", "scheduled", "unscheduled", "threshold", "overage", "correction", "compact", "forget",
)  # fmt: skip

TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE migrations (version INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL) STRICT;

CREATE TABLE names (
  id INTEGER PRIMARY KEY,
  kind TEXT NOT NULL,          -- context, model, owner, note, book
  text TEXT,                   -- NULL once forgotten
  salt TEXT
) STRICT;
CREATE UNIQUE INDEX names_text ON names (kind, text);

CREATE TABLE books (version TEXT PRIMARY KEY, texts TEXT NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE journal (
  seq INTEGER PRIMARY KEY,
  at_ms INTEGER NOT NULL,
  kind TEXT NOT NULL,
  call TEXT,
  run TEXT,
  context INTEGER REFERENCES names,
  model INTEGER REFERENCES names,
  owner INTEGER REFERENCES names,
  note INTEGER REFERENCES names,
  book INTEGER REFERENCES names,
  digest INTEGER,              -- of the request's content, for idempotency
  hold_nano INTEGER,
  hold_tokens INTEGER,
  input_bound INTEGER,
  bound TEXT,
  factor INTEGER,              -- per mille, NULL for 1000
  wanted INTEGER,
  granted INTEGER,             -- tokens per choice
  clamped INTEGER,
  write_cap INTEGER,
  waited_ms INTEGER,
  cost_nano INTEGER,
  cost_tokens INTEGER,
  input INTEGER,
  cache_read INTEGER,
  cache_write_5m INTEGER,
  cache_write_1h INTEGER,
  output INTEGER,
  reasoning INTEGER,
  variant TEXT,
  latency_ms INTEGER,
  status INTEGER,              -- HTTP status of a call; exit code of a run
  failure TEXT,
  provider_id TEXT,
  served_model TEXT,
  detail TEXT,                 -- JSON
  chain BLOB NOT NULL
) STRICT;
-- Ids start with the time, so that inserts go to the right end.
CREATE INDEX journal_call ON journal (call) WHERE call IS NOT NULL;
CREATE INDEX journal_run ON journal (run) WHERE run IS NOT NULL;
CREATE TRIGGER journal_is_kept BEFORE DELETE ON journal
  BEGIN SELECT raise(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER journal_is_unchanged BEFORE UPDATE ON journal
  BEGIN SELECT raise(ABORT, 'the journal is append-only'); END;

-- Snapshot as of meta.as_of_seq.
CREATE TABLE budgets (
  id INTEGER PRIMARY KEY,
  scope TEXT NOT NULL,
  per TEXT NOT NULL,
  unit TEXT NOT NULL,
  amount INTEGER NOT NULL,     -- nano-dollars, tokens or requests
  override INTEGER NOT NULL,
  run TEXT,                    -- the path of the run whose own limit this is
  ended_at_ms INTEGER,         -- when that run ended
  removed_at_ms INTEGER
) STRICT;
CREATE TABLE accounts (
  budget INTEGER NOT NULL REFERENCES budgets,
  key TEXT NOT NULL,
  window_start_ms INTEGER NOT NULL,
  topup INTEGER NOT NULL,
  settled INTEGER NOT NULL,    -- what is held is recomputed from open_holds
  PRIMARY KEY (budget, key, window_start_ms)
) STRICT, WITHOUT ROWID;
CREATE TABLE open_holds (seq INTEGER PRIMARY KEY REFERENCES journal) STRICT;
CREATE TABLE open_runs (run TEXT PRIMARY KEY, owner TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE factors (model TEXT PRIMARY KEY, factor INTEGER NOT NULL) STRICT, WITHOUT ROWID;
"""

#: Whether a reserve's note (n) says that a subscription pays for the call.
IS_NOTIONAL = """coalesce(json_extract(n.text, '$.notional'), 0)"""

_ATTRIBUTES = """
  json_extract(x.text, '$.project') AS project,
  json_extract(x.text, '$.customer') AS customer,
  json_extract(x.text, '$.feature') AS feature,
  json_extract(x.text, '$.user') AS user,
  json_extract(x.text, '$.job') AS job,
  json_extract(x.text, '$.run') AS run,
  json_extract(x.text, '$.step') AS step,
  coalesce((SELECT json_group_object(substr(t.key, 5), t.value) FROM json_each(x.text) AS t
            WHERE t.key LIKE 'tag.%'), '{}') AS tags,
"""
_MODEL = """
  json_extract(m.text, '$[0]') AS api,
  json_extract(m.text, '$[1]') AS model,
  json_extract(m.text, '$[2]') AS resolved_model,
"""

#: extra: JSON, units of further kinds (core.usage.EXTRA_KINDS): of a `reserve` the most, of a
#: `settle` what was billed.  ceiling_nano: set aside for what nothing bounds, by policy.
EXTRA_COLUMNS = """
ALTER TABLE journal ADD COLUMN extra TEXT;
ALTER TABLE journal ADD COLUMN ceiling_nano INTEGER;
-- Batches, whose results come later under the provider's id.
CREATE INDEX journal_lost ON journal (provider_id) WHERE kind = 'lose' AND provider_id IS NOT NULL;
DROP VIEW IF EXISTS calls;
DROP VIEW IF EXISTS runs;
"""

# A late settle after `lose` or `orphan` is the last closing row, and wins.
VIEWS = f"""
CREATE VIEW calls AS
SELECT
  r.call AS call,
  CASE e.kind WHEN 'settle' THEN 'settled' WHEN 'lose' THEN 'uncertain'
    WHEN 'orphan' THEN 'orphaned' WHEN 'void' THEN 'voided' ELSE 'held' END AS state,
  {_MODEL}{_ATTRIBUTES}
  r.at_ms AS reserved_at_ms,
  e.at_ms AS closed_at_ms,
  coalesce(e.latency_ms, (SELECT max(l.latency_ms) FROM journal AS l
                          WHERE l.call = r.call AND l.kind = 'lose')) AS latency_ms,
  coalesce(e.status, (SELECT max(l.status) FROM journal AS l
                      WHERE l.call = r.call AND l.kind = 'lose')) AS status,
  e.failure AS failure,
  e.input AS input, e.cache_read AS cache_read, e.cache_write_5m AS cache_write_5m,
  e.cache_write_1h AS cache_write_1h, e.output AS output, e.reasoning AS reasoning,
  r.hold_nano AS hold_nano,
  CASE e.kind WHEN 'void' THEN 0 ELSE e.cost_nano END AS cost_nano,
  r.bound AS bound, r.input_bound AS input_bound, r.wanted AS wanted, r.granted AS granted,
  r.clamped AS clamped, r.waited_ms AS waited_ms,
  b.text AS book, e.variant AS variant, e.provider_id AS provider_id,
  coalesce(r.detail, n.text) AS detail,
  e.extra AS extra, r.extra AS extra_max, r.ceiling_nano AS ceiling_nano,
  1 AS requests
FROM journal AS r
LEFT JOIN journal AS e ON e.seq = (
  SELECT max(c.seq) FROM journal AS c
  WHERE c.call = r.call AND c.kind IN ('settle', 'lose', 'orphan', 'void'))
LEFT JOIN names AS m ON m.id = r.model
LEFT JOIN names AS x ON x.id = r.context
LEFT JOIN names AS b ON b.id = r.book
LEFT JOIN names AS n ON n.id = r.note
WHERE r.kind = 'reserve'
UNION ALL
SELECT
  r.call, r.kind,
  {_MODEL}{_ATTRIBUTES}
  r.at_ms, r.at_ms, NULL, NULL, r.failure,
  NULL, NULL, NULL, NULL, NULL, NULL,
  r.hold_nano, NULL, r.bound, r.input_bound, r.wanted, r.granted, r.clamped, r.waited_ms,
  b.text, NULL, NULL, r.detail, NULL, r.extra, r.ceiling_nano, 1
FROM journal AS r
LEFT JOIN names AS m ON m.id = r.model
LEFT JOIN names AS x ON x.id = r.context
LEFT JOIN names AS b ON b.id = r.book
WHERE r.kind IN ('blocked', 'refused') AND NOT EXISTS (
  -- Asked again with the same id: the last answer counts.
  SELECT 1 FROM journal AS c WHERE c.call = r.call AND c.seq > r.seq
    AND c.kind IN ('reserve', 'blocked', 'refused'))
UNION ALL
-- What was booked beside the calls, for the day that it is about; amounts may be below 0.
SELECT
  'correction:' || json_extract(r.detail, '$.id'), 'correction',
  {_MODEL}{_ATTRIBUTES}
  json_extract(r.detail, '$.for_ms'), r.at_ms, NULL, NULL, json_extract(r.detail, '$.reason'),
  r.input, r.cache_read, r.cache_write_5m, r.cache_write_1h, r.output, r.reasoning,
  NULL, r.cost_nano, NULL, NULL, NULL, NULL, NULL, NULL,
  NULL, NULL, NULL, r.detail, r.extra, NULL, NULL, json_extract(r.detail, '$.requests')
FROM journal AS r
LEFT JOIN names AS m ON m.id = r.model
LEFT JOIN names AS x ON x.id = r.context
WHERE r.kind = 'correction' AND r.cost_nano IS NOT NULL;

CREATE VIEW runs AS
SELECT
  s.run AS run,                -- the whole path, as in calls.run
  CASE WHEN instr(s.run, '/') THEN
    rtrim(rtrim(s.run, replace(s.run, '/', '')), '/') END AS parent,
  json_extract(x.text, '$.project') AS project,
  json_extract(x.text, '$.customer') AS customer,
  json_extract(x.text, '$.feature') AS feature,
  json_extract(s.detail, '$.command') AS command,
  s.at_ms AS started_at_ms,
  e.at_ms AS ended_at_ms,
  e.status AS exit_code,
  json_extract(s.detail, '$.limit.unit') AS limit_unit,
  json_extract(s.detail, '$.limit.amount') AS limit_amount
FROM journal AS s
LEFT JOIN names AS x ON x.id = s.context
LEFT JOIN journal AS e ON e.seq = (
  SELECT max(c.seq) FROM journal AS c WHERE c.run = s.run AND c.kind = 'run_end')
WHERE s.kind = 'run_start';
"""  # noqa: S608 - our own constants

#: What a block by a budget does: `block` the call, or `kill` its run.
VERSION_2 = """
ALTER TABLE budgets ADD COLUMN action TEXT NOT NULL DEFAULT 'block';
"""

#: Time zones, windows that roll, what is carried over, changes that are to come.
BUDGET_POLICY = """
ALTER TABLE budgets ADD COLUMN zone TEXT NOT NULL DEFAULT 'UTC';
ALTER TABLE budgets ADD COLUMN anchor INTEGER NOT NULL DEFAULT 1;
ALTER TABLE budgets ADD COLUMN carry INTEGER NOT NULL DEFAULT 0;
ALTER TABLE budgets ADD COLUMN downgrade TEXT NOT NULL DEFAULT '{}';  -- model to model, JSON
ALTER TABLE budgets ADD COLUMN thresholds TEXT NOT NULL DEFAULT '[]'; -- percents, JSON
ALTER TABLE budgets ADD COLUMN notify TEXT NOT NULL DEFAULT '[]';     -- channels, JSON
ALTER TABLE accounts ADD COLUMN carried INTEGER NOT NULL DEFAULT 0;
ALTER TABLE accounts ADD COLUMN notified INTEGER NOT NULL DEFAULT 0;  -- highest percent told
ALTER TABLE accounts ADD COLUMN buckets TEXT;                         -- JSON
CREATE TABLE scheduled (
  id INTEGER PRIMARY KEY,
  at_ms INTEGER NOT NULL,
  spec TEXT NOT NULL,          -- the request, JSON
  ended_at_ms INTEGER          -- when it was applied, or taken back
) STRICT;
"""

#: What ended calls were charged, by quarter-hour of the reserve (at_ms / 900000) and context: a new
#: budget starts with it.  nano: 0 for what a subscription pays.  As of `meta.as_of_seq`.
SUMS = f"""
CREATE TABLE sums (
  slot INTEGER NOT NULL,
  context INTEGER NOT NULL REFERENCES names,
  nano INTEGER NOT NULL,
  tokens INTEGER NOT NULL,
  requests INTEGER NOT NULL,
  PRIMARY KEY (slot, context)
) STRICT, WITHOUT ROWID;
INSERT INTO sums
SELECT r.at_ms / 900000, r.context, sum(CASE WHEN {IS_NOTIONAL} THEN 0 ELSE e.cost_nano END),
  sum(e.cost_tokens), count(*)
FROM journal AS r
JOIN journal AS e ON e.seq = (
  SELECT max(c.seq) FROM journal AS c
  WHERE c.call = r.call AND c.kind IN ('settle', 'lose', 'orphan', 'void')
    AND c.seq <= (SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'as_of_seq'))
LEFT JOIN names AS n ON n.id = r.note
WHERE r.kind = 'reserve' AND e.kind <> 'void'
GROUP BY 1, 2;
"""  # noqa: S608 - our own constants

#: What is to be told outside: written with what caused it, delivered and tried again afterwards.
OUTBOX = """
CREATE TABLE outbox (
  id INTEGER PRIMARY KEY,
  key TEXT NOT NULL UNIQUE,    -- what a receiver tells repetitions by
  at_ms INTEGER NOT NULL,
  channel TEXT NOT NULL,
  kind TEXT NOT NULL,          -- budget.threshold, ...
  payload TEXT NOT NULL,       -- JSON; empty once delivered
  attempts INTEGER NOT NULL DEFAULT 0,
  next_at_ms INTEGER NOT NULL,
  delivered_at_ms INTEGER,
  given_up_at_ms INTEGER,
  failure TEXT                 -- of the last attempt
) STRICT;
CREATE INDEX outbox_due ON outbox (channel, next_at_ms)
  WHERE delivered_at_ms IS NULL AND given_up_at_ms IS NULL;
"""

#: What compacting and forgetting leave: sums for the calls that were taken, the ids of those that
#: do not tell their time by themselves, and what changed rows say now (core.seals).
HISTORY = f"""
CREATE TABLE rollups (
  month TEXT NOT NULL,         -- 2026-10, UTC, in which the calls were reserved
  context INTEGER NOT NULL REFERENCES names,
  model INTEGER NOT NULL REFERENCES names,
  state TEXT NOT NULL,         -- as in the view calls
  notional INTEGER NOT NULL,
  calls INTEGER NOT NULL,
  cost_nano INTEGER NOT NULL,
  cost_tokens INTEGER NOT NULL,
  hold_nano INTEGER NOT NULL,
  clamped INTEGER NOT NULL,
  input INTEGER NOT NULL,
  cache_read INTEGER NOT NULL,
  cache_write_5m INTEGER NOT NULL,
  cache_write_1h INTEGER NOT NULL,
  output INTEGER NOT NULL,
  reasoning INTEGER NOT NULL,
  extra TEXT NOT NULL,         -- JSON, sums by kind
  PRIMARY KEY (month, context, model, state, notional)
) STRICT, WITHOUT ROWID;
CREATE TABLE closed_ids (call TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TABLE redactions (seq INTEGER PRIMARY KEY, digest TEXT NOT NULL) STRICT;
CREATE INDEX journal_sealed ON journal (seq) WHERE kind IN ('compact', 'forget');

CREATE VIEW rolled AS          -- lines of calls that were compacted
SELECT
  u.month, u.state, u.notional, u.calls,
  {_MODEL}{_ATTRIBUTES}
  u.cost_nano, u.cost_tokens, u.hold_nano, u.clamped, u.input, u.cache_read, u.cache_write_5m,
  u.cache_write_1h, u.output, u.reasoning, u.extra
FROM rollups AS u
LEFT JOIN names AS m ON m.id = u.model
LEFT JOIN names AS x ON x.id = u.context;
"""  # noqa: S608 - our own constants

#: Corrections by their ids, which are few beside the calls.
CORRECTIONS = """
CREATE INDEX journal_correction ON journal (json_extract(detail, '$.id'))
  WHERE kind = 'correction';
DROP VIEW calls;
DROP VIEW runs;
"""

#: Budgets that bill: what was booked, and accounts that are kept beyond their windows.
OVERAGES = """
ALTER TABLE accounts ADD COLUMN overage INTEGER NOT NULL DEFAULT 0;
ALTER TABLE accounts ADD COLUMN capacity INTEGER;  -- once its window has passed
CREATE INDEX journal_overage ON journal (seq) WHERE kind = 'overage';
CREATE VIEW overages AS
SELECT
  o.seq AS seq, o.at_ms AS at_ms, o.call AS call,
  json_extract(o.detail, '$.budget') AS budget,
  json_extract(o.detail, '$.account') AS account,
  coalesce(
    (SELECT json_extract(k.value, '$[1]') FROM json_each(json_extract(o.detail, '$.key')) AS k
     WHERE json_extract(k.value, '$[0]') = 'customer'),
    json_extract(x.text, '$.customer')) AS customer,
  json_extract(o.detail, '$.window_start_ms') AS window_start_ms,
  json_extract(o.detail, '$.unit') AS unit,
  json_extract(o.detail, '$.amount') AS amount,  -- in that unit; negative where it was too much
  o.cost_nano AS nano                            -- of a budget of dollars
FROM journal AS o
LEFT JOIN journal AS r ON r.seq = (
  SELECT min(c.seq) FROM journal AS c WHERE c.call = o.call AND c.kind = 'reserve')
LEFT JOIN names AS x ON x.id = r.context
WHERE o.kind = 'overage';
"""

#: Statements that bring a file from the version before to the key's; each runs with its record in
#: one transaction.
#: A released migration is not changed.  (A file of version 1 has older views; they are made anew.)
MIGRATIONS: dict[int, str] = {
    1: TABLES,
    # Further kinds and ceilings, budgets that kill; `calls` tells the step as well.
    2: VERSION_2 + EXTRA_COLUMNS + VIEWS,
    # Not released yet: others append their constants.
    3: BUDGET_POLICY + SUMS + OUTBOX + HISTORY + CORRECTIONS + OVERAGES + VIEWS,
}
VERSION = max(MIGRATIONS)
