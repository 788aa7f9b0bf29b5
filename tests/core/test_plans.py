"""Plans and their months: every line by hand, and that lines always add up."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noburn_cli.core.plan_billing import PlanUsage, bill
from noburn_cli.core.plans import Credits, Included, Kind, Overage, Plan
from noburn_cli.errors import UsageError

DOLLAR = 10**9
CARD = {"fee_share": Fraction(29, 1000), "fee_fixed_nano": 300_000_000}
HYBRID = Plan(
    29 * DOLLAR, included=Included(cost_nano=5 * DOLLAR), overage=Overage(markup=Fraction(1, 5))
)


def test_a_flat_month():
    month = bill(Plan(20 * DOLLAR, seats=3, overhead_nano=DOLLAR), PlanUsage(cost_nano=6 * DOLLAR))
    assert (month.revenue_nano, month.margin_nano) == (60 * DOLLAR, 53 * DOLLAR)
    assert month.fees_nano == 0  # A fee that nobody named is not taken.


def test_usage_beyond_the_allowance_is_charged_with_its_markup():
    within, beyond = (bill(HYBRID, PlanUsage(cost_nano=cost * DOLLAR)) for cost in (5, 8))
    assert within.overage_nano == within.passed_nano == 0
    assert (beyond.overage_nano, beyond.passed_nano) == (3_600_000_000, 3 * DOLLAR)
    assert (beyond.served, beyond.beyond) == (1, Fraction(3, 8))


def test_an_allowance_counts_per_seat_and_a_plan_of_the_customer_once():
    sold = Plan(10 * DOLLAR, included=Included(tokens=100), overage=Overage(10**6 * 7))
    usage = PlanUsage(tokens=450, seats=3)
    assert bill(sold, usage).overage_nano == 150 * 7
    assert bill(replace(sold, per_customer=True), usage).overage_nano == 350 * 7
    assert bill(replace(sold, per_customer=True), usage).base_nano == 10 * DOLLAR


def test_what_is_used_up_first_ends_the_allowance():
    both = Plan(0, included=Included(tokens=100, cost_nano=50), overage=Overage(markup=Fraction(0)))
    assert bill(both, PlanUsage(tokens=200, cost_nano=60)).passed_nano == 30
    assert bill(both, PlanUsage(tokens=100, cost_nano=60)).passed_nano == 10


def test_usage_stops_where_no_overage_is_sold():
    capped = Plan(0, included=Included(tokens=100), overhead_request_nano=10)
    month = bill(capped, PlanUsage(tokens=400, cost_nano=1000, requests=8))
    assert (month.served, month.inference_nano, month.overhead_nano) == (Fraction(1, 4), 250, 20)


def test_who_pays_by_the_year_pays_less_and_one_fixed_fee_a_year():
    sold = Plan(20 * DOLLAR, yearly_discount=Fraction(1, 5), **CARD)
    yearly = bill(sold, PlanUsage(yearly=1))
    assert yearly.revenue_nano == 16 * DOLLAR
    assert yearly.fees_nano == 16 * DOLLAR * Fraction(29, 1000) + 25_000_000
    half = bill(replace(sold, yearly_share=Fraction(1, 2)), PlanUsage())
    monthly = bill(sold, PlanUsage(yearly=0))
    assert half.margin_nano == (yearly.margin_nano + monthly.margin_nano) / 2
    # A month with overage is a payment of its own.
    hybrid = replace(HYBRID, **CARD)
    with_more = bill(hybrid, PlanUsage(cost_nano=6 * DOLLAR, yearly=1))
    assert with_more.fees_nano == with_more.due_nano * Fraction(29, 1000) + 325_000_000


def test_tax_inside_the_price_is_not_ours_and_fees_are_taken_of_it_too():
    inside = bill(Plan(119 * DOLLAR, tax=Fraction(19, 100), tax_included=True, **CARD), PlanUsage())
    on_top = bill(Plan(100 * DOLLAR, tax=Fraction(19, 100), **CARD), PlanUsage())
    for month in (inside, on_top):
        assert (month.revenue_nano, month.tax_nano) == (100 * DOLLAR, 19 * DOLLAR)
        assert (month.due_nano, month.invoice_cents) == (119 * DOLLAR, 11_900)
        assert month.fees_nano == 119 * DOLLAR * Fraction(29, 1000) + 300_000_000


def test_a_minimum_and_a_maximum_hold_for_the_charge():
    usage = Plan(0, included=Included(tokens=0), overage=Overage(10 * DOLLAR))
    assert usage.kind is Kind.USAGE
    limited = replace(usage, minimum_nano=5 * DOLLAR, maximum_nano=20 * DOLLAR)
    charged = [bill(limited, PlanUsage(tokens=n)).revenue_nano for n in (0, 10**6, 3 * 10**6)]
    assert charged == [5 * DOLLAR, 10 * DOLLAR, 20 * DOLLAR]
    assert bill(limited, PlanUsage(tokens=3 * 10**6)).adjustment_nano == -10 * DOLLAR


def test_nobody_pays_a_fee_on_nothing():
    assert bill(Plan(0, **CARD), PlanUsage(cost_nano=5)).fees_nano == 0
    trial = bill(Plan(30 * DOLLAR, **CARD), PlanUsage(cost_nano=5, trial=1))
    assert (trial.revenue_nano, trial.fees_nano, trial.inference_nano) == (0, 0, 5)
    assert bill(Plan(30 * DOLLAR), PlanUsage(trial=Fraction(1, 3))).revenue_nano == 20 * DOLLAR


def test_credits_that_run_out_first_are_spent_first():
    sold = Plan(DOLLAR, credits=Credits(granted=100, price_nano=20, tokens=1000, months=3))
    assert sold.kind is Kind.CREDITS
    month = bill(sold, PlanUsage(tokens=150_000, cost_nano=300, credits_left=(10, 60)))
    assert (month.credits_used, month.credits_expired, month.credits_nano) == (150, 0, 0)
    assert month.credits_left == (0, 20)
    idle = bill(sold, PlanUsage(tokens=4_000, credits_left=month.credits_left))
    assert (idle.credits_expired, idle.credits_left) == (0, (16, 100))
    more = bill(sold, PlanUsage(tokens=200_000, cost_nano=400, credits_left=(10, 60)))
    assert (more.credits_nano, more.passed_nano) == (30 * 20, 400 * Fraction(30, 200))


def test_credits_that_are_not_sold_stop_usage_and_those_that_last_stay():
    granted = Plan(DOLLAR, credits=Credits(granted=10, requests=1))
    month = bill(granted, PlanUsage(requests=40, cost_nano=400))
    assert (month.served, month.inference_nano, month.credits_left) == (Fraction(1, 4), 100, ())
    lasting = Plan(DOLLAR, credits=Credits(granted=10, cost_nano=DOLLAR, months=None))
    month = bill(lasting, PlanUsage(cost_nano=3 * DOLLAR, credits_left=(5,)))
    assert (month.credits_left, month.credits_expired) == ((12,), 0)


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"overage": Overage(1)}, "something that it is beyond"),
        ({"overage": Overage(1), "included": Included(cost_nano=1)}, "allowance in tokens"),
        (
            {"overage": Overage(per_request_nano=1), "included": Included(tokens=1)},
            "allowance in requests",
        ),
        ({"credits": Credits(tokens=1), "included": Included(tokens=1)}, "neither an allowance"),
        ({"minimum_nano": 2, "maximum_nano": 1}, "below its minimum"),
        ({"seats": 0}, "1 to 10,000,000 seats"),
    ],
)
def test_parts_that_do_not_go_together_are_refused(parts, said):
    with pytest.raises(UsageError, match=said):
        Plan(1, **parts)
    with pytest.raises(UsageError, match="one price"):
        Overage(1, 2)
    with pytest.raises(UsageError, match="one thing"):
        Credits(tokens=1, requests=2)


shares = st.fractions(0, 1, max_denominator=100)
amounts = st.integers(0, 10**12)
limits = st.none() | st.integers(0, 10**9)


@st.composite
def plans(draw):
    """Any plan that may be sold."""
    overage = draw(
        st.none()
        | st.builds(Overage, amounts)
        | st.builds(Overage, st.none(), amounts)
        | st.builds(lambda share: Overage(markup=share), shares)
    )
    included = draw(st.builds(Included, limits, limits, limits))
    if overage is not None and overage.markup is None:
        included = overage.nothing
    sold = None
    if overage is None and draw(st.booleans()):
        included = Included()
        sold = Credits(
            draw(st.integers(0, 1000)), draw(limits), draw(st.integers(1, 10**6)),
            months=draw(st.none() | st.integers(1, 4)),
        )  # fmt: skip
    elif included.unlimited and overage is not None:
        included = overage.nothing
    minimum = draw(amounts)
    return Plan(
        draw(amounts),
        seats=draw(st.integers(1, 50)),
        per_customer=draw(st.booleans()),
        yearly_discount=draw(shares),
        yearly_share=draw(shares),
        discount=draw(shares),
        included=included,
        overage=overage,
        credits=sold,
        minimum_nano=minimum,
        maximum_nano=draw(st.none() | st.integers(minimum, 10**13)),
        tax=draw(shares),
        tax_included=draw(st.booleans()),
        fee_share=draw(shares),
        fee_fixed_nano=draw(amounts),
        overhead_nano=draw(amounts),
        overhead_request_nano=draw(st.integers(0, 10**6)),
    )


usages = st.builds(
    PlanUsage, amounts, st.integers(0, 10**10), st.integers(0, 10**4),
    trial=shares, credits_left=st.lists(st.integers(0, 100), max_size=4).map(tuple),
    seats=st.none(), yearly=st.none(),
)  # fmt: skip


@settings(max_examples=80, deadline=None)
@given(plans(), usages)
def test_lines_add_up_and_none_is_negative(plan, usage):
    month = bill(plan, usage)
    lines = (
        *(month.base_nano, -month.discount_nano, month.overage_nano, month.credits_nano),
        month.adjustment_nano,
    )
    assert sum(lines) == month.revenue_nano >= 0
    assert month.revenue_nano - month.cost_nano == month.margin_nano
    assert month.tax_nano == month.revenue_nano * plan.tax
    assert 0 <= month.served <= 1
    assert 0 <= month.passed_nano <= month.inference_nano <= usage.cost_nano
    for line in (month.discount_nano, month.overage_nano, month.credits_nano, month.fees_nano):
        assert line >= 0
    assert abs(month.invoice_cents * 10**7 - month.due_nano) <= Fraction(10**7, 2)
    if plan.credits and plan.credits.months is not None:  # A credit is spent, kept or run out.
        lots = len(usage.credits_left[: plan.credits.months])
        had = plan.credits.granted + sum(usage.credits_left[:lots])
        bought = month.credits_used - (had - month.credits_expired - sum(month.credits_left))
        assert bought >= 0
        assert bought == 0 or month.credits_left == (0,) * (plan.credits.months - 1)
