"""The month's end and the plans, for every customer of some books.

Layer: profit, I/O-free over what was read.  Below: profit.reading, core.profit_outlook,
core.profit_advice, reports.forecast.  Above: commands.pnl, dashboard, profit.alerts.
Owns: what of the books a projection, and a plan's bill, is made from.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from fractions import Fraction

from noburn_cli.core import revenue
from noburn_cli.core.budgets import NONE
from noburn_cli.core.plan_billing import PlanUsage, bill
from noburn_cli.core.profit import CUSTOMER, Figures, customer_of
from noburn_cli.core.profit_advice import MONTH_DAYS, Advice, advise
from noburn_cli.core.profit_outlook import Basis, Outlook, outlook_of
from noburn_cli.core.profit_rating import usage_by_day
from noburn_cli.core.recognition import PROVISIONAL, Stream
from noburn_cli.core.recognition_days import Period, month_of_day
from noburn_cli.profit.reading import Books, lines_of
from noburn_cli.reports.forecast import WEEKS_MAX_DAYS, Forecast, forecast


def history_first(today: int) -> int:
    """The first day of costs that projections and plans look at."""
    return today - max(WEEKS_MAX_DAYS, MONTH_DAYS)


def month_so_far(books: Books) -> dict[str, Figures]:
    """Each customer's figures of the running month, today included."""
    first = month_of_day(books.today)[0]
    asked = replace(
        books.question, first=first, until=books.today + 1, by=(CUSTOMER,), customer=None
    )
    return dict(lines_of(replace(books, question=asked)).by_customer)


def outlooks(books: Books, now_ms: int) -> list[Outlook]:
    """The month's end for every customer of the running month with calls, the worst first."""
    first, following = month_of_day(books.today)
    start_ms, end_ms = books.days.bounds(books.today)
    gone = Fraction(now_ms - start_ms, end_ms - start_ms)
    so_far = books.today - first + gone
    by_day, begun = _by_day(books)
    known, renewed = _revenue(books, first, following)
    found = []
    for name, figures in month_so_far(books).items():
        if books.question.customer not in (None, name):
            continue
        if name not in begun and figures.margin_nano >= 0:
            continue  # Who pays and makes no call cannot come under water by calls.
        ahead = forecast(
            by_day.get(name, {}), begun=date.fromordinal(begun.get(name, books.today)),
            today=date.fromordinal(books.today), month_ends=date.fromordinal(following),
            spent_nano=figures.cost_nano, day_done=gone,
        )  # fmt: skip
        basis = Basis(
            basis_days=ahead.days,
            cost_nano=_ends(ahead),
            days_left=ahead.days_left,
            days_so_far=so_far,
            known_nano=known.get(name, 0),
            renewed_nano=renewed.get(name, 0),
            by_use=charges_for_use(books, name, first),
        )
        found.append(outlook_of(name, figures, basis))
    return sorted(found, key=_worst)


def _ends(ahead: Forecast) -> tuple[int, int, int] | None:
    """The month's inference at its end: expected, low, high.  None while it is too early to say."""
    if ahead.expected_nano is None or ahead.low_nano is None or ahead.high_nano is None:
        return None
    return ahead.expected_nano, ahead.low_nano, ahead.high_nano


def charges_for_use(books: Books, name: str, first: int) -> Callable[[Fraction], int] | None:
    """What the plan of a customer charges for use in the running month, by how much that grows.

    first: the month's first day.  None without a plan that charges for use, and where some of the
    month's use is billed already: then the plan is not asked.
    """
    plan = books.question.plans.get(books.on.latest(name) or "")
    if plan is None or plan.overage is None or books.billed.get(name, 0) >= first:
        return None
    by_day = books.usage.get(name, {})
    used = [one for day, one in by_day.items() if first <= day <= books.today]
    sums = [sum(one[place] for one in used) for place in range(3)]

    def charged(growth: Fraction) -> int:
        cost, tokens, requests = (amount * growth for amount in sums)
        month = PlanUsage(
            cost_nano=cost, tokens=tokens, requests=requests, seats=books.on.seats(name)
        )
        return round(bill(plan, month).by_use_nano)

    return charged


def _worst(one: Outlook) -> tuple[int, str]:
    end = one.margin_nano
    return (one.now.margin_nano if end is None else end, one.customer)


def _by_day(books: Books) -> tuple[dict[str, dict[date, int]], dict[str, int]]:
    """Cost by customer and day, and the first day of each whose costs can be told by the day.

    A compacted month is all of its first day, and tells nothing.
    """
    costs: dict[str, dict[date, int]] = defaultdict(lambda: defaultdict(int))
    first: dict[str, int] = {}
    for line in books.costs:
        day = month_of_day(line.day)[1] if line.is_month else line.day
        first[line.customer] = min(day, first.get(line.customer, day))
        if not line.is_month:
            costs[line.customer][date.fromordinal(line.day)] += line.cost_nano
    told = max((month_of_day(one.day)[1] for one in books.costs if one.is_month), default=0)
    return costs, {name: max(day, told) for name, day in first.items()}


def renewals(books: Books, first: int, following: int) -> Mapping[str, int]:
    """What subscriptions that are taken to renew add to a month, by customer."""
    return _revenue(books, first, following)[1]


def _revenue(
    books: Books, first: int, following: int
) -> tuple[Mapping[str, int], Mapping[str, int]]:
    """By customer: net revenue of the whole month without use, and what renewals add to it."""
    known: dict[str, int] = defaultdict(int)
    last: dict[str, Stream] = {}
    for stream in books.streams:
        if stream.kind in (revenue.FEE, revenue.USAGE):
            continue
        name = customer_of(stream)
        known[name] += stream.amounts(first, following).net_nano
        if stream.kind == revenue.SUBSCRIPTION and stream.earning.owed > 0:
            before = last.get(name)
            if before is None or before.earning.curve.last < stream.earning.curve.last:
                last[name] = stream
    renewed = {}
    for name, stream in last.items():
        curve = stream.earning.curve
        if not isinstance(curve, Period) or stream.state == PROVISIONAL:
            continue
        if books.today - 1 <= curve.last < following - 1:
            more = following - 1 - curve.last
            renewed[name] = round(Fraction(stream.earning.owed * more) / curve.days)
    return known, renewed


def advices(books: Books) -> list[Advice]:
    """The plans of every customer with calls in the last thirty days, the dearest first."""
    first, days = books.today - MONTH_DAYS, MONTH_DAYS
    usage = usage_by_day(line for line in books.costs if first <= line.day < books.today)
    found = []
    for name, by_day in usage.items():
        if name == NONE or books.question.customer not in (None, name):
            continue
        since = max(first, min(by_day))
        sums = [sum(one[place] for one in by_day.values()) for place in range(3)]
        counted = min(days, books.today - since)
        found.append(
            (
                sums[0],
                advise(
                    name, books.on.latest(name), sums, max(1, counted), books.question.plans,
                    books.question.rules.target, seats=books.on.seats(name),
                ),
            )
        )  # fmt: skip
    found.sort(key=lambda one: (-one[0], one[1].customer))
    return [advice for _, advice in found]
