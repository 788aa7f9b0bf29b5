"""Grouping the ledger's calls: a question in words, one SELECT, lines of sums.

Layer: reports, I/O.  Below: reading, core.budgets (the attributes' names), reports.totals.
Above: commands.report.
SQLite adds up whole numbers exactly, and raises where a sum would pass 64 bits.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path

from noburn_cli.core.budgets import NONE, TAG_PREFIX, check_key
from noburn_cli.core.months import month_end_ms, month_start_ms
from noburn_cli.core.usage import (
    AUDIO_CACHE_READ,
    EXTRA_INPUT_KINDS,
    EXTRA_OUTPUT_KINDS,
    FILE_SEARCH,
    IMAGE_CACHE_READ,
    WEB_SEARCH,
    WEB_SEARCH_PREVIEW,
)
from noburn_cli.errors import UsageError
from noburn_cli.reports.reading import reading
from noburn_cli.reports.totals import Line, Report, Sums, make_report

#: What a report can be grouped by besides `tag.NAME`, and the SQL for it.
COLUMNS: Mapping[str, str] = {
    "run": "run",
    "model": "coalesce(resolved_model, model)",
    "customer": "customer",
    "feature": "feature",
    "project": "project",
    "user": '"user"',
    "job": "job",
    "step": "step",
    "api": "api",
    "state": "state",
    "day": "coalesce(month, date(first_ms / 1000, 'unixepoch'))",
}

_OPEN = "state = 'held'"
_NEVER_LEFT = "state IN ('blocked', 'refused')"
#: By the call, that is: not by a subscription, which makes its cost notional.
_PAID = "coalesce(json_extract(detail, '$.notional'), 0) = 0"


def _extra(*kinds: str) -> str:
    """SQL for how much of some further kinds a call was billed."""
    return " + ".join(f"coalesce(json_extract(extra, '$.{kind}'), 0)" for kind in kinds)


_UNBILLED = "state IN ('uncertain', 'orphaned')"

#: In the order of Sums' fields.
_SUMS = f"""
    coalesce(sum(requests) FILTER (WHERE NOT {_NEVER_LEFT}), 0),
    coalesce(sum(coalesce(input, 0) + coalesce(cache_read, 0) + coalesce(cache_write_5m, 0)
        + coalesce(cache_write_1h, 0) + {_extra(*EXTRA_INPUT_KINDS)}), 0),
    coalesce(sum(coalesce(cache_read, 0) + {_extra(AUDIO_CACHE_READ, IMAGE_CACHE_READ)}), 0),
    coalesce(sum(coalesce(output, 0) + {_extra(*EXTRA_OUTPUT_KINDS)}), 0),
    coalesce(sum(reasoning), 0),
    coalesce(sum(cost_nano) FILTER (WHERE NOT {_OPEN} AND NOT {_NEVER_LEFT} AND {_PAID}), 0),
    coalesce(sum(hold_nano) FILTER (WHERE {_OPEN} AND {_PAID}), 0),
    coalesce(sum(cost_nano) FILTER (WHERE {_UNBILLED} AND {_PAID}), 0),
    count(*) FILTER (WHERE {_UNBILLED}),
    coalesce(sum(requests) FILTER (WHERE state = 'blocked'), 0),
    coalesce(sum(requests) FILTER (WHERE state = 'refused'), 0),
    coalesce(sum(clamped) FILTER (WHERE NOT {_NEVER_LEFT}), 0),
    coalesce(sum(cost_nano) FILTER (WHERE NOT {_OPEN} AND NOT {_NEVER_LEFT} AND NOT {_PAID}), 0),
    coalesce(sum({_extra(WEB_SEARCH, WEB_SEARCH_PREVIEW, FILE_SEARCH)}), 0),
    count(*) FILTER (WHERE json_extract(detail, '$.warned') IS NOT NULL),
    count(*) FILTER (WHERE json_extract(detail, '$.downgraded') IS NOT NULL),
    coalesce(sum(overage_nano), 0)
"""

_SHARED = """
    api, model, resolved_model, project, customer, feature, "user", job, run, step, tags, state,
    input, cache_read, cache_write_5m, cache_write_1h, output, reasoning, extra, cost_nano,
    hold_nano, clamped
"""
_CALLS = f"""
    SELECT {_SHARED}, requests, detail, NULL AS month, reserved_at_ms AS first_ms,
      reserved_at_ms AS last_ms, overage_nano FROM calls
    LEFT JOIN (SELECT call AS over, sum(nano) AS overage_nano FROM overages
      WHERE call IS NOT NULL GROUP BY call) ON over = call
"""  # noqa: S608 -- our own names
#: Of compacted calls a whole month is one line: it lies in a period whole, or not at all.
_ROLLED = f"""
    SELECT {_SHARED}, calls, CASE WHEN notional THEN '{{"notional":true}}' END, month,
      unixepoch(month || '-01') * 1000, unixepoch(month || '-01', '+1 month') * 1000 - 1, NULL
    FROM rolled
"""  # noqa: S608
_MONTHS = "SELECT DISTINCT month FROM rollups ORDER BY month"

_AGO = re.compile(r"(\d{1,6})([mhdw])", re.ASCII)
_AGO_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@dataclass(frozen=True)
class Question:
    """Which calls, grouped by what.

    since_ms, until_ms: reserved at or after, and before; None for no border.
    where: values by attribute, `model` or `tag.NAME`; `(none)` asks for calls without one.
    run: a run's id; everything below it counts as its own.
    step: a step, or some in a row; everything below counts as its own.
    """

    by: tuple[str, ...]
    since_ms: int | None = None
    until_ms: int | None = None
    where: Mapping[str, str] = field(default_factory=dict)
    run: str | None = None
    step: str | None = None


def read_report(ledger_path: Path, question: Question) -> Report:
    """Group and add up.

    Raises UsageError for a column that does not exist, LedgerUnavailable without a ledger.
    """
    with reading(ledger_path) as connection:
        months = [str(month) for (month,) in connection.execute(_MONTHS)]
        sql, values = _statement(question, compacted=bool(months))
        rows = list(connection.execute(sql, values))
    width = len(question.by)
    lines = (Line(tuple(str(k) for k in row[:width]), Sums(*row[width:])) for row in rows)
    return make_report(question.by, lines, cut_months=_cut(months, question))


def _cut(months: Sequence[str], question: Question) -> tuple[str, ...]:
    """Compacted months that a period cuts: of such a month no part is known, and none is told."""
    since, until = question.since_ms, question.until_ms
    return tuple(
        month
        for month in months
        if (since is not None and month_start_ms(month) < since < month_end_ms(month))
        or (until is not None and month_start_ms(month) < until < month_end_ms(month))
    )


def check_column(name: str) -> str:
    """Return `name` when calls can be grouped by it.  Raises UsageError naming the nearest."""
    if name in COLUMNS:
        return name
    if name.startswith(TAG_PREFIX):
        return check_key(name)
    near = difflib.get_close_matches(name, COLUMNS, n=2, cutoff=0.5)
    raise UsageError(
        f"a report cannot be grouped by {name!r}",
        why=f"known are {', '.join(COLUMNS)} and tag.NAME",
        next_step=f"did you mean {' or '.join(near)}?" if near else "choose one of them",
    )


def parse_moment(text: str, *, now: datetime, what: str) -> int:
    """Read `2026-11-01`, `2026-11-01T14:00`, `24h`, `7d`, `2w` as epoch milliseconds.

    A moment without a zone is UTC, like the ledger's windows.  Raises UsageError.
    """
    plain = text.strip()
    ago = _AGO.fullmatch(plain)
    try:
        if ago is not None:
            moment = now - timedelta(**{_AGO_UNITS[ago[2]]: int(ago[1])})
        else:
            moment = datetime.fromisoformat(plain)
    except (ValueError, OverflowError) as error:
        raise UsageError(
            f"{what} cannot be read from {text!r}",
            why="expected a day, a time, or how long ago",
            next_step="write it like 2026-11-01, 2026-11-01T14:00, 24h or 7d",
        ) from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return int(moment.timestamp() * 1000)


def _statement(question: Question, *, compacted: bool) -> tuple[str, dict[str, str | int]]:
    """The SELECT and its values.  Only names out of our own tables become part of the text."""
    values: dict[str, str | int] = {}
    keys = [_column(name, values) for name in question.by]
    shown = [f"coalesce({key}, '{NONE}')" for key in keys]
    conditions = list(_conditions(question, values))
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    group = ", ".join(str(number + 1) for number in range(len(keys)))
    source = f"{_CALLS} UNION ALL {_ROLLED}" if compacted else _CALLS
    sql = f"SELECT {', '.join((*shown, _SUMS))} FROM ({source}) {where} GROUP BY {group}"  # noqa: S608
    return sql, values


def _conditions(question: Question, values: dict[str, str | int]) -> Sequence[str]:
    found = []
    if question.since_ms is not None:
        values["since"] = question.since_ms
        found.append("first_ms >= :since")
    if question.until_ms is not None:
        values["until"] = question.until_ms
        found.append("last_ms < :until")
    if question.run is not None:
        values["run"] = f"/{question.run}/"
        found.append("instr('/' || run || '/', :run)")
    if question.step is not None:
        values["step"] = f"/{question.step}/"
        found.append("instr('/' || step || '/', :step)")
    for number, (name, wanted) in enumerate(question.where.items()):
        column = _column(name, values)
        if wanted == NONE:
            found.append(f"{column} IS NULL")
            continue
        values[f"where{number}"] = wanted
        if name == "model":  # As it was called, or as the book calls it.
            found.append(f":where{number} IN (model, resolved_model)")
        else:
            found.append(f"{column} = :where{number}")
    return found


def _column(name: str, values: dict[str, str | int]) -> str:
    """The SQL for a column; a tag's name travels as a value."""
    check_column(name)
    if name in COLUMNS:
        return COLUMNS[name]
    place = f"tag{len(values)}"
    values[place] = f'$."{name.removeprefix(TAG_PREFIX)}"'
    return f"json_extract(tags, :{place})"
