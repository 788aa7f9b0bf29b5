"""AWS's binary event stream, read without changing a byte of it, and written for one error.

Layer: providers (sans-IO, standard library, Python 3.10).  Below: providers.codec.
Source: https://smithy.io/2.0/aws/amazon-eventstream.html and botocore 1.44's `eventstream.py`
(checked 2026-11-27).  A message is: total length, headers' length and a CRC of these (4 bytes each,
big-endian), headers, payload, a CRC of all that.  A header is: a byte for its name's length, the
name, a byte for its type, the value; types 6 and 7 (bytes, text) have a length of 2 bytes in front.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from noburn_cli.providers.codec import Settlement

_PRELUDE_BYTES = 12
_CRC_BYTES = 4
_HEADERS_BYTES_MAX = 128 * 1024
_PAYLOAD_BYTES_MAX = 24 * 1024 * 1024
_TEXT = 7
#: How long a header's value is, by type; types 6 and 7 say it themselves.
_VALUE_BYTES = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}


@dataclass(frozen=True)
class Message:
    """One message: its headers that are text, and its payload."""

    headers: Mapping[str, str]
    payload: bytes


class _BrokenError(Exception):
    """The bytes are no message."""


class MessageSplitter:
    """Bytes in, whole messages out; the same ones wherever the bytes are cut.

    After bytes that are no message nothing is looked into any more: where the next one begins is
    not known.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._given_up = False
        self._pending = 0

    def receive(self, chunk: bytes) -> list[Message]:
        self._pending += len(chunk)
        if self._given_up:
            return []
        self._buffer += chunk
        found: list[Message] = []
        try:
            while (message := self._next()) is not None:
                found.append(message)
        except _BrokenError:
            self._given_up = True
            self._buffer.clear()
        return found

    def given_up(self) -> bool:
        return self._given_up

    def pending(self) -> int:
        """How many bytes came after the last whole message."""
        return self._pending

    def _next(self) -> Message | None:
        data = self._buffer
        if len(data) < _PRELUDE_BYTES:
            return None
        total, headers_bytes, crc = (_number(data, at) for at in (0, 4, 8))
        payload_bytes = total - headers_bytes - _PRELUDE_BYTES - _CRC_BYTES
        if zlib.crc32(data[:8]) != crc:
            raise _BrokenError
        if headers_bytes > _HEADERS_BYTES_MAX or not 0 <= payload_bytes <= _PAYLOAD_BYTES_MAX:
            raise _BrokenError
        if len(data) < total:
            return None
        if zlib.crc32(data[: total - _CRC_BYTES]) != _number(data, total - _CRC_BYTES):
            raise _BrokenError
        begin = _PRELUDE_BYTES + headers_bytes
        headers = _headers(bytes(data[_PRELUDE_BYTES:begin]))
        payload = bytes(data[begin : total - _CRC_BYTES])
        del data[:total]
        self._pending -= total
        return Message(headers, payload)


class FollowingMessages:
    """A StreamReader over messages, whose subclasses implement `look`; hands every byte on."""

    def __init__(self) -> None:
        self.settlement: Settlement | None = None
        self.ended = False
        self.failed = False
        self._splitter = MessageSplitter()

    def look(self, message: Message) -> None:
        """Learn from one message."""
        raise NotImplementedError

    def receive(self, chunk: bytes) -> bytes:
        for message in self._splitter.receive(chunk):
            if message.headers.get(":message-type") in ("exception", "error"):
                self.failed = True
            else:
                self.look(message)
        return chunk

    def pending(self) -> int | None:
        return self._splitter.pending()

    def close(self) -> bytes:
        return b""


def encode(headers: Mapping[str, str], payload: bytes) -> bytes:
    """One message with text headers."""
    packed = b""
    for name, value in headers.items():
        encoded = value.encode()
        packed += bytes((len(name),)) + name.encode("ascii") + bytes((_TEXT,))
        packed += len(encoded).to_bytes(2, "big") + encoded
    total = _PRELUDE_BYTES + len(packed) + len(payload) + _CRC_BYTES
    prelude = total.to_bytes(4, "big") + len(packed).to_bytes(4, "big")
    message = prelude + zlib.crc32(prelude).to_bytes(4, "big") + packed + payload
    return message + zlib.crc32(message).to_bytes(4, "big")


def _number(data: bytes | bytearray, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "big")


def _headers(data: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    place = 0
    while place < len(data):
        name, place = _piece(data, place, length_bytes=1)
        kind = data[place] if place < len(data) else -1
        place += 1
        if kind in (6, _TEXT):
            value, place = _piece(data, place, length_bytes=2)
            if kind == _TEXT:
                found[name.decode("utf-8", "replace")] = value.decode("utf-8", "replace")
        elif kind in _VALUE_BYTES:
            place += _VALUE_BYTES[kind]
        else:
            raise _BrokenError
    if place != len(data):
        raise _BrokenError
    return found


def _piece(data: bytes, place: int, *, length_bytes: int) -> tuple[bytes, int]:
    begin = place + length_bytes
    end = begin + int.from_bytes(data[place:begin], "big")
    if end > len(data):
        raise _BrokenError
    return data[begin:end], end
