"""How many customers are expected: who comes, and who is still there.

Layer: core (pure).  Below: nothing.  Above: core.simulation_scenario.
Owns: the recurrence of growth and churn.
Not here: chance (core.simulation_engine).

The answer for the same groups is kept: levers and assumptions that leave the customers alone ask
for it hundreds of times.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

#: Days of a month, for a trial that is shorter or longer than one.
TRIAL_MONTH_DAYS = 30


@dataclass(frozen=True)
class Group:
    """Customers of one plan.

    share: of those at the start and of those who come.  churn: the chance of leaving, a month.
    trial_keeps: the share that stays after a trial.  leaving: who leaves over what changes in each
    month, a share.
    """

    share: float
    churn: float
    trial_days: int
    trial_keeps: float
    leaving: tuple[float, ...]


@dataclass(frozen=True)
class Population:
    """arrivals: new customers of each month, all groups together; none in month 0.

    alive: by group and month of arrival, the chance to be there in each month from then on.  Who is
    there at the start, in month 0, has the trial behind them.
    """

    arrivals: tuple[float, ...]
    alive: tuple[tuple[tuple[float, ...], ...], ...]


@lru_cache(maxsize=64)
def expected(
    groups: tuple[Group, ...], customers: float, growth: float, arrivals: float
) -> Population:
    """What is expected of customers at the start, and of those who come.

    growth: new customers a month, as a share of those who are there the month before; arrivals: and
    so many more.
    """
    months = len(groups[0].leaving)
    alive = tuple(
        tuple(_alive(group, start, months) for start in range(months)) for group in groups
    )
    came = [0.0]
    cohorts = [customers]
    for month in range(1, months):
        before = sum(
            count * group.share * alive[place][start][month - 1 - start]
            for place, group in enumerate(groups)
            for start, count in enumerate(cohorts)
        )
        came.append(before * growth + arrivals)
        cohorts.append(came[-1])
    return Population(tuple(came), alive)


def _alive(group: Group, start: int, months: int) -> tuple[float, ...]:
    """The chance that who came in month `start` is there in each month from then on."""
    trial_end = -(-group.trial_days // TRIAL_MONTH_DAYS)
    chance = 1.0
    chances = [chance]
    for month in range(start + 1, months):
        chance *= (1 - group.churn) * (1 - group.leaving[month])
        if start and month - start == trial_end:
            chance *= group.trial_keeps
        chances.append(chance)
    return tuple(chances)
