"""Usage that nobody billed yet, rated by the customer's plan: revenue that is provisional.

Layer: core (pure).  Below: core.plan_billing, core.profit, core.recognition.
Above: noburn_cli.profit.
Owns: which usage is unbilled, what the plan charges for it, and on which days that is earned.

A plan's allowance is a month's, and every seat's.  Of a month whose usage goes beyond it the last
tokens, requests or dollars are what is charged, so that the days on which it was passed are the
days that earn, until the plan's maximum is reached.  What a bill covers already is left out: rating
begins with the day after the last period of use that was billed; with nothing billed by use, with
the current month.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from noburn_cli.core import revenue
from noburn_cli.core.plan_billing import PlanUsage, bill
from noburn_cli.core.plans import Plan
from noburn_cli.core.profit import CostLine, PlansByDay
from noburn_cli.core.recognition import PROVISIONAL, Stream
from noburn_cli.core.recognition_days import Days, month_of_day, share_out, used_of
from noburn_cli.core.recognition_earning import Earning
from noburn_cli.core.revenue import RevenueFact

#: A customer's usage by day: [cost in nano-dollars, tokens, requests].
ByDay = Mapping[int, list[int]]


def usage_by_day(costs: Iterable[CostLine]) -> dict[str, dict[int, list[int]]]:
    """Every customer's usage, by day."""
    found: dict[str, dict[int, list[int]]] = defaultdict(dict)
    for line in costs:
        sums = found[line.customer].setdefault(line.day, [0, 0, 0])
        for place, amount in enumerate((line.cost_nano, line.tokens, line.calls)):
            sums[place] += amount
    return found


def billed_through(facts: Iterable[RevenueFact], days: Days) -> dict[str, int]:
    """The last day whose usage is billed, or is in a draft, by customer."""
    found: dict[str, int] = {}
    for fact in facts:
        if fact.kind == revenue.USAGE and fact.customer is not None and fact.state != revenue.VOID:
            last = days.of(max(fact.starts_ms, fact.ends_ms - 1))
            found[fact.customer] = max(last, found.get(fact.customer, last))
    return found


def rated_streams(
    usage: Mapping[str, ByDay], on: PlansByDay, plans: Mapping[str, Plan], *,
    through: Mapping[str, int], today: int,
) -> list[Stream]:  # fmt: skip
    """What plans with an overage charge for usage that is not billed yet, up to today.

    through: the last day that is billed, by customer.
    """
    found = []
    for customer, by_day in usage.items():
        name = on.latest(customer)
        plan = plans.get(name) if name is not None else None
        if name is None or plan is None or plan.overage is None:
            continue
        month = month_of_day(today)[0]
        after = through.get(customer, month - 1)
        month = month_of_day(after + 1)[0]
        while month <= today:
            following = month_of_day(month)[1]
            until = min(following, today + 1)
            amounts = _month(plan, by_day, month, until, seats=on.seats(customer))
            open_days = {day: nano for day, nano in amounts.items() if day > after}
            stream = _stream(customer, name, open_days)
            if stream is not None:
                found.append(stream)
            month = following
    return found


def _month(
    plan: Plan, by_day: ByDay, first: int, until: int, *, seats: int | None
) -> dict[int, int]:
    """What is charged for usage of a month, by the day that earns it; whole nano-dollars.

    What a minimum adds is no usage, and is left to the bill.
    """
    used = {day: by_day[day] for day in range(first, until) if day in by_day}
    sums = [sum(one[place] for one in used.values()) for place in range(3)]
    usage = PlanUsage(cost_nano=sums[0], tokens=sums[1], requests=sums[2], seats=seats)
    charged = bill(plan, usage)
    whole = round(charged.overage_nano)
    assert plan.overage is not None
    place = 1 if plan.overage.per_million_nano is not None else (
        2 if plan.overage.per_request_nano is not None else 0
    )  # fmt: skip
    left = round(charged.beyond * sums[place])
    weights = {}
    for day in sorted(used, reverse=True):
        taken = min(left, used[day][place])
        if taken:
            weights[day] = taken
        left -= taken
    amounts = share_out(whole, weights) if whole and weights else {}
    return _up_to(round(min(charged.overage_nano, charged.by_use_nano)), amounts)


def _up_to(most: int, amounts: Mapping[int, int]) -> dict[int, int]:
    """The first of them, by day, as far as a plan's maximum lets them come."""
    found = {}
    for day in sorted(amounts):
        taken = min(amounts[day], most)
        if taken:
            found[day] = taken
        most -= taken
    return found


def _stream(customer: str, plan: str, amounts: Mapping[int, int]) -> Stream | None:
    curve = used_of(amounts)
    if curve is None:
        return None
    nano = sum(amounts.values())
    return Stream(
        payer="", payer_name="", customer=customer, feature=None, plan=plan, kind=revenue.USAGE,
        state=PROVISIONAL, document="", earning=Earning(nano, curve), gross_nano=nano,
        discount_nano=0, billed_day=None,
    )  # fmt: skip


def credit_draws(
    usage: Mapping[str, ByDay], on: PlansByDay, plans: Mapping[str, Plan]
) -> tuple[dict[str, dict[int, int]], tuple[str, ...]]:
    """What usage was worth in credits, by customer and day; and whose is counted at our cost.

    A plan with credits says what one pays for and what it is sold for; without, a dollar of cost
    spends a dollar of credits.
    """
    found: dict[str, dict[int, int]] = {}
    at_cost = []
    for customer, by_day in usage.items():
        plan = plans.get(on.latest(customer) or "")
        sold = plan.credits if plan is not None else None
        if sold is None or sold.price_nano is None:
            at_cost.append(customer)
            found[customer] = {day: one[0] for day, one in by_day.items()}
            continue
        said = (sold.cost_nano, sold.tokens, sold.requests)
        place, each = next((at, unit) for at, unit in enumerate(said) if unit is not None)
        found[customer] = {day: one[place] * sold.price_nano // each for day, one in by_day.items()}
    return found, tuple(at_cost)
