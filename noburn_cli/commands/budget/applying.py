"""`noburn budget apply`: what a policy file would change, and the change, all of it or nothing.

Layer: commands.  Below: policy_files, client, core.policy_plan, render.policy.
With `--dry-run --exit-code` a plan with changes exits with 3, as a gate that failed does: terraform
has 2 for it (`plan -detailed-exitcode`) and kubectl 1 (`diff`), and both mean something else here.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from noburn_cli import protocol
from noburn_cli.commands.budget import shared
from noburn_cli.commands.budget.shared import Json
from noburn_cli.errors import NoburnError, UsageError

if TYPE_CHECKING:
    from noburn_cli.client import Client
    from noburn_cli.core.policy_plan import Plan
    from noburn_cli.policy_files import PolicyFile

#: The exit code of a dry run that finds something to change, when asked for.
DIFFERS = 3

FileArgument = Annotated[
    str | None,
    typer.Argument(
        help="A file with [[budget]] tables; `-` for standard input; by default policy.toml in "
        "your configuration's folder.",
        metavar="FILE",
        show_default=False,
    ),
]


def apply_command(
    file: FileArgument = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the plan, and change nothing.")
    ] = False,
    exit_code: Annotated[
        bool,
        typer.Option("--exit-code", help="With --dry-run: exit with 3 where there are changes."),
    ] = False,
    prune: Annotated[
        bool, typer.Option("--prune", help="Remove the budgets that the file does not name.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before changing.")] = False,
    as_json: Json = False,
) -> None:
    """Put the budgets of a policy file in force, all of them or none."""
    from noburn_cli.policy_files import read_policy, trust_needed

    if exit_code and not dry_run:
        raise UsageError("--exit-code goes with --dry-run")
    if as_json and not (dry_run or yes):
        raise UsageError("--json asks nothing", next_step="add --dry-run, or --yes to apply it")
    policy = read_policy(file)
    with shared.open_client() as client:
        plan = _plan(client, policy, prune=prune)
        if not as_json:
            _show(plan, policy)
        _check(client, plan)
        refused = trust_needed(policy, plan)
        apply_now = bool(plan.changes) and not dry_run
        if refused is not None and not dry_run:
            raise refused
        if apply_now:
            if not yes:
                _ask(policy)
            client.request(protocol.BUDGET_APPLY, **plan.frame())
    if as_json:
        _print(plan, policy, applied=apply_now)
    elif apply_now:
        typer.echo("Applied.")
    if refused is not None:
        typer.echo("\n".join(["note: " + refused.message, f" next: {refused.next_step}"]), err=True)
    if exit_code and plan.changes:
        raise typer.Exit(DIFFERS)


def _plan(client: Client, policy: PolicyFile, *, prune: bool) -> Plan:
    from noburn_cli.core.policy_plan import make_plan, standing_from

    standing = standing_from(client.request(protocol.BUDGET_LIST))
    return make_plan(policy.budgets, standing, now_ms=shared.now_ms(), prune=prune)


def _check(client: Client, plan: Plan) -> None:
    """Refuse, also in a dry run, what would be refused or block calls once it is applied.

    Raises UsageError for a channel that the daemon does not know, or a cheaper model without price.
    """
    specs = plan.set_here
    shared.note_rules(specs)
    named = list(dict.fromkeys(channel for spec in specs for channel in spec.notify))
    if not named:
        return
    reply = client.request(protocol.NOTIFY_LIST, limit=1)
    known = [one["name"] for one in reply["channels"]]
    for channel in named:
        if channel not in known:
            raise UsageError(
                f"there is no channel `{channel}`",
                why=f"the configuration has {', '.join(known) or 'none'}",
                next_step=f"add [notify.{channel}] to your noburn.toml, then "
                "`noburn daemon reload`",
            )


def _ask(policy: PolicyFile) -> None:
    """Let a person look at the plan.  Raises where nobody is there to ask, or says no."""
    if policy.is_stdin or not sys.stdin.isatty():
        raise UsageError(
            "nothing was changed: there is nobody to ask whether the plan is right",
            next_step="look at it with --dry-run, then apply it with --yes",
        )
    if not typer.confirm("Apply this?", default=False, err=True):
        raise NoburnError("nothing was changed")


def _show(plan: Plan, policy: PolicyFile) -> None:
    from noburn_cli.render.policy import render_plan

    typer.echo("\n".join(render_plan(plan, policy.name)))


def _print(plan: Plan, policy: PolicyFile, *, applied: bool) -> None:
    from noburn_cli.render.jsonout import print_json
    from noburn_cli.render.policy import plan_data

    data: dict[str, Any] = {"file": policy.name, "applied": applied, **plan_data(plan)}
    print_json("budget.plan", shared.JSON_VERSION, data)
