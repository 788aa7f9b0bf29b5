"""`noburn run`: parse, supervise, and say at the end what happened."""

from __future__ import annotations

import contextlib
import os
import sys
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from noburn_cli.commands.run_recording import AnswersMode, finish_recording, recorded_run
from noburn_cli.commands.seconds import check_seconds
from noburn_cli.core.money import parse_count, parse_limit
from noburn_cli.enforce.launch import (
    NAMED_ATTRIBUTES,
    LaunchSettings,
    run_attributes,
    without_coerced_locale,
)
from noburn_cli.errors import LimitReached, NoburnError, UsageError

if TYPE_CHECKING:
    from noburn_cli.announcing import ToldAhead
    from noburn_cli.core.price_notices import PriceNotice
    from noburn_cli.enforce.supervisor import RunOutcome
    from noburn_cli.run_summary import RunSummary

JSON_VERSION = 1


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
    project: Annotated[
        str | None, typer.Option(help="Project that the calls belong to.", metavar="NAME")
    ] = None,
    customer: Annotated[
        str | None, typer.Option(help="Customer that the calls are made for.", metavar="NAME")
    ] = None,
    feature: Annotated[
        str | None, typer.Option(help="Feature that the calls belong to.", metavar="NAME")
    ] = None,
    user: Annotated[
        str | None, typer.Option(help="User that the calls are made for.", metavar="NAME")
    ] = None,
    job: Annotated[
        str | None, typer.Option(help="Job that the calls belong to.", metavar="NAME")
    ] = None,
    tag: Annotated[
        list[str] | None,
        typer.Option(help="A free tag, as KEY=VALUE; may be repeated.", metavar="KEY=VALUE"),
    ] = None,
    on_exceed: Annotated[
        OnExceed | None,
        typer.Option(
            help="At a call that is stopped: `block` that call only, as by default, or `kill` the "
            "run and exit 3.",
        ),
    ] = None,
    fail_on_block: Annotated[
        bool,
        typer.Option(
            "--fail-on-block",
            help="Exit 3 when any call was stopped, whatever the command's own code is.",
        ),
    ] = False,
    summary_file: Annotated[
        Path | None, typer.Option(help="Write the summary to this file, as JSON.", metavar="FILE")
    ] = None,
    wait: Annotated[
        float | None,
        typer.Option(
            help="Seconds that a call may wait for money in flight; 30 if nobody says else.",
            min=0,
            max=86400,
            metavar="SECONDS",
        ),
    ] = None,
    clamp: Annotated[
        bool | None,
        typer.Option(
            "--clamp/--no-clamp",
            help="Lower the cap of an uncapped output to what is affordable; so it is by default.",
            show_default=False,
        ),
    ] = None,
    lower_caps: Annotated[
        bool | None,
        typer.Option(
            "--lower-caps/--keep-caps",
            help="Lower explicit output caps as well; they are kept by default.",
            show_default=False,
        ),
    ] = None,
    floor: Annotated[
        str | None,
        typer.Option(
            help="Least output cap, in tokens, that a call is clamped to.", metavar="TOKENS"
        ),
    ] = None,
    keep_key: Annotated[
        list[str] | None,
        typer.Option(
            help="Leave the real key in this variable, as for a program that checks it; may be "
            "repeated. Calls with it are guarded where a guard is passed.",
            metavar="VARIABLE",
        ),
    ] = None,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            help="Let the command reach the run's gateway and no other network (Linux); refused "
            "where the machine does not allow it.",
        ),
    ] = False,
    recording: Annotated[
        str | None,
        typer.Option(
            help="Keep what each test of pytest takes under this name, for `noburn gate`.",
            metavar="NAME",
        ),
    ] = None,
    answers: Annotated[
        AnswersMode | None,
        typer.Option(
            help="With --recording: `keep` the providers' answers, or `play` those that were kept: "
            "nothing is sent, no key is needed, and nothing is spent.",
        ),
    ] = None,
) -> None:
    """Run a command with every LLM call inside a budget."""
    from noburn_cli import paths
    from noburn_cli.announcing import ToldAhead, announced_of_latest
    from noburn_cli.core.configuration import attributes_of
    from noburn_cli.enforce import supervisor
    from noburn_cli.enforce.keys import check_keep
    from noburn_cli.run_summary import find_stopped
    from noburn_cli.settings import load, policy_text

    named = (project, customer, feature, user, job)
    held = load(
        os.environ,
        Path.cwd(),
        {
            "run.budget": None if budget is None else parse_limit(budget),
            "run.wait": None if wait is None else check_seconds(wait, "--wait"),
            "run.clamp": clamp,
            "run.lower_caps": lower_caps,
            "run.floor": None if floor is None else parse_count(floor, what="the floor"),
            "run.on_exceed": on_exceed,
        },
    )
    _say(held.remarks())
    limit = held.value("run.budget")
    settings = LaunchSettings(
        attributes=run_attributes(
            os.environ,
            named=dict(zip(NAMED_ATTRIBUTES, named, strict=True)),
            tags=_tags(tag or []),
            configured=attributes_of(held.plain()),
        ),
        wait_s=held.chosen("run.wait"),
        clamp=held.chosen("run.clamp"),
        lower_caps=held.chosen("run.lower_caps"),
        output_floor=held.chosen("run.floor"),
        policy=policy_text(held),
        keep_keys=check_keep(keep_key or ()),
        strict=strict,
    )
    if summary_file is not None:
        _begin_summary(summary_file)
    ledger = paths.ledger_path()
    environment = without_coerced_locale(os.environ, _started_with())
    ahead = ToldAhead(partial(announced_of_latest, ledger, os.environ), _say)
    with ahead, recorded_run(recording, answers, settings.attributes, strict=strict) as recorded:
        outcome = supervisor.run_supervised(
            command,
            limit=limit,
            settings=settings,
            find_stopped=partial(find_stopped, ledger)
            if held.value("run.on_exceed") == OnExceed.kill
            else None,
            environment=environment
            if recorded is None
            else recorded.environment(environment, command),
            tell=lambda sentence: _say([f"noburn: {sentence}"]),
        )
        ahead.end()
        code = _report(
            outcome, ledger, ahead, fail_on_block=fail_on_block, summary_file=summary_file
        )
        if recorded is not None and outcome.failure is None:
            code = finish_recording(recorded, ledger, outcome.run, code, _say)
    raise typer.Exit(code)


def _report(
    outcome: RunOutcome,
    ledger: Path,
    ahead: ToldAhead,
    *,
    fail_on_block: bool,
    summary_file: Path | None,
) -> int:
    """Print the summary on stderr and write its file; the exit code of `noburn run`."""
    from noburn_cli.announcing import announced_data, announced_lines
    from noburn_cli.run_summary import read_final_summary

    exit_code = outcome.exit_code
    data: dict[str, object]
    try:
        summary = read_final_summary(ledger, outcome.run)
    except NoburnError as error:
        # The command has run; its own exit code counts for more than a summary that cannot be
        # read, but a gate that cannot look is not open.
        if fail_on_block and exit_code == 0:
            exit_code = error.exit_code
        _say(error.lines())
        data = {"run": outcome.run, "error": error.message}
    else:
        if fail_on_block and summary.blocked + summary.refused:
            exit_code = LimitReached.exit_code
        announced = _announced(ledger, outcome, summary)
        left = ahead.not_told(announced)
        _say(_lines(outcome, summary) + [f"        {line}" for line in announced_lines(left)])
        data = {**summary.as_json(), "notices": announced_data(announced)}
    if summary_file is not None:
        data |= {
            "limited": outcome.limited,
            "exit_code": exit_code,
            "command_exit_code": outcome.child_code,
            "killed_by": outcome.killed_by,
            "survivors": list(outcome.survivors),
            "failure": outcome.failure,
        }
        _write_summary(summary_file, data)
    _keep_sums_warm(ledger)
    return exit_code


def _keep_sums_warm(ledger: Path) -> None:
    """So that the next report need not: only where it is done in an instant."""
    from noburn_cli import paths
    from noburn_cli.reports.rollups.cache import warm

    warm(ledger, paths.reports_path(ledger.parent))


def _announced(ledger: Path, outcome: RunOutcome, summary: RunSummary) -> list[PriceNotice]:
    """What is announced of the models that the run called, each once."""
    from noburn_cli.announcing import announced_of_run

    if outcome.failure is not None or not summary.calls:
        return []
    return announced_of_run(ledger, outcome.run, os.environ)


def _lines(outcome: RunOutcome, summary: RunSummary) -> list[str]:
    from noburn_cli.run_summary import summary_lines

    if outcome.failure is not None:
        return [f"noburn: {outcome.failure}"]
    lines = summary_lines(summary, killed_by=outcome.killed_by, limited=outcome.limited)
    if outcome.survivors:
        named = ", ".join(outcome.survivors)
        lines.append(f"        still running, outside of the run's process group: {named}")
    return lines


#: Of what stands below `noburn: `.
_INDENT = 8


def _say(lines: list[str]) -> None:
    """Show lines on stderr; when nobody can see them, the exit code still tells."""
    if not lines:
        return
    from noburn_cli.render.table import terminal_width, wrap_line

    with contextlib.suppress(OSError):
        width = terminal_width(sys.stderr)
        shown = [part for line in lines for part in wrap_line(line, width=width, indent=_INDENT)]
        typer.echo("\n".join(shown), err=True)


def _started_with() -> bytes | None:
    """The environment that this process was started with, as Linux shows it."""
    try:
        return Path("/proc/self/environ").read_bytes()
    except OSError:
        return None


def _tags(pairs: list[str]) -> dict[str, str]:
    tags = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name or not value:
            raise UsageError(
                f"a tag cannot be read from {pair!r}",
                next_step="write it as KEY=VALUE: --tag team=search",
            )
        tags[name] = value
    return tags


def _begin_summary(path: Path) -> None:
    """Empty the summary file: found empty later, the run did not get to its end.

    Raises UsageError when it cannot be written, before anything has run.
    """
    try:
        path.open("w", encoding="utf-8").close()
    except OSError as error:
        raise UsageError(
            f"the summary cannot be written to {path}",
            why=error.strerror or str(error),
            next_step="name a file in a folder that exists and that you may write to",
        ) from error


def _write_summary(path: Path, data: dict[str, object]) -> None:
    from noburn_cli.render.jsonout import format_json

    try:
        path.write_text(format_json("run", JSON_VERSION, data) + "\n", encoding="utf-8")
    except OSError as error:
        # The command has run: what it came to counts for more than our file.
        _say([f"error: the summary could not be written to {path}: {error.strerror}"])
