"""A range of whole numbers, of tokens or of nano-dollars.

Layer: core (pure).  Below: the standard library: a configuration is read with it at every start.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Span:
    """From the least to the most, both included."""

    low: int
    high: int

    def __add__(self, other: Span) -> Span:
        return Span(self.low + other.low, self.high + other.high)

    def __mul__(self, times: int) -> Span:
        return Span(self.low * times, self.high * times)


NOTHING = Span(0, 0)
