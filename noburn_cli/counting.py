"""Counts the parts of a large text on several threads, in order and in flat memory.

Layer: I/O (threads).  Below: ranks, core.bounds, core.text_features.  Above: estimating.
tiktoken lets other threads run while it counts; reading and cutting stay in the caller's thread.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from noburn_cli import ranks
from noburn_cli.core.bounds import utf8_bytes
from noburn_cli.core.claude_bound import tokens_max
from noburn_cli.core.text_features import features

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

#: More threads than this wait for the one that reads.
_THREADS_MAX = 4


@dataclass
class Tally:
    """What was counted so far: the whole, or what there is when somebody interrupts.

    bytes: UTF-8 bytes; expanded: see core.bounds.Measure, 0 where nobody asked for it.
    tokens: by the name of the encoding.
    features: see core.text_features; empty where nobody asked for them.
    """

    bytes: int = 0
    expanded: int = 0
    tokens: dict[str, int] = field(default_factory=dict)
    features: list[int] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        self.bytes += other.bytes
        self.expanded += other.expanded
        for name, count in other.tokens.items():
            self.tokens[name] = self.tokens.get(name, 0) + count
        if other.features:
            before = self.features or [0] * len(other.features)
            self.features = [a + b for a, b in zip(before, other.features, strict=True)]


def tally_part(part: str, encodings: Sequence[str], *, expands: bool, base: str | None) -> Tally:
    """One part by every encoding; with its features from its tokens by `base`, if that is given."""
    counts = {name: ranks.count(name, part) for name in encodings}
    found: list[int] = []
    if base is not None:
        found = features(part, counts[base] if base in counts else ranks.count(base, part))
    return Tally(
        bytes=utf8_bytes(part),
        expanded=tokens_max(part) if expands else 0,
        tokens=counts,
        features=found,
    )


def tally_parts(
    parts: Iterable[str],
    encodings: Sequence[str],
    tally: Tally,
    *,
    expands: bool,
    base: str | None = None,
) -> None:
    """Add every part to `tally`, which is right at any moment for the parts that are in it.

    Raises what reading the parts raises; then, and when it is interrupted, no thread is left.
    """
    for name in encodings if base is None else (*encodings, base):
        ranks.encoding(name)  # Loaded once, before the threads ask for it together.
    with _threads() as (pool, width):
        waiting: deque[Future[Tally]] = deque()
        for part in parts:
            if len(waiting) > 2 * width:
                tally.add(waiting.popleft().result())
            waiting.append(pool.submit(tally_part, part, encodings, expands=expands, base=base))
        while waiting:
            tally.add(waiting.popleft().result())


@contextmanager
def _threads() -> Iterator[tuple[ThreadPoolExecutor, int]]:
    from concurrent.futures import ThreadPoolExecutor  # Only large inputs need it.

    width = min(_THREADS_MAX, os.cpu_count() or 1)
    pool = ThreadPoolExecutor(width, thread_name_prefix="noburn-count")
    try:
        yield pool, width
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
