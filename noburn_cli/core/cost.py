"""What tokens cost: settled usage exactly, and the most that a call can cost while it runs.

Layer: core (pure).  Below: core.models, core.money, core.usage, errors.
Owns: which rate applies to which token.  Not here: how many tokens (core.bounds, the codecs).

Which rate a kind has, for holds and settlements alike:
- its own, where the row gives one;
- cached input without a rate of its own costs what input costs: no discount was published;
- a cache write without a rate costs what input costs where the model says `cache_writes =
  "as_input"`, and is unknown otherwise;
- cached audio and images without a rate of their own cost what uncached ones do; without that one
  either, audio and images in the input cost what text costs where the model says `media_input =
  "as_text"`, and are unknown otherwise.
Unknown is never zero.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from noburn_cli.core.bedrock_regions import HOME as BEDROCK_HOME
from noburn_cli.core.bedrock_regions import PREFIX as BEDROCK_PREFIX
from noburn_cli.core.models import MEDIA_AS_TEXT, NO_OUTPUT, WRITES_AS_INPUT, Model, RateRow, Tier
from noburn_cli.core.money import nano_from_pico_half_even, nano_from_pico_up
from noburn_cli.core.usage import (
    AUDIO_CACHE_READ,
    AUDIO_INPUT,
    CACHE_READ,
    CACHE_WRITE_1H,
    CACHE_WRITE_5M,
    EXTRA_KINDS,
    IMAGE_CACHE_READ,
    IMAGE_INPUT,
    INPUT,
    OUTPUT,
    REASONING,
    Usage,
    input_total,
)
from noburn_cli.core.variants import certain, without_region
from noburn_cli.errors import PriceUnknown

_UNCACHED = {AUDIO_CACHE_READ: AUDIO_INPUT, IMAGE_CACHE_READ: IMAGE_INPUT}
_AS_TEXT = {
    AUDIO_INPUT: INPUT,
    AUDIO_CACHE_READ: CACHE_READ,
    IMAGE_INPUT: INPUT,
    IMAGE_CACHE_READ: CACHE_READ,
}


@dataclass(frozen=True)
class RateOrigin:
    """Where a rate comes from, so that a receipt can say it.

    pico_per_token: of a fee, per unit.
    """

    kind: str
    pico_per_token: int
    variant: str
    above_input_tokens: int
    row: RateRow


@dataclass(frozen=True)
class HoldRates:
    """The dearest rates that a call may meet, in pico-dollars per token.

    output: None for a model without output.
    """

    input: RateOrigin
    output: RateOrigin | None

    @property
    def input_pico(self) -> int:
        return self.input.pico_per_token

    @property
    def output_pico(self) -> int:
        return 0 if self.output is None else self.output.pico_per_token


def call_cost(model: Model, usage: Usage, *, variant: str, at_ms: int) -> int:
    """Price one settled call in nano-dollars, summed exactly and rounded once, half to even.

    usage: billed counts, each >= 0, from the provider's usage block (not our estimate).
    at_ms: when the call was reserved; the row in force then prices it.
    Raises: PriceUnknown when the variant has no row at that time, or a kind that was used has no
        rate.
    """
    row = model.row_at(variant, at_ms)
    if row is None:
        raise _no_row(model, variant)
    return tier_cost(model, row, tier_for(row, input_total(usage)), usage)


def tier_cost(model: Model, row: RateRow, tier: Tier, usage: Usage) -> int:
    """The same where row and tier are known.  Raises PriceUnknown."""
    pico = 0
    for kind, count in usage.items():
        if count and kind != REASONING:
            pico += count * rate_of(model, row, tier, kind)
    return nano_from_pico_half_even(pico)


def hold_rates(
    model: Model,
    *,
    variants: Iterable[str],
    input_kinds: Iterable[str],
    input_tokens_max: int,
    from_ms: int,
    until_ms: int,
    output_kinds: Iterable[str] = (OUTPUT,),
) -> HoldRates:
    """The dearest input and output rate that a call can meet.

    Looked at: every variant, every row in force from `from_ms` to `until_ms`, every tier that
    `input_tokens_max` input tokens can reach, every kind of input and output.
    Raises: PriceUnknown when a variant has no row in force, or a kind no rate.
    """
    kinds = tuple(input_kinds) or (INPUT,)
    answers = tuple(output_kinds)
    dearest_input: RateOrigin | None = None
    dearest_output: RateOrigin | None = None
    for row in _rows_that_may_apply(model, variants, from_ms, until_ms):
        for tier in row.tiers:
            if tier.above_input_tokens and tier.above_input_tokens >= input_tokens_max:
                break
            for kind in kinds:
                dearest_input = _dearer(dearest_input, model, row, tier, kind)
            for kind in answers if model.family not in NO_OUTPUT else ():
                dearest_output = _dearer(dearest_output, model, row, tier, kind)
    if dearest_input is None:
        raise PriceUnknown(f"no variant was named for a call of `{model.name}`")
    return HoldRates(dearest_input, dearest_output)


def extra_hold_rates(
    model: Model, *, kinds: Iterable[str], variants: Iterable[str], from_ms: int, until_ms: int
) -> dict[str, RateOrigin]:
    """The dearest rate per unit that each of these further kinds can meet.  Raises PriceUnknown."""
    rows = _rows_that_may_apply(model, variants, from_ms, until_ms)
    found: dict[str, RateOrigin] = {}
    for kind in kinds:
        for row in rows:
            found[kind] = _dearer(found.get(kind), model, row, row.tiers[0], kind)
    return found


def hold_cost(rates: HoldRates, *, input_tokens: int, output_tokens: int) -> int:
    """What to set aside, in nano-dollars, rounded up."""
    if output_tokens and rates.output is None:
        raise PriceUnknown("a model without output cannot be held for output tokens")
    return nano_from_pico_up(input_tokens * rates.input_pico + output_tokens * rates.output_pico)


def tier_for(row: RateRow, input_tokens: int) -> Tier:
    """The tier of a call with so many input tokens, cached ones included."""
    found = row.tiers[0]
    for tier in row.tiers[1:]:
        if input_tokens > tier.above_input_tokens:
            found = tier
    return found


def rate_of(model: Model, row: RateRow, tier: Tier, kind: str) -> int:
    """Pico-dollars per token or unit of one kind; see the module's rules.  Raises PriceUnknown."""
    rate = tier.rates.get(kind)
    if rate is None and kind in EXTRA_KINDS:
        rate = row.extra.get(kind, row.extra.get(_UNCACHED.get(kind, kind)))
        if rate is None and model.media_input == MEDIA_AS_TEXT and kind in _AS_TEXT:
            return rate_of(model, row, tier, _AS_TEXT[kind])
    if rate is not None:
        return rate
    as_input = kind == CACHE_READ or (
        kind in (CACHE_WRITE_5M, CACHE_WRITE_1H) and model.cache_writes == WRITES_AS_INPUT
    )
    if as_input and INPUT in tier.rates:
        return tier.rates[INPUT]
    raise PriceUnknown(
        f"`{model.name}` has no rate for {kind}",
        why=f"its {row.variant} row from {row.starts_on} ({row.url}) gives none",
        next_step="add the rate in your own price file (set NOBURN_PRICES to its path)",
    )


def _rows_that_may_apply(
    model: Model, variants: Iterable[str], from_ms: int, until_ms: int
) -> list[RateRow]:
    rows: list[RateRow] = []
    for word in variants:
        variant, is_certain = certain(word)
        if not is_certain and without_region(variant)[1] not in model.regions():
            continue
        # A row that starts while the call runs does not price the moments before it.
        if model.row_at(variant, from_ms) is None:
            raise _no_row(model, variant)
        rows.extend(model.rows_between(variant, from_ms, until_ms))
    return rows


def _dearer(
    best: RateOrigin | None, model: Model, row: RateRow, tier: Tier, kind: str
) -> RateOrigin:
    rate = rate_of(model, row, tier, kind)
    if best is not None and best.pico_per_token >= rate:
        return best
    return RateOrigin(kind, rate, row.variant, tier.above_input_tokens, row)


def _elsewhere(model: Model) -> str:
    if model.name.startswith(BEDROCK_PREFIX):
        return f"call it in {BEDROCK_HOME}, or by an inference profile that the price book has"
    return "call it without a region"


def _no_row(model: Model, variant: str) -> PriceUnknown:
    plain, region = without_region(variant)
    if region and region not in model.regions():
        known = ", ".join(model.regions())
        return PriceUnknown(
            f"`{model.name}` has no price in the region `{region}`",
            why=f"the price book has its prices in {known}" if known else
            "the price book says of no region what it costs there",
            next_step=f"{_elsewhere(model)}, or add an [[model.uplift]] or a row with `region` "
            "in your own price file (docs/price-book.md)",
        )  # fmt: skip
    known = ", ".join(dict.fromkeys(without_region(row.variant)[0] for row in model.rows))
    return PriceUnknown(
        f"`{model.name}` has no {plain} price at that time",
        why=f"the price book has rows for: {known}",
        next_step="call it in a variant that has one, or add a row in your own price file",
    )
