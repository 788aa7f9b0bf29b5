"""Configurations for tests: one that uses every key, and broken ones with what is said of them."""

WHOLE = """
[run]
budget = "$5"
wait = 2.5
clamp = true
lower_caps = true
floor = "1k"
on_exceed = "kill"
on_abort = "drain"

[attributes]
project = "search"
customer = "acme"
feature = "chat"
user = "u1"

[attributes.tags]
team = "blue"

[attributes.from]
user = "user"
safety_identifier = "tag.person"
"metadata.user_id" = "customer"

[ceilings]
web_search = "$2"

[notional]
subscriptions = ["anthropic"]

[revenue]
customer_key = "noburn_customer"
feature_key = "what"
plan_key = "noburn_plan"

[revenue.customers]
"cus_1" = "acme"

[revenue.rates.EUR]
source = "https://example.com/rates"
2026-01-01 = "1.0842"

[pnl]
zone = "Europe/Berlin"
split = "requests"
overhead_customer = "$2"
overhead_request = 0.0001
overhead_share = "3%"
overhead_month = 500
overhead_by = "revenue"
target = "65%"
final_after_days = 90
margin_min = "20%"
notify = ["ops"]

[daemon]
durability = "power"
idle_exit = "never"
log_level = "debug"
metrics = "127.0.0.1:9464"
notify = ["ops"]

[notify.ops]
url = "https://ops.example/hooks/noburn"
secret_file = "~/.config/noburn/ops.secret"

[notify.page]
command = ["/usr/local/bin/page", "--now"]
timeout = 5

[[endpoint]]
name = "fast"
base_url = "https://llm.example/openai/v1"
api = "openai"
prices = "groq"
models = { chat = "llama-3.3-70b-versatile" }

[[endpoint]]
name = "local"
base_url = "http://127.0.0.1:11434/v1"
api = "openai"
prices = "free"
context_window = 32768
tokenizer = "bytes"

[[endpoint]]
name = "gateway"
base_url = "https://gateway.example/v1"
api = "openai"

[endpoint.prices]
date = 2026-11-01
url = "https://gateway.example/prices"

[endpoint.prices.models]
llama-70b = { input = 0.5, output = 0.8, context_window = 131072, tokenizer = "bytes" }
luna = { like = "gpt-6-luna" }
embed = { input = 0.02, family = "embedding", context_window = 8192 }
"""

_ENDPOINT = '[[endpoint]]\nname = "x"\nbase_url = "https://x.example/v1"\napi = "openai"\n'

#: (file, key that the error names, what else it says)
REFUSED = [
    ("[run", "noburn.toml", "not TOML"),
    ("[runs]\nwait = 1", "runs", "did you mean `run`?"),
    ("run = 3", "run", "[run]"),
    ("[run]\nwiat = 1", "run.wiat", "did you mean `run.wait`?"),
    ('[run]\nbudget = "2M"', "run.budget", "2Mtok"),
    ("[run]\nbudget = true", "run.budget", "$5"),
    ("[run]\nwait = -1", "run.wait", "seconds"),
    ("[run]\nwait = nan", "run.wait", "seconds"),
    ('[run]\nwait = "30"', "run.wait", "seconds"),
    ("[run]\nbudget = 1e999999999", "run.budget", "no amount"),
    ("[run]\nbudget = inf", "run.budget", "no amount"),
    ("[run]\nclamp = 1", "run.clamp", "true nor false"),
    ("[run]\nfloor = 0", "run.floor", "above 0"),
    ('[daemon]\ndurability = "disk"', "daemon.durability", "power"),
    ("[daemon]\nidle_exit = 0", "daemon.idle_exit", "seconds"),
    ('[daemon]\nmetrics = "0.0.0.0:9464"', "daemon.metrics", "loopback"),
    ('[daemon]\nmetrics = "127.0.0.1"', "daemon.metrics", "9464"),
    ('[daemon]\nloglevel = "info"', "daemon.loglevel", "log_level"),
    ('[daemon]\nnotify = "ops"', "daemon.notify", "list"),
    ("[notify.Ops]\ncommand = ['/x']", "notify.Ops", "lower-case"),
    ("[notify.ops]\ntimeout = 3", "notify.ops", "url"),
    ("[notify.ops]\ncommand = ['/x']\nurl = 'https://x'", "notify.ops", "both"),
    ("[notify.ops]\ncommand = 'x y'", "notify.ops", "list of words"),
    ("[notify.ops]\ncommand = ['x']", "notify.ops", "whole path"),
    ("[notify.ops]\ncommand = ['/x']\nsecret_env = 'X'", "notify.ops", "no secret"),
    ("[notify.ops]\nurl = 'https://x'", "notify.ops", "secret_file"),
    ("[notify.ops]\nurl = 'https://x'\nsecret_env = '1'", "notify.ops", "variable"),
    ("[notify.ops]\nurl = 'https://x'\nsecret_file = 's'", "notify.ops", "whole path"),
    ("[notify.ops]\nurl = 'http://x'\nsecret_env = 'X'", "notify.ops", "on the way"),
    ("[notify.ops]\nurl = 'ftp://x'\nsecret_env = 'X'", "notify.ops", "on the way"),
    ("[notify.ops]\nurl = 'https://u@x'\nsecret_env = 'X'", "notify.ops", "user"),
    ("[notify.ops]\nurl = 'https://x'\nsecret = 'X'", "notify.ops", "secret_env"),
    ("[notify.ops]\nurl = 'https://x'\nsecret_env = 'X'\ntimeout = 0", "notify.ops", "seconds"),
    ("[notify]\nops = 3", "notify.ops", "[notify.ops]"),
    ('[run]\non_exceed = "kil"', "run.on_exceed", "kill"),
    ('[run]\non_abort = "forget"', "run.on_abort", "hold, drain, received"),
    ("[attributes]\ncustomer = 7", "attributes.customer", "in quotes"),
    ('[attributes]\ncustomer = "a\\nb"', "attributes.customer", "control"),
    ('[attributes]\ncostumer = "a"', "attributes.costumer", "attributes.customer"),
    ('[attributes.tags]\n"a b" = "c"', "attributes.tags.a b", "tag"),
    ('[attributes.from]\nname = "user"', "attributes.from.name", "metadata.KEY"),
    ('[attributes.from]\nuser = "usr"', "attributes.from.user", "user"),
    ('[attributes.from]\nuser = "run"', "attributes.from.user", "customer"),
    ('[ceilings]\nweb_search = "2Mtok"', "ceilings.web_search", "$"),
    ('[ceilings]\nweb_serach = "$2"', "ceilings.web_serach", "did you mean `web_search`?"),
    ('[notional]\nsubscriptions = ["acme"]', "notional.subscriptions", "anthropic"),
    ("[endpoint]\nname = 3", "endpoint", "[[endpoint]]"),
    ("[[endpoint]]\nbase_ulr = 3", "base_ulr", "did you mean `base_url`?"),
    (_ENDPOINT.replace('"x"', '"X Y"') + 'prices = "free"', "name", "lower-case"),
    (_ENDPOINT.replace("https://", "ftp://") + 'prices = "free"', "base_url", "https://"),
    (_ENDPOINT.replace("https://", "https://u:p@") + 'prices = "free"', "base_url", "https://"),
    (_ENDPOINT.replace("/v1", "/v1?key=1") + 'prices = "free"', "base_url", "query"),
    (_ENDPOINT.replace("openai", "gopher") + 'prices = "free"', "api", "anthropic"),
    (_ENDPOINT, "prices", "free"),
    (_ENDPOINT.replace('"x"', '"groq"') + 'prices = "free"', "name", "groq"),
    (_ENDPOINT.replace("x.example", "api.openai.com") + 'prices = "free"', "prices", "bills"),
    (_ENDPOINT.replace("x.example", "a.openai.azure.com") + 'prices = "free"', "prices", "bills"),
    (_ENDPOINT + 'prices = "groq"\ncontext_window = 5', "context_window", "price book"),
    (_ENDPOINT + 'prices = "free"\ntokenizer = "llama"', "tokenizer", "bytes"),
    (_ENDPOINT + 'prices = "free"\nmodels = ["a"]', "models", "deployments"),
    (_ENDPOINT + 'prices = "free"\n' + _ENDPOINT + 'prices = "free"', "name", "twice"),
    (
        _ENDPOINT + 'prices = "free"\n' + _ENDPOINT.replace('"x"', '"y"') + 'prices = "free"',
        "base_url",
        "another endpoint",
    ),
    (_ENDPOINT + "prices = { models = { a = { input = 1 } } }", "prices.date", "date"),
    (_ENDPOINT + "prices = { date = 2026-11-01 }", "prices.models", "rates"),
    (_ENDPOINT + "prices = { date = 2026-11-01, model = 3 }", "prices: model", "`models`"),
    (
        _ENDPOINT + "prices = { date = 2026-11-01, models = { a = { imput = 1 } } }",
        "prices.models.a: imput",
        "`input`",
    ),
    (
        _ENDPOINT + "prices = { date = 2026-11-01, models = { a = { input = -1, output = 1 } } }",
        "prices.models.a.input",
        "dollars per million",
    ),
    (
        _ENDPOINT + "prices = { date = 2026-11-01, models = { a = { input = 1e999999999 } } }",
        "prices.models.a.input",
        "dollars per million",
    ),
    (
        _ENDPOINT + "prices = { date = 2026-11-01, models = { a = { input = 1, output = 1 } } }",
        "prices.models.a.context_window",
        "missing",
    ),
    (
        _ENDPOINT + "prices = { date = 2026-11-01, models = { a = { input = 1 } } }",
        "prices.models.a.output",
        "embedding",
    ),
]
