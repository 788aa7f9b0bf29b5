"""Advice, each with the figures that it rests on.

Layer: core (pure).  Below: core.simulation_expected and its neighbours, core.simulation_words.
Above: core.simulation_findings.
Owns: the rules of thumb, with where they are from, and when each is given.
Not here: the figures themselves.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from noburn_cli.core.economics import CARD_FEE_FIXED_NANO, CARD_FEE_SHARE, HYBRID_BEFORE
from noburn_cli.core.plans import Plan
from noburn_cli.core.plurals import counted
from noburn_cli.core.simulation_expected import Month, Outlook
from noburn_cli.core.simulation_levers import MARKUP, Lever, flat_segments
from noburn_cli.core.simulation_pulling import Pulled
from noburn_cli.core.simulation_scenario import Scenario
from noburn_cli.core.simulation_sensitivity import AT_START, Swing
from noburn_cli.core.simulation_summary import Summary
from noburn_cli.core.simulation_turning import SIZES, Size, Turning
from noburn_cli.core.simulation_words import count, dollars, percent, points

HYBRID_LOW, HYBRID_HIGH = HYBRID_BEFORE
#: Customers under water who take this part of the revenue with them are a line in the books, and no
#: longer chance.
LOST_SHARE = 0.05
#: A month without a customer who costs so many times the price is luck.
RUNAWAY_TIMES = 10
#: Days until somebody looks who is told after the fact.
NOTICED_DAYS = 7
_DAYS = 30
_CENT = 10_000_000
#: Expected customers that add up to a whole number are this near to it.
_A_CUSTOMER = 1e-6
#: Changing what customers are sold is not worth less than a point of margin.
_WORTH = 0.01


@dataclass(frozen=True)
class Advice:
    """What to do, and why: `key` is for machines."""

    key: str
    what: str
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Facts:
    """What advice is given by."""

    scenario: Scenario
    summary: Summary
    expected: Outlook
    turning: Turning
    levers: tuple[Pulled, ...]
    swings: tuple[Swing, ...]
    hybrid: Month | None


def advise(facts: Facts) -> list[Advice]:
    """What these facts call for, the most urgent first."""
    found = [_target(facts), _hybrid(facts), _accounting(facts), _measure(facts), _fees(facts)]
    return [one for one in found if one is not None]


def _target(facts: Facts) -> Advice | None:
    """The cheapest way to the target."""
    share = facts.expected.total.margin_share
    if share is None:
        return None
    wanted = facts.scenario.target
    if not facts.levers:
        return None
    best = facts.levers[0]
    gap = f"the expected margin is {percent(share)}, the target {percent(wanted, places=0)}"
    if not best.reaches:
        return Advice(
            "target",
            "No single change reaches the target: combine them, or price the product anew.",
            (gap, f"{best.lever.name} at its most comes to {percent(best.margin_share)}"),
        )
    cost = best.price_nano
    asks = f"it takes {dollars(cost)} a month from customers" if cost else "no customer pays more"
    return Advice("target", f"The cheapest change is {lever_words(best)}.", (gap, asks))


def lever_words(pulled: Pulled) -> str:
    """A lever at its amount: `a semantic cache with 24.4 % hits`; an allowance is of a seat."""
    lever, amount = pulled.lever, pulled.amount
    if lever.name == "price" and lever.price_nano is not None:
        cents = math.ceil(lever.price_nano * amount / _CENT - 1e-6)
        return f"a price of {dollars(cents * _CENT)} (today {dollars(lever.price_nano)})"
    if lever.name == "price":
        return f"every price times {amount:.3f}"
    if lever.name == "overage":
        return f"overage beyond {dollars(amount)} of usage{_at(lever)}"
    if lever.name == "hard limit":
        return f"a hard limit at {dollars(amount)} of usage"
    words = {
        "semantic cache": f"a semantic cache with {percent(amount)} hits",
        "routing": f"{percent(amount)} of calls to a model {pulled.route_ratio:g}x cheaper",
        "prompt cache": f"a prompt cache for {percent(amount)} of input",
    }[lever.name]
    return f"{words} (today {percent(lever.now)})" if lever.now else words


def _at(lever: Lever) -> str:
    """The price of an overage that is not there today."""
    markup = f", at cost + {percent(float(MARKUP), places=0)}"
    if not lever.unpriced:
        return ""
    return markup if lever.unpriced == 1 else f"{markup} where nothing is charged today"


def _hybrid(facts: Facts) -> Advice | None:
    """When to leave flat prices."""
    flat = flat_segments(facts.scenario)
    if not flat or facts.hybrid is None or not facts.expected.total.revenue_nano:
        return None
    turned, wanted = facts.turning, facts.scenario.target
    about_turning = _turning_reason(turned, wanted)
    before, after = facts.expected.total, facts.hybrid
    part = percent(before.inference_nano / before.revenue_nano)
    if (after.margin_share or 0.0) - (before.margin_share or 0.0) < _WORTH:
        return Advice(
            "hybrid",
            "Stay flat: a hybrid would earn no more.",
            (about_turning, f"inference takes {part} of revenue; look again when usage has grown"),
        )
    gain = (
        f"a sixth of the price in usage and cost + {percent(float(MARKUP), places=0)} beyond would "
        f"earn {percent(after.margin_share)} instead of {percent(before.margin_share)}, with "
        f"{percent(after.under_water_share)} of customers under water instead of "
        f"{percent(before.under_water_share)}"
    )
    reasons = [about_turning, _few_and_many(facts), gain]
    if not (turned.turns_at or turned.always_misses):
        reasons = [gain, _few_and_many(facts), f"what speaks against it: {about_turning}"]
    return Advice("hybrid", f"Go hybrid (seat and overage) {_due(facts)}.", tuple(reasons))


def _due(facts: Facts) -> str:
    """When the change is due: at once where flat misses the target with the customers of today."""
    turned, start = facts.turning, facts.scenario.customers
    wanted = percent(facts.scenario.target, places=0)
    paying = _paying_by_month(facts)
    passed = next(
        (i + 1 for i, number in enumerate(paying) if number >= HYBRID_LOW - _A_CUSTOMER), None
    )
    if paying[0] > HYBRID_HIGH:
        return f"now, late as it is: {count(paying[0])} customers pay already"
    if turned.always_misses or (turned.turns_at is not None and turned.turns_at <= start):
        today = f"with the {count(start)} customers of today" if start else "with any customers"
        return f"now: {today} a typical month misses {wanted}"
    if passed is None:
        return f"before {HYBRID_LOW}-{HYBRID_HIGH} customers pay; not within these months"
    if passed == 1:
        return (
            f"now: {count(paying[0])} customers pay, and the change is due before "
            f"{HYBRID_LOW}-{HYBRID_HIGH} do"
        )
    return (
        f"before month {passed}, in which {HYBRID_LOW} customers pay "
        f"({HYBRID_LOW}-{HYBRID_HIGH} is late)"
    )


def _turning_reason(turned: Turning, target: float) -> str:
    wanted = percent(target, places=0)
    if turned.turns_at is not None:
        return (
            f"flat turns at about {count(turned.turns_at)} customers: from there a typical month "
            f"misses {wanted}"
        )
    if turned.always_misses:
        return f"flat misses {wanted} in a typical month at any number of customers"
    at = "at any number of customers"
    if turned.holds_from is not None and turned.holds_from > SIZES[0]:
        at = f"from about {counted(turned.holds_from, 'customer')} on"
    return f"flat holds {wanted} in a typical month {at}, on these assumptions"


def _few_and_many(facts: Facts) -> str:
    few, many = facts.turning.at(50), facts.turning.at(500)
    free = any(not one.paying for one in facts.scenario.segments)
    counts = " (free ones counted)" if free else ""
    return (
        f"at 50 customers{counts} a typical month has a margin of {percent(few.p50)} and "
        f"{few.under_water:.1f} of them under water, at 500 {percent(many.p50)} and "
        f"{many.under_water:.1f}"
    )


def _paying_by_month(facts: Facts) -> list[float]:
    segments = zip(facts.scenario.segments, facts.expected.by_segment, strict=True)
    rows = [months for segment, months in segments if segment.paying]
    return [sum(one.payers for one in column) for column in zip(*rows, strict=True)]


def _accounting(facts: Facts) -> Advice | None:
    """When it is no longer enough to count after the call."""
    promised = [one.name for one in facts.scenario.segments if _promises_an_end(one.plan)]
    reasons = []
    if promised:
        reasons.append(
            f"{', '.join(promised)} promises that usage ends: what is counted after the call has "
            "been spent already, and parallel calls pass a limit together"
        )
    noisy = _lost_from(facts.turning)
    if noisy is not None:
        reasons.append(
            f"{_from(noisy)}, those under water take "
            f"{percent(LOST_SHARE, places=0)} of revenue or more in a typical month"
        )
    worst = _worst(facts)
    if worst is not None:
        reasons.append(worst)
    if not reasons:
        return None
    if promised:
        when = "already with the first customer"
    elif noisy is not None:
        when = _from(noisy)
    else:
        when = "where one runaway matters"
    return Advice(
        "before the call",
        f"Counting after the call is not enough {when}: hold the money before it leaves.",
        tuple(reasons),
    )


def _from(size: Size) -> str:
    if size.customers == 1:
        return "from the first customer on"
    return f"from about {size.customers:,} customers on"


def _promises_an_end(plan: Plan) -> bool:
    stops = not plan.included.unlimited and plan.overage is None
    return stops or (plan.credits is not None and plan.credits.price_nano is None)


def _lost_from(turned: Turning) -> Size | None:
    """The first size from which on a typical month loses this much."""
    found = None
    for size in reversed(turned.sizes):
        if not size.lost >= LOST_SHARE:
            break
        found = size
    return found


def _worst(facts: Facts) -> str | None:
    """What the heaviest customer costs until somebody looks."""
    month = facts.expected.months[-1]
    largest = facts.summary.largest[1].p50
    paying = [one for one in facts.scenario.segments if one.paying]
    if largest is None or not paying or not month.payers:
        return None
    cost = largest * (facts.summary.months[-1].inference.p50 or 0.0)
    income = month.revenue_nano / month.payers
    if not income or cost < RUNAWAY_TIMES * income:
        return None
    return (
        f"in the last month the heaviest customer costs {dollars(cost)}, "
        f"{cost / income:.0f} times what one who pays brings: who looks after {NOTICED_DAYS} days "
        f"has spent {dollars(cost * NOTICED_DAYS / _DAYS)}"
    )


def _measure(facts: Facts) -> Advice | None:
    """What to find out first."""
    first = next((one for one in facts.swings if one.name != AT_START), None)
    if first is None or not first.width_nano:
        return None
    change = None
    known = first.low_share is not None and first.high_share is not None
    if known and percent(first.low_share) != percent(first.high_share):
        change = f"margin {percent(first.low_share)} to {percent(first.high_share)}"
    spread = facts.summary.total.margin
    reasons = [
        f"{first.name} from {first.low} to {first.high} moves all months' margin from "
        f"{dollars(first.low_nano)} to {dollars(first.high_nano)}"
        + (f" ({change})" if change else "")
    ]
    if spread.p5 is not None and spread.p95 is not None:
        reasons.append(f"chance alone: {dollars(spread.p5)} to {dollars(spread.p95)} (19 of 20 "
                       "are above the first, 1 of 20 above the second)")  # fmt: skip
    return Advice("measure", f"What matters most is {first.name}: be surest of it.", tuple(reasons))


def _fees(facts: Facts) -> Advice | None:
    """No fee was said, and somebody processes the cards."""
    plans = [one.plan for one in facts.scenario.segments if one.paying]
    if not plans or any(plan.fee_share or plan.fee_fixed_nano for plan in plans):
        return None
    total = facts.expected.total
    if not total.revenue_nano:
        return None
    fees = float(CARD_FEE_SHARE) * total.revenue_nano + CARD_FEE_FIXED_NANO * total.payers
    share, fixed = f"{float(CARD_FEE_SHARE * 100):g}", f"{CARD_FEE_FIXED_NANO / 1e9:.2f}"
    said = f"--fee-percent {share} --fee-fixed {fixed} is usual"
    if any(plan.name for plan in plans):
        said = f"percent = {share} and fixed = {fixed} under [fees] of the plans file are usual"
    return Advice(
        "fees",
        f"Say what the card processor takes: {said}.",
        (f"{points(-fees / total.revenue_nano)} points of margin that are not in these figures",),
    )
