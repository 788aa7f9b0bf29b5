"""`noburn budget rm` and `unschedule`: a limit, or a change that was to come, is taken away.

Layer: commands.  Below: commands.budget.shared.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from noburn_cli import protocol
from noburn_cli.commands.budget import shared
from noburn_cli.commands.budget.shared import UNITS, Json, PerOfExisting, ScopeArgument
from noburn_cli.core import policy_plan
from noburn_cli.core.budget_spec import spec_from
from noburn_cli.core.budgets import parse_scope
from noburn_cli.core.money import show_amount


def rm_command(
    scope: ScopeArgument,
    per: PerOfExisting = None,
    unit: Annotated[
        str | None, typer.Option(help="dollars, tokens or requests.", metavar="|".join(UNITS))
    ] = None,
    as_json: Json = False,
) -> None:
    """Remove a budget, with its changes that are to come: the others alone limit what it did."""
    from noburn_cli.render.budget_notes import scheduled_data, taken_back_notes

    parsed = parse_scope(scope)
    per = shared.check_choice(per, unit)
    budget: dict[str, Any] = {}
    to_come: list[Mapping[str, Any]] = []

    def steps(reply: Mapping[str, Any]) -> list[dict[str, Any]]:
        nonlocal budget, to_come
        of_scope = [b for b in reply["budgets"] if parse_scope(b["scope"]) == parsed]
        budget = shared.only_one(shared.narrowed(of_scope, per, unit), parsed, reply["budgets"])
        to_come = shared.to_come(reply, budget["name"])
        taken_back = [policy_plan.taking_back(one["id"]) for one in to_come]
        return [*taken_back, policy_plan.removal(spec_from(budget), None)]

    with shared.open_client() as client:
        shared.apply_steps(client, steps)
    if as_json:
        from noburn_cli.render.budget import budget_data

        gone = [scheduled_data(one) for one in to_come]
        shared.print_json({"removed": budget_data(budget), "taken_back": gone})
    else:
        limit = show_amount(budget["unit"], budget["limit"])
        said = [f"removed {budget['name']} ({limit})", *taken_back_notes(to_come)]
        typer.echo("\n".join(said))


def unschedule_command(
    number: Annotated[
        int,
        typer.Argument(
            help="The change's number, as `noburn budget list` shows it.",
            metavar="NUMBER",
            min=1,
            max=2**53,
        ),
    ],
    as_json: Json = False,
) -> None:
    """Take back a change that is to come."""
    with shared.open_client() as client:
        client.request(protocol.BUDGET_UNSCHEDULE, id=number)
    if as_json:
        shared.print_json({"unscheduled": number})
    else:
        typer.echo(f"taken back: change {number}")
