"""Shares of a whole: exact to six places for data, to a tenth of a per cent for the eye.

Layer: render (pure).  Below: core.money.  Above: render.report, report_columns, report_views.
A correction can make a line's cost, and so its share, less than nothing.
"""

from __future__ import annotations

from fractions import Fraction

from noburn_cli.core.money import show_percent

_PLACES = 6


def share_text(share: Fraction | None) -> str | None:
    """A share or a factor to six places."""
    if share is None:
        return None
    scaled = round(abs(share) * 10**_PLACES)
    whole, part = divmod(scaled, 10**_PLACES)
    return f"{'-' if share < 0 and scaled else ''}{whole}.{part:0{_PLACES}d}"


def share_for_the_eye(share: Fraction | None) -> str:
    """To a tenth of a per cent; what is not nothing never reads as nothing."""
    if share is None:
        return "-"
    tenths = round(share * 1000)
    if share and not tenths:
        return "< 0.1 %" if share > 0 else "> -0.1 %"
    return show_percent(Fraction(tenths, 1000))
