"""Plans, or models, side by side: a row for each.

Layer: render.  Below: core.margin_outlook, render.margin_words, render.table.
Above: commands.margin.
"""

from __future__ import annotations

from collections.abc import Sequence

from noburn_cli.core.margin_outlook import Outlook
from noburn_cli.core.money import show_percent
from noburn_cli.render.margin_words import band_name, dollars, rate, share, tokens_cell
from noburn_cli.render.table import RIGHT, Column, fit_table, wrap_line


def render_comparison(
    shown: Sequence[Outlook], *, notes: Sequence[str], width: int | None = None
) -> list[str]:
    """One row each, in the order asked for."""
    months = [one.month for one in shown]
    plans = len({one.scenario.plan for one in shown}) > 1
    target = show_percent(shown[0].target)
    columns = [Column("PLAN" if plans else "MODEL", [one.name for one in shown], shorten=True)]
    if plans:
        columns += [
            Column("KIND", [one.scenario.plan.kind.value for one in shown], give_up=1),
            Column("REVENUE", [dollars(month.revenue_nano) for month in months], RIGHT, give_up=4),
        ]
    columns += [
        Column("$/M", [rate(one.scenario.rate_pico) for one in shown], RIGHT,
               give_up=2 if plans else None),
        Column("COST", [dollars(month.bill.inference_nano) for month in months], RIGHT, give_up=3),
        Column("MARGIN", [dollars(month.margin_nano) for month in months], RIGHT),
        Column("MARGIN %", [share(month.margin_share) for month in months], RIGHT),
        Column("BAND", [band_name(month.band) for month in months], give_up=5),
    ]  # fmt: skip
    if any(month.bill.passed_nano for month in months):
        nets = [share(month.net_margin_share) for month in months]
        columns.append(Column("NET %", nets, RIGHT, give_up=6))
    columns += [
        Column("BREAK-EVEN", [tokens_cell(one.break_even) for one in shown], RIGHT, give_up=8),
        Column(
            f"{target} MARGIN", [tokens_cell(one.keeping_target) for one in shown], RIGHT, give_up=7
        ),
    ]
    each = " a seat" if any(one.scenario.plan.seats > 1 for one in shown) else ""
    unit = f"Per month: amounts in dollars, break-even and {target} margin in tokens{each}."
    lines = fit_table(columns, width=width)
    for note in ("", unit, *notes):
        lines += wrap_line(note, width=width)
    return lines
