"""Months of plans in use, and that every answer keeps what it promises and not a step more."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noburn_cli.core.margin_month import (
    FreeUsers,
    Levers,
    Scenario,
    free_user_nano,
    month_of,
    points_won,
)
from noburn_cli.core.margin_quantities import NAMES, USER_STEPS, quantity
from noburn_cli.core.margin_solving import Range, Reach, answer, breaks, edges, sweep
from noburn_cli.core.plan_usage import PricedUse, Use, average_rate, mix_of, price_flat
from noburn_cli.core.plans import Included, Overage, Plan
from noburn_cli.errors import PriceUnknown, UsageError
from tests.core.test_plans import plans

DOLLAR = 10**9
CARD = {"fee_share": Fraction(29, 1000), "fee_fixed_nano": 300_000_000}
TARGET = Fraction(7, 10)
RATES = {"input": 2_000_000, "cache_read": 100_000, "output": 10_000_000}
BATCH = {kind: rate // 2 for kind, rate in RATES.items()}


def at_reference(plan, tokens, **changes):
    return Scenario(plan, (price_flat(Use("all", tokens)),), **changes)


def priced(tokens=10**6, **shares):
    return PricedUse(Use("chat", tokens, model="m", calls=1000, **shares), RATES, BATCH)


def solved(scenario, name, keep=TARGET):
    return answer(scenario, quantity(name, scenario.plan), keep=keep)


def test_an_average_token_costs_its_mix():
    """80 % input, half of it cached at a twentieth, 20 % output: 0.4·2 + 0.4·0.1 + 0.2·10."""
    shares = {"output_share": Fraction(2, 10), "cached_share": Fraction(1, 2)}
    assert average_rate(mix_of(**shares), RATES) == 2_840_000
    assert average_rate(mix_of(), {"input": 2_000_000}) == 2_000_000  # No share, no rate needed.
    half = priced(output=Fraction(2, 10), cached=Fraction(1, 2), batch=Fraction(1, 2))
    assert half.rate_pico == 2_840_000 * Fraction(3, 4)
    with pytest.raises(PriceUnknown, match="no rate for output"):
        _ = PricedUse(Use("x", 1, model="m", output=Fraction(1, 2)), {"input": 1}, {}).rate_pico


def test_a_mix_of_features_costs_what_its_parts_cost():
    parts = (priced(output=Fraction(1, 2)), priced(3 * 10**6, hits=Fraction(1, 4)))
    scenario = Scenario(Plan(20 * DOLLAR, seats=2), parts)
    assert scenario.usage().cost_nano == 2 * sum(part.cost_nano for part in parts)
    assert scenario.usage().tokens == 8 * 10**6
    assert scenario.usage().requests == 4000
    doubled = scenario._replace(tokens=8 * 10**6)
    assert doubled.usage().cost_nano == 2 * scenario.usage().cost_nano


def test_a_free_tier_is_paid_by_those_who_pay():
    free = Plan(0, included=Included(tokens=50_000), overhead_nano=10**8)
    nano = free_user_nano(free, (price_flat(Use("all", 80_000)),), Levers())
    assert nano == DOLLAR // 2 + 10**8  # 50,000 tokens at $10 a million, and the overhead.
    paid = at_reference(Plan(20 * DOLLAR), 500_000, free=FreeUsers(Fraction(19), nano))
    assert month_of(paid).margin_nano == 15 * DOLLAR - 19 * nano
    most = solved(paid, "free", Fraction(1, 2))
    assert most.value == (5 * DOLLAR * USER_STEPS) // nano


def test_no_price_keeps_what_the_fees_take():
    dear = at_reference(Plan(DOLLAR, fee_share=Fraction(3, 10)), 1)
    found = solved(dear, "price")
    assert (found.reach, found.value) == (Reach.NEVER, None)
    assert found.best is not None
    assert found.best[1] < TARGET


def test_free_tokens_have_no_break_even_and_fixed_costs_above_the_price_leave_none():
    free = Scenario(Plan(20 * DOLLAR), (price_flat(Use("x", 5, rate_pico=Fraction(0))),))
    assert solved(free, "tokens").reach is Reach.ALWAYS
    lost = at_reference(Plan(5 * DOLLAR, overhead_nano=6 * DOLLAR), 5)
    assert solved(lost, "tokens", Fraction(0)).reach is Reach.NEVER


def test_cost_and_a_fifth_loses_money_until_the_fixed_fee_is_earned():
    """At cost + 20 % a month must cost $1.81 before the 30 cents of its payment are covered."""
    usage = Plan(0, included=Included(cost_nano=0), overage=Overage(markup=Fraction(1, 5)), **CARD)
    found = solved(at_reference(usage, 10**6), "tokens", Fraction(0))
    assert found.value is None  # No amount is the most: there is a least.
    zero, earned = found.ranges
    assert zero == Range(0, 0)
    least = Fraction(300_000_000) / (Fraction(1, 5) - Fraction(6, 5) * Fraction(29, 1000)) / 10_000
    assert earned.low == -(-least.numerator // least.denominator)


def test_a_hybrid_bends_where_its_allowance_ends():
    hybrid = Plan(29 * DOLLAR, included=Included(tokens=10**6), overage=Overage(12 * DOLLAR))
    scenario = at_reference(hybrid, 2 * 10**6)
    tokens = quantity("tokens", hybrid)
    found = breaks(scenario, tokens, low=0, high=4 * 10**6)
    assert [(bend.value, bend.reason) for bend in found] == [(10**6, "allowance used up")]
    limited = replace(hybrid, minimum_nano=30 * DOLLAR, maximum_nano=40 * DOLLAR)
    bends = breaks(scenario._replace(plan=limited), tokens, low=0, high=4 * 10**6)
    assert [(bend.value, bend.reason) for bend in bends] == [
        (10**6, "allowance used up"), (1_083_334, "minimum of the charge"),
        (1_916_667, "maximum of the charge"),
    ]  # fmt: skip
    assert solved(scenario, "tokens", Fraction(0)).reach is Reach.ALWAYS
    # The target is lost at 870,000 tokens, and more overage at 16.7 % does not win it back.
    assert [edge.value for edge in edges(
        scenario, tokens, keep=TARGET, low=0, high=10**9
    )] == [870_000]  # fmt: skip
    months = sweep(scenario, tokens, low=0, high=4 * 10**6, points=5)
    assert [value for value, _ in months] == [0, 10**6, 2 * 10**6, 3 * 10**6, 4 * 10**6]
    assert months[2][1].bill.overage_nano == 12 * DOLLAR


def test_caching_and_routing_are_solved_to_a_hundredth_of_a_per_cent():
    scenario = at_reference(Plan(20 * DOLLAR), 10**6, levers=Levers(ratio=Fraction(10)))
    cache, routing = solved(scenario, "cache"), solved(scenario, "routing")
    assert cache.value == 4000  # $10 of inference become $6 at 40 % hits.
    assert routing.value == 4445  # 0.4 ÷ 0.9 = 44.44… %, rounded up.
    won = points_won(
        scenario._replace(levers=Levers(ratio=Fraction(10), routed=Fraction(4445, 10**4)))
    )
    assert won == Fraction(4445, 10**4) * Fraction(9, 10) / 2
    # What the cache answers is not routed: half of the calls, and of the rest half at a tenth.
    both = Levers(Fraction(1, 2), Fraction(1, 2), Fraction(10))
    assert both.kept == Fraction(1, 2) * Fraction(55, 100)
    with pytest.raises(UsageError, match="cheaper model"):
        solved(at_reference(Plan(1), 1), "routing")
    with pytest.raises(UsageError, match="no overage"):
        quantity("overage", Plan(1))
    with pytest.raises(UsageError, match="no quantity"):
        quantity("tokns", Plan(1))


scenarios = st.builds(
    lambda plan, tokens, output, cached, levers, free: Scenario(
        plan, (priced(tokens, output=output, cached=cached),), levers=levers, free=free
    ),
    plans(),
    st.integers(0, 10**8),
    st.fractions(0, 1, max_denominator=20),
    st.fractions(0, 1, max_denominator=20),
    st.builds(
        Levers,
        st.fractions(0, 1, max_denominator=20),
        st.fractions(0, 1, max_denominator=20),
        st.fractions(1, 30, max_denominator=10),
    ),
    st.builds(FreeUsers, st.fractions(0, 30, max_denominator=100), st.fractions(0, 10**9)),
)
keeps = st.fractions(-1, 1, max_denominator=100)


@settings(max_examples=60, deadline=None)
@given(scenarios, st.sampled_from(NAMES), keeps, st.data())
def test_ranges_hold_everywhere_inside_and_nowhere_outside(scenario, name, keep, data):
    try:
        sought = quantity(name, scenario.plan)
    except UsageError:
        return
    found = answer(scenario, sought, keep=keep)

    def holds(value):
        month = month_of(sought.put(scenario, value))
        return month.margin_nano >= keep * month.revenue_nano

    for one in found.ranges:
        assert holds(one.low)
        assert holds(one.high)
        assert one.low == sought.low or not holds(one.low - 1)
        assert one.high == sought.high or not holds(one.high + 1)
    exponent = data.draw(st.integers(0, 18))
    for value in data.draw(st.lists(st.integers(sought.low, 10**exponent + 1), max_size=8)):
        if value <= sought.high:
            assert holds(value) == found.holds(value)
    if found.charged is not None:
        assert holds(found.charged)
    if found.best is not None and keep > found.best[1]:
        assert all(
            month_of(sought.put(scenario, one.low)).revenue_nano == 0 for one in found.ranges
        )
