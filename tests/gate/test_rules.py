"""Every rule: a case that passes and one that fails, and what cannot be checked is never silent."""

from __future__ import annotations

import pytest

from noburn_cli.core.gate_model import RULES
from tests.gate.repository import Repo, gate_toml, prices, words

#: 100 tokens and 50 of output: $0.0006 a call, $0.60 a thousand; 10 % of the window; at worst
#: $0.010116: 16 tokens may stand around the text, and 1,000 be answered.
_TERMS = 'files = ["a.md"]\nmodel = "test-small"\noutput = 50\n'
_CALLS = _TERMS + "calls_per_month = 1000\ncustomers = 10\n"

#: (rule, what passes, what fails, what the finding says)
_EACH = [
    ("per_call_max", '"$0.0006"', '"$0.0005"', "$0.0001 above the $0.0005"),
    ("worst_call_max", '"$0.010116"', '"$0.010115"', "can cost $0.010116 a call"),
    ("per_month_max", '"$0.60"', '"$0.59"', "$0.60 a month"),
    ("per_customer_month_max", '"$0.06"', '"$0.05"', "$0.06 a customer's month"),
    ("margin_min", '"40%"', '"41%"', "40 % of the plan's $0.10"),
    ("window_share_max", '"10%"', '"9%"', "10 % of the context window"),
    ("models", '["test-s*"]', '["gpt-*", "test-big"]', "`test-small`"),
]  # fmt: skip


#: Rules that [gate] has about all prompts together.
_TOGETHER = ("per_month_max", "per_customer_month_max", "margin_min")


@pytest.mark.parametrize(("rule", "passes", "fails", "said"), _EACH)
def test_a_rule_of_a_prompt(repo: Repo, rule: str, passes: str, fails: str, said: str) -> None:
    """The very limit passes, and what is beyond it fails; in `warn` it only warns."""
    tables = [
        _CALLS.replace("a.md", name) + f'{rule} = {limit}\nplan_price = "$0.10"\n{warn}'
        for name, limit, warn in (
            ("a.md", passes, ""),
            ("b.md", fails, ""),
            ("c.md", fails, f'warn = "{rule}"\n'),
        )
    ]
    repo.write(dict.fromkeys(("a.md", "b.md", "c.md"), words(100)))
    repo.write({"noburn.toml": gate_toml("", *tables)})
    done = repo.judged()
    assert done.findings == [(rule, "b.md", "error"), (rule, "c.md", "warning")]
    for finding in done.data["findings"]:
        assert said in finding["text"]
        assert finding["limit"]
        assert finding["value"]
    repo.write({"noburn.toml": gate_toml("", tables[0], tables[2])})
    assert repo.judged().code == 0


@pytest.mark.parametrize(("rule", "passes", "fails", "said"), _EACH)
def test_a_rule_of_all(repo: Repo, rule: str, passes: str, fails: str, said: str) -> None:
    subject = "total" if rule in _TOGETHER else "a.md"
    for limit, found in ((passes, []), (fails, [(rule, subject, "error")])):
        toml = gate_toml(f'{rule} = {limit}\nplan_price = "$0.10"', _CALLS)
        repo.write({"noburn.toml": toml, "a.md": words(100)})
        done = repo.judged()
        assert done.findings == found
        assert all(said in one["text"] for one in done.data["findings"])


#: (limit, tokens now, whether it passes): 100 tokens before, at $0.0006 a call.
_GROWTH = [
    ('"10%"', 160, True),
    ('"10%"', 161, False),
    ('"$0.06"', 160, True),
    ('"$0.06"', 161, False),
    ('["50%", "$0.06"]', 161, False),
    ('["10%", "$1"]', 161, False),
    ('"10%"', 50, True),
]


def test_growth_of_a_prompt(repo: Repo) -> None:
    names = [f"{number}.md" for number in range(len(_GROWTH))]
    tables = [
        _CALLS.replace("a.md", name) + f"growth_max = {limit}"
        for name, (limit, _, _) in zip(names, _GROWTH, strict=True)
    ]
    repo.commit({"noburn.toml": gate_toml("", *tables), **dict.fromkeys(names, words(100))})
    repo.write({name: words(one[1]) for name, one in zip(names, _GROWTH, strict=True)})
    assert repo.judged("--base", "HEAD").findings == [
        ("growth_max", name, "error")
        for name, (_, _, passes) in zip(names, _GROWTH, strict=True)
        if not passes
    ]


def test_growth_of_all(repo: Repo) -> None:
    repo.commit({"noburn.toml": gate_toml("", _CALLS), "a.md": words(100)})
    for limit, tokens, passes in _GROWTH:
        repo.write({"noburn.toml": gate_toml(f"growth_max = {limit}", _CALLS)})
        repo.write({"a.md": words(tokens)})
        found = [] if passes else [("growth_max", "total", "error")]
        assert repo.judged("--base", "HEAD").findings == found


def test_growth_without_calls_a_month_is_of_a_call(repo: Repo) -> None:
    """A prompt that is in no sum is held to the share by itself; to dollars it cannot be held."""
    repo.commit({"noburn.toml": gate_toml('growth_max = "10%"', _TERMS), "a.md": words(100)})
    repo.write({"a.md": words(200)})
    assert repo.judged("--base", "HEAD").findings == [("growth_max", "a.md", "error")]
    repo.write({"noburn.toml": gate_toml('growth_max = "$5"', _TERMS), "a.md": words(100)})
    done = repo.judged("--base", "HEAD")
    assert done.findings == [("growth_max", "total", "error")]
    assert "cannot be checked" in done.out


def test_what_is_new_grows_by_dollars_and_by_no_share(repo: Repo) -> None:
    other = _CALLS.replace("a.md", "b.md")
    repo.commit({"noburn.toml": gate_toml('growth_max = "50%"', _CALLS), "a.md": words(100)})
    repo.write(
        {"noburn.toml": gate_toml('growth_max = "50%"', _CALLS, other + 'growth_max = "1%"')}
    )
    repo.write({"b.md": words(100)})
    # A share of nothing is not told of b.md; but all together have doubled.
    assert repo.judged("--base", "HEAD").findings == [("growth_max", "total", "error")]
    repo.write({"noburn.toml": gate_toml("", _CALLS, other + 'growth_max = "$0.5"')})
    assert repo.judged("--base", "HEAD").findings == [("growth_max", "b.md", "error")]


def test_what_a_rule_needs_and_nobody_says_is_a_finding(repo: Repo) -> None:
    own = 'per_month_max = "$1"\nper_customer_month_max = "$1"\nmargin_min = "1%"\n'
    for toml, subject in ((gate_toml("", _TERMS + own), "a.md"), (gate_toml(own, _TERMS), "total")):
        repo.write({"noburn.toml": toml, "a.md": words(100)})
        done = repo.judged()
        rules = ("per_month_max", "per_customer_month_max", "margin_min")
        assert done.findings == [(rule, subject, "error") for rule in rules]
        for one, key in zip(
            done.data["findings"],
            ("calls_per_month", "calls_per_customer", "plan_price"),
            strict=True,
        ):
            assert "cannot be checked" in one["text"]
            assert f"`{key}`" in one["text"]


def test_a_prompt_that_is_in_no_sum_is_named(repo: Repo) -> None:
    """Goal: a dear prompt without customers or a price does not pass beside a cheap one."""
    dear = _TERMS.replace("a.md", "b.md") + "calls_per_month = 9000000\n"
    repo.write({"a.md": words(100), "b.md": words(900)})
    rules = 'per_customer_month_max = "$1"\nmargin_min = "70%"\n'
    repo.write({"noburn.toml": gate_toml(rules + 'plan_price = "$29"', _CALLS, dear)})
    done = repo.judged()
    both = [(one, "total", "error") for one in ("per_customer_month_max", "margin_min")]
    assert done.findings == both
    for one in done.data["findings"]:
        assert "a customer's calls of b.md are not known; say `calls_per_customer`" in one["text"]
    priced = _CALLS + 'plan_price = "$29"\n'
    repo.write({"noburn.toml": gate_toml('margin_min = "70%"', priced, dear)})
    done = repo.judged()
    assert done.findings == [("margin_min", "total", "error")]
    assert "a price that b.md can live on is not known" in done.data["findings"][0]["text"]
    # What no customer causes says so.
    nightly = dear + "calls_per_customer = 0"
    repo.write({"noburn.toml": gate_toml(rules + 'plan_price = "$29"', _CALLS, nightly)})
    assert repo.judged().findings == []


def test_what_is_called_new_has_not_escaped(repo: Repo) -> None:
    """Goal: moved and rewritten, or without a volume: neither passes a share of growth."""
    own = _CALLS.replace("a.md", "p/*.md") + 'growth_max = "10%"\n'
    repo.commit({"noburn.toml": gate_toml("", own), "p/a.md": words(100)})
    repo.git("mv", "p/a.md", "p/b.md")
    for text, found in (("other " * 900, [("growth_max", "p/b.md", "error")]), ("other", [])):
        repo.write({"p/b.md": text})
        done = repo.judged("--base", "HEAD")
        assert len(done.data["changes"]) == 2
        assert done.findings == found
    repo.write({"p/b.md": "other " * 900})
    text = repo.judged("--base", "HEAD").data["findings"][0]["text"]
    assert text.startswith("p/b.md, in place of p/a.md, costs 133.5 % more")
    # The table's patterns follow the file: it is the same table by its place.
    repo.git("mv", "p/b.md", "q.md")
    repo.write({"noburn.toml": gate_toml("", own.replace("p/*.md", "q.md"))})
    assert repo.judged("--base", "HEAD").findings == [("growth_max", "q.md", "error")]
    repo.commit({"noburn.toml": gate_toml('growth_max = "10%"', _CALLS), "a.md": words(100)})
    silent = _TERMS.replace("a.md", "b.md")
    repo.write({"noburn.toml": gate_toml('growth_max = "10%"', _CALLS, silent), "b.md": words(900)})
    done = repo.judged("--base", "HEAD")
    assert done.findings == [("growth_max", "total", "error")]
    assert "calls a month of b.md are not known" in done.data["findings"][0]["text"]


def test_what_was_free_is_told_in_one_number(repo: Repo) -> None:
    """All prompts together are many."""
    repo.commit({"noburn.toml": gate_toml("", _CALLS), "a.md": words(100)})
    free = (
        prices(small=0)
        .replace("output = 10\n", "output = 0\n")
        .replace("output = 10.0", "output = 0")
    )
    repo.commit({"prices.toml": free})
    repo.write({"noburn.toml": gate_toml('growth_max = "10%"', _CALLS), "prices.toml": prices()})
    (one,) = repo.judged("--base", "HEAD").data["findings"]
    assert "a month, and were free, above" in one["text"]


def test_without_an_expected_output_the_worst_case_is_judged(repo: Repo) -> None:
    silent = _CALLS.replace("output = 50\n", "")
    repo.write({"a.md": words(100)})
    for limit, code in (('"$0.010116"', 0), ('"$0.01"', 3)):
        repo.write({"noburn.toml": gate_toml(f"per_call_max = {limit}", silent)})
        done = repo.gate("--no-base")
        assert done.code == code
        assert ("no `output` is expected" in done.out) == bool(code)
        assert "$0.0001 (input)" in done.out
    # A cap lowers the worst case, and nothing is invented.
    repo.write({"noburn.toml": gate_toml('per_call_max = "$0.01"', silent + "cap = 900")})
    assert repo.gate("--no-base").code == 0


def test_a_margin_is_of_the_price_that_a_prompt_lives_in(repo: Repo) -> None:
    """Two features: one has a price of its own, the other lives in the plan's."""
    own = _CALLS + 'plan_price = "$0.10"\n'
    shared = _CALLS.replace("a.md", "b.md")
    files = {"a.md": words(100), "b.md": words(100)}
    toml = gate_toml('plan_price = "$0.20"\nmargin_min = "70%"', own, shared)
    repo.write({**files, "noburn.toml": toml})
    done = repo.judged()
    # $0.06 of $0.10 and of $0.20: 40 % is too little, 70 % is not.
    assert done.findings == [("margin_min", "a.md", "error")]
    assert done.data["after"]["margin"] == 0.7
    assert [one["after"]["margin"] for one in done.data["changes"]] == [0.4, None]


def test_every_rule_is_in_the_cases_above() -> None:
    assert {one[0] for one in _EACH} | {"growth_max"} == set(RULES)
