"""The body of an answer, read for its usage as its bytes pass.

Layer: enforce, injected (standard library, Python 3.10), sans-IO.  Below: providers, received.
Above: outcome, which says what the usage means.
"""

from __future__ import annotations

import zlib
from typing import Protocol

from noburn_cli.enforce.received import Received
from noburn_cli.errors import NoburnError
from noburn_cli.providers.codec import Codec, Settlement, StreamReader

#: An answer above this size is passed on, but not kept to read its usage.
BODY_BYTES_MAX = 64 * 1024 * 1024


class Body(Protocol):
    def receive(self, chunk: bytes) -> bytes: ...

    def close(self) -> bytes: ...

    def settlement(self) -> Settlement | None: ...


PLAIN = ("", "identity")
READABLE = (*PLAIN, "gzip", "x-gzip", "deflate")


class Unpacker:
    """gzip or deflate in, the plain bytes out; each call may raise zlib.error."""

    def __init__(self, encoding: str) -> None:
        self._may_be_raw = encoding == "deflate"
        wbits = zlib.MAX_WBITS if self._may_be_raw else zlib.MAX_WBITS | 16
        self._inner = zlib.decompressobj(wbits)

    def receive(self, chunk: bytes) -> bytes:
        try:
            plain = self._inner.decompress(chunk)
        except zlib.error:
            if not self._may_be_raw:
                raise
            # "deflate" means zlib's format; some servers send the bare one, and clients take both.
            self._inner = zlib.decompressobj(-zlib.MAX_WBITS)
            plain = self._inner.decompress(chunk)
        self._may_be_raw = False
        return plain


class Unreadable:
    """An answer packed in a way that the standard library cannot read: passed on, usage unknown."""

    def receive(self, chunk: bytes) -> bytes:
        return chunk

    def close(self) -> bytes:
        return b""

    def settlement(self) -> Settlement | None:
        return None


class Events:
    """A stream of events, read by the codec; handed on as it came unless it is edited."""

    def __init__(
        self,
        reader: StreamReader,
        unpack: Unpacker | None,
        received: Received | None,
        *,
        edits: bool,
    ) -> None:
        self._reader = reader
        self._received = received
        self._unpack = unpack
        self.edits = edits

    def receive(self, chunk: bytes) -> bytes:
        plain = chunk if self._unpack is None else self._unpack.receive(chunk)
        if self._received is not None:
            self._received.event_bytes(plain)
        kept = self._reader.receive(plain)
        return kept if self.edits else chunk

    def is_plain(self) -> bool:
        """Whether the bytes that are handed on are no packed ones."""
        return self.edits or self._unpack is None

    def up_to_event(self, chunk: bytes) -> tuple[bytes | None, bytes]:
        """What of a chunk belongs to whole events, and the whole, as it is handed on.

        None when the chunk does not end the event that was begun, so that nothing can be put in
        between.
        """
        whole = self.receive(chunk)
        if not self.is_plain():
            return None, whole
        if self.edits:
            return b"", whole
        pending = self._reader.pending()
        if pending is None or pending > len(chunk):
            return None, whole
        return chunk[: len(chunk) - pending], whole

    def is_over(self) -> bool:
        """Whether the generation has ended: then the stream does, too."""
        return self._reader.ended or self._reader.settlement is not None

    def close(self) -> bytes:
        rest = self._reader.close()
        return rest if self.edits else b""

    def settlement(self) -> Settlement | None:
        return self._reader.settlement

    def failed(self) -> bool:
        return self._reader.failed

    def only_usage_missing(self) -> bool:
        return self._reader.ended and self._reader.settlement is None


class Whole:
    """An answer in one piece, handed on as it came and kept until its usage can be read."""

    def __init__(self, codec: Codec, unpack: Unpacker | None, received: Received | None) -> None:
        self._codec = codec
        self._received = received
        self._unpack = unpack
        self._parts: list[bytes] = []
        self._bytes = 0

    def receive(self, chunk: bytes) -> bytes:
        plain = chunk if self._unpack is None else self._unpack.receive(chunk)
        self._bytes += len(plain)
        if self._received is not None:
            self._received.body_bytes(plain)
        if self._bytes <= BODY_BYTES_MAX:
            self._parts.append(plain)
        else:
            self._parts.clear()
        return chunk

    def close(self) -> bytes:
        return b""

    def read(self) -> bytes:
        """All of it; nothing of an answer that was too long to be kept."""
        return b"".join(self._parts) if self._bytes <= BODY_BYTES_MAX else b""

    def settlement(self) -> Settlement | None:
        if self._bytes > BODY_BYTES_MAX:
            return None
        try:
            return self._codec.usage(self.read())
        except NoburnError:
            return None  # Not an answer of this API: the usage is unknown, and so charged in full.
