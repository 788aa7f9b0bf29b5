"""What calls cost, by day, customer, feature and model: what revenue is held against.

Layer: reports, I/O.  Below: lines, imported, paths.  Above: noburn_cli.profit.
Days are those of the zone asked for; a compacted month is told at its first day, marked as such.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from noburn_cli import paths
from noburn_cli.core.budgets import NONE
from noburn_cli.core.usage import (
    CACHE_READ,
    CACHE_WRITE_1H,
    CACHE_WRITE_5M,
    INPUT,
    OUTPUT,
    REASONING,
)
from noburn_cli.core.windows import UTC
from noburn_cli.reports.imported import imported_lines
from noburn_cli.reports.lines import read_lines
from noburn_cli.reports.query import SOURCES, Question
from noburn_cli.reports.totals import Imported, Line, Sums

#: Tokens of audio and images, which the kinds of text do not have.
EXTRA_INPUT, EXTRA_CACHED, EXTRA_OUTPUT = "extra_input", "extra_cache_read", "extra_output"


@dataclass(frozen=True)
class DailyCost:
    """What one customer's calls of one feature and model came to on one day.

    customer, feature, model: None where a call has none.
    cost_nano: charged, uncertain_nano (at its hold, no bill known) included; may be below 0, where
        a correction took back more.  notional_nano: paid by a subscription, in no cost.  held_nano:
        of calls in flight, in no cost yet.
    tokens: by kind, disjoint but for `reasoning`, which is part of `output`.
    is_month: a compacted month, of which no days are known; `day` is its first.
    """

    day: date
    customer: str | None
    feature: str | None
    model: str | None
    cost_nano: int
    notional_nano: int
    held_nano: int
    uncertain_nano: int
    calls: int
    tokens: Mapping[str, int]
    is_month: bool = False


def daily_costs(
    home: Path,
    since_ms: int | None,
    until_ms: int | None,
    zone: str = UTC,
    *,
    sources: tuple[str, ...] = SOURCES,
    tell: Callable[[int, int], None] | None = None,
) -> Iterator[DailyCost]:
    """Costs of calls reserved from a moment on, before another, in the order of days.

    The sum over all is the ledger's total, imported calls included unless `sources` leaves them
    out.  Raises as `read_lines`.
    """
    question = Question(
        by=("day", "customer", "feature", "model"), since_ms=since_ms, until_ms=until_ms,
        zone=zone, sources=sources,
    )  # fmt: skip
    for line in read_lines(home, question, tell=tell).lines:
        said, *names = line.keys
        customer, feature, model = (None if name == NONE else name for name in names)
        is_month = said.count("-") == 1
        sums = line.sums
        yield DailyCost(
            date.fromisoformat(f"{said}-01" if is_month else said), customer, feature, model,
            sums.cost_nano, sums.notional_nano, sums.held_nano, sums.uncertain_nano, sums.calls,
            tokens_by_kind(sums), is_month,
        )  # fmt: skip


def imported_costs(home: Path, since_ms: int, until_ms: int, zone: str = UTC) -> dict[str, int]:
    """What imported calls of some time cost, in nano-dollars, by customer (NONE): the part of
    `daily_costs` that no budget of the daemon has seen.

    Raises LedgerUnavailable when the file cannot be read.
    """
    lines, _ = _imported(home, since_ms, until_ms, zone)
    return {one.keys[0]: one.sums.cost_nano for one in lines}


def unpriced_calls(home: Path, since_ms: int, until_ms: int, zone: str = UTC) -> int:
    """How many imported calls of some time have a cost that nobody knows, and are in no amount;
    not those that a subscription pays for, which cost nothing more.

    Raises LedgerUnavailable when the file cannot be read.
    """
    _, imported = _imported(home, since_ms, until_ms, zone)
    return imported.unpriced.paid


def _imported(
    home: Path, since_ms: int, until_ms: int, zone: str
) -> tuple[Sequence[Line], Imported]:
    imports = paths.imports_path(home)
    if not imports.exists():
        return (), Imported()
    question = Question(by=("customer",), since_ms=since_ms, until_ms=until_ms, zone=zone)
    return imported_lines(
        imports, paths.ledger_path(home), question, cache=paths.reports_path(home)
    )


def tokens_by_kind(sums: Sums) -> dict[str, int]:
    """Tokens of a line by kind; kinds of which there are none left out."""
    written = sums.write_5m_tokens + sums.write_1h_tokens
    cached = sums.cached_tokens - sums.extra_cached_tokens
    counts = {
        INPUT: sums.input_tokens - sums.extra_input_tokens - cached - written,
        CACHE_READ: cached,
        CACHE_WRITE_5M: sums.write_5m_tokens,
        CACHE_WRITE_1H: sums.write_1h_tokens,
        OUTPUT: sums.output_tokens - sums.extra_output_tokens,
        REASONING: sums.reasoning_tokens,
        EXTRA_INPUT: sums.extra_input_tokens - sums.extra_cached_tokens,
        EXTRA_CACHED: sums.extra_cached_tokens,
        EXTRA_OUTPUT: sums.extra_output_tokens,
    }
    return {kind: count for kind, count in counts.items() if count}
