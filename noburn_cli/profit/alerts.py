"""Alerts of margins: a budget for each customer that only watches, kept up to date.

Layer: profit, pure over the books.  Below: profit.outlooks, core.budgets, core.policy_plan.
Above: commands.pnl_alerting.
Owns: what the limit of such a budget is.  A customer's margin of a month stays at or above a floor
exactly while their inference is at most

    net revenue of the month × (1 - floor) - fees - overhead

so that is, less the month's imported inference (the daemon has not seen those calls), the limit of
a budget on their cost, in the calendar month of the zone of `[pnl]`, whose threshold of 100 % is
the alert: told once a month, the moment that a call passes it.  It blocks nothing, warns no
program, and is charged beside any other budget of the customer.  Where the plan charges for use,
revenue grows as the customer spends: then the limit is the first amount at which the margin is
below the floor, and there is no budget where no amount is.
Not here: how a message gets out (the daemon), its words (noburn_daemon.alerts).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from noburn_cli.core.actions import WARN
from noburn_cli.core.budget_spec import BudgetSpec, spec_from
from noburn_cli.core.budgets import check_name, margin_floor, margin_scope
from noburn_cli.core.money import AMOUNT_MAX, DOLLARS
from noburn_cli.core.policy_plan import removal, setting
from noburn_cli.core.profit import CUSTOMER, UNMAPPED, Figures
from noburn_cli.core.recognition_days import month_of_day
from noburn_cli.core.windows import MONTH
from noburn_cli.errors import UsageError
from noburn_cli.profit.outlooks import charges_for_use, renewals
from noburn_cli.profit.reading import Books, lines_of

#: Of what may be spent: the margin is below its floor.
THRESHOLDS = (100,)
#: How far use may grow in a month before it is not looked at any more; in steps of a tenth.
_GROWTH_MAX = 100_000
_STEP = 11


@dataclass(frozen=True)
class Steps:
    """What is to change: budgets to set, and those to remove; unchanged counts the rest."""

    set: tuple[BudgetSpec, ...]
    removed: tuple[BudgetSpec, ...]
    unchanged: int

    def requests(self) -> list[dict[str, Any]]:
        """Steps of a `budget.apply` frame."""
        return [
            *(setting(spec, None) for spec in self.set),
            *(removal(spec, None) for spec in self.removed),
        ]


@dataclass(frozen=True)
class Watch:
    """A customer whose margin is watched.

    margin: of the whole month's revenue, renewals too, with what was spent up to now; a share of
    it, or None where it is not above 0.  below: whether that is below the floor already.
    """

    customer: str
    spec: BudgetSpec
    margin: Fraction | None
    below: bool


def watched(books: Books, imported: Mapping[str, int]) -> list[Watch]:
    """The budgets that watch the margins of every mapped customer with revenue this month.

    imported: of the month's inference what was imported, nano-dollars by customer.
    """
    rules = books.question.rules
    floor = rules.margin_min
    if floor is None:
        return []
    first, following = month_of_day(books.today)
    asked = replace(books.question, first=first, until=following, by=(CUSTOMER,), customer=None)
    renewed = renewals(books, first, following)
    found = []
    for name, figures in lines_of(replace(books, question=asked)).by_customer.items():
        net = figures.net_nano + renewed.get(name, 0)
        if not net or name.startswith(UNMAPPED) or not _can_be_watched(name):
            continue
        limit = _limit(
            figures, net - figures.usage_nano, floor, charges_for_use(books, name, first)
        )
        if limit is None:
            continue
        spec = BudgetSpec(
            margin_scope(name, int(floor * 100)), MONTH, DOLLARS,
            # A nano-dollar more, so that reaching it is being below the floor.
            min(max(0, limit - imported.get(name, 0)) + 1, AMOUNT_MAX), action=WARN,
            zone=rules.zone, thresholds=THRESHOLDS, notify=rules.notify,
        )  # fmt: skip
        margin = figures.margin_nano + renewed.get(name, 0)
        share = Fraction(margin, net) if net > 0 else None
        found.append(Watch(name, spec, share, figures.cost_nano > limit))
    return found


def _limit(
    figures: Figures, fixed: int, floor: Fraction, by_use: Callable[[Fraction], int] | None
) -> int | None:
    """The most inference that keeps a margin; None where any does.

    fixed: the month's net revenue without use.  by_use: what use is charged, by how much it grows.
    """
    other = figures.fees_nano - figures.overhead_nano

    cost = figures.cost_nano

    def affords(spent: int) -> int:
        grows = by_use is not None and cost > 0
        charged = by_use(Fraction(spent, cost)) if by_use and grows else figures.usage_nano
        return math.floor((fixed + charged) * (1 - floor)) + other

    now = affords(cost)
    if by_use is None or cost <= 0 or now < cost:
        return now
    # What is charged is linear piece by piece: the first step that is below, then the place in it.
    low, high = cost, cost * _STEP // 10 + 1
    while affords(high) >= high:
        low, high = high, high * _STEP // 10 + 1
        if low > cost * _GROWTH_MAX:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if affords(middle) < middle else (middle, high)
    return low


def _can_be_watched(customer: str) -> bool:
    """Whether a budget can be about exactly this customer: a name that a call can have."""
    try:
        return check_name(CUSTOMER, customer) == customer
    except UsageError:
        return False


def steps_to(wanted: Iterable[BudgetSpec], listed: Iterable[Mapping[str, Any]]) -> Steps:
    """From the budgets that stand, as the daemon lists them, to those that are wanted."""
    standing = {
        spec.identity: spec
        for spec in map(spec_from, listed)
        if margin_floor(spec.scope.keys) is not None
    }
    named = {spec.identity: spec for spec in wanted}
    changed = tuple(spec for name, spec in named.items() if standing.get(name) != spec)
    removed = tuple(spec for name, spec in standing.items() if name not in named)
    return Steps(changed, removed, len(named) - len(changed))
