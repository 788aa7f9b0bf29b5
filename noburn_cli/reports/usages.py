"""What settled calls used, call by call, for those who price them anew.

Layer: reports, I/O.  Below: reading, core.repricing, core.usage.
Above: commands.prices (`update --impact`).  Read-only.
Not here: sums (reports.query), the order of what happened (reports.recorded).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from noburn_cli.core.months import month_end_ms, month_of, month_start_ms
from noburn_cli.core.repricing import Repricing
from noburn_cli.core.usage import PRICED_KINDS

if TYPE_CHECKING:
    import apsw

_WITHOUT_A_MONTH_DAYS = 30
_DAY_MS = 86_400_000
_NOTIONAL = "coalesce(json_extract(detail, '$.notional'), 0)"
_IN_PERIOD = "reserved_at_ms >= ? AND reserved_at_ms < ?"

_COUNT = f"SELECT count(*) FROM calls WHERE state = 'settled' AND {_IN_PERIOD}"  # noqa: S608
_CALLS = f"""
    SELECT coalesce(resolved_model, model), variant, cost_nano, {_NOTIONAL}, extra, reserved_at_ms,
      {", ".join(PRICED_KINDS)}
    FROM calls WHERE state = 'settled' AND {_IN_PERIOD}
"""  # noqa: S608 -- our own names
_OTHERS = f"""
    SELECT state, count(*), coalesce(sum(cost_nano), 0) FROM calls
    WHERE state IN ('uncertain', 'orphaned', 'correction') AND {_NOTIONAL} = 0 AND {_IN_PERIOD}
    GROUP BY state
"""  # noqa: S608
_ROLLED = """
    SELECT coalesce(sum(calls), 0), coalesce(sum(cost_nano), 0) FROM rolled
    WHERE NOT notional AND month >= ? AND month <= ?
      AND state NOT IN ('voided', 'blocked', 'refused')
"""
_ROLLED_LINES = f"""
    SELECT month, model, calls, cost_nano, notional, extra, {", ".join(PRICED_KINDS)} FROM rolled
    WHERE month >= ? AND month <= ? AND state = 'settled'
"""  # noqa: S608
_SUBSCRIPTION = "paid by a subscription, not by the call"
_NO_MODEL = "without a model: charged at a ceiling"
_REASONS = {
    "uncertain": "no usage came: charged at their holds (uncertain)",
    "orphaned": "no usage came: charged at their holds (orphaned)",
    "correction": "corrections, which are amounts without usage",
}


@dataclass(frozen=True)
class Stretch:
    """A stretch of time, epoch ms, the end not part of it; `month` where it is a whole one."""

    since_ms: int
    until_ms: int
    month: str | None


def last_month(connection: apsw.Connection, now_ms: int) -> Stretch:
    """The last full month (UTC) if calls were settled in it, else the last 30 days."""
    now = datetime.fromtimestamp(now_ms / 1000, tz=timezone.utc)
    month = month_of(int((now.replace(day=1) - timedelta(days=1)).timestamp()) * 1000)
    whole = Stretch(month_start_ms(month), month_end_ms(month), month)
    rolled = connection.execute(_ROLLED, (month, month)).fetchone()
    if _count(connection, whole) or (rolled is not None and rolled[0]):
        return whole
    return Stretch(now_ms - _WITHOUT_A_MONTH_DAYS * _DAY_MS, now_ms, None)


def _count(connection: apsw.Connection, stretch: Stretch) -> int:
    row = connection.execute(_COUNT, (stretch.since_ms, stretch.until_ms)).fetchone()
    return 0 if row is None else int(row[0])


def reprice(
    connection: apsw.Connection,
    stretch: Stretch,
    repricing: Repricing,
    *,
    begin: Callable[[int], None],
    step: Callable[[], None],
) -> None:
    """Add every settled call of a stretch, and say of what else was charged why it is left out.

    begin: told how many calls there are.  step: called after each.
    """
    bounds = (stretch.since_ms, stretch.until_ms)
    begin(_count(connection, stretch))
    calls = connection.execute(_CALLS, bounds)
    for model, variant, cost, notional, extra, made_ms, *counts in calls:
        usage = _usage(counts, extra)
        if notional:
            repricing.leave_out(_SUBSCRIPTION, charged=0)
        elif not model:
            repricing.leave_out(_NO_MODEL, charged=cost)
        elif not usage and cost:
            repricing.leave_out("settled by an amount without usage", charged=cost)
        else:
            repricing.add(model, variant or "standard", usage, cost, made_ms=made_ms)
        step()
    for state, count, charged in connection.execute(_OTHERS, bounds):
        repricing.leave_out(_REASONS[state], charged=charged, calls=count)
    months = (month_of(stretch.since_ms), month_of(stretch.until_ms - 1))
    for month, model, count, charged, notional, extra, *counts in connection.execute(
        _ROLLED_LINES, months
    ):
        if notional:
            repricing.leave_out(_SUBSCRIPTION, charged=0, calls=count)
        elif not model:
            repricing.leave_out(_NO_MODEL, charged=charged, calls=count)
        else:
            span = {"since_ms": month_start_ms(month), "until_ms": month_end_ms(month)}
            repricing.add_sums(model, _usage(counts, extra), charged, calls=count, **span)


def _usage(counts: Iterable[int], extra: str | None) -> dict[str, int]:
    usage = {kind: int(n) for kind, n in zip(PRICED_KINDS, counts, strict=True) if n}
    return usage | json.loads(extra) if extra else usage
