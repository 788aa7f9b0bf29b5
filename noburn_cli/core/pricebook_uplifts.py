"""`[[model.uplift]]` in a price file: what regions cost more.

Layer: core (pure).  Below: core.rate_rows, core.pricebook_fields.  Above: core.pricebook_file.
"""

from __future__ import annotations

from typing import Any

from noburn_cli.core.pricebook_fields import (
    Refuse,
    date_of,
    factor_of,
    only,
    refuser,
    region_of,
    start_ms,
    url_of,
)
from noburn_cli.core.rate_rows import Uplift


def uplifts_of(given: Any, origin: str, name: str) -> tuple[Uplift, ...]:
    if not isinstance(given, list):
        raise refuser(origin, f"model `{name}`")("`uplift` is not a list: write [[model.uplift]]")
    found = [
        _uplift(one, refuser(origin, f"model `{name}`", f"uplift {number}"))
        for number, one in enumerate(given, start=1)
    ]
    return tuple(sorted(found, key=lambda one: one.starts_on))


def _uplift(given: Any, refuse: Refuse) -> Uplift:
    if not isinstance(given, dict):
        raise refuse("it is not a table")
    only(given, {"regions", "factor", "starts_on", "url", "checked_on"}, refuse)
    regions = given.get("regions")
    if not isinstance(regions, list) or not regions:
        raise refuse("`regions` is not a list of regions")
    starts_on = date_of(given.get("starts_on"), "starts_on", refuse)
    return Uplift(
        regions=tuple(region_of(one, "regions", refuse) for one in regions),
        factor_permille=factor_of(given.get("factor"), "factor", refuse),
        starts_on=starts_on,
        starts_at_ms=start_ms(starts_on),
        url=url_of(given, refuse),
        checked_on=date_of(given.get("checked_on"), "checked_on", refuse),
    )
