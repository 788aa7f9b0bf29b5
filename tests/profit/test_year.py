"""A year of a business, from Stripe's double through the real SDK and the CLI, to the cent."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import date, timedelta
from fractions import Fraction

import pytest

from noburn_cli import paths
from tests.profit.books import Call, noburn, pnl, write_ledger
from tests.profit.pencil import Pencil
from tests.stripe_double.business import Business
from tests.stripe_double.server import StripeDouble

MONTHS = [f"2025-{month:02}" for month in range(1, 13)]
MILLIONTH = Fraction(1, 10**6)


def first_half(business):
    """Upgrades, a yearly plan with a coupon and tax, euros, credits, usage; up to July."""
    business.paying.rates.update(eur="1.1")
    pro = business.price("Pro", 2_000)
    people = {
        name: business.customer(name.title(), {"noburn_customer": name}, pays=name != "eps")
        for name in ("acme", "beta", "gamma", "delta", "eps", "zeta", "eta")
    }
    contracts = {"acme": business.subscribe(people["acme"], pro)}
    contracts["zeta"] = business.subscribe(people["zeta"], pro)
    business.advance("2025-02-01T15:30:00")
    contracts["beta"] = business.subscribe(
        people["beta"], business.price("Yearly", 24_000, interval="year"),
        coupon=business.coupon(percent_off=20), tax=business.tax_rate(19, inclusive=True),
    )  # fmt: skip
    contracts["gamma"] = business.subscribe(
        people["gamma"], business.price("Euro", 3_000, currency="eur"), tax=business.tax_rate(20)
    )
    business.advance("2025-02-03")
    business.item(people["delta"], 3_000, description="Credits")
    bought = business.invoice_items(people["delta"])
    business.grant(people["delta"], 3_000, paid_by=bought, expires="2025-12-31")
    metered = business.price("Tokens", 2, metered=True)
    contracts["delta"] = business.subscribe(people["delta"], pro, metered)
    for month, units in enumerate((300, 450, 350, 800, 120), start=3):
        business.use(contracts["delta"], units)
        business.advance(f"2025-{month:02}-04")
        if month == 3:
            business.advance("2025-03-20T08:00:00")
            business.change(contracts["acme"], business.price("Team", 5_000))
        if month == 5:
            lost = business.dispute(business.charges_of(people["gamma"])[-1])
            business.close_dispute(lost, won=False)
        if month == 6:
            business.paying.rates["eur"] = "1.05"
            contracts["eps"] = business.subscribe(people["eps"], pro)
    return people, contracts


def second_half(business, people, contracts):
    """Refunds, a dispute that is won, write-offs, a void, and a year that is not over."""
    business.refund(business.charges_of(people["zeta"])[-1], 500)
    business.advance("2025-07-20")
    won = business.dispute(business.charges_of(people["gamma"])[-1])
    business.advance("2025-07-28")
    business.close_dispute(won, won=True)
    business.advance("2025-08-15T12:00:00")
    business.refund(business.charges_of(people["beta"])[0], 9_600)
    business.cancel(contracts["beta"], at_period_end=False)
    unpaid = business.invoices_of(people["eps"])
    business.mark_uncollectible(unpaid[0])
    business.void(unpaid[1])
    business.pay(unpaid[2])
    business.cancel(contracts["eps"], at_period_end=False)
    business.advance("2025-09-10")
    business.change(contracts["acme"], quantity=3)
    business.refund(business.charges_of(people["zeta"])[3])  # of May, whole, long after
    business.advance("2025-10-02")
    business.subscribe(business.customer("Nobody Knows"), business.price("Pro", 2_000))
    business.use(contracts["delta"], 900)
    business.advance("2025-11-11T11:11:11")
    business.subscribe(people["eta"], business.price("Yearly", 24_000, interval="year"))
    business.stripe_fee(700)
    business.advance("2025-12-31T23:00:00")


def calls_of_the_year():
    """Delta's calls, on most days and by more than one; everybody else's now and then."""
    day, found = date(2025, 1, 5), []
    while day < date(2026, 1, 1):
        number = day.toordinal()
        found += [Call(f"{day}T08:{at:02}", "delta", "chat") for at in range(number % 4)]
        others = ("acme", "beta", "gamma", "zeta", "stranger")
        found.append(Call(f"{day}T09:00", others[number % 5], ("chat", "agent")[number % 2]))
        day += timedelta(days=3)
    return found


@pytest.fixture(scope="module")
def year(tmp_path_factory):
    """The business, its calls, and a home that imported it in July and in December."""
    home = tmp_path_factory.mktemp("year")
    business = Business("2025-01-05T09:00:00", livemode=True)
    people, contracts = first_half(business)
    calls = calls_of_the_year()
    with pytest.MonkeyPatch.context() as patch, StripeDouble(business) as double:
        patch.setenv("NOBURN_HOME", str(home))
        patch.setenv("STRIPE_API_KEY", double.key)
        patch.chdir(home)
        write_ledger(paths.ledger_path(), calls)
        noburn("import", "stripe", "--base-url", double.base)
        second_half(business, people, contracts)
        noburn("import", "stripe", "--base-url", double.base)
        assert double.refused == []
        yield business, calls


def by_pencil(year):
    business, calls = year
    by_day = defaultdict(lambda: defaultdict(int))
    for call in calls:
        by_day[call.customer][date.fromisoformat(call.at[:10]).toordinal()] += 1
    return Pencil(business, by_day)


def test_every_month_of_every_customer_is_what_a_pencil_says(year):
    """Goal: no month of anybody is off by more than rounding to nano-dollars."""
    pencil = by_pencil(year)
    wrong = []
    sums = defaultdict(Fraction)
    for month in MONTHS:
        data = pnl("--period", month)
        rows = {row["key"]["customer"]: row for row in data["rows"]}
        names = {name for name, when in (*pencil.revenue, *pencil.fees) if when == month}
        for name in names | set(rows):
            row = rows.get(name, {"revenue_usd": "0", "fees_usd": "0"})
            for what, exact in (("revenue", pencil.revenue), ("fees", pencil.fees)):
                ours = Fraction(row[f"{what}_usd"])
                sums[name, what] += ours
                if abs(ours - exact.get((name, month), 0)) > MILLIONTH:
                    wrong.append((month, name, what, float(ours), float(exact[name, month])))
    assert wrong == []
    whole = {row["key"]["customer"]: row for row in pnl("--period", "2025")["rows"]}
    for (name, what), total in sums.items():
        assert Fraction(whole[name][f"{what}_usd"]) == total  # A year is exactly its months.


def test_the_year_is_the_banks_to_the_cent(year):
    """Goal: billed, less tax, is what moved on Stripe's balance, cent for cent; and is earned or
    deferred.
    """
    business, calls = year
    data = pnl("--period", "2025")
    closing = {name: Fraction(text) for name, text in data["closing"].items()}
    moved = sum(
        one["amount"] for one in business.records.all("balance_transaction")
        if one["type"] != "stripe_fee"
    )  # fmt: skip
    assert closing["billed_usd"] + Fraction(data["tax_usd"]) == Fraction(moved, 100)
    assert closing["recognised_usd"] + closing["deferred_usd"] == (
        closing["billed_usd"] + closing["unbilled_usd"]
    )
    assert Fraction(data["total"]["revenue_usd"]) == closing["recognised_usd"]
    assert data["no_rate"] == {}
    assert [one["name"] for one in data["unmapped"]["payers"]] == ["Nobody Knows"]
    assert [one["customer"] for one in data["unmapped"]["calls_without_revenue"]] == ["stranger"]
    report = json.loads(noburn("report", "--json", "--since", "2025-01-01",
                               "--until", "2026-01-01").stdout)["data"]  # fmt: skip
    assert data["total"]["inference_usd"] == report["total"]["cost_usd"]
    assert data["total"]["calls"] == len(calls)
    assert pnl("--period", "2025", "--by", "feature,plan")["total"] == data["total"]
