"""How a report looks: a table with a total, CSV, or data.

Layer: render.  Below: reports.totals, core.money, report_columns, report_notes, render.table.
Above: commands.report, the dashboard.
Amounts are rounded for the eye only; CSV and data carry exact decimal dollars.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from noburn_cli.core.money import Nano
from noburn_cli.render.csv_cells import csv_text
from noburn_cli.render.report_columns import report_columns
from noburn_cli.render.report_notes import notes
from noburn_cli.render.shares import share_text
from noburn_cli.render.table import fit_table
from noburn_cli.reports.latencies import P50, P95, Latencies, percentile_ms
from noburn_cli.reports.totals import Line, Report, Sums

NUMBERS = (
    "calls", "input_tokens", "cached_input_tokens", "output_tokens", "reasoning_tokens",
    "cost_usd", "held_usd", "uncertain_usd", "uncertain_calls", "blocked", "refused", "clamped",
    "notional_usd", "searches", "warned", "downgraded", "overage_usd", "share",
    "errors", "rate_limited", "client_errors", "server_errors", "broken", "error_rate",
    "mean_latency_ms", "p50_latency_ms", "p95_latency_ms", "unpriced_calls",
)  # fmt: skip


def render_report(report: Report, *, width: int | None = None) -> list[str]:
    """The report as aligned lines, the total last; on a terminal the least telling columns go."""
    return [*fit_table(report_columns(report), width=width), *notes(report, width=width)]


def report_csv(report: Report) -> str:
    """The lines as CSV with a heading; no total, so that a spreadsheet's sum is right."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((*report.by, *NUMBERS))
    for line in report.lines:
        values = _line_numbers(report, line)
        keys = map(csv_text, line.keys)
        writer.writerow((*keys, *("" if n is None else n for n in values.values())))
    return text.getvalue()


def report_data(report: Report) -> dict[str, Any]:
    """The report as data: exact decimals as strings, shares to six places."""
    return {
        "by": list(report.by),
        "rows": list(_row_data(report)),
        "total": numbers(
            report.total,
            Fraction(1) if report.total.cost_nano else None,
            report.latencies,
            report.imported.unpriced.calls,
        ),
        "cut_months": list(report.cut_months),
        **_more_data(report),
    }


def _more_data(report: Report) -> dict[str, Any]:
    """What is there only when it was asked for, or happened."""
    data: dict[str, Any] = {}
    if report.before is not None:
        whole = Fraction(1) if report.before.total.cost_nano else None
        data["before"] = {
            "rows": list(_row_data(report.before)),
            "total": numbers(
                report.before.total, whole, unpriced=report.before.imported.unpriced.calls
            ),
        }
    if report.imported.calls or report.imported.doubled:
        costs = report.imported.cost_nano
        data["imported"] = {
            "sources": {
                name: {"calls": calls, "cost_usd": Nano(costs[name]).exact()}
                for name, calls in report.imported.calls.items()
            },
            "left_out_as_known": report.imported.doubled,
            "unpriced": report.imported.unpriced.calls,
        }
    if report.scanned is not None:
        data["scanned"] = report.scanned
    return data


def report_rows(report: Report) -> list[dict[str, Any]]:
    """The lines as flat rows: keys and numbers side by side."""
    return [{**_keys(report, line), **_line_numbers(report, line)} for line in report.lines]


def _line_numbers(report: Report, line: Line) -> dict[str, int | str | None]:
    lacking = report.imported.unpriced_of(line).calls
    return numbers(line.sums, report.share(line), line.latencies, lacking)


def _row_data(report: Report) -> Iterator[dict[str, Any]]:
    for line in report.lines:
        yield {"key": _keys(report, line), **_line_numbers(report, line)}


def _keys(report: Report, line: Line) -> dict[str, str]:
    return dict(zip(report.by, line.keys, strict=True))


def numbers(
    sums: Sums, share: Fraction | None, latencies: Latencies | None = None, unpriced: int = 0
) -> dict[str, int | str | None]:
    """The numbers of one line by NUMBERS' names, amounts as exact decimals.

    Percentiles of the latency are null unless they were asked for.  unpriced: calls in no amount.
    """
    mean = round(Fraction(sums.latency_ms, sums.timed)) if sums.timed > 0 else None
    values = (
        sums.calls, sums.input_tokens, sums.cached_tokens, sums.output_tokens,
        sums.reasoning_tokens, Nano(sums.cost_nano).exact(), Nano(sums.held_nano).exact(),
        Nano(sums.uncertain_nano).exact(), sums.uncertain, sums.blocked, sums.refused,
        sums.clamped, Nano(sums.notional_nano).exact(), sums.searches,
        sums.warned, sums.downgraded, Nano(sums.overage_nano).exact(),
        share_text(share),
        sums.errors, sums.limited, sums.client_errors, sums.server_errors, sums.broken,
        share_text(sums.error_rate), mean, percentile_ms(latencies, P50),
        percentile_ms(latencies, P95), unpriced,
    )  # fmt: skip
    return dict(zip(NUMBERS, values, strict=True))
