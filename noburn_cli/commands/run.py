"""`noburn run`: parse, supervise, and say at the end what happened."""

from __future__ import annotations

import json
import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from noburn_cli.core.money import parse_count, parse_limit
from noburn_cli.enforce.launch import NAMED_ATTRIBUTES, LaunchSettings, inherited_attributes
from noburn_cli.errors import LimitReached, NoburnError, UsageError

if TYPE_CHECKING:
    from noburn_cli.enforce.supervisor import RunOutcome


class OnExceed(StrEnum):
    """What a block does to the run."""

    block = "block"
    kill = "kill"


def run_command(
    command: Annotated[
        list[str],
        typer.Argument(metavar="-- COMMAND [ARG]...", help="The command to run, after `--`."),
    ],
    budget: Annotated[
        str | None,
        typer.Option(help="Limit of this run: 0.50, '$5', 2Mtok or 100req.", metavar="LIMIT"),
    ] = None,
    project: Annotated[str | None, typer.Option(help="Project that the calls belong to.")] = None,
    customer: Annotated[
        str | None, typer.Option(help="Customer that the calls are made for.")
    ] = None,
    feature: Annotated[str | None, typer.Option(help="Feature that the calls belong to.")] = None,
    user: Annotated[str | None, typer.Option(help="User that the calls are made for.")] = None,
    job: Annotated[str | None, typer.Option(help="Job that the calls belong to.")] = None,
    tag: Annotated[
        list[str] | None,
        typer.Option(help="A free tag, as KEY=VALUE; may be repeated.", metavar="KEY=VALUE"),
    ] = None,
    on_exceed: Annotated[
        OnExceed,
        typer.Option(help="At a block: `block` that call only, or `kill` the run and exit 3."),
    ] = OnExceed.block,
    fail_on_block: Annotated[
        bool, typer.Option("--fail-on-block", help="Exit 3 when any call was blocked.")
    ] = False,
    summary_file: Annotated[
        Path | None, typer.Option(help="Write the summary to this file, as JSON.", metavar="FILE")
    ] = None,
    wait: Annotated[
        float,
        typer.Option(help="Seconds that a call may wait for money in flight.", min=0, max=86400),
    ] = 30.0,
    clamp: Annotated[
        bool,
        typer.Option(
            "--clamp/--no-clamp", help="Lower the cap of an uncapped output to what is affordable."
        ),
    ] = True,
    lower_caps: Annotated[
        bool, typer.Option("--lower-caps", help="Lower explicit output caps as well.")
    ] = False,
    floor: Annotated[
        str | None,
        typer.Option(
            help="Least output cap, in tokens, that a call is clamped to.", metavar="TOKENS"
        ),
    ] = None,
) -> None:
    """Run a command with every LLM call inside a budget."""
    from noburn_cli.enforce import supervisor

    attributes = inherited_attributes(os.environ)
    named = dict(zip(NAMED_ATTRIBUTES, (project, customer, feature, user, job), strict=True))
    attributes.update({name: value for name, value in named.items() if value is not None})
    attributes.update(_tags(tag or []))
    limit = None if budget is None else parse_limit(budget)
    if summary_file is not None:
        _check_writable(summary_file)
    settings = LaunchSettings(
        attributes=attributes,
        wait_s=wait,
        clamp=clamp,
        lower_caps=lower_caps,
        output_floor=None if floor is None else parse_count(floor, what="the floor"),
    )
    outcome = supervisor.run_supervised(
        command,
        limit=limit,
        settings=settings,
        kill_on_block=on_exceed is OnExceed.kill,
        environment=os.environ,
    )
    raise typer.Exit(_report(outcome, fail_on_block=fail_on_block, summary_file=summary_file))


def _report(outcome: RunOutcome, *, fail_on_block: bool, summary_file: Path | None) -> int:
    """Print the summary on stderr and write its file; the exit code of `noburn run`."""
    from noburn_cli import paths
    from noburn_cli.run_summary import read_run_summary, summary_lines

    if outcome.failure is not None:
        typer.echo(f"noburn: {outcome.failure}", err=True)
    exit_code = outcome.exit_code
    try:
        summary = read_run_summary(paths.ledger_path(), outcome.run)
    except NoburnError:
        # The command has run; its own exit code counts for more than a summary that cannot be read.
        return exit_code
    stopped = summary.blocked + summary.refused
    if fail_on_block and stopped and exit_code == 0:
        exit_code = LimitReached.exit_code
    lines = summary_lines(summary)
    if outcome.killed_by is not None:
        lines.insert(1, f"        ended by noburn: {outcome.killed_by}")
    typer.echo("\n".join(lines), err=True)
    if summary_file is not None:
        data = {
            "version": 1,
            **summary.as_json(),
            "exit_code": exit_code,
            "killed": outcome.killed_by,
        }
        summary_file.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
    return exit_code


def _tags(pairs: list[str]) -> dict[str, str]:
    tags = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name or not value:
            raise UsageError(
                f"a tag cannot be read from {pair!r}",
                next_step="write it as KEY=VALUE: --tag team=search",
            )
        tags[f"tag.{name}"] = value
    return tags


def _check_writable(path: Path) -> None:
    """Refuse a summary file that cannot be written before anything has run."""
    folder = path.parent
    writable = os.access(path if path.exists() else folder, os.W_OK)
    if path.is_dir() or not folder.is_dir() or not writable:
        raise UsageError(
            f"the summary cannot be written to {path}",
            why="it is a folder, or its folder is missing or read-only",
            next_step="name a file in a folder that exists and that you may write to",
        )
