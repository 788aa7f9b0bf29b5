"""Every assumption of a simulation, with who said it and what it rests on.

Layer: core (pure).  Below: core.simulation_assembly, core.simulation_options,
core.simulation_scenario, core.simulation_words.  Above: render.simulation.
Owns: the list, and what is taken for granted without an option.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from noburn_cli.core.money import show_dollars, show_percent
from noburn_cli.core.plans import Kind, Plan
from noburn_cli.core.simulation_keys import LEDGER, OPTIONS, SPREADS
from noburn_cli.core.simulation_options import Options
from noburn_cli.core.simulation_scenario import Scenario, Segment
from noburn_cli.core.simulation_words import count, dollars, percent

#: Said in the words of the scenario below, where plans and uses from a file count as well.
_ELSEWHERE = (
    "price", "seats", "included", "overage", "trial_days", "fee_percent", "fee_fixed", "overhead",
    "tokens", "requests", "request_cost", "model", "rate", "output_share", "customers", "cache",
    "prompt_cached", "distribution", *SPREADS,
)  # fmt: skip


@dataclass(frozen=True)
class Assumption:
    """origin: who said it, "assumed" where nobody did.  why: what it rests on, or ""."""

    shown: str
    value: str
    origin: str
    why: str = ""


ASSUMED = "assumed"
PLANS = "plans file"


def assumptions_of(options: Options, scenario: Scenario, *, rate_name: str) -> list[Assumption]:
    """rate_name: whose rates tokens are priced at."""
    found = []
    for segment in scenario.segments:
        found += _segment(scenario, segment, options, rate_name)
    found.append(_shape(options, scenario))
    found.append(
        Assumption("Customers at the start", _at_the_start(scenario), _by(options, "customers"))
    )
    for key, option in OPTIONS.items():
        said = options.values.get(key)
        if key in _ELSEWHERE or said is None:
            continue
        why = "" if said.origin else option.why
        found.append(Assumption(option.shown, said.text, said.origin or ASSUMED, why))
    found += [_change(options, number) for number in range(len(options.changes))]
    return [*found, *_granted(scenario)]


def _at_the_start(scenario: Scenario) -> str:
    whole = sum(one.share for one in scenario.segments)
    paying = sum(one.share for one in scenario.segments if one.paying) / whole
    everybody = count(scenario.customers)
    if paying == 1:
        return everybody
    return f"{count(scenario.customers * paying)} who pay, {everybody} with the free ones"


def _by(options: Options, *keys: str) -> str:
    said = [options.values[key].origin for key in keys if options.said(key)]
    return said[0] if said else ASSUMED


def _segment(
    scenario: Scenario, segment: Segment, options: Options, rate_name: str
) -> list[Assumption]:
    load = scenario.load_in(segment, 0)
    whose = f"{segment.plan.name}: " if segment.plan.name else ""
    by = _by(options, "price") if not segment.plan.name else PLANS
    found = [Assumption(f"{whose}plan", plan_words(segment.plan), by)]
    if len(scenario.segments) > 1:
        mixed = "mix" if options.mix else ASSUMED
        found.append(Assumption(f"{whose}share of customers", percent(segment.share), mixed))
    used = _by(options, "tokens", "requests", "sample")
    from_file = used == ASSUMED
    if from_file:
        used = PLANS
    requests = f", {count(load.requests)} requests" if load.requests else ""
    found.append(
        Assumption(
            f"{whose}a customer's month, on average",
            f"{count(load.tokens)} tokens{requests}, {dollars(load.cost_nano)} at the provider",
            used,
        )
    )
    if segment.token_nano:
        found.append(
            Assumption(
                f"{whose}a million tokens, nothing saved",
                show_dollars(round(segment.token_nano * 10**6)),
                PLANS if from_file else _by(options, "rate", "model"),
                rate_name,
            )
        )
    found += [
        Assumption(
            f"{whose}{what}",
            percent(share),
            PLANS if share and not options.said(key) else _by(options, key),
        )
        for what, share, key in (
            ("requests that a semantic cache answers", scenario.cache_hits(segment), "cache"),
            ("input from the provider's prompt cache", scenario.prompt_cached(segment),
             "prompt_cached"),
        )
    ]  # fmt: skip
    return found


def plan_words(plan: Plan) -> str:
    """`$29 a seat, $5.00 of usage included, cost + 20 % beyond`."""
    each = "customer" if plan.per_customer else "seat"
    parts = [f"{show_dollars(plan.price_nano)} a {each} and month ({plan.kind.value})"]
    if plan.seats > 1:
        parts.append(f"{plan.seats} seats")
    included = plan.included
    limits = [
        words
        for amount, words in (
            (included.tokens, f"{included.tokens or 0:,} tokens"),
            (included.cost_nano, f"{show_dollars(included.cost_nano or 0)} of usage"),
            (included.requests, f"{included.requests or 0:,} requests"),
        )
        if amount is not None
    ]
    if limits:
        parts.append(f"{' and '.join(limits)} included")
    if plan.overage is not None:
        over = plan.overage
        parts.append(
            f"{show_dollars(over.per_million_nano)} a million tokens beyond"
            if over.per_million_nano is not None
            else f"{show_dollars(over.per_request_nano)} a request beyond"
            if over.per_request_nano is not None
            else f"cost + {show_percent(over.markup or Fraction(0))} beyond"
        )
    elif limits:
        parts.append("usage stops there")
    if plan.kind is Kind.CREDITS and plan.credits is not None:
        parts.append(f"{plan.credits.granted:,} credits a month")
    if plan.trial_days:
        parts.append(f"{plan.trial_days} days free")
    if plan.yearly_share:
        share, off = float(plan.yearly_share), float(plan.yearly_discount)
        parts.append(f"{percent(share)} pay by the year, {percent(off)} less")
    if plan.fee_share or plan.fee_fixed_nano:
        parts.append(f"fees {percent(float(plan.fee_share))} + {show_dollars(plan.fee_fixed_nano)}")
    if plan.overhead_nano:
        parts.append(f"overhead {show_dollars(plan.overhead_nano)}")
    return ", ".join(parts)


def _shape(options: Options, scenario: Scenario) -> Assumption:
    top = scenario.shape.top_share(0.1)
    said = next((key for key in SPREADS if key in options.values), "sigma")
    value = options.values.get(said)
    origin = value.origin if value is not None and value.origin else ASSUMED
    words = f" ({value.text})" if value is not None and said in ("heavy", "sample") else ""
    if said == "sample" and value is not None and value.text == LEDGER:
        words = " (ledger and imports)"
    why = OPTIONS[said].why if origin == ASSUMED else ""
    return Assumption(
        "How usage is spread",
        f"{scenario.shape.label}{words}: the top tenth uses {percent(top)}",
        origin,
        why,
    )


def _change(options: Options, number: int) -> Assumption:
    texts = options.changes[number]
    words = ", ".join(f"{key} {text}" for key, text in texts.items() if key != "month")
    return Assumption(f"From month {texts['month']}", words, options.changes_origin)


def _granted(scenario: Scenario) -> list[Assumption]:
    """What no option says."""
    found = [
        Assumption("Who comes and goes", "independent of usage, of each other and of the season",
                   ASSUMED),
        Assumption("What a price does", "nobody leaves or stays away over it, but as a change says",
                   ASSUMED),
    ]  # fmt: skip
    if any(not one.plan.included.unlimited or one.plan.credits for one in scenario.segments):
        found.append(
            Assumption(
                "What counts as usage",
                "tokens and requests that a cache answers as well; dollars as they are spent",
                ASSUMED,
            )
        )
    return found
