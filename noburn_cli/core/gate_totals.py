"""Sums over the prompts of one side of a comparison.

Layer: core (pure).  Below: core.gate_costs, core.gate_model.  Above: gating.comparing.
"""

from __future__ import annotations

from collections.abc import Sequence

from noburn_cli.core.estimates import NOTHING, Span
from noburn_cli.core.gate_costs import margin
from noburn_cli.core.gate_model import PromptCost, Totals


def totals(costs: Sequence[PromptCost], *, plan_price: int | None) -> Totals:
    """What all prompts of one side come to.

    plan_price: what all those without a price of their own have to live in, in nano-dollars.
    """
    months = [one.cost_month for one in costs if one.cost_month is not None]
    customers = [one.customer_month for one in costs if one.customer_month is not None]
    living = [
        one.customer_month
        for one in costs
        if one.customer_month is not None and one.plan_price is None
    ]
    return Totals(
        month=sum(months, NOTHING) if months else None,
        customer_month=sum(customers, NOTHING) if customers else None,
        plan_price=plan_price,
        margin=margin(plan_price, sum(living, NOTHING) if living else None),
        left_out=tuple(one.name for one in costs if one.cost_month is None),
    )


def no_prompts(plan_price: int | None) -> Totals:
    """Of a base without a prompt: a month of nothing."""
    return Totals(Span(0, 0), None, plan_price, None)
