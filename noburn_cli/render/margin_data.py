"""A margin as data for `--json`: dollars as exact decimals, shares as decimals of 1.

Layer: render.  Below: core.margin_outlook, core.money.  Above: commands.margin.
Amounts are rounded to the nano-dollar, half to even.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from noburn_cli.core.economics import inference_allowance
from noburn_cli.core.margin_month import Month
from noburn_cli.core.margin_outlook import Outlook, Swept
from noburn_cli.core.margin_solving import Answer, Reach
from noburn_cli.core.money import PICO_PER_TOKEN_PER_DOLLAR_PER_MILLION, Nano
from noburn_cli.core.plan_usage import PricedUse


def outlook_data(shown: Outlook) -> dict[str, Any]:
    """One plan at one rate."""
    scenario, month = shown.scenario, shown.month
    low, high = inference_allowance(month.revenue_nano)
    price = shown.target_price
    return {
        "rate_name": scenario.rates_name,
        "rate_dollars_per_million": _per_million(scenario.rate_pico),
        "plan": scenario.plan.name or None,
        "kind": scenario.plan.kind.value,
        "tokens": scenario.seat_tokens,
        "seats": scenario.plan.seats,
        **_month_data(month),
        "inference_share": _decimal(month.inference_share),
        "inference_allowance": {"low": _nano(low), "high": _nano(high)},
        "band": None if month.band is None else month.band.value,
        "passed_on": _nano(month.bill.passed_nano),
        "net_revenue": _nano(month.net_revenue_nano),
        "net_margin_share": _decimal(month.net_margin_share),
        "break_even": _allowance_data(shown.break_even),
        "target": {
            "margin_share": _decimal(shown.target),
            **_allowance_data(shown.keeping_target),
            "price": _price(price),
        },
        "uses": [_use_data(one) for one in scenario.uses],
        "levers": _levers_data(shown),
        "free_users_per_payer": _decimal(scenario.free.per_payer),
    }


def _month_data(month: Month) -> dict[str, Any]:
    bill = month.bill
    return {
        "revenue": _nano(month.revenue_nano),
        "inference": _nano(bill.inference_nano),
        "fees": _nano(bill.fees_nano),
        "overhead": _nano(bill.overhead_nano),
        "free_tier": _nano(month.free_nano),
        "margin": _nano(month.margin_nano),
        "margin_share": _decimal(month.margin_share),
        "lines": {
            "base": _nano(bill.base_nano),
            "discount": _nano(bill.discount_nano),
            "overage": _nano(bill.overage_nano),
            "credits": _nano(bill.credits_nano),
            "adjustment": _nano(bill.adjustment_nano),
            "tax": _nano(bill.tax_nano),
            "invoice_cents": bill.invoice_cents,
        },
        "served_share": _decimal(bill.served),
    }


def _price(found: Answer) -> Nano | None:
    if found.reach is Reach.ALWAYS:
        return Nano(0)
    return None if found.value is None else Nano(found.value)


def _use_data(one: PricedUse) -> dict[str, Any]:
    use = one.use
    return {
        "name": use.name,
        "model": use.model,
        "tokens": use.tokens,
        "calls": use.calls,
        "output_share": _decimal(use.output),
        "cached_share": _decimal(use.cached),
        "batch_share": _decimal(use.batch),
        "cache_hits": _decimal(use.hits),
        "rate_dollars_per_million": _per_million(one.rate_pico),
        "cost": _nano(one.cost_nano),
    }


def _levers_data(shown: Outlook) -> dict[str, Any]:
    levers = shown.scenario.levers
    return {
        "cache_hits": _decimal(levers.hits),
        "routed_share": _decimal(levers.routed),
        "route_ratio": _decimal(levers.ratio),
        "margin_points": _decimal(shown.points),
    }


def _allowance_data(found: Answer) -> dict[str, Any]:
    return {"reach": found.reach.value, "tokens": found.value, "ranges": _ranges(found)}


def _ranges(found: Answer) -> list[dict[str, Any]]:
    """Both ends included; an end that is the most that can be is None."""
    high = found.quantity.high
    return [
        {"low": one.low, "high": None if one.high == high else one.high} for one in found.ranges
    ]


def answer_data(found: Answer) -> dict[str, Any]:
    """`--solve`: value and ranges in the quantity's own steps, which `unit` names."""
    best = found.best
    return {
        "quantity": found.quantity.name,
        "unit": found.quantity.what,
        "reach": found.reach.value,
        "value": found.value,
        "charged": found.charged,
        "shown": None if found.charged is None else found.quantity.show(found.charged),
        "ranges": _ranges(found),
        "best_margin_share": None if best is None else _decimal(best[1]),
    }


def sweep_data(one: Swept) -> dict[str, Any]:
    """Every row of a sweep, the breaking points among them and by themselves."""
    return {
        "quantity": one.quantity.name,
        "unit": one.quantity.what,
        "rows": [
            {"value": value, "shown": one.quantity.show(value), **_month_data(month)}
            for value, month in one.months
        ],
        "edges": [
            {
                "value": edge.value,
                "margin_share": _decimal(edge.keep),
                "side": "last" if edge.falls else "first",
            }
            for edge in one.edges
        ],
        "bends": [{"value": bend.value, "reason": bend.reason} for bend in one.bends],
    }


def _per_million(rate_pico: Fraction) -> Nano:
    return Nano(round(rate_pico / PICO_PER_TOKEN_PER_DOLLAR_PER_MILLION * 10**9))


def _nano(amount: Fraction | int) -> Nano:
    return Nano(round(amount))


def _decimal(share: Fraction | None) -> str | None:
    """A share with nine decimals, half to even, as a string without trailing zeros."""
    return None if share is None else Nano(round(share * 10**9)).exact()
