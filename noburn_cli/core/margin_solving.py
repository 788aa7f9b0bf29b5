"""Where a margin holds: every range of a quantity, to the last whole step, and never beyond it.

Layer: core (pure).  Below: core.margin_month, core.margin_quantities.  Above: `noburn margin`.
Owns: `ranges_keeping`, Answer, Edge.

A month's lines are linear in a quantity between the points at which an allowance ends or a limit of
the charge is met (PlanBill.watched is zero there).  So what is left above the promise, margin less
the kept share of revenue, is linear there too, and its zero is a division of whole numbers.  One
line is not, though it only rises or falls: overhead per request of usage that stops at an amount of
dollars, where caching changes the dollars of a request.  So every zero is tried, and halved for
where it is none.  No tolerance: each end of a range keeps the promise and the next step does not.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from enum import Enum
from fractions import Fraction
from typing import NamedTuple

from noburn_cli.core.margin_month import Month, Scenario, month_of
from noburn_cli.core.margin_quantities import Quantity


class Reach(Enum):
    """Whether a question has a number for an answer."""

    AT = "at"
    ALWAYS = "always"
    NEVER = "never"


class Range(NamedTuple):
    """From low to high, both included, in steps of a quantity."""

    low: int
    high: int


class Answer(NamedTuple):
    """Where a promise holds.

    keep: the share of revenue that is to be left.  ranges: apart and in order.
    best: the largest share of revenue that any value leaves, and where; None without revenue.
    """

    quantity: Quantity
    keep: Fraction
    ranges: tuple[Range, ...]
    best: tuple[int, Fraction] | None

    @property
    def reach(self) -> Reach:
        if not self.ranges:
            return Reach.NEVER
        whole = Range(self.quantity.low, self.quantity.high)
        return Reach.ALWAYS if self.ranges == (whole,) else Reach.AT

    @property
    def value(self) -> int | None:
        """The one number that answers: the most, or the least, that keeps the promise.

        Of what should be small (tokens) the most that holds from the first on, or None where the
        first does not hold (or holds alone: no tokens, no fee); of what should be large (a price)
        the least.
        """
        if self.reach is not Reach.AT:
            return None
        first = self.ranges[0]
        if self.quantity.better_up:
            return first.low
        alone = first.high == self.quantity.low and len(self.ranges) > 1
        return first.high if first.low == self.quantity.low and not alone else None

    @property
    def charged(self) -> int | None:
        """That number rounded to what can be charged, on the side on which the promise holds."""
        if self.value is None or not self.quantity.better_up:
            return self.value
        step = self.quantity.charged
        rounded = -(-self.value // step) * step
        return rounded if self.holds(rounded) else self.value

    def holds(self, value: int) -> bool:
        return any(one.low <= value <= one.high for one in self.ranges)


class Edge(NamedTuple):
    """A value of a quantity at which the margin passes a share of revenue.

    value: the last that can be charged on the side that keeps it.  falls: it is lost beyond.
    """

    value: int
    keep: Fraction
    falls: bool


def answer(scenario: Scenario, quantity: Quantity, *, keep: Fraction) -> Answer:
    """Where the scenario leaves `keep` of revenue, over all that the quantity can be."""
    curve = _Curve(scenario, quantity)
    pieces = list(_pieces(curve, quantity.low, quantity.high))
    ranges = tuple(_merged(_kept(curve, pieces, keep)))
    return Answer(quantity, keep, ranges, _best(curve, pieces))


def edges(
    scenario: Scenario, quantity: Quantity, *, keep: Fraction, low: int, high: int
) -> list[Edge]:
    """The ends of the ranges that lie between low and high."""
    curve = _Curve(scenario, quantity)
    pieces = list(_pieces(curve, low, high))
    step, found = quantity.charged, []
    for one in _merged(_kept(curve, pieces, keep)):
        up, down = -(-one.low // step) * step, one.high // step * step
        if one.low > low:
            found.append(Edge(up if up <= one.high else one.low, keep, falls=False))
        if one.high < high:
            found.append(Edge(down if down >= one.low else one.high, keep, falls=True))
    return found


class _Curve:
    """Months by value, each worked out once."""

    def __init__(self, scenario: Scenario, quantity: Quantity) -> None:
        self._scenario = scenario
        self._quantity = quantity
        self._known: dict[int, Month] = {}

    def month(self, value: int) -> Month:
        if value not in self._known:
            self._known[value] = month_of(self._quantity.put(self._scenario, value))
        return self._known[value]

    def left(self, value: int, keep: Fraction) -> Fraction:
        """Margin above what is to be kept; the promise holds from 0 on."""
        month = self.month(value)
        return month.margin_nano - keep * month.revenue_nano


def _pieces(curve: _Curve, low: int, high: int) -> Iterator[Range]:
    """[low, high] in parts within which nothing that is watched changes its sign."""
    waiting = [Range(low, high)]
    while waiting:
        piece = waiting.pop()
        cut = _cut(curve, piece)
        if cut is None:
            yield piece
            continue
        waiting.append(Range(cut, piece.high))
        waiting.append(Range(piece.low, cut - 1))


def _cut(curve: _Curve, piece: Range) -> int | None:
    """The first value of the second part of a piece, or None where it is whole.

    The watched are in an order in which each is linear once those before it are settled.
    """
    if piece.low == piece.high:
        return None
    starts, ends = curve.month(piece.low).bill.watched, curve.month(piece.high).bill.watched
    for start, end in zip(starts, ends, strict=True):
        if _sign(start) == _sign(end):
            continue
        zero = piece.low + start * (piece.high - piece.low) / (start - end)
        # At the zero itself a line may jump (a fee begins): it is a piece of its own.
        for cut in (math.ceil(zero), math.floor(zero) + 1):
            if piece.low < cut <= piece.high:
                return cut
    return None


def _sign(number: Fraction) -> int:
    return (number > 0) - (number < 0)


def _kept(curve: _Curve, pieces: list[Range], keep: Fraction) -> Iterator[Range]:
    """The part of each piece that keeps the promise: what is left is linear within a piece."""
    for piece in pieces:
        start, end = curve.left(piece.low, keep), curve.left(piece.high, keep)
        if start >= 0 and end >= 0:
            yield piece
        elif start >= 0:
            yield Range(piece.low, _last(curve, piece, keep, kept_at=piece.low))
        elif end >= 0:
            yield Range(_last(curve, piece, keep, kept_at=piece.high), piece.high)


def _last(curve: _Curve, piece: Range, keep: Fraction, *, kept_at: int) -> int:
    """The last value, seen from the end that keeps the promise, that still keeps it."""
    lost_at, step = (piece.high, 1) if kept_at == piece.low else (piece.low, -1)
    start, end = curve.left(kept_at, keep), curve.left(lost_at, keep)
    zero = kept_at + start * (lost_at - kept_at) / (start - end)
    found = math.floor(zero) if step > 0 else math.ceil(zero)
    if found != lost_at and curve.left(found, keep) >= 0 > curve.left(found + step, keep):
        return found
    while abs(lost_at - kept_at) > 1:
        middle = (kept_at + lost_at) // 2
        if curve.left(middle, keep) >= 0:
            kept_at = middle
        else:
            lost_at = middle
    return kept_at


def _merged(ranges: Iterator[Range]) -> Iterator[Range]:
    before: Range | None = None
    for one in ranges:
        if before is not None and before.high + 1 == one.low:
            before = Range(before.low, one.high)
            continue
        if before is not None:
            yield before
        before = one
    if before is not None:
        yield before


def _best(curve: _Curve, pieces: list[Range]) -> tuple[int, Fraction] | None:
    """The largest share of revenue at an end of a piece: within one it only rises or falls."""
    shares = [
        (share, value)
        for piece in pieces
        for value in (piece.low, piece.high)
        if (share := curve.month(value).margin_share) is not None
    ]
    if not shares:
        return None
    share, value = max(shares, key=lambda pair: (pair[0], -pair[1]))
    return value, share


def sweep(
    scenario: Scenario, quantity: Quantity, *, low: int, high: int, points: int
) -> list[tuple[int, Month]]:
    """Months at so many values from low to high, evenly spaced and both ends included."""
    count = max(points - 1, 1)
    values = sorted({low + (high - low) * number // count for number in range(count + 1)})
    curve = _Curve(scenario, quantity)
    return [(value, curve.month(value)) for value in values]


class Bend(NamedTuple):
    """A value at which the margin's slope changes, and what ends or begins there."""

    value: int
    reason: str


def breaks(scenario: Scenario, quantity: Quantity, *, low: int, high: int) -> list[Bend]:
    """Where an allowance is used up or a limit of the charge is met."""
    curve = _Curve(scenario, quantity)
    found: list[Bend] = []
    for piece in list(_pieces(curve, low, high))[1:]:
        # A piece of the border alone stands for both of its sides.
        if not found or found[-1].value != piece.low - 1:
            reason = _reason(curve, max(piece.low - 2, low), min(piece.low + 2, high))
            if reason:
                found.append(Bend(piece.low, reason))
    return found


def _reason(curve: _Curve, before: int, after: int) -> str:
    """What differs between the two sides of a border; "" where the lines only go on."""
    one, other = curve.month(before).bill, curve.month(after).bill
    if (one.beyond > 0) != (other.beyond > 0) or (one.served < 1) != (other.served < 1):
        return "allowance used up"
    if (one.adjustment_nano > 0) != (other.adjustment_nano > 0):
        return "minimum of the charge"
    if (one.adjustment_nano < 0) != (other.adjustment_nano < 0):
        return "maximum of the charge"
    return ""
