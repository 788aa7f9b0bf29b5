"""What a chart shows, whatever draws it.

Layer: charts (pure).  Below: errors.  Above: charts.terminal, charts.pictures, charts.pages;
commands describe a chart once and hand it to any of them.
Owns: Curve, Bars and their parts, and where ticks stand.
Not here: a colour, a glyph, a file.

Positions are floats: a chart is for the eye, and the exact figures stand in the table beside it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

#: Shows a position, such as 0.7 as `70 %`.
Show = Callable[[float], str]


def plain(value: float) -> str:
    """A number with thousands separated and no decimals that say nothing."""
    return f"{value:,.6g}" if abs(value) < 1e6 else f"{value:,.0f}"


@dataclass(frozen=True)
class Axis:
    """label: what is counted, with its unit.  low, high: borders; None lets the data decide."""

    label: str
    show: Show = plain
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Line:
    """One line of a curve.  ys: None where there is no value, which leaves a gap.

    low, high: of a band around it, as long as ys, or empty.
    """

    name: str
    xs: Sequence[float]
    ys: Sequence[float | None]
    low: Sequence[float] = ()
    high: Sequence[float] = ()

    def __post_init__(self) -> None:
        lengths = {len(self.xs), len(self.ys)}
        lengths |= {len(edge) for edge in (self.low, self.high) if edge}
        if len(lengths) != 1 or bool(self.low) != bool(self.high):
            raise ValueError(f"the line {self.name!r} has edges of different lengths")


@dataclass(frozen=True)
class Level:
    """A horizontal line with its meaning, such as a target."""

    y: float
    label: str


@dataclass(frozen=True)
class Mark:
    """A place on the x axis with its meaning, such as a break-even; y puts a point there."""

    x: float
    label: str
    y: float | None = None


@dataclass(frozen=True)
class Curve:
    title: str
    x: Axis
    y: Axis
    lines: Sequence[Line]
    levels: Sequence[Level] = ()
    marks: Sequence[Mark] = ()

    def x_range(self) -> tuple[float, float]:
        return _range(self.x, [x for line in self.lines for x in line.xs])

    def y_range(self) -> tuple[float, float]:
        """Of everything that is drawn, levels included."""
        values = [y for line in self.lines for y in line.ys if y is not None]
        values += [y for line in self.lines for y in (*line.low, *line.high)]
        return _range(self.y, [*values, *(level.y for level in self.levels)])


@dataclass(frozen=True)
class Series:
    """values: one per label; None where there is none."""

    name: str
    values: Sequence[float | None]


@dataclass(frozen=True)
class Bars:
    """Values by name, one bar each, or one of every series."""

    title: str
    labels: Sequence[str]
    series: Sequence[Series]
    axis: Axis

    def __post_init__(self) -> None:
        if any(len(one.values) != len(self.labels) for one in self.series):
            raise ValueError("every series of bars has one value per label")


def _range(axis: Axis, values: Sequence[float]) -> tuple[float, float]:
    """(low, high) of an axis, never empty: what does not change gets room around it."""
    finite = [value for value in values if math.isfinite(value)]
    low = min(finite, default=0.0) if axis.low is None else axis.low
    high = max(finite, default=1.0) if axis.high is None else axis.high
    if low < high:
        return low, high
    room = abs(low) / 2 or 1.0
    return low - room, high + room


def ticks(low: float, high: float, *, most: int) -> list[float]:
    """Up to `most` round places from low to high: multiples of 1, 2 or 5 times a power of 10."""
    if most < 1 or not high > low:
        return []
    raw = (high - low) / most
    power = 10.0 ** math.floor(math.log10(raw))
    for factor in (1, 2, 5, 10, 20):
        step = factor * power
        first = math.ceil(low / step - 1e-9)
        last = math.floor(high / step + 1e-9)
        if last - first + 1 <= most:
            return [number * step for number in range(first, last + 1)]
    return []
