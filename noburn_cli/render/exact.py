"""Amounts shown in full: where arithmetic is to be followed, nothing may be rounded.

Layer: render.  Below: core.money.  Above: render.why, render.why_data.
"""

from __future__ import annotations

from collections.abc import Sequence

from noburn_cli.core.money import (
    DOLLARS,
    PICO_PER_TOKEN_PER_DOLLAR_PER_MILLION,
    Nano,
    show_amount,
)


def usd(nano: int | None) -> str | None:
    """Exact decimal dollars for machines."""
    return None if nano is None else Nano(nano).exact()


def usd_of_pico(pico: int) -> str:
    """Exact dollars of pico-dollars >= 0."""
    whole, part = divmod(pico, 10**12)
    decimals = f"{part:012d}".rstrip("0")
    return f"{whole}.{decimals}" if decimals else str(whole)


def per_million(pico_per_token: int) -> str:
    """Dollars per million tokens, exact."""
    nano = pico_per_token * 10**9 // PICO_PER_TOKEN_PER_DOLLAR_PER_MILLION
    return Nano(nano).exact()


def show_rate(pico_per_token: int) -> str:
    return f"${per_million(pico_per_token)} / M"


def show_exact(nano: int) -> str:
    """Dollars in full: `$0.0000375`."""
    return f"-${Nano(-nano).exact()}" if nano < 0 else f"${Nano(nano).exact()}"


def show_exact_pico(pico: int) -> str:
    return f"${usd_of_pico(pico)}"


def show_exact_amount(unit: str, amount: int) -> str:
    """An amount in a limit's unit, dollars in full."""
    return show_exact(amount) if unit == DOLLARS else show_amount(unit, amount)


def align_decimals(shown: Sequence[str]) -> list[str]:
    """The same texts, padded so that their decimal points stand below each other."""
    whole = [len(text.partition(".")[0]) for text in shown]
    return [" " * (max(whole) - width) + text for text, width in zip(shown, whole, strict=True)]
