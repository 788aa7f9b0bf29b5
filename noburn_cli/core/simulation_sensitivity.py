"""Which assumption matters most: each one moved alone, the others as they are.

Layer: core (pure).  Below: core.simulation_expected, core.simulation_scenario,
core.simulation_usage.  Above: core.simulation_findings.
Owns: by how much each assumption is moved.
Not here: what one chooses, the price first of all (core.simulation_levers); chance
(core.simulation_engine).

What has a size is moved by a fifth both ways, so that the bars compare; what is 0 today is moved by
a step of its own, named beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from noburn_cli.core.simulation_expected import Month, expect
from noburn_cli.core.simulation_scenario import Scenario, Segment
from noburn_cli.core.simulation_usage import LogNormal, Pareto, Shape
from noburn_cli.core.simulation_words import percent

#: A fifth, both ways.
MOVE = 0.2
#: Points a month, of what grows or shrinks and is 0 today.
STEP = 0.01
#: How many customers there are today is known, and the scale of everything.
AT_START = "customers at the start"
UNEVEN = "how uneven usage is"


@dataclass(frozen=True)
class Swing:
    """An assumption, and the outcome at both ends.

    low, high: the value in words.  *_nano: the margin of all months together; *_share: of revenue.
    """

    name: str
    low: str
    high: str
    low_nano: float
    high_nano: float
    low_share: float | None
    high_share: float | None
    low_under_water: float
    high_under_water: float

    @property
    def width_nano(self) -> float:
        return abs(self.high_nano - self.low_nano)


def sensitivity(scenario: Scenario) -> list[Swing]:
    """Every assumption's swing, the widest first."""
    swings = [_swing(name, low, high, ends) for name, low, high, ends in _moves(scenario)]
    return sorted(swings, key=lambda swing: (-swing.width_nano, swing.name))


def _swing(name: str, low: str, high: str, ends: tuple[Scenario, Scenario]) -> Swing:
    below, above = (expect(one).total for one in ends)
    return Swing(
        name, low, high, below.margin_nano, above.margin_nano,
        below.margin_share, above.margin_share, _under(below), _under(above),
    )  # fmt: skip


def _under(month: Month) -> float:
    return month.under_water_share


_Move = tuple[str, str, str, tuple[Scenario, Scenario]]


def _moves(scenario: Scenario) -> list[_Move]:
    found = [
        _fifth("tokens and requests a customer", scenario, _used),
        _fifth("what tokens and requests cost", scenario, _rated),
        *_spread(scenario),
        *_population(scenario),
        _around("growth of usage a month", scenario.usage_growth,
                lambda value: replace(scenario, usage_growth=value)),
        _around("change of rates a month", scenario.rate_growth,
                lambda value: replace(scenario, rate_growth=value)),
    ]  # fmt: skip
    saved = scenario.savings
    first = scenario.segments[0]
    for name, value in (
        ("cache_hits", scenario.cache_hits(first)),
        ("routed", saved.routed),
        ("prompt_cached", scenario.prompt_cached(first)),
    ):
        if value:
            found.append(_of_savings(scenario, name, value))
    if any(one.plan.overhead_nano or one.plan.overhead_request_nano for one in scenario.segments):
        found.append(_fifth("overhead a customer", scenario, _overhead))
    return found


def _of_savings(scenario: Scenario, name: str, value: float) -> _Move:
    low, high = value * (1 - MOVE), min(1.0, value * (1 + MOVE))
    words = {"cache_hits": "cache hits", "routed": "share routed", "prompt_cached": "prompt cache"}
    ends = tuple(
        replace(scenario, savings=replace(scenario.savings, **{name: one})) for one in (low, high)
    )
    return words[name], percent(low), percent(high), (ends[0], ends[1])


def _fifth(name: str, scenario: Scenario, change: Callable[[Scenario, float], Scenario]) -> _Move:
    return (
        name, f"-{percent(MOVE, places=0)}", f"+{percent(MOVE, places=0)}",
        (change(scenario, 1 - MOVE), change(scenario, 1 + MOVE)),
    )  # fmt: skip


def _around(name: str, value: float, change: Callable[[float], Scenario]) -> _Move:
    """A rate per month: a fifth of it, or a point where that is more."""
    step = max(abs(value) * MOVE, STEP)
    low, high = value - step, value + step
    return name, _signed(low), _signed(high), (change(low), change(high))


def _signed(share: float) -> str:
    return f"{'+' if share > 0 else ''}{percent(share)}"


def _spread(scenario: Scenario) -> list[_Move]:
    """How uneven usage is."""
    shape = scenario.shape
    if isinstance(shape, LogNormal) and shape.sigma:
        ends = [LogNormal(shape.sigma * (1 - MOVE)), LogNormal(shape.sigma * (1 + MOVE))]
        words = [_top_tenth(one) for one in ends]
    elif isinstance(shape, Pareto):
        # alpha - 1 is moved: at alpha 1 the mean would not exist.  A higher alpha is more even.
        pareto = [Pareto(1 + (shape.alpha - 1) * by) for by in (1 + MOVE, 1 - MOVE)]
        words = [_top_tenth(one) for one in pareto]
        changed = (replace(scenario, shape=pareto[0]), replace(scenario, shape=pareto[1]))
        return [(UNEVEN, words[0], words[1], changed)]
    else:
        return []
    changed = (replace(scenario, shape=ends[0]), replace(scenario, shape=ends[1]))
    return [(UNEVEN, words[0], words[1], changed)]


def _top_tenth(shape: Shape) -> str:
    """A spread as one sees it in a report; a sigma would say it to few."""
    return f"top tenth {percent(shape.top_share(0.1), places=0)}"


def _population(scenario: Scenario) -> list[_Move]:
    found = [_fifth(AT_START, scenario, _started)] if scenario.customers else []
    if scenario.growth:
        found.append(
            (
                "new customers a month",
                percent(scenario.growth * (1 - MOVE)), percent(scenario.growth * (1 + MOVE)),
                (
                    replace(scenario, growth=scenario.growth * (1 - MOVE)),
                    replace(scenario, growth=scenario.growth * (1 + MOVE)),
                ),
            )
        )  # fmt: skip
    if scenario.arrivals:
        found.append(
            _fifth("new customers besides", scenario,
                   lambda one, times: replace(one, arrivals=one.arrivals * times))
        )  # fmt: skip
    if any(one.churn for one in scenario.segments):
        found.append(_fifth("churn", scenario, _churned))
    if any(one.plan.trial_days for one in scenario.segments):
        found.append(_fifth("trials that stay", scenario, _kept))
    return found


def _segments(scenario: Scenario, change: Callable[[Segment], Segment]) -> Scenario:
    return replace(scenario, segments=tuple(change(one) for one in scenario.segments))


def _used(scenario: Scenario, times: float) -> Scenario:
    return _segments(
        scenario,
        lambda one: replace(one, tokens=one.tokens * times, requests=one.requests * times),
    )


def _rated(scenario: Scenario, times: float) -> Scenario:
    return _segments(
        scenario,
        lambda one: replace(
            one, token_nano=one.token_nano * times, request_nano=one.request_nano * times
        ),
    )


def _churned(scenario: Scenario, times: float) -> Scenario:
    return _segments(scenario, lambda one: replace(one, churn=min(1.0, one.churn * times)))


def _kept(scenario: Scenario, times: float) -> Scenario:
    return _segments(
        scenario, lambda one: replace(one, trial_keeps=min(1.0, one.trial_keeps * times))
    )


def _overhead(scenario: Scenario, times: float) -> Scenario:
    return _segments(
        scenario,
        lambda one: replace(
            one,
            plan=replace(
                one.plan,
                overhead_nano=round(one.plan.overhead_nano * times),
                overhead_request_nano=round(one.plan.overhead_request_nano * times),
            ),
        ),
    )


def _started(scenario: Scenario, times: float) -> Scenario:
    return replace(
        scenario, customers=round(scenario.customers * times) or min(1, scenario.customers)
    )
