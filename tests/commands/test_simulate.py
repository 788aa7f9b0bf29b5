"""`noburn simulate`, as a person meets it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from noburn_cli.core.simulation_keys import OPTIONS
from noburn_cli.main import main

#: Everybody alike, nobody comes or goes: every figure can be reckoned by hand.
ALIKE = ("--sigma", "0", "--growth", "0", "--churn", "0", "--months", "2", "--draws", "20")
PLANS = """\
[plan.free]
price = 0
included = { tokens = "50k" }

[plan.pro]
price = 29
included = { usage = "$5" }
overage = { markup = "20%" }

[free]
plan = "free"
users_per_payer = 9

[use.chat]
tokens = "600k"
rate = 10

[plan.free.use.chat]
tokens = "40k"
rate = 10

[simulation]
months = 3
draws = 20
"""


@pytest.fixture
def simulate(monkeypatch, tmp_path, capsys):
    """Run `noburn simulate …` in an empty folder; give its output."""
    monkeypatch.setenv("NOBURN_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)

    def run(*arguments, code=0):
        assert main(["simulate", *arguments]) == code
        return capsys.readouterr()

    return run


@pytest.fixture
def data(simulate):
    """The data of `--json`."""

    def run(*arguments, code=0) -> dict[str, Any]:
        document = json.loads(simulate(*arguments, "--json", code=code).out)
        assert (document["kind"], document["version"]) == ("noburn.simulate", 1)
        return document["data"]

    return run


def test_three_options_are_enough_and_every_assumption_is_told(simulate):
    """Goal: a founder's first question has an answer, and nothing in it is silent."""
    done = simulate("--price", "29", "--tokens", "600k", "--customers", "200", "--draws", "100")
    shown, assumed = done.out.split("\nAssumptions\n")
    assert done.err == ""
    for said in (
        "100 futures of 24 months", "Margin  ", "Under water", "Top tenth's spend", "Break-even",
        "Margin by month", "It does not turn", "What caching and routing win back",
        "Which assumption matters most", "Go hybrid", "Say what the card processor takes",
    ):  # fmt: skip
        assert said in shown
    lines = assumed.splitlines()
    for key, option in OPTIONS.items():
        told_elsewhere = {"price", "seats", "overage", "included", "tokens", "rate", "sigma"}
        if option.default is None or key in told_elsewhere:
            continue
        if key in ("fee_percent", "fee_fixed", "overhead", "trial_days", "request_cost"):
            continue  # None is charged; what a plan has is in its line.
        if key in ("output_share", "distribution", "cache", "prompt_cached"):
            continue  # In the words of the usage, its shape and what is saved.
        assert any(line.startswith(f"- {option.shown}: ") for line in lines), key
    assert "- How usage is spread: log-normal, sigma 2: the top tenth uses 76.4 % (assumed: " in (
        assumed
    )
    assert "- plan: $29.00 a seat and month (seat) (said)" in lines
    assert "- Customers at the start: 200 (said)" in lines


def test_everybody_alike_is_arithmetic(data):
    """$29, $6 at the provider, 2.9 % and 30 cents, 10 customers, 2 months."""
    found = data(
        "--price", "29", "--tokens", "600k", "--customers", "10", *ALIKE, "--fixed", "100",
        "--fee-percent", "2.9", "--fee-fixed", "0.30",
    )  # fmt: skip
    margin = 29 - 6 - 0.029 * 29 - 0.30
    total = found["total"]
    assert float(total["margin"]["p5"]) == float(total["margin"]["p95"]) == round(20 * margin, 9)
    assert float(total["margin_share"]["p50"]) == pytest.approx(margin / 29, abs=1e-8)
    assert float(total["after_fixed_costs"]["p50"]) == pytest.approx(20 * margin - 200)
    assert total["under_water"]["p95"] == "0"
    assert found["break_even"]["customers"] == 5  # 100 / 21.859
    assert found["expected"]["total"]["margin"] == total["margin"]["p50"]
    assert found["target_reached"] is True
    assert found["levers"] == []


def test_plans_of_a_file_and_users_who_pay_nothing(data, tmp_path, simulate):
    """One who pays brings nine who don't; those are in no share under water."""
    (tmp_path / "plans.toml").write_text(PLANS)
    found = data(*ALIKE[:6], "--customers", "10")
    assert [one["plan"] for one in found["plans"]] == ["pro", "free"]
    first = found["months"][0]
    assert (first["customers"]["p50"], first["payers"]["p50"]) == ("100", "10")
    assert len(found["months"]) == 3  # The plans file says so.
    # Each who pays: $29 + 1.2 x $1 - $6; each who doesn't: 40k tokens, $0.40.
    assert float(first["margin"]["p50"]) == pytest.approx(10 * 24.2 - 90 * 0.40)
    assert first["under_water"]["p50"] == "0"
    assert float(found["break_even"]["free_carried"]) == pytest.approx(24.2 / 0.40)
    mixed = data(*ALIKE[:6], "--customers", "10", "--mix", "free=50%,pro=50%")
    assert float(mixed["months"][0]["margin"]["p50"]) == pytest.approx(5 * 24.2 - 5 * 0.40)
    assert "free promises that usage ends" in simulate(*ALIKE[:6], "--customers", "10").out


def test_a_scenario_file_and_flags_over_it(data, tmp_path):
    (tmp_path / "plans.toml").write_text(PLANS)
    (tmp_path / "simulate.toml").write_text(
        'months = 4\ncustomers = 30\nheavy = "5% use 5x"\nchurn = 0\ngrowth = 0\n'
        '[[change]]\nmonth = 3\nplan = "pro"\nprice = 58\nleave = "50%"\n'
    )
    found = data()
    assert len(found["months"]) == 4  # Over the plans file's table.
    said = {one["shown"]: one for one in found["assumptions"]}
    assert said["Months"]["origin"] == "simulate.toml"
    assert "log-normal, sigma 0.9704 (5% use 5x)" in said["How usage is spread"]["value"]
    expected = found["expected"]["months"]
    assert float(expected[2]["payers"]) == pytest.approx(15)
    assert float(expected[2]["revenue"]) > float(expected[1]["revenue"]) * 0.9
    over = data("--months", "2", "--sigma", "0", "--change", "month=2,rate=-50%")
    assert len(over["months"]) == 2
    assert {one["shown"]: one["origin"] for one in over["assumptions"]}["Months"] == "said"
    costs = [float(one["inference"]) for one in over["expected"]["months"]]
    assert costs[1] == pytest.approx(costs[0] / 2)


def test_the_documented_scenario_is_read(data, tmp_path):
    page = (Path(__file__).resolve().parents[2] / "docs" / "simulate.md").read_text("utf-8")
    (tmp_path / "plans.toml").write_text(PLANS)
    (tmp_path / "simulate.toml").write_text(re.search(r"```toml\n(.*?)```", page, re.DOTALL)[1])
    found = data("--draws", "10")
    assert {one["plan"] for one in found["plans"]} == {"free", "pro"}
    assert float(found["months"][0]["payers"]["p50"]) == 80  # 40 % of 200.
    assert {"simulate.toml"} == {
        one["origin"] for one in found["assumptions"] if one["shown"].startswith("From month")
    }


def test_the_same_seed_is_the_same_document(simulate):
    wanted = ("--price", "29", "--tokens", "600k", "--months", "3", "--draws", "30", "--json")
    assert simulate(*wanted).out == simulate(*wanted).out
    assert simulate(*wanted, "--seed", "2").out != simulate(*wanted).out


def test_measured_usage_from_a_csv(data, tmp_path):
    """Lines of one customer are added up; the mean is the sample's."""
    (tmp_path / "use.csv").write_text(
        "customer,input_tokens,output_tokens,cost_usd\na,100,50,1.5\nb,0,0,0\na,50,0,0.5\nc,10,0,4\n"
    )
    found = data("--price", "5", "--sample", "use.csv", *ALIKE[2:], "--customers", "3000")
    mean = float(found["expected"]["months"][0]["inference"]) / 3000
    assert mean == pytest.approx(2.0)
    assert float(found["top_tenth_share"]["of_the_shape"]) == pytest.approx(4 * 0.3 / 6)


def test_measured_usage_from_the_ledger(filled):
    """The customers who cost something in the ledger's last thirty days."""
    found = json.loads(
        filled.said("simulate", "--price", "0.01", "--sample", "ledger", "--draws", "10", "--json")
    )["data"]
    assert any("2 customers" in one["value"] for one in found["assumptions"])
    assert float(found["expected"]["months"][0]["inference"]) == pytest.approx(
        200 * 0.0006319 / 2, rel=1e-3
    )


def test_the_report_asks_nobody_for_anything(simulate, tmp_path):
    """Goal: one file with all plots, no request, whatever a plan is called."""
    (tmp_path / "plans.toml").write_text(
        PLANS.replace("[plan.pro]", '[plan."<img src=//evil>"]').replace("months = 3", "months = 2")
    )
    done = simulate("--html", "report.html", "--draws", "5")
    assert done.err == "wrote report.html\n"
    text = (tmp_path / "report.html").read_text("utf-8")
    for name in ("margin", "money", "under-water", "turning", "won-back", "tornado"):
        data = re.search(rf'id="{name}-data">(.*?)</script>', text)[1]
        assert json.loads(data)["data"]
    assert "default-src 'none'" in text
    ours = re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)
    assert not re.search(r"<[^>]*\b(src|href)\s*=|@import|url\(|<img", ours)
    assert list(tmp_path.glob(".report*")) == []
    assert "fixed costs</dt>" not in ours  # Nobody said any.
    for wrong in ("nowhere/report.html", ".", "/", ""):
        failed = simulate("--html", wrong, code=2)
        assert "the report cannot be written to" in failed.err
        assert failed.out == ""


def test_a_target_that_is_missed_fails_where_that_was_asked_for(simulate):
    wanted = ("--price", "29", "--tokens", "1.2M", *ALIKE)
    assert "Ways to 70 %, the cheapest first" in simulate(*wanted).out
    done = simulate(*wanted, "--fail-below-target", "--plot", code=3)
    assert "the expected margin is 58.6 %, below the target of 70.0 %" in done.err
    assert "Margin by month" in done.out
    assert simulate(*wanted, "--fail-below-target", "--target", "55%").err == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "nothing is sold"),
        (("--price", "29", "--model", "gpt-6-luna"), "no tokens that it would be for"),
        (("--price", "29", "--sample", "ledger", "--model", "x"), "no tokens that it would be"),
        (("--price", "29"), "nobody said what a customer uses"),
        (("--price", "29", "--tokens", "1M", "--churn", "3"), "churn is ambiguous"),
        (("--price", "29", "--tokens", "1M", "--customers", "2M"), "customers are from 1"),
        (("--price", "29", "--tokens", "1M", "--draws", "90k", "--months", "99"), "fit in memory"),
        (("--price", "29", "--tokens", "1M", "--sigma", "2", "--alpha", "2"), "each say how usage"),
        (("--price", "29", "--tokens", "1M", "--heavy", "5% use 50x"), "cannot use that much"),
        (("--price", "29", "--tokens", "1M", "--cache", "on"), "needs a kind of product"),
        (("--price", "29", "--tokens", "1M", "--product", "game"), "product cannot be 'game'"),
        (("--price", "29", "--tokens", "1M", "--change", "month=3"), "what changes"),
        (("--price", "29", "--tokens", "1M", "--change", "month=99,price=3"), "not simulated"),
        (("--price", "29", "--tokens", "1M", "--work", "rooting=3"), "did you mean `routing`?"),
        (("--price", "29", "--tokens", "1M", "--growth", "95%"), "growth would bring more"),
        (("--price", "29", "--tokens", "1M", "--plans", "p.toml"), "each say what is sold"),
        (("--price", "29", "--tokens", "1M", "--mix", "a=50%,b=50%"), "a mix is of the plans"),
        (("--price", "29", "--tokens", "1M", "--customers", "0"), "say --arrivals as well"),
        (("--price", "29", "--tokens", "1M", "--alpha", "1.01"), "a number from 1.05"),
        (
            (
                "--price",
                "29",
                "--tokens",
                "1M",
                "--distribution",
                "pareto",
                "--heavy",
                "10% make 99%",
            ),
            "say less",
        ),
        (("--price", "29", "--tokens", "1M", "--usage-growth", "99%"), "make a million times"),
        (
            ("--price", "29", "--tokens", "1M", "--included", "100req"),
            "counts requests, and nobody",
        ),
        (
            ("--price", "29", "--tokens", "1M", "--overage", "0.02/req"),
            "counts requests, and nobody",
        ),
        (("--price", "29", "--tokens", "1M", "--included", "9req", "--overage", "1"), "(0.02/req)"),
        (("--price", "29", "--tokens", "1M", "--change", "month=1,leave=9%"), "nobody leaves over"),
        (("--scenario", "none.toml"), "there is no such file"),
        (("--plans", "none.toml"), "there is no such file"),
    ],
)
def test_what_cannot_be_meant_is_refused(simulate, arguments, said):
    done = simulate(*arguments, code=2)
    assert said in done.err.replace("\n", " ")
    assert done.out == ""


def test_a_business_before_its_first_customer(data):
    found = data(
        "--price", "29", "--tokens", "600k", "--customers", "0", "--arrivals", "10", *ALIKE
    )
    first, second = (one["customers"]["p50"] for one in found["months"])
    assert (first, second) == ("0", found["total"]["customers"]["p50"])


def test_requests_never_stand_in_for_tokens_in_silence(simulate, tmp_path):
    (tmp_path / "plans.toml").write_text("[plan.a]\nprice = 9\n[use.chat]\ntokens = 9000\n")
    assert "`requests` is said without tokens" in simulate("--requests", "5", code=2).err
    assert "nobody said how many there are" in simulate("--request-cost", "1", code=2).err


def test_a_price_changes_for_one_plan_of_several(simulate, tmp_path):
    (tmp_path / "plans.toml").write_text("[plan.lite]\nprice = 9\n" + PLANS)
    done = simulate("--change", "month=2,price=39", code=2)
    assert "a change of the price is of one plan" in done.err
    assert "say plan=lite" in done.err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("churm = 3", "did you mean `churn`?"),
        ("seats = 3", "`seats` is said, and the plans are those of"),
        ("rate = 3", "no tokens that it would be for"),
        ("churn = ", "it is not TOML"),
        ("churn = true", "`churn` is neither a number nor a text"),
        ('churn = "7"', "`churn`: churn is ambiguous"),
        ("change = 3", "write [[change]]"),
        ("[[change]]\nmonth = 3\nprize = 5", "did you mean `price`?"),
        ('[mix]\npro = "50%"', "the parts of the mix are not the whole"),
        ('[mix]\npor = "100%"', "did you mean `pro`?"),
    ],
)
def test_a_scenario_file_that_breaks_a_rule_is_refused(simulate, tmp_path, text, said):
    (tmp_path / "plans.toml").write_text(PLANS)
    (tmp_path / "simulate.toml").write_text(text)
    assert said in simulate(code=2).err.replace("\n", " ")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("who,what\na,1\n", "has no column of usage"),
        ("", "has no line of usage"),
        ("tokens\n-5\n", "line 2: '-5' is no amount of usage"),
        ("tokens\n=1+1\n", "line 2: '=1+1' is no amount"),
        ("customer,tokens\na\n", "line 2: it has not as many cells"),
        ("tokens\n0\n", "says that nobody used anything"),
    ],
)
def test_a_sample_that_is_none_is_refused(simulate, tmp_path, text, said):
    (tmp_path / "use.csv").write_text(text)
    code = 2 if "nobody" in said else 1
    done = simulate("--price", "29", "--sample", "use.csv", code=code)
    assert said in done.err.replace("\n", " ")
