"""Counts that only grow: what every metric of the export is made of.

Layer: otel, pure.  Below: conventions.  Above: metrics, cursor.
Owns: how one event changes the counts.  They are cumulative from the first exported row on, so that
a request which is sent again says the same and counts nothing twice.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any


@dataclass
class Counts:
    """A histogram's counts so far; bounds are upper ones, inclusive, and the last bucket is open.

    total: the sum of what was counted, in the metric's unit (nano-dollars for a cost, which has no
    buckets).
    """

    bounds: Sequence[float] = ()
    count: int = 0
    total: float = 0
    low: float = 0
    high: float = 0
    buckets: list[int] = field(default_factory=list)

    def add(self, value: float) -> None:
        """Count one value."""
        self.low = value if not self.count else min(self.low, value)
        self.high = value if not self.count else max(self.high, value)
        self.count += 1
        self.total += value
        if self.bounds:
            self.buckets = self.buckets or [0] * (len(self.bounds) + 1)
            self.buckets[bisect_left(self.bounds, value)] += 1

    def text(self) -> str:
        """As it is remembered."""
        return json.dumps([self.count, self.total, self.low, self.high, self.buckets])

    @classmethod
    def of_text(cls, text: str, bounds: Sequence[float]) -> Counts:
        """Raises ValueError when it is none."""
        count, total, low, high, buckets = json.loads(text)
        return cls(bounds, count, total, low, high, buckets)


@dataclass(frozen=True)
class Series:
    """One metric with one set of attributes."""

    metric: str
    attributes: tuple[tuple[str, Any], ...]

    @classmethod
    def of(cls, metric: str, attributes: Mapping[str, Any]) -> Series:
        known = {key: value for key, value in attributes.items() if value is not None}
        return cls(metric, tuple(sorted(known.items())))

    @property
    def key(self) -> str:
        """What it is remembered under: a digest, so that no customer's name is kept."""
        text = json.dumps([self.metric, self.attributes], ensure_ascii=False)
        return blake2b(text.encode(), digest_size=16, person=b"noburn series").hexdigest()
