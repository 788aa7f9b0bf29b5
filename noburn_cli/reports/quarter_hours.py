"""Are the sums by context and quarter-hour, with which new budgets start, those of the calls?

Layer: reports, pure.  Above: reports.balances.
There may be more of them than fit in memory, and they come in another order than the calls.  So
neither side is kept: each cell's amounts are multiplied by a number that is made from the cell and
a key of this check alone, and both sides are added up.  They agree when every cell does; that two
different sides agree by chance has the odds of one in 2**61.
"""

from __future__ import annotations

import secrets
from hashlib import blake2b

_PRIME = 2**61 - 1
_KNOWN_MAX = 50_000


class Cells:
    """Two sides of a table of (nano-dollars, tokens, requests) by cell."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(16)
        self._factors: dict[tuple[object, int], tuple[int, int, int]] = {}
        self._difference = 0

    def add(self, place: object, context: int, nano: int, tokens: int, requests: int) -> None:
        """An amount on the one side."""
        a, b, c = self._factor((place, context))
        self._difference = (self._difference + a * nano + b * tokens + c * requests) % _PRIME

    def take(self, place: object, context: int, nano: int, tokens: int, requests: int) -> None:
        """An amount on the other side."""
        self.add(place, context, -nano, -tokens, -requests)

    @property
    def agree(self) -> bool:
        return self._difference == 0

    def _factor(self, cell: tuple[object, int]) -> tuple[int, int, int]:
        found = self._factors.get(cell)
        if found is None:
            if len(self._factors) >= _KNOWN_MAX:
                self._factors.clear()
            digest = blake2b(repr(cell).encode(), digest_size=24, key=self._key).digest()
            first, second, third = (
                int.from_bytes(digest[at : at + 8], "big") % _PRIME for at in (0, 8, 16)
            )
            found = self._factors[cell] = (first, second, third)
        return found
