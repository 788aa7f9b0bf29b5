"""Bytes in, records out: lines of JSON, JSON values in a row or in one list, and rows of CSV.

Layer: importing, pure (sans-IO).  Below: nothing.  Above: opening.
Owns: where a record begins and ends, and what happens to one that never ends: it is given up as
one unreadable piece, and reading goes on after it.  Memory holds one record, however long the file.
Not here: what a record means (json, csv: opening), whose it is (sources).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

#: Longer than any record that a source writes without its prompts by far; with them, nearly so.
PIECE_BYTES_MAX = 64 * 1024 * 1024
TOO_LONG = "it is longer than 64 MiB"
CUT_OFF = "the file ends in the middle of it"
NO_END = "the file ends before its list does"

_BLANK = b" \t\r\n"
#: In a JSON text: what a string goes on with; a whole string, a brace, or where a string begins.
_INSIDE = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*', re.DOTALL)
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[{}]|"', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Piece:
    """One record's bytes.

    line: its first line, from 1.  end: the offset in the file after it.
    fault: why it is no record, "" otherwise; `content` is empty then.
    """

    line: int
    end: int
    content: bytes
    fault: str = ""


class Lines:
    """One record a line; empty lines are none.  The last one may lack its line end.

    at: offset in the file at which the bytes begin, `line` the number of that line.
    blank: whether empty lines are given out as well.
    """

    def __init__(
        self, *, at: int = 0, line: int = 1, bytes_max: int = PIECE_BYTES_MAX, blank: bool = False
    ) -> None:
        self._blank = blank
        self._at = at
        self._line = line
        self._bytes_max = bytes_max
        self._tail: list[bytes] = []
        self._held = 0
        self._given_up = False

    @property
    def line(self) -> int:
        """The number of the line that is not ended yet."""
        return self._line

    def receive(self, chunk: bytes) -> Iterator[Piece]:
        """The records that `chunk` completes."""
        start = 0
        while (end := chunk.find(b"\n", start)) >= 0:
            yield from self._ended(chunk[start:end], 1)
            start = end + 1
        self._hold(chunk[start:])

    def close(self) -> Iterator[Piece]:
        """The last line, when no line end came after it."""
        yield from self._ended(b"", 0)

    def _hold(self, part: bytes) -> None:
        self._held += len(part)
        if self._held > self._bytes_max:
            self._given_up = True
            self._tail.clear()
        elif part:
            self._tail.append(part)

    def _ended(self, part: bytes, end_bytes: int) -> Iterator[Piece]:
        self._hold(part)
        line, content, given_up = self._line, b"".join(self._tail), self._given_up
        self._at += self._held + end_bytes
        self._line += 1
        self._tail, self._held, self._given_up = [], 0, False
        if given_up:
            yield Piece(line, self._at, b"", TOO_LONG)
        elif content.strip(_BLANK) or (self._blank and end_bytes):
            yield Piece(line, self._at, content)


class Values:
    """JSON objects: the members of one list, or one after another, over any number of lines.

    Only braces and strings are looked at; whether a piece is JSON is seen when it is parsed.
    What stands between objects (commas, numbers, texts) is no record and is passed over.
    """

    def __init__(self, *, bytes_max: int = PIECE_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._buffer = b""
        self._dropped = 0  # Bytes of the file before the buffer.
        self._line, self._marked = 1, 0  # The line at a place in the buffer.
        self._looked = 0  # Up to where the buffer was scanned.
        self._in_string = False
        self._depth = 0
        self._begin: int | None = None
        self._given_up = 0  # The line of an object that was too long, while it lasts.
        self._first, self._last = b"", b""  # The file's first and last byte that is not blank.

    def receive(self, chunk: bytes) -> Iterator[Piece]:
        """The objects that `chunk` completes."""
        self._first = self._first or chunk.lstrip(_BLANK)[:1]
        self._last = chunk.rstrip(_BLANK)[-1:] or self._last
        self._buffer += chunk
        position = self._after_string(self._looked) if self._in_string else self._looked
        for token in () if self._in_string else _TOKEN.finditer(self._buffer, position):
            mark = token[0]
            position = token.end()
            if mark == b'"':  # Its end has not come.
                position = self._after_string(position)
                break
            if mark == b"{":
                if self._begin is None and not self._given_up:
                    self._begin, self._depth = token.start(), 0
                self._depth += 1
            elif mark == b"}":
                self._depth -= 1
                if self._depth <= 0 and (self._begin is not None or self._given_up):
                    yield self._whole(position)
        else:
            position = position if self._in_string else len(self._buffer)
        self._trim(position)

    def _after_string(self, position: int) -> int:
        """Where a string that goes on ends, or up to where it is known to go on."""
        inside = _INSIDE.match(self._buffer, position)
        end = inside.end() if inside else position
        self._in_string = self._buffer[end : end + 1] != b'"'
        return end if self._in_string else end + 1

    def close(self) -> Iterator[Piece]:
        """An object that the end of the file cut off, or a list between two of them."""
        end = self._dropped + len(self._buffer)
        if self._begin is not None or self._given_up:
            line = self._given_up or self._line_of(self._begin or 0)
            yield Piece(line, end, b"", CUT_OFF)
        elif self._first == b"[" and self._last != b"]":
            yield Piece(self._line_of(len(self._buffer)), end, b"", NO_END)

    def _whole(self, end: int) -> Piece:
        offset = self._dropped + end
        if self._given_up:
            line, self._given_up = self._given_up, 0
            return Piece(line, offset, b"", TOO_LONG)
        begin = self._begin or 0
        self._begin = None
        return Piece(self._line_of(begin), offset, self._buffer[begin:end])

    def _line_of(self, position: int) -> int:
        """The line of a place; places are asked for in their order."""
        if position > self._marked:
            self._line += self._buffer.count(b"\n", self._marked, position)
            self._marked = position
        return self._line

    def _trim(self, looked: int) -> None:
        """Forget what is done; of an object that is too long, all but how deep it is."""
        if self._begin is not None and len(self._buffer) - self._begin > self._bytes_max:
            self._given_up, self._begin = self._line_of(self._begin), None
        keep = looked if self._begin is None else self._begin
        self._line_of(keep)
        self._marked -= keep
        self._dropped += keep
        self._buffer = self._buffer[keep:]
        if self._begin is not None:
            self._begin = 0
        self._looked = max(looked - keep, 0)


class Rows:
    """Rows of CSV as bytes: a row goes on over a line end while its quotes are open.

    The heading is the first piece.  A quote that never closes would take the rest of the file
    along: after `bytes_max` its line alone is given up, and reading goes on with the next one.
    """

    def __init__(self, *, bytes_max: int = PIECE_BYTES_MAX) -> None:
        self._lines = Lines(bytes_max=bytes_max, blank=True)
        self._bytes_max = bytes_max
        self._held: list[Piece] = []
        self._size = 0
        self._quotes = 0

    def receive(self, chunk: bytes) -> Iterator[Piece]:
        """The rows that `chunk` completes."""
        for piece in self._lines.receive(chunk):
            yield from self._take(piece)

    def close(self) -> Iterator[Piece]:
        """The last row; lines after a quote without an end are read one by one."""
        for piece in self._lines.close():
            yield from self._take(piece)
        while self._held:
            yield from self._give_up(CUT_OFF)

    def _take(self, piece: Piece) -> Iterator[Piece]:
        if piece.fault:
            yield piece
            return
        if not self._held and not piece.content.strip(_BLANK):
            return
        self._held.append(piece)
        self._size += len(piece.content)
        self._quotes += piece.content.count(b'"')
        if self._quotes % 2 == 0:
            content = b"\n".join(part.content for part in self._held)
            first, end = self._held[0].line, piece.end
            self._reset()
            yield Piece(first, end, content)
        while self._size > self._bytes_max:
            yield from self._give_up("its quotes are not closed")

    def _give_up(self, fault: str) -> Iterator[Piece]:
        first, *others = self._held
        self._reset()
        yield Piece(first.line, first.end, b"", fault)
        for piece in others:
            yield from self._take(piece)

    def _reset(self) -> None:
        self._held, self._size, self._quotes = [], 0, 0
