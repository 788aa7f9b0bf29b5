"""What a request will cost and the most it can cost, on one model.

Layer: core (pure).  Below: core.bounds, core.cost, core.models, errors.  Above: commands.estimate.
Not here: reading inputs, counting tokens, the clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from noburn_cli.core.cost import call_cost, extra_hold_rates, hold_cost, hold_rates

# Who estimates needs these, too: the size comes before its cost.
from noburn_cli.core.input_sizes import ESTIMATED as ESTIMATED
from noburn_cli.core.input_sizes import NOTHING as NOTHING
from noburn_cli.core.input_sizes import SURENESS as SURENESS
from noburn_cli.core.input_sizes import InputSize
from noburn_cli.core.input_sizes import Span as Span
from noburn_cli.core.learning import CacheShares, Learned
from noburn_cli.core.models import NO_OUTPUT, Model
from noburn_cli.core.money import nano_from_pico_up
from noburn_cli.core.offline_counts import MeasuredError
from noburn_cli.core.usage import AUDIO_INPUT, INPUT, OUTPUT
from noburn_cli.errors import CallUnbounded, PriceUnknown

_WEEK_MS = 7 * 86_400_000

#: Whose own count `estimate --count` can ask for; provider_count says where.
COUNTING_PROVIDERS = frozenset({"openai", "anthropic", "google"})


@dataclass(frozen=True)
class Estimate:
    """One model's answer for one or more requests; amounts in nano-dollars for all calls.

    requests: how many requests the inputs hold; calls: how often each is sent.
    cost: expected, with the expected output where one was given, else of the input alone; None
        where the input's size is not known.
    with_output: whether `cost` includes output.
    worst: what cannot be exceeded (`bound_how` says how that is known).
    learned: the past calls that the expected output and the cached part of the input in `cost` are
        from, median to high quantile; None where the output was given, or is not known.
    error: the measured error of an estimate of the text, the largest of all parts; or None.
    cost_mean: what it comes to over many such calls, at their mean output; None without `learned`.
    is_choice: whether the same requests are priced on other models as well, of which one is chosen.
    """

    source: str
    model: str
    provider: str
    requests: int
    calls: int
    input_tokens: Span | None
    how: str
    bound_tokens: int
    bound_how: str
    output_tokens: Span | None
    output_max: int
    window_share: Fraction
    cost: Span | None
    with_output: bool
    worst: int
    learned: Learned | None = None
    cost_mean: Span | None = None
    error: MeasuredError | None = None
    is_choice: bool = False


def estimate_request(
    model: Model,
    size: InputSize,
    *,
    source: str,
    input_kinds: Iterable[str],
    variants: Sequence[str],
    output_cap: int | None,
    choices: int,
    has_output: bool,
    output: Span | None,
    calls: int,
    at_ms: int,
    output_kinds: Sequence[str] = (OUTPUT,),
    extra: Mapping[str, int] | None = None,
    learned: Learned | None = None,
) -> Estimate:
    """Price one request.

    extra: the most units of further kinds (fees), which are part of the worst case alone.

    variants: the first one prices what is expected, the dearest of all the worst case; of a model
        whose price changes by the hour, the dearest of the coming week.
    output_cap: tokens per choice that the request allows, or None for the model's own maximum.
    output: expected output tokens of one call, all choices together, or None.
    learned: says the output where `output` does not, and how much of the input a cache serves; the
        worst case knows nothing of it.
    Raises PriceUnknown, CallUnbounded.
    """
    most = _output_most(model, output_cap, choices) if has_output else 0
    by_hour = any(model.windows(variant, at_ms) for variant in variants)
    until_ms = at_ms + _WEEK_MS if by_hour else at_ms
    rates = hold_rates(
        model,
        variants=variants,
        input_kinds=input_kinds,
        input_tokens_max=size.bound.tokens,
        from_ms=at_ms,
        until_ms=until_ms,
        output_kinds=output_kinds,
    )
    fees = extra_hold_rates(
        model, kinds=extra or (), variants=variants, from_ms=at_ms, until_ms=until_ms
    )
    fees_pico = sum(fees[kind].pico_per_token * count for kind, count in (extra or {}).items())
    worst = hold_cost(rates, input_tokens=size.bound.tokens, output_tokens=most)
    worst += nano_from_pico_up(fees_pico)
    given = _expect(model, most if has_output else 0, output=output, learned=learned)
    cost = _expected_cost(model, size, given.output, variants[0], at_ms, given.cache)
    mean = None
    if given.mean is not None:
        mean = _expected_cost(model, size, given.mean, variants[0], at_ms, given.cache)
    return Estimate(
        source=source,
        model=model.name,
        provider=model.provider,
        requests=1,
        calls=calls,
        input_tokens=size.expected,
        how=size.expected_how,
        bound_tokens=size.bound.tokens,
        bound_how=size.bound.how,
        output_tokens=given.output,
        output_max=most,
        window_share=Fraction(_shown_tokens(size), model.context_window),
        cost=None if cost is None else cost * calls,
        with_output=given.output is not None or most == 0,
        worst=worst * calls,
        learned=given.learned,
        cost_mean=None if mean is None else mean * calls,
        error=size.error,
    )


@dataclass(frozen=True)
class _Expectation:
    """The output of one call, all its choices together, and who says so; None where nobody does."""

    output: Span | None = None
    mean: Span | None = None
    learned: Learned | None = None

    @property
    def cache(self) -> CacheShares | None:
        return None if self.learned is None else self.learned.expected_cache


def _expect(
    model: Model, most: int, *, output: Span | None, learned: Learned | None
) -> _Expectation:
    """What was said beforehand counts, then what was learned; neither passes what is allowed."""
    if not most or model.family in NO_OUTPUT:
        return _Expectation()
    if output is not None:
        return _Expectation(_at_most(output, most))
    if learned is None:
        return _Expectation()
    found, mean = Span(learned.median, learned.high), Span(learned.mean, learned.mean)
    return _Expectation(_at_most(found, most), _at_most(mean, most), learned)


def _at_most(span: Span, most: int) -> Span:
    return Span(min(span.low, most), min(span.high, most))


def _shown_tokens(size: InputSize) -> int:
    """The input that fills the window: what is expected at most, else the bound."""
    return size.bound.tokens if size.expected is None else size.expected.high


def _output_most(model: Model, cap: int | None, choices: int) -> int:
    if model.family in NO_OUTPUT:
        return 0
    limits = [limit for limit in (cap, model.output_max) if limit is not None]
    if not limits:
        raise CallUnbounded(
            f"nothing limits the output of `{model.name}`",
            why="neither the request nor the price book names a maximum",
            next_step="set the request's max_tokens",
        )
    return min(limits) * choices


def _expected_cost(
    model: Model,
    size: InputSize,
    output: Span | None,
    variant: str,
    at_ms: int,
    cache: CacheShares | None,
) -> Span | None:
    """Input, and output where one is expected.

    cache: how input was billed before; None assumes no caching.
    """
    if size.expected is None:
        return None
    out = output or NOTHING
    low, high = (
        cost_of(model, tokens, made, variant=variant, at_ms=at_ms, cache=cache, audio=heard)
        for tokens, made, heard in (
            (size.expected.low, out.low, size.audio.low),
            (size.expected.high, out.high, size.audio.high),
        )
    )
    return Span(low, high)


def cost_of(
    model: Model,
    tokens: int,
    made: int,
    *,
    variant: str,
    at_ms: int,
    cache: CacheShares | None,
    audio: int = 0,
) -> int:
    """What so much input and output is expected to cost, in nano-dollars.  Raises PriceUnknown.

    cache: how input was billed before; None assumes no caching.
    audio: how many of the input's tokens are billed as sound.
    """
    heard = {AUDIO_INPUT: audio} if audio else {}
    plain = {INPUT: tokens - audio, **heard, OUTPUT: made}
    if cache is None:
        return call_cost(model, plain, variant=variant, at_ms=at_ms)
    try:
        usage = {**cache.split(tokens - audio), **heard, OUTPUT: made}
        return call_cost(model, usage, variant=variant, at_ms=at_ms)
    except PriceUnknown:  # This variant has no rate for what was written to a cache in another.
        return call_cost(model, plain, variant=variant, at_ms=at_ms)


def together(estimates: Sequence[Estimate], *, source: str) -> Estimate:
    """Sum the estimates of several requests on one model; never of none.

    How sure the sum is: as the least sure of its parts.  The window's share is the largest.
    """
    first = estimates[0]
    learned = next((one.learned for one in estimates if one.learned is not None), None)
    means = [one.cost if one.learned is None else one.cost_mean for one in estimates]
    inputs = [one.input_tokens for one in estimates]
    costs = [one.cost for one in estimates]
    outputs = [one.output_tokens for one in estimates]
    return Estimate(
        source=source,
        model=first.model,
        provider=first.provider,
        requests=sum(one.requests for one in estimates),
        calls=first.calls,
        input_tokens=_sum(inputs),
        how="" if None in inputs else _least_sure(one.how for one in estimates),
        bound_tokens=sum(one.bound_tokens for one in estimates),
        bound_how=_least_sure(one.bound_how for one in estimates),
        output_tokens=_sum(outputs),
        output_max=sum(one.output_max for one in estimates),
        window_share=max(one.window_share for one in estimates),
        cost=_sum(costs),
        with_output=all(one.with_output for one in estimates),
        worst=sum(one.worst for one in estimates),
        learned=learned,
        cost_mean=None if learned is None else _sum(means),
        error=max((one.error for one in estimates if one.error), key=_p95, default=None),
        is_choice=any(one.is_choice for one in estimates),
    )


def _sum(spans: Sequence[Span | None]) -> Span | None:
    """The sum, or None when a part is not known: unknown is never zero."""
    known = [span for span in spans if span is not None]
    return sum(known, NOTHING) if len(known) == len(spans) else None


def _least_sure(words: Iterable[str]) -> str:
    return max(words, key=SURENESS.index)


def _p95(error: MeasuredError) -> int:
    return error.p95


def ranked(estimates: Sequence[Estimate]) -> list[Estimate]:
    """Cheapest first: by expected cost where it includes the output, else by the worst case.

    Models whose expected cost is not known come last: unknown is never cheap.
    """
    return sorted(estimates, key=_rank)


def _rank(one: Estimate) -> tuple[bool, int, int]:
    if one.output_tokens is None and one.output_max:
        return (False, one.worst, 0)
    return (one.cost is None, one.worst if one.cost is None else one.cost.high, one.worst)
