"""What one run did and cost, read from the ledger.

Layer: beside reports, below the commands; reads the ledger file, writes nothing.
Not here: how it is shown (render.run_summary).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from noburn_cli.core.money import Nano, show_amount, show_dollars

#: A run and everything below it: `r1` is also in `r1/r2`.
_OF_RUN = "(run = :run OR run LIKE :run || '/%')"

_TOTALS = f"""
    SELECT
        count(*) FILTER (WHERE state NOT IN ('blocked', 'refused')),
        coalesce(sum(coalesce(input, 0) + coalesce(cache_read, 0) + coalesce(cache_write_5m, 0)
            + coalesce(cache_write_1h, 0)), 0),
        coalesce(sum(output), 0),
        coalesce(sum(cost_nano) FILTER (WHERE state != 'held'), 0),
        coalesce(sum(hold_nano) FILTER (WHERE state = 'held'), 0),
        count(*) FILTER (WHERE state = 'held'),
        coalesce(sum(cost_nano) FILTER (WHERE state IN ('uncertain', 'orphaned')), 0),
        count(*) FILTER (WHERE state IN ('uncertain', 'orphaned')),
        count(*) FILTER (WHERE state = 'blocked'),
        count(*) FILTER (WHERE state = 'refused'),
        count(*) FILTER (WHERE clamped = 1 AND state NOT IN ('blocked', 'refused')),
        count(*) FILTER (WHERE waited_ms > 0)
    FROM calls WHERE {_OF_RUN}
"""  # noqa: S608 - a constant of ours

_LAST_STOPPED = f"""
    SELECT call,
        coalesce(json_extract(detail, '$.message'), json_extract(detail, '$.reason'), failure)
    FROM calls WHERE {_OF_RUN} AND state IN ('blocked', 'refused')
    ORDER BY reserved_at_ms DESC, call DESC LIMIT 1
"""  # noqa: S608 - a constant of ours


@dataclass(frozen=True)
class RunSummary:
    """One run's calls, with everything below it.  Amounts in nano-dollars.

    cost_nano includes uncertain calls at their holds; held_nano is money of calls still in flight.
    blocked: refused by a budget; refused: refused by the guard itself (no bound, no price).
    limit_unit, limit: the run's own budget, or None.
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
    limit_unit: str | None
    limit: int | None
    last_stopped_call: str | None
    last_stopped_message: str | None

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
            "limit": None if self.limit is None else {"unit": self.limit_unit, "amount": limit},
            "last_stopped_call": self.last_stopped_call,
            "last_stopped_message": self.last_stopped_message,
        }


def read_run_summary(ledger_path: Path, run: str) -> RunSummary:
    """Read the summary of the run with the path `run`.

    Raises LedgerUnavailable when the ledger cannot be read.
    """
    from noburn_cli.ledger_file import open_ledger

    connection = open_ledger(ledger_path)
    try:
        # One read transaction: totals and the last block belong to the same moment.
        with connection:
            totals = next(iter(connection.execute(_TOTALS, {"run": run})))
            stopped = next(iter(connection.execute(_LAST_STOPPED, {"run": run})), (None, None))
            limit = next(
                iter(
                    connection.execute(
                        "SELECT limit_unit, limit_amount FROM runs WHERE run = :run", {"run": run}
                    )
                ),
                (None, None),
            )
    finally:
        connection.close()
    return RunSummary(run, *totals, *limit, *stopped)


def summary_lines(summary: RunSummary) -> list[str]:
    """The summary for the eye: what ran, what it cost, what was stopped, what to look at."""
    of_limit = ""
    if summary.limit is not None and summary.limit_unit is not None:
        of_limit = f" of a {show_amount(summary.limit_unit, summary.limit)} budget"
    lines = [
        (
            f"noburn: run {summary.run}: {_counted(summary.calls, 'call')}, "
            f"{summary.input_tokens:,} tokens in, {summary.output_tokens:,} out, "
            f"cost {show_dollars(summary.cost_nano)}{of_limit}"
        ),
        (
            f"        {summary.blocked} blocked, {summary.clamped} clamped, {summary.waited} waited, "
            f"{show_dollars(summary.held_nano)} held"
        ),
    ]
    if summary.refused:
        lines.append(f"        {_counted(summary.refused, 'call')} refused: no bound or no price")
    if summary.uncertain:
        lines.append(
            f"        {_counted(summary.uncertain, 'call')} uncertain: charged at the hold, "
            f"{show_dollars(summary.uncertain_nano)}, until the bill is known"
        )
    if summary.last_stopped_call is not None:
        lines.append(f"        {summary.last_stopped_message}")
        lines.append(f"        see `noburn why {summary.last_stopped_call}`")
    if summary.calls == summary.blocked == summary.refused == 0:
        lines.append(
            "        no call was seen: noburn guards Python programs that call over httpx or httpx2"
        )
    return lines


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
