"""Recorded runs against their baseline: each verdict, each cause, both formats."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noburn_cli.core.gate_model import ERROR
from noburn_cli.core.recorded_comparison import (
    CHEAPER,
    DEARER,
    NEW,
    NOT_RUN,
    SAME,
    UNSURE,
    VANISHED,
    compare,
    updated,
)
from noburn_cli.core.recorded_files import (
    format_baseline,
    format_recording,
    parse_baseline,
    parse_recording,
)
from noburn_cli.core.recorded_findings import findings, left_out_note
from noburn_cli.core.recorded_runs import (
    FAILED,
    FIXTURE,
    ModelUse,
    RateKey,
    RecordedTest,
    Recording,
    Tolerance,
    merged,
)
from noburn_cli.errors import UsageError

_KEYS = st.sampled_from(
    [
        "tests",
        "rates",
        "name",
        "run",
        "not_run",
        "replayed",
        "book",
        "a::b",
        "model",
        "models",
        "calls",
        "cost_usd",
        "line",
        "outcome",
        "input",
        "usd_per_million",
        "uncertain",
    ]
)
SMALL = RateKey("gpt-6-luna", "standard", 0)
LARGE = RateKey("gpt-6.1-sol", "standard", 0)
#: Pico-dollars a token.
RATES = {SMALL: {"input": 250_000, "output": 2_000_000}, LARGE: {"input": 1_250_000}}
RATES[LARGE]["output"] = 10_000_000


def use(calls, *, at=SMALL, tokens=1_000, out=100, rates=RATES):
    usage = {"input": calls * tokens, "output": calls * out}
    pico = sum(count * rates[at][kind] for kind, count in usage.items())
    return ModelUse(at, calls, usage, pico // 1_000)


def ran(name, *uses, **more):
    return RecordedTest(f"tests/test_agent.py::{name}", uses=uses, **more)


def recording(*tests, rates=RATES, not_run=()):
    return Recording("agents", "r1", {test.name: test for test in tests}, frozenset(not_run), rates)


def verdicts(result):
    return {change.name.partition("::")[2]: change.verdict for change in result.changes}


def test_each_verdict():
    baseline = recording(
        *(ran(name, use(12)) for name in ("same", "more", "fewer", "failed", "gone", "skipped")),
        RecordedTest("tests/test_other.py::elsewhere", uses=(use(12),)),
        RecordedTest("tests/test_deleted.py::deleted", uses=(use(12),)),
    )
    now = recording(
        ran("same", use(13)),
        ran("more", use(40)),
        ran("fewer", use(3)),
        ran("failed", use(3), outcome=FAILED),
        ran("new", use(1)),
        ran("silent"),
        not_run=["tests/test_agent.py::skipped"],
    )
    result = compare(baseline, now, Tolerance(), missing_files=["tests/test_deleted.py"])
    assert verdicts(result) == {
        "more": DEARER,
        "new": NEW,
        "fewer": CHEAPER,
        "failed": UNSURE,
        "gone": VANISHED,
        "deleted": VANISHED,
        "skipped": NOT_RUN,
        "elsewhere": NOT_RUN,
        "same": SAME,
    }
    assert not result.passed
    dearer = result.changes[0]
    assert dearer.grown == ("calls", "tokens", "cost")
    assert dearer.causes[0].text == "calls 12 → 40"
    # Tests that did not run, or vanished, make a run no cheaper.
    assert result.difference_nano == use(13 + 40 + 3 + 1).cost_nano - use(3 * 12).cost_nano

    written = updated(baseline, result)
    calls = {name.partition("::")[2]: test.calls for name, test in written.tests.items()}
    assert calls == {
        "same": 12,
        "more": 40,
        "fewer": 3,
        "failed": 12,
        "new": 1,
        "silent": 0,
        "skipped": 12,
        "elsewhere": 12,
    }
    assert compare(written, now, Tolerance()).passed


def test_a_floor_and_a_share_have_to_be_passed_both():
    half = Tolerance(share=Fraction(1, 2), calls=5, tokens=10**9, cost_nano=10**15)
    baseline = recording(ran("few", use(4)), ran("many", use(100)))
    for few, many, passes in [(9, 150, True), (10, 150, False), (9, 151, False)]:
        assert (
            compare(baseline, recording(ran("few", use(few)), ran("many", use(many))), half).passed
            is passes
        )


def test_a_new_test_may_be_limited():
    now = recording(ran("old", use(1)), ran("new", use(2)))
    baseline = recording(ran("old", use(1)))
    cost = use(2).cost_nano
    assert compare(baseline, now, Tolerance(new_max_nano=cost)).passed
    assert not compare(baseline, now, Tolerance(new_max_nano=cost - 1)).passed
    # Without a baseline every test is new, and none is too dear.
    assert compare(None, now, Tolerance(new_max_nano=0)).passed


def test_another_price_is_no_dearer_test():
    dear = {SMALL: {kind: 3 * rate for kind, rate in RATES[SMALL].items()}}
    baseline = recording(ran("agent", use(12)))
    result = compare(
        baseline, recording(ran("agent", use(12, rates=dear)), rates=dear), Tolerance()
    )
    assert result.passed
    assert verdicts(result) == {"agent": SAME}
    assert result.difference_nano == 0
    assert result.price_nano == 2 * use(12).cost_nano
    assert [cause.text for cause in result.changes[0].causes] == ["prices changed"]
    # The baseline is carried to the new rates, so that the price is told once.
    again = compare(updated(baseline, result), result.recording, Tolerance())
    assert again.price_nano == 0


@pytest.mark.parametrize(
    ("after", "kinds"),
    [
        (use(12, tokens=4_000), ["tokens"]),
        (use(12, at=LARGE), ["model"]),
        (use(40, at=LARGE, tokens=4_000), ["calls", "model", "tokens"]),
    ],
)
def test_causes_add_up(after, kinds):
    result = compare(recording(ran("agent", use(12))), recording(ran("agent", after)), Tolerance())
    (change,) = result.changes
    assert [cause.kind for cause in change.causes] == kinds
    assert sum(cause.nano for cause in change.causes) == change.difference_nano
    assert all(cause.nano > 0 for cause in change.causes)


def test_uncertain_and_blocked_calls_are_no_evidence_of_being_cheap():
    baseline = recording(ran("lost", use(12)), ran("blocked", use(12)))
    now = recording(
        ran("lost", use(2), uncertain=1, uncertain_nano=10**12), ran("blocked", use(2), blocked=1)
    )
    result = compare(baseline, now, Tolerance())
    assert set(verdicts(result).values()) == {UNSURE}
    assert result.passed
    assert updated(baseline, result).tests == baseline.tests


def test_calls_that_were_stopped_were_tried():
    """A played run refuses what has no answer: an agent that swallows that hides nothing."""
    baseline = recording(ran("hides", use(3)), ran("other", use(3)))
    now = recording(ran("hides", use(3), refused=37), ran("other", use(2), refused=1))
    now = replace(now, replayed=True)
    result = compare(baseline, now, Tolerance())
    assert not result.passed
    assert verdicts(result) == {"hides": DEARER, "other": UNSURE}
    assert result.changes[0].causes[0].text == "calls 3 → 40 (37 of them stopped)"
    name = "tests/test_agent.py::other"
    only = compare(baseline, replace(now, tests={name: now.tests[name]}), Tolerance(), label="b")
    assert not only.passed
    errors = [one.text for one in findings(only) if one.level == ERROR]
    assert len(errors) == 1
    assert "1 call of it had no recorded answer" in errors[0]
    # A live run's budget may stop calls: that proves nothing, and breaks nothing.
    live = recording(ran("hides", use(3), refused=1), ran("other", use(3)))
    assert compare(baseline, live, Tolerance()).passed


def test_a_test_that_called_nothing_is_known():
    quiet = recording(ran("quiet"), ran("agent", use(1)))
    baseline = parse_baseline(
        format_baseline(updated(None, compare(None, quiet, Tolerance()))), origin="b"
    )
    assert verdicts(compare(baseline, quiet, Tolerance())) == {"agent": SAME, "quiet": SAME}
    result = compare(baseline, recording(ran("quiet", use(40)), ran("agent", use(1))), Tolerance())
    assert not result.passed
    assert [cause.text.partition(" (")[0] for cause in result.changes[0].causes] == [
        "calls 0 → 40",
        "tokens 0 → 44,000",
    ]
    assert sum(cause.nano for cause in result.changes[0].causes) == use(40).cost_nano
    # Gone, it is missed by nobody.
    gone = compare(baseline, recording(ran("agent", use(1))), Tolerance())
    assert verdicts(gone) == {"agent": SAME}
    assert len(updated(baseline, gone).tests) == 1


def test_a_new_one_whose_bill_is_not_known_counts_at_its_bound_and_is_named():
    now = recording(ran("old", use(1)), ran("new", uncertain=2, uncertain_nano=5_000_000))
    baseline = recording(ran("old", use(1)))
    result = compare(baseline, now, Tolerance(new_max_nano=4_999_999), label="b")
    assert not result.passed
    assert "is new and costs up to $0.005" in findings(result)[0].text
    assert "::new" in (left_out_note(result) or "")
    within = compare(baseline, now, Tolerance(new_max_nano=5_000_000), label="b")
    assert within.passed
    assert [one for one in findings(within) if "no baseline can be made of" in one.text]
    assert left_out_note(compare(baseline, baseline, Tolerance())) is None


def test_shards_are_one_run():
    def fixture(calls):
        return RecordedTest("tests::index (session)", kind=FIXTURE, outcome="", uses=(use(calls),))

    one = recording(ran("a", use(1)), fixture(2), not_run=["tests/test_agent.py::b"])
    other = recording(ran("b", use(1)), fixture(3), not_run=["tests/test_agent.py::a"])
    both = merged([one, other])
    assert {name.partition("::")[2]: test.calls for name, test in both.tests.items()} == {
        "a": 1,
        "b": 1,
        "index (session)": 5,
    }
    assert both.not_run == frozenset()
    assert both.cost_nano == one.cost_nano + other.cost_nano
    with pytest.raises(ValueError, match=r"test_agent\.py::a"):
        merged([one, one])


def test_what_is_written_is_read_again():
    fixture = RecordedTest("tests::index (session)", kind=FIXTURE, outcome="", uses=(use(2),))
    batch = RateKey("gpt-6-luna", "batch", 272_000)
    rates = {**RATES, batch: {"input": 37_500, "web_search": 10_000_000_000}}
    odd = ModelUse(batch, 1, {"input": 3, "web_search": 2}, 20_000_000)
    whole = recording(
        ran('a[ü "quoted"]', odd, use(2), use(1, at=LARGE), failed=1, blocked=2),
        ran("b", outcome=FAILED, uncertain=1, uncertain_nano=17),
        fixture,
        rates=rates,
        not_run=["tests/test_agent.py::c"],
    )
    again = parse_recording(format_recording(whole), origin="agents.json")
    assert format_recording(again) == format_recording(whole)
    assert again.tests[fixture.name] == fixture
    assert again.rates == dict(sorted(rates.items()))
    assert again.cost_nano == whole.cost_nano

    baseline = updated(None, compare(None, whole, Tolerance()))
    text = format_baseline(baseline)
    assert format_baseline(parse_baseline(text, origin="b.json")) == text
    # A line for each test and model: what a reviewer sees of one more call.
    assert '   {"line": "fixture", "model": "gpt-6-luna", "calls": 2, ' in text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "JSONDecodeError"),
        ("[]", "it is no noburn baseline"),
        ('{"kind": "noburn.baseline", "version": 2}', "version 2"),
        (
            '{"kind": "noburn.baseline", "version": 1, "tests": {"a": [1]}, "rates": []}',
            "Attribute",
        ),
        (
            (
                '{"kind": "noburn.baseline", "version": 1, "rates": [], "tests": '
                '{"a": [{"model": "m", "calls": -1, "cost_usd": "1"}]}}'
            ),
            "-1 is no count",
        ),
    ],
)
def test_what_is_no_baseline_is_refused(text, says):
    with pytest.raises(UsageError) as caught:
        parse_baseline(text, origin="noburn-baseline.json")
    assert says in str(caught.value) + str(caught.value.why)
    assert "noburn-baseline.json" in caught.value.message


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 10**7) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(_JSON, st.sampled_from([(parse_baseline, "baseline"), (parse_recording, "recording")]))
def test_whatever_a_file_holds_is_read_or_refused_by_name(value, reader):
    read, kind = reader
    whole = {"kind": f"noburn.{kind}", "version": 1}
    if isinstance(value, dict):
        value = {**value, **whole}
    with contextlib.suppress(UsageError):
        again = read(json.dumps(value), origin="file")
        assert compare(again, again, Tolerance()).passed
