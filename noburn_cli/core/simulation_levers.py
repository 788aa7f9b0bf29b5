"""What can be changed about a business, and how far: prices, allowances, caches, routing.

Layer: core (pure).  Below: core.simulation_scenario, core.simulation_reach, core.plans.
Above: core.simulation_pulling, core.simulation_advice.
Owns: the levers, and the scenario that each makes.
Not here: how far one must be pulled, and what that costs (core.simulation_pulling); assumptions
that one does not choose (core.simulation_sensitivity).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction

from noburn_cli.core.plans import UNLIMITED, Included, Overage, Plan
from noburn_cli.core.simulation_bill import Load
from noburn_cli.core.simulation_reach import CACHE_HITS, PROMPT_CACHED, ROUTED
from noburn_cli.core.simulation_scenario import Scenario, Segment

#: Usage beyond an allowance is offered at its cost and this part of it.
MARKUP = Fraction(1, 5)
#: A hard limit below this part of what the mean customer uses would serve nobody.
LIMIT_LEAST = 0.01
#: A price above four times today's is another product.
PRICE_TIMES_MAX = 4.0


@dataclass(frozen=True)
class Lever:
    """Something that can be changed, by an amount from `now` towards `most`.

    apply: the scenario with this amount.  answers: the share of requests that somebody else, or
    nobody, answers then.  price_nano: the one price that it multiplies, None for several.
    unpriced: the share of the plans, 0 to 1, that charge nothing today for what it is about.
    """

    name: str
    now: float
    most: float
    apply: Callable[[Scenario, float], Scenario]
    answers: Callable[[float], float] = lambda amount: 0.0  # noqa: ARG005
    reach: str = ""
    price_nano: int | None = None
    unpriced: float = 0.0


def levers_of(scenario: Scenario, *, product: str | None) -> list[Lever]:
    """What this business can change; `product` says what a cache may hit."""
    saved = scenario.savings
    # What plans differ in is raised from where the first one stands.
    cached = scenario.prompt_cached(scenario.segments[0])
    hit = scenario.cache_hits(scenario.segments[0])
    hits = CACHE_HITS["repeating" if product is None else product]
    prices = {one.plan.price_nano for one in scenario.segments if one.plan.price_nano}
    if any(one.plan.overage or one.plan.credits for one in scenario.segments):
        prices = set()  # Then it is every price that is multiplied, and not one.
    found = [
        Lever("price", 1.0, PRICE_TIMES_MAX, _with_price,
              price_nano=prices.pop() if len(prices) == 1 else None),
        Lever("prompt cache", cached, max(cached, PROMPT_CACHED.high),
              with_prompt_cache, reach=PROMPT_CACHED.source),
        Lever("routing", saved.routed, max(saved.routed, ROUTED.high), with_routing,
              answers=lambda amount: amount, reach=ROUTED.source),
        Lever("semantic cache", hit, max(hit, hits.high), with_cache,
              answers=lambda amount: amount, reach=hits.source),
    ]  # fmt: skip
    ends = [end for segment in scenario.segments if (end := _included_now(scenario, segment))]
    charged = [bool(one.plan.overage) for one in scenario.segments if limitable(one.plan)]
    if charged:
        mean = _mean_cost(scenario)
        most = max(ends, default=mean * 100)
        unpriced = charged.count(False) / len(charged)
        found.append(Lever("overage", most, 0.0, _with_overage, unpriced=unpriced))
        found.append(Lever("hard limit", most, min(most, mean * LIMIT_LEAST), _with_limit))
    return found


def hybrid_of(scenario: Scenario, *, included_share: Fraction = Fraction(1, 6)) -> Scenario:
    """The same customers on the same prices, with usage included for a part of the price, and
    beyond it at cost and MARKUP.  A sixth of $29 is some $5, inside the 15-20 % that inference may
    cost.
    """
    segments = tuple(
        replace(
            one,
            plan=replace(
                one.plan,
                included=Included(cost_nano=round(one.plan.price_nano * included_share)),
                overage=Overage(markup=MARKUP),
            ),
        )
        if limitable(one.plan) and _unlimited(one.plan)
        else one
        for one in scenario.segments
    )
    return replace(scenario, segments=segments)


def flat_segments(scenario: Scenario) -> list[Segment]:
    """Who pays the same whatever they use."""
    return [one for one in scenario.segments if one.paying and _unlimited(one.plan)]


def _unlimited(plan: Plan) -> bool:
    return plan.overage is None and plan.credits is None and plan.included == UNLIMITED


def limitable(plan: Plan) -> bool:
    """Whether another allowance can be put under a plan."""
    return bool(plan.price_nano) and plan.credits is None


def _with_price(scenario: Scenario, times: float) -> Scenario:
    """Every price, of seats, usage and credits, now and later, times this much."""
    segments = tuple(replace(one, plan=_priced(one.plan, times)) for one in scenario.segments)
    changes = tuple(
        change
        if change.price_nano is None
        else replace(change, price_nano=round(change.price_nano * times))
        for change in scenario.changes
    )
    return replace(scenario, segments=segments, changes=changes)


def _priced(plan: Plan, times: float) -> Plan:
    over, prepaid = plan.overage, plan.credits
    exact = Fraction(times)
    if over is not None and over.markup is not None:
        over = Overage(markup=(1 + over.markup) * exact - 1)
    elif over is not None:
        over = Overage(_scaled(over.per_million_nano, times), _scaled(over.per_request_nano, times))
    if prepaid is not None:
        prepaid = replace(prepaid, price_nano=_scaled(prepaid.price_nano, times))
    return replace(plan, price_nano=round(plan.price_nano * times), overage=over, credits=prepaid)


def _scaled(nano: int | None, times: float) -> int | None:
    return None if nano is None else round(nano * times)


def with_cache(scenario: Scenario, hits: float) -> Scenario:
    return replace(scenario, savings=replace(scenario.savings, cache_hits=hits))


def with_routing(scenario: Scenario, share: float) -> Scenario:
    return replace(scenario, savings=replace(scenario.savings, routed=share))


def with_prompt_cache(scenario: Scenario, share: float) -> Scenario:
    return replace(scenario, savings=replace(scenario.savings, prompt_cached=share))


def _with_overage(scenario: Scenario, included_nano: float) -> Scenario:
    """Usage at this cost is in the price of a seat; more costs what it costs beyond today's
    allowance, or its cost and MARKUP.
    """
    return _with_allowance(scenario, included_nano, stops=False)


def _with_limit(scenario: Scenario, included_nano: float) -> Scenario:
    """Usage at this cost is in the price of a seat, and there is no more."""
    return _with_allowance(scenario, included_nano, stops=True)


def _with_allowance(scenario: Scenario, included_nano: float, *, stops: bool) -> Scenario:
    segments = []
    for one in scenario.segments:
        plan = one.plan
        over = plan.overage or Overage(markup=MARKUP)
        included = _counted(scenario.load_in(one, 0), over, included_nano)
        if limitable(plan) and included is not None:
            plan = replace(plan, included=included, overage=None if stops else over)
        segments.append(replace(one, plan=plan))
    return replace(scenario, segments=tuple(segments))


def _counted(load: Load, over: Overage, nano: float) -> Included | None:
    """Usage at this cost, in what an overage counts; None where there is none of that."""
    if over.markup is not None:
        return Included(cost_nano=round(nano))
    amount = load.tokens if over.per_million_nano is not None else load.requests
    if not amount or not load.cost_nano:
        return None
    units = round(nano / load.cost_nano * amount)
    return Included(tokens=units) if over.per_million_nano is not None else Included(requests=units)


def _mean_cost(scenario: Scenario) -> float:
    """What the dearest plan's mean customer costs a seat, in nano-dollars, in the last month."""
    return max(
        scenario.load_in(one, scenario.months - 1).cost_nano / one.plan.units(one.plan.seats)
        for one in scenario.segments
    )


def _included_now(scenario: Scenario, segment: Segment) -> float:
    """The allowance that a seat has today, at its cost; 0 for none."""
    plan, load = segment.plan, scenario.load_in(segment, 0)
    included = plan.included
    if not limitable(plan) or included.unlimited:
        return 0.0
    if included.cost_nano is not None:
        return float(included.cost_nano)
    part = (
        included.tokens / load.tokens
        if included.tokens is not None and load.tokens
        else (included.requests or 0) / (load.requests or 1.0)
    )
    return part * load.cost_nano
