"""How configuration looks: values as people write them, as a table and as JSON.

Layer: render, pure.  Below: core.  Above: commands.config, commands.trust.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

from noburn_cli.core.endpoints import Endpoint
from noburn_cli.core.money import DOLLARS, Limit, Nano, show_dollars, show_percent
from noburn_cli.core.profit_rules import PNL_AMOUNTS
from noburn_cli.core.service_keys import Channel

NOTHING = "-"


def show_value(key: str, value: Any) -> str:
    """A value for the eye."""
    if value is None or value == ():
        return NOTHING
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Endpoint):
        return f"{value.base_url} ({value.api}, prices: {value.prices})"
    if isinstance(value, Channel):
        return value.target
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    if _is_amount(key):
        return show_dollars(value)
    if isinstance(value, Fraction):
        return show_percent(value)
    if isinstance(value, float):
        return f"{value:g} s"
    return str(value)


def value_data(key: str, value: Any) -> Any:
    """A value for machines: amounts as exact strings, an endpoint as an object."""
    if isinstance(value, Endpoint):
        return {
            "base_url": value.base_url,
            "api": value.api,
            "provider": value.provider,
            "models": dict(value.models),
            "free": value.free,
            "prices": {name: dict(rates) for name, rates in value.rows or ()},
            "prices_since": value.since.isoformat() if value.rows else None,
        }
    if isinstance(value, Channel):
        return {"target": value.target, "timeout": value.timeout_s}
    if isinstance(value, Limit):
        exact = Nano(value.amount).exact() if value.unit == DOLLARS else str(value.amount)
        return {"unit": value.unit, "amount": exact}
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, Fraction):
        return Decimal(value.numerator) / value.denominator
    return Nano(value).exact() if _is_amount(key) else value


def _is_amount(key: str) -> bool:
    """Whether the value of a key is nano-dollars."""
    return key.startswith("ceilings.") or key in PNL_AMOUNTS


def setting_rows(values: Mapping[str, tuple[Any, str]], *, origin: bool) -> list[list[str]]:
    """Rows of a table: key, value and, where wanted, who said it."""
    rows = [[key, show_value(key, value), said] for key, (value, said) in values.items()]
    return rows if origin else [row[:2] for row in rows]
