"""The month's end, the plans and the dearest requests, for the eye.

Layer: render.  Below: core.profit_outlook, core.profit_advice, render.table.  Above: commands.pnl.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone

from noburn_cli.core.money import show_dollars
from noburn_cli.core.profit_advice import Advice, Offer
from noburn_cli.core.profit_outlook import FINE, TOO_EARLY, Outlook
from noburn_cli.profit.requests import Request
from noburn_cli.render.pnl_words import listed, share_text
from noburn_cli.render.table import LEFT, RIGHT, Column, fit_table, safe_text, wrap_line
from noburn_cli.reports.forecast import DAYS_MIN, LEVEL_DAYS, WEEKS_MIN_DAYS
from noburn_cli.reports.query import LEDGER

CANNOT_KNOW = (
    "What the books cannot know: whether a customer stays at another price, or would use less or "
    "more. Usage is that of the last 30 days."
)

_BASIS = (
    f"Basis: the mean cost of the last {LEVEL_DAYS} whole days, by weekday from {WEEKS_MIN_DAYS} "
    "days on, the revenue billed for the month, renewals at the same price. The interval: 80 %."
)


def render_outlooks(
    found: Sequence[Outlook], *, month: str, width: int | None, lines_max: int | None = None
) -> list[str]:
    """Who is, and who will be, under water by the end of the month; the worst first.

    month: the present one, `2026-11`; the table above may be of another.
    """
    troubled = [one for one in found if one.verdict not in (FINE, TOO_EARLY)]
    shown = troubled[:lines_max]
    early = [safe_text(one.customer) for one in found if one.verdict == TOO_EARLY]
    said = [f"By the end of {month}:", ""]
    if shown:
        said += fit_table(_outlook_columns(shown), width=width)
        said += [*_more(troubled, shown), "", *wrap_line(_BASIS, width=width)]
    else:
        said.append("nobody is under water, or likely to be")
    if early:
        note = f"Too early to say, with fewer than {DAYS_MIN} whole days since the first call"
        said += wrap_line(f"{note}: {listed(early)}.", width=width)
    return said


def _outlook_columns(shown: Sequence[Outlook]) -> list[Column]:
    return [
        Column("CUSTOMER", [one.customer for one in shown], LEFT, shorten=True),
        Column("NOW", [show_dollars(one.now.margin_nano) for one in shown], RIGHT),
        Column("MONTH'S END", [_dollars(one.margin_nano) for one in shown], RIGHT),
        Column("LOW", [_dollars(one.low_nano) for one in shown], RIGHT, 2),
        Column("HIGH", [_dollars(one.high_nano) for one in shown], RIGHT, 2),
        Column("DAYS", [str(one.basis_days) for one in shown], RIGHT, 1),
        Column("", [one.verdict for one in shown], LEFT),
    ]


def _dollars(nano: int | None) -> str:
    return "-" if nano is None else show_dollars(nano)


def _more(every: Sequence[object], shown: Sequence[object]) -> list[str]:
    left = len(every) - len(shown)
    return [f"… and {left:,} more"] if left else []


def render_advices(
    every: Sequence[Advice], *, width: int | None, lines_max: int | None = None
) -> list[str]:
    """What plan each customer should be on, the dearest first."""
    if not every:
        return ["no calls in the last 30 days"]
    found = every[:lines_max]
    columns = [
        Column("CUSTOMER", [one.customer for one in found], LEFT, shorten=True),
        Column("PLAN", [_plan(one) for one in found]),
        Column("PAYS", [_pays(one.current) for one in found], RIGHT, 1),
        Column("MARGIN", [_share(one.current) for one in found], RIGHT),
        Column("SHOULD BE ON", [_best(one) for one in found]),
        Column("WOULD PAY", [_pays(one.should_be_on) for one in found], RIGHT, 2),
        Column("MARGIN THEN", [_share(one.should_be_on) for one in found], RIGHT),
        Column("", [_remark(one) for one in found], LEFT, 0),
    ]
    table = [*fit_table(columns, width=width), *_more(every, found)]
    missed = sum(not one.reaches_target for one in every)
    said = [CANNOT_KNOW]
    if missed:
        said.insert(0, f"For {missed:,} of {len(every):,} no plan reaches the target: what is best "
                       "has the highest margin, and is no advice to change.")  # fmt: skip
    return [*table, "", *(line for one in said for line in wrap_line(one, width=width))]


def _plan(one: Advice) -> str:
    if one.plan is None or one.seats in (None, 1):
        return one.plan or "-"
    return f"{one.plan}, {one.seats:,} seats"


def _best(one: Advice) -> str:
    if one.should_be_on is None:
        return "-"
    return f"{one.should_be_on.plan} (stays)" if one.stays else one.should_be_on.plan


def _remark(one: Advice) -> str:
    if one.best is None:
        return "no plan charges anything"
    if not one.reaches_target:
        return f"no plan reaches the target (best: {one.best.plan}, {_share(one.best)})"
    return "would stop some of the usage" if one.best.served < 1 else ""


def _pays(offer: Offer | None) -> str:
    return "-" if offer is None else show_dollars(offer.pays_nano)


def _share(offer: Offer | None) -> str:
    if offer is None:
        return "-"
    return share_text(offer.margin_share)


def render_requests(found: Sequence[Request], *, width: int | None) -> list[str]:
    """The dearest requests, with what each earned."""
    if not found:
        return ["no calls in this period"]
    is_imported = any(one.source != LEDGER for one in found)
    columns = [
        Column("CALL", [one.call for one in found], LEFT, 1),
        Column("AT (UTC)", [_moment(one.at_ms) for one in found], LEFT, 0),
        Column("CUSTOMER", [one.customer for one in found], LEFT, shorten=True),
        Column("FEATURE", [one.feature for one in found], LEFT),
        *([Column("SOURCE", [one.source for one in found], LEFT, 4)] if is_imported else []),
        Column("MODEL", [one.model for one in found], LEFT, 2),
        Column("REVENUE", [show_dollars(round(one.revenue_nano)) for one in found], RIGHT),
        Column("COST", [show_dollars(one.cost_nano) for one in found], RIGHT),
        Column("OTHER", [show_dollars(round(one.other_nano)) for one in found], RIGHT, 3),
        Column("MARGIN", [show_dollars(round(one.margin_nano)) for one in found], RIGHT),
    ]
    note = (
        "A request earns its customer's revenue for its feature, in equal parts for every call of "
        "the period; other is overhead and fees in the same parts."
    )
    return [*fit_table(columns, width=width), "", *wrap_line(note, width=width)]


def _moment(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms // 1000, tz=timezone.utc):%Y-%m-%d %H:%M:%S}"
