"""Inputs that are larger than what is worth holding: read once, in blocks, in flat memory.

Layer: I/O.  Below: decoding, core.text_cuts.  Above: inputs, which decides what an input holds, and
estimating, which counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from noburn_cli.core.text_cuts import Cutter
from noburn_cli.decoding import BlockDecoder
from noburn_cli.errors import InputRefused

#: Larger inputs are streamed; it is above any context window (1 M tokens are some 5 MB of prose).
BIG_BYTES = 8 * 1024 * 1024
BLOCK_BYTES = 512 * 1024
#: One request on one line; its JSON is parsed in memory.
LINE_CHARACTERS_MAX = 64 * 1024 * 1024
#: Told how many bytes were read so far.
Reading = Callable[[int], None]


@dataclass(frozen=True)
class Big:
    """One large input.

    size_bytes: how large it is, or None where nobody knows (standard input).
    blocks: its bytes from the start; standard input has them once.
    holds_requests: whether each line is a request; else all of it is one text.
    """

    name: str
    size_bytes: int | None
    blocks: Callable[[], Iterator[bytes]]
    holds_requests: bool

    def texts(self, reading: Reading) -> Iterator[str]:
        """The text in blocks.  Raises InputRefused where it is none, or cannot be read."""
        decoder = BlockDecoder(self.name)
        done = 0
        for block in self.blocks():
            yield decoder.decode(block)
            done += len(block)
            reading(done)
        yield decoder.decode(b"", final=True)

    def parts(self, cutter: Cutter, reading: Reading) -> Iterator[str]:
        """The text in parts that have together the tokens of the whole.  Raises InputRefused."""
        for block in self.texts(reading):
            part = cutter.receive(block)
            if part:
                yield part
        yield cutter.end()

    def lines(self, reading: Reading) -> Iterator[tuple[int, str]]:
        """The lines that are not blank, with their numbers from 1.  Raises InputRefused."""
        number, held, held_characters = 1, [""], 0
        for block in self.texts(reading):
            first, *rest = block.split("\n")
            held.append(first)
            held_characters += len(first)
            if held_characters > LINE_CHARACTERS_MAX:
                raise InputRefused(
                    f"{self.name}:{number} is longer than {LINE_CHARACTERS_MAX:,} characters",
                    next_step="a request that large is beyond every model: split it",
                )
            for line in rest:
                whole = "".join(held)
                if whole.strip():
                    yield number, whole
                number, held, held_characters = number + 1, [line], len(line)
        whole = "".join(held)
        if whole.strip():
            yield number, whole


def file_blocks(path: Path) -> Callable[[], Iterator[bytes]]:
    """The blocks of a file, which is opened when they are asked for."""

    def blocks() -> Iterator[bytes]:
        try:
            with path.open("rb") as file:
                while block := file.read(BLOCK_BYTES):
                    yield block
        except OSError as error:
            why = error.strerror or str(error)
            raise InputRefused(f"{path} cannot be read", why=why) from error

    return blocks


def stream_blocks(head: bytes, rest: BinaryIO) -> Callable[[], Iterator[bytes]]:
    """What was read of a stream already, and then the rest of it."""

    def blocks() -> Iterator[bytes]:
        yield from (head[at : at + BLOCK_BYTES] for at in range(0, len(head), BLOCK_BYTES))
        yield from _as_they_come(rest)

    return blocks


def read_head(stream: BinaryIO, most: int) -> bytes:
    """The first bytes of a stream: fewer than `most` only where it ends."""
    head = bytearray()
    for block in _as_they_come(stream):
        head += block
        if len(head) >= most:
            break
    return bytes(head)


def _as_they_come(stream: BinaryIO) -> Iterator[bytes]:
    """Blocks as a pipe has them: `read` would wait for a full one, and not hear an interrupt."""
    read = getattr(stream, "read1", stream.read)
    while block := read(BLOCK_BYTES):
        yield block
