"""Plain aligned tables, for a terminal and for a pipe.

Layer: render.  Below: the standard library.
Not rich: importing rich.table costs 65 ms of every start (measured 2026-11-23), and these tables
need neither colour nor borders, so NO_COLOR needs no second path.  A pipe gets every column at its
full width; on a terminal a table that is too wide gives up what matters least.
"""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from typing import NamedTuple, TextIO

#: Set by whoever shows our lines on a terminal of their own: the demo.
COLUMNS_VARIABLE = "NOBURN_COLUMNS"
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


class Column(NamedTuple):
    """One column of a table that must fit.

    give_up: columns with a lower number go first; None stays.
    shorten: whether long cells may lose their middle, once nothing more can go.
    least: cells that are no longer than this are left whole.
    """

    header: str
    cells: Sequence[str]
    align: str = LEFT
    give_up: int | None = None
    shorten: bool = False
    least: int = 0

    @property
    def width(self) -> int:
        return max(display_width(safe_text(cell)) for cell in (self.header, *self.cells))


def fit_table(columns: Sequence[Column], *, width: int | None) -> list[str]:
    """The lines of a table no wider than `width` columns of a terminal, None being a pipe.

    A table that cannot fit even so keeps its cells whole: a cut number would be a wrong one.
    """
    shown = list(columns)
    while width is not None and _width(shown) > width:
        going = [column for column in shown if column.give_up is not None]
        if not going:
            shown = [_shortened(one, _width(shown) - width) for one in shown]
            break
        shown.remove(min(going, key=lambda column: column.give_up or 0))
    return format_table(
        [column.header for column in shown],
        list(zip(*(column.cells for column in shown), strict=True)),
        align="".join(column.align for column in shown),
    )


def _width(columns: Sequence[Column]) -> int:
    return sum(column.width for column in columns) + len(GAP) * (len(columns) - 1)


#: A name of which less is left says nothing.
_SHORT_CELL = 12


def _shortened(column: Column, excess: int) -> Column:
    """The column with `excess` columns taken out of the middle of its longest cells."""
    if not column.shorten:
        return column
    limit = max(_SHORT_CELL, column.least, column.width - excess)
    cells = [_middle_out(safe_text(cell), limit) for cell in column.cells]
    return Column(column.header, cells, column.align)


def _middle_out(text: str, limit: int) -> str:
    """`text` in at most `limit` columns; the end of a path says more than its beginning."""
    if display_width(text) <= limit:
        return text
    head, tail = text[: limit // 6], ""
    for character in reversed(text):
        if display_width(head + character + tail) + 1 > limit:
            break
        tail = character + tail
    return f"{head}…{tail}"


def wrap_line(line: str, *, width: int | None, indent: int = 0) -> list[str]:
    """`line` broken at spaces for a terminal of `width` columns; what follows is indented.

    None, for a pipe, breaks nothing: grep finds a sentence only where it is whole.
    """
    if width is None or display_width(line) <= width:
        return [line]
    import textwrap  # only for a line that is too long

    # It would fold the two spaces between two columns: they stay out of it.
    head, rest = line[:indent], line[indent:]
    parts = textwrap.wrap(
        rest, max(width - indent, 20), break_long_words=False, break_on_hyphens=False
    )
    return [head + parts[0], *(" " * indent + part for part in parts[1:])] if parts else [line]


def prose_lines(lines: Iterable[str], *, width: int | None) -> list[str]:
    """Sentences for a terminal of `width` columns; what follows stands below its own beginning."""
    return [
        part
        for line in lines
        for part in wrap_line(line, width=width, indent=len(line) - len(line.lstrip(" ")))
    ]


def terminal_width(file: TextIO | None = None) -> int | None:
    """Columns of the terminal that `file` (standard output unless told) is; None if it is none.

    COLUMNS_VARIABLE says how wide a terminal is that shows what is written into a pipe.
    """
    target = sys.stdout if file is None else file
    if target is None or not target.isatty():
        shown = os.environ.get(COLUMNS_VARIABLE, "")
        return int(shown) or None if shown.isdecimal() else None
    # Not shutil's: it asks about standard output, which may be a pipe while errors are seen.
    said = os.environ.get("COLUMNS", "")
    columns = int(said) if said.isdecimal() else 0
    return columns or os.get_terminal_size(target.fileno()).columns or None


def remark_lines(lines: Iterable[str], file: TextIO) -> list[str]:
    """`error: …`, `why: …`, `note: …` for `file`: on a terminal broken under their own text.

    Each is one line, whatever it quotes: a CI takes a line of its own for a command.
    """
    width = terminal_width(file)
    shown = []
    for line in (safe_text(" ".join(line.splitlines())) for line in lines):
        label, colon, _ = line.partition(": ")
        indent = len(label + colon) if colon and len(label) <= _LABEL_MAX else 0
        shown += wrap_line(line, width=width, indent=indent)
    return shown


#: `warning` is the longest word before a remark.
_LABEL_MAX = len("warning")
