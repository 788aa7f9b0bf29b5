"""A simulation as data for `--json`.

Layer: render.  Below: core.simulation_findings and its neighbours.  Above: commands.simulate.
Amounts are dollars as exact decimals of whole nano-dollars, shares decimals of 1 with nine places,
both as strings; null where there is no figure.  They are statistics: rounding takes nothing away.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from noburn_cli.core.money import Nano
from noburn_cli.core.simulation_advice import lever_words
from noburn_cli.core.simulation_assumptions import Assumption
from noburn_cli.core.simulation_expected import Month
from noburn_cli.core.simulation_findings import Findings
from noburn_cli.core.simulation_pulling import Pulled, WonBack
from noburn_cli.core.simulation_sensitivity import Swing
from noburn_cli.core.simulation_summary import MonthSpread, PlanSpread, Spread
from noburn_cli.core.simulation_turning import Size


def simulation_data(found: Findings, assumptions: Sequence[Assumption]) -> dict[str, Any]:
    """Everything that was found, and everything that was assumed."""
    scenario = found.scenario
    return {
        "seed": scenario.seed,
        "draws": scenario.draws,
        "target": _share(scenario.target),
        "target_reached": found.reached,
        "assumptions": [asdict(one) for one in assumptions],
        "total": _month(found.summary.total),
        "months": [_month(one) for one in found.summary.months],
        "plans": [_plan(one) for one in found.summary.plans],
        "expected": {
            "total": _expected(found.expected.total),
            "months": [_expected(one) for one in found.expected.months],
        },
        "top_tenth_share": {
            "first_month": _spread(found.summary.top_share[0], _share),
            "last_month": _spread(found.summary.top_share[1], _share),
            "of_the_shape": _share(scenario.shape.top_share(0.1)),
        },
        "break_even": _break_even(found),
        "turning": {
            "turns_at": found.turning.turns_at,
            "always_misses": found.turning.always_misses,
            "holds_from": found.turning.holds_from,
            "sure_from": found.turning.sure_from,
            "sizes": [_size(one) for one in found.turning.sizes],
        },
        "won_back": [_won(one) for one in found.won_back],
        "levers": [_lever(one) for one in found.levers],
        "sensitivity": [_swing(one) for one in found.swings],
        "hybrid": None if found.hybrid is None else _expected(found.hybrid),
        "advice": [asdict(one) for one in found.advice],
    }


def _break_even(found: Findings) -> dict[str, Any]:
    even = found.break_even
    return {
        "contribution": _dollars(even.contribution_nano),
        "contribution_by_plan": {name: _dollars(one) for name, one in even.by_plan},
        "customers": even.customers,
        "customers_19_of_20": found.turning.covered_at,
        "free_carried": _share(even.free_carried),
    }


def _won(one: WonBack) -> dict[str, Any]:
    return {
        "change": one.what,
        "saves_a_month": _dollars(one.saved_nano),
        "margin_share": _share(one.margin_share),
        "points": _share(one.points),
    }


def _swing(one: Swing) -> dict[str, Any]:
    return {
        "assumption": one.name,
        "low": one.low,
        "high": one.high,
        "margin_low": _dollars(one.low_nano),
        "margin_high": _dollars(one.high_nano),
        "margin_share_low": _share(one.low_share),
        "margin_share_high": _share(one.high_share),
        "under_water_low": _share(one.low_under_water),
        "under_water_high": _share(one.high_under_water),
    }


def _dollars(nano: float | None) -> Nano | None:
    return None if nano is None or math.isnan(nano) else Nano(round(nano))


def _share(share: float | None) -> str | None:
    return None if share is None or math.isnan(share) else Nano(round(share * 10**9)).exact()


def _spread(spread: Spread, show: Any) -> dict[str, Any]:
    return {"p5": show(spread.p5), "p50": show(spread.p50), "p95": show(spread.p95)}


def _month(one: MonthSpread) -> dict[str, Any]:
    return {
        "month": one.month or None,
        "customers": _spread(one.customers, _share),
        "payers": _spread(one.payers, _share),
        "revenue": _spread(one.revenue, _dollars),
        "inference": _spread(one.inference, _dollars),
        "margin": _spread(one.margin, _dollars),
        "margin_share": _spread(one.margin_share, _share),
        "after_fixed_costs": _spread(one.result, _dollars),
        "under_water": _spread(one.under_water, _share),
        "lost": _spread(one.lost, _dollars),
        "reaches_target": _share(one.reached),
    }


def _plan(one: PlanSpread) -> dict[str, Any]:
    return {
        "plan": one.name,
        "paying": one.paying,
        "customer_months": _spread(one.customers, _share),
        "revenue": _spread(one.revenue, _dollars),
        "inference": _spread(one.inference, _dollars),
        "cost_share": _spread(one.cost_share, _share),
        "margin": _spread(one.margin, _dollars),
        "margin_share": _spread(one.margin_share, _share),
        "under_water": _spread(one.under_water, _share),
    }


def _expected(one: Month) -> dict[str, Any]:
    return {
        "customers": _share(one.customers),
        "payers": _share(one.payers),
        "revenue": _dollars(one.revenue_nano),
        "inference": _dollars(one.inference_nano),
        "fees": _dollars(one.fees_nano),
        "overhead": _dollars(one.overhead_nano),
        "margin": _dollars(one.margin_nano),
        "margin_share": _share(one.margin_share),
        "under_water": _share(one.under_water_share),
        "lost": _dollars(one.lost_nano),
    }


def _size(one: Size) -> dict[str, Any]:
    return {
        "customers": one.customers,
        "margin_share": {"p5": _share(one.p5), "p50": _share(one.p50), "p95": _share(one.p95)},
        "misses_target": _share(one.misses),
        "under_water": _share(one.under_water),
        "lost_share": _share(one.lost),
        "heaviest_share": _share(one.largest),
        "covers_fixed_costs": _share(one.covers),
    }


def _lever(one: Pulled) -> dict[str, Any]:
    return {
        "lever": one.lever.name,
        "words": lever_words(one),
        "reaches_target": one.reaches,
        "margin_share": _share(one.margin_share),
        "customers_pay": _dollars(one.paid_nano),
        "refused": _dollars(one.refused_nano),
        "work": _dollars(one.work_nano),
        "touched": _share(one.touched),
        "answers_changed": _share(one.lever.answers(one.amount)),
    }
