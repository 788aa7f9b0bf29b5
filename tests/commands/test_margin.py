"""`noburn margin`, as a person meets it."""

from __future__ import annotations

import json

import pytest

from noburn_cli.main import main

#: Three rows with round rates: a plain model, one with a long-context tier, one that will change.
BOOK = """\
format = 1

[prefixes]

[[model]]
name = "plain"
provider = "openai"
family = "text"
tokenizer = "o200k_base"
context_window = 100000
output_max = 10000
cache_writes = "as_input"

[[model.rate]]
variant = "standard"
starts_on = 1970-01-01
checked_on = 2026-11-23
url = "https://example.com/prices"
input = 2
cache_read = 0.1
output = 10

[[model.rate]]
variant = "batch"
starts_on = 1970-01-01
checked_on = 2026-11-23
url = "https://example.com/prices"
input = 1
cache_read = 0.05
output = 5

[[model]]
name = "tiered"
provider = "openai"
family = "text"
tokenizer = "o200k_base"
context_window = 2000000
output_max = 10000
cache_writes = "as_input"

[[model.rate]]
variant = "standard"
starts_on = 1970-01-01
checked_on = 2026-11-23
url = "https://example.com/prices"
input = 2
output = 10
above = [{ input_tokens = 200000, input = 4, output = 15 }]

[[model.rate]]
variant = "standard"
starts_on = 2999-01-01
checked_on = 2026-11-23
url = "https://example.com/prices"
input = 3
output = 15
"""


@pytest.fixture
def margin(monkeypatch, tmp_path, capsys):
    """Run `noburn margin …` with the book above laid over the shipped one."""
    prices = tmp_path / "prices.toml"
    prices.write_text(BOOK)
    monkeypatch.setenv("NOBURN_HOME", str(tmp_path))
    monkeypatch.setenv("NOBURN_PRICES", str(prices))

    def run(*arguments, code=0):
        assert main(["margin", *arguments]) == code
        return capsys.readouterr()

    return run


@pytest.fixture
def answer(margin):
    """The first answer of `--json`, and the notes."""

    def run(*arguments):
        document = json.loads(margin(*arguments, "--json").out)
        assert (document["kind"], document["version"]) == ("noburn.margin", 1)
        return document["data"]["answers"][0] | {"notes": document["data"]["notes"]}

    return run


PLAIN_SESSION = """\
Revenue       $20.00  a month
Inference      $5.00  500,000 tokens
Gross margin  $15.00  75 %

Band             target (70 % or more), as classic SaaS (70 to 85 %)
Inference share  25 %, above the 15 to 20 % rule, which leaves $3.00 to $4.00
Break-even       2,000,000 tokens a month
Keeps 70 %       600,000 tokens a month at most
70 % price       $16.67 for these tokens

Rate: $10.00 per million tokens, the reference rate for input; name yours with --model or --rate.
"""


def test_the_whole_answer_at_the_reference_rate(margin):
    shown = margin("--price", "$20", "--tokens", "500k")
    assert shown.out == PLAIN_SESSION
    assert shown.err == ""


def test_break_even_is_said_where_it_is(margin):
    shown = margin("--price", "20", "--tokens", "2M").out
    assert "Gross margin   $0.00  0 %" in shown
    assert "2,000,000 tokens a month: this volume exactly; every token beyond loses money" in shown


@pytest.mark.parametrize(
    ("tokens", "band"),
    [
        ("2.1M", "under water"),
        ("2M", "thin"),
        ("901k", "thin"),
        ("900k", "healthy early"),
        ("601k", "healthy early"),
        ("600k", "target"),
        ("0", "target"),
    ],
)
def test_every_band_comes_out(answer, tokens, band):
    assert answer("--price", "20", "--tokens", tokens)["band"] == band


def test_a_fifty_dollar_plan_under_the_rule(answer, margin):
    allowed = answer("--price", "50", "--tokens", "1M")["inference_allowance"]
    assert allowed == {"low": "7.5", "high": "10"}
    assert "leaves $7.50 to $10.00" in margin("--price", "50", "--tokens", "1M").out


@pytest.mark.parametrize(
    ("tokens", "verdict"),
    [("299k", "below the 15"), ("300k", "at the edge"), ("400k", "at the edge"), ("401k", "above")],
)
def test_the_rule_of_fifteen_to_twenty_per_cent(margin, tokens, verdict):
    assert verdict in margin("--price", "20", "--tokens", tokens).out


def test_card_fees_take_eighty_eight_cents_of_twenty_dollars(answer, margin):
    fees = ("--fee-percent", "2.9", "--fee-fixed", "0.30")
    assert answer("--price", "20", "--tokens", "500k", *fees)["fees"] == "0.88"
    shown = margin("--price", "20", "--tokens", "500k", *fees).out
    assert "Payment fees   $0.88  2.9 % + $0.30, 4.4 % of revenue" in shown


def test_seats_multiply_all_but_the_one_payment_and_the_overhead(answer):
    month = answer(
        *("--price", "20", "--tokens", "500k", "--seats", "3", "--overhead", "2"),
        *("--fee-percent", "2.9%", "--fee-fixed", "0.30"),
    )
    assert month["revenue"] == "60"
    assert month["inference"] == "15"
    assert month["fees"] == "2.04"
    assert month["overhead"] == "2"
    assert month["margin"] == "40.96"


def test_a_price_of_zero_hints_at_the_shell_and_still_answers(margin):
    shown = margin("--price", "0", "--tokens", "2M")
    assert "the shell read `$2` as a variable" in shown.err
    assert "no revenue" in shown.out


def test_a_models_own_rates_over_a_split(answer):
    split = ("--output-share", "20%", "--cached-share", "50%")
    month = answer("--price", "20", "--tokens", "2M", "--model", "plain", *split)
    assert month["rate_dollars_per_million"] == "2.84"
    assert month["inference"] == "5.68"
    assert month["notes"] == []


def test_counts_of_input_and_output_say_the_same_as_a_share(answer):
    by_share = answer(
        "--price", "20", "--tokens", "2M", "--model", "plain", "--output-share", "0.2"
    )
    counts = ("--input-tokens", "1.6M", "--output-tokens", "400k")
    assert answer("--price", "20", "--model", "plain", *counts) == by_share


def test_a_variant_has_its_own_rates(answer):
    month = answer("--price", "20", "--tokens", "2M", "--model", "plain", "--variant", "batch")
    assert month["inference"] == "2"


def test_without_a_split_it_says_that_output_costs_more(margin):
    shown = margin("--price", "20", "--tokens", "2M", "--model", "plain").out
    assert "All tokens are priced as input" in shown


def test_calls_decide_the_long_context_rates(answer):
    base = ("--price", "20", "--tokens", "2M", "--model", "tiered", "--output-share", "0%")
    unknown, short, at_edge, long = (
        answer(*base),
        answer(*base, "--calls", "1k"),
        answer(*base, "--calls", "10"),
        answer(*base, "--calls", "9"),
    )
    assert [m["inference"] for m in (unknown, short, at_edge, long)] == ["4", "4", "4", "8"]
    # A call and a bit more than the edge is a long call: 2,000,001 tokens in 10 calls.
    over = answer(*base[:2], "--tokens", "2000001", *base[4:], "--calls", "10")
    assert over["rate_dollars_per_million"] == "4"
    assert any("above 200,000 input tokens" in note for note in unknown["notes"])
    assert not any("above 200,000" in note for note in long["notes"])


def test_coming_rates_are_named(answer):
    notes = answer("--price", "20", "--tokens", "2M", "--model", "tiered", "--calls", "1k")["notes"]
    assert "tiered: other rates hold from 2999-01-01." in notes


def test_models_side_by_side(margin):
    models = ("--model", "plain", "--model", "tiered")
    shown = margin("--price", "20", "--tokens", "2M", "--output-share", "20%", *models).out
    header, plain, tiered, *_ = shown.splitlines()
    assert header.split()[:3] == ["MODEL", "$/M", "COST"]
    assert plain.split() == [
        *("plain", "$3.60", "$7.20", "$12.80", "64", "%", "healthy", "early"),
        *("5,555,555", "1,666,666"),
    ]
    assert tiered.startswith("tiered")


def test_a_rate_of_ones_own(answer):
    month = answer("--price", "20", "--tokens", "2M", "--rate", "0.0375")
    assert month["rate_dollars_per_million"] == "0.0375"
    assert month["inference"] == "0.075"


def test_free_tokens_never_reach_a_break_even(answer, margin):
    assert answer("--price", "20", "--tokens", "2M", "--rate", "0")["break_even"] == {
        "reach": "always",
        "tokens": None,
    }
    assert "they cost nothing" in margin("--price", "20", "--tokens", "2M", "--rate", "0").out


def test_an_overhead_above_the_price_leaves_no_tokens(margin):
    shown = margin("--price", "5", "--tokens", "1k", "--overhead", "6").out
    assert "Break-even       none: the fixed costs alone are too high" in shown


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--price", "20"), "say how many tokens"),
        (("--price", "20", "--tokens", "1M", "--input-tokens", "1"), "say how many tokens"),
        (("--price", "20M", "--tokens", "1M"), "--price is ambiguous"),
        (("--price", "20", "--tokens", "2Mreq"), "--tokens cannot be read"),
        (("--price", "-20", "--tokens", "2M"), "--price cannot be read"),
        (("--price", "20", "--tokens", "1", "--output-share", "20"), "is ambiguous"),
        (("--price", "20", "--tokens", "1", "--output-share", "20%"), "needs the rates of a model"),
        (("--price", "20", "--tokens", "1", "--variant", "batch"), "needs the rates of a model"),
        (("--price", "20", "--tokens", "1", "--rate", "1", "--model", "plain"), "combined"),
        (
            ("--price", "20", "--input-tokens", "1", "--output-share", "1%", "--model", "plain"),
            "--output-share goes with --tokens",
        ),
        (("--price", "20", "--tokens", "1", "--calls", "0", "--model", "plain"), "--calls is 0"),
        (("--price", "20", "--tokens", "2M", "--calls", "3", "--model", "plain"), "average call"),
        (("--price", "20", "--tokens", "1", "--fee-percent", "101"), "above 100 %"),
        (("--tokens", "2M"), "--price"),
        (("--price", "20", "--tokens", "1", "--seats", "0"), "--seats"),
    ],
)
def test_what_cannot_be_meant_is_refused(margin, arguments, said):
    shown = margin(*arguments, code=2)
    assert said in shown.err
    assert shown.out == ""


@pytest.mark.parametrize(
    ("model", "extra", "said"),
    [
        ("plane", (), "no model `plane`"),
        ("plain", ("--variant", "priority"), "no priority price"),
    ],
)
def test_what_has_no_price_is_an_error_and_never_free(margin, model, extra, said):
    shown = margin("--price", "20", "--tokens", "1M", "--model", model, *extra, code=1)
    assert said in shown.err
    assert shown.out == ""


def test_a_retired_model_is_warned_about(margin, tmp_path):
    gone = BOOK.replace('name = "plain"\n', 'name = "plain"\nretires_on = 2026-01-01\n')
    (tmp_path / "prices.toml").write_text(gone)
    shown = margin("--price", "20", "--tokens", "2M", "--model", "plain")
    assert shown.err == "warning: `plain` was switched off by its provider on 2026-01-01\n"
    assert "plain" in shown.out


def test_tokens_may_say_their_unit(margin):
    plain = margin("--price", "20", "--tokens", "2M").out
    assert margin("--price", "20usd", "--tokens", "2Mtok").out == plain


def test_models_side_by_side_say_what_their_numbers_are(margin):
    shown = margin("--price", "20", "--tokens", "2M", "--model", "plain", "--model", "tiered").out
    assert "Per month: amounts in dollars, break-even and 70 % margin in tokens." in shown


def test_card_fees_of_a_twenty_dollar_plan(margin):
    """2.9 % + $0.30 on $20 is $0.88, 4.4 points of margin."""
    shown = margin(
        "--price", "20", "--tokens", "500k", "--fee-percent", "2.9", "--fee-fixed", "0.30"
    ).out
    assert "Payment fees   $0.88  2.9 % + $0.30, 4.4 % of revenue" in shown
    assert "Gross margin  $14.12  70.6 %" in shown
