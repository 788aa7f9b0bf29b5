"""What ended after a row of the journal: calls, runs with their steps, and corrections.

Layer: otel, I/O.  Below: ledger_file.  Above: spans, sums, job.
Owns: the order (the journal's), and what each row adds to what earlier ones said.  A call that is
closed, reopened by nobody and closed again (a late bill) is told again as it stands by then.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from noburn_cli.core.usage import KINDS, Usage

if TYPE_CHECKING:
    import apsw

_CLOSING = "('settle', 'lose', 'orphan', 'void')"
_EVENTS = f"""
    SELECT j.seq, j.at_ms, j.kind, j.call, j.run,
      CASE WHEN j.kind = 'void' THEN 0 ELSE coalesce(j.cost_nano, 0) END AS cost_nano,
      coalesce((SELECT CASE WHEN p.kind = 'void' THEN 0 ELSE p.cost_nano END FROM journal AS p
        WHERE p.call = j.call AND p.seq < j.seq AND p.kind IN {_CLOSING} AND j.kind IN {_CLOSING}
        ORDER BY p.seq DESC LIMIT 1), 0) AS before_nano,
      EXISTS (SELECT 1 FROM journal AS p WHERE p.call = j.call AND p.seq < j.seq
        AND p.kind = 'settle') AS settled_before,
      EXISTS (SELECT 1 FROM journal AS p WHERE p.call = j.call AND p.seq < j.seq
        AND p.kind IN {_CLOSING} AND p.latency_ms IS NOT NULL) AS timed_before,
      j.latency_ms, j.status, j.input, j.cache_read, j.cache_write_5m, j.cache_write_1h, j.output,
      j.reasoning, j.extra, json_extract(j.detail, '$.id')
    FROM journal AS j
    WHERE j.seq > :after AND j.seq <= :upto AND j.at_ms >= :since
      AND (j.kind IN ('settle', 'lose', 'orphan', 'void', 'blocked', 'refused', 'run_end')
        OR (j.kind = 'correction' AND j.cost_nano IS NOT NULL))
    ORDER BY j.seq LIMIT :limit
"""  # noqa: S608 -- our own constants
#: Column -> the SQL that it is read with, where that is not its name.
_CALL_COLUMNS = {
    **{
        name: name
        for name in (
            *("call", "state", "api", "model", "resolved_model", "project", "customer", "feature"),
            *("user", "job", "run", "step", "tags", "reserved_at_ms", "closed_at_ms"),
            *("latency_ms", "status", "failure", *KINDS, "extra", "hold_nano", "cost_nano"),
            *("bound", "granted", "clamped", "waited_ms", "book", "variant", "provider_id"),
        )
    },
    "notional": "coalesce(json_extract(detail, '$.notional'), 0)",
    "served_model": "(SELECT s.served_model FROM journal AS s WHERE s.call = calls.call"
    " AND s.served_model IS NOT NULL ORDER BY s.seq DESC LIMIT 1)",
}
_CALLS = (
    f"SELECT {', '.join(_CALL_COLUMNS.values())} FROM calls"  # noqa: S608 -- our own constants
    " WHERE call IN (SELECT value FROM json_each(?))"
)
_RUN = """
    SELECT run, project, customer, feature, json_extract(command, '$[0]'), started_at_ms,
      ended_at_ms, exit_code
    FROM runs WHERE run = ?
"""
#: Of the calls that were reserved while the run was open: its rows lie between its two own.
_STEPS = """
    SELECT json_extract(x.text, '$.step') AS step, min(r.at_ms),
      max(coalesce((SELECT max(r.at_ms + coalesce(e.latency_ms, 0), e.at_ms) FROM journal AS e
        WHERE e.call = r.call AND e.kind IN ('settle', 'lose', 'orphan', 'void')
        ORDER BY e.seq LIMIT 1), r.at_ms))
    FROM journal AS r JOIN names AS x ON x.id = r.context
    WHERE r.kind = 'reserve' AND r.seq < :upto
      AND r.seq > (SELECT max(s.seq) FROM journal AS s WHERE s.run = :run AND s.kind = 'run_start')
      AND json_extract(x.text, '$.run') = :run AND step IS NOT NULL
    GROUP BY step
"""


@dataclass(frozen=True)
class Event:
    """One row: what ended, what it adds to the cost, and whether its tokens and time are new.

    added_nano: beyond what an earlier row of the same call said; below 0 when that was too much.
    usage: of a first settle, else None.  latency_ms: of the first row that told it, else None.
    """

    seq: int
    at_ms: int
    kind: str
    call: str | None
    run: str | None
    added_nano: int
    usage: Usage | None
    latency_ms: int | None
    status: int | None
    correction: str | None


@dataclass(frozen=True)
class Call:
    """One call as the ledger has it now.  Amounts in nano-dollars, times in epoch ms."""

    call: str
    state: str
    api: str | None
    model: str | None
    resolved_model: str | None
    project: str | None
    customer: str | None
    feature: str | None
    user: str | None
    job: str | None
    run: str | None
    step: str | None
    tags: dict[str, str]
    reserved_at_ms: int
    closed_at_ms: int | None
    latency_ms: int | None
    status: int | None
    failure: str | None
    usage: Usage | None
    hold_nano: int | None
    cost_nano: int | None
    notional: bool
    bound: str | None
    granted: int | None
    clamped: bool
    waited_ms: int | None
    book: str | None
    variant: str | None
    provider_id: str | None
    served_model: str | None


@dataclass(frozen=True)
class Run:
    """One run that has ended.  program: the first word of its command, without arguments."""

    run: str
    project: str | None
    customer: str | None
    feature: str | None
    program: str | None
    started_at_ms: int
    ended_at_ms: int
    exit_code: int | None


@dataclass(frozen=True)
class Step:
    """A step of a run, from its first call's reserve to its last call's end."""

    run: str
    step: str
    started_at_ms: int
    ended_at_ms: int


@dataclass(frozen=True)
class Ended:
    """What ended in some rows: `calls` by id, corrections among them."""

    events: list[Event]
    calls: dict[str, Call]
    runs: list[Run]
    steps: list[Step]


def read_ended(
    connection: apsw.Connection, *, after: int, upto: int, since_ms: int, limit: int
) -> Ended:
    """What the next rows after one tell, at most `limit` of them."""
    values = {"after": after, "upto": upto, "since": since_ms, "limit": limit}
    events = [_event(row) for row in connection.execute(_EVENTS, values)]
    ids = {event.correction or event.call for event in events if event.kind != "run_end"}
    runs, steps = [], []
    for event in events:
        if event.kind == "run_end" and event.run:
            runs += [Run(*row) for row in connection.execute(_RUN, (event.run,)) if row[6]]
            found = connection.execute(_STEPS, {"run": event.run, "upto": event.seq})
            steps += _with_those_above(event.run, found)
    return Ended(events, _calls(connection, ids), runs, steps)


def _calls(connection: apsw.Connection, ids: Iterable[str | None]) -> dict[str, Call]:
    wanted = json.dumps(sorted(one for one in ids if one))
    return {str(row[0]): _call(row) for row in connection.execute(_CALLS, (wanted,))}


def _event(row: Any) -> Event:
    seq, at_ms, kind, call, run, cost, before, settled_before, timed_before, latency_ms, status = (
        row[:11]
    )
    counts = kind in ("settle", "correction") and not settled_before
    timed = latency_ms is not None and not timed_before
    return Event(
        seq, at_ms, kind, call, run, cost - before,
        _usage(row[11:17], row[17]) if counts and kind == "settle" else None,
        latency_ms if timed else None, status,
        f"correction:{row[18]}" if kind == "correction" else None,
    )  # fmt: skip


def _usage(counts: Iterable[int | None], extra: str | None) -> Usage:
    found = {kind: count for kind, count in zip(KINDS, counts, strict=True) if count}
    return {**found, **(json.loads(extra) if extra else {})}


def _call(row: Any) -> Call:
    found: dict[str, Any] = dict(zip(_CALL_COLUMNS, row, strict=True))
    counts, extra = [found.pop(kind) for kind in KINDS], found.pop("extra")
    usage = None if counts[0] is None else _usage(counts, extra)
    found.update(notional=bool(found["notional"]), clamped=bool(found["clamped"]))
    return Call(**{**found, "tags": json.loads(found["tags"]), "usage": usage})


def _with_those_above(run: str, found: Iterable[Any]) -> list[Step]:
    """Steps that made calls, and the steps that they are in, which span what is below them."""
    times: dict[str, tuple[int, int]] = {}
    for step, first_ms, last_ms in found:
        names = str(step).split("/")
        for length in range(1, len(names) + 1):
            path = "/".join(names[:length])
            low, high = times.get(path, (first_ms, last_ms))
            times[path] = (min(low, first_ms), max(high, last_ms))
    return [Step(run, path, *span) for path, span in sorted(times.items())]
