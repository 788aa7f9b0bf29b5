"""A margin over a quantity: the table with its breaking points, and the curve of the same.

Layer: render.  Below: core.margin_outlook, charts.model, render.margin_words, render.table.
Above: commands.margin.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from noburn_cli.charts.model import Axis, Curve, Level, Line, Mark
from noburn_cli.core.economics import HEALTHY_MARGIN, TARGET_MARGIN
from noburn_cli.core.margin_month import Month
from noburn_cli.core.margin_outlook import Swept
from noburn_cli.core.margin_solving import Edge
from noburn_cli.core.money import show_percent
from noburn_cli.render.margin_words import band_name, dollars, share
from noburn_cli.render.table import RIGHT, Column, fit_table, wrap_line

#: Below this a curve is cut off: how deep under water hardly matters, and would flatten the rest.
_LOWEST = -1.0
#: What is left at a whole token or cent is no more of revenue than this; at a whole seat it may be.
_EVEN = Fraction(1, 1000)


def render_sweep(curves: Sequence[Swept], *, width: int | None = None) -> list[str]:
    """One plan with all its lines, or the margins of several side by side."""
    quantity = curves[0].quantity
    months = [dict(one.months) for one in curves]
    values = sorted({value for one in months for value in one})
    head = Column(quantity.name.upper(), [quantity.show(value) for value in values], RIGHT)
    if len(curves) == 1:
        columns = [head, *_lines_of([months[0][value] for value in values])]
    else:
        columns = [head, *(_margins(one, values) for one in curves)]
    notes = [_note(curves, value) for value in values]
    columns.append(Column("HERE", notes, give_up=9))
    lines = fit_table(columns, width=width)
    return [*lines, "", *wrap_line(f"{quantity.name}: {quantity.what}.", width=width)]


def _lines_of(months: Sequence[Month]) -> list[Column]:
    return [
        Column("REVENUE", [dollars(month.revenue_nano) for month in months], RIGHT, give_up=2),
        Column(
            "COST", [dollars(month.revenue_nano - month.margin_nano) for month in months], RIGHT,
            give_up=1,
        ),
        Column("MARGIN", [dollars(month.margin_nano) for month in months], RIGHT, give_up=4),
        Column("MARGIN %", [share(month.margin_share) for month in months], RIGHT),
        Column("BAND", [band_name(month.band) for month in months], give_up=3),
    ]  # fmt: skip


def _margins(one: Swept, values: Sequence[int]) -> Column:
    """A plan's margin at each value; blank where its own span does not reach."""
    known = dict(one.months)
    cells = [share(known[value].margin_share) if value in known else "" for value in values]
    return Column(one.name or "MARGIN %", cells, RIGHT)


def _note(curves: Sequence[Swept], value: int) -> str:
    parts = []
    for one in curves:
        months = dict(one.months)
        said = [_edge_words(edge, one.target, months[value]) for edge in one.marks_at(value)]
        said += [bend.reason for bend in one.bends if bend.value == value]
        if said:
            whose = f"{one.name}: " if len(curves) > 1 else ""
            parts.append(f"{whose}{', '.join(said)}")
    return "; ".join(parts)


def _edge_words(edge: Edge, target: Fraction, month: Month) -> str:
    if edge.keep == 0:
        if abs(month.margin_nano) <= _EVEN * month.revenue_nano:
            return "break-even"
        return f"{'last' if edge.falls else 'first'} without a loss"
    names = {HEALTHY_MARGIN: "healthy", TARGET_MARGIN: "target band", target: "target"}
    return f"{'last' if edge.falls else 'first'} at {show_percent(edge.keep)}, {names[edge.keep]}"


def curve_of(curves: Sequence[Swept], *, target: Fraction) -> Curve:
    """The margins of every plan as shares of revenue, its breaking points marked."""
    quantity = curves[0].quantity
    lines = [
        Line(one.name or "margin", [float(value) for value, _ in one.curve],
             [_place(month) for _, month in one.curve])
        for one in curves
    ]  # fmt: skip
    marks = _marks(curves, target)
    levels = [Level(0.0, "break-even"), Level(float(target), f"target {show_percent(target)}")]
    if target not in (HEALTHY_MARGIN, 0) and len(curves) == 1:
        levels.append(Level(float(HEALTHY_MARGIN), f"healthy {show_percent(HEALTHY_MARGIN)}"))
    places = [y for line in lines for y in line.ys if y is not None]
    whose = f" of {curves[0].name}" if len(curves) == 1 and curves[0].name else ""
    return Curve(
        title=f"Gross margin{whose} by {quantity.name}",
        x=Axis(quantity.what, lambda value: _short(quantity.show(round(value)))),
        y=Axis(
            "gross margin", lambda value: f"{value * 100:.0f} %",
            low=min(0.0, *places) if places else 0.0, high=max(1.0, *places) if places else 1.0,
        ),
        lines=lines, levels=levels, marks=marks,
    )  # fmt: skip


def _place(month: Month) -> float | None:
    """A gap where there is no revenue, and where it is deep under water."""
    of_revenue = month.margin_share
    if of_revenue is None or of_revenue < _LOWEST:
        return None
    return float(of_revenue)


def _marks(curves: Sequence[Swept], target: Fraction) -> list[Mark]:
    """One mark a place: several plans may meet there.  Of several, only what was asked for."""
    words: dict[tuple[int, Fraction], list[str]] = {}
    several = len(curves) > 1
    for one in curves:
        for edge in one.edges:
            if edge.keep in (0, target) or not several:
                whose = f"{one.name}: " if several else ""
                said = f"{whose}{_edge_words(edge, one.target, dict(one.months)[edge.value])}"
                words.setdefault((edge.value, edge.keep), []).append(said)
    show = curves[0].quantity.show
    marks = [
        Mark(float(value), f"{show(value)}: {'; '.join(said)}", float(keep))
        for (value, keep), said in sorted(words.items())
    ]
    if several:
        return marks
    known = dict(curves[0].curve)
    marks += [
        Mark(float(bend.value), f"{show(bend.value)}: {bend.reason}", _place(known[bend.value]))
        for bend in curves[0].bends
    ]
    return sorted(marks, key=lambda mark: mark.x)


def _short(text: str) -> str:
    """A count for an axis: `1.5M` for `1,500,000`."""
    digits = text.replace(",", "")
    if not digits.isdecimal():
        return text
    for size, letter in ((10**9, "B"), (10**6, "M"), (10**3, "k")):
        if int(digits) >= size:
            return f"{int(digits) / size:.6g}{letter}"
    return text
