"""Words and figures that every view of a margin shares.

Layer: render.  Below: core.economics, core.margin_solving, core.money.
Above: render.margin, render.margin_comparison, render.margin_solved, render.margin_sweep.
"""

from __future__ import annotations

from fractions import Fraction

from noburn_cli.core.economics import Band
from noburn_cli.core.margin_solving import Answer, Reach
from noburn_cli.core.money import (
    PICO_PER_TOKEN_PER_DOLLAR_PER_MILLION,
    show_count,
    show_dollars,
    show_percent,
)

BAND_RANGES = {
    Band.UNDER_WATER: "below 0 %: it loses money",
    Band.THIN: "0 to 55 %",
    Band.HEALTHY_EARLY: "55 to 70 %",
    Band.TARGET: "70 % or more",
}
NO_REVENUE = "no revenue"


def dollars(nano: Fraction) -> str:
    return show_dollars(round(nano))


def share(of_revenue: Fraction | None) -> str:
    return NO_REVENUE if of_revenue is None else show_percent(of_revenue)


def band_name(band: Band | None) -> str:
    return "-" if band is None else band.value


def rate(rate_pico: Fraction) -> str:
    """Dollars per million tokens, from pico-dollars per token."""
    return show_dollars(round(rate_pico / PICO_PER_TOKEN_PER_DOLLAR_PER_MILLION * 10**9))


def allowance(found: Answer, *, unit: str, at_most: str = "", costs: bool = True) -> str:
    """A number of tokens, or in a word why there is none.

    at_most: said of a number that is an upper limit, and of no other.  costs: whether tokens do.
    """
    if found.reach is Reach.ALWAYS:
        return "any number of tokens" if costs else "any number of tokens: they cost nothing"
    if found.reach is Reach.NEVER:
        if found.best is None:
            return "none: there is no revenue"
        return f"none: {show_percent(found.best[1], places=2)} is left at best"
    if found.value is None:
        return ranges(found, unit=unit)
    again = f", and again {ranges(found, first=1)}" if len(found.ranges) > 1 else ""
    return f"{show_count(found.value)}{unit}{at_most}{again}"


def ranges(found: Answer, *, first: int = 0, unit: str = "") -> str:
    """`from 181,599 tokens on`: the ranges, the `first` ones and a lone nothing left out."""
    start = found.ranges[0]
    alone = start.low == start.high == found.quantity.low and len(found.ranges) > 1
    parts = []
    for one in found.ranges[max(first, int(alone)) :]:
        low, high = found.quantity.show(one.low), found.quantity.show(one.high)
        endless = one.high == found.quantity.high
        parts.append(f"from {low}{unit} on" if endless else f"{low} to {high}{unit}")
    return " and ".join(parts)


def tokens_cell(found: Answer) -> str:
    """As `allowance`, in a table's cell."""
    if found.reach is Reach.ALWAYS:
        return "any"
    if found.reach is Reach.NEVER:
        return "none"
    if found.value is None:
        return f"from {show_count(found.ranges[-1].low)}"
    return show_count(found.value)
