"""Bytes that should be text, as text: whole, or in blocks as they come.

Layer: core's neighbour (no file of its own).  Below: errors.  Above: inputs, big_inputs, gating.
Owns: what is not text, and how that is said.
"""

from __future__ import annotations

import codecs

from noburn_cli.errors import InputRefused

#: What is read whole at most: far above any context window (1 M tokens are some 5 MB).
FILE_BYTES_MAX = 256 * 1024 * 1024
#: Where a NUL is looked for: text has none.
HEAD_BYTES = 8192
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


def is_binary(data: bytes) -> bool:
    """Whether the start of an input has a byte that no text has."""
    return not data.startswith(_UTF16) and b"\x00" in data[:HEAD_BYTES]


def check_head(name: str, data: bytes) -> None:
    """Raises InputRefused when an input starts as no UTF-8 text does."""
    if data.startswith(_UTF16):
        raise InputRefused(
            f"{name} is UTF-16",
            why="providers take UTF-8, and the same text has other bytes in it",
            next_step=f"convert it: iconv -f UTF-16 -t UTF-8 {name}",
        )
    if is_binary(data):
        raise InputRefused(f"{name} is binary", why="it contains NUL bytes: that is not text")


def decoded(name: str, data: bytes) -> str:
    """The text in an input.  Raises InputRefused for what is none."""
    if len(data) > FILE_BYTES_MAX:
        raise InputRefused(f"{name} is larger than {FILE_BYTES_MAX:,} bytes")
    check_head(name, data)
    return BlockDecoder(name).decode(data, final=True)


class BlockDecoder:
    """UTF-8 in blocks that may end inside a character; a mark at the start is dropped."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._received = 0

    def decode(self, block: bytes, *, final: bool = False) -> str:
        """Raises InputRefused at the first byte that cannot stand where it does."""
        try:
            text = self._decoder.decode(block, final)
        except UnicodeDecodeError as error:
            # What the decoder held back from the block before comes first in `error.object`.
            start = self._received + len(block) - len(error.object) + error.start
            raise InputRefused(
                f"{self._name} is not UTF-8",
                why=f"byte {start} ({error.object[error.start]:#04x}) cannot stand there",
                next_step="convert it to UTF-8 (iconv), or leave it out",
            ) from error
        self._received += len(block)
        return text
