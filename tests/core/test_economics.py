"""The reference numbers of AI pricing, and that answers keep what they promise."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noburn_cli.core.economics import (
    REFERENCE_RATE_PICO,
    Allowance,
    Band,
    Plan,
    Reach,
    average_rate,
    band_of,
    inference_allowance,
    mix_of,
    outlook,
    price_keeping,
    statement,
    tokens_keeping,
)

DOLLAR = 10**9
REFERENCE = Fraction(REFERENCE_RATE_PICO)
TWENTY = Plan(price_nano=20 * DOLLAR)


def test_half_a_million_tokens_cost_five_dollars_and_leave_three_quarters():
    month = statement(TWENTY, tokens=500_000, rate_pico=REFERENCE)
    assert month.inference_nano == 5 * DOLLAR
    assert month.margin_share == Fraction(75, 100)
    assert month.band is Band.TARGET


def test_two_million_tokens_break_even():
    month = statement(TWENTY, tokens=2_000_000, rate_pico=REFERENCE)
    assert month.inference_nano == 20 * DOLLAR
    assert month.margin_share == 0
    assert tokens_keeping(TWENTY, rate_pico=REFERENCE) == Allowance(Reach.AT, 2_000_000)
    beyond = statement(TWENTY, tokens=2_000_001, rate_pico=REFERENCE)
    assert beyond.band is Band.UNDER_WATER


def test_seventy_per_cent_of_a_twenty_dollar_plan_leaves_600k_tokens():
    kept = tokens_keeping(TWENTY, rate_pico=REFERENCE, keep=Fraction(7, 10))
    assert kept == Allowance(Reach.AT, 600_000)


def test_a_fifty_dollar_plan_leaves_seven_and_a_half_to_ten_dollars_for_inference():
    assert inference_allowance(50 * DOLLAR) == (7_500_000_000, 10 * DOLLAR)


def test_a_cards_fees_on_a_twenty_dollar_plan():
    """2.9 % + $0.30 on $20 is $0.88, 4.4 points of margin."""
    plan = Plan(20 * DOLLAR, fee_share=Fraction(29, 1000), fee_fixed_nano=300_000_000)
    with_fees = statement(plan, tokens=500_000, rate_pico=REFERENCE)
    without = statement(TWENTY, tokens=500_000, rate_pico=REFERENCE)
    assert with_fees.fees_nano == 880_000_000
    assert without.margin_share - with_fees.margin_share == Fraction(44, 1000)


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
def test_bands_begin_at_their_edges(per_mille, band):
    assert band_of(Fraction(per_mille, 1000)) is band


def test_a_free_plan_has_costs_no_fees_and_no_percentage():
    plan = Plan(0, fee_share=Fraction(29, 1000), fee_fixed_nano=300_000_000)
    month = statement(plan, tokens=1_000, rate_pico=REFERENCE)
    assert (month.fees_nano, month.margin_share, month.inference_share) == (0, None, None)
    assert month.band is Band.UNDER_WATER
    assert statement(plan, tokens=0, rate_pico=REFERENCE).band is None


def test_a_price_for_a_margin_is_the_cost_and_the_fixed_fee_over_what_is_left():
    """p = (x + 0.30) / (1 - 0.029 - g), here (6 + 0.30) / 0.271."""
    plan = Plan(DOLLAR, fee_share=Fraction(29, 1000), fee_fixed_nano=300_000_000)
    price = price_keeping(plan, tokens=600_000, rate_pico=REFERENCE)
    assert price == -(-6_300_000_000 * 1000 // 271)


def test_no_price_keeps_what_the_fees_take():
    plan = Plan(DOLLAR, fee_share=Fraction(3, 10))
    assert price_keeping(plan, tokens=1, rate_pico=REFERENCE) is None


def test_an_average_token_costs_its_mix():
    """80 % input, half of it cached at a twentieth, 20 % output: 0.4·2 + 0.4·0.1 + 0.2·10."""
    mix = mix_of(output_share=Fraction(2, 10), cached_share=Fraction(1, 2))
    rates = {"input": 2_000_000, "cache_read": 100_000, "output": 10_000_000}
    assert average_rate(mix, rates) == 2_840_000


def test_a_kind_without_a_share_needs_no_rate():
    assert average_rate(mix_of(), {"input": 2_000_000}) == 2_000_000


def test_free_tokens_have_no_break_even():
    assert tokens_keeping(TWENTY, rate_pico=Fraction(0)).reach is Reach.ALWAYS


def test_fixed_costs_above_the_price_leave_no_break_even():
    plan = Plan(5 * DOLLAR, overhead_nano=6 * DOLLAR)
    assert tokens_keeping(plan, rate_pico=REFERENCE) == Allowance(Reach.NEVER)
    assert tokens_keeping(plan, rate_pico=Fraction(0)) == Allowance(Reach.NEVER)


plans = st.builds(
    Plan,
    price_nano=st.integers(0, 10**13),
    seats=st.integers(1, 500),
    fee_share=st.fractions(0, Fraction(1, 4), max_denominator=1000),
    fee_fixed_nano=st.integers(0, 10**9),
    overhead_nano=st.integers(0, 10**12),
)
rates = st.fractions(Fraction(1, 10**4), 10**9, max_denominator=10**4)
shares = st.fractions(0, Fraction(74, 100), max_denominator=1000)


def _keeps(plan, tokens, rate, keep):
    month = statement(plan, tokens=tokens, rate_pico=rate)
    return month.margin_nano >= keep * month.revenue_nano


@given(plans, rates, shares)
def test_the_most_tokens_keep_the_margin_and_one_more_does_not(plan, rate, keep):
    allowance = tokens_keeping(plan, rate_pico=rate, keep=keep)
    if allowance.tokens is None:
        assert not _keeps(plan, 0, rate, keep)
        return
    assert _keeps(plan, allowance.tokens, rate, keep)
    assert not _keeps(plan, allowance.tokens + 1, rate, keep)


@given(plans, rates, shares, st.integers(0, 10**9))
def test_the_least_price_keeps_the_margin_and_a_nano_less_does_not(plan, rate, keep, tokens):
    price = price_keeping(plan, tokens=tokens, rate_pico=rate, keep=keep)
    assert price is not None  # Fees up to 25 % and 74 % kept leave something.
    if price == 0:
        assert tokens == plan.overhead_nano == 0
        return

    def priced(nano):
        fees = plan.fee_share, plan.fee_fixed_nano
        return Plan(nano, plan.seats, *fees, plan.overhead_nano)

    assert _keeps(priced(price), tokens, rate, keep)
    assert price == 1 or not _keeps(priced(price - 1), tokens, rate, keep)


@given(plans, rates, st.integers(0, 10**9))
def test_the_lines_of_a_month_are_its_revenue(plan, rate, tokens):
    month = outlook(plan, tokens=tokens, rate_pico=rate).month
    lines = (month.inference_nano, month.fees_nano, month.overhead_nano, month.margin_nano)
    assert sum(lines) == month.revenue_nano == plan.price_nano * plan.seats
