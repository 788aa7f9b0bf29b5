"""The first source: genai-prices, read through its own resolution of dates and variants.

MIT, https://github.com/pydantic/genai-prices; the extra `prices` installs it.
Layer: reads an installed package, inside functions.  Below: core.models, core.usage,
price_sources.rows.  Above: price_sources.making, the comparison of `noburn prices check`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date, datetime, timezone
from decimal import Decimal
from fractions import Fraction
from typing import Any

from noburn_cli.core.models import EMBEDDING, STANDARD, RateRow, Tier
from noburn_cli.core.usage import (
    AUDIO_CACHE_READ,
    AUDIO_INPUT,
    AUDIO_OUTPUT,
    AUDIO_SECONDS,
    CACHE_READ,
    CACHE_WRITE_1H,
    CACHE_WRITE_5M,
    CHARACTERS,
    FEE_PRICES,
    FILE_SEARCH,
    IMAGE_CACHE_READ,
    IMAGE_INPUT,
    IMAGE_OUTPUT,
    INPUT,
    OUTPUT,
    PRICED_KINDS,
    WEB_SEARCH,
)
from noburn_cli.price_sources.rows import FROM_THE_FIRST_DAY, row_of, whole_pico

_FIRST_KINDS = {
    "input_mtok": INPUT,
    "cache_read_mtok": CACHE_READ,
    "cache_write_mtok": CACHE_WRITE_5M,
    "cache_write_1h_mtok": CACHE_WRITE_1H,
    "output_mtok": OUTPUT,
}
#: Further kinds: tokens by the million, fees by the units that core.usage.FEE_PRICES names.
_FIRST_EXTRA = {
    "input_audio_mtok": AUDIO_INPUT,
    "cache_audio_read_mtok": AUDIO_CACHE_READ,
    "output_audio_mtok": AUDIO_OUTPUT,
    "input_image_mtok": IMAGE_INPUT,
    "cache_image_read_mtok": IMAGE_CACHE_READ,
    "output_image_mtok": IMAGE_OUTPUT,
    "web_searches_kcount": WEB_SEARCH,
    "storage_searches_kcount": FILE_SEARCH,
    "input_mchars": CHARACTERS,
    "input_audio_hours": AUDIO_SECONDS,
}
#: OpenAI's `fast` is another word for `priority`, which is what its answers say.
_FIRST_VARIANTS = {
    "batch": {"processing": "batch"},
    "flex": {"service_tier": "flex"},
    "priority": {"service_tier": "priority"},
    "fast": {"speed": "fast"},
}


def first_models(providers: Iterable[str]) -> tuple[str, dict[tuple[str, str], Any]]:
    """(version, models by provider and id) of the installed genai-prices."""
    from importlib.metadata import version

    from genai_prices import data

    wanted = set(providers)
    models = {
        (provider.id, model.id): model
        for provider in data.providers
        if provider.id in wanted
        for model in provider.models
    }
    return version("genai-prices"), models


def first_rows(model: Any, family: str, *, url: str, checked_on: date) -> list[RateRow]:
    """Every row of every variant that the first source knows, complete and without repeats."""
    variants = [STANDARD, *(v for v, when in _FIRST_VARIANTS.items() if _starts(model, when))]
    rows: list[RateRow] = []
    for variant in variants:
        when = _FIRST_VARIANTS.get(variant)
        before: tuple[tuple[Tier, ...], dict[str, int]] | None = None
        for start in _change_dates(model, when):
            noon = datetime(start.year, start.month, start.day, 12, tzinfo=timezone.utc)
            prices = model.get_prices(noon, when)
            now = _first_tiers(prices, family), _first_extra(prices)
            if now != before:
                row = row_of(variant, start, now[0], url=url, checked_on=checked_on)
                rows.append(replace(row, extra=now[1]))
            before = now
    return rows


def tiers_at(model: Any, family: str, at: datetime) -> tuple[Tier, ...]:
    """The standard tiers at one moment, of a model whose price changes by the hour, too."""
    return _first_tiers(model.get_prices(at, None), family)


def _first_extra(prices: Any) -> dict[str, int]:
    """Rates of further kinds in pico-dollars per unit; one that no whole number gives is left out
    (hours of live audio, which no call here is billed by).
    """
    found = {}
    for key, kind in _FIRST_EXTRA.items():
        price = getattr(prices, key, None)
        if price is None:
            continue
        units = FEE_PRICES[kind][1] if kind in FEE_PRICES else 10**6
        pico = Fraction(getattr(price, "base", price)) * 10**12 / units
        if pico.denominator == 1:
            found[kind] = int(pico)
    return found


def first_aliases(model: Any) -> set[str]:
    """The names that the first source matches exactly; prefixes and patterns are left out."""
    found: set[str] = set()
    clauses = [model.match]
    while clauses:
        clause = clauses.pop()
        clauses.extend(getattr(clause, "or_", None) or ())
        equals = getattr(clause, "equals", None)
        if equals:
            found.add(equals)
    return found


def _constraint_start(constraint: Any) -> date:
    if constraint is None:
        return FROM_THE_FIRST_DAY
    start = getattr(constraint, "start_date", None)
    if type(start) is not date:
        raise ValueError(f"a rule that is no start date cannot be put into a row: {constraint!r}")
    return start


def _starts(model: Any, when: Mapping[str, str]) -> set[date]:
    return {
        _constraint_start(variant.constraint)
        for variant in model.price_variants or ()
        if variant.when == when
    }


def _change_dates(model: Any, when: Mapping[str, str] | None) -> list[date]:
    prices = model.prices if isinstance(model.prices, list) else []
    standard = {_constraint_start(price.constraint) for price in prices} | {FROM_THE_FIRST_DAY}
    if when is None:
        return sorted(standard)
    own = _starts(model, when)
    return sorted(own | {start for start in standard if start > min(own)})


def _first_tiers(prices: Any, family: str) -> tuple[Tier, ...]:
    values = {kind: getattr(prices, key) for key, kind in _FIRST_KINDS.items()}
    values = {kind: value for kind, value in values.items() if value is not None}
    if family == EMBEDDING:
        values.pop(OUTPUT, None)
    starts = sorted(
        {tier.start for value in values.values() for tier in getattr(value, "tiers", ())}
    )
    return tuple(
        Tier(
            above,
            {
                k: _pico_from_mtok(_value_above(values[k], above))
                for k in PRICED_KINDS
                if k in values
            },
        )
        for above in (0, *starts)
    )


def _value_above(value: Any, above: int) -> Decimal:
    price: Decimal = getattr(value, "base", value)
    for tier in getattr(value, "tiers", ()):
        if tier.start <= above and above:
            price = tier.price
    return price


def _pico_from_mtok(dollars: Decimal) -> int:
    return whole_pico(dollars * 10**6, dollars)
