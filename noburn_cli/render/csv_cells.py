"""Text of others in CSV, so that a spreadsheet does not take it for a formula.

Layer: render (pure).  Above: render.report, render.report_views.
A name that begins like a formula gets an apostrophe before it, which spreadsheets hide and other
readers can take off (https://owasp.org/www-community/attacks/CSV_Injection, read 2026-11-27).
"""

from __future__ import annotations

_BEGINS_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_text(text: str) -> str:
    """A name as a cell."""
    return f"'{text}" if text.startswith(_BEGINS_FORMULA) else text
