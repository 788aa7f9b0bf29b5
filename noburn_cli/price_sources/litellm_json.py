"""The second source: the JSON of prices and limits in litellm's wheel.

MIT, https://github.com/BerriAI/litellm.  Read as a file and never imported, which takes seconds.
Layer: I/O (reads one file).  Below: core.models, core.usage, price_sources.rows.
Above: price_sources.making, the comparison of `noburn prices check`.
"""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from noburn_cli.core.models import EMBEDDING, STANDARD, Tier
from noburn_cli.core.rate_rows import ANY_REGION
from noburn_cli.core.usage import (
    CACHE_READ,
    CACHE_WRITE_1H,
    CACHE_WRITE_5M,
    INPUT,
    OUTPUT,
    PRICED_KINDS,
)
from noburn_cli.price_sources.rows import whole_pico

FILE = "model_prices_and_context_window_backup.json"

_SECOND_KINDS = {
    "input_cost_per_token": INPUT,
    "output_cost_per_token": OUTPUT,
    "cache_read_input_token_cost": CACHE_READ,
    "cache_creation_input_token_cost": CACHE_WRITE_5M,
}
_SECOND_VARIANTS = {
    "": STANDARD,
    "batches": "batch",
    **{name: name for name in ("flex", "priority", "ultrafast")},
}
_SECOND_PROVIDERS = ("openai", "text-completion-openai", "anthropic", "gemini")
_TEXT_MODES = ("chat", "completion", "responses", "embedding")
_SECOND_KEY = re.compile(
    rf"({'|'.join(_SECOND_KINDS)})(_above_(?:1hr|12hr))?(?:_above_(\d+)k_tokens)?"
    r"(?:_(batches|flex|priority|ultrafast))?"
)


def installed_file() -> Path | None:
    """Where the installed litellm keeps its prices; None without it.  Found, not imported."""
    spec = importlib.util.find_spec("litellm")
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / FILE
    return path if path.exists() else None


@dataclass(frozen=True)
class SecondModel:
    """One entry of the second source: limits, and rates by (variant, kind, threshold).

    search_pico: what a search costs at most, in pico-dollars; of OpenAI's models by the older tool.
    regions: what regions cost more, in thousandths of a factor; ANY_REGION: all but a global one.
    provider: litellm's own word for it.  texts: whether it answers texts or embeds them.
    """

    input_max: int | None
    output_max: int | None
    retires_on: date | None
    rates: Mapping[tuple[str, str, int], int]
    search_pico: int | None = None
    regions: Mapping[str, int] = field(default_factory=dict)
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
    Raises ValueError and its like for a file that is none, or holds none of these.
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
    if not found:
        raise ValueError("it has no model of these providers with a price")
    return found


def _second_model(entry: Mapping[str, Any]) -> SecondModel:
    rates: dict[tuple[str, str, int], int] = {}
    for key, value in entry.items():
        match = _SECOND_KEY.fullmatch(key)
        if match and isinstance(value, (int, Decimal)):
            kind = CACHE_WRITE_1H if match[2] else _SECOND_KINDS[match[1]]
            above = int(match[3] or 0) * 1000
            variant = _SECOND_VARIANTS[match[4] or ""]
            rates[variant, kind, above] = whole_pico(Decimal(value) * 10**12, key)
    retires = entry.get("deprecation_date")
    return SecondModel(
        input_max=_limit(entry.get("max_input_tokens")),
        output_max=_limit(entry.get("max_output_tokens")),
        retires_on=date.fromisoformat(retires) if isinstance(retires, str) else None,
        rates=rates,
        search_pico=_search_pico(entry),
        regions=_regions(entry),
        provider=str(entry.get("litellm_provider")),
        texts=entry.get("mode") in _TEXT_MODES,
        embeds=entry.get("mode") == "embedding",
        reasons=bool(entry.get("supports_reasoning")),
    )


def _search_pico(entry: Mapping[str, Any]) -> int | None:
    sizes = entry.get("search_context_cost_per_query")
    if not isinstance(sizes, dict) or not sizes:
        return None
    return whole_pico(Decimal(max(sizes.values())) * 10**12, sizes)


def _regions(entry: Mapping[str, Any]) -> dict[str, int]:
    """Uplifts as OpenAI, Anthropic (`us` among other multipliers) and Vertex AI have them."""
    by_provider = entry.get("provider_specific_entry")
    factors = {
        "eu": entry.get("regional_processing_uplift_multiplier_eu"),
        "us": entry.get("regional_processing_uplift_multiplier_us")
        or (by_provider.get("us") if isinstance(by_provider, dict) else None),
        ANY_REGION: entry.get("regional_endpoint_uplift_multiplier"),
    }
    return {
        region: whole_pico(Decimal(factor) * 1000, factor)
        for region, factor in factors.items()
        if isinstance(factor, (int, Decimal))
    }


def _limit(value: Any) -> int | None:
    return int(value) if isinstance(value, (int, Decimal)) and value > 0 else None
