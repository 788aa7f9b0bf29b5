"""Which few make most of the spend, and how many they serve.

Layer: reports, I/O (asks for the pairs).  Below: lines, totals.  Above: commands.report.
Owns: the cumulative share, who is counted as served, and the sentence's numbers.

Users are counted by name: two customers' users of one name are one.  Where calls name no users, the
customers are counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from noburn_cli.core.budgets import NONE
from noburn_cli.reports.lines import read_keys, read_lines
from noburn_cli.reports.query import Question
from noburn_cli.reports.totals import Line, Report

#: Most of the spend: how much the few are to make together.
MOST = Fraction(4, 5)
#: Who is served by what a report can be grouped by; the first that calls name is counted.
SERVED: Mapping[str, tuple[str, ...]] = {
    "feature": ("user", "customer"),
    "model": ("customer",),
    "user": (),
    "customer": (),
}


@dataclass(frozen=True)
class Part:
    """One line of the view.

    share: of all spend; None where nothing was spent.  running: of this line and all dearer ones.
    served: how many users or customers its calls are of; None where nobody counts them.
    """

    line: Line
    share: Fraction | None
    running: Fraction | None
    served: int | None


@dataclass(frozen=True)
class Pareto:
    """The lines, dearest first.

    few: how many of the first make MOST of the spend.  served: what is counted, `user` or
    `customer`; None where nothing is.  served_total: how many there are in all.
    """

    report: Report
    parts: tuple[Part, ...]
    few: int
    served: str | None
    served_total: int


def read_pareto(
    home: Path,
    question: Question,
    *,
    tell: Callable[[int, int], None] | None = None,
    rollups: bool = True,
) -> Pareto:
    """Answer a question of one column, with who is served.  Raises as `read_lines`."""
    report = read_lines(home, question, tell=tell, rollups=rollups)
    for served in SERVED.get(question.by[0], ("customer",)):
        pairs = replace(question, by=(question.by[0], served), compare=False, latency=False)
        found = _served(read_keys(home, pairs, rollups=rollups))
        if found:
            everybody = set().union(*found.values())
            counts = {key: len(names) for key, names in found.items()}
            return make_pareto(report, served, counts, len(everybody))
    return make_pareto(report, None, {}, 0)


def _served(pairs: set[tuple[str, ...]]) -> dict[str, set[str]]:
    """Names by what serves them; calls that name nobody serve nobody."""
    found: dict[str, set[str]] = {}
    for key, name in pairs:
        if name != NONE:
            found.setdefault(key, set()).add(name)
    return found


def make_pareto(
    report: Report, served: str | None, counts: Mapping[str, int], served_total: int
) -> Pareto:
    """Order by cost and add up."""
    parts, running, few = [], Fraction(0), 0
    total = report.total.cost_nano
    ordered = sorted(report.lines, key=lambda line: (-line.sums.cost_nano, line.keys))
    for line in ordered:
        share = Fraction(line.sums.cost_nano, total) if total > 0 else None
        if share is not None:
            few += running < MOST
            running += share
        parts.append(
            Part(
                line, share, running if share is not None else None,
                counts.get(line.keys[0], 0) if served else None,
            )
        )  # fmt: skip
    return Pareto(report, tuple(parts), few, served, served_total)
