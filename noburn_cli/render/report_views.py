"""How the views of a report look: the Pareto view, unusual days, the end of the month.

Layer: render.  Below: reports.pareto, anomalies, forecast, outlook, report_columns, shares,
render.table, core.money.  Above: commands.report_views, the dashboard.
Amounts are rounded for the eye only; data carries exact decimal dollars.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from noburn_cli.core.money import Nano, show_dollars
from noburn_cli.core.plurals import counted
from noburn_cli.render.report_columns import cost_cell
from noburn_cli.render.shares import share_for_the_eye, share_text
from noburn_cli.render.table import RIGHT, Column, fit_table, prose_lines, safe_text, wrap_line
from noburn_cli.reports.anomalies import DAYS_MIN, HISTORY_DAYS, Judged, Rule
from noburn_cli.reports.forecast import DAYS_MIN as FORECAST_DAYS_MIN
from noburn_cli.reports.forecast import LEVEL_DAYS, WEEKS_MIN_DAYS, Forecast
from noburn_cli.reports.outlook import Outlook
from noburn_cli.reports.pareto import MOST, Pareto, Part

_NAMES_MAX = 5


def render_pareto(found: Pareto, *, top: int | None, width: int | None) -> list[str]:
    """The sentence, the lines with their running share, and the rest as one."""
    parts = found.parts if top is None else found.parts[:top]
    rest = found.parts[len(parts) :]
    served = f"{(found.served or '').upper()}S"
    columns = [
        Column(found.report.by[0].upper(), [*(part.line.keys[0] for part in parts)], shorten=True),
        Column("COST", [_cost(found, part) for part in parts], RIGHT),
        Column("SHARE", [share_for_the_eye(part.share) for part in parts], RIGHT),
        Column("RUNNING", [share_for_the_eye(part.running) for part in parts], RIGHT),
        Column("CALLS", [f"{part.line.sums.calls:,}" for part in parts], RIGHT, give_up=1),
    ]
    if found.served is not None:
        columns.append(Column(served, [_count(found, part) for part in parts], RIGHT))
    lines = [*wrap_line(pareto_sentence(found), width=width), ""]
    lines += fit_table(columns, width=width)
    if rest:
        cost = sum(part.line.sums.cost_nano for part in rest)
        lines.append(f"and {len(rest):,} more: {show_dollars(cost)}")
    return lines


def pareto_sentence(found: Pareto) -> str:
    """What a founder is to remember of it."""
    if not found.parts or found.parts[0].share is None:
        return "Nothing was spent."
    first = found.parts[0]
    name, column = safe_text(first.line.keys[0]), found.report.by[0]
    said = f"{name} is {share_for_the_eye(first.share)} of the spend"
    if found.served is not None and first.served is not None:
        of_all = Fraction(first.served, found.served_total) if found.served_total else Fraction(0)
        said += (
            f" and serves {first.served:,} of {found.served_total:,} {found.served}s"
            f" ({share_for_the_eye(of_all)})"
        )
    total = len(found.parts)
    return (
        f"{said}; {found.few:,} of {total:,} {column}{'s' if total != 1 else ''}"
        f" make{'s' if found.few == 1 else ''} {share_for_the_eye(MOST)} of it."
    )


def pareto_data(found: Pareto, *, top: int | None) -> dict[str, Any]:
    parts = found.parts if top is None else found.parts[:top]
    return {
        "by": list(found.report.by),
        "rows": [_part_data(found, part) for part in parts],
        "rows_left_out": len(found.parts) - len(parts),
        "total_usd": Nano(found.report.total.cost_nano).exact(),
        "make_most": found.few,
        "most_share": share_text(MOST),
        "served": found.served,
        "served_total": found.served_total if found.served else None,
    }


def _part_data(found: Pareto, part: Part) -> dict[str, Any]:
    return {
        "key": dict(zip(found.report.by, part.line.keys, strict=True)),
        "cost_usd": Nano(part.line.sums.cost_nano).exact(),
        "share": share_text(part.share),
        "running_share": share_text(part.running),
        "calls": part.line.sums.calls,
        "served": part.served,
    }


def _cost(found: Pareto, part: Part) -> str:
    unknown = found.report.imported.unpriced_of(part.line).paid
    return cost_cell(part.line.sums.cost_nano, unknown)


def _count(found: Pareto, part: Part) -> str:
    if part.served is None or not found.served_total:
        return "-"
    share = share_for_the_eye(Fraction(part.served, found.served_total))
    return f"{part.served:,} ({share})"


def render_unusual(found: Judged, by: str, rule: Rule, *, width: int | None) -> list[str]:
    """The days, the dearest beyond its norm first; the rule in words."""
    lines = []
    if found.unusual:
        lines += fit_table(
            [
                Column("DAY", [one.day.isoformat() for one in found.unusual]),
                Column(by.upper(), [one.name for one in found.unusual], shorten=True),
                Column("COST", [show_dollars(one.cost_nano) for one in found.unusual], RIGHT),
                Column("NORM", [show_dollars(one.norm_nano) for one in found.unusual], RIGHT),
                Column("TIMES", [_times(one.times) for one in found.unusual], RIGHT),
            ],
            width=width,
        )
        lines.append("")
    else:
        lines += [f"no {by} spent far above its norm", ""]
    lines += wrap_line(
        f"{found.looked_at:,} days looked at. Unusual is a day of at least"
        f" {show_dollars(rule.least_nano)}, {_times(rule.times)} times the median of the days with"
        f" calls among the {HISTORY_DAYS} before, and beyond what the days differ by anyway.",
        width=width,
    )
    if found.without:
        names = ", ".join(safe_text(name) for name in found.without[:_NAMES_MAX])
        more = f" and {len(found.without) - _NAMES_MAX:,} more" * (len(found.without) > _NAMES_MAX)
        lines += wrap_line(
            f"No norm yet (fewer than {DAYS_MIN} days with calls before): {names}{more}.",
            width=width,
        )
    return lines


def unusual_data(found: Judged, by: str, rule: Rule) -> dict[str, Any]:
    return {
        "by": by,
        "rule": {
            "times": share_text(rule.times), "least_usd": Nano(rule.least_nano).exact(),
            "history_days": HISTORY_DAYS, "days_min": DAYS_MIN,
        },
        "rows": [
            {
                "day": one.day.isoformat(), "key": {by: one.name},
                "cost_usd": Nano(one.cost_nano).exact(), "norm_usd": Nano(one.norm_nano).exact(),
                "times": share_text(one.times), "days": one.days,
            }
            for one in found.unusual
        ],
        "days_looked_at": found.looked_at,
        "without_norm": list(found.without),
    }  # fmt: skip


def render_outlook(found: Outlook, *, width: int | None) -> list[str]:
    """One sentence on the end of the month, and how it was come by."""
    said = found.forecast
    spent = f"{show_dollars(said.spent_nano)} spent in {found.month} so far"
    if said.expected_nano is None:
        needed = f"it needs {FORECAST_DAYS_MIN} whole days of history"
        are = "is" if said.days == 1 else "are"
        lines = [f"{spent}. No forecast: {needed}, and there {are} {said.days}."]
    else:
        assert said.low_nano is not None
        assert said.high_nano is not None
        between = f"{show_dollars(said.low_nano)} and {show_dollars(said.high_nano)}"
        expected = show_dollars(said.expected_nano)
        lines = [
            f"{found.month} will end at about {expected}, with 80 % confidence between {between}.",
            f"{spent}; {float(said.days_left):.1f} days are left.",
            _method(said),
        ]
    if found.unpriced:
        calls = counted(found.unpriced, "imported call")
        lines.append(f"In no amount: {calls} of these days without a known price.")
    return prose_lines(lines, width=width)


def _method(said: Forecast) -> str:
    level = f"the last {min(LEVEL_DAYS, said.days)} whole days"
    if said.weekly:
        weekdays = f"weekdays told apart by {said.days} days"
    else:
        weekdays = f"weekdays not told apart: that takes {WEEKS_MIN_DAYS} days of history"
    return f"If the days to come are like {level} ({weekdays}); a trend is not carried on."


def outlook_data(found: Outlook) -> dict[str, Any]:
    said = found.forecast

    def exact(nano: int | None) -> str | None:
        return None if nano is None else Nano(nano).exact()

    return {
        "month": found.month,
        "spent_usd": Nano(said.spent_nano).exact(),
        "expected_usd": exact(said.expected_nano),
        "low_usd": exact(said.low_nano),
        "high_usd": exact(said.high_nano),
        "confidence": "0.8",
        "history_days": said.days,
        "history_days_min": FORECAST_DAYS_MIN,
        "days_left": share_text(said.days_left),
        "weekdays_told_apart": said.weekly,
        "unpriced_calls": found.unpriced,
        "days": [
            {"day": day.isoformat(), "cost_usd": Nano(cost).exact()}
            for day, cost in sorted(found.days.items())
        ],
    }


def _times(times: Fraction) -> str:
    return f"{float(times):,.3g}"
