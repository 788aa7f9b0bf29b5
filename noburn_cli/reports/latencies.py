"""How long calls took, as counts in buckets that can be added up.

Layer: reports, pure.  Above: totals, rollups, query, render.report.
Owns: where a bucket begins and ends, and what a percentile read from buckets is worth.

A bucket ends at 1.05 times where it begins, so that a percentile is right to 2.5 % whatever the
calls: what is told is the middle of the bucket that the exact percentile lies in.  Sums of buckets
are exact; percentiles of percentiles would not be.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction

#: How much longer a bucket's end is than its beginning.
GROWTH = 1.05
_LOG = math.log(GROWTH)
#: What a percentile may be off by, relatively.
ERROR = (GROWTH - 1) / (GROWTH + 1)
#: The percentiles that reports tell.
P50, P95 = Fraction(1, 2), Fraction(19, 20)

#: The same in SQL, of a latency in milliseconds; NULL stays NULL.
BUCKET_SQL = f"CASE WHEN {{0}} < 1 THEN 0 ELSE 1 + CAST(ln({{0}}) / {_LOG!r} AS INTEGER) END"


def bucket_of(latency_ms: int) -> int:
    """The bucket of a latency: 0 below a millisecond."""
    return 0 if latency_ms < 1 else 1 + int(math.log(latency_ms) / _LOG)


def _middle_ms(bucket: int) -> float:
    """What stands for a bucket: off by the same factor from both of its ends."""
    if bucket == 0:
        return 0.0
    begins = GROWTH ** (bucket - 1)
    return begins * 2 * GROWTH / (1 + GROWTH)


@dataclass(frozen=True)
class Latencies:
    """Calls by bucket; counts above 0."""

    counts: Mapping[int, int]

    @property
    def calls(self) -> int:
        return sum(self.counts.values())

    def percentile_ms(self, share: Fraction) -> int | None:
        """A latency that this share of the calls does not exceed (nearest rank), to 2.5 %.

        None without calls.
        """
        rank = max(1, math.ceil(share * self.calls))
        seen = 0
        for bucket in sorted(self.counts):
            seen += self.counts[bucket]
            if seen >= rank:
                return round(_middle_ms(bucket))
        return None

    @staticmethod
    def joined(parts: Iterable[Latencies]) -> Latencies:
        """All of them together."""
        counts: Counter[int] = Counter()
        for part in parts:
            counts.update(part.counts)
        return Latencies({bucket: count for bucket, count in counts.items() if count})


def percentile_ms(latencies: Latencies | None, share: Fraction) -> int | None:
    """The same of latencies that may not have been asked for."""
    return None if latencies is None else latencies.percentile_ms(share)
