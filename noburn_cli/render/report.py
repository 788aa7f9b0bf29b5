"""How a report looks: a table with a total, CSV, or data.

Layer: render.  Below: reports.totals, core.money, render.table.  Above: commands.report.
Amounts are rounded for the eye only; CSV and data carry exact decimal dollars.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

from noburn_cli.core.money import Nano, show_count, show_dollars, show_percent
from noburn_cli.render.csv_cells import csv_text
from noburn_cli.render.table import RIGHT, Column, fit_table, safe_text
from noburn_cli.reports.latencies import Latencies
from noburn_cli.reports.totals import IN_TIME, Line, Report, Sums

NUMBERS = (
    "calls", "input_tokens", "cached_input_tokens", "output_tokens", "reasoning_tokens",
    "cost_usd", "held_usd", "uncertain_usd", "uncertain_calls", "blocked", "refused", "clamped",
    "notional_usd", "searches", "warned", "downgraded", "overage_usd", "share",
    "errors", "rate_limited", "client_errors", "server_errors", "broken", "error_rate",
    "mean_latency_ms", "p50_latency_ms", "p95_latency_ms", "unpriced_calls",
)  # fmt: skip
_SHARE_PLACES = 6
P50, P95 = Fraction(1, 2), Fraction(19, 20)


def render_report(report: Report, *, width: int | None = None) -> list[str]:
    """The report as aligned lines, the total last; on a terminal the least telling columns go."""
    return [*fit_table(report_columns(report), width=width), *notes(report)]


def report_columns(report: Report) -> list[Column]:
    """The table's columns, the total in their last cells."""
    lines = compared_lines(report)
    whole = Fraction(1) if report.total.cost_nano else None
    lacking = report.imported.unpriced_by
    shown = [cells(ln.sums, report.share(ln), lacking.get(ln.keys, 0)) for ln in lines]
    shown.append(cells(report.total, whole, report.imported.unpriced))
    columns = [
        Column(
            name.upper(), [*(line.keys[place] for line in lines), "" if place else "TOTAL"],
            shorten=True,
        )
        for place, name in enumerate(report.by)
    ]  # fmt: skip
    numbers_shown = list(zip(*shown, strict=True))
    columns += [
        Column(header, numbers_shown[place], RIGHT, give_up=give_up)
        for place, (header, give_up) in enumerate(_HEADERS)
    ]
    if report.before is not None:
        columns[-5:-5] = _change_columns(report, report.before, lines)
    if report.latencies is not None:
        columns += _speed_columns(report, lines)
    return columns


#: Headers, and in which order columns go where a terminal is too narrow.
_HEADERS = (
    ("CALLS", None), ("TOKENS IN", 5), ("TOKENS OUT", 4), ("COST", None), ("SHARE", 7),
    ("HELD", 2), ("UNCERTAIN", 3), ("BLOCKED", 6), ("CLAMPED", 1),
)  # fmt: skip


def _change_columns(report: Report, before: Report, lines: Sequence[Line]) -> list[Column]:
    known = {line.keys: line.sums for line in before.lines}
    if report.by[:1] and report.by[0] in IN_TIME:
        sums: list[tuple[Sums, Sums | None]] = [(line.sums, None) for line in lines]
    else:
        sums = [(line.sums, known.get(line.keys, Sums())) for line in lines]
    sums.append((report.total, before.total))
    was = ["-" if then is None else show_dollars(then.cost_nano) for _, then in sums]
    change = ["-" if then is None else _change(now, then) for now, then in sums]
    return [Column("BEFORE", was, RIGHT), Column("CHANGE", change, RIGHT)]


def _change(now: Sums, then: Sums) -> str:
    """How the cost changed, relatively; where there was none before, that it is new."""
    if now.cost_nano == then.cost_nano:
        return "="
    if then.cost_nano <= 0:
        return "new"
    tenths = round(Fraction(now.cost_nano - then.cost_nano, then.cost_nano) * 1000)
    return f"{'+' if tenths > 0 else ''}{show_percent(Fraction(tenths, 1000))}"


def _speed_columns(report: Report, lines: Sequence[Line]) -> list[Column]:
    both = [*((line.sums, line.latencies) for line in lines), (report.total, report.latencies)]
    rates = [
        f"{sums.errors:,} ({_share_for_the_eye(sums.error_rate)})" if sums.errors else "-"
        for sums, _ in both
    ]
    fast, slow = (
        [_duration(percentile_ms(latencies, share)) for _, latencies in both]
        for share in (P50, P95)
    )
    return [Column("ERRORS", rates, RIGHT), Column("P50", fast, RIGHT), Column("P95", slow, RIGHT)]


def _duration(ms: int | None) -> str:
    if ms is None:
        return "-"
    return f"{ms} ms" if ms < 1_000 else f"{ms / 1000:.3g} s"


def compared_lines(report: Report) -> list[Line]:
    """The lines, and those that the period before had and this one has not."""
    lines = list(report.lines)
    if report.before is None or (report.by[:1] and report.by[0] in IN_TIME):
        return lines
    known = {line.keys for line in lines}
    took = None if report.latencies is None else Latencies({})
    lines += [Line(one.keys, Sums(), took) for one in report.before.lines if one.keys not in known]
    return lines


def cells(sums: Sums, share: Fraction | None, unpriced: int = 0) -> tuple[str, ...]:
    """The numbers of one line, for the eye.  unpriced: how many of its calls are in no amount."""
    cost = show_dollars(sums.cost_nano)
    if unpriced:  # Of which nobody knows the cost: it is not 0.
        cost, share = (f"{cost} + ?", share) if sums.cost_nano else ("?", None)
    return (
        show_count(sums.calls),
        show_count(sums.input_tokens),
        show_count(sums.output_tokens),
        cost,
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
    if report.imported.calls:
        calls = ", ".join(
            f"{count:,} from {safe_text(name)}" for name, count in report.imported.calls.items()
        )
        cost = show_dollars(sum(report.imported.cost_nano.values()))
        said.append(
            f"{cost} is of calls that were imported ({calls}): noburn did not stand before them. "
            "--source ledger leaves them out."
        )
    if report.imported.unpriced:
        one = report.imported.unpriced == 1
        said.append(
            f"{report.imported.unpriced:,} imported {'call has' if one else 'calls have'} no known "
            f"price, and {'is' if one else 'are'} in no amount; `--by model,state` shows "
            f"{'it' if one else 'them'}."
        )
    if report.imported.doubled:
        one = report.imported.doubled == 1
        said.append(
            f"{report.imported.doubled:,} imported {'call is' if one else 'calls are'} in the "
            f"ledger, and {'was' if one else 'were'} counted once."
        )
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
            report.imported.unpriced,
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
            "rows": list(_row_data(report.before)), "total": numbers(report.before.total, whole),
        }  # fmt: skip
    if report.imported.calls or report.imported.doubled:
        costs = report.imported.cost_nano
        data["imported"] = {
            "sources": {
                name: {"calls": calls, "cost_usd": Nano(costs[name]).exact()}
                for name, calls in report.imported.calls.items()
            },
            "left_out_as_known": report.imported.doubled,
            "unpriced": report.imported.unpriced,
        }
    if report.scanned is not None:
        data["scanned"] = report.scanned
    return data


def report_rows(report: Report) -> list[dict[str, Any]]:
    """The lines as flat rows: keys and numbers side by side."""
    return [{**_keys(report, line), **_line_numbers(report, line)} for line in report.lines]


def _line_numbers(report: Report, line: Line) -> dict[str, int | str | None]:
    lacking = report.imported.unpriced_by.get(line.keys, 0)
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
        _share_text(share),
        sums.errors, sums.limited, sums.client_errors, sums.server_errors, sums.broken,
        _share_text(sums.error_rate), mean, percentile_ms(latencies, P50),
        percentile_ms(latencies, P95), unpriced,
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
