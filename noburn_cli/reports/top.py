"""The dearest lines of a report, and one for all the others.

Layer: reports, pure.  Below: totals.  Above: lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from noburn_cli.reports.latencies import Latencies
from noburn_cli.reports.totals import Line, Report, Sums, total_of


def top_lines(report: Report, top: int) -> Report:
    """The first lines, and one for all the others."""
    rest = report.lines[top:]
    if not rest:
        return report
    shown = report.lines[:top]
    took = [line.latencies for line in rest if line.latencies is not None]
    others = Line(
        _others(report.by, len(rest)),
        report.total - total_of(line.sums for line in shown),
        Latencies.joined(took) if took else None,
    )
    before = report.before
    if before is not None:
        kept = {line.keys for line in shown}
        known = [line for line in before.lines if line.keys in kept]
        gone = before.total - total_of(line.sums for line in known)
        before = replace(before, lines=(*known, Line(others.keys, gone)))
    return replace(report, lines=(*shown, others), before=before)


def with_others(
    by: tuple[str, ...], lines: Sequence[Line], more: int, total: Sums,
    *, cut_months: tuple[str, ...],
) -> Report:  # fmt: skip
    """A report of the dearest lines and the total of all, of which `more` are not among them."""
    shown = tuple(lines)
    if more:
        rest = total - total_of(line.sums for line in shown)
        shown = (*shown, Line(_others(by, more), rest))
    return Report(by, shown, total, cut_months)


def _others(by: tuple[str, ...], count: int) -> tuple[str, ...]:
    return (f"({count:,} {'other' if count == 1 else 'others'})", *("" for _ in by[1:]))
