"""`noburn budget rm` and `unschedule`: a limit, or a change that was to come, is taken away.

Layer: commands.  Below: commands.budget.shared.
"""

from __future__ import annotations

from typing import Annotated

import typer

from noburn_cli import protocol
from noburn_cli.commands.budget import shared
from noburn_cli.commands.budget.shared import UNITS, Json, PerOfExisting, ScopeArgument
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
    """Remove a budget: what it limited is limited by the others alone."""
    parsed = parse_scope(scope)
    per = shared.check_choice(per, unit)
    with shared.open_client() as client:
        budgets = shared.all_budgets(client)
        of_scope = [b for b in budgets if parse_scope(b["scope"]) == parsed]
        budget = shared.only_one(shared.narrowed(of_scope, per, unit), parsed, budgets)
        client.request(
            protocol.BUDGET_RM, scope=budget["scope"], per=budget["per"], unit=budget["unit"]
        )
    if as_json:
        from noburn_cli.render.budget import budget_data

        shared.print_json({"removed": budget_data(budget)})
    else:
        limit = show_amount(budget["unit"], budget["limit"])
        typer.echo(f"removed {budget['name']} ({limit})")


def unschedule_command(
    number: Annotated[
        int,
        typer.Argument(
            help="The change's number, as `noburn budget list` shows it.", metavar="NUMBER", min=1
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
