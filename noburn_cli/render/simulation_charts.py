"""The charts of a simulation: the margin by month, by number of customers, and the tornado.

Layer: render.  Below: charts.model, core.simulation_findings.  Above: commands.simulate (--plot),
render.simulation_page.
Owns: what each chart shows.
"""

from __future__ import annotations

import math

from noburn_cli.charts.model import Axis, Bars, Curve, Level, Line, Mark, Series
from noburn_cli.core.simulation_findings import Findings
from noburn_cli.core.simulation_summary import MonthSpread
from noburn_cli.core.simulation_words import NANO, count, percent

_SPREAD = "from the 5th to the 95th future of a hundred"


def _short(share: float) -> str:
    return percent(share, places=0)


def _power(at: float) -> str:
    """The number at a place of a logarithmic axis; between powers of ten there is no label."""
    return count(10**at) if abs(at - round(at)) < 1e-6 else ""


def _money(dollars: float) -> str:
    return f"{'-' if dollars < 0 else ''}${abs(dollars):,.0f}"


def margin_curve(found: Findings) -> Curve:
    """Margin by month with its spread, and the target."""
    months = [one for one in found.summary.months if one.margin_share.p50 is not None]
    return Curve(
        title=f"Margin by month; the band is {_SPREAD}",
        x=Axis("month", count),
        y=Axis("margin of revenue", _short),
        lines=(
            Line(
                "middle future",
                [float(one.month) for one in months],
                [one.margin_share.p50 for one in months],
                low=[one.margin_share.p5 or 0.0 for one in months],
                high=[one.margin_share.p95 or 0.0 for one in months],
            ),
        ),
        levels=(Level(found.scenario.target, f"target {_short(found.scenario.target)}"),),
    )


def money_curve(found: Findings) -> Curve:
    """Revenue, inference and margin by month, in dollars."""
    months = found.summary.months
    return Curve(
        title=f"Dollars by month; the bands are {_SPREAD}",
        x=Axis("month", count),
        y=Axis("dollars a month", _money, low=0.0 if _positive(months) else None),
        lines=tuple(
            Line(
                name,
                [float(one.month) for one in months],
                [(getattr(one, field).p50 or 0.0) / NANO for one in months],
                low=[(getattr(one, field).p5 or 0.0) / NANO for one in months],
                high=[(getattr(one, field).p95 or 0.0) / NANO for one in months],
            )
            for name, field in (
                ("revenue", "revenue"),
                ("inference", "inference"),
                ("margin", "margin"),
            )
        ),
    )


def _positive(months: tuple[MonthSpread, ...]) -> bool:
    return all((one.margin.p5 or 0.0) >= 0 for one in months)


def turning_curve(found: Findings) -> Curve:
    """Margin of the first month by number of customers, on a logarithmic axis."""
    turned, target = found.turning, found.scenario.target
    sizes = [one for one in turned.sizes if not math.isnan(one.p50)]
    marks = []
    if turned.turns_at is not None:
        marks.append(Mark(math.log10(turned.turns_at), f"turns at about {turned.turns_at:,}"))
    return Curve(
        title=f"Margin of one month by number of customers; the band is {_SPREAD}",
        x=Axis("customers", _power),
        # One customer alone can lose many times a price; the picture is about the others.
        y=Axis("margin of revenue", _short, low=max(-1.0, min(one.p5 for one in sizes))),
        lines=(
            Line(
                "middle future",
                [math.log10(one.customers) for one in sizes],
                [one.p50 for one in sizes],
                low=[max(-1.0, one.p5) for one in sizes],
                high=[one.p95 for one in sizes],
            ),
        ),
        levels=(Level(target, f"target {_short(target)}"),),
        marks=tuple(marks),
    )


def under_water_curve(found: Findings) -> Curve:
    """The share of customers under water, by month."""
    months = found.summary.months
    return Curve(
        title=f"Customers whose month loses money; the band is {_SPREAD}",
        x=Axis("month", count),
        y=Axis("share of customers", percent, low=0.0),
        lines=(
            Line(
                "middle future",
                [float(one.month) for one in months],
                [one.under_water.p50 for one in months],
                low=[one.under_water.p5 or 0.0 for one in months],
                high=[one.under_water.p95 or 0.0 for one in months],
            ),
        ),
    )


def tornado(found: Findings) -> Bars:
    """What each assumption adds to all months' margin at either end, the widest first."""
    base = found.expected.total.margin_nano
    swings = found.swings
    return Bars(
        title="Change of all months' margin when one assumption is moved",
        labels=[f"{one.name} ({one.low} / {one.high})" for one in swings],
        series=(
            Series("at the first value", [(one.low_nano - base) / NANO for one in swings]),
            Series("at the second value", [(one.high_nano - base) / NANO for one in swings]),
        ),
        axis=Axis("dollars", _money),
    )


def won_back_bars(found: Findings) -> Bars:
    """Points of margin that each saving wins."""
    return Bars(
        title="Points of margin that caching and routing win back",
        labels=[one.what for one in found.won_back],
        series=(
            Series("points", [None if one.points is None else one.points * 100
                              for one in found.won_back]),
        ),
        axis=Axis("points", lambda value: f"{value:.1f}"),
    )  # fmt: skip
