"""Recorded runs against their baseline, as the findings of a gate.

Layer: core (pure).  Below: core.gate_model, core.recorded_comparison, core.money, core.plurals.
Above: noburn_cli.recording.comparing, commands.gate.
Owns: the sentences.  A test that takes more fails the gate; what a person should merely know (new
tests, vanished ones, tests that prove nothing, other prices) warns.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

from noburn_cli.core.gate_model import ERROR, RECORDED, TOTAL, WARNING, Finding
from noburn_cli.core.money import show_dollars, show_percent
from noburn_cli.core.plurals import counted
from noburn_cli.core.recorded_comparison import (
    DEARER,
    NEW,
    PRICE,
    UNSURE,
    VANISHED,
    LineChange,
    RecordingResult,
)
from noburn_cli.core.recorded_runs import FAILED, TEST, RecordedTest, Tolerance, file_of

_NAMED_MAX = 5
_UPDATE = "`noburn gate --recording {name} --update-baseline` writes the baseline anew"


def findings(result: RecordingResult) -> tuple[Finding, ...]:
    """What a comparison found, errors first."""
    found = [*_errors(result), *_warnings(result)]
    return tuple(found)


def _errors(result: RecordingResult) -> Iterator[Finding]:
    update = _UPDATE.format(name=result.recording.name)
    if result.baseline is None:
        yield _finding(TOTAL, "the recorded run has nothing to be compared with: " + update)
        return
    if not any(test.kind == TEST for test in result.recording.tests.values()):
        yield _finding(TOTAL, f"no test ran in the recording {result.recording.name}")
    for one in result.of(DEARER):
        yield _dearer(one, result.tolerance)
    for one in result.unplayed:
        if one.after is not None and one.verdict != DEARER:
            yield _unplayed(one.name, one.after)
    for one in result.of(NEW):
        if one.over_new_max and one.after is not None:
            yield _over_new_max(one, one.after, result.tolerance.new_max_nano or 0)


def _warnings(result: RecordingResult) -> Iterator[Finding]:
    for one in result.of(UNSURE):
        if one.after is not None and one not in result.unplayed:
            text = f"{one.name} proves nothing: {_why_unsure(one.after)}"
            yield _finding(one.name, text, level=WARNING)
    if result.baseline is None:
        return
    new = [one for one in result.of(NEW) if not one.over_new_max]
    if new:
        cost = show_dollars(sum(one.difference_nano for one in new))
        text = f"{counted(len(new), 'line')} without a baseline, {cost}: {_named(new)}"
        yield _finding(TOTAL, text, level=WARNING)
    if unsure := [one for one in result.without_baseline if one not in result.unplayed]:
        text = f"no baseline can be made of {_named(unsure)}: no run to the end with known bills"
        yield _finding(TOTAL, text, level=WARNING)
    if gone := result.of(VANISHED):
        text = f"{counted(len(gone), 'line')} of the baseline not there any more: {_named(gone)}"
        yield _finding(TOTAL, text, level=WARNING)
    if result.price_nano:
        word = "dearer" if result.price_nano > 0 else "cheaper"
        amount = show_dollars(abs(result.price_nano))
        text = f"prices changed: the same calls are {amount} {word} than in the baseline"
        yield _finding(TOTAL, text, level=WARNING)


def left_out_note(result: RecordingResult) -> str | None:
    """What to say of new lines that a baseline written now does not have; None for none."""
    lines = result.without_baseline
    if not lines:
        return None
    why = _why_unsure(lines[0].after) if lines[0].after is not None else ""
    more = f" (of the first: {why})" if why else ""
    return (
        f"{counted(len(lines), 'line')} got no baseline, being no whole run{more}: {_named(lines)}"
    )


def _dearer(change: LineChange, tolerance: Tolerance) -> Finding:
    before, after = change.before, change.after
    assert before is not None, "what is dearer was compared"
    assert after is not None, "what is dearer was compared"
    causes = [cause for cause in change.causes if cause.kind != PRICE]
    why = ", ".join(cause.text for cause in causes) or "its cost"
    more = change.difference_nano
    cost = f"{show_dollars(after.cost_nano)} instead of {show_dollars(change.before_now_nano)}"
    if change.before_now_nano and more:
        share = show_percent(abs(Fraction(more, change.before_now_nano)))
        cost += f" ({'+' if more > 0 else '−'}{share})"
    kept = f"{show_percent(tolerance.share)} more"
    return _finding(
        change.name,
        f"{change.name} takes more than its baseline: {why}; {cost}",
        limit=kept,
        value=cost,
    )


def _unplayed(name: str, test: RecordedTest) -> Finding:
    text = f"{name} proves nothing: {counted(test.refused, 'call')} of it had no recorded answer"
    return _finding(name, f"{text}; record them again: noburn run --recording NAME --answers keep")


def _over_new_max(change: LineChange, after: RecordedTest, most: int) -> Finding:
    cost, limit = show_dollars(after.most_nano), show_dollars(most)
    if after.uncertain:
        cost = f"up to {cost}"
    return _finding(
        change.name,
        f"{change.name} is new and costs {cost} ({counted(after.calls, 'call')}); "
        f"a new test may cost {limit}",
        limit=limit,
        value=cost,
    )


def _why_unsure(test: RecordedTest) -> str:
    if test.blocked + test.refused:
        return f"{counted(test.blocked + test.refused, 'call')} of it stopped"
    if test.uncertain:
        most = show_dollars(test.uncertain_nano)
        return f"the bill of {counted(test.uncertain, 'call')} is not known, up to {most}"
    return "it failed" if test.outcome == FAILED else f"it was {test.outcome}"


def _named(changes: Sequence[LineChange]) -> str:
    shown = [one.name for one in changes[:_NAMED_MAX]]
    if more := len(changes) - len(shown):
        shown.append(f"and {more:,} more")
    return ", ".join(shown)


def _finding(
    subject: str, text: str, *, level: str = ERROR, limit: str = "", value: str = ""
) -> Finding:
    path = "" if subject == TOTAL else file_of(subject)
    return Finding(RECORDED, subject, limit, value, text, level, path if "::" in subject else "")
