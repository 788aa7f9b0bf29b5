"""What is announced of the models in use: prices that change, models that are switched off.

Layer: core (pure; the time is given).  Below: core.pricebook, core.rate_changes, core.models.
Above: commands.prices (`check`), and whoever plans with prices: estimate, run, gate.
Not here: whether the book agrees with its sources (price_sources.comparing).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from noburn_cli.core.models import Model, is_retired, retired_warning
from noburn_cli.core.pricebook import PriceBook
from noburn_cli.core.rate_changes import RateChange, show_change
from noburn_cli.core.rate_schedules import (
    schedule_at,
    schedule_changes,
    uplift_words,
    variants_of,
)

#: What a notice is about.
PRICE = "price"
RETIREMENT = "retirement"
RETIRED = "retired"
UNCHECKED = "unchecked"

HORIZON_DAYS = 45
CHECKED_DAYS_MAX = 60
#: A sentence names as many changes as one reads.
_CHANGES_SHOWN = 3


@dataclass(frozen=True)
class PriceNotice:
    """One thing to know ahead about a model.

    kind: PRICE, RETIREMENT, RETIRED or UNCHECKED.  model: its name in the book.
    on: the day (UTC) on which it holds; of UNCHECKED, the day of the last check.
    days: from today to that day, negative for the past.
    text: a sentence without a full stop.  changes: of PRICE, every rate that changes.
    """

    kind: str
    model: str
    on: date
    days: int
    text: str
    changes: tuple[RateChange, ...] = ()


def notices(
    book: PriceBook,
    models: Iterable[str] | None,
    *,
    at_ms: int,
    horizon_days: int = HORIZON_DAYS,
) -> list[PriceNotice]:
    """What is announced for the next `horizon_days`, the nearest day first.

    models: names as people write them; None for every model of the book.  A model named twice
        counts once.
    Raises ModelUnknown.
    """
    today = _day(at_ms)
    last = today + timedelta(days=horizon_days)
    found = [
        notice
        for model in _models(book, models)
        for notice in (
            *_retirement(model, today, last, at_ms),
            *_prices(model, today, last),
            *_uplifts(model, today, last),
        )
    ]
    return sorted(found, key=lambda one: (one.on, one.model, one.kind))


def unchecked(
    book: PriceBook,
    models: Iterable[str] | None,
    *,
    at_ms: int,
    days_max: int = CHECKED_DAYS_MAX,
) -> list[PriceNotice]:
    """Models whose rates in force were compared with their sources longer ago than `days_max`.

    Raises ModelUnknown.
    """
    today = _day(at_ms)
    found = []
    for model in _models(book, models):
        now = [row for v in variants_of(model.rows) if (row := model.row_at(v, at_ms)) is not None]
        checked = min((row.checked_on for row in now), default=today)
        days = (today - checked).days
        if days > days_max and not is_retired(model, at_ms):
            text = f"{model.name}: rates last compared with their source {days} days ago, {checked}"
            found.append(PriceNotice(UNCHECKED, model.name, checked, -days, text))
    return found


def _models(book: PriceBook, names: Iterable[str] | None) -> Iterator[Model]:
    if names is None:
        yield from book.models()
        return
    found = {model.name: model for model in map(book.resolve, names)}
    yield from found.values()


def _retirement(model: Model, today: date, last: date, at_ms: int) -> Iterator[PriceNotice]:
    on = model.retires_on
    if on is None or on > last:
        return
    days = (on - today).days
    if is_retired(model, at_ms):
        yield PriceNotice(RETIRED, model.name, on, days, retired_warning(model))
        return
    text = f"`{model.name}` is switched off by its provider on {on} ({in_days(days)})"
    yield PriceNotice(RETIREMENT, model.name, on, days, text)


def _prices(model: Model, today: date, last: date) -> Iterator[PriceNotice]:
    days_of_change = sorted({row.starts_on for row in model.rows if today < row.starts_on <= last})
    for on in days_of_change:
        changes = tuple(
            change
            for variant in variants_of(model.rows)
            for change in _changes_on(model, variant, on)
        )  # fmt: skip
        if changes:
            days = (on - today).days
            text = f"`{model.name}` changes its price on {on} ({in_days(days)}): {_listed(changes)}"
            yield PriceNotice(PRICE, model.name, on, days, text, changes)


def _uplifts(model: Model, today: date, last: date) -> Iterator[PriceNotice]:
    for uplift in model.uplifts:
        if today < uplift.starts_on <= last:
            on, days = uplift.starts_on, (uplift.starts_on - today).days
            what = f"in {uplift_words(uplift)}"
            text = f"`{model.name}` changes its price on {on} ({in_days(days)}) {what}"
            yield PriceNotice(PRICE, model.name, on, days, text)


def _changes_on(model: Model, variant: str, on: date) -> tuple[RateChange, ...]:
    rows = [row for row in model.rows if row.variant == variant]
    before = schedule_at(rows, on - timedelta(days=1))
    return schedule_changes(before, schedule_at(rows, on))


def _listed(changes: tuple[RateChange, ...]) -> str:
    shown = ", ".join(show_change(change) for change in changes[:_CHANGES_SHOWN])
    more = len(changes) - _CHANGES_SHOWN
    return shown if more <= 0 else f"{shown} and {more} more"


def in_days(days: int) -> str:
    """`today`, `tomorrow`, `in 12 days`, `3 days ago`."""
    if days in (0, 1):
        return ("today", "tomorrow")[days]
    return f"in {days} days" if days > 0 else f"{-days} day{'s' if days < -1 else ''} ago"


def _day(at_ms: int) -> date:
    return datetime.fromtimestamp(at_ms / 1000, UTC).date()
