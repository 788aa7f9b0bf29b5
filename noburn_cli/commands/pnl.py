"""`noburn pnl`: what each customer earns after what they cost.

Layer: commands.  Below: profit, plans_file, settings, render.pnl*, pnl_watching, pnl_alerting.
Reads the ledger's file and the revenue file; no daemon needed but for --alerts.
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from noburn_cli.errors import UsageError

if TYPE_CHECKING:
    from noburn_cli.profit.reading import Books, Question

JSON_VERSION = 1
FORMATS = ("table", "csv", "json", "markdown")
#: `--by` takes this besides the dimensions: the dearest calls one by one.
REQUEST = "request"


def pnl_command(
    by: Annotated[
        str,
        typer.Option(
            help="customer, feature, day, plan or model; join several with commas; or request.",
            metavar="WHAT",
        ),
    ] = "customer",
    period: Annotated[
        str,
        typer.Option(
            help="month (so far), last-month, year, 2026-10, 2026, 30d, or DAY..DAY.",
            metavar="PERIOD",
        ),
    ] = "month",
    customer: Annotated[
        str | None, typer.Option(help="Only this customer.", metavar="NAME")
    ] = None,
    plans: Annotated[
        str | None,
        typer.Option(help="The plans file; plans.toml beside noburn.toml.", metavar="FILE"),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            help="How revenue that names no feature is split to features: by cost or by requests.",
            metavar="RULE",
        ),
    ] = None,
    zone: Annotated[
        str | None, typer.Option(help="The time zone whose days and months count.", metavar="ZONE")
    ] = None,
    outlook: Annotated[
        bool, typer.Option("--outlook", help="Show who will be under water by the month's end.")
    ] = False,
    suggest_plans: Annotated[
        bool, typer.Option("--suggest-plans", help="Show what plan each customer should be on.")
    ] = False,
    limit: Annotated[
        int,
        typer.Option(
            help="Lines of each table at most; 0 for all (requests: 20).",
            min=0,
            max=10_000_000,
            metavar="N",
        ),
    ] = 0,
    form: Annotated[
        str | None, typer.Option("--format", metavar="FORMAT", help="table, csv, json or markdown.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Stay, and show it anew as calls settle; q ends.")
    ] = False,
    alerts: Annotated[
        bool,
        typer.Option(
            "--alerts", help="Bring the alerts of [pnl] margin_min up to date with the revenue."
        ),
    ] = False,
    test_mode: Annotated[
        bool, typer.Option("--test-mode", help="Read the revenue of Stripe's test mode instead.")
    ] = False,
) -> None:
    """Show what each customer, feature or plan earns after what it costs.

    Revenue is recognised by day: subscriptions over their period, usage when it is used, credits
    when they are spent; without tax, after discounts, refunds and disputes. Costs are the ledger's,
    fees and the overhead of [pnl]. --alerts needs the daemon.
    """
    from noburn_cli.core.profit_periods import parse_period
    from noburn_cli.core.recognition_days import Days

    wanted = _format(form, as_json=as_json)
    question = _question(by, customer, plans, split, zone, test_mode=test_mode)
    days = Days(question.rules.zone)

    def asked(now_ms: int) -> Question:
        found = parse_period(period, today=days.of(now_ms))
        return replace(question, first=found.first, until=found.until)

    if watch:
        from noburn_cli.commands.pnl_watching import watch_pnl

        watch_pnl(asked, alerts=alerts)
        return
    now_ms = time.time_ns() // 1_000_000
    books = _read(asked(now_ms), now_ms, more=outlook or suggest_plans)
    if alerts:
        from noburn_cli.commands.pnl_alerting import update_alerts
        from noburn_cli.render.table import remark_lines

        typer.echo("\n".join(remark_lines([update_alerts(books)], sys.stderr)), err=True)
    _show(books, now_ms, wanted, by_request=by == REQUEST, outlook=outlook,
          suggest_plans=suggest_plans, limit=limit)  # fmt: skip


def _format(form: str | None, *, as_json: bool) -> str:
    if form is not None and as_json and form != "json":
        raise UsageError(f"--json and --format {form} are two forms of one output")
    wanted = "json" if as_json else form or "table"
    if wanted not in FORMATS:
        raise UsageError(f"unknown format {wanted!r}", why=f"known are {', '.join(FORMATS)}")
    return wanted


def _question(
    by: str, customer: str | None, plans: str | None, split: str | None, zone: str | None, *,
    test_mode: bool,
) -> Question:  # fmt: skip
    """The question without its days.  Raises UsageError."""
    from noburn_cli import settings
    from noburn_cli.core.profit_rules import BY_COST, BY_REQUESTS, rules_of
    from noburn_cli.core.windows import check_zone
    from noburn_cli.plans_file import load_plans
    from noburn_cli.profit.reading import Question

    rules = rules_of(settings.load(os.environ, Path.cwd()).plain())
    if split is not None:
        if split not in (BY_COST, BY_REQUESTS):
            raise UsageError(f"unknown rule {split!r}", why="revenue is split by cost or requests")
        rules = replace(rules, split=split)
    if zone is not None:
        rules = replace(rules, zone=check_zone(zone))
    file = load_plans(os.environ, Path.cwd(), plans)
    return Question(
        0, 0, _dimensions(by), customer, rules, {} if file is None else dict(file.plans),
        ("stripe-test",) if test_mode else None,
    )  # fmt: skip


def _dimensions(by: str) -> tuple[str, ...]:
    import difflib

    from noburn_cli.core.profit import CUSTOMER, DIMENSIONS

    if by == REQUEST:
        return (CUSTOMER,)
    names = tuple(name.strip() for name in by.split(","))
    for name in names:
        if name not in DIMENSIONS:
            near = difflib.get_close_matches(name, (*DIMENSIONS, REQUEST), n=1, cutoff=0.5)
            raise UsageError(
                f"profit cannot be grouped by {name!r}",
                why=f"known are {', '.join(DIMENSIONS)}, and {REQUEST} alone",
                next_step=f"did you mean {near[0]}?" if near else "choose one of them",
            )
    if len(set(names)) != len(names):
        raise UsageError(f"a column appears twice in --by {by}")
    return names


def _read(question: Question, now_ms: int, *, more: bool) -> Books:
    from noburn_cli import paths
    from noburn_cli.core.recognition_days import Days
    from noburn_cli.profit.outlooks import history_first
    from noburn_cli.profit.reading import read_books

    today = Days(question.rules.zone).of(now_ms)
    history = history_first(today) if more else None
    return read_books(paths.home(), question, now_ms=now_ms, history_first=history)


def _show(
    books: Books, now_ms: int, wanted: str, *, by_request: bool, outlook: bool,
    suggest_plans: bool, limit: int,
) -> None:  # fmt: skip
    from noburn_cli import paths
    from noburn_cli.core.recognition_days import Days, day_text
    from noburn_cli.profit import outlooks
    from noburn_cli.profit.reading import lines_of
    from noburn_cli.profit.requests import dearest
    from noburn_cli.render import pnl, pnl_data, pnl_outlook
    from noburn_cli.render.jsonout import print_json
    from noburn_cli.render.table import terminal_width

    if suggest_plans and not books.question.plans:
        raise UsageError(
            "there are no plans to suggest",
            why="no plans.toml was found beside noburn.toml, nor was one named",
            next_step="write one (docs/plans.md shows how), or name it with --plans FILE",
        )
    found = lines_of(books)
    ends = outlooks.outlooks(books, now_ms) if outlook else None
    plans = outlooks.advices(books) if suggest_plans else None
    calls = dearest(paths.home(), books, limit=limit or 20) if by_request else None
    if wanted == "json":
        data = pnl_data.pnl_data(found, outlooks=ends, advices=plans, requests=calls)
        print_json("pnl", JSON_VERSION, data)
        return
    if wanted in ("csv", "markdown"):
        if calls is not None:
            shown = pnl_data.requests_csv if wanted == "csv" else pnl_data.requests_markdown
            sys.stdout.write(shown(calls))
        else:
            write = pnl_data.pnl_csv if wanted == "csv" else pnl_data.pnl_markdown
            sys.stdout.write(write(found))
        return
    width = terminal_width()
    parts = [
        pnl.render_pnl(found, width=width, lines_max=limit or None)
        if calls is None
        else pnl_outlook.render_requests(calls, width=width)
    ]
    if ends is not None:
        month = day_text(Days(books.question.rules.zone).of(now_ms))[:7]
        parts.append(
            pnl_outlook.render_outlooks(ends, month=month, width=width, lines_max=limit or None)
        )
    if plans is not None:
        parts.append(pnl_outlook.render_advices(plans, width=width, lines_max=limit or None))
    typer.echo("\n\n".join("\n".join(part) for part in parts))
