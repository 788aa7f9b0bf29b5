"""Grouping the ledger's calls: a question in words, one SELECT, lines of sums.

Layer: reports, I/O.  Below: reading, core.budgets (the attributes' names), totals, localtime.
Above: reports.lines, which answers from kept sums where it can; reconcile and tests, which want
every row read.
Owns: what a question is, and its plain answer: a scan of the view `calls`.
Not here: sums that are kept (reports.rollups).
SQLite adds up whole numbers exactly, and raises where a sum would pass 64 bits.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

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
from noburn_cli.core.windows import UTC
from noburn_cli.errors import UsageError
from noburn_cli.reports.latencies import BUCKET_SQL, Latencies
from noburn_cli.reports.localtime import LocalTime
from noburn_cli.reports.reading import reading
from noburn_cli.reports.totals import Line, Report, Sums, make_report

if TYPE_CHECKING:
    import apsw

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
    "api": "nullif(api, '')",  # corrections and what was compacted of them have none
    "state": "state",
    "hour": "coalesce(month, local_hour(first_ms))",
    "day": "coalesce(month, local_day(first_ms))",
    "week": "coalesce(month, local_week(first_ms))",
    "month": "coalesce(month, local_month(first_ms))",
    "source": "source",
}
#: Columns that only a clock and a calendar can tell.
TIMES = ("hour", "day", "week", "month")
#: Where calls come from: this ledger, or other tools' records that were imported.
LEDGER, IMPORTED = "ledger", "imported"
SOURCES = (LEDGER, IMPORTED)

_OPEN = "state = 'held'"
_NEVER_LEFT = "state IN ('blocked', 'refused')"
#: What was let go: corrections are entries, and no calls that could fail.
_WENT = f"NOT {_NEVER_LEFT} AND state <> 'correction'"
#: By the call, that is: not by a subscription, which makes its cost notional.
PAID = "(coalesce(json_extract(detail, '$.notional'), 0) = 0)"


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
    coalesce(sum(cost_nano) FILTER (WHERE NOT {_OPEN} AND NOT {_NEVER_LEFT} AND {PAID}), 0),
    coalesce(sum(hold_nano) FILTER (WHERE {_OPEN} AND {PAID}), 0),
    coalesce(sum(cost_nano) FILTER (WHERE {_UNBILLED} AND {PAID}), 0),
    count(*) FILTER (WHERE {_UNBILLED}),
    coalesce(sum(requests) FILTER (WHERE state = 'blocked'), 0),
    coalesce(sum(requests) FILTER (WHERE state = 'refused'), 0),
    coalesce(sum(clamped) FILTER (WHERE NOT {_NEVER_LEFT}), 0),
    coalesce(sum(cost_nano) FILTER (WHERE NOT {_OPEN} AND NOT {_NEVER_LEFT} AND NOT {PAID}), 0),
    coalesce(sum({_extra(WEB_SEARCH, WEB_SEARCH_PREVIEW, FILE_SEARCH)}), 0),
    count(*) FILTER (WHERE json_extract(detail, '$.warned') IS NOT NULL),
    count(*) FILTER (WHERE json_extract(detail, '$.downgraded') IS NOT NULL),
    coalesce(sum(overage_nano), 0),
    count(*) FILTER (WHERE {_WENT} AND status = 429),
    count(*) FILTER (WHERE {_WENT} AND status >= 400 AND status < 500 AND status <> 429),
    count(*) FILTER (WHERE {_WENT} AND status >= 500),
    count(*) FILTER (WHERE {_WENT} AND failure IS NOT NULL AND coalesce(status, 0) < 400),
    count(latency_ms), coalesce(sum(latency_ms), 0),
    coalesce(sum(cache_write_5m), 0), coalesce(sum(cache_write_1h), 0),
    coalesce(sum({_extra(*EXTRA_INPUT_KINDS)}), 0),
    coalesce(sum({_extra(AUDIO_CACHE_READ, IMAGE_CACHE_READ)}), 0),
    coalesce(sum({_extra(*EXTRA_OUTPUT_KINDS)}), 0)
"""

SHARED_COLUMNS = """
    api, model, resolved_model, project, customer, feature, "user", job, run, step, tags, state,
    input, cache_read, cache_write_5m, cache_write_1h, output, reasoning, extra, cost_nano,
    hold_nano, clamped
"""
_CALLS = f"""
    SELECT {SHARED_COLUMNS}, requests, detail, NULL AS month, reserved_at_ms AS first_ms,
      reserved_at_ms AS last_ms, overage_nano, latency_ms, status, failure, '{LEDGER}' AS source
    FROM calls
    LEFT JOIN (SELECT call AS over, sum(nano) AS overage_nano FROM overages
      WHERE call IS NOT NULL GROUP BY call) ON over = call
"""  # noqa: S608 -- our own names
#: Of compacted calls a whole month is one line: it lies in a period whole, or not at all.
_ROLLED = f"""
    SELECT {SHARED_COLUMNS}, calls, CASE WHEN notional THEN '{{"notional":true}}' END, month,
      unixepoch(month || '-01') * 1000, unixepoch(month || '-01', '+1 month') * 1000 - 1, NULL,
      NULL, NULL, NULL, '{LEDGER}'
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
    zone: whose clock tells hours, days, weeks and months.
    compare: the period before as well (`reports.period` says which that is).
    sources: of SOURCES, those whose calls are asked about.
    latency: how long calls took as well.
    """

    by: tuple[str, ...]
    since_ms: int | None = None
    until_ms: int | None = None
    where: Mapping[str, str] = field(default_factory=dict)
    run: str | None = None
    step: str | None = None
    zone: str = UTC
    compare: bool = False
    sources: tuple[str, ...] = SOURCES
    latency: bool = False


def read_report(ledger_path: Path, question: Question) -> Report:
    """Group and add up the ledger's calls, every one of them read: nothing kept, nothing imported.

    Raises UsageError for a column or zone that does not exist, LedgerUnavailable without a ledger.
    """
    with reading(ledger_path) as connection:
        months = [str(month) for (month,) in connection.execute(_MONTHS)]
        source = f"{_CALLS} UNION ALL {_ROLLED}" if months else _CALLS
        lines = grouped(connection, question, source)
    return make_report(question.by, lines, cut_months=cut_months(months, question))


def grouped(connection: apsw.Connection, question: Question, source: str) -> list[Line]:
    """The lines of a question over a SELECT with the columns of the calls."""
    _register(connection, LocalTime(question.zone))
    sql, values = _statement(question, source, _SUMS)
    rows = list(connection.execute(sql, values))
    width = len(question.by)
    taken = _taken(connection, question, source) if question.latency else {}
    return [
        Line(
            keys := tuple(str(k) for k in row[:width]), Sums(*row[width:]),
            Latencies(taken.get(keys, {})) if question.latency else None,
        )
        for row in rows
    ]  # fmt: skip


def parts(question: Question, by: tuple[str, ...]) -> Question:
    """The same calls, grouped by other columns, and nothing but their sums."""
    return replace(question, by=by, compare=False, latency=False)


def _taken(
    connection: apsw.Connection, question: Question, source: str
) -> dict[tuple[str, ...], dict[int, int]]:
    """How long calls took, by line and bucket."""
    bucket = BUCKET_SQL.format("latency_ms")
    sql, values = _statement(
        question, source, f"count(*), {bucket}", only="latency_ms NOTNULL", group=(bucket,)
    )
    found: dict[tuple[str, ...], dict[int, int]] = {}
    for *keys, count, place in connection.execute(sql, values):
        found.setdefault(tuple(str(k) for k in keys), {})[place] = count
    return found


def _register(connection: apsw.Connection, local: LocalTime) -> None:
    for column in TIMES:
        connection.create_scalar_function(
            f"local_{column}", getattr(local, column), 1, deterministic=True
        )


def cut_months(months: Sequence[str], question: Question) -> tuple[str, ...]:
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


def parse_moment(text: str, *, now: datetime, what: str, zone: str = UTC) -> int:
    """Read `2026-11-01`, `2026-11-01T14:00`, `24h`, `7d`, `2w` as epoch milliseconds.

    zone: of a moment that names none; UTC, like the ledger's windows.  Raises UsageError.
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
        moment = moment.replace(tzinfo=LocalTime(zone).tz)
    return int(moment.timestamp() * 1000)


def _statement(
    question: Question, source: str, sums: str, *, only: str = "", group: tuple[str, ...] = ()
) -> tuple[str, dict[str, str | int]]:
    """The SELECT and its values.  Only names out of our own tables become part of the text."""
    values: dict[str, str | int] = {}
    keys = [_column(name, values) for name in question.by]
    shown = [f"coalesce({key}, '{NONE}')" for key in keys]
    conditions = [*_conditions(question, values), *([only] if only else [])]
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    places = (*(str(number + 1) for number in range(len(keys))), *group)
    grouped_by = f"GROUP BY {', '.join(places)}" if places else "HAVING count(*) > 0"
    sql = f"SELECT {', '.join((*shown, sums))} FROM ({source}) {where} {grouped_by}"  # noqa: S608
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
