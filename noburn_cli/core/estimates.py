"""What a request will cost and the most it can cost, on one model.

Layer: core (pure).  Below: core.bounds, core.cost, core.models, errors.  Above: commands.estimate.
Not here: reading inputs, counting tokens, the clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from noburn_cli.core.bounds import (
    ASSUMED,
    BYTES,
    COUNTED,
    EXACT,
    TEMPLATED,
    WINDOW,
    Bound,
    Measure,
    exact_bound,
    input_bound,
    overhead_max,
)
from noburn_cli.core.cost import call_cost, extra_hold_rates, hold_cost, hold_rates
from noburn_cli.core.learning import CacheShares, Learned
from noburn_cli.core.models import NO_OUTPUT, Model
from noburn_cli.core.money import nano_from_pico_up
from noburn_cli.core.offline_counts import MeasuredError, OfflineCount
from noburn_cli.core.usage import INPUT, OUTPUT
from noburn_cli.errors import CallUnbounded, InputRefused, PriceUnknown

#: What a server's template puts around a request beyond twice OpenAI's marks, as expected: the
#: longest that is published is gpt-oss's, a system message of some 70 tokens (openai-harmony).
#: Not a bound: core.bounds allows for more.
TEMPLATE_EXPECTED_TOKENS = 96
#: How an expectation was reached where its error was measured: between what is counted and what is
#: only `assumed`.  No bound is ever reached so.
ESTIMATED = "estimated"
#: How sure an expectation or a bound is, the most certain first.
SURENESS = (EXACT, COUNTED, BYTES, WINDOW, ESTIMATED, ASSUMED)


@dataclass(frozen=True)
class Span:
    """From the least to the most, both included."""

    low: int
    high: int

    def __add__(self, other: Span) -> Span:
        return Span(self.low + other.low, self.high + other.high)

    def __mul__(self, times: int) -> Span:
        return Span(self.low * times, self.high * times)


NOTHING = Span(0, 0)


@dataclass(frozen=True)
class InputSize:
    """How large a request's input is.

    expected: tokens that will be billed, or None where nothing sure can be said.
    expected_how: `exact`, `counted`, `estimated` or `assumed`; "" without an expectation.
    bound: the most tokens that can be billed.
    error: how far such an estimate of the text was off when it was measured, or None.
    """

    expected: Span | None
    expected_how: str
    bound: Bound
    error: MeasuredError | None = None


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


def size_of(
    model: Model,
    measured: Measure,
    *,
    text_tokens: int | None,
    schema_bytes: int,
    texts: int,
    frame: Span = NOTHING,
    offline: OfflineCount | None = None,
    schema: Span = NOTHING,
) -> InputSize:
    """The size of one request's input on a model.

    text_tokens: the `texts` texts' exact count by the model's own encoding, or None.
    frame: tokens expected around the texts.  The count is `exact` only where these are, too.
    offline: the texts' estimate for a tokeniser that is not here, or None.
    schema: tokens expected of what the provider renders in its own way, where `offline` is given.
    """
    if measured.counted is not None:
        bound = input_bound(
            measured, tokenizer=model.tokenizer, context_window=model.context_window
        )
        return InputSize(Span(measured.counted, measured.counted), COUNTED, bound)
    if measured.window or measured.windows:
        bound = input_bound(
            measured, tokenizer=model.tokenizer, context_window=model.context_window
        )
        return InputSize(None, "", bound)
    if text_tokens is not None:
        if model.tokenizer in TEMPLATED and frame != NOTHING:
            # Whose marks are not OpenAI's: one for the request at least.
            frame = Span(1, 2 * frame.high + TEMPLATE_EXPECTED_TOKENS)
        known = max(0, text_tokens + measured.tokens + frame.low)
        around = overhead_max(model.tokenizer, measured.overhead, measured.requests)
        exact = exact_bound(text_tokens, schema_bytes, around, measured.tokens, texts=texts)
        most = text_tokens + measured.tokens + frame.high + schema_bytes
        how = EXACT if known == most else ASSUMED
        return InputSize(Span(known, most), how, _capped(exact, known, model))
    bound = input_bound(measured, tokenizer=model.tokenizer, context_window=model.context_window)
    if offline is None:
        return InputSize(None, "", bound)
    ids = Span(measured.tokens, measured.tokens)
    expected = Span(*offline.span()) + frame + schema + ids
    most = max(expected.low, min(expected.high, bound.tokens))
    how = ASSUMED if schema.high else ESTIMATED
    return InputSize(Span(expected.low, most), how, bound, offline.error)


def _capped(bound: Bound, known: int, model: Model) -> Bound:
    """A bound inside the window; a text that is itself larger stays visible as such."""
    return (
        bound
        if known > model.context_window
        else Bound(min(bound.tokens, model.context_window), bound.how)
    )


def check_fits(model: Model, size: InputSize, *, where: str) -> None:
    """Raises InputRefused when the input is larger than the model takes.

    Where only a range is known, its low end decides, and the message says so.
    """
    limit = min(model.context_window, model.input_max)
    if size.expected is None or size.expected.low <= limit:
        return
    about = "at least " if size.expected_how in (ESTIMATED, ASSUMED) else ""
    raise InputRefused(
        f"{where} does not fit `{model.name}`: {about}{size.expected.low:,} tokens",
        why=f"it takes at most {limit:,} tokens of input",
        next_step="split it, or see which models it fits with --compare",
    )


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

    variants: the first one prices what is expected, the dearest of all the worst case.
    output_cap: tokens per choice that the request allows, or None for the model's own maximum.
    output: expected output tokens of one call, all choices together, or None.
    learned: says the output where `output` does not, and how much of the input a cache serves; the
        worst case knows nothing of it.
    Raises PriceUnknown, CallUnbounded.
    """
    most = _output_most(model, output_cap, choices) if has_output else 0
    rates = hold_rates(
        model,
        variants=variants,
        input_kinds=input_kinds,
        input_tokens_max=size.bound.tokens,
        from_ms=at_ms,
        until_ms=at_ms,
        output_kinds=output_kinds,
    )
    fees = extra_hold_rates(
        model, kinds=extra or (), variants=variants, from_ms=at_ms, until_ms=at_ms
    )
    fees_pico = sum(fees[kind].pico_per_token * count for kind, count in (extra or {}).items())
    worst = hold_cost(rates, input_tokens=size.bound.tokens, output_tokens=most)
    worst += nano_from_pico_up(fees_pico)
    given = _expect(model, most if has_output else 0, output=output, learned=learned)
    cost = _expected_cost(model, size.expected, given.output, variants[0], at_ms, given.cache)
    mean = None
    if given.mean is not None:
        mean = _expected_cost(model, size.expected, given.mean, variants[0], at_ms, given.cache)
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
    expected: Span | None,
    output: Span | None,
    variant: str,
    at_ms: int,
    cache: CacheShares | None,
) -> Span | None:
    """Input, and output where one is expected.

    cache: how input was billed before; None assumes no caching.
    """
    if expected is None:
        return None
    out = output or NOTHING
    low, high = (
        cost_of(model, tokens, made, variant=variant, at_ms=at_ms, cache=cache)
        for tokens, made in ((expected.low, out.low), (expected.high, out.high))
    )
    return Span(low, high)


def cost_of(
    model: Model, tokens: int, made: int, *, variant: str, at_ms: int, cache: CacheShares | None
) -> int:
    """What so much input and output is expected to cost, in nano-dollars.  Raises PriceUnknown.

    cache: how input was billed before; None assumes no caching.
    """
    plain = {INPUT: tokens, OUTPUT: made}
    if cache is None:
        return call_cost(model, plain, variant=variant, at_ms=at_ms)
    try:
        usage = {**cache.split(tokens), OUTPUT: made}
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
