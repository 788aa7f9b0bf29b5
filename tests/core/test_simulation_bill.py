"""Many customers' bills at once equal the exact bill of each."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from noburn_cli.core.plan_billing import PlanUsage, bill
from noburn_cli.core.plans import Credits, Included, Overage, Plan
from noburn_cli.core.simulation_bill import BILL_BOUND, Load, Tariff

NANO = 10**9
shares = st.fractions(0, Fraction(9, 10), max_denominator=1000)
some = st.one_of(st.none(), st.integers(0, 10**7))
amounts = st.integers(0, 200 * NANO)


@st.composite
def plans(draw):
    """Plans of every kind, with every part that a plan can have."""
    kind = draw(st.sampled_from(("flat", "stop", "tokens", "requests", "markup", "credits")))
    values = {
        "price_nano": draw(amounts),
        "seats": draw(st.integers(1, 9)),
        "per_customer": draw(st.booleans()),
        "yearly_discount": draw(shares),
        "yearly_share": draw(st.sampled_from((Fraction(0), Fraction(1), Fraction(2, 7)))),
        "discount": draw(shares),
        "minimum_nano": draw(st.sampled_from((0, 5 * NANO))),
        "maximum_nano": draw(st.sampled_from((None, 90 * NANO))),
        "tax": draw(shares),
        "tax_included": draw(st.booleans()),
        "fee_share": draw(st.sampled_from((Fraction(0), Fraction(29, 1000)))),
        "fee_fixed_nano": draw(st.sampled_from((0, 3 * 10**8))),
        "overhead_nano": draw(amounts),
        "overhead_request_nano": draw(st.integers(0, 10**6)),
    }
    if kind == "stop":
        values["included"] = Included(draw(some), draw(some), draw(some))
    elif kind == "tokens":
        values["included"] = Included(tokens=draw(st.integers(0, 10**7)))
        values["overage"] = Overage(per_million_nano=draw(amounts))
    elif kind == "requests":
        values["included"] = Included(requests=draw(st.integers(0, 10**4)))
        values["overage"] = Overage(per_request_nano=draw(st.integers(0, NANO)))
    elif kind == "markup":
        values["included"] = Included(draw(some), draw(st.integers(0, 50 * NANO)))
        values["overage"] = Overage(markup=draw(shares))
    elif kind == "credits":
        unit = draw(st.sampled_from(("tokens", "requests", "cost_nano")))
        values["credits"] = Credits(
            granted=draw(st.integers(0, 2000)),
            price_nano=draw(st.sampled_from((None, 2 * 10**7))),
            months=draw(st.sampled_from((None, 1, 3))),
            **{unit: draw(st.integers(1, 10**6))},
        )
    return Plan(**values)


#: Cost, tokens and requests are whole in the exact bill: multiples that keep them so.
loads = st.builds(
    lambda tokens, cost, requests: Load(float(tokens), float(cost), float(requests)),
    st.one_of(st.just(0), st.integers(10**3, 10**6)),
    st.one_of(st.just(0), st.integers(10**6, 20 * NANO)),
    st.one_of(st.just(0), st.integers(1, 3000)),
)  # fmt: skip


def check(plan, load, multiples, found, exact):
    for place, one in enumerate(exact):
        scale = max(
            1, *(abs(getattr(one, name)) for name in (
                "base_nano", "overage_nano", "credits_nano", "inference_nano", "overhead_nano",
                "adjustment_nano", "fees_nano", "tax_nano",
            ))
        )  # fmt: skip
        for line in ("revenue_nano", "inference_nano", "fees_nano", "overhead_nano", "margin_nano"):
            many = np.broadcast_to(np.asarray(getattr(found, line)), multiples.shape)[place]
            off = abs(Fraction(float(many)) - getattr(one, line))
            assert off <= scale * BILL_BOUND, (line, place, float(off))


@settings(deadline=None, max_examples=60)
@given(plans(), loads, st.sampled_from((0, Fraction(1, 4), 1)))
def test_the_vectorised_bill_equals_the_exact_one(plan, load, trial):
    """Goal: no plan, however odd, is billed otherwise in the simulation than in `bill()`."""
    multiples = np.array([0.0, 1.0, 2.0, 7.0, 100.0, 1.0])
    lots, exact_left = None, [()] * len(multiples)
    for _ in range(3):  # Months: what is left of credits pays for later ones.
        found = Tariff(plan, load).bill(multiples, trial=float(trial), lots=lots)
        exact = [
            bill(
                plan,
                PlanUsage(
                    cost_nano=int(load.cost_nano * one),
                    tokens=int(load.tokens * one),
                    requests=int(load.requests * one),
                    trial=trial,
                    credits_left=left,
                ),
            )
            for one, left in zip(multiples, exact_left, strict=True)
        ]
        check(plan, load, multiples, found, exact)
        lots, exact_left = found.lots, [one.credits_left for one in exact]
