"""Lines of a report and their total: sums of whole numbers, nothing read and nothing shown.

Layer: reports, pure.  Above: reports.query, which makes the lines, and render.report.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from fractions import Fraction

ZERO = Fraction(0)


@dataclass(frozen=True)
class Sums:
    """What a set of calls amounts to.  Amounts in nano-dollars, tokens and calls whole.

    calls: those that were admitted; blocked and refused ones never left and are counted apart.
    input_tokens: everything that went in, audio, images and cached_tokens (read from a cache)
        included.
    output_tokens: reasoning_tokens, audio and images included.
    searches: of the web and of files, billed by number beside the tokens.
    cost_nano: what is charged, uncertain_nano included.
    uncertain_nano: the part that is charged at its hold because no bill is known.
    notional_nano: at list price, of calls that a subscription pays for; in no cost.
    warned: beyond a budget that only warns; downgraded: sent for a cheaper model.
    overage_nano: booked at their end by budgets of dollars that bill; part of the cost.
    held_nano: money of calls that are still in flight; in no cost yet.
    """

    calls: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    cost_nano: int = 0
    held_nano: int = 0
    uncertain_nano: int = 0
    uncertain: int = 0
    blocked: int = 0
    refused: int = 0
    clamped: int = 0
    notional_nano: int = 0
    searches: int = 0
    warned: int = 0
    downgraded: int = 0
    overage_nano: int = 0

    def __add__(self, other: Sums) -> Sums:
        return Sums(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


@dataclass(frozen=True)
class Line:
    """One line of a report: the values it is grouped by, in the order asked for, and its sums."""

    keys: tuple[str, ...]
    sums: Sums


@dataclass(frozen=True)
class Report:
    """A whole report: lines, dearest first, and their total.

    cut_months: compacted months that the period cuts, and whose calls are in no line.
    """

    by: tuple[str, ...]
    lines: tuple[Line, ...]
    total: Sums
    cut_months: tuple[str, ...] = ()

    def share(self, line: Line) -> Fraction | None:
        """The line's part of all spend; None where nothing was spent."""
        if not self.total.cost_nano:
            return None
        return Fraction(line.sums.cost_nano, self.total.cost_nano)


def make_report(
    by: tuple[str, ...], lines: Iterable[Line], *, cut_months: tuple[str, ...] = ()
) -> Report:
    """Order the lines and add them up.

    The dearest first; days in their own order, because a series is read along time.
    """
    ordered = sorted(lines, key=_day_order if by[:1] == ("day",) else _cost_order)
    total = sum((line.sums for line in ordered), Sums())
    return Report(by, tuple(ordered), total, cut_months)


def _cost_order(line: Line) -> tuple[int, int, tuple[str, ...]]:
    return (-line.sums.cost_nano, -line.sums.calls, line.keys)


def _day_order(line: Line) -> tuple[str, int, tuple[str, ...]]:
    return (line.keys[0], -line.sums.cost_nano, line.keys)
