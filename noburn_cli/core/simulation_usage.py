"""How usage is spread over customers: log-normal, Pareto, or as it was measured.

Layer: core (pure, numpy).  Below: core.simulation_shapes.  Above: core.simulation_scenario,
core.simulation_engine.
Owns: the shapes, what "the top 5 % use 5x" means for their parameters, and the nodes over which an
expectation is an exact sum.
Not here: how much a customer uses on average (core.simulation_scenario).

A shape maps a standard normal score to a multiple of the mean, so that every shape has mean 1 and
a customer's months can hang together (a Gaussian copula) without changing the shape of any month.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from noburn_cli.core.simulation_shapes import ALPHA_LEAST, Heavy
from noburn_cli.errors import UsageError

Floats = NDArray[np.float64]

_NORMAL = NormalDist()
#: The step of the nodes.  The trapezoid rule is exact to 1e-9 on what is smooth; at a border (a
#: share of customers under water) it is out by half a step's probability, 2e-4 at most.
_STEP = 0.001
#: Cells per unit of score in Pareto's table: linear between them, a multiple is out by 4e-6 of it.
_CELLS = 1024
#: No draw of a float64 normal passes this.
_SCORE_MAX = 14
#: A sample of more customers than this says nothing more about its shape.
SAMPLE_MAX = 1_000_000


class Shape(Protocol):
    """How usage is spread; multiples of the mean, whose mean is 1."""

    @property
    def label(self) -> str:
        """The shape in words, with its parameter."""

    def multiples(self, scores: Floats) -> Floats:
        """The multiples of customers at these standard normal scores."""

    def nodes(self) -> tuple[Floats, Floats]:
        """Multiples and weights: the sum of weight x f(multiple) is the expectation of f."""

    def top_share(self, top: float) -> float:
        """The share of all usage that the heaviest `top` (0 to 1) of customers make."""


@dataclass(frozen=True)
class LogNormal:
    """ln(usage) is normal with this standard deviation; 0 makes all customers alike."""

    sigma: float

    @property
    def label(self) -> str:
        return f"log-normal, sigma {self.sigma:.4g}"

    def multiples(self, scores: Floats) -> Floats:
        found: Floats = np.exp(self.sigma * scores - self.sigma**2 / 2)
        return found

    def nodes(self) -> tuple[Floats, Floats]:
        # exp(sigma z) x normal density has its hill at z = sigma.
        scores = np.arange(-9.0, 9.0 + self.sigma, _STEP)
        return self.multiples(scores), _weights(scores)

    def top_share(self, top: float) -> float:
        """Phi(sigma - z) where z is the score that `top` of the customers pass."""
        return _NORMAL.cdf(self.sigma - _NORMAL.inv_cdf(1 - top))


@dataclass(frozen=True)
class Pareto:
    """P(usage > x) falls as x to the power of -alpha; the mean exists from alpha 1 on."""

    alpha: float
    _table: list[Floats] = field(default_factory=list, compare=False, repr=False)

    @property
    def label(self) -> str:
        return f"Pareto, alpha {self.alpha:.4g}"

    @property
    def least(self) -> float:
        """The smallest multiple of the mean: (alpha - 1) / alpha."""
        return (self.alpha - 1) / self.alpha

    def multiples(self, scores: Floats) -> Floats:
        if not self._table:
            grid = np.arange(-_SCORE_MAX * _CELLS, _SCORE_MAX * _CELLS + 2) / _CELLS
            self._table.append(self._exactly(grid))
        table = self._table[0]
        at = np.clip((scores + _SCORE_MAX) * _CELLS, 0.0, 2.0 * _SCORE_MAX * _CELLS)
        cell = at.astype(np.int64)
        below = table[cell]
        found: Floats = below + (table[cell + 1] - below) * (at - cell)
        return found

    def _exactly(self, scores: Floats) -> Floats:
        """least x (survival of the score) ^ (-1 / alpha), without a table."""
        survival = np.array([math.erfc(score / math.sqrt(2)) / 2 for score in scores.tolist()])
        found: Floats = self.least * survival ** (-1 / self.alpha)
        return found

    def nodes(self) -> tuple[Floats, Floats]:
        # Cells of equal parts of ln(survival): a multiple m stands for the mean of its cell, by the
        # closed form of the Pareto's partial mean, so that the expectation of usage is exact.
        edges = np.concatenate([np.arange(0.0, 40.0, _STEP), np.arange(40.0, 700.0, 1.0)])
        survival = np.exp(-edges)
        weights = survival - np.append(survival[1:], 0.0)
        usage_above = survival ** (1 - 1 / self.alpha)
        usage = usage_above - np.append(usage_above[1:], 0.0)
        return usage / weights, weights

    def top_share(self, top: float) -> float:
        """top ^ ((alpha - 1) / alpha), the Lorenz curve."""
        return float(top**self.least)


@dataclass(frozen=True)
class Empirical:
    """Customers as they were measured, each as likely as the other.

    sample: their usage, in any unit, smallest first; >= 0 and not all 0.
    """

    sample: tuple[float, ...]
    _tables: list[Floats] = field(default_factory=list, compare=False, repr=False)

    @property
    def label(self) -> str:
        return f"as measured at {len(self.sample):,} customers"

    def _multiples(self) -> Floats:
        sample = np.array(self.sample)
        found: Floats = sample / sample.mean()
        return found

    def multiples(self, scores: Floats) -> Floats:
        if not self._tables:
            count = len(self.sample)
            borders = [_NORMAL.inv_cdf(rank / count) for rank in range(1, count)]
            self._tables.extend([np.array(borders), self._multiples()])
        borders_at, multiples = self._tables
        found: Floats = multiples[np.searchsorted(borders_at, scores, side="right")]
        return found

    def nodes(self) -> tuple[Floats, Floats]:
        return self._multiples(), np.full(len(self.sample), 1 / len(self.sample))

    def top_share(self, top: float) -> float:
        """The heaviest customers' part, the last of them counted in part."""
        count = top * len(self.sample)
        whole = int(count)
        heaviest = self.sample[::-1]
        rest = heaviest[whole] * (count - whole) if whole < len(heaviest) else 0.0
        return (math.fsum(heaviest[:whole]) + rest) / math.fsum(self.sample)


def _weights(scores: Floats) -> Floats:
    """The normal probability that each node of an even grid stands for; they add up to 1."""
    density = np.exp(-(scores**2) / 2)
    found: Floats = density / density.sum()
    return found


def empirical(sample: Sequence[float], *, what: str) -> Empirical:
    """A measured shape.  Raises UsageError for a sample that cannot be one."""
    if not sample or not all(math.isfinite(one) and one >= 0 for one in sample):
        raise UsageError(
            f"{what} is no sample of usage",
            why="it takes at least one customer, and amounts that are not negative",
        )
    if len(sample) > SAMPLE_MAX:
        raise UsageError(f"{what} has more than {SAMPLE_MAX:,} customers")
    if not any(sample):
        raise UsageError(f"{what} says that nobody used anything")
    return Empirical(tuple(sorted(sample)))


def log_normal_of(heavy: Heavy) -> LogNormal:
    """The only log-normal of which this is true: sigma = z + Phi^-1(share).

    z is the score that `top` of the customers pass.  Raises UsageError where there is none.
    """
    _check(heavy)
    sigma = _NORMAL.inv_cdf(1 - heavy.top) + _NORMAL.inv_cdf(heavy.share)
    return LogNormal(max(0.0, sigma))


def pareto_of(heavy: Heavy) -> Pareto:
    """The only Pareto of which this is true: 1 - 1 / alpha = ln(share) / ln(top)."""
    _check(heavy)
    power = math.log(heavy.share) / math.log(heavy.top)
    if power >= 1:
        raise _even(heavy)
    alpha = 1 / (1 - power)
    if alpha < ALPHA_LEAST:
        raise UsageError(
            f"the top {heavy.top * 100:.4g} % of a Pareto cannot use that much",
            why=f"its alpha would be {alpha:.4g}, and the mean that of hardly anybody",
            next_step="say less, or --distribution log-normal",
        )
    return Pareto(alpha)


def _check(heavy: Heavy) -> None:
    if not 0 < heavy.top < 1:
        raise UsageError("heavy users are a part of the customers", why="above 0 and below 100 %")
    if heavy.share >= 1:
        raise UsageError(
            f"the top {heavy.top * 100:.4g} % cannot use that much",
            why=f"it would be {heavy.share * 100:,.0f} % of all usage",
            next_step="say less, or fewer customers",
        )
    if heavy.share < heavy.top:
        raise _even(heavy)


def _even(heavy: Heavy) -> UsageError:
    return UsageError(
        "the heavy users would use no more than the others",
        why=f"{heavy.top:.2%} of the customers, {heavy.share:.2%} of the usage",
        next_step="say it like '5% use 5x': five times the average",
    )
