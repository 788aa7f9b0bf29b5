"""How a report looks: a table with a total, CSV, or data.

Layer: render.  Below: reports.totals, core.money, render.table.  Above: commands.report.
Amounts are rounded for the eye only; CSV and data carry exact decimal dollars.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from noburn_cli.core.money import Nano, show_count, show_dollars, show_percent
from noburn_cli.render.table import format_table
from noburn_cli.reports.latencies import Latencies
from noburn_cli.reports.totals import Line, Report, Sums

NUMBERS = (
    "calls", "input_tokens", "cached_input_tokens", "output_tokens", "reasoning_tokens",
    "cost_usd", "held_usd", "uncertain_usd", "uncertain_calls", "blocked", "refused", "clamped",
    "notional_usd", "searches", "warned", "downgraded", "overage_usd", "share",
    "errors", "rate_limited", "client_errors", "server_errors", "broken", "error_rate",
    "mean_latency_ms", "p50_latency_ms", "p95_latency_ms",
)  # fmt: skip
_SHARE_PLACES = 6
P50, P95 = Fraction(1, 2), Fraction(19, 20)


def render_report(report: Report) -> list[str]:
    """The report as aligned lines, the total last."""
    headers = (
        *(name.upper() for name in report.by),
        *("CALLS", "TOKENS IN", "TOKENS OUT", "COST", "SHARE", "HELD", "UNCERTAIN"),
        *("BLOCKED", "CLAMPED"),
    )
    rows = [(*line.keys, *cells(line.sums, report.share(line))) for line in report.lines]
    whole = Fraction(1) if report.total.cost_nano else None
    blank = [""] * (len(report.by) - 1)
    rows.append(("TOTAL", *blank, *cells(report.total, whole)))
    return [*format_table(headers, rows, align="l" * len(report.by) + "r" * 9), *notes(report)]


def cells(sums: Sums, share: Fraction | None) -> tuple[str, ...]:
    """The numbers of one line, for the eye."""
    return (
        show_count(sums.calls),
        show_count(sums.input_tokens),
        show_count(sums.output_tokens),
        show_dollars(sums.cost_nano),
        _share_for_the_eye(share),
        _amount(sums.held_nano),
        _amount(sums.uncertain_nano),
        show_count(sums.blocked + sums.refused),
        show_count(sums.clamped),
    )


def _share_for_the_eye(share: Fraction | None) -> str:
    """To a tenth of a per cent; what is not nothing never reads as nothing."""
    if share is None:
        return "-"
    tenths = round(share * 1000)
    return "< 0.1 %" if share and not tenths else show_percent(Fraction(tenths, 1000))


def _amount(nano: int) -> str:
    return show_dollars(nano) if nano else "-"


def notes(report: Report) -> list[str]:
    """What the numbers alone do not say."""
    total = report.total
    said = []
    if total.uncertain:
        said.append(
            f"{total.uncertain:,} uncertain: charged at the hold because no bill came; "
            "`noburn ledger orphans` lists them."
        )
    if total.notional_nano:
        said.append(
            f"{show_dollars(total.notional_nano)} more at list price is notional: subscriptions "
            "pay for it, or recorded answers were played; no cost and no budget of dollars "
            "includes it."
        )
    if total.searches:
        said.append(f"{total.searches:,} searches were billed beside the tokens.")
    if total.downgraded:
        said.append(f"{total.downgraded:,} went out for a cheaper model, as a budget asked.")
    if total.warned:
        said.append(f"{total.warned:,} went beyond a budget that only warns.")
    if total.overage_nano:
        said.append(
            f"{show_dollars(total.overage_nano)} of the cost is overage, beyond budgets that bill."
        )
    if total.held_nano:
        said.append("Held is money of calls still in flight; no cost includes it.")
    if total.refused:
        why = "no bound, no price or no recorded answer"
        said.append(f"{total.refused:,} of the blocked were refused: {why}.")
    if report.cut_months:
        said.append(
            f"Calls of {', '.join(report.cut_months)} are left out: they were compacted, and the "
            "period cuts the month."
        )
    return ["", *said] if said else []


def report_csv(report: Report) -> str:
    """The lines as CSV with a heading; no total, so that a spreadsheet's sum is right."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((*report.by, *NUMBERS))
    for line in report.lines:
        values = numbers(line.sums, report.share(line), line.latencies)
        writer.writerow((*line.keys, *("" if n is None else n for n in values.values())))
    return text.getvalue()


def report_data(report: Report) -> dict[str, Any]:
    """The report as data: exact decimals as strings, shares to six places."""
    return {
        "by": list(report.by),
        "rows": list(_row_data(report)),
        "total": numbers(
            report.total, Fraction(1) if report.total.cost_nano else None, report.latencies
        ),
        "cut_months": list(report.cut_months),
    }


def _row_data(report: Report) -> Iterator[dict[str, Any]]:
    for line in report.lines:
        values = numbers(line.sums, report.share(line), line.latencies)
        yield {"key": _keys(report, line), **values}


def _keys(report: Report, line: Line) -> dict[str, str]:
    return dict(zip(report.by, line.keys, strict=True))


def numbers(
    sums: Sums, share: Fraction | None, latencies: Latencies | None = None
) -> dict[str, int | str | None]:
    """The numbers of one line by NUMBERS' names, amounts as exact decimals.

    Percentiles of the latency are null unless they were asked for.
    """
    mean = round(Fraction(sums.latency_ms, sums.timed)) if sums.timed > 0 else None
    values = (
        sums.calls, sums.input_tokens, sums.cached_tokens, sums.output_tokens,
        sums.reasoning_tokens, Nano(sums.cost_nano).exact(), Nano(sums.held_nano).exact(),
        Nano(sums.uncertain_nano).exact(), sums.uncertain, sums.blocked, sums.refused,
        sums.clamped, Nano(sums.notional_nano).exact(), sums.searches,
        sums.warned, sums.downgraded, Nano(sums.overage_nano).exact(),
        _share_text(share),
        sums.errors, sums.limited, sums.client_errors, sums.server_errors, sums.broken,
        _share_text(sums.error_rate), mean, percentile_ms(latencies, P50),
        percentile_ms(latencies, P95),
    )  # fmt: skip
    return dict(zip(NUMBERS, values, strict=True))


def percentile_ms(latencies: Latencies | None, share: Fraction) -> int | None:
    return None if latencies is None else latencies.percentile_ms(share)


def _share_text(share: Fraction | None) -> str | None:
    if share is None:
        return None
    scaled = round(share * 10**_SHARE_PLACES)
    whole, part = divmod(scaled, 10**_SHARE_PLACES)
    return f"{whole}.{part:0{_SHARE_PLACES}d}"
