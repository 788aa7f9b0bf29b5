BEGIN TRANSACTION;
CREATE TABLE accounts (
  budget INTEGER NOT NULL REFERENCES budgets,
  key TEXT NOT NULL,
  window_start_ms INTEGER NOT NULL,
  topup INTEGER NOT NULL,
  settled INTEGER NOT NULL,    -- what is held is recomputed from open_holds
  PRIMARY KEY (budget, key, window_start_ms)
) STRICT, WITHOUT ROWID;
INSERT INTO "accounts" VALUES(1,'[["customer","acme"]]',1793491200000,0,10262000);
INSERT INTO "accounts" VALUES(2,'[]',0,0,750);
INSERT INTO "accounts" VALUES(3,'[["feature","chat"]]',1790726400000,0,1);
INSERT INTO "accounts" VALUES(3,'[["feature","chat"]]',1791763200000,0,1);
INSERT INTO "accounts" VALUES(3,'[["feature","chat"]]',1795132800000,0,1);
INSERT INTO "accounts" VALUES(4,'[["run","r1"]]',0,0,262000);
CREATE TABLE books (version TEXT PRIMARY KEY, texts TEXT NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO "books" VALUES('d3069f0ebf51eac8','[["prices.toml", "format = 1\n[[model]]\nname = \"m\"\nprovider = \"p\"\nfamily = \"text\"\ntokenizer = \"o200k_base\"\ncontext_window = 100000\noutput_max = 10000\n[[model.rate]]\nvariant = \"standard\"\nstarts_on = 2026-01-01\ninput = 2\ncache_read = 0.1\noutput = 10\nweb_search_per_1k = 10\nurl = \"https://example.org/prices\"\nchecked_on = 2026-11-23\n"]]');
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
, action TEXT NOT NULL DEFAULT 'block') STRICT;
INSERT INTO "budgets" VALUES(1,'customer=*','month','dollars',40000000,0,NULL,NULL,NULL,'block');
INSERT INTO "budgets" VALUES(2,'global','total','tokens',1000000,0,NULL,NULL,NULL,'kill');
INSERT INTO "budgets" VALUES(3,'feature=chat','day','requests',100,1,NULL,NULL,1795176000060,'block');
INSERT INTO "budgets" VALUES(4,'run=r1','run','dollars',900000,0,'r1',1791795605000,NULL,'block');
CREATE TABLE factors (model TEXT PRIMARY KEY, factor INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO "factors" VALUES('m',1500);
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
, extra TEXT, ceiling_nano INTEGER) STRICT;
INSERT INTO "journal" VALUES(1,1790805600000,'book',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{"version": "d3069f0ebf51eac8", "digest": "082250b91e7fbd26d4f3ee069c27533a6ac8729f18bf4921d2a71fa2157b668d"}',X'03E4281D86A18C3CA9103A2FFE4B47883D1419DE8524EF3E3B5F4418B93D76E1',NULL,NULL);
INSERT INTO "journal" VALUES(2,1790805600000,'budget_set',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{"budget":1,"scope":"customer=*","per":"month","unit":"dollars","limit":40000000,"override":false,"action":"block"}',X'D58741F326C4EED3816CE93D195EED6D7B62E50FC5656FEFAD48E68032475A25',NULL,NULL);
INSERT INTO "journal" VALUES(3,1790805600000,'budget_set',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{"budget":2,"scope":"global","per":"total","unit":"tokens","limit":1000000,"override":false,"action":"kill"}',X'508512AE0DCFFAEB627622EA609948E4DF1AA80616D43D5DFF1F2014E262AC70',NULL,NULL);
INSERT INTO "journal" VALUES(4,1790805600000,'budget_set',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{"budget":3,"scope":"feature=chat","per":"day","unit":"requests","limit":100,"override":true,"action":"block"}',X'F115BB72C6FBC02161AF315C8E65DBF047F4ED69AA87A6A3DE364AAD233F8A44',NULL,NULL);
INSERT INTO "journal" VALUES(5,1790805600000,'topup',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{"budget":1,"scope":"customer=*","per":"month","unit":"dollars","limit":40000000,"override":false,"action":"block","account":"customer=acme per month","amount":100000}',X'3A028D69E95483D4D426E7E56DAF8F9C5D4973B1DD7B804A24B4C23B2C1501DD',NULL,NULL);
INSERT INTO "journal" VALUES(6,1790805601000,'name',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{"name": 1, "of": "context", "digest": "ef591731b41a91893e35db1382dae972f3e0cd9027c3e24ec8a62eece8596ea1"}',X'F51BC388DB9CE28A05C283DFCF61C0F75C078EB22DCD8AA49A71F4BCD1CC0DB9',NULL,NULL);
INSERT INTO "journal" VALUES(7,1790805601000,'name',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{"name": 2, "of": "model", "digest": "149cf500bc6f1982308822da87d3245ee68e18ea8fb7186017b505c89e5db23e"}',X'35D6D8ED98E5F86798E47EEF12D93F96CDD7D5F7931AEABF9C92180F767FB2EF',NULL,NULL);
INSERT INTO "journal" VALUES(8,1790805601000,'name',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{"name": 3, "of": "owner", "digest": "848c46f79cb0b137d9b13023d9e15b4d2917af46442033f09393fcbd9532635a"}',X'6C831A30BD0D2AE29B2DBFB0E42FF5475385BFCF34FEEC6E3EA65C928751F093',NULL,NULL);
INSERT INTO "journal" VALUES(9,1790805601000,'name',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{"name": 4, "of": "note", "digest": "e4239f20389c92af85826aa5ba96b2b3303106160f4c34f91ddc14ad6985c281"}',X'87E3146ECC489AB04459710A0EAA0389A1C014AC9BF183807295342764BA20EB',NULL,NULL);
INSERT INTO "journal" VALUES(10,1790805601000,'name',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{"name": 5, "of": "book", "digest": "11a211693190af0872bc765bf411ddaa5e4cf72b51a5f8135b9d627ce7f5d758"}',X'6E70D904335CAF06B54269E8D2E8196EE7604FA31432AF1D7C55F39FDB643F79',NULL,NULL);
INSERT INTO "journal" VALUES(11,1790805601000,'reserve','s0',NULL,1,2,3,4,5,4077746838228452886,700000,150,100,'bytes',NULL,50,50,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,X'B1C1A93D5CE8D3EB5448FA274A1F70ECC4EB3B8CD53E22AE203742B96C1D5D27',NULL,NULL);
INSERT INTO "journal" VALUES(12,1790805602000,'settle','s0',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,262000,110,80,20,0,0,10,0,'standard',840,200,NULL,'é',NULL,NULL,X'52CCA842B9C199C98C7F71D92A0AF448681B08365A1BD2122AB777D8BD091AA1',NULL,NULL);
INSERT INTO "journal" VALUES(13,1790805603000,'name',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{"name": 6, "of": "context", "digest": "57684f44dad7d79c3b5e7f16fe04a327b1951c688f644a774daff7f39a7f634d"}',X'87801413D0E83DBBB7FF0BA6507E63EAEB69D504F2E0161CE43E2C9BFD73475A',NULL,NULL);
INSERT INTO "journal" VALUES(14,1790805603000,'name',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{"name": 7, "of": "note", "digest": "260186bf9067472b508fd9b3966519e8550be83df5690d08dc302ba422fc1525"}',X'025EAFE15A55AEA647E81669BCD5A809FDDB1F6563BE0813E09862D796E8E2C9',NULL,NULL);
INSERT INTO "journal" VALUES(15,1790805603000,'reserve','s1',NULL,6,2,3,7,5,-5160166278564859138,700000,150,100,'bytes',NULL,50,50,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,X'0D7CAA120BB64330C83D8A347BB0E60CE70BE9F3CD9EEDBB3074CB31049C8141',NULL,NULL);
INSERT INTO "journal" VALUES(16,1790805603100,'void','s1',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'connection refused',NULL,NULL,NULL,X'A603BC6C7BAEA7F403FA012C6CD1825AE6113662CA3C7601F6A1971F19FC0EAA',NULL,NULL);
INSERT INTO "journal" VALUES(17,1791795600000,'name',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{"name": 8, "of": "context", "digest": "90c7541705b59cefa81892fb30964307762e8482edc05b3d878b80e9f0e3ad25"}',X'D0D3015366C81BFF485BBA226C935817C5F3A77E9867E23F8AD38E5E4245775C',NULL,NULL);
INSERT INTO "journal" VALUES(18,1791795600000,'name',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{"name": 9, "of": "owner", "digest": "5991b5b6bbc16504c518370a4e6bbc0c6040ac577563a540622e9a2f5e717d8c"}',X'678AA3A02FC85E4BB01C25C9E64186BE8375D1A3CFD452A2E6F6E6003429DC29',NULL,NULL);
INSERT INTO "journal" VALUES(19,1791795600000,'run_start',NULL,'r1',8,NULL,9,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{"command":["python","agent.py","--customer","acme"],"limit":{"unit":"dollars","amount":900000}}',X'E58F3E1D03CD3F13B1F493ED8FBBD8D5A47260A4A5545D55976BB703A7543A55',NULL,NULL);
INSERT INTO "journal" VALUES(20,1791795600000,'budget_set',NULL,'r1',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{"budget":4,"scope":"run=r1","per":"run","unit":"dollars","limit":900000,"override":false,"action":"block"}',X'6598BBF90EBB9EFA07ED15D35A63037C69129B38835ECF01FA5C139831FE8C07',NULL,NULL);
INSERT INTO "journal" VALUES(21,1791795600001,'name',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{"name": 10, "of": "context", "digest": "59016cf675f4a19143b61eb0a7ed0bdd7bd4e81550d60abb43a1ba410df08706"}',X'FEB411182A9AA616F08C894AC3BF8AA3921F114050C8CC3A1BB1F21BA8AB422F',NULL,NULL);
INSERT INTO "journal" VALUES(22,1791795600001,'name',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{"name": 11, "of": "note", "digest": "f5c4d39f4f37dcf09a1718874eb841b48bb04563ac86682b007f54e080145d9f"}',X'9C1242FAF42075E938248E8413CD0692E023AB9332EEAF7EC09DE336FD0EDF52',NULL,NULL);
INSERT INTO "journal" VALUES(23,1791795600001,'reserve','o0',NULL,10,2,9,11,5,7596644690397196201,700000,150,100,'bytes',NULL,50,50,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,X'C2981CEA09908F3E9D04B846029BBD8FB2C4375C58CDF5B316215BA9FB211D0D',NULL,NULL);
INSERT INTO "journal" VALUES(24,1791795600900,'lose','o0',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,700000,150,NULL,NULL,NULL,NULL,NULL,NULL,NULL,5,200,'stream aborted','msgbatch_1',NULL,NULL,X'9D76E14A59EC3BB3EDFB32B1DC823785F8FC2B737B5BC1C888A38C040EBA5D1D',NULL,NULL);
INSERT INTO "journal" VALUES(25,1791795602000,'name',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{"name": 12, "of": "context", "digest": "5990a038fcb9b8fb69ae1c3ce2528744850585eb5002e568a79ed4c15a4af5a6"}',X'A6519ACB041240735493CC3C79870F50402C81C274D2F3A7AB596B2BE175A74C',NULL,NULL);
INSERT INTO "journal" VALUES(26,1791795602000,'name',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{"name": 13, "of": "owner", "digest": "f489735b1cc22ff86a4b58c2caaaad325d0156eecc3f50432c8487bf404fcd6c"}',X'32672471135056E5181029D6876743188153F6D01A61A38CC57C6D25F82EE305',NULL,NULL);
INSERT INTO "journal" VALUES(27,1791795602000,'reserve','o1',NULL,12,2,13,7,5,3053595049004070906,700000,150,100,'bytes',NULL,50,50,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,X'9971918B0D2C281F4C79C2372CB6550D4E94F494F4A9E188F5DF1639A86F523C',NULL,NULL);
INSERT INTO "journal" VALUES(28,1791795603000,'orphan','o1',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,700000,150,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'the process that made it is gone',NULL,NULL,NULL,X'BF0CD4A0757AAE498CAF4F5E9B5B1D98674B5DBB1855DE2CE03B0E5702C661E6',NULL,NULL);
INSERT INTO "journal" VALUES(29,1791795603500,'name',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{"name": 14, "of": "context", "digest": "b8732cb3523fc8d6c687e193080984598b8560216dd00b7b4e7ee5e2659a589f"}',X'67B63455DA08C0117CD495118CFBFE4D8F7EA4625D6A0A2E57FA2E8B871B43D0',NULL,NULL);
INSERT INTO "journal" VALUES(30,1791795603500,'name',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{"name": 15, "of": "note", "digest": "56fae507a10c3d5d793ca65384a025a89462ef9b0c54a5133c18e02eea40ead1"}',X'04B88770B025B3145E1FD1B3291F6A21DDDECF8746CFDC4166AD1AA6CABC9918',NULL,NULL);
INSERT INTO "journal" VALUES(31,1791795603500,'reserve','o2',NULL,14,2,3,15,5,7684443133289618778,700000,150,100,'bytes',NULL,50,50,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,X'B68FF9036888DCB308E6DEF7D43573D93CF9E75BD9447CE2C51DB962FD16AC08',NULL,NULL);
INSERT INTO "journal" VALUES(32,1791795603600,'settle','o2',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,262000,110,80,20,0,0,10,0,'standard',NULL,NULL,NULL,NULL,NULL,NULL,X'B183ECAF525CFA12B98AD4CAC3260B25DB2ED612C6C6852108B25FEA3B7ED946',NULL,NULL);
INSERT INTO "journal" VALUES(33,1791795604000,'name',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{"name": 16, "of": "context", "digest": "202ce2342923d28dbcbd7cad7555571b7daaf7e8ddd6370d0574a181fad00681"}',X'1F536A82B9DF6FF1A950604E02B30FB4CF7E28B79037F4AFB7C9ABC7F9059AB7',NULL,NULL);
INSERT INTO "journal" VALUES(34,1791795604000,'blocked','o3',NULL,16,2,NULL,NULL,5,878495341272683942,90200000,9100,100,'bytes',NULL,9000,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'spent',NULL,NULL,'{"message":"call blocked: budget `customer=acme per month` has $0.0393 left, this call may use $0.0902","why":"$0.0007 spent and $0.00 held of $0.04","next":"lower max_tokens, or run `noburn budget topup customer=acme 5 --per month`","why_blocked":"spent","budget":"customer=acme per month","unit":"dollars","limit":40000000,"settled":700000,"held":0,"needed":90200000,"resets_at_ms":1793491200000,"waiting_helps":false}',X'272F1769DC0A82502D89FAAB74A69C2632040CBC15243DD8612CBA1F6254ABDD',NULL,NULL);
INSERT INTO "journal" VALUES(35,1791795604100,'name',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{"name": 17, "of": "model", "digest": "fc7c37e988ae23bb6ac0fb7bc2a7921ac6b76a2d8f012ea1b7c419cb7a8aaf22"}',X'990D8B176DA8C5D96CC6B1D04DBC222DDE7BA6463A4E484A3CCA5B595EFE2172',NULL,NULL);
INSERT INTO "journal" VALUES(36,1791795604100,'refused','o4',NULL,16,17,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'unbounded',NULL,NULL,'{"reason":"audio has no bound"}',X'156B0CF7D21BF76C33C598DF04DF65ADFB5B4A7FA9B1DE924B059C407D9C255D',NULL,NULL);
INSERT INTO "journal" VALUES(37,1791795604200,'tombstone','o5',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'gave up',NULL,NULL,NULL,X'EFCCC968640BF2FB4E1339D48686F4B22E5F7A008D5229A6B3E8F78E16239620',NULL,NULL);
INSERT INTO "journal" VALUES(38,1791795604300,'run_note',NULL,'r1',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{"kind":"connection","host":"api.openai.com","pid":4711}',X'5C38549EA5CE8F1BB2F4E312B00C2A03437F35804B72B3FF5658AB071887A7E0',NULL,NULL);
INSERT INTO "journal" VALUES(39,1791795604400,'run_pause',NULL,'r1',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{"by": "ann"}',X'AA141A749D6A89F45A70B5EC1C30F3F57BB900474FBC58D86E0C2F05BD8EDC12',NULL,NULL);
INSERT INTO "journal" VALUES(40,1791795604500,'run_resume',NULL,'r1',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{"by": "ann"}',X'91E64FE578FB57C528EE6A7E967A70E282F2399EEE51DB1DE45327A99CA361D2',NULL,NULL);
INSERT INTO "journal" VALUES(41,1791795604600,'run_stop',NULL,'r1',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{"message":"run `r1` was stopped by ann: too dear","by":"ann"}',X'3A1A8C579C4106C9854EE847BD8515D69CBE056CAE722DE5CB2E5400E7B5A078',NULL,NULL);
INSERT INTO "journal" VALUES(42,1791795604700,'name',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{"name": 18, "of": "model", "digest": "aab5bf72129446552027ea74d95e0e4591cd9879e89457de3fd7063e500b4b86"}',X'2C539239DD6C7BBB685EC6EE625B311E0DE03DE67073697338716BF7EDABC32C',NULL,NULL);
INSERT INTO "journal" VALUES(43,1791795604700,'blocked','o6',NULL,10,18,NULL,NULL,NULL,7596644690397196201,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'stopped',NULL,NULL,'{"message":"call blocked: run `r1` was stopped","why":"run `r1` was stopped by ann: too dear","next":"start the command again with `noburn run` when it may go on","why_blocked":"stopped","run":"r1","waiting_helps":false}',X'EA50FC9D9BD202A965F2C19325C6DD2E4411F4B490C3D358E8F0FD5E466E21B5',NULL,NULL);
INSERT INTO "journal" VALUES(44,1791795605000,'run_end',NULL,'r1',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,137,NULL,NULL,NULL,NULL,X'8E374F9D07B28BF5EAAD028ED00515E0AD7B05661694FFB761B32D89078EF539',NULL,NULL);
INSERT INTO "journal" VALUES(45,1791795606000,'name',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{"name": 19, "of": "note", "digest": "1f02a23854b646121d4f80d921caf74db0849743e080be12454305c5ed04d9b7"}',X'71C302D1321BBEA90129DA270F5561A1971782B428AA2B63D5556B6446674A7D',NULL,NULL);
INSERT INTO "journal" VALUES(46,1791795606000,'reserve','o7',NULL,16,2,3,19,5,1769782161134737404,700000,150,100,'bytes',NULL,50,50,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,X'DA5A319C8660C82E3FB794EC952E0A2CE7619A5FD3705A932B11CD0E4B03ED5A',NULL,NULL);
INSERT INTO "journal" VALUES(47,1791795606100,'bound_defect','o7',NULL,NULL,2,NULL,NULL,NULL,NULL,NULL,NULL,100,'bytes',1500,NULL,NULL,NULL,NULL,NULL,NULL,NULL,150,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,X'19A736A3F281942015A06071A12F4C12E2D44930878A5B20E7E45D98C0252256',NULL,NULL);
INSERT INTO "journal" VALUES(48,1791795606100,'settle','o7',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,400000,160,150,0,0,0,10,0,'standard',NULL,NULL,NULL,NULL,NULL,NULL,X'B7C8855A626B9793D1F8BF3381E27BFEEDEF5477BF8A98F40D5CB5836EAF9AC5',NULL,NULL);
INSERT INTO "journal" VALUES(49,1795176000000,'settle','o0',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,262000,110,80,20,0,0,10,0,'standard',NULL,200,NULL,'msgbatch_1',NULL,NULL,X'BEE469C9D6857C11E966579F14E7FB8589480EE39C5685773075AF0C7778C1F3',NULL,NULL);
INSERT INTO "journal" VALUES(50,1795176000001,'name',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{"name": 20, "of": "note", "digest": "e8392784bde026c85c151f1cfb563b161eb7b50936cb24d6b26e04891b309c11"}',X'48A91A57A20F6259039056F9137A8D446C4618DC6CB23914CEEC7969004F2670',NULL,NULL);
INSERT INTO "journal" VALUES(51,1795176000001,'reserve','n0',NULL,1,2,3,20,5,2302149133576019497,20870000,200,150,'assumed',1500,50,50,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,X'2952BBA7CBF4426ECCD248E2B0572798DA25BA52A154F961EF4C04AAFE7943D1','{"web_search":2}',70000);
INSERT INTO "journal" VALUES(52,1795176000050,'settle','n0',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,10262000,110,80,20,0,0,10,0,'standard',NULL,NULL,NULL,NULL,NULL,NULL,X'38D7425EA6E60EDF9EC5836AA203032E789308AFDC8D3BB152BCD5D0E29862A2','{"web_search":1}',NULL);
INSERT INTO "journal" VALUES(53,1795176000060,'budget_rm',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{"budget":3,"scope":"feature=chat","per":"day","unit":"requests","limit":100,"override":true,"action":"block"}',X'5B4673483E8C49C7DE9F52F87F9FF7A65F1FDE6B267C0B4571E2E5C16B4CF8E3',NULL,NULL);
INSERT INTO "journal" VALUES(54,1795176000100,'reserve','n1',NULL,12,2,3,7,5,3053595049004070906,800000,200,150,'bytes',1500,50,50,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,X'08454CD55EEC504737A06EC5A7E70D398BEEE89478D3EC3F1E33FC2DFB3B3704',NULL,NULL);
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO "meta" VALUES('as_of_seq','54');
CREATE TABLE migrations (version INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL) STRICT;
INSERT INTO "migrations" VALUES(1,1790805600000);
INSERT INTO "migrations" VALUES(2,1790805600000);
CREATE TABLE names (
  id INTEGER PRIMARY KEY,
  kind TEXT NOT NULL,          -- context, model, owner, note, book
  text TEXT,                   -- NULL once forgotten
  salt TEXT
) STRICT;
INSERT INTO "names" VALUES(1,'context','{"customer":"acme","feature":"chat","tag.team":"x"}','b57556729b88ec476066bdb2cd364e8d');
INSERT INTO "names" VALUES(2,'model','["openai_chat","m","m"]','f557036a8f25d117036996fbad954a93');
INSERT INTO "names" VALUES(3,'owner','b:1:1','0e145247139c290c36735ea2a88aba7a');
INSERT INTO "names" VALUES(4,'note','{"rates":{"input":{"pico_per_token":2000000,"kind":"input","variant":"standard","above_input_tokens":0,"starts_on":"2026-01-01","url":"https://example.org/prices","checked_on":"2026-11-23"},"output":{"pico_per_token":10000000,"kind":"output","variant":"standard","above_input_tokens":0,"starts_on":"2026-01-01","url":"https://example.org/prices","checked_on":"2026-11-23"}},"budgets":["customer=acme per month","global per total in tokens","feature=chat per day in requests"]}','a9aa971bab42f44ae2a2cf8c064e1015');
INSERT INTO "names" VALUES(5,'book','d3069f0ebf51eac8','15f7e8a5f1415106a996c2ce3e5786d3');
INSERT INTO "names" VALUES(6,'context','{"project":"p","customer":"globex","user":"u1","job":"j","step":"graph/tool:search"}','ce571de6f8c0be934e08bda07cf88d47');
INSERT INTO "names" VALUES(7,'note','{"rates":{"input":{"pico_per_token":2000000,"kind":"input","variant":"standard","above_input_tokens":0,"starts_on":"2026-01-01","url":"https://example.org/prices","checked_on":"2026-11-23"},"output":{"pico_per_token":10000000,"kind":"output","variant":"standard","above_input_tokens":0,"starts_on":"2026-01-01","url":"https://example.org/prices","checked_on":"2026-11-23"}},"budgets":["customer=globex per month","global per total in tokens"]}','adc8289134c64a9e100bfb65c088c3c6');
INSERT INTO "names" VALUES(8,'context','{"customer":"acme","run":"r1"}','f973db2b04e302571eca356aa5722a24');
INSERT INTO "names" VALUES(9,'owner','b:7:7','c798d9954c1943899a460cb3073f2a30');
INSERT INTO "names" VALUES(10,'context','{"customer":"acme","feature":"chat","run":"r1","tag.team":"x"}','161f97e7fc85f1466070f1923eb4aa77');
INSERT INTO "names" VALUES(11,'note','{"rates":{"input":{"pico_per_token":2000000,"kind":"input","variant":"standard","above_input_tokens":0,"starts_on":"2026-01-01","url":"https://example.org/prices","checked_on":"2026-11-23"},"output":{"pico_per_token":10000000,"kind":"output","variant":"standard","above_input_tokens":0,"starts_on":"2026-01-01","url":"https://example.org/prices","checked_on":"2026-11-23"}},"budgets":["customer=acme per month","global per total in tokens","feature=chat per day in requests","run=r1 per run"]}','fef45f4ffb1e6b74732c57f78c6747a6');
INSERT INTO "names" VALUES(12,'context','{"customer":"globex"}','00472936c531577c4609d18d43db9330');
INSERT INTO "names" VALUES(13,'owner','b:9:9','f877fb86d0d377553f9eba8e9ed9ac98');
INSERT INTO "names" VALUES(14,'context','{}','682cb01f9daf9cd1c526aeb7fdc7f385');
INSERT INTO "names" VALUES(15,'note','{"notional":true,"rates":{"input":{"pico_per_token":2000000,"kind":"input","variant":"standard","above_input_tokens":0,"starts_on":"2026-01-01","url":"https://example.org/prices","checked_on":"2026-11-23"},"output":{"pico_per_token":10000000,"kind":"output","variant":"standard","above_input_tokens":0,"starts_on":"2026-01-01","url":"https://example.org/prices","checked_on":"2026-11-23"}},"budgets":["global per total in tokens"]}','66d10811e7e742131eddf40358e12a5a');
INSERT INTO "names" VALUES(16,'context','{"customer":"acme"}','cdc1cc2d6388c6311c6e7423b6f18495');
INSERT INTO "names" VALUES(17,'model','["openai_chat","gpt-x",null]','ae6b888011c97c265cca8549f4a625a3');
INSERT INTO "names" VALUES(18,'model','["openai_chat","m",null]','aa4eddf926734c8ac40c185298d41ed1');
INSERT INTO "names" VALUES(19,'note','{"rates":{"input":{"pico_per_token":2000000,"kind":"input","variant":"standard","above_input_tokens":0,"starts_on":"2026-01-01","url":"https://example.org/prices","checked_on":"2026-11-23"},"output":{"pico_per_token":10000000,"kind":"output","variant":"standard","above_input_tokens":0,"starts_on":"2026-01-01","url":"https://example.org/prices","checked_on":"2026-11-23"}},"budgets":["customer=acme per month","global per total in tokens"]}','71aa139b117dc5ea31385f78f5b43af3');
INSERT INTO "names" VALUES(20,'note','{"rates":{"input":{"pico_per_token":2000000,"kind":"input","variant":"standard","above_input_tokens":0,"starts_on":"2026-01-01","url":"https://example.org/prices","checked_on":"2026-11-23"},"output":{"pico_per_token":10000000,"kind":"output","variant":"standard","above_input_tokens":0,"starts_on":"2026-01-01","url":"https://example.org/prices","checked_on":"2026-11-23"},"extra":{"web_search":{"pico_per_token":10000000000,"kind":"web_search","variant":"standard","above_input_tokens":0,"starts_on":"2026-01-01","url":"https://example.org/prices","checked_on":"2026-11-23"}}},"budgets":["customer=acme per month","global per total in tokens","feature=chat per day in requests"]}','d516576fa427220e993544ebb650f61a');
CREATE TABLE open_holds (seq INTEGER PRIMARY KEY REFERENCES journal) STRICT;
INSERT INTO "open_holds" VALUES(54);
CREATE TABLE open_runs (run TEXT PRIMARY KEY, owner TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX names_text ON names (kind, text);
CREATE INDEX journal_call ON journal (call) WHERE call IS NOT NULL;
CREATE INDEX journal_run ON journal (run) WHERE run IS NOT NULL;
CREATE TRIGGER journal_is_kept BEFORE DELETE ON journal
  BEGIN SELECT raise(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER journal_is_unchanged BEFORE UPDATE ON journal
  BEGIN SELECT raise(ABORT, 'the journal is append-only'); END;
CREATE INDEX journal_lost ON journal (provider_id) WHERE kind = 'lose' AND provider_id IS NOT NULL;
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
  json_extract(x.text, '$.step') AS step,
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
  coalesce(r.detail, n.text) AS detail,
  e.extra AS extra, r.extra AS extra_max, r.ceiling_nano AS ceiling_nano
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
  json_extract(x.text, '$.step') AS step,
  coalesce((SELECT json_group_object(substr(t.key, 5), t.value) FROM json_each(x.text) AS t
            WHERE t.key LIKE 'tag.%'), '{}') AS tags,

  r.at_ms, r.at_ms, NULL, NULL, r.failure,
  NULL, NULL, NULL, NULL, NULL, NULL,
  r.hold_nano, NULL, r.bound, r.input_bound, r.wanted, r.granted, r.clamped, r.waited_ms,
  b.text, NULL, NULL, r.detail, NULL, r.extra, r.ceiling_nano
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
