"""Months as compacting counts them: `2026-10`, in UTC.

Layer: core (pure, standard library).  Below: errors.  Above: the daemon's compacting, reports.
Not here: the windows of budgets, which have zones and anchor days (core.windows).
"""

from __future__ import annotations

import re
from datetime import datetime, timezone

from noburn_cli.errors import UsageError

_MONTH = re.compile(r"(\d{4})-(0[1-9]|1[0-2])", re.ASCII)


def check_month(month: str) -> str:
    """Return a month that is written like 2026-10.  Raises UsageError."""
    if not _MONTH.fullmatch(month) or month < "1970":
        raise UsageError(
            f"a month cannot be read from {month!r}", next_step="write it like 2026-10"
        )
    return month


def month_start_ms(month: str) -> int:
    """The first moment of a month, epoch ms."""
    first = datetime(int(month[:4]), int(month[5:]), 1, tzinfo=timezone.utc)
    return int(first.timestamp()) * 1000


def month_end_ms(month: str) -> int:
    """The first moment after a month, epoch ms."""
    year, following = divmod(int(month[:4]) * 12 + int(month[5:]), 12)
    return month_start_ms(f"{year:04}-{following + 1:02}")


def month_of(at_ms: int) -> str:
    """The month of a moment."""
    return f"{datetime.fromtimestamp(at_ms / 1000, tz=timezone.utc):%Y-%m}"
