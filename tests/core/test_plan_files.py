"""plans.toml: what the page shows is read as it says, and what is wrong is named."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import pytest

from noburn_cli.core.plan_files import parse_plans
from noburn_cli.core.plan_use_words import parse_use
from noburn_cli.core.plans import Credits, Included, Kind, Overage
from noburn_cli.errors import UsageError
from noburn_cli.plans_file import load_plans

DOLLAR = 10**9
PAGE = Path(__file__).resolve().parents[2] / "docs" / "plans.md"


def page_example():
    found = re.search(r"```toml\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert found is not None
    return found[1]


def test_the_example_of_the_page_is_read():
    file = parse_plans("plans.toml", page_example())
    kinds = {name: plan.kind for name, plan in file.plans.items()}
    assert kinds == {
        "free": Kind.FREE, "team": Kind.SEAT, "pro": Kind.HYBRID, "payg": Kind.USAGE,
        "credits": Kind.CREDITS,
    }  # fmt: skip
    team, pro, payg = (file.plan(name) for name in ("team", "pro", "payg"))
    assert (team.yearly_discount, team.yearly_share) == (Fraction(1, 5), Fraction(2, 5))
    assert (team.fee_share, team.fee_fixed_nano) == (Fraction(29, 1000), 300_000_000)
    assert (team.tax, team.tax_included) == (Fraction(19, 100), True)
    assert (team.overhead_nano, team.overhead_request_nano) == (1_500_000_000, 100_000)
    assert pro.included == Included(cost_nano=5 * DOLLAR)
    assert pro.overage == Overage(markup=Fraction(1, 5))
    assert pro.maximum_nano == 200 * DOLLAR
    assert payg.included == Included(tokens=0)
    assert payg.fee_share == Fraction(14, 1000)
    assert file.plan("credits").credits == Credits(1000, 20_000_000, tokens=1000, months=3)
    assert file.free is not None
    assert file.free.users_per_payer == 19
    (chat,) = file.uses_of("pro")
    assert (chat.tokens, chat.output, chat.batch) == (400_000, Fraction(1, 5), Fraction(1, 10))
    assert [use.tokens for use in file.uses_of("free")] == [40_000]
    for key in ("price", "seats", "per", "yearly", "included", "overage", "credits", "kind"):
        assert f"`{key}`" in PAGE.read_text("utf-8")


def test_a_year_may_say_its_price_and_the_keys_of_others_stay_theirs():
    file = parse_plans(
        "p", "[plan.a]\nprice = 20\nyearly = { price = 192 }\n[simulation]\nseed = 1.5\n"
    )
    assert file.plan("a").yearly_discount == Fraction(1, 5)
    assert str(file.simulation["seed"]) == "1.5"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[plan.a]\nprise = 1", "`plan.a.prise`: there is no such key|did you mean `price`"),
        ("[plans.a]\nprice = 1", "did you mean `plan`"),
        ("[fees]\npercent = 3", "it has no plan"),
        ("[plan.a]\nprice = '2M'", "`plan.a.price`: an amount is ambiguous"),
        ("[plan.a]\nprice = true", "neither a number nor a text"),
        ("[plan.a]\nprice = 1e999999", "is no amount"),
        ("[plan.a]\noverage = 'stpo'", "`plan.a.overage`: an overage cannot be read from 'stpo'"),
        ("[plan.a]\noverage = { markup = 0.2 }", "write it like 20%"),
        ("[plan.a]\noverage = { markup = '9%', per_million = 1 }", "say one of per_million"),
        ("[plan.a]\nincluded = {}", "it limits nothing"),
        (
            "[plan.a]\nincluded = { usage = 5 }\noverage = { per_million = 1 }",
            "`plan.a`: an overage per tokens goes with an allowance in tokens",
        ),
        ("[plan.a]\nprice = 5\nkind = 'usage'", "this plan is `seat`"),
        ("[plan.a]\nprice = 5\nyearly = { price = 61 }", "more than twelve months"),
        ('[plan." "]\nprice = 5', "a plan has no name"),
        ("[plan.a]\ncredits = { tokens = 1, months = 121 }", "120 months at most, or for ever"),
        ("[plan.a]\ncredits = { tokens = 1, months = 0 }", "lasts a month at least|months >= 1"),
        ("[plan.a]\nprice = 5\nseats = '100M'", "1 to 10,000,000 seats: 100,000,000 were said"),
        ("[plan.a]\nprice = 5\ntrial_days = 367", "0 to 366 trial days: 367 were said"),
        ("[plan.a]\nprice = 5\nyearly = { share = '1%' }", "say either `discount`"),
        ("[plan.a]\nprice = 5\n[free]\nplan = 'b'\nconversion = '5%'", "known: a"),
        ("[plan.a]\nprice = 5\n[free]\nplan = 'a'\nconversion = 0", "leaves nobody who pays"),
        ("[plan.a]\nprice = 5\n[use.chat]\ntoken = '1M'", "did you mean `tokens`"),
        ("[plan.a]\nprice = 5\n[use.chat]\nmodel = 'x'", "say how many tokens"),
        ("[plan.a\n", "it is not TOML"),
    ],
)
def test_what_is_wrong_is_named_with_file_and_key(text, said):
    with pytest.raises(UsageError) as caught:
        parse_plans("my/plans.toml", text)
    shown = " ".join(caught.value.lines())
    assert "my/plans.toml" in shown
    for part in said.split("|"):
        assert part in shown


def test_a_use_reads_as_people_write_it():
    use = parse_use("chat=model:gpt-x, tokens:400k,output:20%,cached:30%,batch:10%,calls:1k")
    assert (use.name, use.model, use.tokens, use.calls) == ("chat", "gpt-x", 400_000, 1000)
    counts = parse_use("input:300k,output:100k,rate:$3", number=2)
    assert (counts.name, counts.tokens, counts.output) == ("use 2", 400_000, Fraction(1, 4))
    assert counts.rate_pico == 3_000_000
    for text, said in (
        ("chat=tokens", "not `key:value`"),
        ("chat=tokens:1,tokens:2", "said twice"),
        ("chat=tokens:1,rate:1,model:x", "each name the rate"),
        ("chat=tokens:1,input:1", "once"),
        ("chat=tokens:1,outptu:1%", "did you mean `output`"),
    ):
        with pytest.raises(UsageError) as caught:
            parse_use(text)
        assert said in " ".join(caught.value.lines())


def test_the_file_lies_beside_the_projects_configuration(tmp_path):
    environment = {"NOBURN_HOME": str(tmp_path / "home")}
    below = tmp_path / "app" / "src"
    below.mkdir(parents=True)
    assert load_plans(environment, below) is None
    (tmp_path / "app" / "noburn.toml").write_text("")
    (tmp_path / "app" / "plans.toml").write_text("[plan.pro]\nprice = 20\n")
    found = load_plans(environment, below)
    assert found is not None
    assert found.plan("pro").price_nano == 20 * DOLLAR
    with pytest.raises(UsageError, match="no such file"):
        load_plans(environment, below, str(tmp_path / "other.toml"))
    with pytest.raises(UsageError, match="no such key"):
        found.plan("prp")


@pytest.mark.parametrize(
    ("said", "table"),
    [
        ("'2Mtok'\noverage = '12'", "{ tokens = '2M' }\noverage = { per_million = 12 }"),
        ("'$5'\noverage = '20%'", "{ usage = 5 }\noverage = { markup = '20%' }"),
        ("'9req'\noverage = '.5/req'", "{ requests = 9 }\noverage = { per_request = 0.5 }"),
        ("'9req'\noverage = 'stop'", "{ requests = 9 }"),
    ],
)
def test_options_words_are_taken_as_well(said, table):
    """What --included and --overage take, a plans file takes."""
    one, other = (
        parse_plans("f", f"[plan.a]\nincluded = {text}\n").plan("a") for text in (said, table)
    )
    assert one == other
