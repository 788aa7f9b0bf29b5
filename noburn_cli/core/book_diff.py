"""How two price books differ: models that are new or gone, rows, and the facts beside them.

Layer: core (pure).  Below: core.models, core.rate_changes.  Above: core.book_update, render.prices,
commands.prices.
Not here: which of two books is right (price_sources), what is kept of the older one (book_update).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from datetime import date
from typing import Any

from noburn_cli.core.models import Model
from noburn_cli.core.rate_changes import RateChange
from noburn_cli.core.rate_schedules import (
    Schedule,
    same_schedule,
    schedule_at,
    schedule_changes,
    variants_of,
)

NEW = "new"
GONE = "gone"
CHANGED = "changed"

#: What a model says besides its name, rates, and where they are from.
_FACTS = tuple(
    one.name for one in fields(Model) if one.name not in ("name", "rows", "sources", "note")
)


@dataclass(frozen=True)
class RowDiff:
    """One row of rates in which two models differ.

    kind: NEW (only the second has a row from that day), GONE, or CHANGED.
    before, after: the terms in force on that day in the first and the second book, or none.
    """

    kind: str
    variant: str
    starts_on: date
    before: Schedule
    after: Schedule

    @property
    def changes(self) -> tuple[RateChange, ...]:
        """Every rate that is another one from that day on."""
        return schedule_changes(self.before, self.after)


@dataclass(frozen=True)
class FactDiff:
    """One fact beside the rates: a limit, an alias, a retirement date."""

    key: str
    before: Any
    after: Any


@dataclass(frozen=True)
class ModelDiff:
    """All in which two books differ about one model."""

    name: str
    kind: str
    before: Model | None
    after: Model | None
    rows: tuple[RowDiff, ...] = ()
    facts: tuple[FactDiff, ...] = ()


def diff_books(before: Iterable[Model], after: Iterable[Model]) -> tuple[ModelDiff, ...]:
    """Every model in which two books differ, in the second one's order, what is gone last."""
    old = {model.name: model for model in before}
    new = {model.name: model for model in after}
    found = [
        diff
        for name, model in new.items()
        if (diff := diff_models(old.get(name), model)) is not None
    ]
    gone = [ModelDiff(name, GONE, model, None) for name, model in old.items() if name not in new]
    return (*found, *gone)


def diff_models(before: Model | None, after: Model) -> ModelDiff | None:
    """How a model differs from an earlier one; None where it does not."""
    if before is None:
        return ModelDiff(after.name, NEW, None, after)
    variants = variants_of(after.rows, before.rows)
    rows = tuple(row for variant in variants for row in _row_diffs(variant, before, after))
    facts = fact_diffs(before, after)
    if not rows and not facts:
        return None
    return ModelDiff(after.name, CHANGED, before, after, rows, facts)


def fact_diffs(before: Model, after: Model) -> tuple[FactDiff, ...]:
    """The facts beside the rates in which two models differ."""
    pairs = ((key, getattr(before, key), getattr(after, key)) for key in _FACTS)
    return tuple(FactDiff(key, old, new) for key, old, new in pairs if old != new)


def _row_diffs(variant: str, before: Model, after: Model) -> Iterator[RowDiff]:
    """The days from which one variant has other terms in the second book than in the first."""
    old = [row for row in before.rows if row.variant == variant]
    new = [row for row in after.rows if row.variant == variant]
    starts = {row.starts_on for row in old}, {row.starts_on for row in new}
    for day in sorted(starts[0] | starts[1]):
        was, now = schedule_at(old, day), schedule_at(new, day)
        if same_schedule(was, now):
            continue
        in_both = day in starts[0] and day in starts[1]
        kind = CHANGED if in_both else NEW if day in starts[1] else GONE
        yield RowDiff(kind, variant, day, was, now)
