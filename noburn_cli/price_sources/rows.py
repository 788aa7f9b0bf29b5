"""Rows of rates as the sources give them: whole pico-dollars, a first day, a page.

Layer: pure.  Below: core.models.  Above: price_sources.genai, price_sources.litellm_json, merging.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from noburn_cli.core.models import RateRow, Tier
from noburn_cli.core.pricebook_fields import start_ms

#: The source gives no first date: the rates hold from the model's first day.
FROM_THE_FIRST_DAY = date(1970, 1, 1)


def row_of(
    variant: str, start: date, tiers: tuple[Tier, ...], *, url: str, checked_on: date
) -> RateRow:
    """One row; the moment of its first day is 00:00 UTC."""
    return RateRow(variant, start, start_ms(start), tiers, url, checked_on)


def whole_pico(pico: Decimal, of: Any) -> int:
    """The rate as an integer.  Raises ValueError for one finer than a pico-dollar."""
    if pico != pico.to_integral_value():
        raise ValueError(f"{of} is not a whole number of pico-dollars per token")
    return int(pico)
