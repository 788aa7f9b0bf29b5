"""`noburn budget list` and `show`: what holds, what is left of it, and what is to come.

Layer: commands.  Below: commands.budget.shared, render.budget.
"""

from __future__ import annotations

import typer

from noburn_cli import protocol
from noburn_cli.commands.budget import shared
from noburn_cli.commands.budget.shared import Json, ScopeArgument
from noburn_cli.core.budgets import parse_scope


def list_command(as_json: Json = False) -> None:
    """List every budget with what is settled, held and left, and the changes to come."""
    with shared.open_client() as client:
        reply = client.request(protocol.BUDGET_LIST)
    budgets, scheduled = reply["budgets"], reply["scheduled"]
    if not budgets and not scheduled and not as_json:
        typer.echo("no budgets yet: `noburn budget set customer=each 5 --per month`", err=True)
        return
    shared.show(budgets, as_json=as_json, scheduled=scheduled)


def show_command(scope: ScopeArgument, as_json: Json = False) -> None:
    """Show the budgets of one scope, and its account in the budgets of `each`."""
    parsed = parse_scope(scope)
    with shared.open_client() as client:
        reply = client.request(protocol.BUDGET_LIST)
    budgets = reply["budgets"]
    parts = (shared.part_for(budget, parsed) for budget in budgets)
    found = [part for part in parts if part is not None]
    to_come = [one for one in reply["scheduled"] if parse_scope(one["spec"]["scope"]) == parsed]
    if not found and not to_come:
        raise shared.no_budget(parsed, budgets)
    shared.show(found, as_json=as_json, scheduled=to_come)
