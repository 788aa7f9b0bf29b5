"""What the tests of one recorded run spent, and what two such runs are compared by.

Layer: core (pure, frozen data).  Below: core.money, core.usage.  Above: core.recorded_comparison,
which compares; core.recorded_files, which reads and writes them as text; noburn_cli.recording,
which makes one of the ledger's rows; noburn_cli.gating and render, which show the comparison.
Not here: prices (a recording carries the rates that its calls were billed at), files, pytest.

Tests are named as pytest names them (`tests/test_agent.py::test_plan[short]`).  What was spent
outside of one test has a line of its own: a fixture that several tests share, and what was spent
outside of all tests.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from noburn_cli.core.money import nano_from_pico_half_even
from noburn_cli.core.usage import FEE_KINDS, REASONING, Usage, billed_total, input_total

#: Kinds of lines.
TEST = "test"
FIXTURE = "fixture"  # of a scope above one test: module, class, package, session
OUTSIDE = "outside"  # while tests were collected, or by what no test is known for
LINES = (TEST, FIXTURE, OUTSIDE)
OUTSIDE_NAME = "(outside of tests)"

#: How a test ended; a line that is no test has UNKNOWN.
PASSED = "passed"
FAILED = "failed"
SKIPPED = "skipped"
UNKNOWN = ""
OUTCOMES = (PASSED, FAILED, SKIPPED, UNKNOWN)


@dataclass(frozen=True, order=True)
class RateKey:
    """Which rates a call was billed at: model, variant, and the tier that its input reached.

    model: as the price book calls it.  above_input_tokens: 0 for the first tier.
    """

    model: str
    variant: str
    above_input_tokens: int


#: Pico-dollars per token, or per unit of a fee, by kind of usage.
Rates = Mapping[str, int]


@dataclass(frozen=True)
class ModelUse:
    """Settled calls of one line at one set of rates.

    usage: billed counts by kind, over all these calls.  cost_nano: the sum of what each was settled
    at, each rounded for itself.
    """

    at: RateKey
    calls: int
    usage: Usage
    cost_nano: int

    def repriced(self, before: Rates | None, now: Rates | None) -> int:
        """These calls in nano-dollars, at other rates than they were billed at.

        before: the rates that `cost_nano` was reached with.  Without either, or where a kind that
        was used has no rate in one of them, nothing is known of a change: `cost_nano`.
        """
        if before is None or now is None:
            return self.cost_nano
        pico = 0
        for kind, count in self.usage.items():
            if kind == REASONING or not count:
                continue
            if kind not in before or kind not in now:
                return self.cost_nano
            pico += count * (now[kind] - before[kind])
        return self.cost_nano + nano_from_pico_half_even(pico)


@dataclass(frozen=True)
class RecordedTest:
    """What one line of a recording did.

    uncertain: calls that left and whose bill is not known; uncertain_nano: the most that it can
        be.  blocked: stopped by a budget.  refused: stopped by the guard itself.  failed: left, or
        could not, and were not billed (an HTTP error of the provider, a connection refused).
    """

    name: str
    kind: str = TEST
    outcome: str = PASSED
    uses: tuple[ModelUse, ...] = ()
    uncertain: int = 0
    uncertain_nano: int = 0
    blocked: int = 0
    refused: int = 0
    failed: int = 0

    @property
    def calls(self) -> int:
        """Calls that left and are billed: settled, and uncertain."""
        return sum(use.calls for use in self.uses) + self.uncertain

    @property
    def tried(self) -> int:
        """Its calls, and those that would have left had nothing stopped them."""
        return self.calls + self.blocked + self.refused

    @property
    def cost_nano(self) -> int:
        """What the settled calls cost."""
        return sum(use.cost_nano for use in self.uses)

    @property
    def most_nano(self) -> int:
        """The most that it can have cost: calls without a bill at their bound."""
        return self.cost_nano + self.uncertain_nano

    @property
    def usage(self) -> Usage:
        """Settled tokens and units by kind."""
        sums: dict[str, int] = {}
        for use in self.uses:
            for kind, count in use.usage.items():
                sums[kind] = sums.get(kind, 0) + count
        return sums

    @property
    def input_tokens(self) -> int:
        return input_total(self.usage)

    @property
    def tokens(self) -> int:
        return billed_total(self.usage)

    @property
    def models(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(use.at.model for use in self.uses))

    @property
    def silent(self) -> bool:
        """Whether it tried no call at all."""
        return self.tried + self.failed == 0

    @property
    def complete(self) -> bool:
        """Whether its numbers are those of a run to its end.

        A test that failed, whose calls were stopped, or whose bill is not known, is no evidence of
        being cheap.
        """
        stopped = self.blocked + self.refused + self.uncertain
        return self.outcome in (PASSED, UNKNOWN) and not stopped


@dataclass(frozen=True)
class Recording:
    """One recorded run, or a baseline.

    name: as given to `noburn run --recording`.  run: its id in the ledger, "" for a baseline.
    tests: by name, of those that ran, in the order of their names.
    not_run: names of tests that were collected and did not run: deselected or skipped.
    rates: what was billed, by RateKey.
    replayed: whether the answers were recorded ones, so that nothing of it was spent.
    """

    name: str
    run: str = ""
    tests: Mapping[str, RecordedTest] = field(default_factory=dict)
    not_run: frozenset[str] = frozenset()
    rates: Mapping[RateKey, Rates] = field(default_factory=dict)
    replayed: bool = False
    book_version: str = ""

    @property
    def cost_nano(self) -> int:
        return sum(test.cost_nano for test in self.tests.values())

    @property
    def calls(self) -> int:
        return sum(test.calls for test in self.tests.values())

    def collected_files(self) -> frozenset[str]:
        """The files of which some test was collected."""
        names = [test.name for test in self.tests.values() if test.kind == TEST]
        return frozenset(map(file_of, (*names, *self.not_run)))


@dataclass(frozen=True)
class Tolerance:
    """How much more a test may take than its baseline says.

    A number has grown when it is more than `share` above its baseline *and* more than its floor:
    a test of two calls may take a third one without anybody's being told of 50 %.
    calls, tokens, cost_nano: the floors.
    new_max_nano: the most that a test without a baseline may cost; None for no such limit.
    """

    share: Fraction = Fraction(1, 10)
    calls: int = 1
    tokens: int = 200
    cost_nano: int = 1_000_000
    new_max_nano: int | None = None

    def exceeds(self, before: int, after: int, floor: int) -> bool:
        more = after - before
        return more > floor and more > before * self.share


def file_of(name: str) -> str:
    """The file of a test, by its name."""
    return name.partition("::")[0]


def with_fees(usage: Usage) -> str:
    """The units of a usage that are no tokens, in words; "" for none."""
    found = [f"{usage[kind]:,} {kind.replace('_', ' ')}" for kind in FEE_KINDS if usage.get(kind)]
    return ", ".join(found)


def merged(recordings: Iterable[Recording]) -> Recording:
    """Shards of one run as one recording.

    What is no test adds up.  A test that ran in one and was left out in the others ran.
    Raises ValueError naming a test that ran in two of them: which of the two counts, nobody knows.
    """
    found = tuple(recordings)
    if len(found) == 1:
        return found[0]
    tests: dict[str, RecordedTest] = {}
    rates: dict[RateKey, Rates] = {}
    for one in found:
        rates.update(one.rates)
        for name, test in one.tests.items():
            other = tests.get(name)
            if other is not None and test.kind == TEST:
                raise ValueError(name)
            tests[name] = test if other is None else _added(other, test)
    left_out = frozenset().union(*(one.not_run for one in found)) - tests.keys()
    return Recording(
        name=", ".join(one.name for one in found),
        run=", ".join(one.run for one in found),
        tests=dict(sorted(tests.items())),
        not_run=left_out,
        rates=rates,
        replayed=any(one.replayed for one in found),
        book_version=found[-1].book_version,
    )


def _added(one: RecordedTest, other: RecordedTest) -> RecordedTest:
    return RecordedTest(
        name=one.name,
        kind=one.kind,
        outcome=one.outcome,
        uses=summed((*one.uses, *other.uses)),
        uncertain=one.uncertain + other.uncertain,
        uncertain_nano=one.uncertain_nano + other.uncertain_nano,
        blocked=one.blocked + other.blocked,
        refused=one.refused + other.refused,
        failed=one.failed + other.failed,
    )


def summed(uses: Iterable[ModelUse]) -> tuple[ModelUse, ...]:
    """The uses with those at the same rates added up, in the order of their rates."""
    found: dict[RateKey, ModelUse] = {}
    for use in uses:
        before = found.get(use.at)
        if before is None:
            found[use.at] = use
            continue
        usage = dict(before.usage)
        for kind, count in use.usage.items():
            usage[kind] = usage.get(kind, 0) + count
        found[use.at] = ModelUse(
            use.at, before.calls + use.calls, usage, before.cost_nano + use.cost_nano
        )
    return tuple(found[at] for at in sorted(found))
