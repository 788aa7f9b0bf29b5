"""A grid of characters that lines are drawn on, in cells or in dots of Braille.

Layer: charts (pure).  Below: nothing.  Above: charts.terminal.
Owns: Canvas, and the two ways of drawing a line.
"""

from __future__ import annotations

from collections.abc import Iterator

#: Bits of a Braille character by (column, row) of its two by four dots, from U+2800.
#: https://www.unicode.org/charts/PDF/U2800.pdf
_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
_BRAILLE = 0x2800
DOTS_WIDE, DOTS_HIGH = 2, 4


class Canvas:
    """`width` by `height` cells; the first row is the top.  A later glyph covers an earlier one."""

    def __init__(self, width: int, height: int) -> None:
        self.width = width
        self.height = height
        self._cells: list[list[tuple[str, int | None]]] = [
            [(" ", None)] * width for _ in range(height)
        ]
        self._dots: dict[tuple[int, int], int] = {}

    def put(self, column: int, row: int, glyph: str, colour: int | None = None) -> None:
        """One character; outside the canvas nothing happens."""
        if 0 <= column < self.width and 0 <= row < self.height:
            self._cells[row][column] = (glyph, colour)

    def dot(self, x: int, y: int, colour: int | None = None) -> None:
        """One dot of Braille, counted from the upper left."""
        column, row = x // DOTS_WIDE, y // DOTS_HIGH
        bits = self._dots.get((column, row), 0) | _DOTS[x % DOTS_WIDE][y % DOTS_HIGH]
        if 0 <= column < self.width and 0 <= row < self.height:
            self._dots[column, row] = bits
            self.put(column, row, chr(_BRAILLE + bits), colour)

    def colour(self, column: int, row: int) -> int | None:
        """Of a cell inside the canvas; None where no line runs."""
        return self._cells[row][column][1]

    def rows(self) -> Iterator[list[tuple[str, int | None]]]:
        yield from self._cells


def steps(x0: int, y0: int, x1: int, y1: int) -> Iterator[tuple[int, int]]:
    """The cells of a straight line, both ends included, each next to the one before."""
    count = max(abs(x1 - x0), abs(y1 - y0))
    for number in range(count + 1):
        share = number / count if count else 0.0
        yield round(x0 + (x1 - x0) * share), round(y0 + (y1 - y0) * share)
