"""The values that a price file may hold, each read or refused with its place.

Layer: core (pure).  Below: core.models, core.money, errors.  Above: core.pricebook_file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, timezone
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Any

from noburn_cli.core.models import (
    FAMILIES,
    MEDIA_AS_TEXT,
    MEDIA_PRICED,
    TOKENIZERS,
    WRITES_AS_INPUT,
    WRITES_PRICED,
)
from noburn_cli.core.usage import FEE_PRICES
from noburn_cli.errors import PriceBookInvalid

PICO_PER_DOLLAR = 10**12
#: More digits than any real rate has, and few enough for an exact fraction.
_DIGITS_MAX = 30
_TOKENS_MAX = 1_000_000_000
_NAME_CHARS_MAX = 200
#: More is a misplaced comma.
_FACTOR_MAX = 10

Refuse = Callable[[str], PriceBookInvalid]


def refuser(origin: str, *where: str) -> Refuse:
    """Makes the error for one place: the file, and the model and row in it."""

    def refuse(reason: str) -> PriceBookInvalid:
        place = ", ".join((origin, *where))
        return PriceBookInvalid(
            f"price file {place}: {reason}",
            why="a price that cannot be trusted is not used, and no call is priced without one",
            next_step="mend the file; docs/price-book.md describes every key",
        )

    return refuse


def only(table: Mapping[str, Any], known: set[str], refuse: Refuse) -> None:
    """Refuse a key that means nothing: a misspelt one would be a missing rate."""
    for key in table:
        if key not in known:
            raise refuse(f"unknown key {key!r}")


def pico_per_token(dollars: Any, kind: str, refuse: Refuse) -> int:
    """Pico-dollars per token of exact dollars per million tokens; never rounded, but refused."""
    return pico_per_unit(dollars, kind, 1_000_000, refuse, of="million tokens", one="token")


def fee_per_unit(dollars: Any, kind: str, refuse: Refuse) -> int:
    """Pico-dollars per unit of a fee that is given for as many units as its key says."""
    key, units = FEE_PRICES[kind]
    return pico_per_unit(dollars, key, units, refuse, of=f"{units:,} units", one="unit")


def pico_per_unit(dollars: Any, key: str, units: int, refuse: Refuse, *, of: str, one: str) -> int:
    """Pico-dollars per unit of exact dollars for `units` units."""
    if type(dollars) is int:
        dollars = Decimal(dollars)
    if not isinstance(dollars, Decimal) or not dollars.is_finite():
        raise refuse(f"{key} is not a number of dollars per {of}: {dollars!r}")
    if dollars.is_signed() and dollars:
        raise refuse(f"{key} is negative: {dollars}")
    if not dollars:
        return 0
    # The size first: an exact fraction of 1e999999999 would fill the memory.
    size = dollars.adjusted()
    if not -12 <= size <= 6 or len(dollars.as_tuple().digits) > _DIGITS_MAX:
        raise refuse(f"{key} is out of range: {dollars} dollars per {of}")
    pico = _exact_pico(dollars, units)
    if pico is None:
        raise refuse(f"{key} is finer than a pico-dollar per {one}: {dollars}")
    return pico


@lru_cache(maxsize=2048)  # The same few rates stand in thousands of rows.
def _exact_pico(dollars: Decimal, units: int) -> int | None:
    pico = Fraction(dollars) * PICO_PER_DOLLAR / units
    return int(pico) if pico.denominator == 1 else None


def is_name(text: Any) -> bool:
    return (
        isinstance(text, str)
        and 0 < len(text) <= _NAME_CHARS_MAX
        and text.isprintable()
        and not any(c.isspace() for c in text)
    )


def text_of(value: Any, key: str, refuse: Refuse) -> str:
    if not isinstance(value, str) or not value.strip():
        raise refuse(f"`{key}` is missing or not a text")
    return value


def one_of(words: tuple[str, ...]) -> Callable[[Any, str, Refuse], str]:
    def read(value: Any, key: str, refuse: Refuse) -> str:
        if not isinstance(value, str) or value not in words:
            raise refuse(f"`{key}` is {value!r}, not one of {', '.join(words)}")
        return value

    return read


def count_of(value: Any, key: str, refuse: Refuse) -> int:
    if type(value) is not int or not 0 < value <= _TOKENS_MAX:
        raise refuse(f"`{key}` is not a whole number of tokens above 0: {value!r}")
    return value


def date_of(value: Any, key: str, refuse: Refuse) -> date:
    if type(value) is not date:  # A datetime is a date too, hence `type`.
        raise refuse(f"`{key}` is not a date like 2026-11-23: {value!r}")
    return value


def region_of(value: Any, key: str, refuse: Refuse) -> str:
    """A region as providers write it (`eu`, `us-east5`), or a word for all of them."""
    if not (isinstance(value, str) and is_name(value)) or "@" in value:
        raise refuse(f"`{key}` has no usable region: {value!r}")
    return value


def factor_of(value: Any, key: str, refuse: Refuse) -> int:
    """Thousandths of a factor such as 1.1.  Raises PriceBookInvalid for one that is finer."""
    exact = Decimal(value) if type(value) is int else value
    if not isinstance(exact, Decimal) or not exact.is_finite() or not 0 < exact <= _FACTOR_MAX:
        raise refuse(f"`{key}` is not a factor above 0, at most {_FACTOR_MAX}: {value!r}")
    permille = exact * 1000
    if permille != permille.to_integral_value():
        raise refuse(f"`{key}` is finer than a thousandth: {value}")
    return int(permille)


def url_of(given: Mapping[str, Any], refuse: Refuse) -> str:
    url = text_of(given.get("url"), "url", refuse)
    if not url.startswith(("https://", "http://", "file:")):
        raise refuse("`url` is not an address (https://…, file:…)")
    return url


def start_ms(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=timezone.utc).timestamp()) * 1000


def note_of(value: Any, key: str, refuse: Refuse) -> str:
    """A remark; an empty one takes an earlier file's away."""
    if not isinstance(value, str):
        raise refuse(f"`{key}` is not a text")
    return value


def names_of(value: Any, key: str, refuse: Refuse) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(is_name(one) for one in value):
        raise refuse(f"`{key}` is not a list of names without spaces")
    if len(set(value)) != len(value):
        raise refuse(f"`{key}` names something twice")
    return tuple(value)


FIELDS: Mapping[str, Callable[[Any, str, Refuse], Any]] = {
    "provider": text_of,
    "family": one_of(FAMILIES),
    "tokenizer": one_of(TOKENIZERS),
    "context_window": count_of,
    "input_max": count_of,
    "output_max": count_of,
    "output_min": count_of,
    "cache_writes": one_of((WRITES_PRICED, WRITES_AS_INPUT)),
    "media_input": one_of((MEDIA_PRICED, MEDIA_AS_TEXT)),
    "aliases": names_of,
    "sources": names_of,
    "retires_on": date_of,
    "note": note_of,
}
