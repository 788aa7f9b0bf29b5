"""How far a lever must be pulled to reach the target, what that costs, and what savings win back.

Layer: core (pure).  Below: core.simulation_levers, core.simulation_expected,
core.simulation_reach.  Above: core.simulation_findings, core.simulation_advice.
Owns: what "cheapest" means.
Not here: what a lever changes (core.simulation_levers).

Cheapest is counted in dollars a month: what customers pay more or are refused (at cost), and the
work that the change takes, spread over the months.  Among changes that cost the same, the one that
leaves most answers as they are comes first.  Nobody leaves over a change: what a price drives away
is said as a change of the scenario.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from noburn_cli.core.simulation_bill import Tariff
from noburn_cli.core.simulation_expected import Month, expect
from noburn_cli.core.simulation_levers import (
    Lever,
    levers_of,
    limitable,
    with_cache,
    with_prompt_cache,
)
from noburn_cli.core.simulation_reach import CACHE_HITS, PROMPT_CACHED, ROUTED
from noburn_cli.core.simulation_scenario import Scenario
from noburn_cli.core.simulation_words import percent

_HALVINGS = 40
#: An amount is found to this part of itself.
_PRECISE = 1e-7
#: What is asked for, less what floats lose.
_CLOSE = 1e-12


@dataclass(frozen=True)
class Pulled:
    """A lever at the least amount that reaches the target, or at its most where none does.

    paid_nano: what all customers together pay more a month; refused_nano: usage a month that does
    not happen any more, at its cost; work_nano: work, spread over the months.
    touched: the share of customers who pay more or are stopped.
    route_ratio: how many times cheaper the other model is.
    """

    lever: Lever
    amount: float
    reaches: bool
    margin_share: float | None
    route_ratio: float
    paid_nano: float
    refused_nano: float
    work_nano: float
    touched: float

    @property
    def price_nano(self) -> float:
        """What the change costs a month, by which the levers are ranked."""
        return self.paid_nano + self.refused_nano + self.work_nano


def pull(scenario: Scenario, lever: Lever, *, before: Month, work_nano: float = 0.0) -> Pulled:
    """The least amount that reaches the target, by halving; the most where even that does not.

    before: the expectation without the change.
    """
    reaches = bool(_reaches(scenario, lever, lever.most))
    low, high = lever.now, lever.most
    if reaches:
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            low, high = (low, middle) if _reaches(scenario, lever, middle) else (middle, high)
            if abs(high - low) <= _PRECISE * max(abs(high), abs(low)):
                break
    changed = lever.apply(scenario, high)
    after = expect(changed).total
    months = scenario.months
    limited = lever.name == "hard limit"
    return Pulled(
        lever=lever,
        amount=high,
        reaches=reaches,
        margin_share=after.margin_share,
        route_ratio=scenario.savings.route_ratio,
        paid_nano=max(0.0, after.revenue_nano - before.revenue_nano) / months,
        refused_nano=(before.inference_nano - after.inference_nano) / months if limited else 0.0,
        work_nano=work_nano / months,
        touched=_touched(changed)
        if lever.name in ("overage", "hard limit")
        else _paying(scenario)
        if lever.name == "price"
        else 0.0,
    )


def cheapest(
    scenario: Scenario, *, product: str | None, work_nano: Mapping[str, float]
) -> list[Pulled]:
    """Every lever pulled as far as needed: those that reach the target first, the cheapest on top.

    work_nano: what the work for a lever costs once, by the lever's name.
    """
    before = expect(scenario).total
    found = [
        pull(scenario, lever, before=before, work_nano=work_nano.get(lever.name, 0.0))
        for lever in levers_of(scenario, product=product)
    ]
    return sorted(found, key=_rank)


def _rank(pulled: Pulled) -> tuple[bool, float, float, float]:
    share = pulled.margin_share
    return (
        not pulled.reaches,
        # To three figures: two ways of earning the same money differ in rounding alone.
        float(f"{pulled.price_nano:.2e}") if pulled.reaches else 0.0,
        (pulled.lever.answers(pulled.amount) if pulled.reaches else 0.0) + pulled.touched,
        -(share if share is not None else float("-inf")),
    )


def _reaches(scenario: Scenario, lever: Lever, amount: float) -> bool:
    share = expect(lever.apply(scenario, amount), coarse=True).total.margin_share
    return share is not None and share >= scenario.target - _CLOSE


def _paying(scenario: Scenario) -> float:
    """The share of customers who are on a plan with a price."""
    return sum(one.share for one in scenario.segments if one.plan.price_nano) / sum(
        one.share for one in scenario.segments
    )


def _touched(scenario: Scenario) -> float:
    """The share of customers whose first month passes the allowance."""
    multiples, weights = scenario.shape.nodes()
    found = 0.0
    for segment in scenario.segments:
        if limitable(segment.plan):
            ends = Tariff(segment.plan, scenario.load_in(segment, 0)).allowance_ends
            found += segment.share * float(weights[multiples > ends].sum())
    return found / sum(one.share for one in scenario.segments)


@dataclass(frozen=True)
class WonBack:
    """What a saving wins: dollars a month, and points of margin."""

    what: str
    saved_nano: float
    margin_share: float | None
    points: float | None


def won_back(
    scenario: Scenario, *, product: str | None, ratios: tuple[float, ...]
) -> list[WonBack]:
    """What caching and routing win against today, at both ends of their reach and all together.

    Less of a saving than there is already wins nothing back, and is left out.
    """
    hits = CACHE_HITS["repeating" if product is None else product]
    saved = scenario.savings
    cases = [
        (f"semantic cache, {percent(share, places=0)} hits", with_cache(scenario, share))
        for share in dict.fromkeys((hits.low, hits.high))
    ]
    for ratio in ratios:
        routed = replace(saved, routed=ROUTED.high, route_ratio=ratio)
        what = f"{percent(ROUTED.high, places=0)} routed to a model {ratio:g}x cheaper"
        cases.append((what, replace(scenario, savings=routed)))
    what = f"prompt cache for {percent(PROMPT_CACHED.high, places=0)} of the input"
    cases.append((what, with_prompt_cache(scenario, PROMPT_CACHED.high)))
    middle = max(hits.middle, saved.cache_hits or 0.0)
    everything = replace(
        saved, cache_hits=middle, routed=ROUTED.high, prompt_cached=PROMPT_CACHED.high
    )
    cases.append(
        (
            f"all three, the cache at {percent(middle, places=0)}",
            replace(scenario, savings=everything),
        )
    )
    before = expect(scenario).total
    found = (_won(what, changed, before, scenario.months) for what, changed in cases)
    return [one for one in found if round(one.saved_nano) >= 0]


def _won(what: str, changed: Scenario, before: Month, months: int) -> WonBack:
    after = expect(changed).total
    known = after.margin_share is not None and before.margin_share is not None
    points = (after.margin_share or 0.0) - (before.margin_share or 0.0) if known else None
    saved_nano = (before.inference_nano - after.inference_nano) / months
    return WonBack(what, saved_nano, after.margin_share, points)
