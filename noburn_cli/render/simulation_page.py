"""A simulation's report: one HTML page with plots, which asks nobody for anything.

Layer: render.  Below: charts.pages, render.simulation, render.simulation_charts.
Above: commands.simulate.
Owns: what the report holds, and in which order.
"""

from __future__ import annotations

import html
from collections.abc import Sequence

from noburn_cli.charts.pages import figure_html, page, table_html
from noburn_cli.core.plurals import counted
from noburn_cli.core.simulation_advice import lever_words
from noburn_cli.core.simulation_assumptions import Assumption
from noburn_cli.core.simulation_findings import Findings
from noburn_cli.core.simulation_words import count, dollars, percent, points
from noburn_cli.render.simulation import outside_words, spread_words, turning_words
from noburn_cli.render.simulation_charts import (
    margin_curve,
    money_curve,
    tornado,
    turning_curve,
    under_water_curve,
    won_back_bars,
)


def simulation_page(found: Findings, assumptions: Sequence[Assumption]) -> str:
    """The whole page.  Raises UsageError where the charts' extra is missing."""
    return page(
        "Unit economics, simulated",
        [
            *_answer(found),
            _heading("Advice"),
            *_advice(found),
            _heading("Margin by month"),
            figure_html("margin", margin_curve(found)),
            figure_html("money", money_curve(found)),
            figure_html("under-water", under_water_curve(found)),
            _months(found),
            _heading("The number of customers"),
            _line(turning_words(found)),
            figure_html("turning", turning_curve(found)),
            _sizes(found),
            _heading("Caching and routing"),
            figure_html("won-back", won_back_bars(found)),
            *_ways(found),
            _heading("Which assumption matters most"),
            figure_html("tornado", tornado(found)),
            _heading("Assumptions"),
            _list(
                [
                    f"{one.shown}: {one.value} ({one.origin}{f': {one.why}' if one.why else ''})"
                    for one in assumptions
                ]
            ),
        ],
    )


def _heading(text: str) -> str:
    return f"<h2>{html.escape(text)}</h2>"


def _list(texts: Sequence[str]) -> str:
    """Lines that a phone can break, which a table's cells are not."""
    return f"<ul>{''.join(f'<li>{html.escape(text)}</li>' for text in texts)}</ul>"


def _line(text: str) -> str:
    return f"<p>{html.escape(text)}</p>"


def _answer(found: Findings) -> list[str]:
    scenario, total, last = found.scenario, found.summary.total, found.summary.months[-1]
    title = (
        f"{counted(scenario.draws, 'future')} of {counted(scenario.months, 'month')}, "
        f"seed {scenario.seed}: the middle one, and in brackets from the 5th to the 95th "
        "of a hundred."
    )
    target = percent(scenario.target, places=0)
    rows = [
        ("margin, all months", spread_words(total.margin_share, percent)),
        ("expected margin", percent(found.expected.total.margin_share)),
        (f"futures that reach {target}", percent(total.reached, places=0)),
        ("revenue", spread_words(total.revenue, dollars)),
        ("inference", spread_words(total.inference, dollars)),
        ("margin in dollars", spread_words(total.margin, dollars)),
        *([("after fixed costs", spread_words(total.result, dollars))] if scenario.fixed_nano
          else []),
        ("customers under water, last month", spread_words(last.under_water, percent)),
        ("the top tenth's part of the cost, last month",
         spread_words(found.summary.top_share[1], percent)),
    ]  # fmt: skip
    even = found.break_even
    if scenario.fixed_nano:
        needed = "none do" if even.customers is None else f"{even.customers:,}"
        rows.append(("customers that pay the fixed costs", needed))
    pairs = "".join(
        f"<dt>{html.escape(name)}</dt><dd><strong>{html.escape(value)}</strong></dd>"
        for name, value in rows
    )
    return [_line(title), f"<dl>{pairs}</dl>", *map(_line, outside_words(found))]


def _advice(found: Findings) -> list[str]:
    if not found.advice:
        return [_line("None: the target is reached and nothing here calls for a change.")]
    return [
        f"<p><strong>{html.escape(one.what)}</strong></p>{_list(one.reasons)}"
        for one in found.advice
    ]


def _months(found: Findings) -> str:
    return table_html(
        ("month", "customers", "revenue", "inference", "margin", "p5", "p95", "under water",
         "lost", "reaches target"),
        [
            (
                one.month, count(one.customers.p50), dollars(one.revenue.p50),
                dollars(one.inference.p50), percent(one.margin_share.p50),
                percent(one.margin_share.p5), percent(one.margin_share.p95),
                percent(one.under_water.p50), dollars(one.lost.p50),
                percent(one.reached, places=0),
            )
            for one in found.summary.months
        ],
    )  # fmt: skip


def _sizes(found: Findings) -> str:
    return table_html(
        ("customers", "margin", "p5", "p95", "misses target", "under water", "lost", "heaviest"),
        [
            (
                count(one.customers), percent(one.p50), percent(one.p5), percent(one.p95),
                percent(one.misses, places=0), f"{one.under_water:,.1f}",
                percent(max(0.0, one.lost)), percent(one.largest),
            )
            for one in found.turning.sizes
        ],
    )  # fmt: skip


def _ways(found: Findings) -> list[str]:
    won = table_html(
        ("change", "saves a month", "margin", "points"),
        [
            (one.what, dollars(one.saved_nano), percent(one.margin_share), points(one.points))
            for one in found.won_back
        ],
    )
    if not found.levers:
        return [won]
    ways = table_html(
        ("change", "margin", "reaches", "customers pay a month", "refused", "work", "touches"),
        [
            (
                lever_words(one), percent(one.margin_share), "yes" if one.reaches else "no",
                dollars(one.paid_nano), dollars(one.refused_nano), dollars(one.work_nano),
                percent(one.touched),
            )
            for one in found.levers
        ],
    )  # fmt: skip
    return [won, _heading("Ways to the target, the cheapest first"), ways]
