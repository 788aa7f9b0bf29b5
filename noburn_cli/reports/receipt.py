"""The arithmetic of one call: tokens times rates to its cost, and to what was held for it.

Layer: reports, pure.  Below: core.pricebook, core.money, reports.calls (its facts).
Above: render.why.
Nothing here is taken on trust: the sum is made again from the book and compared with the ledger.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from noburn_cli.core.money import PICO_PER_NANO, nano_from_pico_half_even, nano_from_pico_up
from noburn_cli.core.pricebook import STANDARD, Model, RateRow, Tier, rate_of, tier_for
from noburn_cli.core.usage import EXTRA_KINDS, INPUT, INPUT_KINDS, OUTPUT, PRICED_KINDS, input_total
from noburn_cli.core.variants import with_region, without_region
from noburn_cli.errors import PriceUnknown
from noburn_cli.reports.calls import CallFacts


@dataclass(frozen=True)
class Source:
    """Where a rate stands, and from when it holds."""

    variant: str
    above_input_tokens: int
    starts_on: str
    url: str
    checked_on: str


@dataclass(frozen=True)
class Item:
    """One kind of usage: `tokens`, or units of a fee, times `pico_per_token`."""

    kind: str
    tokens: int
    pico_per_token: int

    @property
    def pico(self) -> int:
        return self.tokens * self.pico_per_token


@dataclass(frozen=True)
class Bill:
    """What was used, item by item, and what that comes to, rounded once.

    charged_nano: what the ledger says; `agrees` when it is what the items come to.
    """

    items: tuple[Item, ...]
    source: Source
    charged_nano: int

    @property
    def pico(self) -> int:
        return sum(item.pico for item in self.items)

    @property
    def nano(self) -> int:
        return nano_from_pico_half_even(self.pico)

    @property
    def agrees(self) -> bool:
        return self.nano == self.charged_nano


@dataclass(frozen=True)
class HoldPart:
    """One side of a hold: the most tokens, at the dearest rate that may apply."""

    kind: str
    tokens: int
    pico_per_token: int
    source: Source


@dataclass(frozen=True)
class Hold:
    """What was set aside, or, of a blocked call, the least that would have had to be.

    ceiling_nano: the part that policy set aside for what nothing bounds.
    """

    parts: tuple[HoldPart, ...]
    nano: int
    ceiling_nano: int = 0


#: A batch is priced result by result, and the ledger keeps their sum alone.
_OF_MANY = ("anthropic_batches",)


def bill_of(facts: CallFacts) -> Bill | None:
    """The items of a settled call; None where there is no usage or no book to price it."""
    if facts.state != "settled" or facts.book is None or facts.api in _OF_MANY:
        return None
    model = facts.book.resolve(facts.resolved_model or facts.model)
    row = model.row_at(facts.variant, facts.reserved_at_ms)
    if row is None:
        return None
    tier = tier_for(row, input_total(facts.usage))
    items = tuple(
        Item(kind, facts.usage[kind], rate_of(model, row, tier, kind))
        for kind in (*PRICED_KINDS, *EXTRA_KINDS)
        if facts.usage.get(kind)
    )
    return Bill(items, _source(row, tier), facts.cost_nano or 0)


def hold_of(facts: CallFacts) -> Hold | None:
    """How the hold came about; None where the ledger does not tell the rates."""
    if facts.hold_nano is None or facts.input_bound is None:
        return None
    ceiling_nano = facts.ceiling_nano or 0
    rates = facts.detail.get("rates")
    if not facts.resolved_model:
        return Hold((), facts.hold_nano, ceiling_nano)  # It named no model: the ceiling is all.
    parts = _parts_from_rates(facts, rates) if rates else _parts_from_book(facts)
    return None if parts is None else Hold(parts, facts.hold_nano, ceiling_nano)


def _parts_from_rates(facts: CallFacts, rates: Mapping[str, Any]) -> tuple[HoldPart, ...] | None:
    """The parts as the reserve noted them; choices follow from the sum."""
    first, second = rates["input"], rates.get("output")
    parts = [HoldPart(first["kind"], facts.input_bound, first["pico_per_token"], _noted(first))]
    further = [
        HoldPart(kind, facts.extra_max[kind], origin["pico_per_token"], _noted(origin))
        for kind, origin in rates.get("extra", {}).items()
        if facts.extra_max.get(kind)
    ]
    if second is not None and facts.granted is not None:
        flat_pico = sum(part.tokens * part.pico_per_token for part in further)
        flat_pico += (facts.ceiling_nano or 0) * PICO_PER_NANO
        tokens = _output_tokens(
            facts, first["pico_per_token"], second["pico_per_token"], flat_pico=flat_pico
        )
        if tokens is None:
            return None
        parts.append(HoldPart(second["kind"], tokens, second["pico_per_token"], _noted(second)))
    return (*(part for part in parts if part.tokens or part.kind == INPUT), *further)


def _parts_from_book(facts: CallFacts) -> tuple[HoldPart, ...] | None:
    """Of a blocked call the rates are looked up again, and kept only if the sum comes out.

    Of several that do, those with the output that the call asked for: a cap is no accident.
    """
    if facts.book is None:
        return None
    model = facts.book.resolve(facts.resolved_model or facts.model)
    found = [
        parts
        for variant in _variants_of(model)
        if (row := model.row_at(variant, facts.reserved_at_ms)) is not None
        for parts in _parts_at(facts, model, row)
    ]
    asked = [parts for parts in found if parts[-1].tokens == facts.wanted]
    return next(iter([*asked, *found]), None)


def _variants_of(model: Model) -> list[str]:
    """Every way to be priced, the likeliest first: by default, in a region, by another tier."""
    plain = dict.fromkeys([STANDARD, *(without_region(row.variant)[0] for row in model.rows)])
    return [with_region(one, region) for one in plain for region in ("", *model.regions())]


def _parts_at(facts: CallFacts, model: Model, row: RateRow) -> Iterator[tuple[HoldPart, ...]]:
    """The sides of the hold at this row's rates, for each kind of input that makes its sum."""
    tier = tier_for(row, facts.input_bound)
    source = _source(row, tier)
    for kind in INPUT_KINDS:
        input_pico = _rate_or_none(model, row, tier, kind)
        if input_pico is None:
            continue
        first = HoldPart(kind, facts.input_bound, input_pico, source)
        output_pico = tier.rates.get(OUTPUT)
        if facts.wanted is None or not output_pico:
            if nano_from_pico_up(first.tokens * input_pico) == facts.hold_nano:
                yield (first,)
            continue
        tokens = _output_tokens(facts, input_pico, output_pico)
        if tokens is not None and tokens > 0:
            yield (first, HoldPart(OUTPUT, tokens, output_pico, source))


def _rate_or_none(model: Model, row: RateRow, tier: Tier, kind: str) -> int | None:
    try:
        return rate_of(model, row, tier, kind)
    except PriceUnknown:
        return None


def _output_tokens(
    facts: CallFacts, input_pico: int, output_pico: int, *, flat_pico: int = 0
) -> int | None:
    """The whole number of output tokens that the hold pays for; None if there is no such number."""
    if not output_pico:
        return int(facts.granted or 0)
    before = facts.input_bound * input_pico + flat_pico
    tokens = (facts.hold_nano * PICO_PER_NANO - before) // output_pico
    total = before + tokens * output_pico
    return int(tokens) if tokens >= 0 and nano_from_pico_up(total) == facts.hold_nano else None


def _source(row: RateRow, tier: Tier) -> Source:
    return Source(
        variant=row.variant,
        above_input_tokens=tier.above_input_tokens,
        starts_on=row.starts_on.isoformat(),
        url=row.url,
        checked_on=row.checked_on.isoformat(),
    )


def _noted(origin: Mapping[str, Any]) -> Source:
    return Source(
        **{name: origin[name] for name in Source.__dataclass_fields__}  # the daemon's own words
    )
