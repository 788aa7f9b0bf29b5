"""How profit and loss looks in a terminal: lines with a total, and what they do not say.

Layer: render.  Below: core.profit, render.pnl_words, render.table.  Above: commands.pnl.
Not here: data for machines (render.pnl_data), the month's end and plans (render.pnl_outlook).
"""

from __future__ import annotations

from collections.abc import Sequence

from noburn_cli.core.money import show_count, show_dollars
from noburn_cli.core.profit import Figures, Line, ProfitAndLoss
from noburn_cli.core.recognition_days import day_text, half_even
from noburn_cli.render.pnl_words import notes, share_text
from noburn_cli.render.table import LEFT, RIGHT, Column, fit_table, safe_text, wrap_line

#: Headers of the figures, and what gives way first on a narrow terminal.
_GIVE_UP = {
    "CALLS": 5, "GROSS": 1, "TAKEN OFF": 2, "FEES": 3, "OVERHEAD": 4, "PER CALL": 0, "STATE": 6,
}  # fmt: skip


def render_pnl(
    found: ProfitAndLoss, *, width: int | None, lines_max: int | None = None
) -> list[str]:
    """The whole answer as lines.  lines_max: how many lines of the table at most; None for all."""
    shown = found.lines if lines_max is None else found.lines[:lines_max]
    said = [title(found), ""]
    if not found.lines:
        said.append("no revenue and no calls in this period")
    else:
        said += fit_table(_columns(found, shown), width=width)
    if len(shown) < len(found.lines):
        said.append(f"… and {len(found.lines) - len(shown):,} more")
    said_below = [safe_text(note) for note in notes(found)]  # names come from outside
    remarks = [line for note in said_below for line in wrap_line(note, width=width)]
    return [*said, *([""] if remarks else []), *remarks]


def title(found: ProfitAndLoss) -> str:
    last = day_text(found.until - 1)
    days = f"{day_text(found.first)} to {last} ({found.zone})"
    return f"Profit and loss by {', '.join(found.by)}, {days}"


def _columns(found: ProfitAndLoss, lines: Sequence[Line]) -> list[Column]:
    rows = [*lines, Line(("TOTAL", *[""] * (len(found.by) - 1)), found.total)]
    keys = [
        Column(name.upper(), [row.keys[place] for row in rows], LEFT, shorten=True)
        for place, name in enumerate(found.by)
    ]
    cells = [figure_cells(row.figures) for row in rows]
    numbers = [
        Column(
            header, [one[header] for one in cells], LEFT if header == "STATE" else RIGHT,
            _GIVE_UP.get(header),
        )
        for header in cells[0]
    ]  # fmt: skip
    return [*keys, *numbers]


def figure_cells(one: Figures) -> dict[str, str]:
    """The cells of a line by their headers."""
    per_call = "-" if not one.calls else show_dollars(half_even(one.margin_nano, one.calls))
    state = one.state or "-"
    if one.uncertain_nano:
        state += " *"
    return {
        "CALLS": show_count(one.calls),
        "GROSS": show_dollars(one.gross_nano),
        "TAKEN OFF": _amount(one.net_nano - one.gross_nano),
        "REVENUE": show_dollars(one.net_nano),
        "FEES": _amount(-one.fees_nano),
        "INFERENCE": show_dollars(one.cost_nano),
        "OVERHEAD": _amount(one.overhead_nano),
        "MARGIN": show_dollars(one.margin_nano),
        "%": share_text(one.margin_share),
        "PER CALL": per_call,
        "STATE": state,
    }


def _amount(nano: int) -> str:
    return show_dollars(nano) if nano else "-"
