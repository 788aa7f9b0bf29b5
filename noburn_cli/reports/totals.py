"""Lines of a report and their total: sums of whole numbers, nothing read and nothing shown.

Layer: reports, pure.  Above: reports.query and rollups, which make the lines, and render.report.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from fractions import Fraction
from functools import reduce
from operator import attrgetter
from typing import NamedTuple

from noburn_cli.reports.latencies import Latencies

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
    limited, client_errors, server_errors: admitted calls that the provider answered with 429, with
        another status from 400 to 499, with one from 500 on; broken: that failed without one.
    timed: calls whose latency is known; latency_ms: the sum of theirs.
    write_5m_tokens, write_1h_tokens: written to a cache; extra_input_tokens, extra_cached_tokens,
        extra_output_tokens: of audio and images.  Parts of the input and the output above.
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
    limited: int = 0
    client_errors: int = 0
    server_errors: int = 0
    broken: int = 0
    timed: int = 0
    latency_ms: int = 0
    write_5m_tokens: int = 0
    write_1h_tokens: int = 0
    extra_input_tokens: int = 0
    extra_cached_tokens: int = 0
    extra_output_tokens: int = 0

    def __add__(self, other: Sums) -> Sums:
        return Sums(*(a + b for a, b in zip(values(self), values(other), strict=True)))

    def __sub__(self, other: Sums) -> Sums:
        return Sums(*(a - b for a, b in zip(values(self), values(other), strict=True)))

    @property
    def errors(self) -> int:
        """Admitted calls that failed, whatever the reason."""
        return self.limited + self.client_errors + self.server_errors + self.broken

    @property
    def error_rate(self) -> Fraction | None:
        """Their share of the calls; None without calls."""
        return Fraction(self.errors, self.calls) if self.calls > 0 else None


#: The names of the sums, in their order.
SUMS = tuple(one.name for one in fields(Sums))


#: The numbers of Sums, in the order of SUMS.  Reports have tens of thousands of lines: this takes a
#: fifth of the time of a loop over the names.
values: Callable[[Sums], tuple[int, ...]] = attrgetter(*SUMS)


def total_of(parts: Iterable[Sums]) -> Sums:
    """All of them together."""
    columns = list(zip(*(values(part) for part in parts), strict=True))
    return Sums(*(sum(column) for column in columns)) if columns else Sums()


@dataclass(frozen=True)
class Line:
    """One line of a report: the values it is grouped by, in the order asked for, and its sums.

    latencies: how long its calls took; None unless asked for.
    """

    keys: tuple[str, ...]
    sums: Sums
    latencies: Latencies | None = None


class Unpriced(NamedTuple):
    """Calls whose cost nobody knows, and which are in no amount.

    paid: those that somebody is charged for.  notional: those that a subscription pays for.
    """

    paid: int = 0
    notional: int = 0

    @property
    def calls(self) -> int:
        return self.paid + self.notional

    def joined(self, other: Unpriced) -> Unpriced:
        return Unpriced(self.paid + other.paid, self.notional + other.notional)


#: Of calls whose costs are all known.
KNOWN = Unpriced()


@dataclass(frozen=True)
class Imported:
    """What other tools' records added to a report.

    calls, cost_nano: of each source, the part that is in the lines.  doubled: imported calls that
    the ledger knows by the provider's id, and which were therefore left out.
    unpriced_by: of each line that has some, its calls whose cost nobody knows.
    """

    calls: Mapping[str, int] = field(default_factory=dict)
    cost_nano: Mapping[str, int] = field(default_factory=dict)
    doubled: int = 0
    unpriced_by: Mapping[tuple[str, ...], Unpriced] = field(default_factory=dict)

    @property
    def unpriced(self) -> Unpriced:
        """The same of all lines together."""
        return reduce(Unpriced.joined, self.unpriced_by.values(), KNOWN)

    def unpriced_of(self, line: Line) -> Unpriced:
        return self.unpriced_by.get(line.keys, KNOWN)


@dataclass(frozen=True)
class Report:
    """A whole report: lines, dearest first, and their total.

    cut_months: compacted months that the period cuts, and whose calls are in no line.
    latencies: of all calls; None unless asked for.
    before: the same for the period before; None unless asked for.
    scanned: why the whole ledger was read instead of the sums that are kept; None when it was not.
    """

    by: tuple[str, ...]
    lines: tuple[Line, ...]
    total: Sums
    cut_months: tuple[str, ...] = ()
    latencies: Latencies | None = None
    before: Report | None = None
    scanned: str | None = None
    imported: Imported = field(default_factory=Imported)

    def share(self, line: Line) -> Fraction | None:
        """The line's part of all spend; None where nothing was spent."""
        if not self.total.cost_nano:
            return None
        return Fraction(line.sums.cost_nano, self.total.cost_nano)

    def with_before(self, before: Report) -> Report:
        return replace(self, before=before)


#: Columns that are read along time: their lines stand in its order.
IN_TIME = ("hour", "day", "week", "month")


def make_report(
    by: tuple[str, ...], lines: Iterable[Line], *, cut_months: tuple[str, ...] = (),
    scanned: str | None = None, imported: Imported | None = None,
) -> Report:  # fmt: skip
    """Order the lines and add them up.

    The dearest first; days in their own order, because a series is read along time: of all, or of
    each customer where days come after the customer.
    """
    known_lines = list(lines)
    if by and by[0] in IN_TIME:
        ordered = sorted(known_lines, key=_time_order)
    elif any(name in IN_TIME for name in by):
        ordered = _series(by, known_lines)
    else:
        ordered = sorted(known_lines, key=cost_order)
    total = total_of(line.sums for line in ordered)
    known = [line.latencies for line in ordered if line.latencies is not None]
    return Report(
        by, tuple(ordered), total, cut_months, Latencies.joined(known) if known else None,
        scanned=scanned, imported=imported or Imported(),
    )  # fmt: skip


def _series(by: tuple[str, ...], lines: list[Line]) -> list[Line]:
    """Lines with the same names together, the dearest names first, each along time."""
    places = [place for place, name in enumerate(by) if name not in IN_TIME]

    def name_of(line: Line) -> tuple[str, ...]:
        return tuple(line.keys[place] for place in places)

    costs: dict[tuple[str, ...], int] = {}
    for line in lines:
        costs[name_of(line)] = costs.get(name_of(line), 0) + line.sums.cost_nano
    return sorted(lines, key=lambda line: (-costs[name_of(line)], name_of(line), line.keys))


def cost_order(line: Line) -> tuple[int, int, int, tuple[str, ...]]:
    """The dearest first; of those that cost as much, what a subscription pays for decides."""
    sums = line.sums
    return (-sums.cost_nano, -sums.notional_nano, -sums.calls, line.keys)


def _time_order(line: Line) -> tuple[str, int, tuple[str, ...]]:
    return (line.keys[0], -line.sums.cost_nano, line.keys)
