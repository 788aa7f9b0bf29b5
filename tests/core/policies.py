"""Policy files for tests: one that uses every key, and broken ones with what is said of them."""

WHOLE = """
[[budget]]
scope = "customer=each"
limit = "$5"
per = "month"
zone = "Europe/Berlin"
anchor = 15
carry = "$2"
action = "downgrade"
downgrade = { "gpt-6.1-sol" = "gpt-6-luna", "*" = "gpt-6-luna" }
thresholds = [100, 50, 80]
notify = ["ops", "finance"]
from = 2027-01-01
until = "2027-07-01T00:00+02:00"

[[budget]]
scope = "global"
limit = "200ktok"
per = "call"

[[budget]]
scope = "customer=acme"
limit = "60req"
per = "60s"
override = true

[[budget]]
scope = "tag.team=blue"
limit = 0.5
per = "week"
anchor = "sun"
"""

_GOOD = '[[budget]]\nscope = "customer=acme"\nlimit = "$5"\n'


def _with(line: str, per: str = "month") -> str:
    return f'{_GOOD}per = "{per}"\n{line}\n'


#: (file, table and key that the error names, what else it says)
REFUSED = [
    ('budget = "$5"', "budget", "[[budget]]"),
    ("[budget]\nlimit = 5", "budget", "[[budget]]"),
    ("[[budgets]]\nlimit = 5", "budgets", "did you mean `budget`?"),
    ("[[budget]]\nlimit = 5", "budget 1: scope", "customer=each"),
    ('[[budget]]\nscope = "global"', "budget 1 (global): limit", "missing"),
    (_GOOD + "limits = 5", "budget 1 (customer=acme): limits", "did you mean `limit`?"),
    (_GOOD + _GOOD.replace("acme", "b") + "perr = 1", "budget 2 (customer=b): perr", "`per`"),
    (_GOOD.replace("customer", "custmer"), "budget 1 (custmer=acme): scope", "customer"),
    (_GOOD.replace('"customer=acme"', "7"), "budget 1: scope", "it takes"),
    (_GOOD.replace('"$5"', '"2M"'), "limit", "2Mtok"),
    (_GOOD.replace('"$5"', "true"), "limit", "it takes"),
    (_GOOD.replace('"$5"', "1e999"), "limit", "no amount"),
    (_with("", per="fortnight"), "per", "fortnight"),
    (_with("", per="400d"), "per", "366d"),
    (_with('override = "yes"'), "override", "it takes"),
    (_with('action = "blok"'), "action", "block, kill, warn"),
    (_with('zone = "Europe/Berln"'), "zone", "Europe/Berlin"),
    (_with('zone = "Europe/Berlin"', per="total"), "customer=acme", "windows of the calendar"),
    (_with("anchor = 32"), "anchor", "1 to 31"),
    (_with('anchor = "mon"'), "anchor", "1 to 31"),
    (_with("anchor = 8", per="week"), "anchor", "mon to sun"),
    (_with("anchor = 2", per="day"), "customer=acme", "week or month begins"),
    (_with('carry = "2Mtok"'), "carry", "in tokens, the limit in dollars"),
    (_with('carry = "$2"', per="24h"), "customer=acme", "begin anew"),
    (_with('downgrade = { a = "b" }'), "customer=acme", "downgrade"),
    (_with('action = "downgrade"'), "customer=acme", "to which models"),
    (_with('action = "downgrade"\ndowngrade = { a = "b", b = "a" }'), "downgrade", "circle"),
    (_with('action = "downgrade"\ndowngrade = { a = 1 }'), "downgrade", "no model's name"),
    (_with("thresholds = [0]"), "thresholds", "1 to 1000"),
    (_with('thresholds = ["80%"]'), "thresholds", "[50, 80, 100]"),
    (_with("thresholds = [80]", per="call"), "customer=acme", "each single call"),
    (_with('action = "bill"', per="call"), "customer=acme", "each single call"),
    (_with('notify = ["ops"]'), "customer=acme", "no thresholds"),
    (_with('thresholds = [80]\nnotify = ["O ps"]'), "notify", "[notify.NAME]"),
    (_with('from = "soon"'), "from", "2027-01-01"),
    (_with("from = 7"), "from", "2027-01-01"),
    (_with("from = 2027-01-02\nuntil = 2027-01-02"), "customer=acme", "end before it begins"),
]
