"""`hours` and `days` of a row in a price file, and which rows they leave nothing to.

Layer: core (pure).  Below: core.rate_rows, core.pricebook_fields.  Above: core.pricebook_file.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Any

from noburn_cli.core.pricebook_fields import Refuse
from noburn_cli.core.rate_rows import DAY_MINUTES, RateRow, Window

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_HOURS = re.compile(r"(\d\d):(\d\d)-(\d\d):(\d\d)", re.ASCII)
_HOUR_MINUTES = 60


def windows_of(given: Mapping[str, Any], refuse: Refuse) -> tuple[Window, ...]:
    """The windows of a row, none for all hours.  Raises PriceBookInvalid."""
    if "hours" not in given and "days" not in given:
        return ()
    days = _days(given.get("days", list(DAYS)), refuse)
    hours = given.get("hours", ["00:00-24:00"])
    if not isinstance(hours, list) or not hours:
        raise refuse('`hours` is not a list like ["01:00-04:00"]')
    windows = tuple(sorted(_window(one, days, refuse) for one in hours))
    for one, after in itertools.pairwise(windows):
        if after.from_minute < one.until_minute:
            raise refuse("two of its `hours` overlap")
    return windows


def check_windows(rows: Sequence[RateRow], refuse: Refuse) -> None:
    """Of rows of one model in one file: at every moment one of them comes first, or none.

    Raises PriceBookInvalid.
    """
    for place, row in enumerate(rows):
        for other in rows[:place]:
            same = (other.variant, other.starts_on) == (row.variant, row.starts_on)
            if same and _overlap(other.windows, row.windows):
                raise refuse(f"two {row.variant} rows start on {row.starts_on}")
        if row.windows and not any(
            other.variant == row.variant and not other.windows and other.starts_on <= row.starts_on
            for other in rows
        ):
            raise refuse(
                f"its {row.variant} row from {row.starts_on} has hours, and no row without hours "
                "says what the others cost"
            )


def _overlap(one: Sequence[Window], other: Sequence[Window]) -> bool:
    if not one or not other:
        return not one and not other
    return any(
        a.from_minute < b.until_minute
        and b.from_minute < a.until_minute
        and not set(a.days).isdisjoint(b.days)
        for a in one
        for b in other
    )


def _days(given: Any, refuse: Refuse) -> tuple[int, ...]:
    words = given if isinstance(given, list) else None
    if not words or any(one not in DAYS for one in words) or len(set(words)) != len(words):
        raise refuse(f"`days` is not a list of days: {', '.join(DAYS)}")
    return tuple(sorted(DAYS.index(one) for one in words))


def _window(text: Any, days: tuple[int, ...], refuse: Refuse) -> Window:
    match = _HOURS.fullmatch(text) if isinstance(text, str) else None
    numbers = [int(one) for one in match.groups()] if match is not None else [0, 0, 0, 0]
    start, end = (hour * _HOUR_MINUTES + minute for hour, minute in (numbers[:2], numbers[2:]))
    if not start < end <= DAY_MINUTES or max(numbers[1], numbers[3]) >= _HOUR_MINUTES:
        raise refuse(
            f'`hours` has {text!r}, not hours of one day in UTC like "01:00-04:00"; '
            "split what passes midnight in two"
        )
    return Window(start, end, days)
