"""How a plan's margin looks: one plan in full, several models side by side, or as data.

Layer: render.  Below: core.economics, core.money, render.table.  Above: commands.margin.
Amounts are rounded here, for the eye to what `show_dollars` shows and for data to the nano-dollar.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from noburn_cli.core.economics import (
    CLASSIC_MARGIN_HIGH,
    CLASSIC_MARGIN_LOW,
    INFERENCE_SHARE_HIGH,
    INFERENCE_SHARE_LOW,
    TARGET_MARGIN,
    Allowance,
    Band,
    Outlook,
    Reach,
    Statement,
    inference_allowance,
)
from noburn_cli.core.money import (
    PICO_PER_TOKEN_PER_DOLLAR_PER_MILLION,
    Nano,
    show_count,
    show_dollars,
    show_percent,
)
from noburn_cli.render.table import GAP, RIGHT, Column, fit_table, format_table, wrap_line

BAND_RANGES = {
    Band.UNDER_WATER: "below 0 %: it loses money",
    Band.THIN: "0 to 55 %",
    Band.HEALTHY_EARLY: "55 to 70 %",
    Band.TARGET: "70 % or more",
}
NO_REVENUE = "no revenue"


def render_outlook(
    name: str, shown: Outlook, *, notes: Sequence[str], width: int | None = None
) -> list[str]:
    """One plan at one rate, a line for each answer.

    name: whose rate it is.  notes: what was taken for granted.
    width: columns of the terminal, or None for a pipe.
    """
    lines = [*format_table((), _money_rows(shown), align="lr"), ""]
    answers = _answer_rows(shown)
    indent = max(len(label) for label, _ in answers) + len(GAP)
    for line in format_table((), answers):
        lines += wrap_line(line, width=width, indent=indent)
    rate = f"Rate: {show_rate(shown.rate_pico)} per million tokens, {name}."
    for note in ("", rate, *notes):
        lines += wrap_line(note, width=width)
    return lines


def render_comparison(
    named: Sequence[tuple[str, Outlook]], *, notes: Sequence[str], width: int | None = None
) -> list[str]:
    """One row per model, in the order asked for."""
    answers = [shown for _, shown in named]
    months = [shown.month for shown in answers]
    columns = [
        Column("MODEL", [name for name, _ in named]),
        Column("$/M", [show_rate(shown.rate_pico) for shown in answers], RIGHT),
        Column("COST", [_dollars(month.inference_nano) for month in months], RIGHT, give_up=1),
        Column("MARGIN", [_dollars(month.margin_nano) for month in months], RIGHT),
        Column("MARGIN %", [_share(month.margin_share) for month in months], RIGHT),
        Column("BAND", [_band_name(month.band) for month in months], give_up=2),
        Column("BREAK-EVEN", [_tokens(shown.break_even) for shown in answers], RIGHT),
        Column("70 % MARGIN", [_tokens(shown.keeping_target) for shown in answers], RIGHT),
    ]
    each = " a seat" if answers[0].plan.seats > 1 else ""
    unit = f"Per month: amounts in dollars, break-even and 70 % margin in tokens{each}."
    lines = fit_table(columns, width=width)
    for note in ("", unit, *notes):
        lines += wrap_line(note, width=width)
    return lines


def _tokens(allowance: Allowance) -> str:
    """As `show_allowance`, in a table's cell."""
    if allowance.reach is Reach.ALWAYS:
        return "any"
    return "none" if allowance.tokens is None else show_count(allowance.tokens)


def _money_rows(shown: Outlook) -> list[tuple[str, str, str]]:
    plan, month = shown.plan, shown.month
    tokens = f"{show_count(shown.tokens)} tokens"
    each = f" x {plan.seats} seats" if plan.seats > 1 else ""
    price = f"{show_dollars(plan.price_nano)}{each}" if each else "a month"
    rows = [
        ("Revenue", _dollars(month.revenue_nano), price),
        ("Inference", _dollars(month.inference_nano), f"{tokens}{each}"),
    ]
    if month.fees_nano:
        fixed = f" + {show_dollars(plan.fee_fixed_nano)}" if plan.fee_fixed_nano else ""
        points = _share(month.fees_nano / month.revenue_nano)
        note = f"{show_percent(plan.fee_share)}{fixed}, {points} of revenue"
        rows.append(("Payment fees", _dollars(month.fees_nano), note))
    if month.overhead_nano:
        rows.append(("Overhead", _dollars(month.overhead_nano), ""))
    rows.append(("Gross margin", _dollars(month.margin_nano), _share(month.margin_share)))
    return rows


def _answer_rows(shown: Outlook) -> list[tuple[str, str]]:
    unit = " tokens a seat and month" if shown.plan.seats > 1 else " tokens a month"
    rows = [
        ("Band", _band_line(shown.month)),
        ("Inference share", _rule_line(shown.month)),
        ("Break-even", _break_even_line(shown, unit)),
        ("Keeps 70 %", show_allowance(shown.keeping_target, unit=f"{unit} at most")),
    ]
    if shown.target_price_nano is not None:
        each = " a seat" if shown.plan.seats > 1 else ""
        price = show_dollars(_whole_cents_up(shown.target_price_nano))
        rows.append(("70 % price", f"{price}{each} for these tokens"))
    return rows


def _band_name(band: Band | None) -> str:
    return "-" if band is None else band.value


def _band_line(month: Statement) -> str:
    if month.band is None:
        return NO_REVENUE
    line = f"{month.band.value} ({BAND_RANGES[month.band]})"
    share = month.margin_share
    if share is not None and share >= CLASSIC_MARGIN_LOW:
        place = "as" if share <= CLASSIC_MARGIN_HIGH else "better than"
        return f"{line}, {place} classic SaaS (70 to 85 %)"
    return line


def _rule_line(month: Statement) -> str:
    share = month.inference_share
    if share is None:
        return f"{NO_REVENUE} to measure it by"
    low, high = inference_allowance(month.revenue_nano)
    if share < INFERENCE_SHARE_LOW:
        verdict = "below the 15 to 20 % rule"
    elif share <= INFERENCE_SHARE_HIGH:
        verdict = "at the edge of the 15 to 20 % rule"
    else:
        verdict = "above the 15 to 20 % rule"
    return f"{show_percent(share)}, {verdict}, which leaves {_dollars(low)} to {_dollars(high)}"


def _break_even_line(shown: Outlook, unit: str) -> str:
    line = show_allowance(shown.break_even, unit=unit)
    if shown.break_even.tokens == shown.tokens:
        return f"{line}: this volume exactly; every token beyond loses money"
    return line


def show_allowance(allowance: Allowance, *, unit: str = "") -> str:
    """A number of tokens, or in a word why there is none."""
    if allowance.reach is Reach.ALWAYS:
        return "any number of tokens: they cost nothing"
    if allowance.tokens is None:
        return "none: the fixed costs alone are too high"
    return f"{show_count(allowance.tokens)}{unit}"


def show_rate(rate_pico: Fraction) -> str:
    """Dollars per million tokens, from pico-dollars per token."""
    nano = rate_pico / PICO_PER_TOKEN_PER_DOLLAR_PER_MILLION * 10**9
    return show_dollars(round(nano))


def _dollars(nano: Fraction) -> str:
    return show_dollars(round(nano))


def _share(share: Fraction | None) -> str:
    return NO_REVENUE if share is None else show_percent(share)


def _whole_cents_up(nano: int) -> int:
    """A price is charged in whole cents, and a cent less would miss the target."""
    cent = 10**7
    return -(-nano // cent) * cent


def outlook_data(name: str, shown: Outlook) -> dict[str, Any]:
    """One plan at one rate for `--json`: dollars as exact decimals, shares as decimals of 1."""
    month = shown.month
    low, high = inference_allowance(month.revenue_nano)
    return {
        "rate_name": name,
        "rate_dollars_per_million": Nano(
            round(shown.rate_pico / PICO_PER_TOKEN_PER_DOLLAR_PER_MILLION * 10**9)
        ),
        "tokens": shown.tokens,
        "seats": shown.plan.seats,
        "revenue": _nano(month.revenue_nano),
        "inference": _nano(month.inference_nano),
        "fees": _nano(month.fees_nano),
        "overhead": _nano(month.overhead_nano),
        "margin": _nano(month.margin_nano),
        "margin_share": _decimal(month.margin_share),
        "inference_share": _decimal(month.inference_share),
        "inference_allowance": {"low": _nano(low), "high": _nano(high)},
        "band": None if month.band is None else month.band.value,
        "break_even": _allowance_data(shown.break_even),
        "target": {
            "margin_share": _decimal(TARGET_MARGIN),
            **_allowance_data(shown.keeping_target),
            "price": None if shown.target_price_nano is None else Nano(shown.target_price_nano),
        },
    }


def _allowance_data(allowance: Allowance) -> dict[str, Any]:
    return {"reach": allowance.reach.value, "tokens": allowance.tokens}


def _nano(amount: Fraction) -> Nano:
    return Nano(round(amount))


def _decimal(share: Fraction | None) -> str | None:
    """A share with nine decimals, half to even, as a string without trailing zeros."""
    return None if share is None else Nano(round(share * 10**9)).exact()
