"""How one plan's margin looks: its month, line by line, and what follows from it.

Layer: render.  Below: core.margin_outlook, core.economics, render.margin_words, render.table.
Above: commands.margin.
Not here: several plans side by side (render.margin_comparison), data (render.margin_data).
Amounts are rounded here, for the eye to what `show_dollars` shows.
"""

from __future__ import annotations

from collections.abc import Sequence

from noburn_cli.core.economics import (
    CLASSIC_MARGIN_HIGH,
    CLASSIC_MARGIN_LOW,
    INFERENCE_SHARE_HIGH,
    INFERENCE_SHARE_LOW,
    inference_allowance,
)
from noburn_cli.core.margin_month import Month
from noburn_cli.core.margin_outlook import Outlook
from noburn_cli.core.margin_solving import Reach
from noburn_cli.core.money import show_count, show_dollars, show_percent
from noburn_cli.core.plans import Plan
from noburn_cli.render.margin_words import (
    BAND_RANGES,
    NO_REVENUE,
    allowance,
    dollars,
    rate,
    share,
)
from noburn_cli.render.table import GAP, format_table, safe_text, wrap_line


def render_outlook(shown: Outlook, *, notes: Sequence[str], width: int | None = None) -> list[str]:
    """One plan at one rate, a line for each answer.

    notes: what was taken for granted.  width: columns of the terminal, or None for a pipe.
    """
    money = _money_rows(shown)
    before_notes = sum(max(len(row[place]) for row in money) + len(GAP) for place in (0, 1))
    lines = []
    for line in format_table((), money, align="lr"):
        lines += wrap_line(line, width=width, indent=before_notes)
    lines.append("")
    answers = _answer_rows(shown)
    indent = max(len(label) for label, _ in answers) + len(GAP)
    for line in format_table((), answers):
        lines += wrap_line(line, width=width, indent=indent)
    scenario = shown.scenario
    named = f"Rate: {rate(scenario.rate_pico)} per million tokens, {scenario.rates_name}."
    for note in ("", safe_text(named), *notes):
        lines += wrap_line(note, width=width)
    return lines


def _money_rows(shown: Outlook) -> list[tuple[str, str, str]]:
    plan, month = shown.scenario.plan, shown.month
    bill = month.bill
    tokens = f"{show_count(shown.scenario.seat_tokens)} tokens"
    each = f" x {plan.seats} seats" if plan.seats > 1 else ""
    units = "" if plan.per_customer else each
    rows = _revenue_parts(plan, month)
    revenue = "a month" if rows or not units else f"{show_dollars(plan.price_nano)}{units}"
    rows.append(("Revenue", dollars(month.revenue_nano), revenue))
    served = "" if bill.served == 1 else f", {show_percent(bill.served)} of them served"
    at = ", at the reference rate" if shown.scenario.at_reference else ""
    rows.append(("Inference", dollars(bill.inference_nano), f"{tokens}{each}{served}{at}"))
    if bill.fees_nano:
        fixed = f" + {show_dollars(plan.fee_fixed_nano)}" if plan.fee_fixed_nano else ""
        points = share(bill.fees_nano / month.revenue_nano) if month.revenue_nano else NO_REVENUE
        note = f"{show_percent(plan.fee_share)}{fixed}, {points} of revenue"
        rows.append(("Payment fees", dollars(bill.fees_nano), note))
    if bill.overhead_nano:
        rows.append(("Overhead", dollars(bill.overhead_nano), ""))
    if month.free_nano:
        free = shown.scenario.free
        users = f"{float(free.per_payer):,.4g} free users at {dollars(free.nano)}"
        rows.append(("Free tier", dollars(month.free_nano), users))
    rows.append(("Gross margin", dollars(month.margin_nano), share(month.margin_share)))
    return rows


def _revenue_parts(plan: Plan, month: Month) -> list[tuple[str, str, str]]:
    """What revenue is made of, where it is more than a price."""
    bill = month.bill
    parts = [
        ("Discounts", -bill.discount_nano, ""),
        ("Overage", bill.overage_nano, f"{show_percent(bill.beyond)} of the usage"),
        ("Credits", bill.credits_nano, f"{show_percent(bill.beyond)} of the usage"),
        ("Minimum" if bill.adjustment_nano > 0 else "Maximum", bill.adjustment_nano, ""),
    ]
    rows = [(name, dollars(amount), note) for name, amount, note in parts if amount]
    inside = bool(bill.tax_nano) and plan.tax_included
    if (rows or inside) and bill.base_nano:
        seats = f" x {plan.seats} seats" if plan.seats > 1 and not plan.per_customer else ""
        less = f", less {show_percent(plan.tax)} tax" if inside else ""
        rows.insert(
            0, ("Price", dollars(bill.base_nano), f"{show_dollars(plan.price_nano)}{seats}{less}")
        )
    return rows


def _answer_rows(shown: Outlook) -> list[tuple[str, str]]:
    scenario, month = shown.scenario, shown.month
    unit = " tokens a seat and month" if scenario.plan.seats > 1 else " tokens a month"
    target = show_percent(shown.target)
    costs = bool(scenario.rate_pico)
    rows = [
        ("Band", _band_line(month)),
        ("Inference share", _rule_line(month)),
        ("Break-even", _break_even_line(shown, unit)),
        (
            f"Keeps {target}",
            allowance(shown.keeping_target, unit=unit, at_most=" at most", costs=costs),
        ),
    ]
    price = _target_price(shown)
    if price is not None:
        each = " a seat" if scenario.plan.seats > 1 and not scenario.plan.per_customer else ""
        price += each if shown.target_price.charged is not None else ""
        rows.append((f"{target} price", f"{price} for these tokens"))
    if month.bill.tax_nano:
        rows.append(("Tax", _tax_line(scenario.plan, month)))
    if month.bill.passed_nano:
        rows.append(("Passed on", _passed_line(month)))
    if scenario.levers.kept != 1 and shown.points is not None:
        rows.append(("Levers", f"caching and routing win back {_points(shown)} of margin"))
    return rows


def _target_price(shown: Outlook) -> str | None:
    found = shown.target_price
    if found.reach is Reach.ALWAYS:
        return "any"
    if found.reach is Reach.NEVER and found.best is not None:
        return f"none: {show_percent(found.best[1], places=2)} is left at best"
    return None if found.charged is None else show_dollars(found.charged)


def _points(shown: Outlook) -> str:
    assert shown.points is not None
    return f"{show_percent(shown.points).removesuffix(' %')} points"


def _band_line(month: Month) -> str:
    if month.band is None:
        return NO_REVENUE
    line = f"{month.band.value} ({BAND_RANGES[month.band]})"
    of_revenue = month.margin_share
    if of_revenue == 0:
        return f"{line}: nothing is left"
    if of_revenue is not None and of_revenue >= CLASSIC_MARGIN_LOW:
        place = "as" if of_revenue <= CLASSIC_MARGIN_HIGH else "better than"
        return f"{line}, {place} classic SaaS (70 to 85 %)"
    return line


def _rule_line(month: Month) -> str:
    of_revenue = month.inference_share
    if of_revenue is None:
        return f"{NO_REVENUE} to measure it by"
    low, high = inference_allowance(month.revenue_nano)
    if of_revenue < INFERENCE_SHARE_LOW:
        verdict = "below the 15 to 20 % rule"
    elif of_revenue <= INFERENCE_SHARE_HIGH:
        verdict = "at the edge of the 15 to 20 % rule"
    else:
        verdict = "above the 15 to 20 % rule"
    return f"{show_percent(of_revenue)}, {verdict}, which leaves {dollars(low)} to {dollars(high)}"


def _break_even_line(shown: Outlook, unit: str) -> str:
    costs = bool(shown.scenario.rate_pico)
    line = allowance(shown.break_even, unit=unit, costs=costs)
    if shown.break_even.value == shown.scenario.seat_tokens:
        return f"{line}: this volume exactly; every token beyond loses money"
    return line


def _tax_line(plan: Plan, month: Month) -> str:
    where = "in the price" if plan.tax_included else "on top"
    return (
        f"{show_percent(plan.tax)} {where}: the customer pays {dollars(month.bill.due_nano)}, "
        f"of which {dollars(month.bill.tax_nano)} is not ours"
    )


def _passed_line(month: Month) -> str:
    """Both ways of booking what is only passed on; the margin in dollars is the same."""
    return (
        f"{dollars(month.bill.passed_nano)} of inference is charged on: {share(month.margin_share)}"
        f" of revenue booked gross, {share(month.net_margin_share)} of the "
        f"{dollars(month.net_revenue_nano)} booked net"
    )
