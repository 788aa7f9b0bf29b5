"""What past calls say about the next one: its output, and how much of its input a cache will serve.

Layer: core (pure).  Below: core.usage.  Above: core.estimates, core.calibration, the ledger's
readers (reports.learned), `estimate` and `gate`.
Owns: how quantiles are taken of outputs that a cap may have ended, how many calls say something,
and which calls are asked first: those of the prompt, then of the feature, then of the model.
Not here: how calls are read, what they cost, how any of it looks.

An output that ended at its cap says only "at least so much".  Counted as it is, it would make every
quantile too low for a call with a higher cap; left out, too low as well, because the long answers
would be missing.  The product-limit estimator takes both kinds (E. L. Kaplan, P. Meier,
"Nonparametric Estimation from Incomplete Observations", J. Amer. Statist. Assoc. 53, 1958,
https://doi.org/10.1080/01621459.1958.10501452): without a capped call it is the nearest rank, and a
quantile that lies beyond what the caps let through is said to be at least the longest output.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from noburn_cli.core.usage import CACHE_READ, CACHE_WRITE_1H, CACHE_WRITE_5M, INPUT

#: Which calls taught it, the most telling first.
PROMPT, FEATURE, MODEL = "prompt", "feature", "model"
BASES = (PROMPT, FEATURE, MODEL)
#: The attribute that names a prompt, whatever its text has become since.
PROMPT_KEY = "tag.prompt"

#: Fewer calls say nothing: that one of twenty passes the true 90 % has a chance of 88 %
#: (1 - 0.9^20), so that the 18th, which is taken, is hardly the end of what there is.
CALLS_MIN = 20
#: The newest so many of a group are looked at: what a prompt did last says most, and 2,000 fix the
#: 90 % to within 1.3 points of per cent (standard error of the rank 0.7 points).
CALLS_MAX = 2_000
#: Older calls say nothing about the next one.
DAYS = 30
DAY_MS = 86_400_000
#: The quantile beside the median: what nine of ten calls do not pass.
HIGH_PERCENT = 90

_CACHED = (CACHE_READ, CACHE_WRITE_5M, CACHE_WRITE_1H)
#: So many more than CALLS_MAX are kept until the oldest are dropped, all at once.
_SPARE = 500
#: Survival is counted in so many parts, whole numbers throughout.
_PARTS = 10**15


class Observed(NamedTuple):
    """One settled call.  at_ms: when it was reserved.  Counts in tokens, as they were billed.

    capped: whether the output ended at its cap, so that it says "at least".
    """

    at_ms: int
    output: int
    capped: bool
    input: int
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0


@dataclass(frozen=True, slots=True)
class CacheShares:
    """Of all input of some calls, in tokens: what was plain, read from a cache, written to one."""

    plain: int
    read: int
    write_5m: int = 0
    write_1h: int = 0

    @property
    def total(self) -> int:
        return self.plain + self.read + self.write_5m + self.write_1h

    @property
    def read_share(self) -> Fraction:
        """The part that a cache served; 0 where nothing went in."""
        return Fraction(self.read, self.total) if self.total else Fraction(0)

    def split(self, tokens: int) -> Mapping[str, int]:
        """So many tokens of input by kind, in these shares; what does not divide is plain."""
        parts = {
            CACHE_READ: self.read,
            CACHE_WRITE_5M: self.write_5m,
            CACHE_WRITE_1H: self.write_1h,
        }
        found = {kind: tokens * part // self.total for kind, part in parts.items() if part}
        return {INPUT: tokens - sum(found.values()), **found}


@dataclass(frozen=True, slots=True)
class Shape:
    """How long some outputs were, in tokens.

    mean: what many calls come to, each; rounded half to even.
    median_at_least, high_at_least: the caps hide the true one, which is not below.
    The mean is at least so much where the longest output is one that was capped.
    """

    median: int
    high: int
    mean: int
    median_at_least: bool = False
    high_at_least: bool = False
    mean_at_least: bool = False


@dataclass(frozen=True, slots=True)
class Learned:
    """What the calls of one group say about the next call of it.

    basis, name: which calls: those of one prompt or feature on this model, or of the model ("").
    calls: how many, the newest; capped: how many of them ended at their cap.
    first_ms, last_ms: when the oldest and the newest of them were made.
    """

    model: str
    basis: str
    name: str
    shape: Shape
    cache: CacheShares
    calls: int
    capped: int
    first_ms: int
    last_ms: int

    @property
    def median(self) -> int:
        return self.shape.median

    @property
    def high(self) -> int:
        """What HIGH_PERCENT of calls do not pass."""
        return self.shape.high

    @property
    def mean(self) -> int:
        return self.shape.mean

    @property
    def cache_share(self) -> Fraction:
        return self.cache.read_share

    @property
    def expected_cache(self) -> CacheShares | None:
        """How the input of the next call will be billed; None where these calls do not tell.

        A cache serves beginnings that have been sent before: those of the same prompt or feature
        are alike, others on the model have other ones.
        """
        return None if self.basis == MODEL or not self.cache.total else self.cache


class Window:
    """The newest calls of one group, at most CALLS_MAX, in little memory; added as they come."""

    __slots__ = ("_values",)
    _COLUMNS = 6

    def __init__(self, observed: Iterable[Observed] = ()) -> None:
        self._values = array("q")
        for one in observed:
            self.add(one)

    def __len__(self) -> int:
        return len(self._values) // self._COLUMNS

    def add(self, one: Observed) -> None:
        """One more, in the place of the first of those before when there are enough."""
        at_ms, output, capped, *inputs = one
        # Of one length, what ended by itself sorts before what its cap ended.
        self._values.extend((at_ms, 2 * output + capped, *inputs))
        if len(self) >= CALLS_MAX + _SPARE:
            self.trim(0)

    def trim(self, since_ms: int) -> None:
        """Drop the first ones beyond CALLS_MAX, and those that were made before a moment."""
        width, values = self._COLUMNS, self._values
        del values[: max(0, len(self) - CALLS_MAX) * width]
        moments = values[::width]
        if moments and min(moments) < since_ms:
            kept = array("q")
            for place, at_ms in enumerate(moments):
                if at_ms >= since_ms:
                    kept.extend(values[place * width : (place + 1) * width])
            self._values = kept

    def column(self, number: int) -> array[int]:
        """One value of every call: 0 is when it was made, 1 twice its output and one more if it was
        capped, 2 to 5 are its input by kind.
        """
        return self._values[number :: self._COLUMNS]


def learn(
    window: Window, *, since_ms: int, model: str, basis: str, name: str = ""
) -> Learned | None:
    """What a group's calls since a moment say; None where they are fewer than CALLS_MIN: unknown.

    Trims the window.
    """
    window.trim(since_ms)
    if len(window) < CALLS_MIN:
        return None
    moments, marked = window.column(0), window.column(1)
    return Learned(
        model=model,
        basis=basis,
        name=name,
        shape=_shape(sorted(marked)),
        cache=CacheShares(*(sum(window.column(2 + kind)) for kind in range(4))),
        calls=len(window),
        capped=sum(mark & 1 for mark in marked),
        first_ms=min(moments),
        last_ms=max(moments),
    )


def groups(*, feature: str | None, prompt: str | None) -> list[tuple[str, str]]:
    """(basis, name) of the groups to ask, the most telling first."""
    named = ((PROMPT, prompt), (FEATURE, feature))
    return [*((basis, name) for basis, name in named if name), (MODEL, "")]


def shape(outputs: Iterable[tuple[int, bool]]) -> Shape:
    """Median, high quantile and mean of outputs, each with whether its cap ended it.

    Raises ValueError when there is none.
    """
    marked = sorted(2 * output + capped for output, capped in outputs)
    if not marked:
        raise ValueError("no output at all")
    return _shape(marked)


def _shape(marked: Sequence[int]) -> Shape:
    """Of outputs as a Window has them, sorted.

    Product-limit: what ends between two capped calls takes equal parts of those that reached it,
    exactly; the parts are rounded where a capped call drops out of those at risk.
    """
    wanted = [_PARTS * (100 - percent) // 100 for percent in (50, HIGH_PERCENT)]
    found: list[int] = []
    part, at_risk, start, area = _PARTS, len(marked), 0, 0
    for stop in [*(place for place, mark in enumerate(marked) if mark & 1), len(marked)]:
        ended = stop - start
        if ended:
            area += part * (sum(marked[start:stop]) // 2) // at_risk
            while len(found) < len(wanted):
                rank = max(1, at_risk - wanted[len(found)] * at_risk // part)
                if rank > ended:
                    break
                found.append(marked[start + rank - 1] >> 1)
            part = part * (at_risk - ended) // at_risk
        at_risk -= ended + 1
        start = stop + 1
    longest, is_capped = marked[-1] >> 1, bool(marked[-1] & 1)
    mean = (2 * (area + part * longest) + _PARTS) // (2 * _PARTS)
    at_least = [place >= len(found) for place in range(2)]
    median, high = [*found, longest, longest][:2]
    return Shape(median, high, mean, at_least[0], at_least[1], is_capped)
