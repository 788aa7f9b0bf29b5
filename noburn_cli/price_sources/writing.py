"""How a price book is written: one fixed order, exact decimals, no library.

Layer: pure.  Below: core.models, core.usage.  Above: tools/refresh_prices.py, commands.prices.
core.plain_toml reads this form line by line.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from noburn_cli.core.models import Model, RateRow, Tier
from noburn_cli.core.usage import EXTRA_KINDS, FEE_PRICES, PRICED_KINDS

_HEAD = """\
# noburn's price book: what models cost, in US dollars per million tokens, exact.
#
# Made by tools/refresh_prices.py; docs/price-book.md explains every key.  Rates: genai-prices,
# compared with litellm's JSON, which gives limits and retirement dates (both MIT).
# `starts_on = 1970-01-01` means: from the model's first day; the source gives no date.
# `checked_on` is the day on which the row was compared with both sources; `url` is the provider's
# page that they cite.  A new price appends a row; a released row is not changed.

format = 1"""


def render_book(
    models: Iterable[Model], prefixes: Mapping[str, str], generated: Mapping[str, Any]
) -> str:
    """The whole file."""
    parts = [_HEAD, "\n[generated]"]
    parts += [f"{key} = {_value(value)}" for key, value in generated.items()]
    parts.append("\n[prefixes]")
    parts += [f"{_value(prefix)} = {_value(provider)}" for prefix, provider in prefixes.items()]
    for model in models:
        parts += _model_lines(model)
    return "\n".join(parts) + "\n"


def _model_lines(model: Model) -> list[str]:
    facts: dict[str, Any] = {
        "name": model.name,
        "provider": model.provider,
        "family": model.family,
        "tokenizer": model.tokenizer,
        "context_window": model.context_window,
        "input_max": model.input_max if model.input_max != model.context_window else None,
        "output_max": model.output_max,
        "output_min": model.output_min if model.output_min != 1 else None,
        "cache_writes": model.cache_writes,
        "aliases": model.aliases or None,
        "retires_on": model.retires_on,
        "sources": model.sources or None,
        "note": model.note or None,
    }
    lines = ["\n[[model]]"]
    lines += [f"{key} = {_value(value)}" for key, value in facts.items() if value is not None]
    for row in model.rows:
        lines += _row_lines(row)
    return lines


def _row_lines(row: RateRow) -> list[str]:
    base, *above = row.tiers
    extra = [
        f"{_extra_key(kind)} = {_dollars_for(row.extra[kind], kind)}"
        for kind in EXTRA_KINDS
        if kind in row.extra
    ]
    lines = ["\n[[model.rate]]", f"variant = {_value(row.variant)}", f"starts_on = {row.starts_on}"]
    lines += _rates(base) + extra
    if above:
        lines.append("above = [")
        for tier in above:
            pairs = [f"input_tokens = {tier.above_input_tokens}", *_rates(tier)]
            lines.append(f"    {{ {', '.join(pairs)} }},")
        lines.append("]")
    return [*lines, f"url = {_value(row.url)}", f"checked_on = {row.checked_on}"]


def _rates(tier: Tier) -> list[str]:
    return [f"{kind} = {_dollars(tier.rates[kind])}" for kind in PRICED_KINDS if kind in tier.rates]


def _extra_key(kind: str) -> str:
    return FEE_PRICES[kind][0] if kind in FEE_PRICES else kind


def _dollars_for(pico_per_unit: int, kind: str) -> str:
    """Dollars for as many units as the kind's key says."""
    units = FEE_PRICES[kind][1] if kind in FEE_PRICES else 1_000_000
    whole, part = divmod(pico_per_unit * units, 10**12)
    return f"{whole}.{part:012d}".rstrip("0").removesuffix(".")


def _dollars(pico_per_token: int) -> str:
    whole, part = divmod(pico_per_token, 1_000_000)
    return f"{whole}.{part:06d}".rstrip("0").removesuffix(".")


def _value(value: Any) -> str:
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_value(one) for one in value)}]"
    if isinstance(value, (int, date, Decimal)):
        return str(value)
    raise TypeError(f"no way to write {value!r}")
