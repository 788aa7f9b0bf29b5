"""Charts in a terminal or a pipe: plain text that fits, with colour where it is wanted.

Layer: charts.  Below: charts.canvas, charts.model, render.table.  Above: commands.
Owns: Style, and how a curve and bars look in characters.

One line is drawn in dots of Braille, several in a glyph each, so that they can be told apart
without colour.  Where the output is no UTF-8, or the terminal is dumb, everything is ASCII.
Not plotext: its release 6 is a compiled library of one global figure, of which importing takes a
third of a second (measured 2026-11-27), and these charts need nothing that takes more than a grid.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TextIO

from noburn_cli.charts.canvas import DOTS_HIGH, DOTS_WIDE, Canvas, steps
from noburn_cli.charts.model import Axis, Bars, Curve, Line, ticks
from noburn_cli.render.table import display_width, safe_text, terminal_width, wrap_line

#: Columns of a chart in a pipe, and the fewest and most on a terminal.
WIDTH = 80
_WIDTH_MIN, _WIDTH_MAX = 40, 140
HEIGHT = 16
_GLYPHS = "•×+○▲◆#%"
_ASCII_GLYPHS = "*x+o^@#%"
#: Colours 1 to 6 of every terminal, the plainest last; bold is never needed.
_COLOURS = (36, 33, 35, 32, 34, 31)
_BLOCKS = " ▏▎▍▌▋▊▉█"


@dataclass(frozen=True)
class Style:
    """What the output can show."""

    width: int = WIDTH
    height: int = HEIGHT
    unicode: bool = True
    colour: bool = False


def style_of(file: TextIO | None = None, environment: Mapping[str, str] = os.environ) -> Style:
    """What a file can show: a pipe neither colours nor a width, a dumb terminal only ASCII."""
    target = sys.stdout if file is None else file
    width = terminal_width(target)
    dumb = environment.get("TERM") == "dumb"
    encoding = (getattr(target, "encoding", None) or "ascii").lower().replace("-", "")
    return Style(
        width=WIDTH if width is None else min(max(width, _WIDTH_MIN), _WIDTH_MAX),
        unicode=encoding.startswith("utf") and not (dumb and width is not None),
        colour=width is not None and not dumb and not environment.get("NO_COLOR"),
    )


@dataclass(frozen=True)
class _Frame:
    """A canvas and how values become places on it.  labels: of the left axis, by row."""

    canvas: Canvas
    x: tuple[float, float]
    y: tuple[float, float]

    def across(self, value: float, cells: int) -> int:
        low, high = self.x
        return round((value - low) / (high - low) * (cells - 1))

    def down(self, value: float, cells: int) -> int:
        low, high = self.y
        return round((high - value) / (high - low) * (cells - 1))

    def column(self, value: float) -> int:
        return self.across(value, self.canvas.width)

    def row(self, value: float) -> int:
        return self.down(value, self.canvas.height)


def curve(shown: Curve, style: Style) -> list[str]:
    """The lines of text of a curve: title, plot, axis, and what its marks mean."""
    low, high = shown.y_range()
    y_ticks = ticks(low, high, most=max(3, style.height // 3))
    labels = {value: safe_text(shown.y.show(value)) for value in y_ticks}
    margin = max((display_width(label) for label in labels.values()), default=0) + 1
    canvas = Canvas(max(style.width - margin - 1, 16), style.height)
    frame = _Frame(canvas, shown.x_range(), (low, high))
    by_row = {frame.row(value): label for value, label in labels.items()}
    _draw_levels(shown, frame, style)
    _draw_marks(shown, frame, style)
    for number, line in enumerate(shown.lines):
        _draw_line(line, number, frame, style, alone=len(shown.lines) == 1)
    _draw_words(shown, frame)
    lines = wrap_line(safe_text(shown.title), width=style.width) if shown.title else []
    side, tick = ("│", "┤") if style.unicode else ("|", "+")
    for number, cells in enumerate(canvas.rows()):
        label = by_row.get(number, "")
        pad = " " * (margin - display_width(label))
        lines.append(f"{pad}{label}{tick if label else side}{_coloured(cells, style)}".rstrip())
    lines += _x_axis(shown.x, frame, margin, style)
    lines += _legend(shown, style)
    return lines


def _draw_levels(shown: Curve, frame: _Frame, style: Style) -> None:
    dash = "╌" if style.unicode else "-"
    for level in shown.levels:
        row = frame.row(level.y)
        for column in range(frame.canvas.width):
            frame.canvas.put(column, row, dash)


def _draw_marks(shown: Curve, frame: _Frame, style: Style) -> None:
    for mark in shown.marks:
        for row in range(frame.canvas.height):
            frame.canvas.put(frame.column(mark.x), row, "┊" if style.unicode else ":")


def _draw_words(shown: Curve, frame: _Frame) -> None:
    """What must stay readable: the names of levels, and the letter of each mark.

    A letter stands on its mark's point where it has one, else at the foot.
    """
    letters = {frame.column(mark.x) for mark in shown.marks}
    for level in shown.levels:
        text = f" {safe_text(level.label)} "
        row, right = frame.row(level.y), max(frame.canvas.width - len(text), 0)
        # As far right as it hides nothing.
        start = min(
            range(right, -1, -1),
            key=lambda start: _covered(frame.canvas, start, len(text), row, letters),
        )
        for place, glyph in enumerate(text):
            frame.canvas.put(start + place, row, glyph)
    for place, mark in enumerate(shown.marks):
        row = frame.canvas.height - 1 if mark.y is None else frame.row(mark.y)
        frame.canvas.put(frame.column(mark.x), row, _letter(place))


def _covered(canvas: Canvas, start: int, length: int, row: int, letters: set[int]) -> int:
    """How much a text would hide at a place: marks above all, then parts of lines."""
    span = range(start, min(start + length, canvas.width))
    lines = sum(canvas.colour(column, row) is not None for column in span)
    return lines + 100 * len(letters.intersection(span))


def _letter(place: int) -> str:
    """A to Z, then a to z, then the last again: more marks than that no eye tells apart."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    return letters[min(place, len(letters) - 1)]


def _draw_line(line: Line, number: int, frame: _Frame, style: Style, *, alone: bool) -> None:
    canvas, colour = frame.canvas, _COLOURS[number % len(_COLOURS)]
    if line.low:
        _draw_band(line, frame, "░" if style.unicode else ".", colour)
    dotted = alone and style.unicode
    wide = canvas.width * (DOTS_WIDE if dotted else 1)
    high_cells = canvas.height * (DOTS_HIGH if dotted else 1)
    before: tuple[int, int] | None = None
    for x, y in zip(line.xs, line.ys, strict=True):
        if y is None:
            before = None
            continue
        here = (frame.across(x, wide), frame.down(y, high_cells))
        for place in steps(*(before or here), *here):
            if dotted:
                canvas.dot(*place, colour)
            else:
                canvas.put(*place, _glyph(number, style), colour)
        before = here


def _draw_band(line: Line, frame: _Frame, glyph: str, colour: int) -> None:
    """Every column between the first and the last position, the edges straight between points."""
    tops = [(frame.column(x), frame.row(high)) for x, high in zip(line.xs, line.high, strict=True)]
    feet = [(frame.column(x), frame.row(low)) for x, low in zip(line.xs, line.low, strict=True)]
    highest: dict[int, int] = {}
    for before, here in zip(tops, [*tops[1:], tops[-1]], strict=True):
        highest.update(steps(*before, *here))
    lowest: dict[int, int] = {}
    for before, here in zip(feet, [*feet[1:], feet[-1]], strict=True):
        lowest.update(steps(*before, *here))
    for column, top in highest.items():
        for row in range(top, lowest[column] + 1):
            frame.canvas.put(column, row, glyph, colour)


def _glyph(number: int, style: Style) -> str:
    glyphs = _GLYPHS if style.unicode else _ASCII_GLYPHS
    return glyphs[number % len(glyphs)]


def _key(number: int, style: Style) -> str:
    """A line's glyph in its colour, for a legend."""
    glyph = _glyph(number, style)
    colour = _COLOURS[number % len(_COLOURS)]
    return f"\x1b[{colour}m{glyph}\x1b[0m" if style.colour else glyph


def _coloured(cells: Sequence[tuple[str, int | None]], style: Style) -> str:
    if not style.colour:
        return "".join(glyph for glyph, _ in cells)
    parts, current = [], None
    for glyph, colour in cells:
        if colour != current:
            parts.append("\x1b[0m" if colour is None else f"\x1b[{colour}m")
            current = colour
        parts.append(glyph)
    return "".join(parts) + ("\x1b[0m" if current is not None else "")


def _x_axis(axis: Axis, frame: _Frame, margin: int, style: Style) -> list[str]:
    """The axis with its ticks, their labels without overlap, and what it counts."""
    width = frame.canvas.width
    rule = ["─" if style.unicode else "-"] * width
    labels = [" "] * (width + margin + 1)
    low, high = frame.x
    taken = -1
    for value in ticks(low, high, most=max(3, width // 12)):
        column = frame.column(value)
        text = safe_text(axis.show(value))
        start = min(max(margin + 1 + column - len(text) // 2, 0), len(labels) - len(text))
        if start <= taken:
            continue
        rule[column] = "┬" if style.unicode else "+"
        labels[start : start + len(text)] = text
        taken = start + len(text)
    corner = "└" if style.unicode else "+"
    lines = [" " * margin + corner + "".join(rule), "".join(labels).rstrip()]
    if axis.label:
        lines += wrap_line(" " * (margin + 1) + safe_text(axis.label), width=style.width)
    return lines


def _legend(shown: Curve, style: Style) -> list[str]:
    lines = []
    if len(shown.lines) > 1:
        names = [
            f"{_key(number, style)} {safe_text(line.name)}"
            for number, line in enumerate(shown.lines)
        ]
        lines += wrap_line("  ".join(names), width=style.width)
    for place, mark in enumerate(shown.marks):
        lines += wrap_line(
            f"{_letter(place)}  {safe_text(mark.label)}", width=style.width, indent=3
        )
    return lines


def bars(shown: Bars, style: Style) -> list[str]:
    """Horizontal bars with their values, longest as wide as there is room."""
    names = [safe_text(label) for label in shown.labels]
    several = len(shown.series) > 1
    values = [value for one in shown.series for value in one.values if value is not None]
    texts = [shown.axis.show(value) for value in values]
    left = max((display_width(name) for name in names), default=0)
    room = style.width - left - max((len(text) for text in texts), default=0) - 4
    most = max((abs(value) for value in values), default=0.0)
    lines = wrap_line(safe_text(shown.title), width=style.width) if shown.title else []
    for place, name in enumerate(names):
        for number, one in enumerate(shown.series):
            head = name if number == 0 else ""
            value = one.values[place]
            text = "-" if value is None else shown.axis.show(value)
            bar = "" if value is None or not most else _bar(abs(value) / most, max(room, 8), style)
            glyph = f"{_glyph(number, style)} " if several else ""
            pad = " " * (left - display_width(head))
            coloured = f"\x1b[{_COLOURS[number % 6]}m{bar}\x1b[0m" if style.colour and bar else bar
            lines.append(f"{head}{pad}  {glyph}{coloured} {text}".rstrip())
    if several:
        legend = (f"{_key(n, style)} {safe_text(s.name)}" for n, s in enumerate(shown.series))
        lines += wrap_line("  ".join(legend), width=style.width)
    return lines


def _bar(share: float, room: int, style: Style) -> str:
    """A bar in eighths of a column; a value above 0 never looks like none."""
    if not style.unicode:
        return "#" * max(round(share * room), 1 if share else 0)
    eighths = max(round(share * room * 8), 1 if share else 0)
    return "█" * (eighths // 8) + (_BLOCKS[eighths % 8] if eighths % 8 else "")
