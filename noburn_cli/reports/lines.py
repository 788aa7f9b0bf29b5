"""The lines of a report, from wherever they come soonest: kept sums, or the ledger itself; with
calls that were imported, and with the period before where it was asked for.

Layer: reports, I/O.  Below: rollups, query, imported, period, paths.  Above: commands.report, the
profit and loss, the dashboard.
Owns: `read_lines`, the one way to a report.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from noburn_cli import paths
from noburn_cli.errors import LedgerUnavailable
from noburn_cli.ledger_file import no_ledger
from noburn_cli.reports.imported import imported_lines
from noburn_cli.reports.latencies import Latencies
from noburn_cli.reports.period import before
from noburn_cli.reports.query import IMPORTED, LEDGER, TIMES, Question, read_report
from noburn_cli.reports.rollups.answers import Answer
from noburn_cli.reports.rollups.cache import kept_sums
from noburn_cli.reports.rollups.files import Unusable
from noburn_cli.reports.top import top_lines, with_others
from noburn_cli.reports.totals import Imported, Line, Report, make_report

#: More lines than that are not chosen one by one.
_TOP_MAX = 200

#: (rows done, rows in all)
Tell = Callable[[int, int], None]


def read_lines(
    home: Path, question: Question, *, tell: Tell | None = None, rollups: bool = True
) -> Report:
    """The report that answers a question.

    home: NOBURN_HOME.  tell: hears how far the kept sums have caught up with the ledger.
    rollups: False reads every call of the ledger instead, and keeps nothing.
    Raises UsageError for a column or a zone that does not exist, and for a comparison without a
    beginning; LedgerUnavailable without a ledger (calls imported are shown without one).
    """
    now = _answered(home, question, tell, rollups=rollups)
    if not question.compare:
        return now
    since_ms, until_ms = before(question, now_ms=time.time_ns() // 1_000_000)
    earlier = replace(question, since_ms=since_ms, until_ms=until_ms, compare=False)
    return now.with_before(_answered(home, earlier, tell, rollups=rollups))


def read_top(
    home: Path, question: Question, count: int, *, tell: Tell | None = None, rollups: bool = True
) -> Report:
    """The dearest lines, one for all others, and the total of all.  Raises as `read_lines`."""
    ledger = paths.ledger_path(home)
    is_plain = not (question.compare or question.latency or _has_imports(home, question))
    is_listed = question.by and not set(question.by) & {*TIMES, "source"} and count <= _TOP_MAX
    scanned = None
    if rollups and is_plain and is_listed and LEDGER in question.sources and ledger.exists():
        cache = paths.reports_path(home)
        try:
            with kept_sums(ledger, cache, zone=question.zone, tell=tell) as kept:
                answer = Answer(kept, question)
                lines, more, total = answer.top(count)
            return with_others(question.by, lines, more, total, cut_months=answer.cut_months)
        except Unusable as error:
            rollups, scanned = False, str(error)
    report = top_lines(read_lines(home, question, tell=tell, rollups=rollups), count)
    return report if scanned is None else replace(report, scanned=scanned)


def read_keys(home: Path, question: Question, *, rollups: bool = True) -> set[tuple[str, ...]]:
    """The keys of a report's lines that have calls, without their sums.  Raises as `read_lines`."""
    ledger = paths.ledger_path(home)
    is_plain = LEDGER in question.sources and "source" not in question.by
    if rollups and is_plain and not _has_imports(home, question) and ledger.exists():
        try:
            with kept_sums(ledger, paths.reports_path(home), zone=question.zone) as kept:
                return Answer(kept, question).keys()
        except Unusable:
            rollups = False
    report = _answered(home, question, None, rollups=rollups)
    return {line.keys for line in report.lines if line.sums.calls > 0}


def _nothing(ledger: Path) -> LedgerUnavailable:
    error = no_ledger(ledger)
    error.next_step = (
        "`noburn run -- COMMAND` records calls, `noburn import` brings what others recorded; or "
        "check NOBURN_HOME"
    )
    return error


def _has_imports(home: Path, question: Question) -> bool:
    return IMPORTED in question.sources and paths.imports_path(home).exists()


def _answered(home: Path, question: Question, tell: Tell | None, *, rollups: bool) -> Report:
    lines: list[Line] = []
    cut: tuple[str, ...] = ()
    scanned: str | None = None
    ledger, imports = paths.ledger_path(home), paths.imports_path(home)
    has_imports = _has_imports(home, question)
    if not (ledger.exists() or imports.exists() or LEDGER not in question.sources):
        raise _nothing(ledger)
    if LEDGER in question.sources and (ledger.exists() or not has_imports):
        lines, cut, scanned = _of_ledger(ledger, home, question, tell, rollups=rollups)
    imported = Imported()
    if has_imports:
        known = ledger if LEDGER in question.sources else None
        cache = paths.reports_path(home) if rollups and scanned is None else None
        more, imported = imported_lines(imports, known, question, cache=cache)
        lines = _joined(lines, more)
    return make_report(question.by, lines, cut_months=cut, scanned=scanned, imported=imported)


def _of_ledger(
    ledger: Path, home: Path, question: Question, tell: Tell | None, *, rollups: bool
) -> tuple[list[Line], tuple[str, ...], str | None]:
    """Lines, months that the period cuts, and why every call was read if it was."""
    scanned = None
    if "source" in question.by:
        return _of_one_source(ledger, home, question, tell, rollups=rollups)
    if rollups:
        try:
            with kept_sums(ledger, paths.reports_path(home), zone=question.zone, tell=tell) as kept:
                answer = Answer(kept, question)
                return answer.lines(), answer.cut_months, None
        except Unusable as error:
            scanned = str(error)
    report = read_report(ledger, question)
    return list(report.lines), report.cut_months, scanned


def _of_one_source(
    ledger: Path, home: Path, question: Question, tell: Tell | None, *, rollups: bool
) -> tuple[list[Line], tuple[str, ...], str | None]:
    """The same with the column `source`, which is the ledger in every line."""
    place = question.by.index("source")
    others = replace(question, by=(*question.by[:place], *question.by[place + 1 :]))
    lines, cut, scanned = _of_ledger(ledger, home, others, tell, rollups=rollups)
    named = [replace(line, keys=(*line.keys[:place], LEDGER, *line.keys[place:])) for line in lines]
    return named, cut, scanned


def _joined(lines: list[Line], more: list[Line]) -> list[Line]:
    """Lines of two sources, those with the same keys added up."""
    found = {line.keys: line for line in lines}
    for line in more:
        known = found.get(line.keys)
        if known is None:
            found[line.keys] = line
            continue
        took = [one.latencies for one in (known, line) if one.latencies is not None]
        found[line.keys] = Line(
            line.keys, known.sums + line.sums, Latencies.joined(took) if took else None
        )
    return list(found.values())
