"""How profit is counted: overhead, shares, targets, as `[pnl]` says them.

Layer: core (pure).  Below: core.money, core.config_values, core.windows.
Above: core.profit, core.configuration (reads `[pnl]`), noburn_cli.profit.
Owns: the keys of `[pnl]`, their defaults and what they mean; docs/pnl.md lists them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from noburn_cli.core.config_values import Key, Wrong, one_of, read_ceiling
from noburn_cli.core.money import parse_share
from noburn_cli.core.windows import UTC, check_zone

PNL = "pnl"
BY_COST, BY_REQUESTS = "cost", "requests"
BY_CALLS, BY_REVENUE = "calls", "revenue"
#: The margin that software on models is expected to keep (core.economics).
TARGET = Fraction(70, 100)
#: How long after its billing what was paid counts as final.  Mastercard lets a cardholder dispute a
#: payment for 120 days at most: https://docs.adyen.com/issuing/disputes (looked up 2026-11-27).
FINAL_AFTER_DAYS = 120
_DAYS_MAX = 3660


@dataclass(frozen=True)
class Rules:
    """What goes off besides inference and fees, and how what is shared is split.

    overhead_customer_nano: per active customer and month.  overhead_request_nano: per call.
    overhead_share: of net revenue.  overhead_month_nano: a month, for all together, spread over
    customers by `overhead_by`.  A plan's own overhead stands in for the first two.
    split: how revenue that names no feature is split to features, and to models.
    target: the margin that a plan should leave.  margin_min: the one that alerts watch, or None.
    """

    zone: str = UTC
    split: str = BY_COST
    overhead_customer_nano: int = 0
    overhead_request_nano: int = 0
    overhead_share: Fraction = Fraction(0)
    overhead_month_nano: int = 0
    overhead_by: str = BY_CALLS
    target: Fraction = TARGET
    final_after_days: int = FINAL_AFTER_DAYS
    margin_min: Fraction | None = None
    notify: tuple[str, ...] = ()


def read_share(value: Any) -> Fraction:
    if not isinstance(value, str):
        raise Wrong(f"{value!r} is no share", 'write "3%"')
    return parse_share(value)


def read_floor(value: Any) -> Fraction:
    """A margin to watch: whole per cents from 0 to 99, which budgets can name."""
    share = read_share(value)
    if (share * 100).denominator != 1 or share >= 1:
        raise Wrong(f"{value!r} is no whole per cent from 0 to 99", 'write "20%"')
    return share


def _days(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= _DAYS_MAX:
        raise Wrong(f"{value!r} is no number of days from 0 to {_DAYS_MAX}")
    return value


def _zone(value: Any) -> str:
    if not isinstance(value, str):
        raise Wrong(f"{value!r} is no time zone", 'write "Europe/Berlin"')
    return check_zone(value)


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise Wrong(f"{value!r} is no list of channels", 'write ["ops"]')
    return tuple(dict.fromkeys(value))


def _dollars(value: Any) -> int:
    if type(value) is bool or not isinstance(value, (int, Decimal, str)):
        raise Wrong(f"{value!r} is no amount of dollars", 'write "$2"')
    return read_ceiling(value)


#: The key below [pnl], the field of Rules that it fills, how it is read, what it means.
_FIELDS: tuple[tuple[str, str, Callable[[Any], Any], str], ...] = (
    ("zone", "zone", _zone, "the time zone whose days and months count"),
    (
        "split", "split", one_of((BY_COST, BY_REQUESTS)),
        "how revenue that names no feature is split to features: by `cost` or by `requests`",
    ),
    ("overhead_customer", "overhead_customer_nano", _dollars, "dollars per customer and month"),
    ("overhead_request", "overhead_request_nano", _dollars, "dollars per call"),
    ("overhead_share", "overhead_share", read_share, "a share of net revenue"),
    ("overhead_month", "overhead_month_nano", _dollars, "dollars a month for all together"),
    (
        "overhead_by", "overhead_by", one_of((BY_CALLS, BY_REVENUE)),
        "what the monthly overhead is spread by: `calls` or `revenue`",
    ),
    ("target", "target", read_share, "the margin that a plan should leave"),
    ("final_after_days", "final_after_days", _days, "days after which what was paid is final"),
    ("margin_min", "margin_min", read_floor, "the margin below which channels are notified"),
    ("notify", "notify", _texts, "the channels of these alerts, by their names in [notify.NAME]"),
)  # fmt: skip
PNL_KEYS: Mapping[str, Key] = {
    f"{PNL}.{name}": Key(read, getattr(Rules, field), meaning)
    for name, field, read, meaning in _FIELDS
}


#: The keys whose values are nano-dollars.
PNL_AMOUNTS = tuple(f"{PNL}.{name}" for name, _, read, _ in _FIELDS if read is _dollars)


def rules_of(values: Mapping[str, Any]) -> Rules:
    """The rules that settings give, by dotted key; missing ones are the defaults."""
    return Rules(
        **{
            field: values[f"{PNL}.{name}"]
            for name, field, _, _ in _FIELDS
            if values.get(f"{PNL}.{name}") is not None
        }
    )
