"""Which of the kept groupings answers a question, and in which words of SQL.

Layer: reports, I/O (looks models up).  Below: shape, ranges, query (the question).  Above: answers.
A grouping answers when it has every dimension that the question names; what none has is answered
from the cells, which have all, and of those only from the days on which what is asked for occurs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import TYPE_CHECKING, Any

from noburn_cli.core.budgets import NONE, TAG_PREFIX
from noburn_cli.reports.localtime import SLOT_MS
from noburn_cli.reports.query import TIMES, Question, check_column
from noburn_cli.reports.rollups.cache import Kept
from noburn_cli.reports.rollups.ranges import DAYS, MONTHS, SLOTS, Range
from noburn_cli.reports.rollups.shape import (
    DAY,
    DIMENSIONS,
    PROJECTIONS,
    STATES,
    TAGS,
    TIMED,
    needed,
    projection_for,
)

if TYPE_CHECKING:
    import apsw

_STATE = "CASE d.state " + " ".join(f"WHEN {n} THEN '{s}'" for n, s in enumerate(STATES)) + " END"
_PLACES = ("a", "b", "c")


@dataclass(frozen=True)
class Plan:
    """How a question is read.

    by: its columns.  projection: the grouping, TAGS for one tag, None for the cells.
    largest: the largest pieces of time that serve.
    columns, conditions, values: of `sums`; cell_…: the same of cells, joined with their texts.
    tag: the one tag of TAGS; untagged: whether calls without it belong to the answer, and
    shows_tagged whether those with it do.
    narrow: what the cells of interest have in common, as a grouping of one dimension and a
    condition: only the days that it occurs on are read.
    """

    by: tuple[str, ...]
    projection: int | None
    largest: str
    columns: tuple[str, ...] = ()
    conditions: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    cell_columns: tuple[str, ...] = ()
    cell_conditions: str = ""
    cell_values: Mapping[str, Any] = field(default_factory=dict)
    tag: str = ""
    untagged: bool = False
    shows_tagged: bool = True
    narrow: tuple[int, str] | None = None

    @property
    def is_timed(self) -> bool:
        return any(name in TIMES for name in self.by)

    @property
    def named(self) -> tuple[str, ...]:
        """The columns without those of time."""
        return tuple(name for name in self.by if name not in TIMES)

    @property
    def width(self) -> int:
        return len(self.named)

    def keys(self, shown: list[str], labels: Mapping[str, str]) -> tuple[str, ...]:
        """A line's keys in the order asked for."""
        if not labels:
            return tuple(shown) if shown or not self.tag else self._all_untagged()
        values = iter(shown)
        return tuple(labels[name] if name in TIMES else next(values, NONE) for name in self.by)

    def _all_untagged(self) -> tuple[str, ...]:
        return tuple(NONE for name in self.by if name == self.tag)

    def without_tag(self, keys: tuple[str, ...]) -> tuple[str, ...]:
        """The place of a line's calls among all calls: its tag's value as if there were none."""
        return tuple(
            NONE if name == self.tag else key for name, key in zip(self.by, keys, strict=True)
        )

    def of_all(self) -> Plan:
        """The same over all calls, whose lines have no tag."""
        return _Whole(**{name: getattr(self, name) for name in self.__dataclass_fields__})

    def only(self, lines: Sequence[tuple[str, ...]]) -> Plan:
        """The same for some of its lines, where a grouping can tell them apart; else for all."""
        if self.projection in (None, TAGS) or self.is_timed or not lines or not self.columns:
            return self
        values = dict(self.values)
        places = []
        for number, keys in enumerate(lines):
            names = [f"only{number}_{at}" for at in range(len(keys))]
            shown = ("" if key == NONE else key for key in keys)
            values |= dict(zip(names, shown, strict=True))
            places.append(f"({', '.join(f':{name}' for name in names)})")
        chosen = f" AND ({', '.join(self.columns)}) IN (VALUES {', '.join(places)})"
        return replace(self, conditions=self.conditions + chosen, values=values)

    def cells(self, table: str) -> str:
        """Cells (or changes) with what they stand for."""
        return (
            f"{table} AS d CROSS JOIN main.contexts AS x ON x.id = d.context"
            " CROSS JOIN main.models AS m ON m.id = d.model"
        )

    def narrowed(self, piece: Range, kept: Kept) -> Range:
        """A piece of the cells without the days before and after what is asked for."""
        if self.narrow is None:
            return piece
        projection, condition = self.narrow
        row = kept.connection.execute(
            "SELECT min(at), max(at) FROM main.sums WHERE projection = :projection"  # noqa: S608
            f" AND zone = :zone AND level = {DAY} AND lines > 0 AND {condition}",
            {**self.cell_values, "projection": projection, "zone": kept.zone},
        ).fetchone()
        if row is None or row[0] is None:
            return Range(SLOTS, 0, 0)
        local = kept.local
        first = local.start_ms(date.fromordinal(row[0])) // SLOT_MS
        end = local.day_bounds(local.start_ms(date.fromordinal(row[1])))[1] // SLOT_MS
        return Range(
            SLOTS,
            first if piece.first is None else max(first, piece.first),
            end if piece.end is None else min(end, piece.end),
        )


class _Whole(Plan):
    """A plan over all calls for one over those with a tag."""

    @property
    def width(self) -> int:
        return 0


def plan_for(question: Question, connection: apsw.Connection) -> Plan:
    """The cheapest way to answer.  Raises UsageError for a column that does not exist."""
    for name in (*question.by, *question.where):
        check_column(name)
    cells = _cells(question)
    if question.run is not None or question.step is not None:
        return cells
    wanted = needed(question.by, question.where)
    tags = [name for name in wanted if name.startswith(TAG_PREFIX)]
    if tags:
        return _tagged(question, cells, tags[0]) if len(wanted) == 1 else cells
    projection = projection_for(wanted)
    if projection is None:
        return cells
    return _summed(question, cells, projection, connection) or cells


def timed_plan(question: Question, connection: apsw.Connection) -> Plan:
    """The way to the latencies: kept for fewer groupings."""
    plan = plan_for(question, connection)
    wanted = needed(question.by, question.where)
    for dimensions in TIMED:
        if plan.projection not in (None, TAGS) and wanted <= set(dimensions):
            number = PROJECTIONS.index(dimensions)
            return _summed(question, _cells(question), number, connection) or _cells(question)
    return _cells(question)


def _largest(by: tuple[str, ...]) -> str:
    if "hour" in by:
        return SLOTS
    return DAYS if "day" in by or "week" in by else MONTHS


def _summed(
    question: Question, cells: Plan, projection: int, connection: apsw.Connection
) -> Plan | None:
    """The plan over one grouping; None where it cannot tell which calls a model's name means."""
    dimensions = PROJECTIONS[projection]
    place = dict(zip(dimensions, _PLACES, strict=False))
    conditions = ""
    values: dict[str, Any] = {}
    for number, (name, wanted) in enumerate(question.where.items()):
        names = [wanted if wanted != NONE else ""]
        if name == "model" and wanted != NONE:
            found = _models_named(wanted, connection)
            if found is None:
                return None
            names = found
        places = [f":sum{number}_{at}" for at in range(len(names))]
        values |= {place[1:]: text for place, text in zip(places, names, strict=True)}
        conditions += f" AND {place[name]} IN ({', '.join(places)})"
    return replace(
        cells, projection=projection, largest=_largest(question.by), narrow=None,
        columns=tuple(place[name] for name in cells.named),
        conditions=conditions, values=values,
    )  # fmt: skip


def _models_named(wanted: str, connection: apsw.Connection) -> list[str] | None:
    """The names, as the book has them, of the models that `wanted` means.

    None when calls of one such name were asked for in different words, and not all are meant.
    """
    meant: set[str] = set()
    others: set[str] = set()
    for asked, resolved, named in connection.execute("SELECT asked, resolved, named FROM models"):
        (meant if wanted in (asked, resolved) else others).add(str(named))
    return None if meant & others else sorted(meant)


def _tagged(question: Question, cells: Plan, tag: str) -> Plan:
    wanted = question.where.get(tag)
    values: dict[str, Any] = {"tag": tag.removeprefix(TAG_PREFIX)}
    conditions = " AND a = :tag"
    if wanted is not None and wanted != NONE:
        values["value"], conditions = wanted, f"{conditions} AND b = :value"
    return replace(
        cells, projection=TAGS, largest=_largest(question.by), narrow=None, tag=tag,
        columns=("b",) * (tag in question.by), conditions=conditions, values=values,
        untagged=wanted is None or wanted == NONE, shows_tagged=wanted != NONE,
    )  # fmt: skip


def _cells(question: Question) -> Plan:
    """The plan over the cells, which answers everything."""
    values: dict[str, Any] = {}
    columns = tuple(_cell_column(name, values) for name in question.by if name not in TIMES)
    conditions, narrow = "", None
    for path, name in ((question.run, "run"), (question.step, "step")):
        if path is not None:
            values[f"{name}_path"] = f"/{path}/"
            conditions += f" AND instr('/' || x.{name} || '/', :{name}_path)"
            narrow = (
                PROJECTIONS.index((name,)), f"instr('/' || a || '/', :{name}_path)",
            )  # fmt: skip
    for number, (name, wanted) in enumerate(question.where.items()):
        key = f"cell{number}"
        values[key] = "" if wanted == NONE else wanted
        if name == "model" and wanted != NONE:
            conditions += f" AND :{key} IN (m.asked, m.resolved)"
            continue
        conditions += f" AND {_cell_column(name, values)} = :{key}"
        if narrow is None and (name,) in PROJECTIONS and wanted != NONE:
            narrow = (PROJECTIONS.index((name,)), f"a = :{key}")
    return Plan(
        question.by, None, SLOTS, cell_columns=columns, cell_conditions=conditions,
        cell_values=values, narrow=narrow,
    )  # fmt: skip


def _cell_column(name: str, values: dict[str, Any]) -> str:
    """The SQL for a column of a cell; a tag's name travels as a value."""
    if name.startswith(TAG_PREFIX):
        place = f"path{len(values)}"
        values[place] = f'$."{name.removeprefix(TAG_PREFIX)}"'
        return f"coalesce(json_extract(x.tags, :{place}), '')"
    return _STATE if name == "state" else DIMENSIONS[name]
