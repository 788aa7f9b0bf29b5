"""`noburn budget replay`: what a policy would have done with the calls of the past.

Layer: commands.  Below: policy_files, reports.recorded, core.policy_replay, render.replay.
Read-only: it reads the ledger's file, and asks no daemon.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Annotated

import typer

from noburn_cli.commands.budget import shared
from noburn_cli.commands.budget.applying import FileArgument
from noburn_cli.commands.budget.shared import Json
from noburn_cli.errors import UsageError

if TYPE_CHECKING:
    import apsw

    from noburn_cli.core.budget_spec import BudgetSpec
    from noburn_cli.core.policy_replay import Replay
    from noburn_cli.render.replay import Outcome
    from noburn_cli.reports.recorded import Stretch

Since = Annotated[
    str | None,
    typer.Option(
        help="From when on: 2026-11-01, 24h, 7d.",
        metavar="WHEN",
        show_default="the first day of the last month",
    ),
]
Until = Annotated[str | None, typer.Option(help="Until when.", metavar="WHEN", show_default="now")]


def replay_command(
    file: FileArgument = None,
    since: Since = None,
    until: Until = None,
    prune: Annotated[
        bool,
        typer.Option(
            "--prune", help="As `apply --prune`: without the budgets that the file does not name."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Say what a policy would have done with the calls that were made."""
    from noburn_cli import paths
    from noburn_cli.policy_files import read_policy
    from noburn_cli.reports.reading import reading

    policy = read_policy(file)
    since_ms, until_ms = moments(since, until)
    with reading(paths.ledger_path(paths.home())) as connection:
        outcome = _replay(
            connection, policy.name, policy.budgets, since_ms=since_ms, until_ms=until_ms,
            prune=prune,
        )  # fmt: skip
    _show(outcome, as_json=as_json)


def moments(since: str | None, until: str | None) -> tuple[int, int]:
    """The stretch of time that is meant, epoch ms.  Raises UsageError."""
    from noburn_cli.reports.query import parse_moment

    now = datetime.now(tz=timezone.utc)
    if since is None:
        first = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        since_ms = int((first - timedelta(days=1)).replace(day=1).timestamp() * 1000)
    else:
        since_ms = parse_moment(since, now=now, what="--since")
    until_ms = shared.now_ms() if until is None else parse_moment(until, now=now, what="--until")
    if until_ms <= since_ms:
        raise UsageError("--until is not after --since")
    return since_ms, until_ms


def _replay(
    connection: apsw.Connection, name: str, wanted: Sequence[BudgetSpec], *, since_ms: int,
    until_ms: int, prune: bool,
) -> Outcome:  # fmt: skip
    from noburn_cli.core.policy_plan import in_force_after
    from noburn_cli.core.policy_replay import Replay
    from noburn_cli.render.replay import Outcome
    from noburn_cli.reports.budgets import standing_budgets
    from noburn_cli.reports.recorded import stretch

    present = standing_budgets(connection)
    part = stretch(connection, since_ms=since_ms, until_ms=until_ms)
    replays = (
        Replay(in_force_after(wanted, present, prune=prune), since_ms=since_ms),
        Replay(present, since_ms=since_ms),
    )
    blocked_then = _run(connection, part, replays)
    ours, theirs = (replay.finish() for replay in replays)
    return Outcome(name, since_ms, until_ms, part.begins_ms, ours, theirs, blocked_then)


def _run(connection: apsw.Connection, part: Stretch, replays: Sequence[Replay]) -> int:
    """Let a part of the journal pass by; how many calls were blocked when they were made."""
    from noburn_cli.render.progress import Progress
    from noburn_cli.reports.recorded import Blocked, Ended, ToppedUp, read_rows

    progress = Progress(sys.stderr)
    progress.begin(part.rows, "rows replayed")
    blocked_then = 0
    for happened in read_rows(connection, part, caps=output_caps(), step=progress.step):
        if isinstance(happened, Blocked):
            blocked_then += 1
            continue
        for replay in replays:
            if isinstance(happened, Ended):
                if happened.kind == "settle":
                    replay.settle(happened.call, happened.cost, happened.at_ms)
                elif happened.kind == "void":
                    replay.void(happened.call, happened.at_ms)
                else:
                    replay.charge(happened.call, happened.at_ms)
            elif isinstance(happened, ToppedUp):
                replay.top_up(happened.identity, happened.key, happened.amount, happened.at_ms)
            else:
                replay.reserve(happened)
    progress.end()
    return blocked_then


def output_caps() -> Callable[[str], int | None]:
    """The models' own output caps, by the names that the price book has."""
    from noburn_cli.prices import load_book

    caps = {model.name: model.output_max for model in load_book(os.environ).models()}
    return caps.get


def _show(outcome: Outcome, *, as_json: bool) -> None:
    from noburn_cli.render.replay import outcome_data, render_outcome

    if as_json:
        from noburn_cli.render.jsonout import print_json

        print_json("budget.replay", shared.JSON_VERSION, outcome_data(outcome))
    else:
        typer.echo("\n".join(render_outcome(outcome)))
