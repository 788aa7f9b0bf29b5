"""A gate's first sentence: exact about amounts, signs, periods, and what is not known."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from noburn_cli.core import gate_model as gm
from noburn_cli.core.estimates import Span
from noburn_cli.render import gate_words as words
from tests.gate_results import (
    added,
    edited,
    finding,
    gate,
    grown,
    prompt,
    removed,
    unchanged,
)

CAP = edited(
    gm.CAP, "cap 1,024 → 2,048", 0, name="p/r.json", output_max=2048, worst_call=36_000_000
)
DEARER = replace(prompt("q.md"), cost_call=Span(8_000_000, 8_000_000), cost_month=Span(80, 80))
PRICE = gm.Change(
    prompt("q.md"),
    replace(DEARER, cost_month=Span(80_000_000_000, 80_000_000_000)),
    (gm.Cause(gm.PRICE, "input $2 → $4", 20_000_000_000),),
)
MODEL = edited(
    *(gm.MODEL, "model gpt-6.1-sol → gpt-6-luna", -40_000_000_000),
    model="gpt-6-luna",
    cost_month=Span(20_000_000_000, 20_000_000_000),
)
RANGE = grown("c.md", by=100, tokens=1000, calls=10_000, how="assumed")

CASES = {
    "grew": (gate(grown(), unchanged()), "+$216 a month (+21 %): system.md grew by 900 tokens"),
    "one": (gate(grown(by=1)), "+$0.24 a month (+<0.1 %): system.md grew by 1 token"),
    "shrank": (gate(grown(by=-900)), "-$216 a month (-22 %): system.md shrank by 900 tokens"),
    "new": (gate(added(), unchanged()), "+$60.00 a month (+100 %): translate.md is new"),
    "only new": (gate(added()), "+$60.00 a month: translate.md is new"),
    "removed": (gate(removed(), unchanged()), "-$60.00 a month (-50 %): old.md was removed"),
    "none": (gate(unchanged(), unchanged("b.md")), "No change: $120 a month for 2 prompts"),
    "prices": (
        gate(PRICE, unchanged()),
        "+$20.00 a month (+17 %): only prices changed, of gpt-6.1-sol",
    ),
    "model": (
        gate(MODEL),
        "-$40.00 a month (-67 %): a.md moved from gpt-6.1-sol to gpt-6-luna",
    ),
    "cap": (
        gate(CAP),
        (
            "No difference in the cost of a month: the output cap of r.json doubled from 1,024 "
            "to 2,048 tokens, so that a call may cost $0.0360"
        ),
    ),
    "call": (
        gate(grown(calls=None)),
        "+$0.0018 a call (+22 %): system.md grew by 900 tokens; calls a month are not known",
    ),
    "calls of several": (
        gate(grown(calls=None), grown("b.md", by=5, calls=None)),
        (
            "+$0.0018 a call (+22 %): system.md grew by 900 tokens, and 1 more prompt changed; "
            "calls a month are not known"
        ),
    ),
    "some calls": (
        gate(grown(), grown("b.md", by=5, calls=None)),
        (
            "+$216 a month (+22 %): system.md grew by 900 tokens, and 1 more prompt changed; "
            "calls a month are not known for 1 changed prompt"
        ),
    ),
    "two reasons": (
        gate(grown(), removed(calls=20_000), added(calls=100)),
        (
            "+$96.60 a month (+8.9 %): system.md grew by 900 tokens, old.md was removed, "
            "and 1 more prompt changed"
        ),
    ),
    "the largest goes the other way": (
        gate(removed(calls=60_000), grown(), grown("prompts/b.md")),
        (
            "+$72.00 a month (+3.2 %): system.md grew by 900 tokens, old.md was removed, "
            "and 1 more prompt changed"
        ),
    ),
    "range": (gate(RANGE), "About +$2.00 a month (+3.3 %): c.md grew by 100 tokens"),
    "input alone": (
        gate(grown(output=None)),
        "+$216 a month of input (+45 %): system.md grew by 900 tokens",
    ),
    "same short name": (
        gate(grown("a/system.md"), unchanged("b/system.md")),
        "+$216 a month (+21 %): a/system.md grew by 900 tokens",
    ),
    "renamed": (
        gate(replace(unchanged("new.md"), renamed_from="old.md")),
        "No difference in the cost of a month: new.md has a new name",
    ),
    "no base": (gate(unchanged(), base=None), "$60.00 a month for 1 prompt; compared with nothing"),
    "no base, no calls": (
        gate(unchanged(calls=None), base=None),
        (
            "$0.006 a call for prompts/faq.md, whose calls a month are not known; "
            "compared with nothing"
        ),
    ),
    "some calls, no base": (
        gate(unchanged(), unchanged("b.md", calls=None), base=None),
        (
            "$60.00 a month for 1 prompt, and 1 whose calls a month are not known; "
            "compared with nothing"
        ),
    ),
    "not costed": (
        gate(unchanged(), findings=[finding(rule=gm.KNOWN, path="p/x.json")]),
        (
            "No change in what could be costed: $60.00 a month for 1 prompt; "
            "p/x.json could not be costed"
        ),
    ),
    "several not costed": (
        gate(grown(), findings=[finding(rule=rule, path=rule) for rule in gm.CHECKS]),
        "+$216 a month (+22 %): system.md grew by 900 tokens; 3 prompts could not be costed",
    ),
    "nothing": (gate(), "No change: no prompt to cost"),
}


@pytest.mark.parametrize("case", CASES)
def test_the_sentence(case):
    result, expected = CASES[case]
    assert words.sentence(result) == expected


@pytest.mark.parametrize(
    ("kind", "fields", "expected"),
    [
        (gm.OUTPUT_EXPECTED, {"output": Span(400, 900)}, "went from 400 to 400–900 tokens"),
        (gm.OUTPUT_EXPECTED, {"output": None}, "the output of a.md is no longer expected"),
        (gm.CACHE, {"cached_share": Fraction(4, 5)}, "cached share of a.md went from 0 % to 80 %"),
        (gm.CALLS, {"calls_per_month": 20_000}, "calls a month of a.md went from 10,000 to 20,000"),
        (gm.MODEL, {"variant": "batch"}, "a.md went from standard to batch"),
        (gm.CAP, {"output_max": 512}, "the output cap of a.md was halved from 1,024 to 512"),
        (gm.CAP, {"output_max": 700}, "the output cap of a.md went from 1,024 to 700 tokens"),
        (gm.TOKENS, {}, "a.md was edited"),
    ],
)
def test_every_cause_has_its_clause(kind, fields, expected):
    assert expected in words.sentence(gate(edited(kind, "", 0, **fields), unchanged()))


def test_a_reason_goes_where_the_difference_goes():
    before, after = prompt("a.md", tokens=2_000), prompt("a.md", tokens=3_000, output=1)
    whole = after.cost_month.high - before.cost_month.high
    assert whole < 0
    causes = (
        gm.Cause(gm.TOKENS, "grew by 1,000 tokens", -2 * whole),
        gm.Cause(gm.OUTPUT_EXPECTED, "expected output 400 → 1 tokens", 2 * whole),
        gm.Cause(gm.CACHE, "cached share 0 % → 99 %", whole),
    )
    for order in (causes, causes[::-1]):
        said = words.sentence(gate(gm.Change(before, after, order)))
        assert said.endswith(": the expected output of a.md went from 400 to 1 tokens"), said


def test_every_kind_of_cause_is_worded():
    assert {*words._CLAUSES, gm.ADDED, gm.REMOVED} == set(gm.CAUSES)


def test_the_verdict():
    warning = finding(level=gm.WARNING)
    unknown = finding(rule=gm.KNOWN)
    assert words.verdict(gate()) == "Passed"
    assert words.verdict(gate(findings=[warning])) == "Passed: 1 warning"
    assert words.verdict(gate(findings=[finding(), finding()])) == "Failed: 2 rules broken"
    mixed = gate(findings=[finding(), unknown, warning])
    assert words.verdict(mixed) == "Failed: 1 rule broken, 1 problem, 1 warning"


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (Fraction(0), "0 %"),
        (Fraction(1, 100_000), "+<0.1 %"),
        (Fraction(-1, 200), "-0.5 %"),
        (Fraction(1, 20), "+5 %"),
        (Fraction(999, 10_000), "+10.0 %"),
        (Fraction(7_955, 100_000), "+8.0 %"),
        (Fraction(12), "+1,200 %"),
    ],
)
def test_a_difference_in_per_cent(share, expected):
    assert words.signed_percent(share) == expected
