"""The simulation against closed forms, its own expectation, and the field's reference figures."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from statistics import NormalDist

import numpy as np
import pytest

from noburn_cli.core.plans import Credits, Included, Overage, Plan
from noburn_cli.core.simulation_break_even import break_even
from noburn_cli.core.simulation_engine import BLOCK, CUSTOMERS, METRICS, draw_futures
from noburn_cli.core.simulation_expected import expect
from noburn_cli.core.simulation_findings import find
from noburn_cli.core.simulation_levers import flat_segments, hybrid_of
from noburn_cli.core.simulation_pulling import cheapest, won_back
from noburn_cli.core.simulation_scenario import Change, Savings, Scenario, Segment
from noburn_cli.core.simulation_sensitivity import sensitivity
from noburn_cli.core.simulation_turning import turning
from noburn_cli.core.simulation_usage import LogNormal, Pareto, empirical

NANO = 10**9
#: $10 per million tokens.
TOKEN_NANO = 10_000.0
NORMAL = NormalDist()
FEES = {"fee_share": Fraction(29, 1000), "fee_fixed_nano": 3 * NANO // 10}
FLAT = Plan(29 * NANO, **FEES)
HYBRID = replace(
    FLAT, included=Included(cost_nano=5 * NANO), overage=Overage(markup=Fraction(1, 5))
)
PURE = Plan(0, included=Included(cost_nano=0), overage=Overage(markup=Fraction(1, 5)), **FEES)


def business(plan, *, tokens=600_000.0, shape=None, segment=None, **values):
    """One plan, a mean cost of $6 and sigma 2 unless told; one month of a hundred futures."""
    one = Segment(plan, 1.0, tokens=tokens, token_nano=TOKEN_NANO, **(segment or {}))
    given = {"customers": 200, "months": 1, "draws": 100, **values}
    return Scenario((one,), LogNormal(2.0) if shape is None else shape, **given)


# --- The field's reference figures ---------------------------------------------------------------


def test_a_plan_of_20_dollars_and_the_volume_that_breaks_even():
    """500,000 tokens at $10 a million leave 75 %; 2,000,000 leave nothing; more loses money."""
    plan = Plan(20 * NANO)
    for tokens, share in ((500_000, 0.75), (2_000_000, 0.0), (2_500_000, -0.25)):
        found = find(business(plan, tokens=tokens, shape=LogNormal(0), draws=3))
        assert found.expected.total.margin_share == pytest.approx(share, abs=1e-12)
        assert found.summary.total.margin_share.p50 == pytest.approx(share, abs=1e-12)
    assert found.summary.total.under_water.p50 == 1.0
    assert break_even(business(plan, tokens=2_500_000)).customers is None


def test_flat_hybrid_and_pure_at_a_mean_cost_of_6_dollars():
    """The reference figures 75.9, 79.0 and 9.5 % are those of one sample, whose mean is $5.85.

    The expectations are 75.4, 78.6 and 9.6 %.  Of futures with ten thousand customers those whose
    mean cost is the sample's show all three figures, and the shares at a loss: 3.7, 0 and 66 %.
    """
    shown = {}
    for name, plan in (("flat", FLAT), ("hybrid", HYBRID), ("pure", PURE)):
        scenario = business(plan, customers=10_000, draws=150)
        total = expect(scenario).total
        sums = draw_futures(scenario).sums[:, 0, 0]
        customers, revenue, inference, fees, _, under, _, _ = sums.T
        margin = (revenue - inference - fees) / revenue
        near = np.abs(inference / customers / NANO - 5.848) < 0.02
        assert near.sum() >= 5
        shown[name] = (total, margin[near].mean(), (under / customers)[near].mean())
        # Anybody's ten thousand customers may have them: they lie in the middle of the spread.
        assert np.quantile(margin, 0.05) < margin[near].mean() < np.quantile(margin, 0.95)
    exact = {name: round(total.margin_share * 100, 1) for name, (total, _, _) in shown.items()}
    assert exact == {"flat": 75.4, "hybrid": 78.6, "pure": 9.6}
    sampled = {name: round(float(margin) * 100, 1) for name, (_, margin, _) in shown.items()}
    assert sampled["flat"] == pytest.approx(75.9, abs=0.1)
    assert sampled["hybrid"] == pytest.approx(79.0, abs=0.15)
    assert sampled["pure"] == pytest.approx(9.5, abs=0.05)
    assert shown["flat"][2] == pytest.approx(0.037, abs=0.003)
    assert shown["hybrid"][2] == 0
    assert shown["pure"][2] == pytest.approx(0.66, abs=0.01)


def test_expectations_are_their_closed_forms():
    """Lost customers and the overage of a log-normal, by the normal distribution."""
    mean, sigma = 6.0, 2.0

    def above(border):
        score = (math.log(mean / border) - sigma**2 / 2) / sigma
        return mean * NORMAL.cdf(score + sigma) - border * NORMAL.cdf(score), NORMAL.cdf(score)

    flat, hybrid = (expect(business(one, customers=1)).total for one in (FLAT, HYBRID))
    fees = 0.029 * 29 + 0.30
    assert flat.margin_nano / NANO == pytest.approx(29 - mean - fees, abs=1e-9)
    assert flat.under_water == pytest.approx(above(29 - fees)[1], abs=2e-4)
    assert flat.lost_nano / NANO == pytest.approx(above(29 - fees)[0], rel=1e-5)
    revenue = 29 + 1.2 * above(5.0)[0]
    assert hybrid.revenue_nano / NANO == pytest.approx(revenue, rel=1e-7)
    assert hybrid.margin_nano / NANO == pytest.approx(revenue * 0.971 - 0.30 - mean, rel=1e-6)


def test_a_semantic_cache_saves_350_dollars():
    """$0.01 a query, 100,000 queries, 35 % hits: $350 a month."""
    segment = Segment(
        Plan(5000 * NANO), 1.0, tokens=0.0, token_nano=0.0, requests=100_000.0,
        request_nano=NANO / 100,
    )  # fmt: skip
    scenario = Scenario((segment,), LogNormal(0), customers=1, months=1, draws=2)
    cached = replace(scenario, savings=Savings(cache_hits=0.35))
    saved = expect(scenario).total.inference_nano - expect(cached).total.inference_nano
    assert saved / NANO == pytest.approx(350)
    rows = {one.what: one.saved_nano / NANO for one in won_back(scenario, product="support",
                                                               ratios=())}  # fmt: skip
    assert rows["semantic cache, 30 % hits"] == pytest.approx(300)
    assert rows["semantic cache, 50 % hits"] == pytest.approx(500)
    coding = won_back(scenario, product="coding", ratios=())[0]
    assert (coding.what, coding.points) == ("semantic cache, 0 % hits", 0.0)
    # Who has 35 % wins nothing back with 30 %.
    further = {one.what: one.saved_nano / NANO for one in won_back(cached, product="support",
                                                                  ratios=())}  # fmt: skip
    assert "semantic cache, 30 % hits" not in further
    assert further["semantic cache, 50 % hits"] == pytest.approx(150)


def test_routing_wins_back_10_to_40_points():
    """A model 10 to 20 times cheaper for 60 % of the work, where inference is 19 to 70 %."""
    points = []
    for share in (0.19, 0.70):
        scenario = business(Plan(20 * NANO), tokens=2_000_000 * share)
        rows = won_back(scenario, product=None, ratios=(10.0, 20.0))
        points += [one.points * 100 for one in rows if "routed" in one.what]
    assert points == pytest.approx([10.26, 10.83, 37.8, 39.9])


def test_passing_the_cost_on_earns_only_above_cost_and_overhead():
    """A markup lifts the margin only where the price per token is above cost and fees."""
    for markup, earns in ((0, False), (2, False), (20, True)):
        plan = replace(PURE, overage=Overage(markup=Fraction(markup, 100)), fee_fixed_nano=0)
        assert (expect(business(plan)).total.margin_nano > 0) is earns


def test_one_feature_in_five_hands_is_two_thirds_of_the_spend():
    """60 to 70 % of spend by 20 % of users: customers with a dear feature, and others without."""
    plain = Segment(Plan(29 * NANO, name="chat"), 0.8, tokens=200_000.0, token_nano=TOKEN_NANO)
    research = replace(plain, plan=replace(plain.plan, name="research"), share=0.2, tokens=2.1e6)
    scenario = Scenario((plain, research), LogNormal(0.5), customers=2_000, months=1, draws=30)
    found = {one.name: one for one in find(scenario).summary.plans}
    # Of $2 for everybody and $19 more for a fifth of them the feature makes 3.8 of 5.8.
    assert found["research"].cost_share.p50 == pytest.approx(4.2 / 5.8, abs=0.02)
    assert 0.60 <= 3.8 / 5.8 <= 0.70


def test_flat_is_fine_at_50_and_broken_at_500():
    """The same prices, the same customers, more of them: a typical month falls below the target."""
    turned = turning(business(Plan(29 * NANO), tokens=970_000, draws=1000))
    few, many = turned.at(50), turned.at(500)
    assert few.p50 > 0.70 > many.p50
    assert 50 < turned.turns_at < 500
    assert many.under_water == pytest.approx(10 * few.under_water, rel=0.1)
    # One customer is a draw of the shape: its median, and its share under water.
    median = 1 - 9.7 * math.exp(-2) / 29
    assert turned.at(1).p50 == pytest.approx(median, abs=0.02)
    under = NORMAL.cdf((math.log(9.7 / 29) - 2) / 2)
    assert turned.at(1).under_water == pytest.approx(under, abs=5 * math.sqrt(under / 1000))
    assert not turned.always_misses


def test_flat_that_never_turns_and_flat_that_always_misses():
    assert turning(business(Plan(29 * NANO), tokens=100_000)).turns_at is None
    hopeless = turning(business(Plan(NANO), tokens=10**6, shape=LogNormal(0.1)))
    assert (hopeless.turns_at, hopeless.always_misses) == (None, True)


# --- Populations ---------------------------------------------------------------------------------


def test_numbers_of_customers_that_earn_nothing_neither_reach_nor_miss():
    """Free users first: few customers have no margin, and those that have one miss the target."""
    free = Segment(Plan(0, name="free"), 0.99, tokens=40_000.0, token_nano=TOKEN_NANO)
    paid = Segment(Plan(20 * NANO, name="pro"), 0.01, tokens=2_000_000.0, token_nano=TOKEN_NANO)
    mixed = turning(Scenario((free, paid), LogNormal(0), months=1, draws=2))
    assert math.isnan(mixed.sizes[0].p50)
    assert (mixed.turns_at, mixed.always_misses, mixed.holds_from) == (None, True, None)
    nothing = turning(Scenario((free,), LogNormal(0), months=1, draws=2))
    assert (nothing.earns, nothing.turns_at, nothing.always_misses) == (False, None, False)


def test_a_first_customer_who_misses_is_not_any_number():
    """The cheap plan comes first: alone it misses, with the others it is carried."""
    cheap, dear = (
        Segment(Plan(price * NANO, name=str(price)), 0.5, tokens=300_000.0, token_nano=TOKEN_NANO)
        for price in (5, 50)
    )
    turned = turning(Scenario((cheap, dear), LogNormal(0), months=1, draws=2))
    assert (turned.turns_at, turned.always_misses) == (None, False)
    assert 1 < (turned.holds_from or 0) <= 5


def test_a_month_that_is_all_trial_is_of_nobody_who_pays():
    scenario = business(
        Plan(29 * NANO, trial_days=365), customers=10, months=4, arrivals=200.0, draws=20
    )
    month = expect(scenario).months[-1]
    assert month.customers > 600
    assert month.payers == pytest.approx(10)
    sums = draw_futures(scenario).sums[:, 0, -1]
    assert (sums[:, METRICS.index("payers")] == 10).all()
    assert (sums[:, METRICS.index("under_water")] <= 10).all()


def test_hybrid_is_due_at_once_where_flat_misses_the_target_today():
    late = find(business(Plan(29 * NANO), tokens=1.2e6, customers=60, draws=4))
    assert (
        "now: with the 60 customers of today a typical month misses 70 %"
        in {one.key: one for one in late.advice}["hybrid"].what
    )
    # Six parts of 200 add up to a little less than 200, in floats.
    parts = tuple(
        Segment(Plan(29 * NANO, name=str(n)), 1 / 6, tokens=600_000.0, token_nano=TOKEN_NANO)
        for n in range(6)
    )
    whole = find(Scenario(parts, LogNormal(2), customers=200, growth=0.1, months=2, draws=4))
    advice = {one.key: one for one in whole.advice}
    assert "now: 200 customers pay" in advice["hybrid"].what
    # Flat holds the target: that is said as what it is, and not as the first reason.
    assert advice["hybrid"].reasons[0].startswith("a sixth of the price")
    assert advice["hybrid"].reasons[-1].startswith("what speaks against it: flat holds")
    assert "under [fees] of the plans file" in advice["fees"].what


def test_the_heaviest_customer_is_held_against_one_who_pays():
    """Nineteen free users for each who pays: $29 is the measure, not $1.45."""
    free = Segment(Plan(0, name="free"), 0.95, tokens=1.0, token_nano=TOKEN_NANO)
    paid = Segment(Plan(29 * NANO, name="pro"), 0.05, tokens=600_000.0, token_nano=TOKEN_NANO)
    found = find(Scenario((free, paid), LogNormal(1.5), customers=4000, months=1, draws=20))
    largest = found.summary.largest[1].p50 * found.summary.months[-1].inference.p50
    assert 2 * 29 < largest / NANO < 10 * 29
    assert not any("heaviest" in why for one in found.advice for why in one.reasons)


def test_no_lever_serves_nothing():
    """A target of 100 % is out of reach, and usage of $0.00 is no way to it."""
    rows = cheapest(business(Plan(29 * NANO), target=1.0), product=None, work_nano={})
    limit = next(one for one in rows if one.lever.name == "hard limit")
    assert not limit.reaches
    assert limit.amount >= 6 * NANO / 100


def test_lives_are_geometric():
    """With churn c a customer is there after k months with the chance (1 - c)^k."""
    scenario = business(Plan(NANO), customers=20_000, months=24, draws=10, segment={"churn": 0.1})
    there = draw_futures(scenario).sums[:, 0, :, CUSTOMERS].sum(axis=0)
    chance = 0.9 ** np.arange(24)
    spread = np.sqrt(200_000 * chance * (1 - chance))
    assert np.abs(there - 200_000 * chance).max() < 5 * spread.max()
    assert (np.abs(there - 200_000 * chance) <= 5 * spread).all()


def test_growth_brings_what_it_says():
    scenario = business(
        Plan(NANO), months=12, growth=0.10, arrivals=5.0, customers=100, segment={"churn": 0.04}
    )
    expected = [100.0]
    for _ in range(11):
        expected.append(expected[-1] * (1 + 0.10 - 0.04) + 5)
    assert [one.customers for one in expect(scenario).months] == pytest.approx(expected)


ODD = {
    "trial": replace(HYBRID, trial_days=45, name="trial"),
    "credits": Plan(
        20 * NANO, name="credits",
        credits=Credits(granted=400, price_nano=NANO // 50, cost_nano=NANO // 100, months=3),
    ),
    "yearly": replace(
        FLAT, name="yearly", yearly_share=Fraction(2, 5), yearly_discount=Fraction(1, 6),
        included=Included(tokens=400_000), overage=Overage(per_million_nano=15 * NANO),
        tax=Fraction(19, 100), tax_included=True, minimum_nano=30 * NANO,
    ),
    "free": Plan(0, name="free", included=Included(tokens=100_000)),
}  # fmt: skip


def odd_business(**values):
    """Four plans at once, with everything that can change."""
    segments = tuple(
        Segment(plan, share, tokens=600_000.0, token_nano=TOKEN_NANO, requests=300.0,
                request_nano=1e5, churn=0.05, trial_keeps=0.4, prompt_cached=0.2)
        for share, plan in zip((0.3, 0.2, 0.1, 0.4), ODD.values(), strict=True)
    )  # fmt: skip
    given = {
        "customers": 400, "months": 8, "growth": 0.08, "arrivals": 3.0, "usage_growth": 0.02,
        "rate_growth": -0.01, "steadiness": 1.0,
        "savings": Savings(cache_hits=0.1, routed=0.3),
        "changes": (
            Change(3, plan="yearly", price_nano=39 * NANO, leave=0.05),
            Change(5, rate_factor=0.7),
        ),
        **values,
    }  # fmt: skip
    return Scenario(segments, LogNormal(1.0), **given)


def test_futures_spread_around_the_expectation():
    """Goal: two independent ways to the same mean, for every plan, month and figure."""
    scenario = odd_business(draws=400)
    sums = draw_futures(scenario).sums
    outlook = expect(scenario)
    kept = [METRICS.index(name) for name in METRICS]
    expected = np.array(
        [[(m.customers, m.revenue_nano, m.inference_nano, m.fees_nano, m.overhead_nano,
           m.under_water, m.lost_nano, m.payers) for m in months] for months in outlook.by_segment]
    )[..., kept]  # fmt: skip
    spread = sums.std(axis=0) / math.sqrt(len(sums))
    off = np.abs(sums.mean(axis=0) - expected)
    # 4 plans x 8 months x 8 figures: five standard errors is once in thousands of such tables.
    assert (off <= 5 * spread + 1e-6 * np.abs(expected) + 1e-6).all()


@pytest.mark.parametrize("shape", [LogNormal(1.2), Pareto(3.0), empirical([1, 2, 9], what="here")])
def test_months_that_differ_keep_the_shape(shape):
    """Whatever belongs to the customer and what to the month: each month has the same shape."""
    for steadiness in (1.0, 0.4):
        scenario = business(
            Plan(12 * NANO), customers=20_000, months=2, draws=4, shape=shape,
            steadiness=steadiness,
        )  # fmt: skip
        sums = draw_futures(scenario).sums.sum(axis=0)[0]
        multiples, weights = shape.nodes()
        under = weights[multiples * 6 > 12].sum()
        slack = 5 * math.sqrt(under * (1 - under) / 80_000)
        assert sums[1][5] / sums[1][0] == pytest.approx(under, abs=slack)


# --- Chunks, seeds --------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_bytes_however_it_is_cut():
    """Goal: futures drawn alone, in pieces, backwards or with others beside are the same bytes."""
    scenario = odd_business(draws=12, steadiness=0.7, customers=3 * BLOCK // 2, months=3)
    whole = draw_futures(scenario)
    again = draw_futures(scenario)
    backwards = draw_futures(scenario, range(11, -1, -1))
    alone = draw_futures(replace(scenario, draws=99), [7])
    assert whole.sums.tobytes() == again.sums.tobytes()
    assert whole.sums.tobytes() == backwards.sums[::-1].tobytes()
    assert whole.top_share.tobytes() == np.ascontiguousarray(backwards.top_share[::-1]).tobytes()
    assert whole.sums[7].tobytes() == alone.sums[0].tobytes()
    other = draw_futures(replace(scenario, seed=2))
    assert whole.sums.tobytes() != other.sums.tobytes()


# --- Levers, sensitivity, break-even --------------------------------------------------------------


def test_the_price_that_reaches_the_target_is_its_formula():
    """p = (cost + 0.30) / (1 - 0.029 - target)."""
    scenario = business(Plan(15 * NANO, **FEES))
    levers = {one.lever.name: one for one in cheapest(scenario, product="support", work_nano={})}
    price = 15 * levers["price"].amount
    assert price == pytest.approx((6 + 0.30) / (1 - 0.029 - 0.7), rel=1e-6)
    for name, one in levers.items():
        # Of $15 and everything at cost and a fifth no margin of 70 % can come.
        assert one.reaches is (name != "overage")
        assert not one.reaches or one.margin_share == pytest.approx(0.7, abs=1e-5)
    # At $21 it can: it earns what the price would, and touches fewer customers.
    near = cheapest(business(Plan(21 * NANO, **FEES)), product=None, work_nano={})
    over, price = (next(one for one in near if one.lever.name == name)
                   for name in ("overage", "price"))  # fmt: skip
    assert price.paid_nano / NANO == pytest.approx(200 * 21 * (price.amount - 1))
    assert over.paid_nano == pytest.approx(price.paid_nano, rel=1e-4)
    assert over.touched < price.touched == 1.0
    assert near.index(over) < near.index(price)


def test_the_cheapest_change_counts_the_work_it_takes():
    scenario = business(Plan(15 * NANO, **FEES))
    free = cheapest(scenario, product=None, work_nano={})
    assert [one.lever.name for one in free][:1] == ["prompt cache"]
    dear = cheapest(scenario, product=None, work_nano={"prompt cache": 900.0 * NANO})
    names = [one.lever.name for one in dear]
    assert names.index("prompt cache") > names.index("semantic cache")
    assert {one.lever.name: one.work_nano for one in dear}["prompt cache"] == 900 * NANO
    # What hardly any two requests share cannot be cached: the lever is there, and does not reach.
    coding = cheapest(scenario, product="coding", work_nano={})
    assert [one.reaches for one in coding if one.lever.name == "semantic cache"] == [False]


def test_an_assumption_matters_by_what_it_moves():
    """Of a flat plan usage moves the margin by a fifth of the cost, and its spread by nothing."""
    scenario = business(FLAT, months=3, customers=100)
    swings = {one.name: one for one in sensitivity(scenario)}
    used = swings["tokens and requests a customer"]
    assert (used.low_nano - used.high_nano) / NANO == pytest.approx(0.4 * 6 * 300)
    assert swings["how uneven usage is"].width_nano == pytest.approx(0, abs=1)
    widths = [one.width_nano for one in sensitivity(scenario)]
    assert widths == sorted(widths, reverse=True)


def test_how_many_customers_pay_the_fixed_costs():
    scenario = business(Plan(29 * NANO), fixed_nano=5000.0 * NANO, draws=400)
    assert break_even(scenario).customers == math.ceil(5000 / 23)
    # Nineteen months of twenty take more than the mean: about 258 by 4,000 months drawn otherwise.
    assert 245 < turning(scenario).covered_at < 275
    free = Segment(ODD["free"], 0.9, tokens=50_000.0, token_nano=TOKEN_NANO)
    paying = replace(scenario.segments[0], share=0.1)
    tier = replace(scenario, segments=(paying, free), shape=LogNormal(0))
    assert break_even(tier).free_carried == pytest.approx(23 / 0.5)


def test_hybrid_keeps_everybody_above_water():
    flat = business(FLAT)
    assert len(flat_segments(flat)) == 1
    total = expect(hybrid_of(flat)).total
    assert total.under_water == 0
    assert total.margin_share > expect(flat).total.margin_share


def test_advice_says_when_and_why():
    found = find(
        business(Plan(29 * NANO), tokens=10**6, months=12, customers=100, growth=0.10, draws=50)
    )
    advice = {one.key: one for one in found.advice}
    paying = [one.payers for one in found.expected.months]
    month = next(i + 1 for i, number in enumerate(paying) if number >= 200)
    assert f"before month {month}," in advice["hybrid"].what
    assert "customers on" in advice["before the call"].what
    assert advice["target"].what.startswith("The cheapest change is")
    assert "2.9" in advice["fees"].what
    stops = Plan(29 * NANO, name="capped", included=Included(tokens=10**6))
    promised = find(business(stops, draws=20))
    kept = {one.key: one for one in promised.advice}["before the call"]
    assert "already with the first customer" in kept.what


def test_an_allowance_in_tokens_is_a_lever_as_well():
    """What is included is lowered in what the overage counts, at today's price beyond it."""
    plan = replace(
        FLAT, included=Included(tokens=2_000_000), overage=Overage(per_million_nano=30 * NANO)
    )
    for over in (plan, replace(HYBRID, included=Included(cost_nano=20 * NANO))):
        scenario = business(over, tokens=1_300_000, target=0.72)
        found = {one.lever.name: one for one in cheapest(scenario, product=None, work_nano={})}
        pulled = found["overage"]
        assert pulled.reaches is (over is plan)  # Cost and a fifth earn no 72 % on all this usage.
        changed = pulled.lever.apply(scenario, pulled.amount).segments[0].plan
        assert changed.overage == over.overage
        assert type(changed.included.tokens) is type(over.included.tokens)
        assert pulled.amount <= 20 * NANO * (1 + 1e-9)
        assert hybrid_of(scenario) == scenario  # No flat plan: nothing becomes hybrid.
