"""`noburn pnl` over a real ledger and a real revenue file: figures by hand, and the same totals."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import re
import shutil
from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction

import apsw
import pytest

from noburn_cli import paths
from noburn_cli.core.budgets import margin_scope
from noburn_cli.core.profit import Figures, plan_names
from noburn_cli.core.profit_outlook import (
    FINE,
    LIKELY,
    MAY_BE,
    TOO_EARLY,
    UNDER_WATER,
    WILL_BE,
    Basis,
    outlook_of,
)
from noburn_cli.core.profit_rules import Rules
from noburn_cli.errors import LedgerUnavailable, UsageError
from noburn_cli.plans_file import load_plans
from noburn_cli.profit import Question
from noburn_cli.profit.alerts import watched
from noburn_cli.profit.outlooks import advices, history_first, outlooks
from noburn_cli.profit.reading import lines_of, read_books
from noburn_cli.render.pnl_outlook import render_advices, render_outlooks
from noburn_cli.reports.forecast import forecast
from tests.profit.books import (
    HEADING,
    Call,
    at_ms,
    import_calls,
    import_revenue,
    noburn,
    pnl,
    write_ledger,
)
from tests.reports.made_ledger import Made

#: gpt-6-luna: $0.10 a million in, $0.50 out; 100 in and 1,000 out are 0.00051 dollars.
EACH = Fraction("0.00051")
PLANS = """
[plan.pro]
price = 1
included = { requests = 40 }
overage = { per_request = "$0.01" }
overhead = { customer = "$0.10" }

[plan.big]
price = 3

[plan.stops]
price = 1
included = { requests = 10 }
"""
REVENUE = (
    "s1,2026-10-01,31,USD,subscription,collected,acme,cus_1,,pro,2026-10-01,2026-11-01,,",
    "d1,2026-10-01,-3.10,USD,discount,collected,acme,cus_1,,pro,2026-10-01,2026-11-01,s1,",
    "f1,2026-10-01,-0.31,USD,fee,collected,acme,cus_1,,pro,2026-10-01,2026-11-01,s1,",
    "r1,2026-10-21,-5,USD,refund,collected,acme,cus_1,,pro,2026-10-01,2026-11-01,s1,",
    "u1,2026-11-01,4,USD,usage,invoiced,acme,cus_1,agent,pro,2026-10-01,2026-11-01,,",
    "s2,2026-10-11,42,EUR,subscription,collected,beta,cus_2,,big,2026-10-11,2026-11-01,,1.5",
    "s3,2026-10-01,5,USD,,invoiced,,cus_3,,,,,,",
    "s4,2026-10-01,7,CHF,,invoiced,dora,cus_4,,,,,,",
)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """October 2026: acme chats and has agents, beta chats, zed pays nothing."""
    folder = tmp_path_factory.mktemp("written")
    calls = [
        Call(f"2026-10-{day:02}T12:{minute:02}", customer, feature)
        for day in range(1, 32)
        for minute, (customer, feature) in enumerate(
            [("acme", "chat"), ("acme", "agent"), ("acme", "agent"), ("beta", "chat"), ("zed", "")]
        )
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NOBURN_HOME", str(folder / "home"))
        write_ledger(paths.ledger_path(), calls)
        import_revenue(folder, REVENUE)
    (folder / "plans.toml").write_text(PLANS)
    return folder


@pytest.fixture
def books(written, tmp_path, monkeypatch):
    """A copy of those books, to be changed."""
    folder = tmp_path / "books"
    shutil.copytree(written, folder)
    monkeypatch.setenv("NOBURN_HOME", str(folder / "home"))
    monkeypatch.chdir(folder)
    return folder


def dollars(row, *names):
    return [Fraction(row[f"{name}_usd"]) for name in names]


def by_key(data, name):
    return {row["key"][name]: row for row in data["rows"]}


def test_a_month_by_hand(books):
    """Goal: every line of October is what a person with a pencil gets."""
    data = pnl("--period", "2026-10")
    rows = by_key(data, "customer")
    acme = rows["acme"]
    # $1 a day; the refund of the 21st is paid out of the 11 days left, $9.90 of them.
    assert dollars(acme, "gross", "discounts", "refunds", "revenue") == [
        pytest.approx(Fraction(4) + 31 - Fraction("5.555555556"), abs=1e-8),
        pytest.approx(Fraction("-2.544444444"), abs=1e-8), 0, Fraction("26.9"),
    ]  # fmt: skip
    assert dollars(acme, "fees", "inference", "overhead") == [
        Fraction("-0.31"), EACH * 93, Fraction("0.1"),
    ]  # fmt: skip
    margin = Fraction("26.9") - Fraction("0.31") - EACH * 93 - Fraction("0.1")
    assert Fraction(acme["margin_usd"]) == margin
    assert acme["margin_share"] == f"{float(margin / Fraction('26.9')):.6f}"
    assert dollars(acme, "invoiced", "collected", "final") in (
        [4, Fraction("22.9"), 0], [4, 0, Fraction("22.9")],  # Final once 120 days are over.
    )  # fmt: skip
    assert (acme["calls"], acme["state"], acme["cost_state"]) == (93, "invoiced", "settled")
    assert dollars(rows["beta"], "revenue") == [63]
    assert dollars(rows["zed"], "revenue", "margin") == [0, -EACH * 31]
    assert data["unmapped"] == {
        "payers": [{"payer": "cus_3", "name": "", "revenue_usd": "5"}],
        "revenue_without_calls": [],
        "calls_without_revenue": [{"customer": "zed", "inference_usd": "0.01581"}],
    }
    assert data["no_rate"] == {"CHF": 700}
    assert dollars(data["closing"], "billed", "recognised", "deferred", "unbilled") == [
        Fraction("90.9"), Fraction("94.9"), 0, 4,
    ]  # fmt: skip


def test_features_have_their_own_revenue_first_and_the_rest_by_rule(books):
    for rule in ("cost", "requests"):
        rows = by_key(pnl("--period", "2026-10", "--by", "feature", "--customer", "acme",
                          "--split", rule), "feature")  # fmt: skip
        # $22.90 of the subscription, a third of the calls and of the cost; $4 of usage is agent's.
        assert dollars(rows["chat"], "revenue") == [pytest.approx(Fraction("22.9") / 3, abs=1e-8)]
        assert sum(Fraction(row["revenue_usd"]) for row in rows.values()) == Fraction("26.9")


def test_every_grouping_and_format_has_the_same_total(books):
    """Goal: customers, features, days, plans, models and the ledger agree to the nano-dollar."""
    totals = [
        pnl("--period", "2026-10", "--by", by)["total"]
        for by in ("customer", "feature", "day", "plan", "model", "day,feature,model")
    ]
    assert all(total == totals[0] for total in totals)
    report = json.loads(noburn("report", "--json", "--by", "customer", "--since", "2026-10-01",
                               "--until", "2026-11-01").stdout)["data"]  # fmt: skip
    assert totals[0]["inference_usd"] == report["total"]["cost_usd"]
    assert totals[0]["calls"] == report["total"]["calls"]
    text = noburn("pnl", "--period", "2026-10", "--format", "csv").stdout
    lines = list(csv.DictReader(io.StringIO(text)))
    assert sum(Fraction(line["margin_usd"]) for line in lines) == Fraction(totals[0]["margin_usd"])
    table = noburn("pnl", "--period", "2026-10").stdout
    assert "No rate is known for 7.00 CHF" in table
    both = noburn(
        "pnl", "--period", "2026-10", "--outlook", "--suggest-plans", "--limit", "1"
    ).stdout
    assert re.search(r"By the end of \d{4}-\d\d:", both)
    assert "… and 3 more" in both
    assert "| **total** |" in noburn("pnl", "--period", "2026-10", "--format", "markdown").stdout


def test_the_dearest_requests_are_seen(books):
    data = pnl("--period", "2026-10", "--by", "request", "--customer", "acme", "--limit", "2")
    first = data["requests"][0]
    assert len(data["requests"]) == 2
    assert (first["customer"], first["inference_usd"]) == ("acme", "0.00051")
    for form, begin in (("csv", "call,at_ms,customer"), ("markdown", "| call | at_ms | customer")):
        text = noburn("pnl", "--period", "2026-10", "--by", "request", "--format", form).stdout
        assert text.startswith(begin)
        assert first["call"] in text
    assert first["call"] in noburn("pnl", "--period", "2026-10", "--by", "request", "--customer",
                                   "acme", "--limit", "2").stdout  # fmt: skip


def test_the_dearest_requests_may_be_imported_ones(books):
    """Goal: a dear call is listed wherever it was recorded, and earns as the others do."""
    import_calls(books, ["2026-10-03T10:00:00Z,acme,chat,0.25", "2026-10-03T11:00:00Z,zed,,0.5"])
    asked = ("--period", "2026-10", "--by", "request", "--customer", "acme")
    first, second = pnl(*asked, "--limit", "2")["requests"]
    assert (first["call"], first["source"]) == ("import:csv:i0", "csv")
    assert (first["inference_usd"], second["source"]) == ("0.25", "ledger")
    every = pnl(*asked, "--limit", "200")["requests"]
    total = pnl("--period", "2026-10", "--customer", "acme")["total"]
    assert len(every) == total["calls"] == 94
    for name in ("revenue_usd", "inference_usd"):
        assert sum(Fraction(one[name]) for one in every) == pytest.approx(
            Fraction(total[name]), abs=1e-6
        )
    assert " SOURCE " in noburn("pnl", *asked).stdout


def test_a_call_without_a_price_is_said_to_be_in_no_inference(books):
    import_calls(books, ["2026-10-03T10:00:00Z,acme,chat,"], model="nobody-s-model")
    said = "1 imported call has no known price: in no inference"
    assert any(said in note for note in pnl("--period", "2026-10")["notes"])
    assert not any(said in note for note in pnl("--period", "2026-09")["notes"])


def test_what_was_given_back_is_said_where_it_lowers_what_was_not_earned_yet(books):
    """Goal: "what was refunded in October?" has its answer."""
    data = pnl("--period", "2026-10", "--customer", "acme")
    assert data["total"]["refunds_usd"] == "0"
    assert data["taken_back_usd"] == {"refunds": "-5", "disputes": "0", "adjustments": "0"}
    assert pnl("--period", "2026-10", "--customer", "beta")["taken_back_usd"]["refunds"] == "0"
    table = noburn("pnl", "--period", "2026-10").stdout
    assert "Refunds and credit notes of the period come to -$5.00, $0.00 of it in TAKEN" in table


def test_who_makes_no_calls_is_in_no_projection(books):
    import_revenue(
        books, ["s9,2026-10-01,9,USD,subscription,,quiet,cus_9,,,2026-10-01,2026-11-01,,"]
    )
    early, now_ms = october(3)
    found = outlooks(early, now_ms)
    assert {one.customer for one in found} == {"acme", "beta", "zed"}
    text = " ".join(" ".join(render_outlooks(found, month="2026-11", width=80)).split())
    assert "fewer than 7 whole days since the first call: acme." in text


def test_no_plan_is_advised_that_misses_the_target(books):
    """Goal: the least bad plan is not where the customer should be."""
    read, _ = october(31, target=Fraction(999, 1000))
    found = {one.customer: one for one in advices(read)}["acme"]
    assert (found.reaches_target, found.should_be_on, found.best.plan) == (False, None, "big")
    table = render_advices([found], width=None)
    assert "big" not in table[1].partition("no plan reaches the target")[0]
    assert "no plan reaches the target (best: big, 98.5 %)" in table[1]


def october(day, **rules):
    """The books as they were read on a day of October."""
    now_ms = at_ms(f"2026-10-{day:02}T12:30")
    plans = dict(load_plans({}, paths.home().parent).plans)
    today = at_ms(f"2026-10-{day:02}") // 86_400_000 + 719163
    first = today - day + 1
    question = Question(first, today + 1, rules=Rules(**rules), plans=plans)
    read = read_books(paths.home(), question, now_ms=now_ms, history_first=history_first(today))
    # The ledger of this test goes on; that day's reader would not have seen it.
    seen = [line for line in read.costs if line.day <= today]
    return replace(read, costs=seen), now_ms


def test_the_months_end_is_projected_from_enough_days(books):
    early, now_ms = october(7)
    assert {one.customer: one.verdict for one in outlooks(early, now_ms)}["acme"] == TOO_EARLY
    found = {one.customer: one for one in outlooks(*october(15))}
    acme, zed = found["acme"], found["zed"]
    assert (acme.verdict, acme.basis_days, zed.verdict) == (FINE, 14, UNDER_WATER)
    # Three calls a day for the 16 whole days left and the rest of the 15th.
    assert acme.low_nano == acme.high_nano == acme.margin_nano
    cost = round(EACH * 3 * 10**9 * (15 + 16 + Fraction(23, 48)))
    assert abs(acme.cost_nano - cost) < 10


def test_the_months_end_knows_weekends(books):
    """Goal: who works on weekdays is not projected to work on the weekend, nor the other way."""
    read, now_ms = october(30)  # a Friday: a Saturday is left
    of_acme = [line for line in read.costs if line.customer == "acme"]
    weekdays = [one for one in of_acme if date.fromordinal(one.day).weekday() < 5]
    for costs, more in ((of_acme, 1), (weekdays, 0)):
        (end,) = [one for one in outlooks(replace(read, costs=costs), now_ms)
                  if one.customer == "acme"]  # fmt: skip
        each = sum(one.cost_nano for one in of_acme if one.day == read.today)
        assert end.cost_nano - end.now.cost_nano == round(each * (Fraction(23, 48) + more))
    # What a compacted month was by the day is not known: it teaches nothing.
    compacted = [replace(one, day=one.day - 29, is_month=True) for one in of_acme]
    (end,) = [one for one in outlooks(replace(read, costs=[*compacted, *of_acme]), now_ms)
              if one.customer == "acme"]  # fmt: skip
    assert (end.verdict, end.basis_days) == (TOO_EARLY, 0)


@pytest.mark.parametrize(
    ("daily", "verdict"),
    [
        ((10, 10, 10, 10, 10, 10, 10), WILL_BE),
        ((0, 0, 0, 35, 0, 0, 8), LIKELY),
        ((0, 0, 0, 33, 0, 0, 0), MAY_BE),
        ((1, 1, 1, 1, 1, 1, 1), FINE),
        ((90, 90), TOO_EARLY),
    ],
)
def test_verdicts(daily, verdict):
    """Goal: what is said of a customer follows from the interval, and from days enough."""
    now = Figures(gross_nano=100, cost_nano=50)
    today = date(2026, 10, 22)
    days = [today - timedelta(days=len(daily) - place) for place in range(len(daily))]
    ahead = forecast(dict(zip(days, daily, strict=True)), begun=days[0], today=today,
                     month_ends=date(2026, 11, 1), spent_nano=50, day_done=Fraction(0))  # fmt: skip
    ends = None if verdict == TOO_EARLY else (
        ahead.expected_nano, ahead.low_nano, ahead.high_nano
    )  # fmt: skip
    basis = Basis(len(daily), ends, days_left=Fraction(10), days_so_far=Fraction(20),
                  known_nano=105, renewed_nano=0)  # fmt: skip
    found = outlook_of("acme", now, basis)
    assert found.verdict == verdict
    if verdict != TOO_EARLY:
        assert found.low_nano <= found.margin_nano <= found.high_nano
        assert found.margin_nano == 105 - 50 - round(10 * sum(daily) / len(daily))


def test_what_plan_each_should_be_on(books):
    """Goal: real usage billed by every plan; the plan that will do stays, else the nearest."""
    read, _ = october(31)
    found = {one.customer: one for one in advices(read)}
    acme = found["acme"]
    # 90 calls in 30 days: pro charges $1 and 50 cents of 50 calls beyond.
    offers = {offer.plan: offer for offer in acme.offers}
    assert offers["pro"].pays_nano == 1_500_000_000
    assert offers["pro"].margin_nano == 1_500_000_000 - 90 * 510_000 - 100_000_000
    assert offers["stops"].served == Fraction(1, 9)
    assert (acme.plan, acme.best.plan, acme.stays, acme.reaches_target) == (
        "pro",
        "pro",
        True,
        True,
    )
    assert found["zed"].best.plan in ("pro", "big")
    hard, _ = october(31, target=Fraction(97, 100))
    advice = {one.customer: one for one in advices(hard)}["acme"]
    assert (advice.best.plan, advice.reaches_target) == ("big", True)
    text = noburn("pnl", "--period", "2026-10", "--suggest-plans").stdout
    assert "What the books cannot know" in text or "no calls in the last 30 days" in text


def test_usage_beyond_an_allowance_is_provisional_until_it_is_billed(books):
    """Goal: the days on which the allowance was passed earn, and a bill takes their place."""
    nothing = "u1,2026-11-01,0,USD,usage,invoiced,acme,cus_1,agent,pro,2026-10-01,2026-10-02,,"
    import_revenue(books, [*REVENUE[:4], nothing])
    read, _ = october(31)
    (line,) = [one for one in lines_of(read).lines if one.keys == ("acme",)]
    # 53 of 93 calls are beyond 40: the last 53, from the 14th on.
    assert line.figures.provisional_nano == 530_000_000
    assert line.figures.state == "provisional"
    said = "Usage of 1 customer that is not billed yet is rated by the plans file"
    for period, is_said in (("2026-09", False), ("2026-10", True)):
        assert any(said in note for note in pnl("--period", period)["notes"]) is is_said
    before, _ = october(13)
    (line,) = [one for one in lines_of(before).lines if one.keys == ("acme",)]
    assert line.figures.provisional_nano == 0
    again = lines_of(replace(read, question=replace(read.question, by=("day",))))
    provisional = [one.keys[0] for one in again.lines if one.figures.provisional_nano]
    assert (provisional[0], len(provisional)) == ("2026-10-14", 18)


def test_no_more_is_rated_than_a_plan_charges(books):
    """Goal: an allowance is that of the seats that were billed, and a maximum holds by the day."""
    heading = f"{HEADING.strip()},seats\n"
    nothing = "u1,2026-11-01,0,USD,usage,invoiced,acme,cus_1,agent,pro,2026-09-01,2026-10-01,,"
    rows = (*REVENUE[:4], nothing)
    lines = (f"{row},{2 if row.startswith('s1') else ''}\n" for row in rows)
    (books / "seats.csv").write_text(heading + "".join(lines))
    assert noburn("import", "revenue", str(books / "seats.csv")).exit_code == 0
    read, now_ms = october(31)
    (line,) = [one for one in lines_of(read).lines if one.keys == ("acme",)]
    # 13 of 93 calls are beyond twice 40; the plan of two seats costs 2 dollars a month.
    assert line.figures.provisional_nano == 130_000_000
    advice = {one.customer: one for one in advices(read)}["acme"]
    assert (advice.seats, advice.current.pays_nano) == (2, 2_100_000_000)
    assert "pro, 2 seats" in "\n".join(render_advices([advice], width=None))
    maximum = PLANS.replace("price = 1\n", "price = 1\nmaximum = 2.05\n", 1)
    (books / "plans.toml").write_text(maximum)
    read, now_ms = october(31)
    capped = lines_of(replace(read, question=replace(read.question, by=("day",))))
    # Three calls a day: the 27th has the first beyond 80, and the fifth, on the 28th, is the last.
    earned = {one.keys[0]: one.figures.provisional_nano for one in capped.lines}
    assert {day: nano for day, nano in earned.items() if nano} == {
        "2026-10-27": 10_000_000, "2026-10-28": 30_000_000, "2026-10-29": 10_000_000,
    }  # fmt: skip
    end = {one.customer: one for one in outlooks(read, now_ms)}["acme"]
    assert end.revenue_nano == pytest.approx(line.figures.net_nano - 80_000_000, abs=2)


def test_revenue_of_an_older_noburn_is_read_as_it_is(books):
    """Goal: a file that has no seats yet is read; the next import migrates it."""
    path = paths.revenue_path()
    before = pnl("--period", "2026-10")
    with contextlib.closing(apsw.Connection(str(path))) as connection:
        connection.execute("ALTER TABLE facts DROP COLUMN seats")
        connection.execute("PRAGMA user_version = 1")
    assert pnl("--period", "2026-10") == before
    import_revenue(books, REVENUE)
    assert pnl("--period", "2026-10") == before


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--by", "custmer"], "did you mean customer"),
        (["--period", "October"], "a period cannot be read"),
        (["--period", "2099-01"], "has not begun"),
        (["--period", "0001", "--zone", "America/New_York"], "of the years 1970 to 2199"),
        (["--split", "coin"], "unknown rule"),
        (["--format", "xml"], "unknown format"),
        (["--alerts"], "no margin to watch"),
        (["--watch"], "needs a terminal"),
    ],
)
def test_what_cannot_be_meant_says_what_to_write(books, options, said):
    with pytest.raises(UsageError) as caught:
        noburn("pnl", *options)
    assert said in "\n".join(caught.value.lines())


def test_without_anything_it_says_how_to_begin(tmp_path, monkeypatch):
    monkeypatch.setenv("NOBURN_HOME", str(tmp_path))
    with pytest.raises(LedgerUnavailable):
        noburn("pnl")
    import_revenue(tmp_path, REVENUE[:1])  # What was paid is shown without a ledger as well.
    assert pnl("--period", "2026-10")["total"]["revenue_usd"] == "31"
    assert "no revenue and no calls" in noburn("pnl", "--period", "2026-09").stdout
    assert pnl("--period", "2026-10", "--by", "request")["requests"] == []


def test_a_compacted_month_is_of_its_first_day_and_that_is_said(books):
    """Goal: no zone loses the month, and where days matter the reader is told."""
    paths.revenue_path().unlink()
    made = Made(paths.ledger_path(), begin_ms=at_ms("2026-11-27"))
    made.compact("2026-11")
    made.close()
    said = "Calls of 2026-10 were compacted: all are of the first day of their month."
    for zone in ("UTC", "Europe/Berlin", "America/New_York"):
        data = pnl("--period", "2026-10", "--zone", zone)
        assert (data["total"]["calls"], said in data["notes"]) == (155, False)
    for words in (
        ["2026-10-01..2026-10-09"],
        ["2026-10-09..2026-10-15"],
        ["2026-10", "--by", "day"],
    ):
        assert said in pnl("--period", *words)["notes"]


def test_names_of_others_move_no_cursor_and_are_no_formula(books):
    """Goal: a payer's name is text in a terminal, a spreadsheet and a page."""
    import_revenue(books, ["x1,2026-10-03,5,USD,,,=1+1|cmd,cus_9,,,,,,",
                           "x2,2026-10-03,5,USD,,,,\x1b[2Jcus,,,,,,"])  # fmt: skip
    table = noburn("pnl", "--period", "2026-10").stdout
    assert "\x1b" not in table
    assert "\\x1b[2Jcus" in table
    assert "'=1+1|cmd" in noburn("pnl", "--period", "2026-10", "--format", "csv").stdout
    page = noburn("pnl", "--period", "2026-10", "--format", "markdown").stdout
    assert "<code>=1+1&#124;cmd</code>" in page


def test_a_zone_moves_calls_between_days_and_no_money(books):
    """Goal: days of the far side of the date line have other calls, and the same total."""
    for zone in ("Pacific/Apia", "America/New_York"):
        data = pnl("--period", "2026-10-02..2026-10-30", "--by", "day", "--zone", zone)
        assert data["zone"] == zone
        assert [row["calls"] for row in data["rows"]] == [5] * 29
        assert sum(Fraction(row["inference_usd"]) for row in data["rows"]) == EACH * 5 * 29


def test_plans_are_found_by_what_stripe_calls_them():
    found = plan_names(["Pro Plus", "TEAM", "other", "a-b"], ["pro-plus", "team", "ab", "a_b"])
    assert found == {"Pro Plus": "pro-plus", "TEAM": "team", "other": "other", "a-b": "a-b"}


def test_credits_are_spent_at_what_the_plan_sells_them_for(books):
    """Goal: where nobody says what was spent, the calls do, at the plan's price of a credit."""
    (books / "plans.toml").write_text(
        '[plan.pre]\nprice = 0\ncredits = { granted = 0, price = "$0.05", requests = 1 }\n'
    )
    import_revenue(books, [
        "g1,2026-10-01,5,USD,credit_grant,collected,beta,cus_2,,pre,2026-10-01,2026-11-11,,",
        "s2,2026-10-11,0,EUR,subscription,collected,beta,cus_2,,pre,2026-10-11,2026-11-01,,1.5",
    ])  # fmt: skip
    rows = by_key(pnl("--period", "2026-10"), "customer")
    assert dollars(rows["beta"], "revenue") == [Fraction("1.55")]  # 31 calls.
    later = pnl("--period", "2026-11-01..2026-11-10")
    assert dollars(by_key(later, "customer")["beta"], "revenue") == [Fraction("3.45")]
    assert later["breakage_usd"] == "3.45"


@pytest.mark.parametrize(("floor", "markup"), [(20, 20), (20, 10), (10, 20), (50, 100)])
def test_a_margin_that_grows_with_use_is_watched_where_it_falls(books, floor, markup):
    """Goal: the limit is the first spend that takes the margin below; none where use pays for it.

    $2 a month, a cent of cost included, beyond it cost and a markup.
    """
    plan = '[plan.grow]\nprice = 2\nincluded = { usage = "$0.01" }\n'
    (books / "plans.toml").write_text(f'{plan}overage = {{ markup = "{markup}%" }}\n')
    import_revenue(books, [
        "s2,2026-10-01,2,USD,subscription,collected,beta,cus_2,,Grow,2026-10-01,2026-11-01,,",
    ])  # fmt: skip
    read, _ = october(31, margin_min=Fraction(floor, 100))
    found = {one.customer: one.spec for one in watched(read, {})}
    share, each = Fraction(floor, 100), 1 + Fraction(markup, 100)
    # 2 + (c - 0.01) * each - c = share * (2 + (c - 0.01) * each), solved for c.
    slope = 1 - each * (1 - share)
    if slope <= 0:
        assert "beta" not in found
        return
    spend = (1 - share) * (2 - each / 100) / slope
    assert abs(found["beta"].limit - spend * 10**9) <= 2 + 2 / slope
    assert found["beta"].scope == margin_scope("beta", floor)
