"""A newer book over an older one: what is taken, what is kept, and what would change the past.

Layer: core (pure; the day is given).  Below: core.models, core.book_diff, core.book_refusals.
Above: commands.prices (`update`), render.prices_update.

A row that is in force or has been is not changed.  A newer book
- appends rows that start after the last one; the old rows end on that day;
- replaces announced rows, which follow the newer book until their day;
- may add kinds that a row did not rate at all, since no call was priced by them.
Where it says otherwise about the past, that is a correction: shown, and taken for past days only
when asked for.  Without that its price holds from today on.
Models, variants and rows that the newer book lacks stay, for the calls that were priced by them.
What it may not do at all, or not unless asked, is in core.book_refusals.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from noburn_cli.core.book_diff import CHANGED, GONE, NEW, FactDiff, fact_diffs
from noburn_cli.core.book_refusals import (
    Holders,
    Refusal,
    becomes_free,
    with_free_names,
    with_larger_limits,
)
from noburn_cli.core.models import Model, RateRow
from noburn_cli.core.rate_changes import RateChange, same_terms
from noburn_cli.core.rate_schedules import (
    Schedule,
    from_day,
    same_schedule,
    schedule_at,
    schedule_changes,
    variants_of,
)
from noburn_cli.core.usage import AUDIO_CACHE_READ, IMAGE_CACHE_READ

#: What a planned row does.
PRICE = "price"  # a new row; the one before ends on its day
ANNOUNCED = "announced"  # a row that starts later, new or changed
WITHDRAWN = "withdrawn"  # an announced row that is announced no more
COMPLETED = "completed"  # kinds that a row did not rate
CORRECTION = "correction"  # other terms for days that have passed

#: These cost what uncached ones do while they have no rate: one of their own is another price.
_WITH_FALLBACK = {AUDIO_CACHE_READ, IMAGE_CACHE_READ}


@dataclass(frozen=True)
class PlannedRow:
    """What happens to one variant from one day on.

    before, after: the terms on that day without and with the newer book; of a row where there was
        none, before is what held until then.
    applied: False for a correction that nobody asked for.
    """

    kind: str
    variant: str
    starts_on: date
    before: Schedule
    after: Schedule
    applied: bool = True

    @property
    def changes(self) -> tuple[RateChange, ...]:
        return schedule_changes(self.before, self.after)


@dataclass(frozen=True)
class PlannedModel:
    """What happens to one model; `model` is what the book will say of it.

    kind: NEW, CHANGED, or GONE from the newer book, which keeps it as it is.
    """

    name: str
    kind: str
    model: Model
    rows: tuple[PlannedRow, ...] = ()
    facts: tuple[FactDiff, ...] = ()


@dataclass(frozen=True)
class UpdatePlan:
    """A newer book over an older one.

    models: those in which something happens.  result: all models of the book to come.
    unchanged: models of which the newer book says the same.
    refused: what of it is not taken.  moved: (name, the model it meant, the one it will mean).
    prefixes: (prefix, provider) that come in, after which that provider's models are found.
    """

    models: tuple[PlannedModel, ...]
    result: tuple[Model, ...]
    unchanged: tuple[str, ...]
    refused: tuple[Refusal, ...] = ()
    moved: tuple[tuple[str, str, str], ...] = ()
    prefixes: tuple[tuple[str, str], ...] = ()

    def rows(self, *kinds: str) -> Iterator[tuple[PlannedModel, PlannedRow]]:
        """The planned rows of these kinds."""
        return ((one, row) for one in self.models for row in one.rows if row.kind in kinds)

    @property
    def changes_anything(self) -> bool:
        """Whether the book to come differs from the one before."""
        return bool(self.prefixes) or any(
            one.kind == NEW or one.facts or any(row.applied for row in one.rows)
            for one in self.models
        )


def plan_update(
    base: Iterable[Model],
    newer: Iterable[Model],
    *,
    today: date,
    corrections: bool = False,
    prefixes: Mapping[str, str] | None = None,
) -> UpdatePlan:
    """What taking `newer` over `base` does on a day.

    corrections: whether terms of days that have passed, and smaller limits, are taken from the
        newer book as well.
    prefixes: those of the newer book that the base has not, with their provider.
    """
    old = {model.name: model for model in base}
    new = {model.name: model for model in newer}
    holders = Holders(old, new)
    planned: list[PlannedModel] = []
    unchanged: list[str] = []
    refused: list[Refusal] = []
    for name, said in new.items():
        before = old.get(name)
        model, kept = with_free_names(said, holders)
        if before is not None and not corrections:
            model, limits = with_larger_limits(before, model)
            kept += limits
        one, against = _taken(before, model, holders, today=today, corrections=corrections)
        refused += [against] if against else kept
        if one is not None:
            planned.append(one)
        elif before is not None:
            unchanged.append(name)
    moved = tuple(
        (name, was, one.name)
        for one in planned
        for name in _new_names(one, old)
        if (was := holders.moved(name, one.name)) is not None
    )
    planned += [PlannedModel(n, GONE, model) for n, model in old.items() if n not in new]
    result = {**old, **{one.name: one.model for one in planned}}
    return UpdatePlan(
        tuple(planned), tuple(result.values()), tuple(unchanged), tuple(refused), moved,
        tuple((prefixes or {}).items()),
    )  # fmt: skip


def _taken(
    before: Model | None, model: Model, holders: Holders, *, today: date, corrections: bool
) -> tuple[PlannedModel | None, Refusal | None]:
    """(what happens to a model, why nothing of it is taken); neither where it stays the same."""
    if before is None:
        holder = holders.keeper(model.name, model.name)
        against = becomes_free(model.name, (), model.rows)
        if holder is not None:
            against = Refusal(model.name, f"the name is an alias of `{holder}`, and stays so")
        return (None, against) if against else (PlannedModel(model.name, NEW, model), None)
    one = _planned(before, model, today=today, corrections=corrections)
    if not (one.rows or one.facts):
        return None, None
    taken = (row for planned in one.rows if planned.applied for row in planned.after)
    against = becomes_free(model.name, before.rows, taken)
    return (None, against) if against else (one, None)


def _new_names(one: PlannedModel, old: Mapping[str, Model]) -> Iterator[str]:
    """The names by which a model was not known before."""
    before = old.get(one.name)
    known = () if before is None else (before.name, *before.aliases)
    return (name for name in (one.name, *one.model.aliases) if name not in known)


def _planned(before: Model, newer: Model, *, today: date, corrections: bool) -> PlannedModel:
    rows: list[RateRow] = []
    planned: list[PlannedRow] = []
    for variant in variants_of(before.rows, newer.rows):
        old = [row for row in before.rows if row.variant == variant]
        new = [row for row in newer.rows if row.variant == variant]
        if not new:
            rows += old
            continue
        timeline = _Timeline(variant, old, new, today=today, corrections=corrections)
        rows += timeline.merged()
        planned += timeline.planned
    facts = fact_diffs(before, newer)
    if not planned and not facts:
        return PlannedModel(before.name, CHANGED, before)
    return PlannedModel(
        before.name, CHANGED, replace(newer, rows=tuple(rows)), tuple(planned), facts
    )


class _Timeline:
    """The rows of one variant, old and new, on their way to one series."""

    def __init__(
        self, variant: str, old: Sequence[RateRow], new: Sequence[RateRow], *, today: date,
        corrections: bool,
    ) -> None:  # fmt: skip
        self.planned: list[PlannedRow] = []
        self._variant = variant
        self._today = today
        self._corrections = corrections
        self._old = tuple(old)
        self._new = tuple(new)
        #: The series to come: the rows that start on a day, by that day.
        self._days: dict[date, Schedule] = {}

    def merged(self) -> list[RateRow]:
        """The series to come, in order of time."""
        released = {row.starts_on for row in self._old if row.starts_on <= self._today}
        self._days = {day: _starting(self._old, day) for day in released}
        last = max(released, default=date.min)
        starts = {row.starts_on for row in (*self._old, *self._new)}
        for day in sorted(one for one in starts if one <= self._today):
            self._take_past(day, last)
        self._take_today()
        self._take_announced()
        return [row for day in sorted(self._days) for row in self._days[day]]

    def _rows(self) -> list[RateRow]:
        return [row for schedule in self._days.values() for row in schedule]

    def _take_past(self, day: date, last: date) -> None:
        """One day on which one of the two has a row that starts; `last` is our last one."""
        theirs, ours = schedule_at(self._new, day), schedule_at(self._old, day)
        if not theirs:
            return
        if day > last:
            in_force = schedule_at(self._rows(), day)
            if not same_schedule(in_force, theirs):
                self._put(PRICE, day, in_force, theirs)
        elif same_schedule(ours, theirs):
            self._recheck(day)
            if not same_schedule(schedule_at(self._rows(), day), theirs):
                self._days[day] = from_day(theirs, day)  # A correction ends here.
        elif _completes(ours, theirs) and {row.starts_on for row in (*ours, *theirs)} == {day}:
            self._put(COMPLETED, day, ours, theirs)
        elif self._corrections:
            self._put(CORRECTION, day, ours, theirs)
        else:
            self._plan(CORRECTION, day, ours, theirs, applied=False)

    def _recheck(self, day: date) -> None:
        """Rows of one start that say the same are of the day on which they were read last."""
        mine, theirs = self._days.get(day, ()), _starting(self._new, day)
        if same_schedule(mine, theirs):
            pairs = zip(mine, theirs, strict=True)
            self._days[day] = tuple(max(one, key=lambda row: row.checked_on) for one in pairs)

    def _take_today(self) -> None:
        """From today on the newer book's price holds, whatever it says of the past."""
        theirs = schedule_at(self._new, self._today)
        ours = schedule_at(self._rows(), self._today)
        if theirs and not (same_schedule(ours, theirs) or _completes(theirs, ours)):
            # A row that began today stands: its price has been charged.
            day = self._today + timedelta(days=self._today in self._days)
            theirs = schedule_at(self._new, day)  # it may say something of tomorrow
            self._days[day] = from_day(theirs, day)
            if not same_schedule(schedule_at(self._old, day), theirs):
                self._plan(PRICE, day, ours, theirs)

    def _take_announced(self) -> None:
        """Rows that are not yet in force are those of the newer book."""
        starts = {row.starts_on for row in (*self._old, *self._new)}
        for day in sorted(one for one in starts if one > self._today):
            theirs, was = _starting(self._new, day), _starting(self._old, day)
            if theirs:
                self._days[day] = theirs
            eve = schedule_at(self._rows(), day - timedelta(days=1))
            before = schedule_at(self._old, day) if was else eve
            after = schedule_at(self._rows(), day)
            if not same_schedule(before, after) and not self._is_planned(day):
                kind = WITHDRAWN if was and not theirs else ANNOUNCED
                self._plan(kind, day, before, after)

    def _is_planned(self, day: date) -> bool:
        return any(row.starts_on == day for row in self.planned)

    def _put(self, kind: str, day: date, before: Schedule, after: Schedule) -> None:
        self._days[day] = from_day(after, day)
        self._plan(kind, day, before, after)

    def _plan(
        self, kind: str, day: date, before: Schedule, after: Schedule, *, applied: bool = True
    ) -> None:
        self.planned.append(PlannedRow(kind, self._variant, day, before, after, applied))


def _starting(rows: Sequence[RateRow], day: date) -> Schedule:
    """The rows that start on a day, in the order of a schedule."""
    return tuple(sorted((r for r in rows if r.starts_on == day), key=lambda row: row.windows))


def _completes(before: Schedule, after: Schedule) -> bool:
    """Whether `after` only rates further kinds, for which `before` had no price at all."""
    return len(before) == len(after) and all(
        same_terms(old, new) or _row_completes(old, new)
        for old, new in zip(before, after, strict=True)
    )


def _row_completes(before: RateRow, after: RateRow) -> bool:
    added = after.extra.keys() - before.extra.keys()
    return (
        not added & _WITH_FALLBACK
        and same_terms(before, replace(after, extra=before.extra))
        and before.extra.items() <= after.extra.items()
    )
