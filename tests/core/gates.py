"""`[gate]` for tests: one that uses every key, and broken ones with what is said of them."""

WHOLE = """
[gate]
base = "origin/main"
format = "markdown"
prices = "prices/own.toml"
volumes = "noburn-volumes.json"
model = "gpt-6-luna"
customers = "1.5k"
plan_price = "$29"
per_call_max = "$0.02"
worst_call_max = 0.1
per_month_max = "$2k"
per_customer_month_max = "$4.50"
growth_max = ["10%", "$50"]
margin_min = "70%"
window_share_max = 0.5
models = ["gpt-6-*", "claude-haiku-*"]
warn = ["window_share_max"]

[[gate.prompt]]
files = ["prompts/**/*.md", "!prompts/drafts/*"]
kind = "text"
label = "nightly"
model = "gpt-6.1-sol"
variant = "batch"
output = "200-800"
cap = "2k"
cached_share = "80%"
calls_per_month = "20k"
feature = "chat"
customers = 120
plan_price = "$5"
growth_max = "200%"
warn = "growth_max"

[[gate.prompt]]
files = "app/*.py"
constants = ["*_PROMPT", "Agent.SYSTEM"]
variables = { name = "Ada", rows = [1, 2.5], day = 2026-11-01, document = { file = "tests/a.txt" } }
output = 300
calls_per_customer = 0.5

[[gate.prompt]]
files = ["prompts.yaml"]
keys = ["system", 'messages[*].content', '"a.b"[0]']
each = "prompts.*"
root = "templates"
calls_per_month = "ledger"
per_call_max = 1
worst_call_max = "$1"
per_month_max = "10usd"
per_customer_month_max = "$1"
margin_min = "0%"
window_share_max = "100%"
models = "gpt-*"

[gate.recording]
baseline = "ci/baseline.json"
tolerance = "15%"
calls_floor = 0
tokens_floor = 1000
cost_floor = "$0.01"
new_test_max = 1
"""

_PROMPT = '[[gate.prompt]]\nfiles = ["a.md"]\n'

#: (file, key that the error names, what else it says)
REFUSED = [
    ("gate = 3", "gate", "[gate]"),
    ("[gate]\nmodle = 'x'", "gate.modle", "did you mean `model`?"),
    ("[gate]\nbase = '-rf'", "gate.base", "branch"),
    ("[gate]\nformat = 'tabel'", "gate.format", "table"),
    ("[gate]\nprices = '/etc/x'", "gate.prices", "below"),
    ("[gate]\nprices = '*.toml'", "gate.prices", "pattern"),
    ("[gate]\nprices = '../x.toml'", "gate.prices", "below"),
    ("[gate]\nper_call_max = '2M'", "gate.per_call_max", "$2M"),
    ("[gate]\nper_call_max = true", "gate.per_call_max", "$0.02"),
    ("[gate]\nmodel = true", "gate.model", ": true is no text"),
    ("[gate]\nmodel = 1.50", "gate.model", ": 1.50 is no text"),
    ("[gate]\nplan_price = 0", "gate.plan_price", "margin"),
    ("[gate]\ngrowth_max = ['1%', '2%']", "gate.growth_max", "two percentages"),
    ("[gate]\ngrowth_max = []", "gate.growth_max", "empty"),
    ("[gate]\nmargin_min = 70", "gate.margin_min", "70%"),
    ("[gate]\nwindow_share_max = '120%'", "gate.window_share_max", "100 %"),
    ("[gate]\nmodels = []", "gate.models", "list"),
    ("[gate]\nwarn = ['growth']", "gate.warn", "growth_max"),
    ("[gate]\ncustomers = 0", "gate.customers", "0"),
    ("[gate]\ncustomers = 1.5", "gate.customers", "whole"),
    ("[gate]\nrecording = 1", "gate.recording", "[gate.recording]"),
    ("[gate.recording]\ncalls_floor = -1", "gate.recording.calls_floor", "whole number"),
    ("[gate.recording]\ntolerance = 0.1", "gate.recording.tolerance", "10%"),
    ("[gate]\nprompt = 1", "gate.prompt", "[[gate.prompt]]"),
    ("[[gate.prompt]]\nmodel = 'x'", "gate.prompt 1: files", "missing"),
    ("[[gate.prompt]]\nfiles = []", "gate.prompt 1: files", "list"),
    ("[[gate.prompt]]\nfiles = ['/a']", "gate.prompt 1 (/a): files", "below"),
    ("[[gate.prompt]]\nfiles = ['a/../b']", "gate.prompt 1 (a/../b): files", "below"),
    ("[[gate.prompt]]\nfiles = ['a**/b']", "files", "whole folders, alone"),
    ("[[gate.prompt]]\nfiles = ['!a']", "files", "only leaves files out"),
    (_PROMPT + "file = 1", "gate.prompt 1 (a.md): file", "did you mean `files`?"),
    (_PROMPT + "kind = 'txt'", "gate.prompt 1 (a.md): kind", "text"),
    (_PROMPT + "keys = ['a..b']", "gate.prompt 1 (a.md): keys", "no path of keys"),
    (_PROMPT + "variables = 'x'", "gate.prompt 1 (a.md): variables", "table"),
    (_PROMPT + "output = '800-200'", "gate.prompt 1 (a.md): output", "ends below its start"),
    (_PROMPT + "output = 0", "gate.prompt 1 (a.md): output", "0"),
    (_PROMPT + "output = 300\ncap = 200", "gate.prompt 1 (a.md): output", "than the cap"),
    (_PROMPT + "cap = -1", "gate.prompt 1 (a.md): cap", "number"),
    (_PROMPT + "variant = 'bulk'", "gate.prompt 1 (a.md): variant", "batch"),
    (_PROMPT + "calls_per_month = 'many'", "gate.prompt 1 (a.md): calls_per_month", "ledger"),
    (_PROMPT + "calls_per_customer = -1", "gate.prompt 1 (a.md): calls_per_customer", "from 0 on"),
    (
        _PROMPT + "calls_per_month = 1\ncustomers = 1\ncalls_per_customer = 1",
        "gate.prompt 1 (a.md): calls_per_customer",
        "three",
    ),
    (
        _PROMPT + "calls_per_month = 'ledger'\ncalls_per_customer = 1",
        "gate.prompt 1 (a.md): calls_per_customer",
        "ledger",
    ),
]
