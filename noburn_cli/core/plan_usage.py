"""What a customer uses in a month, feature by feature, and what that costs at the book's rates.

Layer: core (pure).  Below: core.cost, core.economics, core.models, core.money.  Above:
core.plan_files, margin, simulate.
Owns: Use (as a person says it) and PricedUse (with rates).
Not here: reading one (core.plan_use_words), the price book's file, the clock; both are given.

The rates are those of an average call, in force at one moment.  More tokens are more such calls,
not longer ones, so that a cost grows in proportion.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from noburn_cli.core.economics import REFERENCE_RATE_PICO
from noburn_cli.core.money import (
    PICO_PER_NANO,
    parse_dollars,
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


class Use(NamedTuple):
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
            use=use._replace(
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
    return PricedUse(use._replace(rate_pico=rate), {}, {})


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
    named = use._replace(model=model.name, rate_pico=None)
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


def rate_of_million(text: str, *, what: str) -> Fraction:
    """Pico-dollars per token from dollars per million tokens.  Raises UsageError."""
    return Fraction(parse_dollars(text, what=what) * PICO_PER_NANO, 10**6)
