"""What one variant costs on a day: one row, or several that share the day's hours.

Layer: core (pure).  Below: core.rate_rows, core.rate_changes.
Above: core.book_diff, core.book_update, core.price_notices, render.prices.
Not here: which row prices a call at a moment (core.models).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, datetime, timezone

from noburn_cli.core.models import RateRow, Uplift, Window
from noburn_cli.core.rate_changes import RateChange, rate_changes, same_terms
from noburn_cli.core.rate_rows import ANY_REGION

#: The rows of one variant that hold in some hour of a day; the one for all other hours first.
Schedule = tuple[RateRow, ...]


def schedule_at(rows: Iterable[RateRow], day: date) -> Schedule:
    """Of one variant's rows those that hold on a day; none before the first."""
    started = [row for row in rows if row.starts_on <= day]
    latest: dict[tuple[Window, ...], RateRow] = {}
    for row in sorted(started, key=lambda one: one.starts_on):
        latest[row.windows] = row
    plain = latest.pop((), None)
    if plain is None:
        return tuple(latest[windows] for windows in sorted(latest))
    # A row for all hours ends those for some that began before it.
    shared = (latest[windows] for windows in sorted(latest))
    return (plain, *(row for row in shared if row.starts_on >= plain.starts_on))


def same_schedule(one: Schedule, other: Schedule) -> bool:
    """Whether every call of a day is priced alike; where and when it was read does not matter."""
    return len(one) == len(other) and all(
        same_terms(mine, theirs) for mine, theirs in zip(one, other, strict=True)
    )


def schedule_changes(before: Schedule, after: Schedule) -> tuple[RateChange, ...]:
    """Every rate that is another one, hour by hour."""
    old = {row.windows: row for row in before}
    new = {row.windows: row for row in after}
    found: list[RateChange] = []
    for windows in dict.fromkeys((*new, *old)):
        # Hours that had no row of their own cost what the others did.
        was = old.get(windows) or (old.get(()) if windows else None)
        now = new.get(windows) or (new.get(()) if windows else None)
        hours = hours_words(windows)
        found += [
            replace(one, variant=f"{one.variant} {hours}" if hours else one.variant)
            for one in rate_changes(was, now)
        ]
    return tuple(found)


def variants_of(*rows: Sequence[RateRow]) -> tuple[str, ...]:
    """The variants of rows, in the order in which they come."""
    return tuple(dict.fromkeys(row.variant for part in rows for row in part))


def from_day(schedule: Schedule, day: date) -> Schedule:
    """The same terms from another day on."""
    start = datetime(day.year, day.month, day.day, tzinfo=timezone.utc)
    at_ms = int(start.timestamp()) * 1000
    return tuple(replace(row, starts_on=day, starts_at_ms=at_ms) for row in schedule)


def hours_words(windows: Iterable[Window]) -> str:
    """`Mon-Fri 01:00-04:00, 06:00-10:00 UTC`; the days are left out where it is every day."""
    hours: dict[tuple[int, ...], list[str]] = {}
    for one in windows:
        span = f"{_clock(one.from_minute)}-{_clock(one.until_minute)}"
        hours.setdefault(one.days, []).append(span)
    parts = [f"{_days_words(days)} {', '.join(spans)}".strip() for days, spans in hours.items()]
    return f"{'; '.join(parts)} UTC" if parts else ""


def _days_words(days: tuple[int, ...]) -> str:
    if len(days) == len(_DAYS):
        return ""
    names = [_DAYS[day] for day in days]
    in_a_row = len(days) > 2 and days == tuple(range(days[0], days[-1] + 1))
    return f"{names[0]}-{names[-1]}" if in_a_row else " ".join(names)


def uplift_words(uplift: Uplift) -> str:
    """`eu, us: × 1.1 of all rates of tokens`."""
    named = [region for region in uplift.regions if region != ANY_REGION]
    everywhere = "any other region" if named else "any region"
    regions = ", ".join([*named, *([everywhere] if ANY_REGION in uplift.regions else [])])
    whole, part = divmod(uplift.factor_permille, 1000)
    factor = f"{whole}.{part:03d}".rstrip("0").rstrip(".")
    return f"{regions}: × {factor} of all rates of tokens"


_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"
