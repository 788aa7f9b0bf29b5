"""The dearest lines of a report, and one for all the others.

Layer: reports, pure.  Below: totals.  Above: lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce

from noburn_cli.reports.latencies import Latencies
from noburn_cli.reports.totals import Line, Report, Sums, Unpriced, cost_order, total_of


def top_lines(report: Report, top: int) -> Report:
    """The dearest lines, in the report's order, and one for all the others."""
    if len(report.lines) <= top:
        return report
    dearest = {line.keys for line in sorted(report.lines, key=cost_order)[:top]}
    shown = [line for line in report.lines if line.keys in dearest]
    rest = [line for line in report.lines if line.keys not in dearest]
    took = [line.latencies for line in rest if line.latencies is not None]
    others = Line(
        _others(report.by, len(rest)),
        report.total - total_of(line.sums for line in shown),
        Latencies.joined(took) if took else None,
    )
    lacking = dict(report.imported.unpriced_by)
    elsewhere = [lacking.pop(keys) for keys in [*lacking] if keys not in dearest]
    if elsewhere:
        lacking[others.keys] = reduce(Unpriced.joined, elsewhere)
    before = report.before
    if before is not None:
        known = [line for line in before.lines if line.keys in dearest]
        gone = before.total - total_of(line.sums for line in known)
        before = replace(before, lines=(*known, Line(others.keys, gone)))
    imported = replace(report.imported, unpriced_by=lacking)
    return replace(report, lines=(*shown, others), before=before, imported=imported)


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
