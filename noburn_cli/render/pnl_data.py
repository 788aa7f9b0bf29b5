"""Profit and loss for machines: JSON, CSV and markdown.

Layer: render.  Below: core.profit*, render.markdown, render.pnl_words.  Above: commands.pnl,
dashboard.
Money is an exact decimal of dollars as text, shares are rounded to six places.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from noburn_cli.core.money import Nano
from noburn_cli.core.profit import Figures, ProfitAndLoss
from noburn_cli.core.profit_advice import Advice, Offer
from noburn_cli.core.profit_outlook import Outlook
from noburn_cli.core.recognition import Position
from noburn_cli.core.recognition_days import day_text
from noburn_cli.profit.requests import Request
from noburn_cli.render import markdown
from noburn_cli.render.pnl import figure_cells, title
from noburn_cli.render.pnl_words import notes

NUMBERS = (
    *("calls", "tokens", "gross_usd", "discounts_usd", "refunds_usd", "disputes_usd"),
    *("adjustments_usd", "revenue_usd", "fees_usd", "inference_usd", "overhead_usd", "margin_usd"),
    *("margin_share", "margin_share_net", "passed_on_usd", "uncertain_usd", "held_usd"),
    *("notional_usd", "provisional_usd", "invoiced_usd", "collected_usd", "final_usd"),
    *("revenue_per_call_usd", "inference_per_call_usd", "margin_per_call_usd", "state"),
    "cost_state",
)
_PLACES = 6
#: What a spreadsheet would take for a formula at the start of a name.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def numbers(one: Figures) -> dict[str, Any]:
    """The figures of a line by NUMBERS' names."""
    means = (one.net_nano, one.cost_nano, one.margin_nano)
    per_call = [_per_call(nano, one.calls) for nano in means]
    amounts = (
        one.gross_nano, one.discounts_nano, one.refunds_nano, one.disputes_nano,
        one.adjustments_nano, one.net_nano, one.fees_nano, one.cost_nano, one.overhead_nano,
        one.margin_nano,
    )  # fmt: skip
    rest = (
        one.passed_nano, one.uncertain_nano, one.held_nano, one.notional_nano,
        one.provisional_nano, one.invoiced_nano, one.collected_nano, one.final_nano,
    )  # fmt: skip
    values = (
        one.calls, one.tokens, *map(_usd, amounts), share(one.margin_share),
        share(one.margin_share_net), *map(_usd, rest), *per_call, one.state, one.cost_state,
    )  # fmt: skip
    return dict(zip(NUMBERS, values, strict=True))


def _usd(nano: int) -> str:
    return Nano(nano).exact()


def _per_call(nano: int, calls: int) -> str | None:
    """A mean, rounded half to even to a nano-dollar."""
    return _usd(round(Fraction(nano, calls))) if calls else None


def share(value: Fraction | None) -> str | None:
    """A share as a decimal with six places."""
    if value is None:
        return None
    scaled = round(value * 10**_PLACES)
    whole, part = divmod(abs(scaled), 10**_PLACES)
    return f"{'-' if scaled < 0 else ''}{whole}.{part:0{_PLACES}d}"


def pnl_data(
    found: ProfitAndLoss,
    *,
    outlooks: Sequence[Outlook] | None = None,
    advices: Sequence[Advice] | None = None,
    requests: Sequence[Request] | None = None,
) -> dict[str, Any]:
    """Everything as data; parts that were not asked for are missing."""
    data: dict[str, Any] = {
        "by": list(found.by),
        "zone": found.zone,
        "first_day": day_text(found.first),
        "last_day": day_text(found.until - 1),
        "rows": [
            {"key": dict(zip(found.by, line.keys, strict=True)), **numbers(line.figures)}
            for line in found.lines
        ],
        "total": numbers(found.total),
        "opening": _position(found.opening),
        "closing": _position(found.closing),
        "tax_usd": _usd(found.tax_nano),
        "breakage_usd": _usd(found.breakage_nano),
        "taken_back_usd": {
            "refunds": _usd(found.taken_back.refunds_nano),
            "disputes": _usd(found.taken_back.disputes_nano),
            "adjustments": _usd(found.taken_back.adjustments_nano),
        },
        "no_rate": dict(found.no_rate),
        "unmapped": _unmapped(found),
        "notes": list(found.notes),
    }
    if outlooks is not None:
        data["outlook"] = [_outlook(one) for one in outlooks]
    if advices is not None:
        data["plans"] = [_advice(one) for one in advices]
    if requests is not None:
        data["requests"] = [_request(one) for one in requests]
    return data


def _position(one: Position) -> dict[str, str]:
    return {
        "billed_usd": _usd(one.billed_nano),
        "recognised_usd": _usd(one.recognised_nano),
        "deferred_usd": _usd(one.deferred_nano),
        "unbilled_usd": _usd(one.unbilled_nano),
    }


def _unmapped(found: ProfitAndLoss) -> dict[str, Any]:
    return {
        "payers": [
            {"payer": payer, "name": name, "revenue_usd": _usd(nano)}
            for payer, name, nano in found.unmapped.payers
        ],
        "revenue_without_calls": [
            {"customer": name, "revenue_usd": _usd(nano)}
            for name, nano in found.unmapped.without_calls
        ],
        "calls_without_revenue": [
            {"customer": name, "inference_usd": _usd(nano)}
            for name, nano in found.unmapped.without_revenue
        ],
    }


def _outlook(one: Outlook) -> dict[str, Any]:
    ends = {
        "revenue_usd": one.revenue_nano, "inference_usd": one.cost_nano,
        "margin_usd": one.margin_nano, "margin_low_usd": one.low_nano,
        "margin_high_usd": one.high_nano,
    }  # fmt: skip
    return {
        "customer": one.customer,
        "verdict": one.verdict,
        "basis_days": one.basis_days,
        "margin_now_usd": _usd(one.now.margin_nano),
        "renewals_usd": _usd(one.renewed_nano),
        **{name: None if nano is None else _usd(nano) for name, nano in ends.items()},
    }


def _advice(one: Advice) -> dict[str, Any]:
    return {
        "customer": one.customer,
        "plan": one.plan,
        "seats": one.seats,
        "days": one.days,
        "should_be_on": None if one.should_be_on is None else one.should_be_on.plan,
        "best": None if one.best is None else one.best.plan,
        "reaches_target": one.reaches_target,
        "offers": [_offer(offer) for offer in one.offers],
    }


def _offer(one: Offer) -> dict[str, Any]:
    return {
        "plan": one.plan,
        "pays_usd": _usd(one.pays_nano),
        "revenue_usd": _usd(one.revenue_nano),
        "margin_usd": _usd(one.margin_nano),
        "margin_share": share(one.margin_share),
        "served": share(one.served),
    }


def _request(one: Request) -> dict[str, Any]:
    return {
        "call": one.call,
        "at_ms": one.at_ms,
        "customer": one.customer,
        "feature": one.feature,
        "model": one.model,
        "state": one.state,
        "source": one.source,
        "revenue_usd": _usd(round(one.revenue_nano)),
        "inference_usd": _usd(one.cost_nano),
        "other_usd": _usd(round(one.other_nano)),
        "margin_usd": _usd(round(one.margin_nano)),
    }


def pnl_csv(found: ProfitAndLoss) -> str:
    """The lines with a heading; no total, so that a spreadsheet's sum is right."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((*found.by, *NUMBERS))
    for line in found.lines:
        names = map(_as_text, line.keys)
        values = numbers(line.figures).values()
        writer.writerow((*names, *("" if one is None else one for one in values)))
    return text.getvalue()


def requests_csv(found: Sequence[Request]) -> str:
    """The requests with a heading."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    rows = [_request(one) for one in found]
    writer.writerow(rows[0] if rows else ("call",))
    for row in rows:
        writer.writerow(_as_text(value) for value in row.values())
    return text.getvalue()


def requests_markdown(found: Sequence[Request]) -> str:
    """The requests as a table of GitHub's Markdown."""
    rows = [_request(one) for one in found]
    headers = list(rows[0]) if rows else ["call"]
    numbers_too = ["r" if name.endswith(("_usd", "_ms")) else "l" for name in headers]
    cells = [[markdown.code(str(value)) for value in row.values()] for row in rows]
    return "\n".join(markdown.table(headers, "".join(numbers_too), cells)) + "\n"


def _as_text(value: Any) -> Any:
    """A cell that no spreadsheet takes for a formula; amounts below 0 are numbers."""
    is_name = isinstance(value, str) and not value.lstrip("-").replace(".", "").isdigit()
    return f"'{value}" if is_name and value.startswith(_FORMULA) else value


def pnl_markdown(found: ProfitAndLoss) -> str:
    """A table and the sentences below it, in GitHub's Markdown."""
    rows = [
        [*map(markdown.code, line.keys), *figure_cells(line.figures).values()]
        for line in found.lines
    ]
    blank = [""] * (len(found.by) - 1)
    rows.append(["**total**", *blank, *figure_cells(found.total).values()])
    headers = [*found.by, *(name.lower() for name in figure_cells(found.total))]
    align = "l" * len(found.by) + "r" * (len(headers) - len(found.by) - 1) + "l"
    said = [f"### {markdown.plain(title(found))}", "", *markdown.table(headers, align, rows)]
    said += [line for note in notes(found) for line in ("", markdown.plain(note))]
    return "\n".join(said) + "\n"
