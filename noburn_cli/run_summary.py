"""What one run did and cost, read from the ledger.

Layer: beside reports, below the commands; reads the ledger file, writes nothing.
Owns: RunSummary, its JSON form and its lines on a terminal.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from noburn_cli.core.budgets import NONE
from noburn_cli.core.money import DOLLARS, Nano, show_amount, show_dollars
from noburn_cli.core.plurals import counted
from noburn_cli.ledger_file import reading_ledger
from noburn_cli.run_notes import RunNotes, read_notes

#: A run and everything below it: `r1` is also in `r1/r2`.  Only what was journalled since it began
#: is looked at, so that a short run's summary does not wait for a long ledger.
OF_RUN = """(run = :run OR substr(run, 1, length(:run) + 1) = :run || '/')
    AND call IN (
        SELECT j.call FROM journal AS j WHERE j.kind IN ('reserve', 'blocked', 'refused')
        AND j.seq > coalesce(
            (SELECT min(s.seq) FROM journal AS s WHERE s.run = :run AND s.kind = 'run_start'), 0))
"""
#: Blocked by a budget, or refused by the guard: both never left.
_STOPPED = "state IN ('blocked', 'refused')"
#: By the call, that is: not by a subscription, which makes its cost notional.
_PAID = "coalesce(json_extract(detail, '$.notional'), 0) = 0"
_MESSAGE = "coalesce(json_extract(detail, '$.message'), json_extract(detail, '$.reason'), failure)"

_TOTALS = f"""
    SELECT
        count(*) FILTER (WHERE NOT {_STOPPED}),
        coalesce(sum(coalesce(input, 0) + coalesce(cache_read, 0) + coalesce(cache_write_5m, 0)
            + coalesce(cache_write_1h, 0)), 0),
        coalesce(sum(output), 0),
        coalesce(sum(cost_nano) FILTER (WHERE state != 'held' AND {_PAID}), 0),
        coalesce(sum(hold_nano) FILTER (WHERE state = 'held' AND {_PAID}), 0),
        count(*) FILTER (WHERE state = 'held'),
        coalesce(sum(cost_nano) FILTER (WHERE state IN ('uncertain', 'orphaned') AND {_PAID}), 0),
        count(*) FILTER (WHERE state IN ('uncertain', 'orphaned')),
        count(*) FILTER (WHERE state = 'blocked'),
        count(*) FILTER (WHERE state = 'refused'),
        count(*) FILTER (WHERE clamped = 1 AND NOT {_STOPPED}),
        count(*) FILTER (WHERE waited_ms > 0),
        count(*) FILTER (WHERE NOT {_STOPPED} AND {_PAID}
            AND coalesce(json_array_length(detail, '$.budgets'), 0) = 0),
        count(*) FILTER (WHERE NOT {_STOPPED} AND NOT {_PAID}),
        coalesce(sum(cost_nano) FILTER (WHERE state != 'held' AND NOT {_PAID}), 0),
        (SELECT count(*) FROM journal AS p WHERE p.run = :run AND p.kind = 'run_pause'),
        count(*) FILTER (WHERE NOT {_STOPPED} AND hold_nano = 0),
        count(*) FILTER (WHERE json_extract(detail, '$.warned') IS NOT NULL),
        count(*) FILTER (WHERE json_extract(detail, '$.downgraded') IS NOT NULL),
        coalesce((SELECT sum(o.nano) FROM overages AS o WHERE o.call IN (
            SELECT c.call FROM calls AS c WHERE {OF_RUN})), 0),
        count(*) FILTER (WHERE NOT {_STOPPED} AND tags ->> '$.replayed' = 'yes')
    FROM calls WHERE {OF_RUN}
"""  # noqa: S608 - a constant of ours

_LAST_STOPPED = f"""
    SELECT call, {_MESSAGE} FROM calls WHERE {OF_RUN} AND {_STOPPED}
    ORDER BY reserved_at_ms DESC, call DESC LIMIT 1
"""  # noqa: S608 - a constant of ours

_FIRST_STOPPED = f"""
    SELECT {_MESSAGE} FROM calls WHERE {OF_RUN} AND {_STOPPED}
    ORDER BY reserved_at_ms, call LIMIT 1
"""  # noqa: S608 - a constant of ours

#: Whom what was stopped, clamped or waiting belongs to: the attributes in the order of WHOM_BY.
_WHOM = f"""
    SELECT customer, feature, "user", job, step,
        count(*) FILTER (WHERE {_STOPPED}),
        count(*) FILTER (WHERE clamped = 1 AND NOT {_STOPPED}),
        count(*) FILTER (WHERE waited_ms > 0)
    FROM calls WHERE {OF_RUN} GROUP BY 1, 2, 3, 4, 5
"""  # noqa: S608 - a constant of ours
WHOM_BY = ("customer", "feature", "user", "job", "step")
_SHOWN_MAX = 4

#: As it was at last: it may have been raised meanwhile.
_LIMIT = """
    SELECT json_extract(detail, '$.unit'), json_extract(detail, '$.limit') FROM journal
    WHERE run = :run AND kind = 'budget_set' ORDER BY seq DESC LIMIT 1
"""

#: A dead process's last frames are read for a second before its calls are charged (the daemon's
#: LAST_WORDS_S), and the daemon looks every quarter of a second.
ORPHANS_S = 1.5
_LOOK_S = 0.05


@dataclass(frozen=True)
class Limited:
    """How often calls for one value of an attribute were stopped, clamped, and made to wait."""

    whom: str
    stopped: int
    clamped: int
    waited: int

    def line(self) -> str:
        said = {"stopped": self.stopped, "clamped": self.clamped, "waited": self.waited}
        return f"{self.whom} " + ", ".join(
            f"{count} {word}" for word, count in said.items() if count
        )


@dataclass(frozen=True)
class RunSummary:
    """One run's calls, with everything below it.  Amounts in nano-dollars.

    cost_nano includes uncertain calls at their holds; held_nano is money of calls still in flight.
    blocked: refused by a budget; refused: refused by the guard itself (no bound, no price).
    unlimited: calls that no budget applied to.
    notional: calls that a subscription pays for; notional_nano: at list price, in no cost.
    pauses: how often the run was paused.
    free: calls that could cost nothing: of models that the configuration declares free.
    warned: calls beyond a budget that only warns.  downgraded: calls that went out for a cheaper
        model.  overage_nano: what they booked beyond budgets of dollars that bill.
    replayed: of the notional ones, those that recorded answers were given to.
    limit_unit, limit: the run's own budget, or None.
    notes: what was seen besides its calls.
    whom_by: the first attribute that tells the run's calls apart, or ""; for_whom: by its values,
        the most often first; those of whom no call was stopped, clamped or waiting are left out.
    """

    run: str
    calls: int
    input_tokens: int
    output_tokens: int
    cost_nano: int
    held_nano: int
    held: int
    uncertain_nano: int
    uncertain: int
    blocked: int
    refused: int
    clamped: int
    waited: int
    unlimited: int
    notional: int
    notional_nano: int
    pauses: int
    free: int
    warned: int
    downgraded: int
    overage_nano: int
    replayed: int
    limit_unit: str | None
    limit: int | None
    last_stopped_call: str | None
    last_stopped_message: str | None
    notes: RunNotes = field(default_factory=RunNotes)
    whom_by: str = ""
    for_whom: tuple[Limited, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The summary with exact decimal dollars as strings."""
        limit: object = self.limit
        if self.limit_unit == "dollars" and self.limit is not None:
            limit = Nano(self.limit).exact()
        return {
            "run": self.run,
            "calls": self.calls,
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "cost_usd": Nano(self.cost_nano).exact(),
            "held_usd": Nano(self.held_nano).exact(),
            "held_calls": self.held,
            "uncertain_usd": Nano(self.uncertain_nano).exact(),
            "uncertain_calls": self.uncertain,
            "blocked": self.blocked,
            "refused": self.refused,
            "clamped": self.clamped,
            "waited": self.waited,
            "for_whom_by": self.whom_by or None,
            "for_whom": [asdict(one) for one in self.for_whom],
            "unlimited": self.unlimited,
            "notional_calls": self.notional,
            "notional_usd": Nano(self.notional_nano).exact(),
            "pauses": self.pauses,
            "free_calls": self.free,
            "warned": self.warned,
            "downgraded": self.downgraded,
            "overage_usd": Nano(self.overage_nano).exact(),
            "replayed_calls": self.replayed,
            "limit": None if self.limit is None else {"unit": self.limit_unit, "amount": limit},
            "last_stopped_call": self.last_stopped_call,
            "last_stopped_message": self.last_stopped_message,
            "bypass": self.notes.as_json(),
        }


def read_run_summary(ledger_path: Path, run: str) -> RunSummary:
    """Read the summary of the run with the path `run`.

    Raises LedgerUnavailable when the ledger cannot be read.
    """
    of_run = {"run": run}
    with reading_ledger(ledger_path) as ledger:
        totals = next(iter(ledger.execute(_TOTALS, of_run)))
        stopped = next(iter(ledger.execute(_LAST_STOPPED, of_run)), (None, None))
        limit = next(iter(ledger.execute(_LIMIT, of_run)), (None, None))
        by, whom = _for_whom(list(ledger.execute(_WHOM, of_run)))
    summary = RunSummary(run, *totals, *limit, *stopped)
    notes = read_notes(ledger_path, run)
    return replace(summary, notes=notes, whom_by=by, for_whom=whom)


def _for_whom(rows: list[tuple[Any, ...]]) -> tuple[str, tuple[Limited, ...]]:
    """By the first attribute with two values or more: one that all calls share says nothing."""
    tells_apart = (place for place in range(len(WHOM_BY)) if len({row[place] for row in rows}) > 1)
    place = next(tells_apart, None)
    if place is None:
        return "", ()
    counts: dict[str, list[int]] = {}
    for row in rows:
        sums = counts.setdefault(NONE if row[place] is None else row[place], [0, 0, 0])
        for number, count in enumerate(row[len(WHOM_BY) :]):
            sums[number] += count
    found = [Limited(whom, *sums) for whom, sums in counts.items() if any(sums)]
    found.sort(key=lambda one: (-one.stopped, -one.clamped, -one.waited, one.whom))
    return WHOM_BY[place], tuple(found)


def read_final_summary(ledger_path: Path, run: str) -> RunSummary:
    """The summary of a run whose processes have ended, the calls that they left included.

    Waits up to ORPHANS_S seconds for the daemon to charge them; what is still held then belongs to
    processes that are still there.  Raises LedgerUnavailable.
    """
    deadline = time.monotonic() + ORPHANS_S
    while True:
        summary = read_run_summary(ledger_path, run)
        if summary.held == 0 or time.monotonic() >= deadline:
            return summary
        time.sleep(_LOOK_S)


def find_stopped(ledger_path: Path, run: str) -> str | None:
    """The message of the first call of a run that was stopped, or None.

    Raises LedgerUnavailable.
    """
    with reading_ledger(ledger_path) as ledger:
        row = next(iter(ledger.execute(_FIRST_STOPPED, {"run": run})), None)
    return None if row is None else str(row[0] or "a call was stopped")


def summary_lines(summary: RunSummary, *, killed_by: str | None, limited: bool) -> list[str]:
    """The summary for the eye: what ran, what it cost, what was stopped, what to look at.

    killed_by: the message of the call that ended the run, or None.
    limited: whether some budget applied to the run as a whole.
    """
    lines = [_first_line(summary), f"        {_second_line(summary)}"]
    if killed_by is not None:
        lines.append(f"        noburn ended the run: {killed_by}")
    lines += [f"        {note}" for note in _notes(summary, limited=limited)]
    if summary.last_stopped_call is not None:
        # Said already when it is what ended the run.
        if summary.last_stopped_message != killed_by:
            lines.append(f"        {summary.last_stopped_message}")
        lines.append(f"        see `noburn why {summary.last_stopped_call}`")
    return lines


def _first_line(summary: RunSummary) -> str:
    of_limit = ""
    if summary.limit is not None and summary.limit_unit is not None:
        limit = show_amount(summary.limit_unit, summary.limit)
        of_limit = f" of {limit}" if summary.limit_unit == DOLLARS else f", budget {limit}"
    return (
        f"noburn: run {summary.run}: {counted(summary.calls, 'call')}, "
        f"{counted(summary.input_tokens, 'token')} in, {summary.output_tokens:,} out, "
        f"cost {show_dollars(summary.cost_nano)}{of_limit}"
    )


def _second_line(summary: RunSummary) -> str:
    held = f"{show_dollars(summary.held_nano)} held"
    if summary.held:
        held += f" by {counted(summary.held, 'call')} still in flight"
    return f"{summary.blocked} blocked, {summary.clamped} clamped, {summary.waited} waited, {held}"


def _notes(summary: RunSummary, *, limited: bool) -> Iterator[str]:
    """What a person should know besides the numbers, a sentence each."""
    if summary.for_whom:
        shown = [one.line() for one in summary.for_whom[:_SHOWN_MAX]]
        if more := len(summary.for_whom) - len(shown):
            shown.append(f"and {more} more")
        yield f"by {summary.whom_by}: {'; '.join(shown)}"
    if summary.refused:
        refused = counted(summary.refused, "call")
        yield f"{refused} refused: no bound, no price or no recorded answer"
    if summary.uncertain:
        yield (
            f"{counted(summary.uncertain, 'call')} uncertain: charged at the hold, "
            f"{show_dollars(summary.uncertain_nano)}, until the bill is known"
        )
    if summary.downgraded:
        yield f"{counted(summary.downgraded, 'call')} downgraded to a cheaper model by a budget"
    if summary.warned:
        yield f"{counted(summary.warned, 'call')} beyond a budget that only warns"
    if summary.overage_nano:
        yield f"{show_dollars(summary.overage_nano)} booked as overage, beyond a budget that bills"
    if summary.replayed:
        yield (
            f"{counted(summary.replayed, 'call')} answered by what was recorded: nothing was sent, "
            f"{show_dollars(summary.notional_nano)} at list price is not spent"
        )
    elif summary.notional:
        yield (
            f"{counted(summary.notional, 'call')} paid by a subscription: notional, "
            f"{show_dollars(summary.notional_nano)} at list price, in no budget of dollars"
        )
    if summary.pauses:
        yield f"paused {counted(summary.pauses, 'time')} by hand"
    if summary.free:
        yield f"{counted(summary.free, 'call')} free, as the configuration says of those models"
    if summary.calls == summary.blocked == summary.refused == 0:
        yield "no call was seen"
    yield from summary.notes.lines()
    if not limited and summary.unlimited == summary.calls - summary.notional:
        yield "no budget applied: calls are recorded, not limited; give one with --budget"
    elif summary.unlimited:
        yield f"{counted(summary.unlimited, 'call')} under no budget: recorded, not limited"
