BEGIN TRANSACTION;
CREATE TABLE accounts (
  budget INTEGER NOT NULL REFERENCES budgets,
  key TEXT NOT NULL,
  window_start_ms INTEGER NOT NULL,
  topup INTEGER NOT NULL,
  settled INTEGER NOT NULL,    -- what is held is recomputed from open_holds
  PRIMARY KEY (budget, key, window_start_ms)
) STRICT, WITHOUT ROWID;
INSERT INTO "accounts" VALUES(1,'[["customer","acme"]]',0,0,962000);
CREATE TABLE books (version TEXT PRIMARY KEY, texts TEXT NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO "books" VALUES('fd67e512eeb1bd5e','[["prices.toml", "format = 1\n[[model]]\nname = \"m\"\nprovider = \"p\"\nfamily = \"text\"\ntokenizer = \"o200k_base\"\ncontext_window = 100000\noutput_max = 10000\n[[model.rate]]\nvariant = \"standard\"\nstarts_on = 2026-01-01\ninput = 2\ncache_read = 0.1\noutput = 10\nurl = \"https://example.org/prices\"\nchecked_on = 2026-11-23\n"]]');
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
INSERT INTO "budgets" VALUES(1,'customer=*','total','dollars',1000000000,0,NULL,NULL,NULL);
CREATE TABLE factors (model TEXT PRIMARY KEY, factor INTEGER NOT NULL) STRICT, WITHOUT ROWID;
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
INSERT INTO "journal" VALUES(1,1795476000000,'book',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{"version": "fd67e512eeb1bd5e", "digest": "d90b2c1d68e0334a9f04d4a9fd5c7c1cee57330a3f25c5b5c2c6bc372dac8c5f"}',X'BD7E527006E99CAEB806BF7AAAA61A614E2929475C2F30C9DD0049E4183CDB91');
INSERT INTO "journal" VALUES(2,1795476000000,'budget_set',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{"budget":1,"scope":"customer=*","per":"total","unit":"dollars","limit":1000000000,"override":false}',X'4A72DAD610681DF65FF0E1054CBF7A6ECE2ABB31215D6663621ECBCEFB367DBF');
INSERT INTO "journal" VALUES(3,1795476000000,'name',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{"name": 1, "of": "context", "digest": "0d8c91723693d4db202e2e66b2aa2eabeb6af52f1044f53de9b6f42bf9b9f48a"}',X'D83EEFDDC3B409438D045B44647CCA8E9A105F9C4C5DC58A1DC12600C8CE9631');
INSERT INTO "journal" VALUES(4,1795476000000,'name',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{"name": 2, "of": "model", "digest": "298df5d0cafe66a45622a7f626c560a6f197d15bf551dbe5fc6bffd6b84b1a8c"}',X'CA0409CB077F9BE0D324615DB0C6CC00AC19AD42D4C6445DBEABB57C87863F5C');
INSERT INTO "journal" VALUES(5,1795476000000,'name',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{"name": 3, "of": "owner", "digest": "8058e7701275712a5dfa99685338ab9de00a5415e5f5d94e8109f0848763c25a"}',X'FF0142A11D9842823044BC86523B7C3858AD7547158E19B800FEB209BBE060E8');
INSERT INTO "journal" VALUES(6,1795476000000,'name',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{"name": 4, "of": "note", "digest": "2f79b444333446656cedace3ba184649137a8f3419313af122303fa2dfed1264"}',X'7D79AB3B952A1D591B696EBF01CE60BE367FCE22ABCA2E28953129DB27D76CDE');
INSERT INTO "journal" VALUES(7,1795476000000,'name',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{"name": 5, "of": "book", "digest": "e6c2fc0c49ae0c82fafc4d4e2eaa4173c29665cc3b4996a0cedcb9e444d2e407"}',X'0C1820FC91090A63B37D715644CEBCC626007E427B22F69115189722F50AC2FB');
INSERT INTO "journal" VALUES(8,1795476000000,'reserve','c0',NULL,1,2,3,4,5,1769782161134737404,700000,150,100,'bytes',NULL,50,50,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,X'B6E4E0F031D2730B24F1F09205A4D32FBBE170202E7602E5A6955D976A581A5C');
INSERT INTO "journal" VALUES(9,1795476000001,'reserve','c1',NULL,1,2,3,4,5,1769782161134737404,700000,150,100,'bytes',NULL,50,50,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,X'2DDB3485D5CFCB831B7A2EE27A4FDFA145CC4A09642768D2D2C00FA02EB1A678');
INSERT INTO "journal" VALUES(10,1795476000002,'reserve','c2',NULL,1,2,3,4,5,1769782161134737404,700000,150,100,'bytes',NULL,50,50,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,X'682763236BCB7A3023DB310C3A20698A567524F77756BAD1A37296B32F1153D5');
INSERT INTO "journal" VALUES(11,1795476000003,'reserve','c3',NULL,1,2,3,4,5,1769782161134737404,700000,150,100,'bytes',NULL,50,50,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,X'D6B5E42BB9B860124BF2817429C61EB91C470C474CB01E5FEE2CF03A4D7B8325');
INSERT INTO "journal" VALUES(12,1795476000010,'settle','c0',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,262000,110,80,20,0,0,10,0,'standard',NULL,NULL,NULL,'é',NULL,NULL,X'70BF5E41241DD3C060D584E87859CAF258E457D8FA02B19C55AB72EB31888B11');
INSERT INTO "journal" VALUES(13,1795476000011,'lose','c1',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,700000,150,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'reset',NULL,NULL,NULL,X'719D7B45A700D94BD5A31CFA00DC5BBF47DA7B3B636FCB53AD8A2642C94C20E4');
INSERT INTO "journal" VALUES(14,1795476000012,'void','c2',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,X'D5EE4CC718EC0531492CE739C9DCA86905F26DF9D9310AE2035D088A3CE74766');
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO "meta" VALUES('as_of_seq','14');
CREATE TABLE migrations (version INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL) STRICT;
INSERT INTO "migrations" VALUES(1,1795476000000);
CREATE TABLE names (
  id INTEGER PRIMARY KEY,
  kind TEXT NOT NULL,          -- context, model, owner, note, book
  text TEXT,                   -- NULL once forgotten
  salt TEXT
) STRICT;
INSERT INTO "names" VALUES(1,'context','{"customer":"acme"}','f1dd7be9d0dc9b0724a74ec21d7d0fc2');
INSERT INTO "names" VALUES(2,'model','["openai_chat","m","m"]','d55a2fab0a2cf2d857ca730546bf47d3');
INSERT INTO "names" VALUES(3,'owner','b:1:1','f0cb6041207380a564fb4d383da4db8c');
INSERT INTO "names" VALUES(4,'note','{"rates":{"input":{"pico_per_token":2000000,"kind":"input","variant":"standard","above_input_tokens":0,"starts_on":"2026-01-01","url":"https://example.org/prices","checked_on":"2026-11-23"},"output":{"pico_per_token":10000000,"kind":"output","variant":"standard","above_input_tokens":0,"starts_on":"2026-01-01","url":"https://example.org/prices","checked_on":"2026-11-23"}},"budgets":["customer=acme per total"]}','d4e55f173fa7cb13d667e193cf4af596');
INSERT INTO "names" VALUES(5,'book','fd67e512eeb1bd5e','d2ef11f33984fc5a4ecaa705c70a1fde');
CREATE TABLE open_holds (seq INTEGER PRIMARY KEY REFERENCES journal) STRICT;
INSERT INTO "open_holds" VALUES(11);
CREATE TABLE open_runs (run TEXT PRIMARY KEY, owner TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX names_text ON names (kind, text);
CREATE INDEX journal_call ON journal (call) WHERE call IS NOT NULL;
CREATE INDEX journal_run ON journal (run) WHERE run IS NOT NULL;
CREATE TRIGGER journal_is_kept BEFORE DELETE ON journal
  BEGIN SELECT raise(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER journal_is_unchanged BEFORE UPDATE ON journal
  BEGIN SELECT raise(ABORT, 'the journal is append-only'); END;
CREATE VIEW calls AS
SELECT
  r.call AS call,
  CASE e.kind WHEN 'settle' THEN 'settled' WHEN 'lose' THEN 'uncertain'
    WHEN 'orphan' THEN 'orphaned' WHEN 'void' THEN 'voided' ELSE 'held' END AS state,
  
  json_extract(m.text, '$[0]') AS api,
  json_extract(m.text, '$[1]') AS model,
  json_extract(m.text, '$[2]') AS resolved_model,

  json_extract(x.text, '$.project') AS project,
  json_extract(x.text, '$.customer') AS customer,
  json_extract(x.text, '$.feature') AS feature,
  json_extract(x.text, '$.user') AS user,
  json_extract(x.text, '$.job') AS job,
  json_extract(x.text, '$.run') AS run,
  coalesce((SELECT json_group_object(substr(t.key, 5), t.value) FROM json_each(x.text) AS t
            WHERE t.key LIKE 'tag.%'), '{}') AS tags,

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
  coalesce(r.detail, n.text) AS detail
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
  
  json_extract(m.text, '$[0]') AS api,
  json_extract(m.text, '$[1]') AS model,
  json_extract(m.text, '$[2]') AS resolved_model,

  json_extract(x.text, '$.project') AS project,
  json_extract(x.text, '$.customer') AS customer,
  json_extract(x.text, '$.feature') AS feature,
  json_extract(x.text, '$.user') AS user,
  json_extract(x.text, '$.job') AS job,
  json_extract(x.text, '$.run') AS run,
  coalesce((SELECT json_group_object(substr(t.key, 5), t.value) FROM json_each(x.text) AS t
            WHERE t.key LIKE 'tag.%'), '{}') AS tags,

  r.at_ms, r.at_ms, NULL, NULL, r.failure,
  NULL, NULL, NULL, NULL, NULL, NULL,
  r.hold_nano, NULL, r.bound, r.input_bound, r.wanted, r.granted, r.clamped, r.waited_ms,
  b.text, NULL, NULL, r.detail
FROM journal AS r
LEFT JOIN names AS m ON m.id = r.model
LEFT JOIN names AS x ON x.id = r.context
LEFT JOIN names AS b ON b.id = r.book
WHERE r.kind IN ('blocked', 'refused') AND NOT EXISTS (
  -- Asked again with the same id: the last answer counts.
  SELECT 1 FROM journal AS c WHERE c.call = r.call AND c.seq > r.seq
    AND c.kind IN ('reserve', 'blocked', 'refused'));
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
COMMIT;
