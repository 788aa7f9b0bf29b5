"""A recording out of the ledger's rows of one run.

Layer: I/O, our side; reads the ledger, writes nothing.  Below: ledger_file, run_summary (which
calls are a run's), core.recorded_runs, core.pricebook.  Above: commands.run.
Owns: which state of a call counts as what.

What was settled is the truth: there is no second count beside the ledger's.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from noburn_cli.core.models import STANDARD
from noburn_cli.core.pricebook import Model, PriceBook, rate_of, tier_for
from noburn_cli.core.recorded_runs import (
    FAILED,
    FIXTURE,
    OUTSIDE,
    OUTSIDE_NAME,
    SKIPPED,
    TEST,
    UNKNOWN,
    ModelUse,
    RateKey,
    RecordedTest,
    Recording,
    summed,
)
from noburn_cli.core.recorded_tags import TEST as TAG
from noburn_cli.core.usage import KINDS, REASONING, input_total
from noburn_cli.errors import ModelUnknown, PriceUnknown
from noburn_cli.ledger_file import reading_ledger
from noburn_cli.recording.facts import Facts
from noburn_cli.run_summary import OF_RUN

_COLUMNS = ", ".join(KINDS)
_ROWS = f"""
    SELECT coalesce(json_extract(tags, '$.{TAG}'), ''), state, coalesce(resolved_model, model),
        coalesce(variant, '{STANDARD}'), reserved_at_ms, coalesce(cost_nano, 0),
        coalesce(hold_nano, 0), coalesce(extra, '{{}}'), {_COLUMNS}
    FROM calls WHERE {OF_RUN} ORDER BY call
"""  # noqa: S608 - constants of ours

#: Which number of a line a call without a bill counts in, by its state.
_COUNTED_AS = {
    "held": "uncertain",
    "uncertain": "uncertain",
    "orphaned": "uncertain",
    "voided": "failed",
    "blocked": "blocked",
    "refused": "refused",
}


@dataclass
class _Line:
    """What one test's rows come to, so far."""

    uses: list[ModelUse] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    uncertain_nano: int = 0


@dataclass
class _Rates:
    """What calls were billed at, as the book says: asked once for each model."""

    book: PriceBook
    found: dict[RateKey, dict[str, int]] = field(default_factory=dict)
    _models: dict[str, Model | None] = field(default_factory=dict)

    def key(self, name: str, variant: str, at_ms: int, usage: Mapping[str, int]) -> RateKey:
        """The key of one call's rates, which are kept; without rates where the book has none."""
        model = self._model(name)
        row = None if model is None else model.row_at(variant, at_ms)
        if model is None or row is None:
            return RateKey(name, variant, 0)
        tier = tier_for(row, input_total(usage))
        at = RateKey(model.name, variant, tier.above_input_tokens)
        rates = self.found.setdefault(at, {})
        for kind in usage:
            if kind == REASONING:
                continue
            try:
                rates[kind] = rate_of(model, row, tier, kind)
            except PriceUnknown:
                rates.pop(kind, None)
        return at

    def _model(self, name: str) -> Model | None:
        if name not in self._models:
            try:
                self._models[name] = self.book.resolve(name)
            except ModelUnknown:
                self._models[name] = None
        return self._models[name]


def make_recording(
    ledger: Path, run: str, facts: Facts, book: PriceBook, *, name: str, replayed: bool
) -> Recording:
    """What the tests of a run took, by the ledger; those that called nothing included.

    Raises LedgerUnavailable.
    """
    with reading_ledger(ledger) as connection:
        rows = list(connection.execute(_ROWS, {"run": run}))
    rates = _Rates(book)
    lines: dict[str, _Line] = {}
    for row in rows:
        _count(lines.setdefault(row[0], _Line()), row, rates)
    tests = {test.name: test for test in _tests(lines, facts)}
    skipped = {name for name, test in tests.items() if test.outcome == SKIPPED and test.silent}
    return Recording(
        name=name,
        run=run,
        tests={name: tests[name] for name in sorted(tests.keys() - skipped)},
        not_run=facts.left_out | skipped,
        rates=dict(sorted((at, one) for at, one in rates.found.items() if one)),
        replayed=replayed,
        book_version=book.version,
    )


def _count(line: _Line, row: tuple[Any, ...], rates: _Rates) -> None:
    """Add one row of the ledger to its test's line."""
    _, state, model, variant, at_ms, cost_nano, hold_nano, extra, *counts = row
    counted_as = _COUNTED_AS.get(state)
    if counted_as is not None:
        line.counts[counted_as] = line.counts.get(counted_as, 0) + 1
        if counted_as == "uncertain":
            line.uncertain_nano += hold_nano if state == "held" else cost_nano
        return
    usage = {kind: count for kind, count in zip(KINDS, counts, strict=True) if count}
    usage |= {kind: count for kind, count in json.loads(extra).items() if count}
    at = rates.key(model, variant, at_ms, usage)
    calls = 1 if state == "settled" else 0  # A correction is a line of its own, and no call.
    line.uses.append(ModelUse(at, calls, usage, cost_nano))


def _tests(lines: Mapping[str, _Line], facts: Facts) -> Iterator[RecordedTest]:
    """A line for each test that ran, each shared fixture that called, and what is left."""
    for name in _names(lines, facts):
        line = lines.get(name, _Line())
        if name == "":
            kind, outcome, shown = OUTSIDE, UNKNOWN, OUTSIDE_NAME
        elif name in facts.fixtures:
            kind, outcome, shown = FIXTURE, UNKNOWN, name
        else:
            # Called, and never said to have started: its process was ended before it could.
            kind, outcome, shown = TEST, facts.outcomes.get(name, FAILED), name
        yield RecordedTest(
            shown,
            kind=kind,
            outcome=outcome,
            uses=summed(line.uses),
            uncertain_nano=line.uncertain_nano,
            **line.counts,
        )


def _names(lines: Iterable[str], facts: Facts) -> list[str]:
    return sorted({*lines, *facts.outcomes})
