"""From a prompt's size and terms to what it costs, and from two of them to the causes between them.

Layer: core (pure).  Below: core.cost, core.learning, core.gate_model.  Above: gating.costing, which
measures sizes; core.gate_totals.
Owns: what a month is, what a margin is, and that causes add up.
Not here: counting (noburn_cli.estimating), rules (core.gate_rules).

Differences are told at the top of what is expected: where an input's size is a range, its high end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from noburn_cli.core.cost import call_cost, rate_of, tier_for
from noburn_cli.core.estimates import SURENESS, Span
from noburn_cli.core.gate_model import Cause, PromptCost, Rates
from noburn_cli.core.learning import CacheShares
from noburn_cli.core.models import Model
from noburn_cli.core.rate_rows import DAY_MINUTES, MINUTE_MS
from noburn_cli.core.usage import CACHE_READ, INPUT, OUTPUT
from noburn_cli.errors import PriceUnknown

_DAY_MS = DAY_MINUTES * MINUTE_MS
_WEEK_MS = 7 * _DAY_MS
NO_CACHE = CacheShares(plain=1, read=0)


@dataclass(frozen=True)
class Size:
    """One request on one model, as `noburn estimate` has it.

    input: tokens expected, or None where only the bound is known.  worst: nano-dollars.
    """

    input: Span | None
    how: str
    bound_tokens: int
    bound_how: str
    output_max: int
    worst: int
    window_share: Fraction
    variant: str


@dataclass(frozen=True)
class Terms:
    """Everything that decides what a prompt costs; each cause changes one part of it.

    sizes: of the requests that one call sends.  cap: the most output that they ask for, or None.
    calls: a month, or None.
    """

    sizes: tuple[Size, ...]
    model: Model
    cap: int | None
    output: Span | None
    cache: CacheShares
    calls: int | None

    @property
    def with_output(self) -> bool:
        return self.output is not None or not any(size.output_max for size in self.sizes)

    @property
    def tokens(self) -> int:
        """Of the input, at the top of what is expected."""
        return sum(_input(size).high for size in self.sizes)


@dataclass(frozen=True)
class Market:
    """To whom a prompt's calls go, and what they pay.  plan_price: nano-dollars a month."""

    calls_from: str = ""
    output_from: str = ""
    customers: int | None = None
    calls_per_customer: Fraction | None = None
    plan_price: int | None = None
    feature: str | None = None


def dearest_moment(model: Model, variant: str, at_ms: int) -> int:
    """A moment of the week around (UTC) at which a variant costs most; `at_ms` where all are alike.

    Some models are dearer at some hours and on some days.  A gate that went by the hour at which it
    is held would pass in the evening what it refused at noon.  Only days between the last change of
    rates and the next one count, so that no other rates are taken for those of today.
    """
    windows = {window for row in model.rows for window in row.windows}
    if not windows:
        return at_ms
    starts = {row.starts_at_ms for row in model.rows} | {one.starts_at_ms for one in model.uplifts}
    last_ms = max((start for start in starts if start <= at_ms), default=0)
    next_ms = min((start for start in starts if start > at_ms), default=at_ms + _WEEK_MS)
    minutes = {0, *(minute for one in windows for minute in (one.from_minute, one.until_minute))}
    today_ms = at_ms // _DAY_MS * _DAY_MS
    days = range(today_ms - _WEEK_MS, today_ms + _WEEK_MS, _DAY_MS)
    moments = [day + minute * MINUTE_MS for day in days for minute in sorted(minutes)]
    return max(
        (at_ms, *(moment for moment in moments if last_ms <= moment < next_ms)),
        key=lambda moment: _price_at(model, variant, moment),
    )


def _price_at(model: Model, variant: str, at_ms: int) -> int:
    """What a token in and a token out cost together in the first tier; to compare moments by."""
    row = model.row_at(variant, at_ms)
    return 0 if row is None else sum(row.tiers[0].rates.get(kind, 0) for kind in (INPUT, OUTPUT))


def cost_of_call(terms: Terms, *, at_ms: int) -> Span:
    """Nano-dollars expected of one call, at the dearest hours of a week.  Raises PriceUnknown."""
    low = high = 0
    for size in terms.sizes:
        made = terms.output or Span(0, 0)
        given = _input(size)
        low += _cost(terms, size, given.low, min(made.low, size.output_max), at_ms)
        high += _cost(terms, size, given.high, min(made.high, size.output_max), at_ms)
    return Span(min(low, high), max(low, high))


def _input(size: Size) -> Span:
    return size.input or Span(size.bound_tokens, size.bound_tokens)


def _cost(terms: Terms, size: Size, tokens: int, made: int, at_ms: int) -> int:
    plain = {INPUT: tokens, OUTPUT: made}
    at_ms = dearest_moment(terms.model, size.variant, at_ms)
    try:
        usage = {**terms.cache.split(tokens), OUTPUT: made}
        return call_cost(terms.model, usage, variant=size.variant, at_ms=at_ms)
    except PriceUnknown:  # Another model wrote to a cache; this one has no rate for that.
        return call_cost(terms.model, plain, variant=size.variant, at_ms=at_ms)


def prompt_cost(
    name: str, path: str, terms: Terms, market: Market, *, book_version: str, at_ms: int
) -> PromptCost:
    """One side of a comparison.  Raises PriceUnknown."""
    call = cost_of_call(terms, at_ms=at_ms)
    customer = _times(call, market.calls_per_customer)
    inputs = [size.input for size in terms.sizes]
    known = [one for one in inputs if one is not None]
    output = terms.output
    if output is not None:
        most = max((size.output_max for size in terms.sizes), default=0)
        output = Span(min(output.low, most), min(output.high, most)) if most else None
    return PromptCost(
        name=name,
        path=path,
        feature=market.feature,
        requests=len(terms.sizes),
        model=terms.model.name,
        provider=terms.model.provider,
        variant=terms.sizes[0].variant,
        input=sum(known, Span(0, 0)) if len(known) == len(inputs) else None,
        how=_how(terms.sizes),
        bound_tokens=sum(size.bound_tokens for size in terms.sizes),
        bound_how=terms.sizes[0].bound_how,
        output=output,
        output_from=market.output_from if output is not None else "",
        cap=terms.cap,
        output_max=sum(size.output_max for size in terms.sizes),
        with_output=terms.with_output,
        cached_share=terms.cache.read_share,
        calls_per_month=terms.calls,
        calls_from=market.calls_from if terms.calls is not None else "",
        customers=market.customers,
        calls_per_customer=market.calls_per_customer,
        cost_call=call,
        cost_month=None if terms.calls is None else call * terms.calls,
        customer_month=customer,
        worst_call=sum(size.worst for size in terms.sizes),
        plan_price=market.plan_price,
        margin=margin(market.plan_price, customer),
        window_share=max(size.window_share for size in terms.sizes),
        rates=rates_of(terms, at_ms=at_ms),
        book_version=book_version,
    )


def _times(call: Span, calls: Fraction | None) -> Span | None:
    """A customer's month; half a call costs half, rounded up."""
    if calls is None:
        return None
    low, high = call.low * calls, call.high * calls
    return Span(-(-low.numerator // low.denominator), -(-high.numerator // high.denominator))


def margin(plan_price: int | None, month: Span | None) -> Fraction | None:
    """What is left of a price, as a share of it, at the top of what is expected."""
    if plan_price is None or month is None:
        return None
    return Fraction(plan_price - month.high, plan_price)


def _how(sizes: Sequence[Size]) -> str:
    """As sure as the least sure request: a bound's word where one of them is only bounded."""
    only_bounded = [size.bound_how for size in sizes if size.input is None]
    if only_bounded:
        return only_bounded[0]
    return max((size.how for size in sizes), key=SURENESS.index)


def rates_of(terms: Terms, *, at_ms: int) -> Rates:
    """What a token costs at the tier of the largest request.  Raises PriceUnknown."""
    largest = max(terms.sizes, key=lambda size: _input(size).high)
    moment = dearest_moment(terms.model, largest.variant, at_ms)
    row = terms.model.row_at(largest.variant, moment)
    if row is None:
        raise PriceUnknown(f"`{terms.model.name}` has no {largest.variant} price at that time")
    tier = tier_for(row, _input(largest).high)

    def rate(kind: str) -> int | None:
        try:
            return rate_of(terms.model, row, tier, kind)
        except PriceUnknown:
            return None

    return Rates(
        input=rate(INPUT),
        cache_read=rate(CACHE_READ),
        output=rate(OUTPUT),
        origin=row.url,
        checked_on=row.checked_on.isoformat(),
    )


@dataclass(frozen=True)
class Step:
    """The terms after one more part of them has become what it is now.

    text: what changed, or "" where nothing did.
    """

    kind: str
    text: str
    terms: Terms


def causes(before: Terms, steps: Sequence[Step], *, at_ms: int) -> tuple[Cause, ...]:
    """What each step adds; the sum is what the last one costs beyond `before`, exactly.

    Of a month where both ends know how many calls it has, else of a call.
    """
    last = steps[-1].terms if steps else before
    monthly = before.calls is not None and last.calls is not None
    figure = _figure(before, monthly, at_ms)
    found = []
    for step in steps:
        now = _figure(step.terms, monthly, at_ms)
        if step.text or now != figure:
            found.append(Cause(step.kind, step.text or "changed", now - figure))
        figure = now
    return tuple(found)


def _figure(terms: Terms, monthly: bool, at_ms: int) -> int:
    high = cost_of_call(terms, at_ms=at_ms).high
    return high * (terms.calls or 0) if monthly else high
