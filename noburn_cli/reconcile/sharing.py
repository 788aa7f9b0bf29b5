"""A whole amount in whole parts.

Layer: reconcile, pure.  Below: nothing.  Above: matching, entries.
"""

from __future__ import annotations

from collections.abc import Iterable


def split(amount: int, weights: Iterable[int]) -> list[int]:
    """A whole amount in whole parts, by weights >= 0, to the last unit: the largest rests first.

    Without any weight the parts are as equal as can be.
    """
    sizes = [max(0, weight) for weight in weights]
    if not any(sizes):
        sizes = [1] * len(sizes)
    total, sign = sum(sizes), -1 if amount < 0 else 1
    parts = [abs(amount) * size // total for size in sizes]
    rests = sorted(range(len(sizes)), key=lambda n: (-(abs(amount) * sizes[n] % total), n))
    for n in rests[: abs(amount) - sum(parts)]:
        parts[n] += 1
    return [sign * part for part in parts]
