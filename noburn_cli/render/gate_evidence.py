"""Recorded runs against their baseline, as a gate shows them.

Layer: render (pure).  Below: core.recorded_comparison, core.money.  Above: render.gate_words,
render.gate_markdown.
Not here: what breaks the gate (core.recorded_findings words that), and escaping.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from noburn_cli.core.money import show_count, show_dollars
from noburn_cli.core.plurals import counted
from noburn_cli.core.recorded_comparison import (
    CALLS,
    DEARER,
    NOT_RUN,
    PRICE,
    SAME,
    LineChange,
    RecordingResult,
)

#: Headers and alignment of the table of tests.
TEST_HEAD = ("Test", "", "Calls", "Tokens", "Cost"), "llrrr"


def evidence_clause(result: RecordingResult, quote: Callable[[str], str]) -> str:
    """What the sentence says of the tests that became dearer; "" where none did."""
    dearer = result.of(DEARER)
    if not dearer:
        return ""
    if len(dearer) > 1:
        return f"{counted(len(dearer), 'recorded test')} became dearer"
    (one,) = dearer
    told = f"{quote(one.name.rpartition('::')[2])} became dearer"
    causes = sorted(
        (cause for cause in one.causes if cause.kind != PRICE),
        key=lambda cause: (cause.kind != CALLS, -abs(cause.nano)),  # Calls tell most.
    )
    return f"{told}: {causes[0].text.partition(' (')[0]}" if causes else told


def changed_tests(result: RecordingResult) -> list[LineChange]:
    """The lines that a reader should see: all but those that are as they were."""
    return [one for one in result.changes if one.verdict not in (SAME, NOT_RUN)]


def test_row(one: LineChange) -> list[str]:
    """A line of the table; the baseline's cost is at the rates of the run."""
    calls = [show_count(side.calls) for side in (one.before, one.after) if side is not None]
    tokens = [show_count(side.tokens) for side in (one.before, one.after) if side is not None]
    cost = [] if one.before is None else [show_dollars(one.before_now_nano)]
    cost += [] if one.after is None else [show_dollars(one.after.cost_nano)]
    return [one.name, one.verdict, *(_arrow(figures) for figures in (calls, tokens, cost))]


def _arrow(figures: Sequence[str]) -> str:
    return " → ".join(dict.fromkeys(figures))


def evidence_lines(result: RecordingResult) -> list[str]:
    """How it was compared, in sentences."""
    recording = result.recording
    told = f"Recording `{recording.name}`: {counted(recording.calls, 'call')}, "
    told += show_dollars(recording.cost_nano)
    told += ", of recorded answers" if recording.replayed else ""
    lines = [f"{told}."]
    if result.baseline is not None:
        same, left_out = len(result.of(SAME)), len(result.of(NOT_RUN))
        lines.append(
            f"Compared with `{result.baseline}`: {counted(same, 'line')} as before, "
            f"{show_count(left_out)} not run; both sides at the rates of the run."
        )
    return lines
