"""Everything that `noburn simulate` answers about one scenario, found once.

Layer: core (pure, numpy).  Below: the other core.simulation modules.  Above: commands.simulate,
render.simulation, render.simulation_data, render.simulation_page.
Owns: Findings, and the numbers that advice is given by.
Not here: the words of the advice (core.simulation_advice).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from noburn_cli.core.simulation_advice import Advice, Facts, advise
from noburn_cli.core.simulation_break_even import BreakEven, break_even
from noburn_cli.core.simulation_engine import draw_futures
from noburn_cli.core.simulation_expected import Month, Outlook, expect
from noburn_cli.core.simulation_levers import flat_segments, hybrid_of
from noburn_cli.core.simulation_pulling import Pulled, WonBack, cheapest, won_back
from noburn_cli.core.simulation_reach import ROUTE_RATIOS
from noburn_cli.core.simulation_scenario import Scenario
from noburn_cli.core.simulation_sensitivity import Swing, sensitivity
from noburn_cli.core.simulation_summary import Summary, summarise
from noburn_cli.core.simulation_turning import Turning, turning


@dataclass(frozen=True)
class Findings:
    """The answers.

    expected: without chance.  levers: those that reach the target first, the cheapest on top; empty
    where it is reached.  flat, hybrid: all months with the flat plans as they are, and with an
    allowance and overage under them; None without a flat plan.
    """

    scenario: Scenario
    summary: Summary
    expected: Outlook
    turning: Turning
    break_even: BreakEven
    won_back: tuple[WonBack, ...]
    levers: tuple[Pulled, ...]
    swings: tuple[Swing, ...]
    hybrid: Month | None
    advice: tuple[Advice, ...]

    @property
    def reached(self) -> bool:
        """Whether the expected margin of all months is the target or more."""
        return _reached(self.expected.total, self.scenario.target)


def _reached(total: Month, target: float) -> bool:
    share = total.margin_share
    return share is not None and share >= target


def find(
    scenario: Scenario,
    *,
    product: str | None = None,
    work_nano: Mapping[str, float] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Findings:
    """Draw the futures and answer everything.

    product: the kind, for what a cache may hit.  work_nano: what the work for a lever costs once.
    progress: is told how many futures are drawn.
    """
    futures = draw_futures(scenario, progress=progress)
    names = [segment.name for segment in scenario.segments]
    summary = summarise(
        futures,
        names,
        [segment.paying for segment in scenario.segments],
        fixed_nano=scenario.fixed_nano,
        target=scenario.target,
    )
    expected = expect(scenario)
    ratios = tuple(dict.fromkeys((scenario.savings.route_ratio, *ROUTE_RATIOS)))
    levers: list[Pulled] = []
    if not _reached(expected.total, scenario.target):
        levers = cheapest(scenario, product=product, work_nano=work_nano or {})
    turned = turning(scenario)
    swings = sensitivity(scenario)
    flat = bool(flat_segments(scenario))
    hybrid = expect(hybrid_of(scenario)).total if flat else None
    facts = Facts(
        scenario=scenario, summary=summary, expected=expected, turning=turned,
        levers=tuple(levers), swings=tuple(swings), hybrid=hybrid,
    )  # fmt: skip
    return Findings(
        scenario=scenario,
        summary=summary,
        expected=expected,
        turning=turned,
        break_even=break_even(scenario),
        won_back=tuple(won_back(scenario, product=product, ratios=ratios)),
        levers=tuple(levers),
        swings=tuple(swings),
        hybrid=hybrid,
        advice=tuple(advise(facts)),
    )
