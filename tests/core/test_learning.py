"""What past calls say: quantiles of outputs that caps may have ended, and whose calls are asked."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noburn_cli.core import learning
from noburn_cli.core.learning import (
    CALLS_MAX,
    CALLS_MIN,
    CacheShares,
    Observed,
    Shape,
    Window,
    groups,
    learn,
    shape,
)

_outputs = st.lists(st.tuples(st.integers(0, 5_000), st.booleans()), min_size=1, max_size=60)


def _nearest_rank(outputs: list[int], percent: int) -> int:
    return sorted(outputs)[max(0, -(-percent * len(outputs) // 100) - 1)]


def _by_the_book(outputs: list[tuple[int, bool]], percent: int) -> tuple[int, bool]:
    """The product-limit quantile in fractions, one distinct length after the other."""
    survival = Fraction(1)
    for length in sorted({length for length, _ in outputs}):
        at_risk = sum(one >= length for one, _ in outputs)
        ended = sum(one == length and not capped for one, capped in outputs)
        survival *= 1 - Fraction(ended, at_risk)
        if survival <= Fraction(100 - percent, 100):
            return length, False
    return max(length for length, _ in outputs), True


@settings(deadline=None)
@given(st.lists(st.integers(0, 100_000), min_size=1, max_size=80))
def test_without_caps_it_is_the_nearest_rank_and_the_plain_mean(outputs: list[int]) -> None:
    found = shape((one, False) for one in outputs)
    assert (found.median, found.high) == (_nearest_rank(outputs, 50), _nearest_rank(outputs, 90))
    assert abs(found.mean - Fraction(sum(outputs), len(outputs))) <= Fraction(501, 1000)
    assert not any((found.median_at_least, found.high_at_least, found.mean_at_least))


@settings(deadline=None)
@given(_outputs)
def test_with_caps_it_is_the_product_limit(outputs: list[tuple[int, bool]]) -> None:
    found = shape(outputs)
    assert (found.median, found.median_at_least) == _by_the_book(outputs, 50)
    assert (found.high, found.high_at_least) == _by_the_book(outputs, 90)
    assert found.median <= found.high <= max(outputs)[0]


@settings(deadline=None)
@given(_outputs)
def test_a_capped_output_never_lowers_what_is_expected(outputs: list[tuple[int, bool]]) -> None:
    """Goal: the true length of a capped output is not below, and neither is what is said."""
    taken_as_they_are = shape((length, False) for length, _ in outputs)
    found = shape(outputs)
    assert found.median >= taken_as_they_are.median
    assert found.high >= taken_as_they_are.high
    assert found.mean >= taken_as_they_are.mean - 1


def test_caps_at_a_fixed_length_hide_what_lies_beyond() -> None:
    # 60 of 100 answers have 1 to 60 tokens, 40 were ended at 60: the median is known, 90 % is not.
    outputs = [(length, False) for length in range(1, 61)] + [(60, True)] * 40
    assert shape(outputs) == Shape(
        50, 60, round(Fraction(sum(range(1, 61)) + 40 * 60, 100)), False, True, True
    )
    # Caps below say nothing about what they cut: 20 cut at 5, of which 4 in 5 would have gone on.
    mixed = [(10, False)] * 50 + [(20, False)] * 50 + [(5, True)] * 20
    assert shape(mixed) == Shape(10, 20, 15, False, False, False)
    assert shape([(100, True)] * 30) == Shape(100, 100, 100, True, True, True)
    with pytest.raises(ValueError, match="no output"):
        shape([])


def _calls(count: int, output: int = 10, at_ms: int = 0) -> list[Observed]:
    return [Observed(at_ms + number, output, False, 60, 30, 9, 1) for number in range(count)]


def test_too_few_calls_are_unknown_and_old_ones_do_not_count() -> None:
    assert learn(Window(_calls(CALLS_MIN - 1)), since_ms=0, model="m", basis="model") is None
    found = learn(Window(_calls(CALLS_MIN)), since_ms=0, model="m", basis="model")
    assert found is not None
    assert (found.calls, found.median, found.first_ms, found.last_ms) == (20, 10, 0, 19)
    assert found.cache_share == Fraction(3, 10)
    assert learn(Window(_calls(CALLS_MIN)), since_ms=1, model="m", basis="model") is None


def test_a_window_keeps_the_newest_in_flat_memory() -> None:
    window = Window(_calls(5 * CALLS_MAX, output=1))
    for one in _calls(CALLS_MAX, output=7, at_ms=10**6):
        window.add(one)
    assert CALLS_MAX <= len(window) < 1.3 * CALLS_MAX
    found = learn(window, since_ms=0, model="m", basis="feature", name="chat")
    assert found is not None
    assert (found.calls, found.shape) == (CALLS_MAX, Shape(7, 7, 7))


def test_the_most_telling_group_is_asked_first() -> None:
    assert groups(feature="chat", prompt="system.md") == [
        ("prompt", "system.md"), ("feature", "chat"), ("model", ""),
    ]  # fmt: skip
    assert groups(feature=None, prompt=None) == [("model", "")]
    assert learning.BASES == ("prompt", "feature", "model")


@settings(deadline=None)
@given(st.integers(0, 10**6), *[st.integers(0, 10**9)] * 4)
def test_a_split_adds_up_and_no_share_grows(tokens: int, a: int, b: int, c: int, d: int) -> None:
    shares = CacheShares(a, b, c, d)
    split = shares.split(tokens)
    assert sum(split.values()) == tokens
    assert all(count >= 0 for count in split.values())
    assert split.get("cache_read", 0) <= tokens * shares.read_share
