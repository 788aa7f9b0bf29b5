"""How a price book is written: one fixed order, exact decimals, no library.

Layer: pure.  Below: core.models, core.usage.  Above: tools/refresh_prices.py, commands.prices.
core.plain_toml reads this form line by line.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from noburn_cli.core.models import MEDIA_PRICED, NOT_RETIRED, Model, RateRow, Tier, Uplift, Window
from noburn_cli.core.pricebook_windows import DAYS
from noburn_cli.core.usage import EXTRA_KINDS, FEE_PRICES, PRICED_KINDS
from noburn_cli.core.variants import without_region

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


_OVERLAY_HEAD = """\
# Prices over noburn's own, taken by `noburn prices update`; `noburn prices update --undo` takes
# them back.  Your own prices belong into prices.toml beside this file, which is written anew.

format = 1"""


def render_overlay(
    models: Iterable[Model], prefixes: Mapping[str, str], generated: Mapping[str, Any]
) -> str:
    """A file over another one: each model says all that it has, so that nothing shows through."""
    parts = [_OVERLAY_HEAD, "\n[generated]"]
    parts += [f"{key} = {_value(value)}" for key, value in generated.items()]
    parts.append("\n[prefixes]")
    parts += [f"{_value(prefix)} = {_value(provider)}" for prefix, provider in prefixes.items()]
    for model in models:
        parts += _model_lines(model, over=True)
    return "\n".join(parts) + "\n"


def _model_lines(model: Model, *, over: bool = False) -> list[str]:
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
        "media_input": model.media_input if model.media_input != MEDIA_PRICED else None,
        "aliases": model.aliases or None,
        "retires_on": model.retires_on,
        "sources": model.sources or None,
        "note": model.note or None,
    }
    if over:
        facts |= {
            "input_max": model.input_max,
            "output_min": model.output_min,
            "media_input": model.media_input,
            "aliases": model.aliases,
            "retires_on": model.retires_on or NOT_RETIRED,
            "sources": model.sources,
            "note": model.note,
        }
    lines = ["\n[[model]]"]
    lines += [f"{key} = {_value(value)}" for key, value in facts.items() if value is not None]
    for uplift in model.uplifts:
        lines += _uplift_lines(uplift)
    for row in model.rows:
        lines += _row_lines(row)
    return lines


def _uplift_lines(uplift: Uplift) -> list[str]:
    return [
        "\n[[model.uplift]]",
        f"regions = {_value(uplift.regions)}",
        f"factor = {_decimal(*divmod(uplift.factor_permille, 1000), digits=3)}",
        f"starts_on = {uplift.starts_on}",
        f"url = {_value(uplift.url)}",
        f"checked_on = {uplift.checked_on}",
    ]


def _row_lines(row: RateRow) -> list[str]:
    base, *above = row.tiers
    extra = [
        f"{_extra_key(kind)} = {_dollars_for(row.extra[kind], kind)}"
        for kind in EXTRA_KINDS
        if kind in row.extra
    ]
    variant, region = without_region(row.variant)
    lines = ["\n[[model.rate]]", f"variant = {_value(variant)}"]
    lines += [f"region = {_value(region)}"] if region else []
    lines += [f"starts_on = {row.starts_on}", *_window_lines(row.windows)]
    lines += _rates(base) + extra
    if above:
        lines.append("above = [")
        for tier in above:
            pairs = [f"input_tokens = {tier.above_input_tokens}", *_rates(tier)]
            lines.append(f"    {{ {', '.join(pairs)} }},")
        lines.append("]")
    return [*lines, f"url = {_value(row.url)}", f"checked_on = {row.checked_on}"]


def _window_lines(windows: tuple[Window, ...]) -> list[str]:
    """The hours and days of a row; all windows of a row have the same days."""
    if not windows:
        return []
    hours = [f"{_clock(one.from_minute)}-{_clock(one.until_minute)}" for one in windows]
    days = [DAYS[day] for day in windows[0].days]
    lines = [] if hours == ["00:00-24:00"] else [f"hours = {_value(hours)}"]
    return lines if len(days) == len(DAYS) else [*lines, f"days = {_value(days)}"]


def _clock(minute_of_day: int) -> str:
    return "{:02d}:{:02d}".format(*divmod(minute_of_day, 60))


def _rates(tier: Tier) -> list[str]:
    return [f"{kind} = {_dollars(tier.rates[kind])}" for kind in PRICED_KINDS if kind in tier.rates]


def _extra_key(kind: str) -> str:
    return FEE_PRICES[kind][0] if kind in FEE_PRICES else kind


def _dollars_for(pico_per_unit: int, kind: str) -> str:
    """Dollars for as many units as the kind's key says."""
    units = FEE_PRICES[kind][1] if kind in FEE_PRICES else 1_000_000
    return _decimal(*divmod(pico_per_unit * units, 10**12), digits=12)


def _dollars(pico_per_token: int) -> str:
    return _decimal(*divmod(pico_per_token, 1_000_000), digits=6)


def _decimal(whole: int, part: int, *, digits: int) -> str:
    return f"{whole}.{part:0{digits}d}".rstrip("0").removesuffix(".")


def _value(value: Any) -> str:
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_value(one) for one in value)}]"
    if isinstance(value, (int, date, Decimal)):
        return str(value)
    raise TypeError(f"no way to write {value!r}")
