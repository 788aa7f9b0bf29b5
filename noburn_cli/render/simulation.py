"""How a simulation looks on a terminal and in a pipe.

Layer: render.  Below: core.simulation_findings and its neighbours, render.table.
Above: commands.simulate.
Owns: the order of the sections and which months are shown.
Not here: JSON (render.simulation_data), the HTML report (render.simulation_page).
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from noburn_cli.core.economics import INFERENCE_SHARE_HIGH, INFERENCE_SHARE_LOW, band_of
from noburn_cli.core.plurals import counted
from noburn_cli.core.simulation_advice import lever_words
from noburn_cli.core.simulation_assumptions import Assumption
from noburn_cli.core.simulation_findings import Findings
from noburn_cli.core.simulation_sensitivity import UNEVEN
from noburn_cli.core.simulation_summary import MonthSpread, Spread
from noburn_cli.core.simulation_turning import SIZES, Size
from noburn_cli.core.simulation_words import count, dollars, percent, points
from noburn_cli.render.table import (
    GAP,
    RIGHT,
    Column,
    fit_table,
    format_table,
    safe_text,
    wrap_line,
)

#: More months than this are shown by every third.
MONTHS_SHOWN = 12
#: Numbers of customers that are shown; the others are in the JSON and in the report.
_SIZES = (10, 50, 100, 200, 500, 1000, 5000)


def render_simulation(
    found: Findings, assumptions: Sequence[Assumption], *, width: int | None = None
) -> list[str]:
    """Everything, a section for each question.  width: columns of the terminal, None for a pipe."""
    sections = [
        _answer(found, width),
        _months(found, width),
        *([_plans(found, width)] if len(found.summary.plans) > 1 else []),
        _customers(found, width),
        _won_back(found, width),
        *([_levers(found, width)] if found.levers else []),
        _swings(found, width),
        _advice(found, width),
        _assumptions(assumptions, width),
    ]
    return [line for section in sections for line in (*section, "")][:-1]


def spread_words(spread: Spread, show: object) -> str:
    """`61.6 % (48.1 to 70.2 %)`."""
    assert callable(show)
    if spread.p50 is None:
        return "-"
    return f"{show(spread.p50)} ({show(spread.p5)} to {show(spread.p95)})"


def _rules(found: Findings) -> list[tuple[str, str]]:
    """The band of the expected margin, and the rule of what inference may take."""
    total = found.expected.total
    if total.margin_share is None:
        return []
    part = total.inference_nano / total.revenue_nano
    verdict = "above" if part > INFERENCE_SHARE_HIGH else "at the edge of"
    verdict = "below" if part < INFERENCE_SHARE_LOW else verdict
    band = band_of(Fraction(total.margin_share)).value
    return [("", f"band: {band}; inference takes {percent(part)}, {verdict} the 15 to 20 % rule")]


def outside_words(found: Findings) -> list[str]:
    """What to think of an expectation that hardly any future has."""
    spread, expected = found.summary.total.margin_share, found.expected.total.margin_share
    if spread.p5 is None or spread.p95 is None or expected is None:
        return []
    if spread.p5 <= expected <= spread.p95:
        return []
    return [_OUTSIDE]


#: Said where the mean of a heavy tail is no typical outcome.
_OUTSIDE = (
    "The expectation lies outside the futures' middle: it is made by customers so heavy that most "
    "futures have none of them. Trust the futures for what will happen, and the expectation for "
    "what it can come to."
)


def _answer(found: Findings, width: int | None) -> list[str]:
    """The result in a few lines; what is in brackets holds in nine futures of ten."""
    scenario, total = found.scenario, found.summary.total
    last = found.summary.months[-1]
    reached = percent(total.reached, places=0)
    expected = percent(found.expected.total.margin_share)
    wanted = percent(scenario.target, places=0)
    under, lost = spread_words(last.under_water, percent), dollars(last.lost.p50)
    top = spread_words(found.summary.top_share[1], percent)
    rows = [
        ("Margin", f"{spread_words(total.margin_share, percent)} of revenue, all months"),
        ("", f"expected {expected}; {reached} of the futures reach the target of {wanted}"),
        *_rules(found),
        ("Revenue", spread_words(total.revenue, dollars)),
        ("Inference", spread_words(total.inference, dollars)),
        ("Margin in dollars", spread_words(total.margin, dollars)),
    ]
    if scenario.fixed_nano:
        rows.append(("After fixed costs", spread_words(total.result, dollars)))
    if last.under_water.p50 is not None:
        rows.append(("Under water", f"{under} of who pays in the last month, losing {lost}"))
    rows += [
        ("Top tenth's spend", f"{top} of the cost in the last month"),
        *_break_even(found),
    ]
    title = (
        f"{counted(scenario.draws, 'future')} of {counted(scenario.months, 'month')}: the middle "
        "one, and from the 5th to the 95th of a hundred"
    )
    notes = [part for note in outside_words(found) for part in ("", *wrap_line(note, width=width))]
    return [*wrap_line(title, width=width), "", *_pairs(rows, width), *notes]


def _pairs(rows: Sequence[tuple[str, ...]], width: int | None) -> list[str]:
    indent = max(len(row[0]) for row in rows) + len(GAP)
    return [
        part
        for line in format_table((), rows)
        for part in wrap_line(line, width=width, indent=indent)
    ]


def _break_even(found: Findings) -> list[tuple[str, str]]:
    even, turned, fixed = found.break_even, found.turning, found.scenario.fixed_nano
    free = "" if even.free_carried is None else ", free ones counted as well"
    each = f"a customer leaves {dollars(even.contribution_nano)} a month"
    safe = "more than 5,000 customers"
    if turned.covered_at is not None:
        safe = counted(turned.covered_at, "customer")
    if not even.contribution_nano and even.customers is None:
        said = "at no number: a customer leaves nothing, and costs nothing"
    elif even.customers is None:
        said = f"at no number: {each}, and more customers lose more"
    elif fixed:
        needed = counted(even.customers, "customer")
        costs = f"the fixed costs of {dollars(fixed)} on the mean"
        said = f"{needed} for {costs}, {safe} in 19 months of 20 ({each}{free})"
    else:
        said = f"{safe} for a month without loss in 19 of 20: {each}; --fixed says your own costs"
    rows = [("Break-even", said)]
    if even.free_carried is not None:
        rows.append(
            ("Free tier", f"one paying customer carries {_many(even.free_carried)} free ones")
        )
    return rows


def _many(number: float) -> str:
    return f"{number:,.1f}" if number < 100 else count(number)


def _months(found: Findings, width: int | None) -> list[str]:
    months = _some(found.summary.months)
    columns = [
        Column("MONTH", [str(one.month) for one in months], RIGHT),
        Column("CUSTOMERS", [count(one.customers.p50) for one in months], RIGHT, give_up=4),
        Column("REVENUE", [dollars(one.revenue.p50) for one in months], RIGHT, give_up=3),
        Column("INFERENCE", [dollars(one.inference.p50) for one in months], RIGHT, give_up=2),
        Column("MARGIN", [percent(one.margin_share.p50) for one in months], RIGHT),
        Column("P5", [percent(one.margin_share.p5) for one in months], RIGHT),
        Column("P95", [percent(one.margin_share.p95) for one in months], RIGHT),
        Column("UNDER WATER", [percent(one.under_water.p50) for one in months], RIGHT),
        Column("LOST", [dollars(one.lost.p50) for one in months], RIGHT, give_up=1),
        Column("TARGET", [percent(one.reached, places=0) for one in months], RIGHT, give_up=5),
    ]
    note = (
        f"Margin by month{_free_counted(found)}; TARGET: in how many futures that month reaches it."
    )
    return [*wrap_line(note, width=width), "", *fit_table(columns, width=width)]


def _free_counted(found: Findings) -> str:
    """What CUSTOMERS counts where some of them pay nothing."""
    free = any(not one.paying for one in found.scenario.segments)
    return ", free customers counted" if free else ""


def _some(months: Sequence[MonthSpread]) -> list[MonthSpread]:
    """Every month, or the first and every third, the last included."""
    if len(months) <= MONTHS_SHOWN:
        return list(months)
    return [one for one in months if one.month == 1 or one.month % 3 == 0 or one is months[-1]]


def _plans(found: Findings, width: int | None) -> list[str]:
    plans = found.summary.plans
    columns = [
        Column("PLAN", [one.name for one in plans], shorten=True),
        Column("CUSTOMER-MONTHS", [count(one.customers.p50) for one in plans], RIGHT, give_up=1),
        Column("REVENUE", [dollars(one.revenue.p50) for one in plans], RIGHT, give_up=2),
        Column("COST SHARE", [percent(one.cost_share.p50) for one in plans], RIGHT, give_up=3),
        Column("MARGIN", [dollars(one.margin.p50) for one in plans], RIGHT),
        Column("MARGIN %", [percent(one.margin_share.p50) for one in plans], RIGHT),
        Column(
            "UNDER WATER",
            [percent(one.under_water.p50) if one.paying else "-" for one in plans],
            RIGHT,
        ),
    ]
    return ["By plan, all months.", "", *fit_table(columns, width=width)]


def _customers(found: Findings, width: int | None) -> list[str]:
    sizes = [size for size in found.turning.sizes if size.customers in _SIZES]
    columns = [
        Column("CUSTOMERS", [count(one.customers) for one in sizes], RIGHT),
        Column("MARGIN", [percent(one.p50) for one in sizes], RIGHT),
        Column("P5", [percent(one.p5) for one in sizes], RIGHT, give_up=3),
        Column("P95", [percent(one.p95) for one in sizes], RIGHT, give_up=2),
        Column("MISSES TARGET", [percent(one.misses, places=0) for one in sizes], RIGHT),
        Column("UNDER WATER", [f"{one.under_water:,.1f}" for one in sizes], RIGHT, give_up=4),
        Column("LOST", [percent(_lost(one)) for one in sizes], RIGHT, give_up=5),
        Column("HEAVIEST", [percent(one.largest) for one in sizes], RIGHT, give_up=1),
    ]
    note = (
        f"The first month at other numbers of customers{_free_counted(found)}: few miss the heavy "
        "users that many have. "
        "LOST: what those under water take, of revenue. HEAVIEST: one customer's part of the cost."
    )
    lines = [*wrap_line(note, width=width), "", *fit_table(columns, width=width), ""]
    return lines + wrap_line(turning_words(found), width=width)


def _lost(size: Size) -> float:
    return max(0.0, size.lost)


def turning_words(found: Findings) -> str:
    """At which number of customers the pricing turns."""
    turned, wanted = found.turning, percent(found.scenario.target, places=0)
    if turned.turns_at is not None:
        turns = f"It turns at about {turned.turns_at:,} customers"
        return f"{turns}: from there a typical month misses {wanted}."
    if not turned.earns:
        return "Nothing is earned, so there is no margin that could turn."
    if turned.always_misses:
        return f"A typical month misses {wanted} at any number of customers."
    at = "at any number of customers"
    if turned.holds_from is not None and turned.holds_from > SIZES[0]:
        at = f"from about {counted(turned.holds_from, 'customer')} on"
    sure = "" if turned.sure_from is None else f", and from {turned.sure_from:,} on in 19 of 20"
    return f"It does not turn: a typical month reaches {wanted} {at}{sure}."


def _won_back(found: Findings, width: int | None) -> list[str]:
    rows = found.won_back
    columns = [
        Column("CHANGE", [one.what for one in rows], shorten=True),
        Column("SAVES A MONTH", [dollars(one.saved_nano) for one in rows], RIGHT),
        Column("MARGIN", [percent(one.margin_share) for one in rows], RIGHT),
        Column("POINTS", [points(one.points) for one in rows], RIGHT),
    ]
    note = "What caching and routing win back, expected, all months."
    return [*wrap_line(note, width=width), "", *fit_table(columns, width=width)]


def _levers(found: Findings, width: int | None) -> list[str]:
    rows = found.levers
    columns = [
        Column("CHANGE", [lever_words(one) for one in rows], shorten=True),
        Column("MARGIN", [percent(one.margin_share) for one in rows], RIGHT),
        Column("REACHES", ["yes" if one.reaches else "no" for one in rows]),
        Column("CUSTOMERS PAY", [dollars(one.paid_nano) for one in rows], RIGHT),
        Column("REFUSED", [dollars(one.refused_nano) for one in rows], RIGHT, give_up=2),
        Column("WORK", [dollars(one.work_nano) for one in rows], RIGHT, give_up=1),
        Column("TOUCHES", [percent(one.touched) for one in rows], RIGHT, give_up=3),
    ]
    note = (
        f"Ways to {percent(found.scenario.target, places=0)}, the cheapest first: what customers "
        "pay more or are refused (at cost), and the work (--work), a month."
    )
    return [*wrap_line(note, width=width), "", *fit_table(columns, width=width)]


def _swings(found: Findings, width: int | None) -> list[str]:
    rows = found.swings
    widest = max((one.width_nano for one in rows), default=0.0)
    columns = [
        Column("ASSUMPTION", [one.name for one in rows], shorten=True),
        Column("FROM", [one.low for one in rows], RIGHT),
        Column("TO", [one.high for one in rows], RIGHT),
        Column("MARGIN $", [_from_to(dollars(one.low_nano), dollars(one.high_nano))
                            for one in rows], RIGHT),
        Column("MARGIN %", [_from_to(percent(one.low_share), percent(one.high_share))
                            for one in rows], RIGHT, give_up=3),
        Column("UNDER WATER", [f"{percent(one.low_under_water)} to {percent(one.high_under_water)}"
                               for one in rows], RIGHT, give_up=2),
        Column("", [_bar(one.width_nano, widest) for one in rows], give_up=1),
    ]  # fmt: skip
    note = "Which assumption matters most: each moved alone, expected, all months."
    if any(one.name == UNEVEN and _same(one.low_nano, one.high_nano) for one in rows):
        note += " How uneven usage is moves no mean of a flat price: it moves who is under water."
    return [*wrap_line(note, width=width), "", *fit_table(columns, width=width)]


def _from_to(low: str, high: str) -> str:
    return f"{low} either way" if low == high else f"{low} to {high}"


def _same(low_nano: float, high_nano: float) -> bool:
    return dollars(low_nano) == dollars(high_nano)


_BAR_CELLS = 16


def _bar(size: float, widest: float) -> str:
    return "#" * round(_BAR_CELLS * size / widest) if widest else ""


def _advice(found: Findings, width: int | None) -> list[str]:
    if not found.advice:
        return ["Advice: none; the target is reached and nothing here calls for a change."]
    lines = ["Advice"]
    for one in found.advice:
        lines += wrap_line(safe_text(f"- {one.what}"), width=width, indent=2)
        for reason in one.reasons:
            lines += wrap_line(safe_text(f"    {reason}"), width=width, indent=4)
    return lines


def _assumptions(assumptions: Sequence[Assumption], width: int | None) -> list[str]:
    lines = ["Assumptions"]
    for one in assumptions:
        why = f": {one.why}" if one.why else ""
        line = safe_text(f"{one.shown}: {one.value} ({one.origin}{why})")
        first, *rest = wrap_line(line, width=None if width is None else width - 4)
        lines += [f"- {first}", *(f"    {part}" for part in rest)]
    return lines
