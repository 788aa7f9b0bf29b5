"""What two maintained sources say about prices, in the words of our price book.

The first source is genai-prices (MIT, https://github.com/pydantic/genai-prices), read through its
own resolution of dates and variants; the second is the JSON that ships in litellm's wheel (MIT,
https://github.com/BerriAI/litellm), read as a file because importing litellm takes seconds.
Only tools/refresh_prices.py and its test use this; the program itself reads pricing.toml alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timezone
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
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

#: The source gives no first date: the rates hold from the model's first day.
FROM_THE_FIRST_DAY = date(1970, 1, 1)

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
_SECOND_KINDS = {
    "input_cost_per_token": INPUT,
    "output_cost_per_token": OUTPUT,
    "cache_read_input_token_cost": CACHE_READ,
    "cache_creation_input_token_cost": CACHE_WRITE_5M,
}
_SECOND_VARIANTS = {"": STANDARD, "batches": "batch", "flex": "flex", "priority": "priority"}
_SECOND_PROVIDERS = ("openai", "text-completion-openai", "anthropic", "gemini")
_TEXT_MODES = ("chat", "completion", "responses", "embedding")
_SECOND_KEY = re.compile(
    rf"({'|'.join(_SECOND_KINDS)})(_above_(?:1hr|12hr))?(?:_above_(\d+)k_tokens)?(?:_(batches|flex|priority))?"
)


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


def dearest_row(model: Any, family: str, *, url: str, checked_on: date) -> RateRow | None:
    """The rates of the dearest hour of a day, of a model whose price changes by the hour."""
    found: list[tuple[Tier, ...]] = []
    for hour in range(24):
        at = datetime(checked_on.year, checked_on.month, checked_on.day, hour, tzinfo=timezone.utc)
        found.append(_first_tiers(model.get_prices(at, None), family))
    if any(INPUT not in tiers[0].rates for tiers in found):
        return None
    dearest = max(found, key=lambda tiers: tiers[0].rates[INPUT])
    return row_of(STANDARD, FROM_THE_FIRST_DAY, dearest, url=url, checked_on=checked_on)


def row_of(
    variant: str, start: date, tiers: tuple[Tier, ...], *, url: str, checked_on: date
) -> RateRow:
    at_ms = int(datetime(start.year, start.month, start.day, tzinfo=timezone.utc).timestamp())
    return RateRow(variant, start, at_ms * 1000, tiers, url, checked_on)


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
    return _whole(dollars * 10**6, dollars)


def _whole(pico: Decimal, of: Any) -> int:
    if pico != pico.to_integral_value():
        raise ValueError(f"{of} is not a whole number of pico-dollars per token")
    return int(pico)


@dataclass(frozen=True)
class SecondModel:
    """One entry of the second source: limits, and rates by (variant, kind, threshold).

    search_pico: what a search costs at most, in pico-dollars; of OpenAI's models by the older tool.
    provider: litellm's own word for it.  texts: whether it answers texts or embeds them.
    """

    input_max: int | None
    output_max: int | None
    retires_on: date | None
    rates: Mapping[tuple[str, str, int], int]
    search_pico: int | None = None
    provider: str = ""
    texts: bool = False
    embeds: bool = False
    reasons: bool = False

    def tiers(self, variant: str, family: str) -> tuple[Tier, ...] | None:
        """The variant's tiers, if the source gives a whole row for it."""
        mine = {(k, above): pico for (v, k, above), pico in self.rates.items() if v == variant}
        needed = {INPUT} if family == EMBEDDING else {INPUT, OUTPUT}
        kinds = {kind for kind, above in mine if above == 0}
        if family == EMBEDDING:
            kinds.discard(OUTPUT)
        thresholds = sorted({above for kind, above in mine if kind in kinds})
        whole = all((kind, above) in mine for kind in kinds for above in thresholds)
        if not needed <= kinds or not whole:
            return None
        return tuple(
            Tier(above, {kind: mine[kind, above] for kind in PRICED_KINDS if kind in kinds})
            for above in thresholds
        )


def second_models(path: Path, more: Iterable[str] = ()) -> dict[str, SecondModel]:
    """The entries of litellm's JSON by key: these providers', with a price per token.

    more: further providers, whose entries are left out where a rate is finer than a pico-dollar.
    """
    entries = json.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    found = {}
    wanted = set(more)
    for key, entry in entries.items():
        provider = entry.get("litellm_provider")
        if "input_cost_per_token" not in entry or provider not in (*_SECOND_PROVIDERS, *wanted):
            continue
        try:
            found[key] = _second_model(entry)
        except ValueError:
            if provider in _SECOND_PROVIDERS:
                raise
    return found


def _second_model(entry: Mapping[str, Any]) -> SecondModel:
    rates: dict[tuple[str, str, int], int] = {}
    for key, value in entry.items():
        match = _SECOND_KEY.fullmatch(key)
        if match and isinstance(value, (int, Decimal)):
            kind = CACHE_WRITE_1H if match[2] else _SECOND_KINDS[match[1]]
            above = int(match[3] or 0) * 1000
            variant = _SECOND_VARIANTS[match[4] or ""]
            rates[variant, kind, above] = _whole(Decimal(value) * 10**12, key)
    retires = entry.get("deprecation_date")
    return SecondModel(
        input_max=_limit(entry.get("max_input_tokens")),
        output_max=_limit(entry.get("max_output_tokens")),
        retires_on=date.fromisoformat(retires) if isinstance(retires, str) else None,
        rates=rates,
        search_pico=_search_pico(entry),
        provider=str(entry.get("litellm_provider")),
        texts=entry.get("mode") in _TEXT_MODES,
        embeds=entry.get("mode") == "embedding",
        reasons=bool(entry.get("supports_reasoning")),
    )


def _search_pico(entry: Mapping[str, Any]) -> int | None:
    sizes = entry.get("search_context_cost_per_query")
    if not isinstance(sizes, dict) or not sizes:
        return None
    return _whole(Decimal(max(sizes.values())) * 10**12, sizes)


def _limit(value: Any) -> int | None:
    return int(value) if isinstance(value, (int, Decimal)) and value > 0 else None
