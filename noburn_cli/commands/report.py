"""`noburn report`: who spent what, on which model.

Layer: commands.  Below: reports.query, render.report, calibrating.  Reads the ledger's file; no
daemon needed.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Annotated

import typer

from noburn_cli.core.budgets import check_key
from noburn_cli.errors import UsageError

JSON_VERSION = 1


def report_command(
    by: Annotated[
        list[str] | None,
        typer.Option(
            help="run, model, customer, feature, project, user, job, step, api, state, day or "
            "tag.NAME. Repeat, or join with commas, to group by several. `step` alone shows the "
            "tree of chain steps, graph nodes and tools.",
            metavar="COLUMN",
        ),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(help="Calls from then on: 2026-11-01, 24h, 7d (UTC).", metavar="TIME"),
    ] = None,
    until: Annotated[str | None, typer.Option(help="Calls before then.", metavar="TIME")] = None,
    run: Annotated[
        str | None, typer.Option(help="Only this run and the runs inside it.", metavar="ID")
    ] = None,
    step: Annotated[
        str | None,
        typer.Option(help="Only this step and what is below it: research, a/b.", metavar="PATH"),
    ] = None,
    project: Annotated[str | None, typer.Option(help="Only this project.")] = None,
    customer: Annotated[
        str | None, typer.Option(help="Only this customer; '(none)' for calls without one.")
    ] = None,
    feature: Annotated[str | None, typer.Option(help="Only this feature.")] = None,
    user: Annotated[str | None, typer.Option(help="Only this user.")] = None,
    job: Annotated[str | None, typer.Option(help="Only this job.")] = None,
    model: Annotated[str | None, typer.Option(help="Only this model.")] = None,
    tag: Annotated[
        list[str] | None,
        typer.Option(help="Only calls with this tag; may be repeated.", metavar="KEY=VALUE"),
    ] = None,
    calibration: Annotated[
        bool,
        typer.Option(
            "--calibration",
            help="Compare what earlier calls said of each call with its bill, and its bound with "
            "it. --by also takes basis and bound.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV, without the total.")] = False,
) -> None:
    """Show who spent what, on which model."""
    from noburn_cli import paths
    from noburn_cli.render.jsonout import print_json
    from noburn_cli.render.report import render_report, report_csv, report_data
    from noburn_cli.render.steps import render_steps, steps_csv, steps_data
    from noburn_cli.reports import steps
    from noburn_cli.reports.lines import read_lines
    from noburn_cli.reports.query import Question
    from noburn_cli.run_notes import RunNotes, read_notes

    if as_json and as_csv:
        raise UsageError("--json and --csv are two forms of one output", next_step="choose one")
    since_ms, until_ms = _period(since, until)
    named = {
        "project": project, "customer": customer, "feature": feature, "user": user, "job": job,
        "model": model,
    }  # fmt: skip
    question = Question(
        by=_columns(by, calibration=calibration),
        since_ms=since_ms,
        until_ms=until_ms,
        where={**{k: v for k, v in named.items() if v is not None}, **_tags(tag or [])},
        run=None if run is None else run.strip("/"),
        step=None if step is None else step.strip("/"),
    )
    if calibration:
        from noburn_cli.commands.calibrating import show_calibration

        show_calibration(question, as_json=as_json, as_csv=as_csv)
        return
    report = read_lines(paths.home(), question)
    tree = question.by == steps.BY
    notes = RunNotes() if question.run is None else read_notes(paths.ledger_path(), question.run)
    if as_json:
        period = {
            "since_ms": since_ms, "until_ms": until_ms, "run": question.run, "step": question.step,
        }  # fmt: skip
        bypass = {} if question.run is None else {"bypass": notes.as_json()}
        data = {
            **period,
            **bypass,
            "where": question.where,
            **(steps_data if tree else report_data)(report),
        }
        print_json("report", JSON_VERSION, data)
    elif as_csv:
        typer.echo((steps_csv if tree else report_csv)(report), nl=False)
    elif report.lines:
        typer.echo("\n".join((render_steps if tree else render_report)(report)))
    else:
        typer.echo("no calls match", err=True)
    if question.run is not None and not as_csv and not as_json:
        for line in notes.lines():
            typer.echo(line)


def _columns(by: list[str] | None, *, calibration: bool) -> tuple[str, ...]:
    """The columns to group by, the model when nobody said.  Raises UsageError."""
    from noburn_cli.reports.calibration import check_by
    from noburn_cli.reports.query import check_column

    names = [name.strip() for joined in by or ["model"] for name in joined.split(",")]
    for name in names:
        (check_by if calibration else check_column)(name)
    if len(set(names)) != len(names):
        raise UsageError(f"a column appears twice in --by {','.join(names)}")
    return tuple(names)


def _period(since: str | None, until: str | None) -> tuple[int | None, int | None]:
    from noburn_cli.reports.query import parse_moment

    now = datetime.now(timezone.utc)
    since_ms = None if since is None else parse_moment(since, now=now, what="--since")
    until_ms = None if until is None else parse_moment(until, now=now, what="--until")
    if since_ms is not None and until_ms is not None and since_ms >= until_ms:
        raise UsageError("--since is not before --until", why="no moment lies between them")
    return since_ms, until_ms


def _tags(pairs: list[str]) -> dict[str, str]:
    tags = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not value:
            raise UsageError(
                f"a tag cannot be read from {pair!r}", next_step="write it like --tag team=search"
            )
        tags[check_key(f"tag.{name.removeprefix('tag.')}")] = value
    return tags
