"""Figures of a simulation as a person reads them.

Layer: core (pure).  Below: core.money.  Above: core.simulation_advice, render.simulation.
They are statistics: three figures say what many futures say, and more would pretend.
"""

from __future__ import annotations

import math

NANO = 1e9


def dollars(nano: float | None) -> str:
    """`$1,234`, `$12.34`, `-$0.0450`: cents below a hundred, nothing smaller than it says."""
    if nano is None or math.isnan(nano):
        return "-"
    amount = abs(nano) / NANO
    sign = "-" if nano < 0 else ""
    if amount >= 99.995:
        return f"{sign}${amount:,.0f}"
    if amount >= 0.1 or amount == 0:
        return f"{sign}${amount:,.2f}"
    return f"{sign}${amount:.2g}" if amount >= 1e-4 else f"{sign}${amount:.1e}"


def percent(share: float | None, *, places: int = 1) -> str:
    """`75.4 %`; `-` where there is none.  A share that is not zero does not read as zero."""
    if share is None or math.isnan(share):
        return "-"
    if share and abs(share) < 0.5 * 10 ** (-2 - places):
        return f"{'-' if share < 0 else ''}<{10**-places:g} %"
    shown = f"{share * 100:,.{places}f} %"
    return shown.removeprefix("-") if float(f"{share * 100:.{places}f}") == 0 else shown


def points(share: float | None) -> str:
    """`+12.3`: points of margin."""
    return "-" if share is None else f"{share * 100:+.1f}"


def count(number: float | None) -> str:
    """`1,234`, rounded."""
    return "-" if number is None else f"{number:,.0f}"
