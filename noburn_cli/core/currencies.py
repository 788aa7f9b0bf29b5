"""Currencies: how many decimals their minor unit has, and amounts in it, exactly.

Layer: core (pure, standard library).  Below: errors.  Above: core.revenue, noburn_cli.revenue.
Owns: the digits of each currency, as Stripe's API counts them; reading and showing amounts.
Source, looked up 2026-11-27: https://docs.stripe.com/currencies ("Zero-decimal currencies",
"Three-decimal currencies", "Special cases": ISK and UGX have no minor unit any more, and still
travel with two decimals: 500 is 5 ISK).  One table for all sources, so that an amount means the
same wherever it came from.
"""

from __future__ import annotations

import re
from fractions import Fraction

from noburn_cli.core.money import NANO_PER_DOLLAR

USD = "USD"
_NO_DECIMALS = frozenset(
    (
        *("BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA"),
        *("PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"),
    )
)
_THREE_DECIMALS = frozenset(("BHD", "JOD", "KWD", "OMR", "TND"))
_CODE = re.compile(r"[A-Za-z]{3}", re.ASCII)
_AMOUNT = re.compile(r"([+-]?)(\d{1,15})(?:\.(\d{1,9}))?", re.ASCII)
_RATE = re.compile(r"\d{1,9}(?:\.\d{1,18})?", re.ASCII)


def read_currency(text: str) -> str:
    """`eur` as `EUR`.  Raises ValueError for what is no code of three letters."""
    if not _CODE.fullmatch(text.strip()):
        raise ValueError(f"{text!r} is no currency code of three letters, like USD")
    return text.strip().upper()


def minor_digits(currency: str) -> int:
    """Decimals of a currency's minor unit: 2, 0 for JPY, 3 for KWD."""
    if currency in _NO_DECIMALS:
        return 0
    return 3 if currency in _THREE_DECIMALS else 2


def read_minor(text: str, currency: str) -> int:
    """`-19.90` as whole minor units.

    Raises ValueError for what is no plain decimal, and for more decimals than the currency has:
    a part of a cent cannot have been billed.
    """
    match = _AMOUNT.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no amount: write it like 19.90 or -5, without separators")
    sign, whole, decimals = match[1], match[2], (match[3] or "").rstrip("0")
    digits = minor_digits(currency)
    if len(decimals) > digits:
        raise ValueError(f"{text!r} has more decimals than {currency}, which has {digits}")
    scale: int = 10**digits
    size = int(whole) * scale + int(decimals.ljust(digits, "0") or 0)
    return -size if sign == "-" else size


def show_minor(minor: int, currency: str) -> str:
    """Minor units as an exact decimal: `-19.90`, `1200` for JPY."""
    digits = minor_digits(currency)
    whole, part = divmod(abs(minor), 10**digits)
    sign = "-" if minor < 0 else ""
    return f"{sign}{whole}.{part:0{digits}d}" if digits else f"{sign}{whole}"


def read_rate(text: str) -> Fraction:
    """`1.0842` dollars for one unit of a currency, exactly.  Raises ValueError."""
    if not _RATE.fullmatch(text.strip()) or not Fraction(text.strip()):
        raise ValueError(f"{text!r} is no rate above 0: write dollars for one unit, like 1.0842")
    return Fraction(text.strip())


def nano_per_minor(currency: str, rate: Fraction) -> Fraction:
    """Nano-dollars of one minor unit, at `rate` dollars for one whole unit."""
    minor_per_unit: int = 10 ** minor_digits(currency)
    return rate * NANO_PER_DOLLAR / minor_per_unit
