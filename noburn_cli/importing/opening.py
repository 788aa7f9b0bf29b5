"""A file of any of the known shapes as a stream of records: JSON lines, JSON, CSV, Parquet; gzip.

Layer: importing, I/O.  Below: splitting, pyarrow_package.  Above: job, detecting.
Owns: how a shape is told (by the file's first bytes, never by its name), and what makes a record
unreadable before anybody asks whose it is.  Nothing of a record but its values is kept, and one
record at a time.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from noburn_cli.errors import InputRefused
from noburn_cli.importing.splitting import CUT_OFF, PIECE_BYTES_MAX, Lines, Piece, Rows, Values
from noburn_cli.pyarrow_package import pyarrow

CHUNK_BYTES = 1 << 20
_LOOK_BYTES = 1 << 16
_GZIP, _PARQUET = b"\x1f\x8b", b"PAR1"
_BOM = b"\xef\xbb\xbf"
_PARQUET_ROWS = 1_000
#: What a file begins with that has to be unpacked or converted first, and how.
_FOREIGN = {
    b"PK\x03\x04": ("a zip archive, or a spreadsheet", "unpack it, or save it as CSV"),
    b"\x28\xb5\x2f\xfd": ("packed by zstd", "unpack it: zstd -d FILE"),
    b"\xff\xfe": ("text in UTF-16", "convert it: iconv -f UTF-16 -t UTF-8 FILE > NEW"),
    b"\xfe\xff": ("text in UTF-16", "convert it: iconv -f UTF-16 -t UTF-8 FILE > NEW"),
}

_Bytes = io.BufferedReader | gzip.GzipFile

NOT_JSON = "it is not JSON"
NOT_AN_OBJECT = "it is no JSON object"
NOT_CSV = "it is not CSV with as many fields as the heading"
NOT_TEXT = "it is not UTF-8"
TOO_DEEP = "it is nested too deeply"

JSON_LINES, JSON, CSV, PARQUET, EMPTY = "JSON lines", "JSON", "CSV", "Parquet", "empty"


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a file.

    line: where it begins (of Parquet, the row).  end: the offset after it, from which reading can
    go on.  values: None where `fault` says why there are none, and where `skipped`.
    """

    line: int
    end: int
    values: dict[str, Any] | None = None
    fault: str = ""
    skipped: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Up to where a file of JSON lines was read: an offset, and the number of the next line."""

    offset: int = 0
    line: int = 1


def shape_of(path: Path) -> str:
    """Which shape a file has.  Raises InputRefused for one that cannot be read."""
    try:
        with _opened(path) as file:
            head = file.read1(_LOOK_BYTES).removeprefix(_BOM)
    except (OSError, EOFError, ValueError) as error:
        raise _unreadable(path, error) from error
    for begin, (what, next_step) in _FOREIGN.items():
        if head.startswith(begin):
            raise InputRefused(f"{path} is {what}, and is not read", next_step=next_step)
    if head.startswith(_PARQUET):
        return PARQUET
    plain = head.lstrip()
    if plain[:1] == b"[":
        return JSON
    if plain[:1] == b"{":
        return _of_objects(plain, whole=len(head) < _LOOK_BYTES)
    return CSV if plain else EMPTY


def _of_objects(head: bytes, *, whole: bool) -> str:
    """JSON lines when the first line is a whole object, or is longer than what was looked at."""
    first, end, _ = head.partition(b"\n")
    if not end and not whole:
        return JSON_LINES
    try:
        value = json.loads(first)
    except (ValueError, RecursionError):
        # The first line of a broken file, or of a value over several lines.
        return JSON if first.rstrip() in (b"{", b"{ ") or first.rstrip().endswith(b",") else (
            JSON_LINES if end and head.lstrip().count(b"\n{") else JSON
        )  # fmt: skip
    return JSON_LINES if isinstance(value, dict) else JSON


def records(
    path: Path, *, place: Place = Place(), wants: Callable[[bytes], bool] | None = None
) -> Iterator[Record]:
    """Every record of a file, from `place` on (which only JSON lines begin anywhere else).

    wants: whether a line's bytes can hold anything of interest; the others are skipped unparsed.
    Raises InputRefused for a file that cannot be read at all.
    """
    shape = shape_of(path)
    if shape == PARQUET:
        yield from _of_parquet(path)
        return
    try:
        with _opened(path) as file:
            if shape == JSON_LINES:
                yield from _of_lines(file, place, wants)
            elif shape == JSON:
                yield from _of_values(file)
            elif shape == CSV:
                yield from _of_rows(file)
    except (OSError, EOFError, ValueError) as error:  # gzip: cut off, or damaged.
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> InputRefused:
    reason = getattr(error, "strerror", None) or error
    return InputRefused(f"{path} cannot be read: {reason}")


def _opened(path: Path) -> _Bytes:
    with path.open("rb") as file:
        packed = file.read(2) == _GZIP
    return gzip.open(path, "rb") if packed else path.open("rb")


def _chunks(file: _Bytes) -> Iterator[bytes]:
    first = True
    # read1: what a damaged archive gives before its damage is read, too.
    while chunk := file.read1(CHUNK_BYTES):
        # The mark is blanked, so that offsets stay those of the file.
        yield b"   " + chunk[3:] if first and chunk.startswith(_BOM) else chunk
        first = False


def _of_lines(
    file: _Bytes, place: Place, wants: Callable[[bytes], bool] | None
) -> Iterator[Record]:
    if place.offset:
        file.seek(place.offset)
    lines = Lines(at=place.offset, line=place.line)
    for chunk in _chunks(file):
        for piece in lines.receive(chunk):
            yield from _unwrapped(_parsed(piece, wants))
    for piece in lines.close():
        found = _parsed(piece, wants)
        # A line without its end may still be being written: it is read again next time.
        fault = CUT_OFF if found.fault else ""
        yield from _unwrapped(Record(piece.line, 0, found.values, fault, found.skipped))


def _of_values(file: _Bytes) -> Iterator[Record]:
    values = Values()
    for chunk in _chunks(file):
        for piece in values.receive(chunk):
            yield from _unwrapped(_parsed(piece, None))
    for piece in values.close():
        yield _parsed(piece, None)


def _unwrapped(record: Record) -> Iterator[Record]:
    """The members of a page of an API (`data`, `runs`); any other object as it is."""
    values = record.values or {}
    members = values.get("data", values.get("runs"))
    if isinstance(members, dict) and set(values) <= {"data", "error", "meta"}:
        members = [members]
    if not isinstance(members, list) or not all(isinstance(one, dict) for one in members):
        yield record
        return
    for one in members:
        yield Record(record.line, record.end, one)


def _parsed(piece: Piece, wants: Callable[[bytes], bool] | None) -> Record:
    if piece.fault:
        return Record(piece.line, piece.end, None, piece.fault)
    if wants is not None and not wants(piece.content):
        return Record(piece.line, piece.end, skipped=True)
    try:
        value = parse_json(piece.content)
    except ValueError as error:
        return Record(piece.line, piece.end, None, str(error))
    if not isinstance(value, dict):
        return Record(piece.line, piece.end, None, NOT_AN_OBJECT)
    return Record(piece.line, piece.end, value)


def parse_json(text: bytes | str) -> Any:
    """JSON with exact numbers.  Raises ValueError with one of few reasons."""
    try:
        return json.loads(text, parse_float=Decimal)
    except UnicodeDecodeError as error:
        raise ValueError(NOT_TEXT) from error
    except RecursionError as error:
        raise ValueError(TOO_DEEP) from error
    except (ValueError, ArithmeticError) as error:
        raise ValueError(NOT_JSON) from error


def _of_rows(file: _Bytes) -> Iterator[Record]:
    csv.field_size_limit(PIECE_BYTES_MAX)  # A prompt in a field is longer than csv's own limit.
    heading: list[str] | None = None
    delimiter = ","
    rows = Rows()
    for piece in _all_rows(rows, file):
        if piece.fault:
            _check_heading(heading, piece.fault)
            yield Record(piece.line, piece.end, None, piece.fault)
            continue
        try:
            text = piece.content.decode("utf-8")
        except UnicodeDecodeError:
            _check_heading(heading, NOT_TEXT)
            yield Record(piece.line, piece.end, None, NOT_TEXT)
            continue
        if heading is None:
            delimiter = max(",\t;", key=text.count)
        fields = _fields(text, delimiter)
        if heading is None:
            _check_heading(fields, NOT_CSV)
            heading = [name.strip() for name in fields or ()]
        elif fields is None or len(fields) != len(heading):
            yield Record(piece.line, piece.end, None, NOT_CSV)
        else:
            yield Record(piece.line, piece.end, dict(zip(heading, fields, strict=True)))


def _check_heading(heading: list[str] | None, fault: str) -> None:
    """Raises ValueError where a table's first line cannot be its heading: no other one can."""
    if heading is None:
        raise ValueError(f"of its heading: {fault}")


def _all_rows(rows: Rows, file: _Bytes) -> Iterator[Piece]:
    for chunk in _chunks(file):
        yield from rows.receive(chunk)
    yield from rows.close()


def _fields(text: str, delimiter: str) -> list[str] | None:
    try:
        return next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except (csv.Error, StopIteration):
        return None


def _of_parquet(path: Path) -> Iterator[Record]:
    parquet = pyarrow(otherwise="export JSON lines or CSV").parquet
    row = 0
    try:
        for batch in parquet.ParquetFile(path).iter_batches(batch_size=_PARQUET_ROWS):
            for values in batch.to_pylist():
                row += 1
                yield Record(row, row, {name: _plain(value) for name, value in values.items()})
    except (OSError, ValueError, ArithmeticError) as error:
        raise _unreadable(path, error) from error


def _plain(value: Any) -> Any:
    """A map of Parquet, which comes as pairs, as the object that it is in JSON."""
    if isinstance(value, list) and value and all(isinstance(one, tuple) for one in value):
        return dict(value)
    return value
