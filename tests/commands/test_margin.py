"""`noburn margin`, as a person meets it."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from noburn_cli.core.margin_quantities import NAMES
from noburn_cli.core.plan_use_words import KEYS
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
Inference      $5.00  500,000 tokens, at the reference rate
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
    found = answer("--price", "20", "--tokens", "2M", "--rate", "0")["break_even"]
    assert (found["reach"], found["tokens"]) == ("always", None)
    assert "they cost nothing" in margin("--price", "20", "--tokens", "2M", "--rate", "0").out


def test_an_overhead_above_the_price_leaves_no_tokens(margin):
    shown = margin("--price", "5", "--tokens", "1k", "--overhead", "6").out
    assert "Break-even       none: -20 % is left at best" in shown


def test_a_volume_that_is_asked_for_needs_none_to_be_said(margin, answer):
    shown = margin("--price", "20", "--sweep", "tokens=0..4M").out
    assert "Inference      $6.00  600,000 tokens" in shown
    assert "the month is that of the most that keep the target" in shown
    found = answer("--price", "20", "--solve", "tokens", "--target", "50%")
    assert (found["tokens"], found["margin_share"]) == (1_000_000, "0.5")


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


PLANS = """\
[fees]
percent = 2.9
fixed = 0.30

[plan.free]
price = 0
included = { tokens = "50k" }

[plan.flat]
price = 29

[plan.hybrid]
price = 29
included = { usage = "$5" }
overage = { markup = "20%" }

[free]
plan = "free"
users_per_payer = 4

[use.chat]
model = "plain"
tokens = "2M"
output = "50%"
"""


@pytest.fixture
def plans(tmp_path, monkeypatch):
    """A folder with the plans above, to stand in."""
    (tmp_path / "plans.toml").write_text(PLANS)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "plans.toml"


def test_a_mix_of_features_models_and_shares(answer):
    month = answer(
        *("--price", "20", "--use", "chat=model:plain,tokens:1M,output:20%,cached:50%,batch:50%"),
        *(
            "--use",
            "deep=model:tiered,input:400k,output:100k,calls:1",
            "--use",
            "faq=rate:1,tokens:1M",
        ),
        *("--overhead-request", "0.25"),
    )
    chat, deep, faq = month["uses"]
    assert (chat["cost"], deep["cost"], faq["cost"]) == ("2.13", "3.1", "1")
    assert month["inference"] == "6.23"
    assert month["overhead"] == "0.25"
    hits = answer("--price", "20", "--use", "chat=model:plain,tokens:1M,output:0%,hits:25%")
    assert hits["inference"] == "1.5"


def test_every_line_of_a_plan_that_has_them_all(answer, margin):
    arguments = (
        *("--price", "29", "--tokens", "2M", "--included", "1Mtok", "--overage", "12"),
        *("--fee-percent", "2.9", "--fee-fixed", "0.30", "--tax", "19", "--tax-included"),
        *("--yearly-share", "40%", "--yearly-discount", "20%", "--overhead", "1", "--seats", "2"),
        *("--free-users-per-payer", "10", "--free-tokens", "20k"),
    )
    month = answer(*arguments)
    lines = month["lines"]
    assert lines["base"] == "48.739495798"  # 58 ÷ 1.19.
    assert lines["overage"] == "20.168067227"
    assert month["free_tier"] == "2"
    assert lines["invoice_cents"] == 7736  # 58 x .92 + 24.
    shown = margin(*arguments).out
    assert "Price         $48.7395  $29.00 x 2 seats, less 19 % tax" in shown
    assert "19 % in the price: the customer pays $77.36" in shown
    assert "booked gross, 43.2 % of the $45.0084 booked net" in shown


def test_what_would_reach_the_target(margin, answer):
    base = ("--price", "20", "--tokens", "1M")
    shown = margin(*base, "--solve", "price").out
    assert "To keep 70 %, price: at least $33.34 a seat and month (now $20.00)." in shown
    assert "at most 600,000 tokens a seat and month" in margin(*base, "--solve", "tokens").out
    cache = margin(*base, "--solve", "cache").out
    assert "at least 40 % of the calls that a semantic cache answers (now 0 %)" in cache
    assert "coding about 0" in cache
    routed = answer(*base, "--solve", "routing", "--route-ratio", "10")["solved"]
    assert (routed["charged"], routed["shown"]) == (4445, "44.45 %")
    beyond = ("--included", "500ktok", "--overage", "10", "--solve", "overage")
    over = margin(*base, *beyond, "--target", "55%").out
    assert "To keep 55 %, overage: at least $4.45 per million tokens beyond (now $10.00)." in over
    assert "50 % is kept whatever the overage" in margin(*base, *beyond, "--target", "50%").out


def test_where_no_value_reaches_it_the_best_is_said(margin):
    base = ("--price", "20", "--tokens", "1M")
    routing = ("--solve", "routing", "--route-ratio", "2", "--target", "80%")
    assert "No routing reaches 80 %: even 100 % leaves 75 %." in margin(*base, *routing).out
    price = margin(*base, "--solve", "price", "--target", "98%", "--fee-percent", "2.9").out
    assert "No price reaches 98 %: however high, 97.1 % is left at best." in price
    assert "98 % price       none: 97.1 % is left at best for these tokens" in price
    # No fixed cost is in the way: each dollar of cost brings $1.20, and one in six stays.
    usage = ("--price", "0", "--tokens", "2M", "--overage", "20%", "--overhead", "1.5")
    shown = margin(*usage, "--solve", "tokens").out
    assert "Keeps 70 %       none: 16.67 % is left at best" in shown
    assert "No number of tokens reaches 70 %: however high, 16.67 % is left at best." in shown
    usage = ("--price", "0", "--overage", "20%", "--fee-percent", "2.9", "--fee-fixed", ".30")
    shown = margin(*usage, "--tokens", "1M").out
    assert "Break-even       from 181,599 tokens a month on" in shown


def test_a_rate_that_nobody_gave_is_the_reference_rate_wherever_it_stands(margin, plans):
    plans.write_text("[plan.a]\nprice = 20\n[plan.b]\nprice = 29\n[use.chat]\ntokens = '2M'\n")
    table = margin().out
    assert "$10.00 per million tokens is the reference rate for input; name yours" in table
    alone = margin("--plan", "a").out
    assert "2,000,000 tokens, at the reference rate" in alone
    assert "thin (0 to 55 %): nothing is left" in alone
    assert "the reference rate" not in margin("--rate", "3").out


def test_another_tax_stays_inside_a_price_that_contains_it(margin, plans):
    plans.write_text(
        "\ufeff[plan.a]\nprice = 59\n[tax]\npercent = 19\nincluded = true\n"
        "[use.chat]\ntokens = '1M'\nrate = 10\n"
    )
    shown = margin("--tax", "7").out
    assert "Revenue       $55.1402  a month" in shown
    assert "7 % in the price: the customer pays $59.00" in shown


def test_a_whole_seat_is_no_break_even(margin):
    seats = ("--price", "15", "--tokens", "100k", "--overhead", "40", "--sweep", "seats=1..6")
    shown = margin(*seats).out
    assert "first without a loss" in shown
    assert "thin         break-even" not in shown


def test_an_overage_is_sought_of_the_plans_that_have_one(margin, plans):
    plans.write_text(
        "[plan.a]\nprice = 20\n[plan.b]\nprice = 20\noverage = '20%'\nincluded = '$5'\n"
        "[use.chat]\ntokens = '1M'\nrate = 10\n"
    )
    shown = margin("--solve", "overage").out
    assert "`a` has no overage whose price could be sought." in shown
    assert "b: To keep 70 %, overage: at least" in shown


def test_plans_of_the_file_side_by_side(margin, answer, plans):
    shown = margin().out
    rows = {line.split()[0]: line.split() for line in shown.splitlines()[:4]}
    assert list(rows) == ["PLAN", "free", "flat", "hybrid"]
    assert rows["flat"][1] == "seat"
    assert rows["hybrid"][2] == "$37.40"  # $12 of usage, $7 of it beyond: 29 + 8.40.
    flat = answer("--plan", "flat", "--price", "40")
    assert (flat["plan"], flat["revenue"], flat["fees"]) == ("flat", "40", "1.46")
    assert flat["free_tier"] == "1.2"  # Four free users with 50,000 tokens at $6 a million.
    assert answer("--plan", "flat", "--tokens", "1M")["inference"] == "6"
    assert "did you mean `hybrid`" in margin("--plan", "hybrd", code=2).err
    assert margin("--plans", str(plans), "--plan", "flat").out.startswith("Revenue         $29.00")


def test_a_sweep_marks_where_a_promise_ends(margin, answer):
    base = ("--price", "20", "--tokens", "1M", "--sweep", "tokens=0..4M", "--points", "5")
    rows = [line.split() for line in margin(*base).out.splitlines() if "target" in line]
    assert rows[-1][:7] == ["600,000", "$20.00", "$6.00", "$14.00", "70", "%", "target"]
    swept = answer(*base)["sweep"]
    assert [row["value"] for row in swept["rows"]] == [
        *(0, 600_000, 900_000, 1_000_000, 2_000_000, 3_000_000, 4_000_000)
    ]  # fmt: skip
    assert [(e["value"], e["margin_share"], e["side"]) for e in swept["edges"]] == [
        (600_000, "0.7", "last"), (900_000, "0.55", "last"), (2_000_000, "0", "last"),
    ]  # fmt: skip
    price = answer("--price", "20", "--tokens", "1M", "--sweep", "price=10..50")["sweep"]
    assert price["edges"][0]["side"] == "first"
    bent = ("--price", "20", "--tokens", "1M", "--included", "1Mtok", "--overage", "12")
    assert answer(*bent, "--sweep", "tokens=0..4M")["sweep"]["bends"] == [
        {"value": 1_000_000, "reason": "allowance used up"}
    ]


def test_the_curve_in_the_terminal_and_as_a_picture(margin, tmp_path, plans):
    target = tmp_path / "margin.svg"
    shown = margin("--plan", "flat", "--plan", "hybrid", "--plot", "--save", str(target))
    assert "• flat  × hybrid" in shown.out
    assert "target 70 %" in shown.out
    assert shown.err == f"Saved {target}.\n"
    svg = target.read_text("utf-8")
    assert "Gross margin by tokens" in svg
    assert "flat: break-even" in svg
    assert (
        "cannot be saved" in margin("--price", "1", "--tokens", "1", "--save", "x.pdf", code=2).err
    )


def test_a_margin_below_what_was_asked_for_fails_after_it_is_shown(margin):
    base = ("--price", "20", "--tokens", "1M")
    shown = margin(*base, "--target", "60%", "--fail-below-target", code=3)
    assert "Gross margin  $10.00  50 %" in shown.out
    assert "the margin is 50 %, below 60 %" in shown.err
    margin(*base, "--target", "50%", "--fail-below-target")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--price", "20", "--use", "a=tokens:1M", "--tokens", "1M"), "does not go with --use"),
        (("--price", "20", "--use", "a=tokens:1", "--use", "a=tokens:1"), "called `a`"),
        (
            ("--price", "20", "--tokens", "1M", "--overage", "12", "--included", "$5"),
            "allowance in",
        ),
        (("--price", "20", "--tokens", "1M", "--solve", "seats"), "no quantity 'seats'"),
        (("--price", "20", "--tokens", "1M", "--solve", "overage"), "no overage"),
        (("--price", "20", "--tokens", "1M", "--solve", "routing"), "cheaper model"),
        (("--price", "20", "--tokens", "1M", "--routed", "10%"), "cheaper model"),
        (("--price", "20", "--tokens", "1M", "--route-ratio", "0.5"), "dearer"),
        (
            (*("--price", "20", "--tokens", "1M", "--model", "plain"), "--route-model", "tiered"),
            "`tiered` is not cheaper",
        ),
        (("--price", "20", "--tokens", "1M", "--free-tokens", "1k"), "number of free users"),
        (("--price", "20", "--tokens", "1M", "--conversion", "5%"), "what a free user uses"),
        (("--price", "20", "--tokens", "1M", "--tax-included"), "goes with --tax"),
        (("--price", "20", "--tokens", "1M", "--sweep", "tokens"), "--sweep cannot be read"),
        (("--price", "20", "--tokens", "1M", "--sweep", "cache=60%..0"), "upwards"),
        (("--price", "20", "--tokens", "1M", "--sweep", "cached=0..60%"), "rates of a model"),
        (
            ("--price", "20", "--tokens", "1M", "--yearly-discount", "20%"),
            "nobody pays by the year",
        ),
        (("--plans", "no.toml"), "there is no such file"),
        (("--price", "20", "--tokens", "1M", "--overhead-request", "1"), "counts requests"),
        (("--price", "0", "--tokens", "1M", "--overage", "1/req"), "counts requests"),
    ],
)
def test_what_does_not_go_together_is_refused(margin, monkeypatch, tmp_path, arguments, said):
    monkeypatch.chdir(tmp_path)
    shown = margin(*arguments, code=2)
    assert said in shown.err
    assert shown.out == ""


PAGE = Path(__file__).resolve().parents[2] / "docs" / "margin.md"
SESSIONS = re.findall(
    r"```console\n\$ noburn margin (.*?)\n(.*?)```", PAGE.read_text("utf-8"), re.S
)


@pytest.mark.parametrize(("command", "printed"), SESSIONS)
def test_the_sessions_of_the_page_are_what_is_printed(margin, command, printed):
    assert len(SESSIONS) == 2
    shown = margin(*shlex.split(command)).out
    _, dots, end = printed.partition("…\n")
    assert (end.rstrip() in shown) if dots else shown == printed


def test_the_page_names_every_key_of_a_use_and_every_quantity():
    page = PAGE.read_text("utf-8")
    for word in (*KEYS, *NAMES):
        assert f"`{word}`" in page
