"""What regions cost: the second source's factors and entries by region, and what is released.

Layer: pure.  Below: core.rate_rows, price_sources.litellm_json (its model), rows.
Above: price_sources.making, price_sources.agreement.
genai-prices 0.2.3 has no regions (of Bedrock's, the prefixes of profiles alone).  The hand-kept
part names the provider's page (`[regions]`), which may say of every region what the source says of
some, and regions of which its own price list says the same (`regions_alike`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

from noburn_cli.core.bedrock_regions import HOME
from noburn_cli.core.models import EMBEDDING, Model, RateRow, Tier
from noburn_cli.core.pricebook_fields import start_ms
from noburn_cli.core.rate_rows import ANY_REGION, Uplift
from noburn_cli.core.variants import with_region
from noburn_cli.price_sources.litellm_json import SecondModel
from noburn_cli.price_sources.merging import Findings, Inputs
from noburn_cli.price_sources.rows import FROM_THE_FIRST_DAY, row_of

#: A factor of 1, in thousandths.
_UNCHANGED = 1000
#: As AWS names them; other words stand there as well (`bedrock/invoke/…`).
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")


def with_uplifts(
    model: Model, second: SecondModel | None, inputs: Inputs, findings: Findings
) -> Model:
    """The model with its committed uplifts, and those of the second source where these differ."""
    before = inputs.committed.get(model.name)
    kept = before.uplifts if before is not None else ()
    page = inputs.manual.get("regions", {}).get(model.provider)
    if second is None or page is None or not second.regions:
        return replace(model, uplifts=kept)
    fresh = _fresh(second.regions, page, inputs.today)
    newest = max((one.starts_on for one in kept), default=FROM_THE_FIRST_DAY)
    if _said([one for one in kept if one.starts_on == newest]) == _said(fresh):
        return replace(model, uplifts=kept)
    if not kept:
        return replace(model, uplifts=tuple(fresh))
    findings.changes.append(f"{model.name}: its regions have other uplifts from {inputs.today}")
    later = [_starting(one, inputs.today) for one in fresh]
    return replace(model, uplifts=(*kept, *later))


def regions_by_key(
    group: Mapping[str, Any],
    names: Sequence[str],
    home: RateRow,
    before: Model | None,
    inputs: Inputs,
) -> tuple[list[RateRow], dict[str, int]]:
    """What the second source's entries of single regions (`bedrock/eu-west-2/ID`) say of a model.

    names: its ids.  home: its rates without a region.  before: the committed model.  Returns rows
    of the regions with other rates, and a factor of 1 for those that cost the same and never had a
    row.  A region on which two entries differ is left out.
    """
    regional: dict[str, set[tuple[tuple[int, tuple[tuple[str, int], ...]], ...]]] = {}
    for region, entry in _entries(group, set(names), inputs):
        tiers = entry.tiers(home.variant, EMBEDDING if entry.embeds else "text")
        if tiers is not None:
            said = tuple((one.above_input_tokens, tuple(one.rates.items())) for one in tiers)
            regional.setdefault(region, set()).add(said)
    had_row = {row.variant for row in before.rows} if before is not None else set()
    uplifts = before.uplifts if before is not None else ()
    had_factor = {region for uplift in uplifts for region in uplift.regions}
    rows: list[RateRow] = []
    by_hand = group.get("regions_alike", {})
    alike = {region: _UNCHANGED for name in names for region in by_hand.get(name, ())}
    for region, entries in sorted(regional.items()):
        if len(entries) > 1:
            continue
        tiers = tuple(Tier(above, dict(rates)) for above, rates in entries.pop())
        variant = with_region(home.variant, region)
        if _covers(tiers, home.tiers) and variant not in had_row:
            alike[region] = _UNCHANGED
            continue
        alike.pop(region, None)
        # A row goes before a factor: calls that the factor priced keep their price.
        day = inputs.today if region in had_factor else FROM_THE_FIRST_DAY
        rows.append(row_of(variant, day, tiers, url=group["url"], checked_on=inputs.today))
    return rows, alike


def _entries(
    group: Mapping[str, Any], names: set[str], inputs: Inputs
) -> Iterator[tuple[str, SecondModel]]:
    """(region, entry) of the group's regional keys for one of the names."""
    prefix = group.get("regional_prefix")
    for key, entry in (inputs.second or {}).items() if prefix else ():
        region, _, name = key.removeprefix(prefix or "").partition("/")
        is_one = _REGION.fullmatch(region) and region != HOME and name in names
        if key.startswith(prefix or "") and is_one:
            yield region, entry


def _covers(tiers: tuple[Tier, ...], home: tuple[Tier, ...]) -> bool:
    """Whether a region's rates are those of all kinds and tiers that the model has."""
    return len(tiers) == len(home) and all(
        mine.above_input_tokens == other.above_input_tokens
        and other.rates.items() <= mine.rates.items()
        for mine, other in zip(tiers, home, strict=True)
    )


def _said(uplifts: Iterable[Uplift]) -> set[tuple[tuple[str, ...], int]]:
    return {(one.regions, one.factor_permille) for one in uplifts}


def _fresh(factors: Mapping[str, int], page: Mapping[str, Any], today: date) -> list[Uplift]:
    by_factor: dict[int, list[str]] = {}
    for region, factor in factors.items():
        by_factor.setdefault(factor, []).append(region)
    if page.get("every_region") and len(by_factor) == 1:
        by_factor = {factor: [ANY_REGION] for factor in by_factor}
    first = FROM_THE_FIRST_DAY
    return [
        Uplift(tuple(regions), factor, first, start_ms(first), page["url"], today)
        for factor, regions in by_factor.items()
    ]


def _starting(uplift: Uplift, day: date) -> Uplift:
    return replace(uplift, starts_on=day, starts_at_ms=start_ms(day))
