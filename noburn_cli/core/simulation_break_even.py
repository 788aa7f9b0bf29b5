"""How many customers it takes: for the fixed costs, and for a free tier.

Layer: core (pure).  Below: core.simulation_expected, core.simulation_scenario.
Above: core.simulation_findings.
Not here: how many are needed to be as good as sure (core.simulation_turning).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from noburn_cli.core.simulation_expected import mean_customer
from noburn_cli.core.simulation_scenario import Scenario

#: What is asked for, less what floats lose.
_CLOSE = 1e-12


@dataclass(frozen=True)
class BreakEven:
    """Customers that are needed, in the first month.

    contribution_nano: what the mean customer leaves, all plans mixed as they are; by plan besides.
    customers: that pay the fixed costs on the mean; None where each one more loses.
    free_carried: free customers that one paying one carries; None without a free plan.
    """

    contribution_nano: float
    by_plan: tuple[tuple[str, float], ...]
    customers: int | None
    free_carried: float | None


def break_even(scenario: Scenario) -> BreakEven:
    """How many customers it takes."""
    whole = sum(one.share for one in scenario.segments)
    each = [(one, mean_customer(scenario, one).margin_nano) for one in scenario.segments]
    mixed = sum(one.share / whole * margin for one, margin in each)
    paying = [(one.share, margin) for one, margin in each if one.paying]
    free = [(one.share, margin) for one, margin in each if not one.paying]
    carried = None
    if paying and free and _weighted(free) < 0:
        carried = max(0.0, _weighted(paying) / -_weighted(free))
    needed = None
    if mixed > 0:
        needed = max(1, math.ceil(scenario.fixed_nano / mixed - _CLOSE))
    return BreakEven(mixed, tuple((one.name, margin) for one, margin in each), needed, carried)


def _weighted(parts: list[tuple[float, float]]) -> float:
    return sum(share * margin for share, margin in parts) / sum(share for share, _ in parts)
