"""What regions cost more: the second source's factors, and what is released of them.

Layer: pure.  Below: core.rate_rows, price_sources.litellm_json (its model), rows.
Above: price_sources.making, price_sources.agreement.
genai-prices has no regions.  The hand-kept part names the provider's page (`[regions]`), which may
say of every region what the source says of some.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date
from typing import Any

from noburn_cli.core.models import Model
from noburn_cli.core.pricebook_fields import start_ms
from noburn_cli.core.rate_rows import ANY_REGION, Uplift
from noburn_cli.price_sources.litellm_json import SecondModel
from noburn_cli.price_sources.merging import Findings, Inputs
from noburn_cli.price_sources.rows import FROM_THE_FIRST_DAY


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
