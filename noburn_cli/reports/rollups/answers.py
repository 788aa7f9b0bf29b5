"""A question, answered from the sums that are kept.

Layer: reports, I/O.  Below: cache (Kept), shape, ranges, plans, changes, query (the question).
Above: reports.lines, reports.costs.
Owns: reading each piece of a period where it is cheapest, and adding the pieces up.
Not here: which grouping answers (plans), where the pieces' borders are (ranges).

The answer is that of a scan of the view `calls` as of the row that the sums reach; a test holds the
two equal.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from operator import add, sub
from typing import Any

from noburn_cli.core.budgets import NONE
from noburn_cli.reports.latencies import Latencies
from noburn_cli.reports.localtime import SLOT_MS, month_label, week_label
from noburn_cli.reports.query import TIMES, Question, cut_months, parts
from noburn_cli.reports.recorded import stretch
from noburn_cli.reports.rollups import changes, ranges
from noburn_cli.reports.rollups.cache import Kept
from noburn_cli.reports.rollups.merging import read_took
from noburn_cli.reports.rollups.plans import Plan, plan_for, timed_plan
from noburn_cli.reports.rollups.shape import DAY, MEASURES, MONTH, ROLLED, TAGS
from noburn_cli.reports.totals import Line, Sums

Keys = tuple[str, ...]
#: The measures of one line, in the order of MEASURES.
Row = tuple[int, ...]

_LEVELS = {ranges.MONTHS: MONTH, ranges.DAYS: DAY}
#: Beyond these there are no calls, and calendars end.
_FIRST_MS, _LAST_MS = 0, 250_000_000_000_000


class Answer:
    """One question over one state of the sums."""

    def __init__(self, kept: Kept, question: Question) -> None:
        self._kept = kept
        self._question = question
        self._connection = kept.connection
        self._measures = MEASURES
        self._months = changes.months_compacted(kept.connection)
        self.cut_months = cut_months(self._months, question)

    def keys(self) -> set[Keys]:
        """The keys of the lines that calls were admitted in: less work than their sums."""
        self._measures = ("lines", "calls")
        found: dict[Keys, int] = {}
        for keys, row in self._rows(plan_for(self._question, self._connection)):
            found[keys] = found.get(keys, 0) + row[1]
        return {keys for keys, calls in found.items() if calls > 0}

    def top(self, count: int) -> tuple[list[Line], int, Sums]:
        """The dearest lines, how many more there are, and the sums of all.

        First every line's cost alone, then all sums of those few: of fifty thousand runs nobody
        reads more than the dearest.
        """
        plan = plan_for(self._question, self._connection)
        self._measures = ("lines", "calls", "cost_nano", "notional_nano")
        found = self._added(plan)
        order = sorted(
            (keys for keys, row in found.items() if row[0] > 0),
            key=lambda keys: (-found[keys][2], -found[keys][3], -found[keys][1], keys),
        )
        first = order[:count]
        self._measures = MEASURES
        rows = self._added(plan.only(first))
        whole = Answer(self._kept, parts(self._question, ())).lines()
        lines = [Line(keys, Sums(*rows[keys][1:])) for keys in first]
        return lines, len(order) - len(first), whole[0].sums if whole else Sums()

    def _added(self, plan: Plan) -> dict[Keys, Row]:
        """The pieces of a period, line by line."""
        found: dict[Keys, Row] = {}
        for keys, row in self._rows(plan):
            _add(found, keys, row)
        return found

    @property
    def _summed(self) -> str:
        return ", ".join(f"sum({name})" for name in self._measures)

    def lines(self) -> list[Line]:
        """The lines that a scan would have, in no order."""
        found = self._added(plan_for(self._question, self._connection))
        took = self._latencies() if self._question.latency else None
        return [
            Line(
                keys, Sums(*row[1:]),
                None if took is None else Latencies(_positive(took.get(keys, {}))),
            )
            for keys, row in found.items() if row[0] > 0
        ]  # fmt: skip

    def _rows(self, plan: Plan) -> Iterator[tuple[Keys, Row]]:
        for piece in self._pieces(plan):
            if piece.what in _LEVELS:
                yield from self._of_sums(plan, piece)
            elif piece.what == ranges.SLOTS:
                yield from self._of_cells(plan, piece, "main.cells")
            else:
                self._collect(piece)
                yield from self._of_cells(plan, ranges.Range(ranges.SLOTS, None, None), "changes")
        yield from self._of_months(plan)

    def _pieces(self, plan: Plan) -> Iterator[ranges.Range]:
        since, until = self._question.since_ms, self._question.until_ms
        since = None if since is None or since <= _FIRST_MS else min(since, _LAST_MS)
        until = None if until is None or until >= _LAST_MS else max(until, _FIRST_MS)
        for piece in ranges.cut(since, until, self._kept.local, largest=plan.largest):
            yield plan.narrowed(piece, self._kept) if piece.what == ranges.SLOTS else piece

    def _of_sums(self, plan: Plan, piece: ranges.Range) -> Iterator[tuple[Keys, Row]]:
        level = _LEVELS[piece.what]
        values: dict[str, Any] = {"zone": self._kept.zone, "level": level}
        borders = ""
        if piece.first is not None:
            values["first"], borders = piece.first, " AND at >= :first"
        if piece.end is not None:
            values["end"], borders = piece.end, f"{borders} AND at < :end"
        yield from self._read_sums(plan, values, borders, lambda at: self._labels(level, at))

    def _of_months(self, plan: Plan) -> Iterator[tuple[Keys, Row]]:
        """Compacted months that lie in the period whole."""
        question = self._question
        whole = ranges.whole_months(self._months, question.since_ms, question.until_ms)
        if not whole:
            return
        numbers = ", ".join(str(int(m[:4]) * 12 + int(m[5:]) - 1) for m in whole)
        if plan.projection is None:
            slots = ", ".join(f"-{number}" for number in numbers.split(", "))
            yield from self._read_cells(
                plan, "main.cells", f"slot IN ({slots})", {}, lambda slot: self._named(-slot)
            )
            return
        values = {"zone": 0, "level": ROLLED}
        yield from self._read_sums(plan, values, f" AND at IN ({numbers})", self._named)

    def _read_sums(
        self, plan: Plan, values: dict[str, Any], borders: str, label: Any
    ) -> Iterator[tuple[Keys, Row]]:
        assert plan.projection is not None
        timed = plan.is_timed
        columns = [*(["at"] if timed else []), *plan.columns]
        sql = (
            f"SELECT {', '.join((*columns, self._summed))} FROM main.sums"  # noqa: S608 -- our own names
            f" WHERE projection = {plan.projection} AND zone = :zone AND level = :level"
            f"{borders}{plan.conditions}"
        )
        sql += f" GROUP BY {', '.join(columns)}" if columns else ""
        rows = self._keyed(plan, sql + " HAVING sum(lines) > 0", {**values, **plan.values}, label)
        if plan.projection != TAGS or not plan.untagged:
            yield from rows
            return
        tagged: dict[Keys, Row] = {}
        for keys, row in rows:
            if plan.shows_tagged:
                yield keys, row
            _add(tagged, plan.without_tag(keys), row)
        yield from self._untagged(plan, tagged, values, borders, label)

    def _untagged(
        self, plan: Plan, tagged: Mapping[Keys, Row], values: dict[str, Any], borders: str,
        label: Any,
    ) -> Iterator[tuple[Keys, Row]]:  # fmt: skip
        """Calls without the tag are all the others: of a line, whose days are several rows."""
        columns = ["at"] if plan.is_timed else []
        sql = (
            f"SELECT {', '.join((*columns, self._summed))} FROM main.sums"  # noqa: S608
            f" WHERE projection = 0 AND zone = :zone AND level = :level{borders}"
        )
        sql += f" GROUP BY {', '.join(columns)}" if columns else ""
        rest: dict[Keys, Row] = {}
        for keys, row in self._keyed(plan.of_all(), f"{sql} HAVING sum(lines) > 0", values, label):
            _add(rest, keys, row)
        for keys, row in tagged.items():
            rest[keys] = tuple(map(sub, rest[keys], row))
        for keys, row in rest.items():
            assert row[0] > 0 or not any(row)  # what is left of no calls is nothing
            if row[0]:
                yield keys, row

    def _of_cells(self, plan: Plan, piece: ranges.Range, table: str) -> Iterator[tuple[Keys, Row]]:
        values: dict[str, Any] = {"first": 0 if piece.first is None else max(0, piece.first)}
        borders = "slot >= :first"
        if piece.end is not None:
            values["end"], borders = piece.end, f"{borders} AND slot < :end"
        yield from self._read_cells(plan, table, borders, values, self._slot_labels)

    def _read_cells(
        self, plan: Plan, table: str, borders: str, values: dict[str, Any], label: Any
    ) -> Iterator[tuple[Keys, Row]]:
        columns = [*(["slot"] if plan.is_timed else []), *plan.cell_columns]
        sql = (
            f"SELECT {', '.join((*columns, self._summed))} FROM {plan.cells(table)}"  # noqa: S608
            f" WHERE {borders}{plan.cell_conditions}"
        )
        if columns:
            sql += f" GROUP BY {', '.join(str(n + 1) for n in range(len(columns)))}"
        sql += " HAVING sum(lines) > 0"
        yield from self._keyed(plan, sql, {**values, **plan.cell_values}, label)

    def _keyed(
        self, plan: Plan, sql: str, values: dict[str, Any], label: Any
    ) -> Iterator[tuple[Keys, Row]]:
        """Rows with their keys as the report shows them."""
        timed = plan.is_timed
        width = timed + plan.width
        known: dict[Any, dict[str, str]] = {}
        for row in self._connection.execute(sql, values):
            shown = [str(value) or NONE for value in row[timed:width]]
            if not timed:
                yield plan.keys(shown, {}), row[width:]
                continue
            labels = known.get(row[0])
            if labels is None:
                labels = known[row[0]] = label(row[0])
            yield plan.keys(shown, labels), row[width:]

    def _collect(self, piece: ranges.Range) -> None:
        """Single calls between two quarter-hours into `changes`."""
        connection = self._connection
        assert piece.first is not None
        assert piece.end is not None
        changes.prepare(connection)
        connection.execute("DELETE FROM temp.changes")
        part = stretch(connection, since_ms=piece.first, until_ms=piece.end)
        changes.collect_between(
            connection, since_ms=piece.first, until_ms=piece.end, first=part.first, end=part.end,
            upto=self._kept.upto,
        )  # fmt: skip

    def _labels(self, level: int, at: int) -> dict[str, str]:
        if level == MONTH:
            return {"month": month_label(at)}
        day = date.fromordinal(at)
        return {"day": day.isoformat(), "week": week_label(day), "month": f"{day:%Y-%m}"}

    def _slot_labels(self, slot: int) -> dict[str, str]:
        local, wanted = self._kept.local, [name for name in self._question.by if name in TIMES]
        return {name: local.label(name, slot * SLOT_MS) for name in wanted}

    def _named(self, months: int) -> dict[str, str]:
        """A compacted month is one line, whatever the column."""
        return dict.fromkeys(TIMES, month_label(months))

    def _latencies(self) -> dict[Keys, dict[int, int]]:
        """How long calls took, by line and bucket."""
        plan = timed_plan(self._question, self._connection)
        found: dict[Keys, dict[int, int]] = {}
        for piece in self._pieces(plan):
            for keys, bucket, calls in self._took(plan, piece):
                counts = found.setdefault(keys, {})
                counts[bucket] = counts.get(bucket, 0) + calls
        return found

    def _took(self, plan: Plan, piece: ranges.Range) -> Iterable[tuple[Keys, int, int]]:
        if piece.what in _LEVELS:
            yield from self._took_of_sums(plan, piece)
            return
        source = "main.cells"
        if piece.what == ranges.CALLS:
            self._collect(piece)
            source, piece = "changes", ranges.Range(ranges.SLOTS, None, None)
        columns = [*(["slot"] if plan.is_timed else []), *plan.cell_columns]
        column = "took" if source == "main.cells" else "coalesce(bucket, '')"
        values: dict[str, Any] = {"first": piece.first or 0, **plan.cell_values}
        borders = "slot >= :first"
        if piece.end is not None:
            values["end"], borders = piece.end, f"{borders} AND slot < :end"
        sql = (
            f"SELECT {', '.join((*columns, column))} FROM {plan.cells(source)}"  # noqa: S608
            f" WHERE {borders} AND {column} <> ''{plan.cell_conditions}"
        )
        for keys, (took,) in self._keyed(plan, sql, values, self._slot_labels):
            for bucket, calls in read_took(str(took)).items():
                yield keys, bucket, calls

    def _took_of_sums(self, plan: Plan, piece: ranges.Range) -> Iterator[tuple[Keys, int, int]]:
        level = _LEVELS[piece.what]
        values: dict[str, Any] = {"zone": self._kept.zone, "level": level, **plan.values}
        borders = ""
        if piece.first is not None:
            values["first"], borders = piece.first, " AND at >= :first"
        if piece.end is not None:
            values["end"], borders = piece.end, f"{borders} AND at < :end"
        columns = [*(["at"] if plan.is_timed else []), *plan.columns]
        sql = (
            f"SELECT {', '.join((*columns, 'bucket', 'sum(calls)'))} FROM main.latencies"  # noqa: S608
            f" WHERE projection = {plan.projection} AND zone = :zone AND level = :level"
            f"{borders}{plan.conditions} GROUP BY {', '.join((*columns, 'bucket'))}"
        )
        label = lambda at: self._labels(level, at)  # noqa: E731
        for keys, (bucket, calls) in self._keyed(plan, sql, values, label):
            yield keys, bucket, calls


def _add(found: dict[Keys, Row], keys: Keys, row: Row) -> None:
    known = found.get(keys)
    found[keys] = row if known is None else tuple(map(add, known, row))


def _positive(counts: dict[int, int]) -> dict[int, int]:
    return {bucket: calls for bucket, calls in counts.items() if calls}
