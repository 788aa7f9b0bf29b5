"""The columns of a report's table: names, numbers, the period before, how fast calls were.

Layer: render (pure).  Below: reports.totals, reports.latencies, core.money, render.table.
Above: render.report, render.report_markdown, render.steps.
Amounts are rounded for the eye only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from noburn_cli.core.money import show_count, show_dollars, show_percent
from noburn_cli.render.shares import share_for_the_eye
from noburn_cli.render.table import RIGHT, Column
from noburn_cli.reports.latencies import P50, P95, Latencies, percentile_ms
from noburn_cli.reports.totals import IN_TIME, KNOWN, Line, Report, Sums, Unpriced


def report_columns(report: Report) -> list[Column]:
    """The table's columns, the total in their last cells."""
    lines = compared_lines(report)
    whole = Fraction(1) if report.total.cost_nano else None
    shown = [
        *(Shown(one.sums, report.share(one), report.imported.unpriced_of(one)) for one in lines),
        Shown(report.total, whole, report.imported.unpriced),
    ]
    columns = [_name_column(report.by, place, lines) for place in range(len(report.by))]
    columns += number_columns(shown)
    if report.before is not None:
        place = next(n for n, column in enumerate(columns) if column.header == SHARE)
        columns[place:place] = _change_columns(report, report.before, lines)
    if report.latencies is not None:
        columns += _speed_columns(report, lines)
    return columns


def _name_column(by: tuple[str, ...], place: int, lines: Sequence[Line]) -> Column:
    """What the lines are called; the dates of one along time are never cut, nor `(2,000 others)`:
    a cut number would be a wrong one.
    """
    cells = [*(line.keys[place] for line in lines), "" if place else "TOTAL"]
    others = [cell for cell in cells if cell.startswith("(")]
    return Column(
        by[place].upper(), cells, shorten=by[place] not in IN_TIME,
        least=max(map(len, others), default=0),
    )  # fmt: skip


@dataclass(frozen=True)
class Shown:
    """What one line of a table tells of.  unpriced: calls of it that are in no amount."""

    sums: Sums
    share: Fraction | None
    unpriced: Unpriced = KNOWN


def number_columns(shown: Sequence[Shown]) -> list[Column]:
    """The numbers of a table's lines; the least telling ones go where a terminal is narrow."""
    columns = [
        Column(header, [cell(one) for one in shown], RIGHT, give_up=give_up)
        for header, give_up, cell in _NUMBERS
    ]
    if any(one.sums.notional_nano or one.unpriced.notional for one in shown):
        notional = [_notional(one) for one in shown]
        columns.insert(_COST_PLACE + 1, Column("NOTIONAL", notional, RIGHT))
    return columns


def cost_cell(nano: int, unknown: int) -> str:
    """A cost for the eye.  unknown: of how many more calls nobody knows it; it is not 0."""
    if not unknown:
        return show_dollars(nano)
    return f"{show_dollars(nano)} + ?" if nano else "?"


def _notional(one: Shown) -> str:
    nano, unknown = one.sums.notional_nano, one.unpriced.notional
    return cost_cell(nano, unknown) if nano or unknown else "-"


def _share(one: Shown) -> str:
    is_unknown = one.unpriced.paid and not one.sums.cost_nano
    return "-" if is_unknown else share_for_the_eye(one.share)


SHARE = "SHARE"
#: Headers, in which order columns go where a terminal is too narrow, and their cells.
_NUMBERS: tuple[tuple[str, int | None, Callable[[Shown], str]], ...] = (
    ("CALLS", None, lambda one: show_count(one.sums.calls)),
    ("TOKENS IN", 5, lambda one: show_count(one.sums.input_tokens)),
    ("TOKENS OUT", 4, lambda one: show_count(one.sums.output_tokens)),
    ("COST", None, lambda one: cost_cell(one.sums.cost_nano, one.unpriced.paid)),
    (SHARE, 7, _share),
    ("HELD", 2, lambda one: _amount(one.sums.held_nano)),
    ("UNCERTAIN", 3, lambda one: _amount(one.sums.uncertain_nano)),
    ("BLOCKED", 6, lambda one: show_count(one.sums.blocked + one.sums.refused)),
    ("CLAMPED", 1, lambda one: show_count(one.sums.clamped)),
)
_COST_PLACE = 3


def _change_columns(report: Report, before: Report, lines: Sequence[Line]) -> list[Column]:
    now = [*map(report.imported.unpriced_of, lines), report.imported.unpriced]
    along_time = report.by[:1] and report.by[0] in IN_TIME
    known = {line.keys: line.sums for line in before.lines}
    then: list[Shown | None] = [
        None if along_time
        else Shown(known.get(line.keys, Sums()), None, before.imported.unpriced_of(line))
        for line in lines
    ]  # fmt: skip
    then.append(Shown(before.total, None, before.imported.unpriced))
    sums = [*(line.sums for line in lines), report.total]
    return [
        Column("BEFORE", [_before(one) for one in then], RIGHT, give_up=8),
        Column("CHANGE", [_change(*both) for both in zip(sums, now, then, strict=True)], RIGHT),
    ]


def _before(then: Shown | None) -> str:
    return "-" if then is None else cost_cell(then.sums.cost_nano, then.unpriced.paid)


def _change(now: Sums, lacking: Unpriced, then: Shown | None) -> str:
    """How the cost changed, relatively; where there was none before, that it is new."""
    if then is None:
        return "-"
    if lacking.paid or then.unpriced.paid:
        return "?"
    before_nano = then.sums.cost_nano
    if now.cost_nano == before_nano:
        return "="
    if before_nano <= 0:
        return "new"
    tenths = round(Fraction(now.cost_nano - before_nano, before_nano) * 1000)
    return f"{'+' if tenths > 0 else ''}{show_percent(Fraction(tenths, 1000))}"


def _speed_columns(report: Report, lines: Sequence[Line]) -> list[Column]:
    both = [*((line.sums, line.latencies) for line in lines), (report.total, report.latencies)]
    rates = [
        f"{sums.errors:,} ({share_for_the_eye(sums.error_rate)})" if sums.errors else "-"
        for sums, _ in both
    ]
    fast, slow = (
        [_duration(percentile_ms(latencies, share)) for _, latencies in both]
        for share in (P50, P95)
    )
    return [Column("ERRORS", rates, RIGHT), Column("P50", fast, RIGHT), Column("P95", slow, RIGHT)]


def _duration(ms: int | None) -> str:
    if ms is None:
        return "-"
    return f"{ms} ms" if ms < 1_000 else f"{ms / 1000:.3g} s"


def compared_lines(report: Report) -> list[Line]:
    """The lines, and those that the period before had and this one has not."""
    lines = list(report.lines)
    if report.before is None or (report.by[:1] and report.by[0] in IN_TIME):
        return lines
    known = {line.keys for line in lines}
    took = None if report.latencies is None else Latencies({})
    lines += [Line(one.keys, Sums(), took) for one in report.before.lines if one.keys not in known]
    return lines


def _amount(nano: int) -> str:
    return show_dollars(nano) if nano else "-"
