"""What an account of a rolling window holds, in buckets that leave one after the other.

Layer: daemon, pure.  Below: core.windows.  Above: accounts.
Owns: when a bucket leaves, what has left, when a call would fit.
Not here: the account's balance and capacity (accounts), which follow what is told here.

A call is in the bucket of the moment it was reserved at, and leaves with the whole of it, a full
length after the bucket's end: late rather than early.  A top-up leaves in the same way.  What is
corrected after its bucket has left changes nothing.
"""

from __future__ import annotations

import json

from noburn_cli.core.windows import bucket_ms, expires_at_ms

NEVER_MS = 2**62


class Ring:
    """The buckets that have not left yet, by number; each [settled, topped up].

    next_ms: when the next one leaves; NEVER_MS when there is none.
    """

    __slots__ = ("_buckets", "_length_ms", "_width_ms", "next_ms")

    def __init__(self, length_ms: int) -> None:
        self._length_ms = length_ms
        self._width_ms = bucket_ms(length_ms)
        self._buckets: dict[int, list[int]] = {}
        self.next_ms = NEVER_MS

    def __bool__(self) -> bool:
        return bool(self._buckets)

    def add(self, at_ms: int, now_ms: int, *, settled: int = 0, topup: int = 0) -> bool:
        """Put an amount into the bucket of a moment; whether that one is still there."""
        if expires_at_ms(self._length_ms, at_ms) <= now_ms:
            return False
        number = at_ms // self._width_ms
        bucket = self._buckets.get(number)
        if bucket is None:
            self._buckets[number] = [settled, topup]
            self.next_ms = min(self.next_ms, self._leaves_ms(number))
        else:
            bucket[0] += settled
            bucket[1] += topup
        return True

    def expire(self, now_ms: int) -> tuple[int, int]:
        """Let go of what has left by now: (settled, topped up)."""
        gone = [number for number in self._buckets if self._leaves_ms(number) <= now_ms]
        left = [self._buckets.pop(number) for number in gone]
        self._look()
        return sum(settled for settled, _ in left), sum(topup for _, topup in left)

    def returned_by(self, until_ms: int) -> int:
        """How much more there is at a moment than now, if nothing happens until then."""
        return sum(
            settled - topup
            for number, (settled, topup) in self._buckets.items()
            if self._leaves_ms(number) <= until_ms
        )

    def fits_ms(self, lacking: int) -> int | None:
        """When so much will have left, if nothing happens until then; None for never.

        lacking: above 0.
        """
        for number in sorted(self._buckets):
            settled, topup = self._buckets[number]
            lacking -= settled - topup
            if lacking <= 0:
                return self._leaves_ms(number)
        return None

    def text(self) -> str:
        """The buckets as stored: JSON, number to [settled, topped up]."""
        return json.dumps(self._buckets, separators=(",", ":"))

    def read(self, text: str) -> tuple[int, int]:
        """Take over stored buckets; what they sum up to: (settled, topped up)."""
        self._buckets = {int(number): list(pair) for number, pair in json.loads(text).items()}
        self._look()
        pairs = self._buckets.values()
        return sum(settled for settled, _ in pairs), sum(topup for _, topup in pairs)

    def _look(self) -> None:
        self.next_ms = self._leaves_ms(min(self._buckets)) if self._buckets else NEVER_MS

    def _leaves_ms(self, number: int) -> int:
        return (number + 1) * self._width_ms + self._length_ms
