"""Writing an export in one format, so that it can be taken up after any step.

Layer: export, I/O.  Below: columns; pyarrow_package for Parquet alone.  Above: job.
Owns: the unfinished files beside the target, and that the target appears when it is whole.
A position is what is durable: bytes of a text, pieces of a Parquet file.
"""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from noburn_cli.errors import NoburnError
from noburn_cli.export.columns import BOOLEAN, DOLLARS, INTEGER, JSON, Column, plain
from noburn_cli.pyarrow_package import pyarrow

if TYPE_CHECKING:
    from noburn_cli.export.reading import Row

CSV, JSONL, PARQUET = "csv", "jsonl", "parquet"
FORMATS = (CSV, JSONL, PARQUET)
SUFFIX = ".part"
#: Nine places after the point: a nano-dollar is the smallest amount there is.
_SCALE, _PRECISION = 9, 38
_NANO = Decimal(1).scaleb(-_SCALE)


class Sink(Protocol):
    """Where rows go."""

    def begin(self, position: int) -> None:
        """Go on at a position, 0 for the beginning.  Raises NoburnError when it is not there."""

    def write(self, rows: Sequence[Row]) -> int:
        """Write rows; the position after them, which is on the disk."""

    def finish(self) -> None:
        """Give it its name."""


def as_text(format_: str, columns: Sequence[Column], rows: Sequence[Row]) -> str:
    """Rows as CSV or JSON lines."""
    values = [
        [plain(column, value) for column, value in zip(columns, r, strict=True)] for r in rows
    ]
    if format_ == JSONL:
        names = [column.name for column in columns]
        return "".join(
            json.dumps(
                dict(zip(names, map(_nested, columns, one), strict=True)), ensure_ascii=False
            )
            + "\n"
            for one in values
        )
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows(["" if v is None else _cell(v) for v in one] for one in values)
    return text.getvalue()


def heading(format_: str, columns: Sequence[Column]) -> str:
    """What comes before the first row."""
    return ",".join(column.name for column in columns) + "\n" if format_ == CSV else ""


def _nested(column: Column, value: Any) -> Any:
    """JSON inside of JSON as itself."""
    return json.loads(value) if column.type == JSON and value is not None else value


def _cell(value: Any) -> Any:
    """true and false, as JSON writes them."""
    return str(value).lower() if isinstance(value, bool) else value


class Lines:
    """CSV or JSON lines on standard output; nothing of it can be taken up again."""

    def __init__(self, format_: str, columns: Sequence[Column], out: TextIO) -> None:
        self._format, self._columns, self._out = format_, columns, out

    def begin(self, position: int) -> None:  # noqa: ARG002 -- the sinks' common signature
        self._out.write(heading(self._format, self._columns))

    def write(self, rows: Sequence[Row]) -> int:
        self._out.write(as_text(self._format, self._columns, rows))
        return 0

    def finish(self) -> None:
        self._out.flush()


class TextFile:
    """CSV or JSON lines in a file; a position is a number of bytes."""

    def __init__(self, format_: str, columns: Sequence[Column], target: Path) -> None:
        self._format, self._columns, self._target = format_, columns, target
        self._part = target.with_name(target.name + SUFFIX)

    def begin(self, position: int) -> None:
        mode = "r+b" if position else "wb"
        try:
            self._file = self._part.open(mode)
        except FileNotFoundError as error:
            raise _gone(self._part) from error
        if self._file.seek(0, os.SEEK_END) < position:
            self._file.close()
            raise _gone(self._part)
        # What was written after the last remembered step is written again.
        self._file.truncate(position)
        self._file.seek(position)
        if not position:
            self._file.write(heading(self._format, self._columns).encode())

    def write(self, rows: Sequence[Row]) -> int:
        self._file.write(as_text(self._format, self._columns, rows).encode())
        self._sync()
        return self._file.tell()

    def _sync(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())

    def finish(self) -> None:
        self._sync()
        self._file.close()
        self._part.rename(self._target)


class ParquetFile:
    """Parquet, money as decimal128; a position is a number of pieces, each a row group at last.

    A Parquet file ends with its index, and cannot be taken up in the middle: the pieces are files
    of their own until the end.
    """

    def __init__(self, columns: Sequence[Column], target: Path) -> None:
        arrow = pyarrow()
        self._arrow, self._parquet = arrow, arrow.parquet
        self._columns, self._target = columns, target
        self._part = target.with_name(target.name + SUFFIX)
        self._folder = target.with_name(target.name + ".pieces")
        types = {
            INTEGER: arrow.int64(), BOOLEAN: arrow.bool_(),
            DOLLARS: arrow.decimal128(_PRECISION, _SCALE),
        }  # fmt: skip
        self._schema = arrow.schema(
            [(column.name, types.get(column.type, arrow.string())) for column in columns]
        )
        self._pieces = 0

    def begin(self, position: int) -> None:
        if not position:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(exist_ok=True)
        if any(not self._piece(number).exists() for number in range(position)):
            raise _gone(self._folder)
        self._pieces = position

    def _piece(self, number: int) -> Path:
        return self._folder / f"{number:06}.parquet"

    def write(self, rows: Sequence[Row]) -> int:
        arrays = [
            [_arrow_value(column, row[place]) for row in rows]
            for place, column in enumerate(self._columns)
        ]
        arrays = [
            self._arrow.array(values, type=field.type)
            for values, field in zip(arrays, self._schema, strict=True)
        ]
        table = self._arrow.Table.from_arrays(arrays, schema=self._schema)
        with self._piece(self._pieces).open("wb") as file:
            self._parquet.write_table(table, file)
            file.flush()
            os.fsync(file.fileno())
        self._pieces += 1
        return self._pieces

    def finish(self) -> None:
        with self._part.open("wb") as file:
            with self._parquet.ParquetWriter(file, self._schema) as writer:
                for number in range(self._pieces):
                    writer.write_table(self._parquet.read_table(self._piece(number)))
            file.flush()
            os.fsync(file.fileno())
        self._part.rename(self._target)
        shutil.rmtree(self._folder)


def _arrow_value(column: Column, value: Any) -> Any:
    if value is None:
        return None
    if column.type == DOLLARS:
        return Decimal(value) * _NANO
    return bool(value) if column.type == BOOLEAN else value


def _gone(part: Path) -> NoburnError:
    return NoburnError(
        f"the unfinished export {part} is not what was remembered",
        next_step="export anew, without --resume",
    )
