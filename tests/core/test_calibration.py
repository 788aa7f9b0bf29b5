"""Estimates judged by calls they have not seen: what was known when, and how errors are counted."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from noburn_cli.core.calibration import (
    ERROR_PERCENT_MAX,
    USED_PERCENT_MAX,
    Calibration,
    Judged,
    Past,
    Spread,
    Tally,
)
from noburn_cli.core.learning import CALLS_MIN, DAY_MS, Observed

_WHO = {"model": "m", "feature": "chat", "prompt": None}


def _call(at_ms: int, output: int = 10) -> Observed:
    return Observed(at_ms, output, False, 100)


@settings(deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=120))
def test_a_call_is_judged_by_those_before_it_alone(steps: list[int]) -> None:
    """Goal: whatever is still to come, and however odd, no estimate shows a trace of it."""
    past = Past()
    for number, step in enumerate(steps):
        found = past.expect(**_WHO, now_ms=number)
        assert (found is None) == (number < CALLS_MIN)
        if found is not None:
            # Outputs never shrink, so that one from later would show as a longer one.
            assert found.high <= max(1000 * before + steps[before] for before in range(number))
            assert found.calls <= number < found.calls * 22 / 20
            assert found.last_ms < number
        past.see(_call(number, 1000 * number + step), **_WHO)


def test_what_was_known_is_a_twentieth_old_at_most_and_a_month_long() -> None:
    past = Past()
    for number in range(100):
        past.see(_call(number), **_WHO)
    assert past.expect(**_WHO, now_ms=100).median == 10  # type: ignore[union-attr]
    for number in range(120):
        past.see(_call(200 + number, 500), **_WHO)
    assert past.expect(**_WHO, now_ms=400).median == 500  # type: ignore[union-attr]
    assert past.expect(model="m", feature=None, prompt=None, now_ms=400) is not None
    assert past.expect(model="other", feature="chat", prompt=None, now_ms=400) is None
    assert past.expect(**_WHO, now_ms=31 * DAY_MS) is None


def test_memory_is_bounded_and_says_what_it_forgot() -> None:
    past = Past(observed_max=300)
    for number in range(1_000):
        past.see(_call(number), model=f"m{number % 10}", feature=f"f{number % 7}", prompt=None)
    assert past.forgotten > 0
    kept = {
        past.expect(model=f"m{model}", feature=f"f{feature}", prompt=None, now_ms=1_000)
        for model in range(10)
        for feature in range(7)
    }
    assert 0 < sum(one.calls for one in kept if one is not None) <= 300


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10**12), st.integers(1, 10**12)), min_size=1))
def test_a_spread_is_the_nearest_rank_of_whole_per_cents(pairs: list[tuple[int, int]]) -> None:
    spread = Spread()
    for part, whole in pairs:
        spread.add(part, whole, USED_PERCENT_MAX)
    rounded = sorted(min(USED_PERCENT_MAX, int(100 * p / w + 0.5)) for p, w in pairs)
    for percent in (10, 50, 90, 100):
        found = spread.quantile(percent)
        assert found is not None
        assert abs(found - rounded[-(-percent * len(pairs) // 100) - 1]) <= 1  # floats, there
    assert len(spread) == spread.between(None, None) == len(pairs)


def test_a_line_adds_up_to_what_its_calls_say() -> None:
    tally = Tally()
    tally.add(Judged(cost=100, hold=200, input=50, input_bound=100, median=50, high=99, mean=60))
    tally.add(Judged(cost=100, hold=99, input=101, input_bound=100, median=150, high=300, mean=60))
    tally.add(Judged(cost=1, hold=1, input=0, input_bound=0, median=10**6, high=10**6, mean=80))
    tally.add(Judged(cost=0, hold=0, input=10, input_bound=10, median=0, high=0, mean=0))
    tally.add(Judged(cost=500, hold=None, input=10, input_bound=None))
    assert (tally.calls, tally.estimated, tally.free) == (5, 4, 1)
    assert (tally.below_median, tally.below_high) == (3, 3)
    assert (tally.settled, tally.expected) == (201, 200)
    assert (tally.above_hold, tally.above_input) == (1, 1)
    assert dict(tally.errors.counts) == {-50: 1, 50: 1, ERROR_PERCENT_MAX: 1}
    assert dict(tally.hold_used.counts) == {50: 1, 101: 1, 100: 1}
    histogram = list(Calibration(("model",), (), tally, ()).histogram())
    assert sum(calls for _, _, calls in histogram) == 3
    assert {low: calls for low, _, calls in histogram if calls} == {-50: 1, 26: 1, 201: 1}


def test_nothing_counted_has_no_quantile() -> None:
    assert Spread().quantile(50) is None
