"""Shapes of usage against their closed forms."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noburn_cli.core.simulation_shapes import Heavy, parse_heavy
from noburn_cli.core.simulation_usage import (
    ALPHA_LEAST,
    Empirical,
    LogNormal,
    Pareto,
    empirical,
    log_normal_of,
    pareto_of,
)
from noburn_cli.errors import UsageError

SCORES = np.random.Generator(np.random.SFC64(7)).standard_normal(400_000)
SHAPES = (
    LogNormal(2.0), LogNormal(0.5), LogNormal(0.0), Pareto(3.0), Pareto(2.2),
    empirical([0, 1, 2, 3, 100], what="here"),
)  # fmt: skip


def test_a_log_normal_of_sigma_2_gives_the_top_tenth_76_percent():
    """The reference line: spend is skewed; sigma 2 gives 76 % of spend to the top tenth."""
    assert round(LogNormal(2.0).top_share(0.1), 2) == 0.76


def test_a_pareto_of_80_to_20():
    assert Pareto(math.log(5) / math.log(4)).top_share(0.2) == pytest.approx(0.8, abs=1e-12)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.label)
def test_every_shape_has_mean_1_and_its_own_top_share(shape):
    """Nodes are exact, and draws follow them."""
    multiples, weights = shape.nodes()
    assert weights.sum() == pytest.approx(1, abs=1e-12)
    assert (weights * multiples).sum() == pytest.approx(1, abs=1e-12)
    drawn = np.sort(shape.multiples(SCORES))
    spread = drawn.std() / math.sqrt(len(drawn))
    assert drawn.mean() == pytest.approx(1, abs=5 * spread + 1e-12)
    top = drawn[-len(drawn) // 10 :].sum() / drawn.sum()
    assert top == pytest.approx(shape.top_share(0.1), abs=0.02)


def test_the_log_normal_is_its_formula():
    shape = LogNormal(1.3)
    assert shape.multiples(np.array([0.7]))[0] == pytest.approx(math.exp(1.3 * 0.7 - 1.3**2 / 2))
    # A share above a border, by the nodes and by the normal distribution.
    multiples, weights = shape.nodes()
    above = 1 - NormalDist().cdf((math.log(3.0) + 1.3**2 / 2) / 1.3)
    assert weights[multiples > 3.0].sum() == pytest.approx(above, abs=2e-4)


def test_the_pareto_table_is_its_formula():
    """Goal: a table that is quick is no other distribution, far out in the tail as well."""
    shape = Pareto(1.5)
    scores = np.array([-9.3, -2.1, 0.0, 0.0004, 1.23456, 5.4321, 8.1])
    survival = np.array([math.erfc(one / math.sqrt(2)) / 2 for one in scores])
    exact = (0.5 / 1.5) * survival ** (-1 / 1.5)
    assert shape.multiples(scores) == pytest.approx(exact, rel=4e-6)


def test_a_sample_is_drawn_as_it_is():
    shape = empirical([4, 0, 2, 2], what="here")
    assert shape.multiples(np.array([-9.0, -0.5, 0.5, 9.0])).tolist() == [0.0, 1.0, 1.0, 2.0]
    assert (shape.top_share(0.25), shape.top_share(0.5)) == (0.5, 0.75)
    assert isinstance(shape, Empirical)


heavies = st.tuples(st.floats(0.01, 0.4), st.floats(1.01, 20)).filter(lambda p: p[0] * p[1] < 0.99)


@settings(max_examples=40)
@given(heavies)
def test_the_top_5_percent_use_5_times_solved_exactly(pair):
    top, times = pair
    heavy = Heavy.times_the_average(top, times)
    shapes = [log_normal_of(heavy)]
    if math.log(heavy.share) / math.log(top) > 1 - 1 / ALPHA_LEAST:  # Else no Pareto is taken.
        shapes.append(pareto_of(heavy))
    for shape in shapes:
        assert shape.top_share(top) / top == pytest.approx(times, rel=1e-9)


def test_heavy_users_in_words():
    assert parse_heavy("5% use 5x") == Heavy(0.05, 0.25)
    assert parse_heavy("top 10% make 76%") == Heavy(0.1, 0.76)
    rest = parse_heavy("5 % use 5x the rest")
    others = (1 - rest.share) / 0.95
    assert rest.share / 0.05 / others == pytest.approx(5)
    # A power user burns five times the average: what one of the top 5 % uses in the mean.
    assert log_normal_of(parse_heavy("5% use 5x")).sigma == pytest.approx(0.97036, abs=1e-5)


@pytest.mark.parametrize("words", ["5% use 25x", "5% use 0.5x", "10% make 5%", "0% make 5%"])
def test_what_cannot_be_is_refused(words):
    for solve in (log_normal_of, pareto_of):
        with pytest.raises(UsageError):
            solve(parse_heavy(words))


@pytest.mark.parametrize("words", ["", "5 use 5x", "everybody", "5% use x", "5% use 5x of"])
def test_what_is_not_understood_is_refused(words):
    with pytest.raises(UsageError, match="heavy users cannot be read"):
        parse_heavy(words)


@pytest.mark.parametrize("sample", [[], [-1.0, 2.0], [float("nan")], [0.0, 0.0]])
def test_a_sample_that_is_none_is_refused(sample):
    with pytest.raises(UsageError):
        empirical(sample, what="here")
