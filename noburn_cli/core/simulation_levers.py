"""What can be changed about a business, what each change wins, and which one reaches the target.

Layer: core (pure).  Below: core.simulation_expected, core.simulation_scenario,
core.simulation_reach, core.plans.  Above: core.simulation_findings.
Owns: the levers, how far each can be pulled, and what "cheapest" means.
Not here: assumptions that one does not choose (core.simulation_sensitivity).

Cheapest is counted in dollars a month: what customers pay more or are refused (at cost), and the
work that the change takes, spread over the months.  Among changes that cost the same, the one that
leaves most answers as they are comes first.  Nobody leaves over a change: what a price drives away
is said as a change of the scenario.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from noburn_cli.core.plans import UNLIMITED, Included, Overage, Plan
from noburn_cli.core.simulation_expected import Month, expect, mean_customer
from noburn_cli.core.simulation_reach import CACHE_HITS, PROMPT_CACHED, ROUTED
from noburn_cli.core.simulation_scenario import Scenario, Segment
from noburn_cli.core.simulation_words import percent

#: Usage beyond an allowance is offered at its cost and this part of it.
MARKUP = Fraction(1, 5)
#: A price above four times today's is another product.
PRICE_TIMES_MAX = 4.0
_HALVINGS = 40
#: What is asked for, less what floats lose.
_CLOSE = 1e-12


@dataclass(frozen=True)
class Lever:
    """Something that can be changed, by an amount from `now` towards `most`.

    apply: the scenario with this amount.  answers: the share of requests that somebody else, or
    nobody, answers then.  price_nano: the one price that it multiplies, None for several.
    """

    name: str
    now: float
    most: float
    apply: Callable[[Scenario, float], Scenario]
    answers: Callable[[float], float] = lambda amount: 0.0  # noqa: ARG005
    reach: str = ""
    price_nano: int | None = None


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
              _with_prompt_cache, reach=PROMPT_CACHED.source),
        Lever("routing", saved.routed, max(saved.routed, ROUTED.high), _with_routing,
              answers=lambda amount: amount, reach=ROUTED.source),
        Lever("semantic cache", hit, max(hit, hits.high), _with_cache,
              answers=lambda amount: amount, reach=hits.source),
    ]  # fmt: skip
    ends = [end for segment in scenario.segments if (end := _included_now(scenario, segment))]
    if any(_limitable(segment.plan) for segment in scenario.segments):
        most = max(ends, default=_mean_cost(scenario) * 100)
        found.append(Lever("overage", most, 0.0, _with_overage))
        found.append(Lever("hard limit", most, 0.0, _with_limit))
    return found


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
            if abs(high - low) <= 1e-9 * max(abs(high), abs(low)):
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
        # To five figures: two ways of earning the same money differ in rounding alone.
        float(f"{pulled.price_nano:.4e}") if pulled.reaches else 0.0,
        (pulled.lever.answers(pulled.amount) if pulled.reaches else 0.0) + pulled.touched,
        -(share if share is not None else float("-inf")),
    )


def _reaches(scenario: Scenario, lever: Lever, amount: float) -> bool:
    share = expect(lever.apply(scenario, amount)).total.margin_share
    return share is not None and share >= scenario.target - _CLOSE


def hybrid_of(scenario: Scenario, *, included_share: Fraction = Fraction(1, 6)) -> Scenario:
    """The same customers on the same prices, with usage included for a part of the price, and
    beyond it at cost and MARKUP.  A sixth of $29 is some $5, inside the 15-20 % that inference may
    cost.
    """
    return _each(
        scenario,
        lambda plan: replace(
            plan,
            included=Included(cost_nano=round(plan.price_nano * included_share)),
            overage=Overage(markup=MARKUP),
        ),
    )


def flat_segments(scenario: Scenario) -> list[Segment]:
    """Who pays the same whatever they use."""
    return [one for one in scenario.segments if one.paying and _unlimited(one.plan)]


def _unlimited(plan: Plan) -> bool:
    return plan.overage is None and plan.credits is None and plan.included == UNLIMITED


def _limitable(plan: Plan) -> bool:
    """Whether an allowance in dollars of usage can be put under a plan."""
    over = plan.overage
    return bool(plan.price_nano) and plan.credits is None and (over is None or bool(over.markup))


def _each(scenario: Scenario, change: Callable[[Plan], Plan]) -> Scenario:
    segments = tuple(
        replace(one, plan=change(one.plan)) if _limitable(one.plan) else one
        for one in scenario.segments
    )
    return replace(scenario, segments=segments)


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


def _with_cache(scenario: Scenario, hits: float) -> Scenario:
    return replace(scenario, savings=replace(scenario.savings, cache_hits=hits))


def _with_routing(scenario: Scenario, share: float) -> Scenario:
    return replace(scenario, savings=replace(scenario.savings, routed=share))


def _with_prompt_cache(scenario: Scenario, share: float) -> Scenario:
    return replace(scenario, savings=replace(scenario.savings, prompt_cached=share))


def _with_overage(scenario: Scenario, included_nano: float) -> Scenario:
    """Usage at this cost is in the price of a seat, and more costs its cost and the markup."""

    def change(plan: Plan) -> Plan:
        over = plan.overage or Overage(markup=MARKUP)
        return replace(plan, included=Included(cost_nano=round(included_nano)), overage=over)

    return _each(scenario, change)


def _with_limit(scenario: Scenario, included_nano: float) -> Scenario:
    """Usage at this cost is in the price of a seat, and there is no more."""
    return _each(
        scenario,
        lambda plan: replace(plan, included=Included(cost_nano=round(included_nano)), overage=None),
    )


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
    if not _limitable(plan) or included.unlimited:
        return 0.0
    if included.cost_nano is not None:
        return float(included.cost_nano)
    part = (
        included.tokens / load.tokens
        if included.tokens is not None and load.tokens
        else (included.requests or 0) / (load.requests or 1.0)
    )
    return part * load.cost_nano


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
        if _limitable(segment.plan) and segment.plan.included.cost_nano is not None:
            load = scenario.load_in(segment, 0)
            limit = segment.plan.included.cost_nano * segment.plan.units(segment.plan.seats)
            found += segment.share * float(weights[multiples * load.cost_nano > limit].sum())
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
    """What caching and routing win against today, at both ends of their reach and all together."""
    hits = CACHE_HITS["repeating" if product is None else product]
    saved = scenario.savings
    cases = [
        (f"semantic cache, {percent(share, places=0)} hits", _with_cache(scenario, share))
        for share in dict.fromkeys((hits.low, hits.high))
    ]
    for ratio in ratios:
        routed = replace(saved, routed=ROUTED.high, route_ratio=ratio)
        what = f"{percent(ROUTED.high, places=0)} routed to a model {ratio:g}x cheaper"
        cases.append((what, replace(scenario, savings=routed)))
    what = f"prompt cache for {percent(PROMPT_CACHED.high, places=0)} of the input"
    cases.append((what, _with_prompt_cache(scenario, PROMPT_CACHED.high)))
    everything = replace(
        saved, cache_hits=hits.middle, routed=ROUTED.high, prompt_cached=PROMPT_CACHED.high
    )
    cases.append(
        (
            f"all three, the cache at {percent(hits.middle, places=0)}",
            replace(scenario, savings=everything),
        )
    )
    before = expect(scenario).total
    return [_won(what, changed, before, scenario.months) for what, changed in cases]


def _won(what: str, changed: Scenario, before: Month, months: int) -> WonBack:
    after = expect(changed).total
    known = after.margin_share is not None and before.margin_share is not None
    points = (after.margin_share or 0.0) - (before.margin_share or 0.0) if known else None
    saved_nano = (before.inference_nano - after.inference_nano) / months
    return WonBack(what, saved_nano, after.margin_share, points)


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
        needed = max(1, int(np.ceil(scenario.fixed_nano / mixed - _CLOSE)))
    return BreakEven(mixed, tuple((one.name, margin) for one, margin in each), needed, carried)


def _weighted(parts: list[tuple[float, float]]) -> float:
    return sum(share * margin for share, margin in parts) / sum(share for share, _ in parts)
