"""HTTP/1.1 as bytes: a request that is held back until it is whole, the framing of an answer.

Layer: enforce, injected (standard library, Python 3.10), sans-IO.  Below: nothing.
Above: http_client_hook, http_client_answers.
Source: RFC 9112, sections 6 and 7 (https://www.rfc-editor.org/rfc/rfc9112, checked 2026-11-27).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from http.client import responses
from typing import Protocol

_LINE = b"\r\n"
_END_OF_HEAD = b"\r\n\r\n"
#: A size line or trailer longer than this is no chunked body.
_LINE_BYTES_MAX = 64 * 1024
_SIZE, _DATA, _DATA_END, _TRAILER = range(4)


class Framing(Protocol):
    """Raw bytes of a body in, its payload out.

    ended: the body is whole.  broken: it breaks the rules, and what follows cannot be told.
    """

    ended: bool
    broken: bool

    def receive(self, data: bytes) -> bytes: ...


class Chunked:
    """`transfer-encoding: chunked`."""

    def __init__(self) -> None:
        self.ended = False
        self.broken = False
        self._buffer = bytearray()
        self._state = _SIZE
        self._left = 0

    def receive(self, data: bytes) -> bytes:
        self._buffer += data
        payload = bytearray()
        while not (self.ended or self.broken) and self._step(payload):
            pass
        return bytes(payload)

    def _step(self, payload: bytearray) -> bool:
        """Take one piece from the buffer; false when it needs more bytes."""
        if self._state == _DATA:
            part = self._buffer[: self._left]
            payload += part
            del self._buffer[: len(part)]
            self._left -= len(part)
            if self._left == 0:
                self._state = _DATA_END
            return bool(part)
        line = self._line()
        if line is None:
            return False
        if self._state == _DATA_END:
            self.broken = line != b""
            self._state = _SIZE
        elif self._state == _TRAILER:
            self.ended = line == b""
        else:
            self._size(line)
        return True

    def _line(self) -> bytes | None:
        end = self._buffer.find(b"\n")
        if end < 0:
            self.broken = len(self._buffer) > _LINE_BYTES_MAX
            return None
        line = bytes(self._buffer[:end]).removesuffix(b"\r")
        del self._buffer[: end + 1]
        return line

    def _size(self, line: bytes) -> None:
        try:
            self._left = int(line.partition(b";")[0].strip(), 16)
        except ValueError:
            self._left = -1
        self.broken = self._left < 0
        self._state = _DATA if self._left else _TRAILER


class Sized:
    """`content-length`: so many bytes."""

    def __init__(self, size: int) -> None:
        self._left = size
        self.ended = size <= 0
        self.broken = False

    def receive(self, data: bytes) -> bytes:
        part = data[: self._left]
        self._left -= len(part)
        self.ended = self._left <= 0
        return part


class UntilClose:
    """Everything until the peer closes."""

    ended = False
    broken = False

    def receive(self, data: bytes) -> bytes:
        return data


def chunk(payload: bytes) -> bytes:
    """One chunk of a chunked body; nothing for nothing, which would end it."""
    return b"%x\r\n%b\r\n" % (len(payload), payload) if payload else b""


#: The end of a chunked body.
LAST_CHUNK = b"0\r\n\r\n"


class HeldRequest:
    """The bytes of one request on their way to a socket, kept until it is whole."""

    def __init__(self, head: bytes) -> None:
        """head: starts with the request line and ends with the blank line, or goes on into the
        body.  Raises ValueError when it is none.
        """
        end = head.find(_END_OF_HEAD)
        if end < 0:
            raise ValueError("a request's head ends with a blank line")
        self.raw = bytearray(head)
        self.request_line, *lines = bytes(head[:end]).split(_LINE)
        self.headers = [_header(line) for line in lines]
        self._framing = self._framing_of()
        self._body = bytearray(self._framing.receive(head[end + len(_END_OF_HEAD) :]))

    def receive(self, data: bytes) -> None:
        self.raw += data
        self._body += self._framing.receive(data)

    def is_whole(self) -> bool:
        return self._framing.ended or self._framing.broken

    @property
    def body(self) -> bytes:
        return bytes(self._body)

    def header(self, name: str) -> str:
        """A header's value by its lower-case name, or ""."""
        return next((value for found, value in self.headers if found.lower() == name), "")

    def lower_headers(self) -> dict[str, str]:
        return {name.lower(): value for name, value in self.headers}

    def _framing_of(self) -> Framing:
        if "chunked" in self.header("transfer-encoding").lower():
            return Chunked()
        size = self.header("content-length").strip()
        return Sized(int(size) if size.isdigit() else 0)


def request_bytes(request_line: bytes, headers: Iterable[tuple[str, str]], body: bytes) -> bytes:
    """A whole request; the framing headers among `headers` are replaced by the body's own."""
    kept = [
        f"{name}: {value}".encode("latin-1")
        for name, value in headers
        if name.lower() not in ("content-length", "transfer-encoding")
    ]
    kept.append(b"Content-Length: %d" % len(body))
    return _LINE.join([request_line, *kept]) + _END_OF_HEAD + body


def with_target(request_line: bytes, target: str) -> bytes:
    """A request line that names another target."""
    method, _, version = request_line.split(b" ", 2)
    return b" ".join((method, target.encode("latin-1"), version))


def answer_bytes(status: int, headers: Sequence[tuple[str, str]], body: bytes) -> bytes:
    """A whole answer that closes its connection."""
    lines = [f"HTTP/1.1 {status} {responses.get(status, 'Refused')}"]
    lines += [f"{name}: {value}" for name, value in headers if name.lower() != "content-length"]
    lines += [f"content-length: {len(body)}", "connection: close"]
    return "\r\n".join(lines).encode("latin-1") + _END_OF_HEAD + body


def _header(line: bytes) -> tuple[str, str]:
    name, _, value = line.decode("latin-1").partition(":")
    return name, value.strip()
