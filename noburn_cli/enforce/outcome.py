"""How a call that left ends: settled, voided or lost, exactly once.

Layer: enforce, injected (standard library, Python 3.10), sans-IO.  Below: providers.
Above: the hooks, which move the bytes and deliver the outcome.
Owns: which ending means what (docs/threat-model.md has the table).
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Mapping
from typing import Any, Protocol

from noburn_cli import protocol
from noburn_cli.errors import NoburnError
from noburn_cli.providers.codec import Codec, Settlement, StreamReader

#: An answer above this size is passed on, but not kept to read its usage.
BODY_BYTES_MAX = 64 * 1024 * 1024
FAILURE_CHARS_MAX = 300


class Outcome:
    """One frame for the daemon: its operation and fields."""

    __slots__ = ("fields", "op")

    def __init__(self, op: str, fields: dict[str, Any]) -> None:
        self.op = op
        self.fields = fields


class Tracker:
    """Follows one call that holds money, from its sending to its end.

    Every method that can end the call returns its Outcome the first time and None afterwards.
    """

    def __init__(self, call_id: str, codec: Codec, *, strip_usage: bool) -> None:
        self.call_id = call_id
        self._codec = codec
        self._strip_usage = strip_usage
        self._began = time.monotonic()
        self._status: int | None = None
        self._body: _Body | None = None
        self._ended = False

    def not_sent(self, error: BaseException) -> Outcome | None:
        """No byte of the request reached the provider."""
        return self._end(protocol.VOID, reason=_said(error))

    def broke(self, error: BaseException) -> Outcome | None:
        """The request was sent, or may have been, and then something failed."""
        return self._finish(_said(error))

    def answered(self, status: int, headers: Mapping[str, str]) -> bool:
        """The answer has begun.  True when its bytes are handed on unpacked.

        headers: by lower-case name.
        """
        self._status = status
        unpack, readable = _unpacker(headers.get("content-encoding", ""))
        is_events = headers.get("content-type", "").lower().startswith("text/event-stream")
        if not readable:
            self._body = _Unreadable()
        elif is_events and 200 <= status < 300:
            self._body = _Events(self._codec.stream(strip_usage=self._strip_usage), unpack)
        else:
            self._body = _Whole(self._codec, unpack)
        return unpack is not None

    def receive(self, chunk: bytes) -> bytes:
        """Bytes of the answer in, the bytes to hand on out; never an error of our reading."""
        if self._body is None:
            return chunk
        try:
            return self._body.receive(chunk)
        except (NoburnError, zlib.error):
            # The program gets its answer whatever we make of it; its usage is then unknown.
            self._body = _Unreadable()
            return chunk

    def rest(self) -> bytes:
        """The bytes still withheld at the end of the answer."""
        return b"" if self._body is None else self._body.close()

    def worth_draining(self) -> bool:
        """Whether the generation is over and only its usage has not been read yet."""
        body = self._body
        return not self._ended and isinstance(body, _Events) and body.only_usage_missing()

    def completed(self) -> Outcome | None:
        """The answer has been read to its end."""
        return self._finish("the answer carries no usage")

    def abandoned(self, reason: str = "the answer was closed before its end") -> Outcome | None:
        """The program has let go of the answer."""
        return self._finish(reason)

    def _finish(self, lost_because: str) -> Outcome | None:
        settlement = self._body.settlement() if self._body is not None else None
        if settlement is not None:
            return self._end(
                protocol.SETTLE,
                usage=dict(settlement.usage),
                variant=settlement.variant,
                served_model=settlement.served_model or None,
                provider_id=settlement.provider_id or None,
                failure=None if self._status == 200 else f"HTTP {self._status}",
            )
        status = self._status
        if status is not None and (300 <= status < 500):
            # Refused before it was processed; providers bill tokens, and there were none.
            return self._end(protocol.VOID, reason=f"HTTP {status}")
        if status is not None and status >= 500:
            lost_because = f"HTTP {status}"
        return self._end(protocol.LOSE, reason=lost_because)

    def _end(self, op: str, **fields: Any) -> Outcome | None:
        if self._ended:
            return None
        self._ended = True
        latency_ms = int((time.monotonic() - self._began) * 1000)
        return Outcome(
            op, {"call": self.call_id, **fields, "latency_ms": latency_ms, "status": self._status}
        )


class _Body(Protocol):
    def receive(self, chunk: bytes) -> bytes: ...

    def close(self) -> bytes: ...

    def settlement(self) -> Settlement | None: ...


class _Unpacker(Protocol):
    def decompress(self, data: bytes, /) -> bytes: ...


class _Unreadable:
    """An answer packed in a way that the standard library cannot read: passed on, usage unknown."""

    def receive(self, chunk: bytes) -> bytes:
        return chunk

    def close(self) -> bytes:
        return b""

    def settlement(self) -> Settlement | None:
        return None


class _Events:
    """A stream of events, read by the codec."""

    def __init__(self, reader: StreamReader, unpack: _Unpacker | None) -> None:
        self._reader = reader
        self._unpack = unpack

    def receive(self, chunk: bytes) -> bytes:
        plain = chunk if self._unpack is None else self._unpack.decompress(chunk)
        return self._reader.receive(plain)

    def close(self) -> bytes:
        return self._reader.close()

    def settlement(self) -> Settlement | None:
        return self._reader.settlement

    def only_usage_missing(self) -> bool:
        return self._reader.ended and self._reader.settlement is None


class _Whole:
    """An answer in one piece, kept until its usage can be read."""

    def __init__(self, codec: Codec, unpack: _Unpacker | None) -> None:
        self._codec = codec
        self._unpack = unpack
        self._parts: list[bytes] = []
        self._bytes = 0

    def receive(self, chunk: bytes) -> bytes:
        plain = chunk if self._unpack is None else self._unpack.decompress(chunk)
        self._bytes += len(plain)
        if self._bytes <= BODY_BYTES_MAX:
            self._parts.append(plain)
        return plain

    def close(self) -> bytes:
        return b""

    def settlement(self) -> Settlement | None:
        if self._bytes > BODY_BYTES_MAX:
            return None
        try:
            return self._codec.usage(b"".join(self._parts))
        except NoburnError:
            return None  # Not an answer of this API: the usage is unknown, and so charged in full.


def _unpacker(encoding: str) -> tuple[_Unpacker | None, bool]:
    """How to unpack an answer, and whether it can be read at all."""
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return None, True
    if encoding in ("gzip", "x-gzip"):
        return zlib.decompressobj(zlib.MAX_WBITS | 16), True
    if encoding == "deflate":
        return zlib.decompressobj(), True
    return None, False


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:FAILURE_CHARS_MAX]
