"""Plain aligned tables, the same on a terminal and in a pipe.

Layer: render.  Below: the standard library.
Not rich: importing rich.table costs 65 ms of every start (measured 2026-11-23), and these tables
need neither colour nor borders, so NO_COLOR and pipes need no second path.
"""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Iterable, Sequence
from typing import TextIO

GAP = "  "
LEFT = "l"
RIGHT = "r"


def safe_text(text: str) -> str:
    """`text` with what a terminal would obey (escapes, line ends, direction marks) spelt out.

    Names of customers, features and models come from outside: none may move a cursor.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def display_width(text: str) -> int:
    """Columns that `text` takes on a terminal: wide characters two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(_character_width(character) for character in text)


def _character_width(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def format_table(
    headers: Sequence[str], rows: Iterable[Sequence[object]], *, align: str = ""
) -> list[str]:
    """The lines of a table.

    headers: one word per column; none at all gives a table without a heading.
    rows: cells, shown by str().
    align: a letter per column, `l` or `r`; columns without a letter go left.
    Raises ValueError for a row of another length, or an unknown letter.
    """
    body = [[safe_text(str(cell)) for cell in row] for row in rows]
    lines = [[safe_text(header) for header in headers], *body] if headers else body
    if not lines:
        return []
    columns = len(lines[0])
    if any(len(line) != columns for line in lines):
        raise ValueError(f"a table of {columns} columns has a row of another length")
    if len(align) > columns or set(align) - {LEFT, RIGHT}:
        raise ValueError(f"{align!r} does not align {columns} columns")
    widths = [max(display_width(line[i]) for line in lines) for i in range(columns)]
    letters = align.ljust(columns, LEFT)
    return [_format_line(line, widths=widths, letters=letters) for line in lines]


def _format_line(cells: Sequence[str], *, widths: Sequence[int], letters: str) -> str:
    padded = []
    for cell, width, letter in zip(cells, widths, letters, strict=True):
        space = " " * (width - display_width(cell))
        padded.append(space + cell if letter == RIGHT else cell + space)
    return GAP.join(padded).rstrip()


def print_table(
    headers: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    align: str = "",
    file: TextIO | None = None,
) -> None:
    """Print a table on `file`, standard output unless told; as `format_table`."""
    target = sys.stdout if file is None else file
    target.writelines(line + "\n" for line in format_table(headers, rows, align=align))
