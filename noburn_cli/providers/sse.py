"""Server-sent events, read without changing a byte of them.

Layer: providers (sans-IO, standard library, Python 3.10).  Below: nothing.
Source: https://html.spec.whatwg.org/multipage/server-sent-events.html, "Parsing an event stream".
Lines end with LF, CRLF or CR; a blank line ends an event; a BOM may open the stream.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

#: Above this an event is not looked into any more (a whole Responses answer travels in one event).
EVENT_BYTES_MAX = 32 * 1024 * 1024
_LINE_END = re.compile(rb"\r\n?|\n")
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Event:
    """One event: its very bytes with the blank line, its name and its data."""

    raw: bytes
    name: str
    data: bytes


class EventSplitter:
    """Bytes in, whole events out; joined again, their raw bytes are the bytes that went in.

    A CR at the end of a chunk ends its line at once (nobody waits for a byte that may never come);
    the LF that may follow it then arrives as `late_lf`, to be treated like the event before it.
    """

    def __init__(self, *, event_bytes_max: int = EVENT_BYTES_MAX) -> None:
        self._event_bytes_max = event_bytes_max
        self._buffer = bytearray()
        self._line_start = 0
        self._scanned = 0
        self._fields: list[tuple[bytes, bytes]] = []
        self._first_line = True
        self._after_cr = False
        self._too_large = False

    def receive(self, chunk: bytes) -> list[Event]:
        """The events that `chunk` completes; none any more once an event was too large."""
        events: list[Event] = []
        self._buffer += chunk
        while not self._too_large:
            if self._after_cr and len(self._buffer) > self._line_start:
                self._after_cr = False
                if self._buffer[self._line_start] == 0x0A:
                    if self._line_start == 0:
                        # It belongs to the event that its CR has ended.
                        events.append(Event(b"\n", LATE_LF, b""))
                        del self._buffer[:1]
                    else:
                        self._line_start += 1
                    self._scanned = self._line_start
            end = _LINE_END.search(self._buffer, self._scanned)
            if end is None:
                self._scanned = len(self._buffer)
                self._too_large = len(self._buffer) > self._event_bytes_max
                break
            self._after_cr = end.group() == b"\r"
            if self._line(bytes(self._buffer[self._line_start : end.start()])):
                events.append(self._take(end.end()))
            else:
                self._line_start = self._scanned = end.end()
        return events

    def given_up(self) -> bool:
        """Whether an event was too large; nothing is looked into after that."""
        return self._too_large

    def pending(self) -> int | None:
        """How many bytes came after the last whole event; None while its LF may still come."""
        return None if self._after_cr and not self._buffer else len(self._buffer)

    def rest(self) -> Event | None:
        """The bytes after the last whole event, read as if a blank line had followed."""
        if not self._buffer:
            return None
        self._line(bytes(self._buffer[self._line_start :]))
        return self._take(len(self._buffer))

    def _line(self, line: bytes) -> bool:
        """Note a line's field; true for a blank line."""
        if self._first_line:
            self._first_line = False
            line = line.removeprefix(_BOM)
        if not line:
            return True
        name, _, value = line.partition(b":")
        self._fields.append((name, value.removeprefix(b" ")))
        return False

    def _take(self, end: int) -> Event:
        raw = bytes(self._buffer[:end])
        del self._buffer[:end]
        self._line_start = self._scanned = 0
        fields, self._fields = self._fields, []
        data = b"\n".join(value for name, value in fields if name == b"data")
        names = [value for name, value in fields if name == b"event"]
        name = names[-1].decode("utf-8", "replace") if names else ""
        return Event(raw, name, data)


#: The name of the pseudo-event for a LF that came after its event; no provider can send it (a NUL).
LATE_LF = "\0lf"
