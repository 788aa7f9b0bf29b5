"""A recorded run against its baseline: which test became dearer, and why.

Layer: core (pure).  Below: core.recorded_runs, core.money, core.plurals.
Above: noburn_cli.gating, which turns the verdicts into findings; render, which shows them.
Owns: the verdicts, and what a cause adds.

Costs are compared at the rates of the run: what the baseline would cost today.  So a test does not
become dearer because a price changed; what prices alone make is told apart, as the cause `price`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

from noburn_cli.core.money import nano_from_pico_half_even
from noburn_cli.core.recorded_runs import (
    TEST,
    ModelUse,
    RateKey,
    Rates,
    RecordedTest,
    Recording,
    Tolerance,
    file_of,
)
from noburn_cli.core.usage import OUTPUT, REASONING, Usage

SAME = "same"
DEARER = "dearer"
CHEAPER = "cheaper"
NEW = "new"
#: Its file was collected, or is not there any more, and it was not in it.
VANISHED = "vanished"
#: It was deselected, skipped, or of a file that was not asked for.
NOT_RUN = "not run"
#: It ran, but not to its end, and what it took until then is no more than its baseline.
UNSURE = "unsure"
VERDICTS = (DEARER, NEW, CHEAPER, UNSURE, VANISHED, NOT_RUN, SAME)

#: Kinds of causes, in the order in which they are attributed.
PRICE = "price"
CALLS = "calls"
TOKENS = "tokens"
MODEL = "model"

#: The numbers that are compared.
MEASURES = ("calls", "tokens", "cost")


@dataclass(frozen=True)
class LineCause:
    """One reason why a test costs more or less than its baseline.

    text: `calls 12 → 40`.  nano: what it adds; a change's causes add up to its difference.
    """

    kind: str
    text: str
    nano: int


@dataclass(frozen=True)
class LineChange:
    """One line of the baseline, of the run, or of both.

    before_now_nano: what `before` costs at the rates of the run; 0 without `before`.
    grown: which of MEASURES passed the tolerance.
    """

    name: str
    verdict: str
    before: RecordedTest | None
    after: RecordedTest | None
    before_now_nano: int = 0
    grown: tuple[str, ...] = ()
    causes: tuple[LineCause, ...] = ()
    #: A new one that costs more than a new one may.
    over_new_max: bool = False

    @property
    def difference_nano(self) -> int:
        """What it costs more, prices left aside; 0 where one side is not known."""
        if self.after is None or self.verdict in (NOT_RUN, VANISHED):
            return 0
        return self.after.cost_nano - self.before_now_nano


@dataclass(frozen=True)
class RecordingResult:
    """All that a comparison says.

    changes: every line, those to look at first.  baseline: as it is shown; None when there is none.
    """

    recording: Recording
    baseline: str | None
    tolerance: Tolerance
    changes: tuple[LineChange, ...]

    @property
    def passed(self) -> bool:
        failed = any(one.verdict == DEARER or one.over_new_max for one in self.changes)
        return not failed and not self.unplayed

    def of(self, verdict: str) -> tuple[LineChange, ...]:
        return tuple(one for one in self.changes if one.verdict == verdict)

    @property
    def unplayed(self) -> tuple[LineChange, ...]:
        """Those of a replayed run that asked for what had no kept answer: what it would be is not
        known, and recording it anew is what tells."""
        if not self.recording.replayed:
            return ()
        return tuple(one for one in self.changes if one.after is not None and one.after.refused)

    @property
    def without_baseline(self) -> tuple[LineChange, ...]:
        """New ones that get none: they did not run to their end, or their bill is not known."""
        return tuple(
            one for one in self.of(NEW) if one.after is not None and not one.after.complete
        )

    @property
    def compared(self) -> tuple[LineChange, ...]:
        """Those that are in both, and ran to their end or beyond their baseline."""
        return tuple(one for one in self.changes if one.verdict in (SAME, DEARER, CHEAPER))

    @property
    def difference_nano(self) -> int:
        """What the run costs more than its baseline at the same rates: compared and new tests."""
        return sum(one.difference_nano for one in (*self.compared, *self.of(NEW)))

    @property
    def price_nano(self) -> int:
        """What changed prices alone make of the compared tests' baseline."""
        befores = [(one.before_now_nano, one.before) for one in self.compared]
        return sum(now - before.cost_nano for now, before in befores if before is not None)


def compare(
    baseline: Recording | None,
    recording: Recording,
    tolerance: Tolerance,
    *,
    label: str | None = None,
    missing_files: Collection[str] = (),
) -> RecordingResult:
    """Judge every line of both.

    label: how the baseline is called.  missing_files: those of the baseline that are not there.
    """
    known = {} if baseline is None else baseline.tests
    rates = {} if baseline is None else baseline.rates
    seen = recording.collected_files() | frozenset(missing_files)
    changes = [
        _both(known[name], test, rates, recording.rates, tolerance)
        if name in known
        else _new(test, tolerance, first=baseline is None)
        for name, test in recording.tests.items()
        if name in known or not test.silent
    ]
    absent = [test for name, test in known.items() if name not in recording.tests]
    whole = not any(_absent(one, recording, seen) == NOT_RUN for one in absent if one.kind == TEST)
    for test in absent:
        verdict = _absent(test, recording, seen)
        if test.kind != TEST and whole:
            verdict = VANISHED
        if test.silent and verdict == VANISHED:
            continue  # Nothing is missed.
        changes.append(LineChange(test.name, verdict, test, None, test.cost_nano))
    changes.sort(key=_order)
    return RecordingResult(recording, label, tolerance, tuple(changes))


def updated(baseline: Recording | None, result: RecordingResult) -> Recording:
    """The baseline as it is to be written after this run, at the run's rates.

    A line within the tolerance keeps its numbers, so that a baseline changes only where something
    did, and small growth adds up until it is told.  What did not run, or not to its end, keeps its
    line; what vanished loses it; a new one needs a run to its end.  A test that called nothing has
    a line too: that it begins to is then a change.
    """
    old = {} if baseline is None else baseline.rates
    new = result.recording.rates
    kept: dict[str, RecordedTest] = {}
    for one in result.changes:
        if one.verdict == VANISHED:
            continue
        taken = one.verdict in (NEW, DEARER, CHEAPER) and one.after is not None
        if taken and one.after is not None and one.after.complete:
            kept[one.name] = one.after
        elif one.before is not None:
            kept[one.name] = _at(one.before, old, new)
    for name, test in result.recording.tests.items():
        if name not in kept and test.kind == TEST and test.silent and test.complete:
            kept[name] = test
    tests = {name: kept[name] for name in sorted(kept) if kept[name].uses or kept[name].silent}
    used = {use.at for test in tests.values() for use in test.uses}
    rates = {at: rate for at, rate in {**old, **new}.items() if at in used}
    return Recording(
        name=result.recording.name,
        tests=tests,
        rates=dict(sorted(rates.items())),
        book_version=result.recording.book_version,
    )


def _order(change: LineChange) -> tuple[int, int, str]:
    return VERDICTS.index(change.verdict), -abs(change.difference_nano), change.name


def _new(test: RecordedTest, tolerance: Tolerance, *, first: bool) -> LineChange:
    most = tolerance.new_max_nano
    over = not first and most is not None and test.most_nano > most
    return LineChange(test.name, NEW, None, test, over_new_max=over)


def _absent(test: RecordedTest, recording: Recording, seen: Collection[str]) -> str:
    if test.kind != TEST or test.name in recording.not_run:
        return NOT_RUN
    return VANISHED if file_of(test.name) in seen else NOT_RUN


def _both(
    before: RecordedTest,
    after: RecordedTest,
    old: Mapping[RateKey, Rates],
    new: Mapping[RateKey, Rates],
    tolerance: Tolerance,
) -> LineChange:
    now_nano = _at(before, old, new).cost_nano
    pairs = (
        (before.tried, after.tried, tolerance.calls),
        (before.tokens, after.tokens, tolerance.tokens),
        (now_nano, after.cost_nano, tolerance.cost_nano),
    )
    grown = tuple(
        measure
        for measure, (less, more, floor) in zip(MEASURES, pairs, strict=True)
        if tolerance.exceeds(less, more, floor)
    )
    if grown:
        verdict = DEARER
    elif not after.complete:
        verdict = UNSURE
    elif any(tolerance.exceeds(more, less, floor) for less, more, floor in pairs):
        verdict = CHEAPER
    else:
        verdict = SAME
    causes = tuple(_causes(before, after, now_nano, {**old, **new}))
    return LineChange(before.name, verdict, before, after, now_nano, grown, causes)


def _at(
    test: RecordedTest, old: Mapping[RateKey, Rates], new: Mapping[RateKey, Rates]
) -> RecordedTest:
    """The line at the new rates, where both are known."""
    uses = [
        ModelUse(use.at, use.calls, use.usage, use.repriced(old.get(use.at), new.get(use.at)))
        for use in test.uses
    ]
    return replace(test, uses=tuple(uses))


def _causes(
    before: RecordedTest, after: RecordedTest, now_nano: int, rates: Mapping[RateKey, Rates]
) -> Iterable[LineCause]:
    """Why a test's cost changed: prices first, then calls at their mean cost, then the rest."""
    if now_nano != before.cost_nano:
        yield LineCause(PRICE, "prices changed", now_nano - before.cost_nano)
    rest = after.cost_nano - now_nano
    if after.tried != before.tried:
        more = after.calls - before.calls
        nano = _divided(now_nano * more, before.calls) if before.calls else rest
        stopped = after.tried - after.calls
        told = f" ({stopped:,} of them stopped)" if stopped else ""
        yield LineCause(CALLS, f"calls {before.tried:,} → {after.tried:,}{told}", nano)
        rest -= nano
    if after.models != before.models and before.uses and after.uses:
        nano = rest - _more_tokens(before, after, rates, rest)
        was, is_now = (", ".join(one.models) or "none" for one in (before, after))
        yield LineCause(MODEL, f"model {was} → {is_now}", nano)
        rest -= nano
    if after.tokens != before.tokens or rest:
        yield LineCause(TOKENS, _tokens_text(before, after), rest)


def _more_tokens(
    before: RecordedTest, after: RecordedTest, rates: Mapping[RateKey, Rates], rest: int
) -> int:
    """What the tokens alone make of `rest`, on the model of before; 0 where that is not known."""
    keys = [use.at for use in before.uses]
    known = rates.get(keys[0]) if len(keys) == 1 else None
    if known is None or any(kind not in known for kind in _priced(after.usage)):
        return 0
    on_old = sum(count * known[kind] for kind, count in _priced(after.usage).items())
    return rest - (after.cost_nano - nano_from_pico_half_even(on_old))


def _priced(usage: Usage) -> dict[str, int]:
    return {kind: count for kind, count in usage.items() if count and kind != REASONING}


def _tokens_text(before: RecordedTest, after: RecordedTest) -> str:
    def answered(test: RecordedTest) -> int:
        return test.usage.get(OUTPUT, 0)

    return (
        f"tokens {before.tokens:,} → {after.tokens:,} "
        f"(in {before.input_tokens:,} → {after.input_tokens:,}, "
        f"out {answered(before):,} → {answered(after):,})"
    )


def _divided(amount: int, by: int) -> int:
    """A share of nano-dollars, to the nearest, half to even."""
    return round(Fraction(amount, by))
