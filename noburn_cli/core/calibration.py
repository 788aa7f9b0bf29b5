"""How far estimates were from the bills: each call against what earlier calls had said of it.

Layer: core (pure).  Below: core.learning.  Above: reports.calibration, render.calibration.
Owns: what was known when a call was made, how errors are counted, and what a distribution says.
Not here: which calls there are (reports.calibration), what tokens cost (core.cost).

An estimate is judged by calls that it has not seen: for each call, what `estimate` would have said
from the calls that had ended before it was made.  Memory is that of the newest calls of each group,
within OBSERVED_MAX, and of whole per cents: it does not grow with the ledger.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field

from noburn_cli.core.learning import DAY_MS, DAYS, Learned, Observed, Window, groups, learn

#: What all groups together remember; the group that had no call for longest is forgotten first.
OBSERVED_MAX = 500_000
#: A group learns anew when it has grown by this part, and once a day.
_GROWTH = 20
#: Errors beyond are counted as this: ten times the bill.
ERROR_PERCENT_MAX = 900
#: What was used of a bound, in per cent, above which it is counted as this.
USED_PERCENT_MAX = 1_000
#: Calls whose bill was above their hold are named, so many of them.
NAMED_MAX = 20


@dataclass
class _Group:
    window: Window = field(default_factory=Window)
    learned: Learned | None = None
    learned_at_ms: int = 0
    #: Calls since then.
    new: int = 0


class Past:
    """What is known of earlier calls at each moment, as they end one after the other."""

    def __init__(self, *, days: int = DAYS, observed_max: int = OBSERVED_MAX) -> None:
        self._days_ms = days * DAY_MS
        self._observed_max = observed_max
        self._groups: OrderedDict[tuple[str, str, str], _Group] = OrderedDict()
        self._observed = 0
        #: How many groups were forgotten for want of room.
        self.forgotten = 0

    def expect(
        self, *, model: str, feature: str | None, prompt: str | None, now_ms: int
    ) -> Learned | None:
        """What `estimate` would say of a call that is made now; None: unknown."""
        for basis, name in groups(feature=feature, prompt=prompt):
            place = (model, basis, name)
            group = self._groups.get(place)
            if group is None:
                continue
            found = self._learned(group, place, now_ms)
            if found is not None:
                return found
        return None

    def _learned(self, group: _Group, place: tuple[str, str, str], now_ms: int) -> Learned | None:
        enough = max(1, len(group.window) // _GROWTH)
        if group.new >= enough or now_ms >= group.learned_at_ms + DAY_MS:
            before = len(group.window)
            model, basis, name = place
            group.learned = learn(
                group.window, since_ms=now_ms - self._days_ms, model=model, basis=basis, name=name
            )
            self._observed -= before - len(group.window)
            group.learned_at_ms, group.new = now_ms, 0
        return group.learned

    def see(
        self, observed: Observed, *, model: str, feature: str | None, prompt: str | None
    ) -> None:
        """A call has ended with a bill that teaches."""
        for basis, name in groups(feature=feature, prompt=prompt):
            place = (model, basis, name)
            group = self._groups.get(place)
            if group is None:
                group = self._groups[place] = _Group()
            self._groups.move_to_end(place)
            before = len(group.window)
            group.window.add(observed)
            group.new += 1
            self._observed += len(group.window) - before
        while self._observed > self._observed_max and len(self._groups) > 1:
            _, oldest = self._groups.popitem(last=False)
            self._observed -= len(oldest.window)
            self.forgotten += 1


@dataclass(frozen=True, slots=True)
class Judged:
    """One settled call and what was said of it before.  Amounts in nano-dollars.

    hold: what was set aside; None where the ledger does not say.
    input, input_bound: tokens that were billed, and the most that there could be.
    median, high, mean: the cost at the learned output and cached share, given the input that was
        billed; None where nothing was known.
    """

    cost: int
    hold: int | None
    input: int
    input_bound: int | None
    median: int | None = None
    high: int | None = None
    mean: int | None = None


class Spread:
    """Counts by whole per cent, whatever their number."""

    __slots__ = ("counts",)

    def __init__(self) -> None:
        self.counts: Counter[int] = Counter()

    def add(self, part: int, whole: int, most: int) -> None:
        """`part` of `whole` in per cent, half up; `most` at most.  whole: above 0."""
        self.counts[min(most, (200 * part + whole) // (2 * whole))] += 1

    def __len__(self) -> int:
        return self.counts.total()

    def quantile(self, percent: int) -> int | None:
        """The least that so many per cent of the counted do not pass; None where there is none."""
        wanted = -(-percent * len(self) // 100)
        seen = 0
        for value in sorted(self.counts):
            seen += self.counts[value]
            if seen >= wanted:
                return value
        return None

    def take(self, other: Spread) -> None:
        """Count what another one has counted as well."""
        self.counts.update(other.counts)

    def between(self, low: int | None, high: int | None) -> int:
        """How many lie from `low` on and below `high`; None is no border."""
        return sum(
            count
            for value, count in self.counts.items()
            if (low is None or value >= low) and (high is None or value < high)
        )


@dataclass
class Tally:
    """What the calls of one line come to.

    calls: settled ones.  estimated: those of which something was known.  free: of these, those that
        cost nothing, which have no error in per cent.
    errors: (estimate at the median - bill) in per cent of the bill.
    below_median, below_high: bills not above the estimate at the median, at the high quantile.
    settled, expected: sums over the estimated calls: bills, and estimates at the mean.
    input_used, hold_used: what was billed in per cent of the bound, and of the hold.
    above_input, above_hold: bills beyond them: above_hold is to be 0.
    """

    calls: int = 0
    estimated: int = 0
    free: int = 0
    errors: Spread = field(default_factory=Spread)
    below_median: int = 0
    below_high: int = 0
    settled: int = 0
    expected: int = 0
    input_used: Spread = field(default_factory=Spread)
    hold_used: Spread = field(default_factory=Spread)
    above_input: int = 0
    above_hold: int = 0

    def add(self, call: Judged) -> None:
        """One more call."""
        self.calls += 1
        if call.hold:
            self.hold_used.add(call.cost, call.hold, USED_PERCENT_MAX)
        if call.hold is not None:
            self.above_hold += call.cost > call.hold
        if call.input_bound:
            self.input_used.add(call.input, call.input_bound, USED_PERCENT_MAX)
            self.above_input += call.input > call.input_bound
        if call.median is None or call.high is None or call.mean is None:
            return
        self.estimated += 1
        self.settled += call.cost
        self.expected += call.mean
        self.below_median += call.cost <= call.median
        self.below_high += call.cost <= call.high
        if call.cost:
            self.errors.add(call.median - call.cost, call.cost, ERROR_PERCENT_MAX)
        else:
            self.free += 1

    def take(self, other: Tally) -> None:
        """Count what another line has counted as well."""
        for name in ("calls", "estimated", "free", "below_median", "below_high", "settled",
                     "expected", "above_input", "above_hold"):  # fmt: skip
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("errors", "input_used", "hold_used"):
            getattr(self, name).take(getattr(other, name))


@dataclass(frozen=True)
class AboveHold:
    """A call whose bill was above its hold: what is never to be.  Amounts in nano-dollars."""

    call: str
    at_ms: int
    model: str
    bound: str
    cost: int
    hold: int


#: Borders of the histogram, in per cent of the bill: below the first, between two, from the last.
BORDERS = (-75, -50, -25, -10, 11, 26, 51, 101, 201)


@dataclass(frozen=True)
class Calibration:
    """Lines by what was asked for, most calls first, their total, and the calls above their holds.

    forgotten: groups of earlier calls that there was no room for.
    """

    by: tuple[str, ...]
    lines: tuple[tuple[tuple[str, ...], Tally], ...]
    total: Tally
    above: tuple[AboveHold, ...]
    forgotten: int = 0

    def histogram(self) -> Iterator[tuple[int | None, int | None, int]]:
        """(from, below, calls) of the errors of all lines; None is no border."""
        for low, high in zip((None, *BORDERS), (*BORDERS, None), strict=True):
            yield low, high, self.total.errors.between(low, high)
