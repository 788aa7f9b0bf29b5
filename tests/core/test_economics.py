"""The reference numbers of AI pricing, each line of the table by its name."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from noburn_cli.core.economics import (
    CARD_FEE_FIXED_NANO,
    CARD_FEE_SHARE,
    CLASSIC_MARGIN_HIGH,
    CLASSIC_MARGIN_LOW,
    HYBRID_BEFORE,
    ROUTING_POINTS,
    ROUTING_RATIO_HIGH,
    ROUTING_RATIO_LOW,
    ROUTING_TOLERATED,
    SEMANTIC_CACHE_HITS,
    Band,
    band_of,
    inference_allowance,
    routing_saving,
)
from noburn_cli.core.margin_month import FreeUsers, Levers, Scenario, month_of, points_won
from noburn_cli.core.margin_outlook import outlook
from noburn_cli.core.margin_quantities import quantity
from noburn_cli.core.margin_solving import answer
from noburn_cli.core.plan_usage import Use, price_flat
from noburn_cli.core.plans import Included, Overage, Plan
from noburn_cli.render.margin_solved import render_solved

DOLLAR = 10**9
CENT = DOLLAR // 100
CARD = {"fee_share": CARD_FEE_SHARE, "fee_fixed_nano": CARD_FEE_FIXED_NANO}
TWENTY = Plan(20 * DOLLAR)
POWER_USER_TIMES = 5  # the average


def using(tokens, plan=TWENTY, **parts):
    """A plan whose customer uses so many tokens at the reference rate of $10 a million."""
    return Scenario(plan, (price_flat(Use("all", tokens)),), **parts)


def test_line_500_000_tokens_at_10_dollars_a_million_on_a_20_dollar_plan():
    """Cost $5, gross margin 75 %."""
    month = month_of(using(500_000))
    assert month.bill.inference_nano == 5 * DOLLAR
    assert month.margin_share == Fraction(75, 100)
    assert month.band is Band.TARGET


def test_line_the_same_plan_2_000_000_tokens():
    """Cost $20, margin 0 %: break-even; every token beyond loses money."""
    month = month_of(using(2_000_000))
    assert (month.bill.inference_nano, month.margin_share) == (20 * DOLLAR, 0)
    assert month_of(using(2_000_001)).band is Band.UNDER_WATER


def test_line_break_even_volume_is_price_over_rate():
    """$20 ÷ $10/M = 2,000,000 tokens per user and month; 70 % leaves 600,000."""
    shown = outlook("", using(1))
    assert shown.break_even.value == 2_000_000
    assert shown.keeping_target.value == 600_000
    seats = outlook("", using(1, replace(TWENTY, seats=7)))
    assert seats.break_even.value == 2_000_000


def test_line_inference_below_15_to_20_per_cent_of_revenue():
    """A $50 plan leaves $7.50 to $10 per user and month."""
    assert inference_allowance(50 * DOLLAR) == (7_500_000_000, 10 * DOLLAR)


@pytest.mark.parametrize(
    ("per_mille", "band"),
    [
        (-1, Band.UNDER_WATER),
        (0, Band.THIN),
        (549, Band.THIN),
        (550, Band.HEALTHY_EARLY),
        (699, Band.HEALTHY_EARLY),
        (700, Band.TARGET),
        (1000, Band.TARGET),
    ],
)
def test_line_gross_margin_bands_for_ai_saas(per_mille, band):
    """Under water < 0, thin 0-55 %, healthy early 55-70 %, target >= 70 %; classic 70-85 %."""
    assert band_of(Fraction(per_mille, 1000)) is band
    assert (Fraction(7, 10), Fraction(85, 100)) == (CLASSIC_MARGIN_LOW, CLASSIC_MARGIN_HIGH)


def test_line_a_semantic_cache_saves_350_dollars_a_month():
    """$0.01 a query, 100,000 queries, 35 % hits; 25-45 %, support 30-50 %, coding about 0."""
    # 100,000 calls that cost $1,000 together.
    use = Use("faq", 10**8, rate_pico=Fraction(10**7), calls=100_000)
    scenario = Scenario(Plan(2000 * DOLLAR), (price_flat(use),))
    cached = scenario._replace(levers=Levers(hits=Fraction(35, 100)))
    saved = month_of(cached).margin_nano - month_of(scenario).margin_nano
    assert saved == 350 * DOLLAR
    within = {name: (float(one.low), float(one.high)) for name, one in SEMANTIC_CACHE_HITS.items()}
    assert within == {
        "repeating": (0.25, 0.45), "support": (0.30, 0.50), "coding": (0, 0),
    }  # fmt: skip


def test_what_would_have_to_be_routed_is_set_beside_what_products_see():
    """Goal: the rule of thumb stands where somebody decides by it."""
    scenario = using(1_000_000, levers=Levers(ratio=Fraction(10)))
    found = answer(scenario, quantity("routing", TWENTY, among=("routing",)), keep=Fraction(7, 10))
    said = " ".join(render_solved(outlook("", scenario), found, named=False))
    assert "a model 10 to 20 times cheaper, which wins back 10 to 40 points of margin" in said


def test_line_routing_wins_back_10_to_40_points_where_60_per_cent_tolerates_it():
    """To a model 10 to 20 times cheaper: from inference at 18.5 % of revenue to 70 %."""
    assert (ROUTING_RATIO_LOW, ROUTING_RATIO_HIGH) == (10, 20)
    assert Fraction(60, 100) == ROUTING_TOLERATED

    def won(inference_share, ratio):
        levers = Levers(routed=ROUTING_TOLERATED, ratio=Fraction(ratio))
        tokens = int(2_000_000 * inference_share)
        return points_won(using(tokens, levers=levers))

    lowest, highest = won(Fraction(185, 1000), 10), won(Fraction(7, 10), 20)
    assert (round(lowest, 3), round(highest, 3)) == (Fraction(1, 10), Fraction(399, 1000))
    assert round(lowest, 2) == ROUTING_POINTS.low
    assert round(highest, 2) == ROUTING_POINTS.high
    assert routing_saving(ROUTING_TOLERATED, 10) == Fraction(54, 100)


def test_line_spend_is_skewed():
    """One feature 60-70 % of spend, 20 % of users use it; a power user burns 5 x the average.

    A quarter of such users on a flat $20 plan turn its margin: the average user's 75 % are the
    power user's -25 %.
    """
    chat, research = 350_000, 3_250_000  # All five users chat, one of them researches as well.
    assert Fraction(research, 5 * chat + research) == Fraction(65, 100)
    assert month_of(using(chat)).margin_share == Fraction(825, 1000)
    assert month_of(using(chat + research)).margin_share == Fraction(-8, 10)
    assert month_of(using(500_000)).margin_share == Fraction(75, 100)
    assert month_of(using(500_000 * POWER_USER_TIMES)).margin_share == Fraction(-25, 100)


def test_line_pricing_goes_from_per_seat_to_hybrid():
    """Before 200-300 paying customers: on a hybrid the power user's month earns its overage."""
    assert HYBRID_BEFORE == (200, 300)
    hybrid = replace(TWENTY, included=Included(tokens=600_000), overage=Overage(14 * DOLLAR))
    power = 500_000 * POWER_USER_TIMES
    assert month_of(using(power)).band is Band.UNDER_WATER
    assert month_of(using(power, hybrid)).margin_share > Fraction(4, 10)
    assert outlook("", using(power, hybrid)).break_even.ranges[0].high == 10**18


def test_line_passthrough_lifts_margin_only_above_provider_price_and_overhead():
    """Price per token > provider price + overhead; gross books it as revenue, net does not."""
    overhead = {"overhead_request_nano": CENT}  # 1,000 tokens a call: $10 a million more.

    def margin(per_million, tokens):
        plan = replace(
            TWENTY, included=Included(tokens=0), overage=Overage(per_million * DOLLAR), **overhead
        )
        use = Use("all", 10**6, rate_pico=Fraction(10**7), calls=1000)
        return month_of(Scenario(plan, (price_flat(use),), tokens=tokens))

    for per_million, lifts in ((19, -1), (20, 0), (21, 1)):
        more = (
            margin(per_million, 2_000_000).margin_nano - margin(per_million, 1_000_000).margin_nano
        )
        assert (more > 0) - (more < 0) == lifts
    month = margin(21, 1_000_000)
    assert month.margin_nano == 21 * DOLLAR
    assert month.margin_share == Fraction(21, 41)  # Booked gross: $20 and $21 of usage.
    assert month.net_revenue_nano == 31 * DOLLAR  # Booked net: without the $10 passed on.
    assert month.net_margin_share == Fraction(21, 31)


def test_line_a_cards_fees_are_88_cents_of_20_dollars():
    """2.9 % + $0.30 on a $20 plan is $0.88, 4.4 points of margin."""
    month = month_of(using(500_000, replace(TWENTY, **CARD)))
    assert month.bill.fees_nano == 88 * CENT
    assert month_of(using(500_000)).margin_share - month.margin_share == Fraction(44, 1000)


def test_line_a_free_tiers_tokens_are_paid_by_somebody_elses_plan():
    """9 free users of 50,000 tokens take $4.50 of the $15 that a paying customer leaves."""
    scenario = using(500_000, free=FreeUsers(Fraction(9), Fraction(DOLLAR, 2)))
    assert month_of(scenario).margin_nano == Fraction(10_500_000_000)
    assert month_of(scenario).inference_share == Fraction(95, 200)


def test_line_a_price_for_a_margin():
    """p = (x + 0.30) / (1 - 0.029 - g), here (6 + 0.30) / 0.271, a cent up."""
    scenario = using(600_000, Plan(DOLLAR, **CARD))
    found = answer(scenario, quantity("price", scenario.plan), keep=Fraction(7, 10))
    assert found.value == -(-6_300_000_000 * 1000 // 271)
    assert found.charged == 2325 * CENT
