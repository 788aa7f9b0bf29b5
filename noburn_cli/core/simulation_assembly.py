"""Options, plans and usage made into one scenario.

Layer: core (pure, numpy through the shapes).  Below: core.simulation_sold, core.plan_usage,
core.simulation_options, core.simulation_scenario.  Above: commands.simulate, simulation_inputs.
Owns: Sample, and what customers use and cost where several places say it.
Not here: reading files, the price book (noburn_cli.simulation_inputs).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

from noburn_cli.core.economics import REFERENCE_RATE_PICO
from noburn_cli.core.money import (
    PICO_PER_NANO,
    parse_count,
    parse_dollars,
    parse_share,
)
from noburn_cli.core.plan_files import PlansFile
from noburn_cli.core.plan_usage import PricedUse, Use
from noburn_cli.core.simulation_keys import PARETO, parse_moving
from noburn_cli.core.simulation_options import Options
from noburn_cli.core.simulation_reach import CACHE_HITS, PROMPT_PRICE
from noburn_cli.core.simulation_scenario import Change, Savings, Scenario, Segment
from noburn_cli.core.simulation_sold import Sold
from noburn_cli.core.simulation_usage import (
    LogNormal,
    Pareto,
    Shape,
    empirical,
    log_normal_of,
    pareto_of,
)
from noburn_cli.errors import UsageError

#: Usage and rates grow by this factor at most.
GROWN_MAX = 10**6


@dataclass(frozen=True)
class Sample:
    """Customers as they were measured in a month, and where.

    amounts: of each, in tokens or nano-dollars.  tokens: their mean, None where nobody counted;
    cost_nano: their mean cost, None likewise.  requests: their mean.
    """

    amounts: tuple[float, ...]
    tokens: float | None
    cost_nano: float | None
    requests: float
    origin: str


def needs_use(sold: list[Sold], sample: Sample | None) -> None:
    """Raises UsageError where a plan's customers use nothing that anybody said."""
    for one in sold:
        if not one.uses and sample is None:
            what = f" on the plan `{one.plan.name}`" if one.plan.name else ""
            raise UsageError(
                f"nobody said what a customer uses{what}",
                next_step="say --tokens 600k, a [use.NAME] in the plans file, or --sample ledger",
            )


def assemble(
    options: Options,
    sold: list[Sold],
    priced: Mapping[Use, PricedUse],
    *,
    file: PlansFile | None,
    sample: Sample | None,
) -> Scenario:
    """The scenario.  priced: every use at its rates.  Raises UsageError."""
    needs_use(sold, sample)
    segments = tuple(
        replace(
            _segment(one, [priced[use] for use in one.uses], options, sample),
            churn=float(options.value("churn")),
            trial_keeps=float(options.value("trial_keeps")),
        )
        for one in sold
    )
    for one in segments:
        if one.plan.counts_requests and one.tokens and not one.requests:
            raise one.plan.requests_unknown("say --requests 1000, or `calls` in the plans file")
    if options.said("request_cost") and not any(one.requests for one in segments):
        raise UsageError(
            "a request has a cost, and nobody said how many there are",
            next_step="say --requests 1000, or `calls` in the plans file",
        )
    _not_beyond_all_bounds(options)
    return Scenario(
        segments=segments,
        shape=_shape(options, sample),
        savings=_savings(options),
        customers=_customers(options, file),
        growth=float(options.value("growth")),
        arrivals=float(options.value("arrivals") * _everybody(options, file)),
        months=options.value("months"),
        steadiness=float(options.value("steadiness")),
        usage_growth=float(options.value("usage_growth")),
        rate_growth=float(options.value("rate_growth")),
        fixed_nano=float(options.value("fixed")),
        target=float(options.value("target")),
        changes=_changes(options, segments),
        seed=options.value("seed"),
        draws=options.value("draws"),
    )


def _not_beyond_all_bounds(options: Options) -> None:
    """Raises UsageError where usage or rates would grow to figures that mean nothing."""
    for key in ("usage_growth", "rate_growth"):
        times = (1 + options.value(key)) ** (options.value("months") - 1)
        if times > GROWN_MAX:
            raise UsageError(
                f"{key.replace('_', ' ')} would make a million times as much of it",
                why=f"{options.values[key].text} a month, for {options.value('months')} months",
                next_step="ask for fewer months, or less growth",
            )


def _customers(options: Options, file: PlansFile | None) -> int:
    """Everybody who is there at the start."""
    said: int = options.value("customers")
    return round(said * _everybody(options, file))


def _everybody(options: Options, file: PlansFile | None) -> Fraction:
    """How many come with one who was said: where free users come along, those who pay were said."""
    if file is None or file.free is None or options.mix:
        return Fraction(1)
    return 1 + file.free.users_per_payer


def _segment(one: Sold, uses: list[PricedUse], options: Options, sample: Sample | None) -> Segment:
    """A plan's customers: several uses are added up, so that the cost today is exact."""
    seats = one.plan.seats
    if not uses:
        assert sample is not None
        return _measured(one, options, sample)
    tokens = sum(use.use.tokens for use in uses)
    full = sum((use.use.tokens * _rate(use, 0) for use in uses), Fraction(0))
    saves = sum((use.use.tokens * _saves(use) for use in uses), Fraction(0))
    cached = sum((use.use.tokens * _saves(use) * use.use.cached for use in uses), Fraction(0))
    today = [(use.cost_nano / (1 - use.use.hits), use.use.hits) for use in uses if use.use.hits < 1]
    spent = sum(cost for cost, _ in today)
    hits = sum((cost * share for cost, share in today), Fraction(0)) / spent if spent else 0
    return Segment(
        plan=one.plan,
        share=one.share,
        tokens=float(tokens * seats),
        token_nano=float(full / tokens / PICO_PER_NANO) if tokens else 0.0,
        requests=float(sum(use.use.calls or 0 for use in uses) * seats),
        request_nano=float(options.value("request_cost")),
        prompt_saves=float(saves / full) if full else 0.0,
        cache_hits=float(hits),
        prompt_cached=float(cached / saves) if saves else 0.0,
    )


def _rate(use: PricedUse, cached: int) -> Fraction:
    """Pico-dollars of an average token with none of the input cached, or all of it."""
    if use.use.rate_pico is not None:
        return use.use.rate_pico
    return use.with_shares(cached=Fraction(cached)).rate_pico


def _saves(use: PricedUse) -> Fraction:
    """Pico-dollars that a prompt cache of all input takes off an average token."""
    if use.use.rate_pico is not None:
        return use.use.rate_pico * (1 - Fraction(PROMPT_PRICE).limit_denominator(1000))
    if "cache_read" not in use.rates and "cache_read" not in use.batch_rates:
        return Fraction(0)  # The model has no prompt cache to sell.
    return _rate(use, 0) - _rate(use, 1)


def _measured(one: Sold, options: Options, sample: Sample) -> Segment:
    """Customers who use what the sample's did, at what it cost them where that is known."""
    rate = float(options.value("rate") or REFERENCE_RATE_PICO) / PICO_PER_NANO
    if sample.cost_nano is not None and options.value("rate") is None and sample.tokens:
        rate = sample.cost_nano / sample.tokens
    tokens = sample.tokens if sample.tokens is not None else (sample.cost_nano or 0.0) / rate
    return Segment(
        plan=one.plan,
        share=one.share,
        tokens=tokens,
        token_nano=rate,
        requests=sample.requests,
        request_nano=float(options.value("request_cost")),
        prompt_saves=1 - PROMPT_PRICE,
    )


def _shape(options: Options, sample: Sample | None) -> Shape:
    if sample is not None:
        return empirical(sample.amounts, what=sample.origin)
    heavy = options.value("heavy")
    pareto = options.value("distribution") == PARETO
    if heavy is not None:
        return pareto_of(heavy) if pareto else log_normal_of(heavy)
    alpha, sigma = options.value("alpha"), options.value("sigma")
    if alpha is not None:
        return Pareto(alpha)
    if pareto:
        raise UsageError(
            "a Pareto needs its parameter", next_step="say --alpha 1.5, or --heavy '5% use 5x'"
        )
    return LogNormal(sigma)


def _savings(options: Options) -> Savings:
    """What the options say; what they don't is as each plan's uses have it."""
    cache = options.value("cache")
    if cache == "on":
        product = options.value("product")
        if product is None:
            raise UsageError(
                "a cache that is on needs a kind of product",
                why="how often it hits depends on it",
                next_step=f"say --product {'|'.join(CACHE_HITS)}, or --cache 35%",
            )
        cache = CACHE_HITS[product].middle
    return Savings(
        cache_hits=float(cache) if options.said("cache") else None,
        routed=float(options.value("routed")),
        route_ratio=options.value("route_ratio"),
        prompt_cached=float(options.value("prompt_cached"))
        if options.said("prompt_cached")
        else None,
    )


def _changes(options: Options, segments: tuple[Segment, ...]) -> tuple[Change, ...]:
    found = []
    plans = {one.plan.name for one in segments}
    paying = [one.name for one in segments if one.paying]
    for texts in options.changes:
        plan = texts.get("plan")
        if plan is not None and plan not in plans:
            raise UsageError(f"a change is of the plan {plan!r}, which is not sold here")
        month = parse_count(texts["month"], what="a change's month")
        if not 1 <= month <= options.value("months"):
            raise UsageError(f"a change is in month {month}, which is not simulated")
        rate, leave = texts.get("rate"), texts.get("leave")
        if month == 1 and leave is not None:
            raise UsageError(
                "nobody leaves over a change in month 1",
                why="who is there in the first month came to what holds in it",
                next_step="say fewer --customers, or a later month",
            )
        if "price" in texts and plan is None and len(paying) > 1:
            raise UsageError(
                "a change of the price is of one plan",
                why=f"several are paid for here: {', '.join(paying)}",
                next_step=f"say plan={paying[0]} in it, and a change for each",
            )
        found.append(
            Change(
                month=month - 1,
                plan=plan,
                price_nano=parse_dollars(texts["price"], what="a change's price")
                if "price" in texts
                else None,
                rate_factor=1.0
                if rate is None
                else float(1 + parse_moving(rate, what="a change's rate")),
                leave=0.0 if leave is None else float(parse_share(leave, what="a change's leave")),
            )
        )
    return tuple(found)


def work_of(options: Options) -> dict[str, float]:
    """What the work for each lever costs, once, in nano-dollars, by the lever's name."""
    return {
        name.replace("_", " "): float(parse_dollars(text, what=f"work: {name}"))
        for name, text in options.work.items()
    }
