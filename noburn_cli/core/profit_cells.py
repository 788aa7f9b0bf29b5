"""Splitting what is shared: revenue to features, models and days, overhead to everybody.

Layer: core (pure).  Below: core.profit, core.profit_rules, core.recognition.
Above: noburn_cli.profit.
Owns: the rules of the split, which docs/pnl.md says in words:
- Revenue that names a feature is that feature's.  The rest of a customer's revenue goes to its
  features by what they cost in the period, or by their calls (`[pnl] split`); without any call it
  stays with `(none)`.  To models it goes in the same way, within each feature.
- Overhead is counted per customer first, and split to what a customer's lines are after that: what
  is per call by calls, a share of revenue by revenue, the rest like shared revenue.
Every split is exact: whole nano-dollars, whose sum is what was split.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from noburn_cli.core import revenue
from noburn_cli.core.budgets import NONE
from noburn_cli.core.plans import Plan
from noburn_cli.core.profit import (
    CUSTOMER,
    DAY,
    FEATURE,
    MODEL,
    PLAN,
    CostLine,
    Figures,
    PlansByDay,
    customer_of,
    plans_by_day,
    state_field,
)
from noburn_cli.core.profit_rules import BY_REQUESTS, BY_REVENUE, Rules
from noburn_cli.core.recognition import Amounts, Stream
from noburn_cli.core.recognition_days import day_text, month_of_day, share_out

#: What is not grouped by is the same for all: one empty name.
ALL = ""


class Cell(NamedTuple):
    """The finest part that a grouping needs: names, and ALL where it does not."""

    customer: str
    plan: str
    feature: str
    model: str
    day: str


class Cells:
    """A period's revenue and costs, in cells; every sum is exact.

    by: what the lines are to be grouped by; decides how fine the cells are.
    first, until: the period's days, half-open.
    """

    def __init__(
        self, streams: Sequence[Stream], costs: Iterable[CostLine], *, rules: Rules,
        first: int, until: int, by: Sequence[str], plans: Mapping[str, Plan] | None = None,
    ) -> None:  # fmt: skip
        self._rules = rules
        self._first, self._until = first, until
        self._by = frozenset(by)
        self._plans = plans or {}
        self._on: PlansByDay = plans_by_day(streams)
        self.cells: dict[Cell, Figures] = defaultdict(Figures)
        #: By customer and day: what splits a customer's shared revenue, by (feature, model).
        self._weights: dict[tuple[str, str], dict[tuple[str, str], list[int]]] = defaultdict(dict)
        self._whole: dict[str, dict[tuple[str, str], list[int]]] = defaultdict(dict)
        for line in costs:
            self._add_cost(line)
        for stream in streams:
            self._add_stream(stream)
        self._add_overhead()

    def grouped(self, by: Sequence[str]) -> dict[tuple[str, ...], Figures]:
        """The figures by some of what the cells were made for, in its order."""
        found: dict[tuple[str, ...], Figures] = defaultdict(Figures)
        for cell, figures in self.cells.items():
            found[tuple(getattr(cell, name) for name in by)].add(figures)
        return dict(found)

    def _day(self, day: int) -> str:
        return day_text(day) if DAY in self._by else ALL

    def _add_cost(self, line: CostLine) -> None:
        if not self._first <= line.day < self._until:
            return
        day = self._day(line.day)
        plan = self._on.on(line.customer, line.day) if PLAN in self._by else ALL
        feature = line.feature if FEATURE in self._by else ALL
        model = line.model if MODEL in self._by else ALL
        figures = self.cells[Cell(line.customer, plan, feature, model, day)]
        figures.cost_nano += line.cost_nano
        figures.notional_nano += line.notional_nano
        figures.held_nano += line.held_nano
        figures.uncertain_nano += line.uncertain_nano
        figures.calls += line.calls
        figures.tokens += line.tokens
        for table in (self._weights[line.customer, day], self._whole[line.customer]):
            weights = table.setdefault((feature, model), [0, 0])
            weights[0] += line.cost_nano
            weights[1] += line.calls

    def _add_stream(self, stream: Stream) -> None:
        customer = customer_of(stream)
        plan = self._plan_paid(stream, customer) if PLAN in self._by else ALL
        also = [] if stream.kind == revenue.FEE else [state_field(stream.state)]
        if stream.kind == revenue.USAGE:
            also.append("usage_nano")
        for day, amounts in self._amounts(stream):
            given = {name: value for name, value in vars(amounts).items() if value}
            if not given:
                continue
            weights = self._split_of(customer, day, stream.feature)
            for name, value in given.items():
                parts = (
                    share_out(value, weights) if len(weights) > 1 else dict.fromkeys(weights, value)
                )
                for (feature, model), part in parts.items():
                    figures = self.cells[Cell(customer, plan, feature, model, day)]
                    # What a cell's revenue is in state and use follows its parts, roundings too.
                    for field in (name, *also):
                        setattr(figures, field, getattr(figures, field) + part)

    def _plan_paid(self, stream: Stream, customer: str) -> str:
        """The plan that revenue is of: a subscription's own; else the one the customer is on."""
        if stream.kind == revenue.SUBSCRIPTION:
            return stream.plan or NONE
        last = min(stream.earning.curve.last, self._until - 1)
        on = self._on.on(customer, last)
        return on if on != NONE else stream.plan or NONE

    def _amounts(self, stream: Stream) -> Iterator[tuple[str, Amounts]]:
        earning = stream.earning
        if earning.ends < self._first or earning.begins >= self._until:
            return
        if DAY not in self._by:
            yield ALL, stream.amounts(self._first, self._until)
            return
        first = max(self._first, earning.begins)
        for day in range(first, min(self._until, earning.ends + 1)):
            yield day_text(day), stream.amounts(day, day + 1)

    def _split_of(self, customer: str, day: str, feature: str | None) -> dict[tuple[str, str], int]:
        """Weights by (feature, model) of what a customer paid on a day, for a feature or for all.

        Of a day without calls those of the whole period.
        """
        if FEATURE not in self._by:
            feature = ALL
        for table in (self._weights.get((customer, day)), self._whole.get(customer)):
            if not table:
                continue
            found = {key: both for key, both in table.items() if feature in (None, key[0])}
            chosen = _chosen(found, self._rules.split)
            if chosen:
                return chosen
        known = ALL if FEATURE not in self._by else feature or NONE
        return {(known, NONE if MODEL in self._by else ALL): 1}

    def _pass_on(self, cells: Mapping[Cell, Figures], plan: Plan | None) -> None:
        """Cost that a customer's revenue by use passes on: at most what was billed by use, without
        the plan's markup.
        """
        billed = sum(one.usage_nano for one in cells.values())
        if plan is not None and plan.overage is not None and plan.overage.markup is not None:
            billed = round(Fraction(billed) / (1 + plan.overage.markup))
        cost = {cell: one.cost_nano for cell, one in cells.items()}
        passed = min(sum(cost.values()), billed)
        if passed > 0:
            for cell, part in share_out(passed, cost).items():
                cells[cell].passed_nano = part

    def _add_overhead(self) -> None:
        by_customer: dict[str, dict[Cell, Figures]] = defaultdict(dict)
        for cell, figures in self.cells.items():
            by_customer[cell.customer][cell] = figures
        months = self._months()
        active = {
            name: cells
            for name, cells in by_customer.items()
            # By sums, so that it does not depend on how fine the cells are.
            if sum(one.calls for one in cells.values())
            or sum(one.net_nano for one in cells.values())
        }
        shares = self._monthly_shares(active, months)
        for name, cells in active.items():
            plan = self._plans.get(self._on.latest(name) or NONE)
            monthly, per_call = (
                self._rules.overhead_customer_nano,
                self._rules.overhead_request_nano,
            )
            if plan is not None and (plan.overhead_nano or plan.overhead_request_nano):
                monthly, per_call = plan.overhead_nano, plan.overhead_request_nano
            self._pass_on(cells, plan)
            self._spread(cells, round(monthly * months) + shares.get(name, 0))
            for figures in cells.values():
                figures.overhead_nano += figures.calls * per_call
            net = {cell: figures.net_nano for cell, figures in cells.items()}
            whole = sum(net.values())
            if self._rules.overhead_share and whole:
                for cell, part in share_out(round(whole * self._rules.overhead_share), net).items():
                    cells[cell].overhead_nano += part

    def _months(self) -> Fraction:
        """How many months the period is, each day being its part of its own month."""
        found, day = Fraction(0), self._first
        while day < self._until:
            first, following = month_of_day(day)
            end = min(following, self._until)
            found += Fraction(end - day, following - first)
            day = end
        return found

    def _monthly_shares(
        self, active: Mapping[str, Mapping[Cell, Figures]], months: Fraction
    ) -> dict[str, int]:
        """The overhead of all together, by customer."""
        whole = round(self._rules.overhead_month_nano * months)
        if not whole or not active:
            return {}
        calls = {name: sum(one.calls for one in cells.values()) for name, cells in active.items()}
        earned = {
            name: max(0, sum(one.net_nano for one in cells.values()))
            for name, cells in active.items()
        }
        weights = earned if self._rules.overhead_by == BY_REVENUE else calls
        if not sum(weights.values()):
            weights = dict.fromkeys(active, 1)
        return share_out(whole, weights)

    def _spread(self, cells: Mapping[Cell, Figures], amount: int) -> None:
        """One customer's overhead that no number of calls decides: evenly over days with anything,
        within a day like shared revenue.
        """
        if not amount:
            return
        days: dict[str, dict[Cell, Figures]] = defaultdict(dict)
        for cell, figures in cells.items():
            days[cell.day][cell] = figures
        for day, part in share_out(amount, dict.fromkeys(days, 1)).items():
            both = {cell: [one.cost_nano, one.calls] for cell, one in days[day].items()}
            weights = _chosen(both, self._rules.split) or dict.fromkeys(both, 1)
            for cell, piece in share_out(part, weights).items():
                cells[cell].overhead_nano += piece


def _chosen(found: Mapping, split: str) -> dict:  # type: ignore[type-arg]
    """Weights by the rule; by the other one where it has none."""
    first = 1 if split == BY_REQUESTS else 0
    for place in (first, 1 - first):
        weights = {key: both[place] for key, both in found.items() if both[place] > 0}
        if weights:
            return weights
    return {}


def group_by_customer(cells: Cells) -> dict[str, Figures]:
    """The figures of each customer."""
    return {keys[0]: figures for keys, figures in cells.grouped((CUSTOMER,)).items()}
