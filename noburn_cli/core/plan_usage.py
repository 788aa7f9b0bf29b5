"""What a customer uses in a month, feature by feature, and what that costs at the book's rates.

Layer: core (pure).  Below: core.cost, core.economics, core.models, core.money.  Above:
core.plan_files, margin, simulate.
Owns: Use (as a person says it), PricedUse (with rates), `parse_use` for `--use`.
Not here: the price book's file, the clock; both are given.

The rates are those of an average call, in force at one moment.  More tokens are more such calls,
not longer ones, so that a cost grows in proportion.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING

from noburn_cli.core.economics import REFERENCE_RATE_PICO
from noburn_cli.core.money import (
    PICO_PER_NANO,
    REQUESTS,
    TOKENS,
    parse_count,
    parse_dollars,
    parse_share,
)
from noburn_cli.core.usage import CACHE_READ, INPUT, OUTPUT
from noburn_cli.errors import PriceUnknown, UsageError

if TYPE_CHECKING:
    from noburn_cli.core.models import Model, RateRow, Tier

ZERO = Fraction(0)
ONE = Fraction(1)
BATCH = "batch"
STANDARD = "standard"
_SPLIT_KINDS = (INPUT, CACHE_READ, OUTPUT)

#: The keys of `--use` and of a `[use.NAME]` table, and what each says.
KEYS: Mapping[str, str] = {
    "model": "the model, at its rates of today",
    "rate": "instead of a model: dollars per million tokens, whatever their kind",
    "tokens": "tokens a seat uses a month, input and output together",
    "input": "instead of tokens: input tokens a seat and month",
    "output": "with tokens the share of them that is output, with input a count",
    "cached": "the share of the input that is read from the provider's cache",
    "batch": "the share of the tokens that is processed at the batch price",
    "variant": "how the rest is processed: standard, flex or priority",
    "calls": "calls a seat makes a month; decides long-context rates and overhead per request",
    "hits": "the share of the calls that a semantic cache answers, at no cost",
}


@dataclass(frozen=True)
class Use:
    """One feature's tokens of a seat and month.

    model: None for a flat rate.  rate_pico: pico-dollars per token, None for the model's.
    output: share of the tokens.  cached: share of the input.  batch, hits: shares of all of it.
    calls: None when nobody said.  split_given: whether somebody said what is output.
    """

    name: str
    tokens: int
    model: str | None = None
    rate_pico: Fraction | None = None
    output: Fraction = ZERO
    cached: Fraction = ZERO
    batch: Fraction = ZERO
    variant: str = STANDARD
    calls: int | None = None
    hits: Fraction = ZERO
    split_given: bool = False

    @property
    def call_input_tokens(self) -> int:
        """Input of an average call, rounded up; 0 when the number of calls is not known."""
        return math.ceil(self.tokens * (ONE - self.output) / self.calls) if self.calls else 0


def mix_of(*, output_share: Fraction = ZERO, cached_share: Fraction = ZERO) -> dict[str, Fraction]:
    """Shares of all tokens by kind, adding up to 1.

    output_share: of all tokens.  cached_share: of the input, read from the provider's cache.
    """
    input_share = ONE - output_share
    return {
        INPUT: input_share * (ONE - cached_share),
        CACHE_READ: input_share * cached_share,
        OUTPUT: output_share,
    }


def average_rate(mix: Mapping[str, Fraction], rates_pico: Mapping[str, int]) -> Fraction:
    """Pico-dollars of an average token of `mix`, exact.

    rates_pico: pico-dollars per token, for every kind that has a share.
    Raises KeyError for one that has a share and no rate.
    """
    return sum((share * rates_pico[kind] for kind, share in mix.items() if share), ZERO)


@dataclass(frozen=True)
class PricedUse:
    """A use with its rates by kind, in pico-dollars per token.

    rates, batch_rates: empty for a flat rate; kinds that the book prices, those without a share
    included, so that another split can be asked for.
    """

    use: Use
    rates: Mapping[str, int]
    batch_rates: Mapping[str, int]

    @cached_property
    def rate_pico(self) -> Fraction:
        """Of an average token, before a semantic cache.  Raises PriceUnknown."""
        use = self.use
        if use.rate_pico is not None:
            return use.rate_pico
        mix = mix_of(output_share=use.output, cached_share=use.cached)
        rate = ZERO
        for share, rates in ((ONE - use.batch, self.rates), (use.batch, self.batch_rates)):
            if share:
                self._check(mix, rates)
                rate += share * average_rate(mix, rates)
        return rate

    def _check(self, mix: Mapping[str, Fraction], rates: Mapping[str, int]) -> None:
        for kind, share in mix.items():
            if share and kind not in rates:
                raise PriceUnknown(
                    f"`{self.use.model}` has no rate for {kind}",
                    why="the price book's row gives none",
                    next_step="leave that kind out, or add the rate in your own price file",
                )

    @cached_property
    def cost_nano(self) -> Fraction:
        """Of a seat and month, what a semantic cache answers left out."""
        return self.use.tokens * self.rate_pico * (ONE - self.use.hits) / PICO_PER_NANO

    def with_shares(
        self, *, output: Fraction | None = None, cached: Fraction | None = None,
        batch: Fraction | None = None,
    ) -> PricedUse:  # fmt: skip
        """The same tokens in another split.  Raises UsageError where every token costs the same."""
        if self.use.rate_pico is not None:
            raise split_needs_model()
        use = self.use
        return replace(
            self,
            use=replace(
                use,
                output=use.output if output is None else output,
                cached=use.cached if cached is None else cached,
                batch=use.batch if batch is None else batch,
            ),
        )


def split_needs_model() -> UsageError:
    return UsageError(
        "a split of the tokens needs the rates of a model",
        why="without --model every token has the same rate",
        next_step="add --model NAME, or leave the split and the variant out",
    )


def price_flat(use: Use) -> PricedUse:
    """A use at its own rate, or at the reference rate.

    Raises UsageError for a split: one rate cannot tell input from output, and to ignore it would
    mislead.
    """
    if use.output or use.cached or use.batch or use.variant != STANDARD:
        raise split_needs_model()
    rate = Fraction(REFERENCE_RATE_PICO) if use.rate_pico is None else use.rate_pico
    return PricedUse(replace(use, rate_pico=rate), {}, {})


def price_use(use: Use, model: Model, *, at_ms: int) -> PricedUse:
    """A use at a model's rates in force, in the tier of its average call.

    Raises PriceUnknown for a variant or a kind without a rate, UsageError for calls that would not
    fit the model's window.
    """
    if use.call_input_tokens > model.context_window:
        raise UsageError(
            f"an average call would have {use.call_input_tokens:,} input tokens",
            why=f"the window of `{model.name}` holds {model.context_window:,}",
            next_step="say more --calls",
        )
    rates = _rates(use, model, use.variant, at_ms) if use.batch < 1 else {}
    batch_rates = _rates(use, model, BATCH, at_ms) if use.batch else {}
    named = replace(use, model=model.name, rate_pico=None)
    priced = PricedUse(named, rates, batch_rates)
    _ = priced.rate_pico  # Unknown is told here, where the model is named.
    return priced


def row_of(model: Model, variant: str, at_ms: int) -> RateRow:
    """The model's row in force.  Raises PriceUnknown naming the variants that are sold."""
    row = model.row_at(variant, at_ms)
    if row is None:
        sold = ", ".join(dict.fromkeys(row.variant for row in model.rows))
        raise PriceUnknown(
            f"`{model.name}` has no {variant} price",
            why=f"the price book has rows for: {sold}",
            next_step="choose one of these with --variant",
        )
    return row


def _rates(use: Use, model: Model, variant: str, at_ms: int) -> dict[str, int]:
    from noburn_cli.core.cost import tier_for

    row = row_of(model, variant, at_ms)
    return _known_rates(model, row, tier_for(row, use.call_input_tokens))


def _known_rates(model: Model, row: RateRow, tier: Tier) -> dict[str, int]:
    from noburn_cli.core.cost import rate_of

    found = {}
    for kind in _SPLIT_KINDS:
        try:
            found[kind] = rate_of(model, row, tier, kind)
        except PriceUnknown:  # Told only where the kind is used.
            continue
    return found


def parse_use(text: str, *, number: int = 1) -> Use:
    """Read `chat=model:NAME,tokens:400k,output:20%,cached:30%`; without a name it gets a number.

    Raises UsageError for a key that is not known, a value that cannot be read, and tokens that are
    missing or said twice.
    """
    head, equals, rest = text.partition("=")
    name, body = (head.strip(), rest) if equals else (f"use {number}", text)
    values: dict[str, str] = {}
    for part in body.split(","):
        key, colon, value = part.partition(":")
        key = key.strip()
        if not colon or not value.strip():
            raise UsageError(
                f"--use cannot be read from {text!r}",
                why=f"{part.strip()!r} is not `key:value`",
                next_step='write it like "chat=model:NAME,tokens:400k,output:20%"',
            )
        if key in values:
            raise UsageError(f"--use {name}: `{key}` is said twice")
        values[key] = value.strip()
    return use_of(name, values, where=f"--use {name}")


def use_of(name: str, values: Mapping[str, str], *, where: str) -> Use:
    """One use from its values as text.  Raises UsageError beginning with `where`."""
    for key in values:
        if key not in KEYS:
            near = difflib.get_close_matches(key, KEYS, n=1, cutoff=0.4)
            raise UsageError(
                f"{where}: there is no key `{key}`",
                next_step=f"did you mean `{near[0]}`?" if near else f"known: {', '.join(KEYS)}",
            )
    if "model" in values and "rate" in values:
        raise UsageError(f"{where}: `rate` and `model` each name the rate", next_step="say one")
    tokens, output = _volume(values, where)
    rate = values.get("rate")
    calls = values.get("calls")
    return Use(
        name=name,
        tokens=tokens,
        model=values.get("model"),
        rate_pico=None if rate is None else rate_of_million(rate, what=f"{where}: rate"),
        output=output,
        cached=parse_share(values.get("cached", "0"), what=f"{where}: cached"),
        batch=parse_share(values.get("batch", "0"), what=f"{where}: batch"),
        variant=values.get("variant", STANDARD),
        calls=None if calls is None else parse_calls(calls, what=f"{where}: calls"),
        hits=parse_share(values.get("hits", "0"), what=f"{where}: hits"),
        split_given="output" in values or "input" in values,
    )


def _volume(values: Mapping[str, str], where: str) -> tuple[int, Fraction]:
    """(tokens, share of output), said as a total with a share or as two counts."""
    if ("tokens" in values) == ("input" in values):
        raise UsageError(
            f"{where}: say how many tokens a seat uses, once",
            why="either `tokens`, or `input` and `output`",
            next_step='write it like "chat=tokens:400k,output:20%" or "chat=input:320k,output:80k"',
        )
    if "tokens" in values:
        total = parse_count(values["tokens"], what=f"{where}: tokens", unit=TOKENS)
        return total, parse_share(values.get("output", "0"), what=f"{where}: output")
    count_in = parse_count(values["input"], what=f"{where}: input", unit=TOKENS)
    count_out = parse_count(values.get("output", "0"), what=f"{where}: output", unit=TOKENS)
    return count_in + count_out, share_of_output(count_in, count_out)


def share_of_output(count_in: int, count_out: int) -> Fraction:
    return Fraction(count_out, count_in + count_out) if count_in + count_out else ZERO


def parse_calls(text: str, *, what: str) -> int:
    """A number of calls above 0.  Raises UsageError."""
    calls = parse_count(text, what=what, unit=REQUESTS)
    if not calls:
        raise UsageError(f"{what} is 0, and tokens come from calls")
    return calls


def rate_of_million(text: str, *, what: str) -> Fraction:
    """Pico-dollars per token from dollars per million tokens.  Raises UsageError."""
    return Fraction(parse_dollars(text, what=what) * PICO_PER_NANO, 10**6)
