"""What a configuration says of revenue: `[revenue]`, whose payers are whose, and rates.

Layer: core (pure).  Below: core.config_values, core.currencies, core.budgets.
Above: core.configuration, commands.importing.
Owns: the keys of the table.  Not here: how they are used (noburn_cli.revenue).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from noburn_cli.core.config_values import Key, Wrong, read_name
from noburn_cli.core.currencies import USD, read_rate

REVENUE = "revenue"
CUSTOMERS, RATES = f"{REVENUE}.customers", f"{REVENUE}.rates"
#: A payer as Stripe (`cus_…`) or a CSV names it.
_PAYER = re.compile(r"[^\x00-\x1f\x7f]{1,200}")
_CURRENCY = re.compile(rf"(?!{USD})[A-Z]{{3}}", re.ASCII)
_METADATA_KEY = re.compile(r"[^\x00-\x1f\x7f\[\],]{1,40}")


def _read_metadata_key(value: Any) -> str:
    """A key of Stripe's metadata, which has up to 40 characters and no square brackets."""
    if not isinstance(value, str) or not _METADATA_KEY.fullmatch(value):
        raise Wrong(f"{value!r} is no metadata key", 'write it in quotes, like "noburn_customer"')
    return value


def _read_rates(value: Any) -> tuple[tuple[str, str, str], ...]:
    """(first day, dollars for one unit, source) of each rate of a currency, by day."""
    if not isinstance(value, dict) or not isinstance(value.get("source"), str):
        raise Wrong(
            "it is no table of rates with their source",
            'write source = "where from" and lines like 2026-01-01 = "1.0842"',
        )
    found = []
    for day, rate in value.items():
        if day == "source":
            continue
        try:
            if date.fromisoformat(day).isoformat() != day:
                raise Wrong(f"{day} is no day like 2026-01-01")
            read_rate(str(rate))
        except ValueError as error:
            raise Wrong(f"{day}: {error}", 'write 2026-01-01 = "1.0842"') from error
        found.append((day, str(rate), value["source"]))
    if not found:
        raise Wrong("it has no rate", 'write lines like 2026-01-01 = "1.0842"')
    return tuple(sorted(found))


REVENUE_KEYS: Mapping[str, Key] = {
    f"{REVENUE}.{name}_key": Key(
        _read_metadata_key, f"noburn_{name}", f"Stripe's metadata key that names the {name}"
    )
    for name in ("customer", "feature", "plan")
}
REVENUE_FAMILIES: Mapping[str, tuple[re.Pattern[str], str, Callable[[Any], Any]]] = {
    CUSTOMERS: (_PAYER, "a payer's id", read_name),
    RATES: (_CURRENCY, "a currency's code of three capitals, like EUR", _read_rates),
}
