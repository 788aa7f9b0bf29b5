"""`noburn report`: who spent what, on which model.

Layer: commands.  Below: report_asking (options into a question), report_showing, report_views,
calibrating.  Reads the ledger's file, and keeps sums beside it; no daemon needed.
"""

from __future__ import annotations

import time
from typing import Annotated

import typer

_BY = (
    "run, model, customer, feature, project, user, job, step, api, state, source, hour, day, week, "
    "month or tag.NAME. Repeat, or join with commas, to group by several. `step` alone shows the "
    "tree of chain steps, graph nodes and tools."
)


def report_command(
    by: Annotated[list[str] | None, typer.Option(help=_BY, metavar="COLUMN")] = None,
    since: Annotated[
        str | None,
        typer.Option(help="Calls from then on: 2026-11-01, 24h, 7d.", metavar="TIME"),
    ] = None,
    until: Annotated[str | None, typer.Option(help="Calls before then.", metavar="TIME")] = None,
    period: Annotated[
        str | None,
        typer.Option(
            help="today, yesterday, week, last-week, month (so far), last-month, year, 2026-10, "
            "2026, 7d, 24h, 4w, DAY..DAY or all, instead of --since and --until.",
            metavar="PERIOD",
        ),
    ] = None,
    zone: Annotated[
        str,
        typer.Option(help="Whose clock tells hours, days and months: Asia/Tokyo.", metavar="ZONE"),
    ] = "UTC",
    compare: Annotated[
        bool, typer.Option("--compare", help="Beside it the period before, as far into it.")
    ] = False,
    run: Annotated[
        str | None,
        typer.Option(
            help="Only this run and the runs inside it: its id, its beginning, or `last`.",
            metavar="ID",
        ),
    ] = None,
    step: Annotated[
        str | None,
        typer.Option(help="Only this step and what is below it: research, a/b.", metavar="PATH"),
    ] = None,
    project: Annotated[str | None, typer.Option(help="Only this project.", metavar="NAME")] = None,
    customer: Annotated[
        str | None,
        typer.Option(help="Only this customer; '(none)' for calls without one.", metavar="NAME"),
    ] = None,
    feature: Annotated[str | None, typer.Option(help="Only this feature.", metavar="NAME")] = None,
    user: Annotated[str | None, typer.Option(help="Only this user.", metavar="NAME")] = None,
    job: Annotated[str | None, typer.Option(help="Only this job.", metavar="NAME")] = None,
    model: Annotated[str | None, typer.Option(help="Only this model.", metavar="MODEL")] = None,
    tag: Annotated[
        list[str] | None,
        typer.Option(help="Only calls with this tag; may be repeated.", metavar="KEY=VALUE"),
    ] = None,
    source: Annotated[
        str,
        typer.Option(
            help="ledger, imported (what `noburn import` brought) or all.", metavar="SOURCE"
        ),
    ] = "all",
    latency: Annotated[
        bool,
        typer.Option("--latency", help="Error rates, median and 95th percentile beside the cost."),
    ] = False,
    top: Annotated[
        int | None,
        typer.Option(
            help="The dearest N lines, and one for all others.", metavar="N", min=1, max=10_000_000
        ),
    ] = None,
    pareto: Annotated[
        bool,
        typer.Option(
            "--pareto", help="Which few make most of the spend, and how many users they serve."
        ),
    ] = False,
    anomalies: Annotated[
        bool,
        typer.Option(
            "--anomalies", help="Days far above what is normal for a customer (or feature, model)."
        ),
    ] = False,
    times: Annotated[
        str,
        typer.Option(help="With --anomalies: how many times the norm.", metavar="FACTOR"),
    ] = "5",
    least: Annotated[
        str,
        typer.Option(help="With --anomalies: what a day must cost at least.", metavar="AMOUNT"),
    ] = "$1",
    forecast: Annotated[
        bool,
        typer.Option("--forecast", help="What this month will have cost at its end, and how sure."),
    ] = False,
    chart: Annotated[
        bool, typer.Option("--chart", help="Bars of the lines, or a curve along time, as well.")
    ] = False,
    calibration: Annotated[
        bool,
        typer.Option(
            "--calibration",
            help="Compare what earlier calls said of each call with its bill, and its bound with "
            "it. --by also takes basis and bound.",
        ),
    ] = False,
    format_: Annotated[
        str | None,
        typer.Option("--format", help="table, csv, json, markdown or parquet.", metavar="FORMAT"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV, without the total.")] = False,
    output: Annotated[
        str | None, typer.Option(help="The file to write; - for standard output.", metavar="FILE")
    ] = None,
    rollups: Annotated[
        bool,
        typer.Option(
            "--rollups/--no-rollups",
            help="Answer from the sums that are kept beside the ledger, or read every call.",
        ),
    ] = True,
) -> None:
    """Show who spent what, on which model."""
    from noburn_cli.commands import report_asking, report_views
    from noburn_cli.commands.report_showing import Output, show_report

    shape = report_asking.check_format(format_, as_json=as_json, as_csv=as_csv)
    views = {
        "--pareto": pareto, "--anomalies": anomalies, "--forecast": forecast,
        "--calibration": calibration,
    }  # fmt: skip
    view = report_asking.check_one(views)
    now_ms = time.time_ns() // 1_000_000
    named = {
        "project": project, "customer": customer, "feature": feature, "user": user, "job": job,
        "model": model,
    }  # fmt: skip
    question = report_asking.question(
        by, view=view, period=(period, since, until), zone=zone, named=named, tags=tag or [],
        run=run, step=step, source=source, now_ms=now_ms, compare=compare, latency=latency,
    )  # fmt: skip
    path = None if output == "-" else output
    out = Output(shape, path, top=top, chart=chart, rollups=rollups)
    report_asking.check_view(view, question, out)
    if view == "--calibration":
        from noburn_cli.commands.calibrating import show_calibration

        show_calibration(question, as_json=shape == "json", as_csv=shape == "csv")
    elif view == "--pareto":
        report_views.show_pareto(question, out)
    elif view == "--anomalies":
        rule = report_asking.rule(times, least)
        report_views.show_unusual(question, out, rule, now_ms=now_ms)
    elif view == "--forecast":
        report_views.show_outlook(question, out, now_ms=now_ms)
    else:
        show_report(question, out)
