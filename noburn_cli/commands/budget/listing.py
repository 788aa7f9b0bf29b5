"""`noburn budget list` and `show`: what holds, what is left of it, and what is to come.

Layer: commands.  Below: commands.budget.shared, render.budget.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import typer

from noburn_cli import protocol
from noburn_cli.commands.budget import shared
from noburn_cli.commands.budget.shared import Json, ScopeArgument
from noburn_cli.core.budgets import margin_floor, parse_scope


def list_command(as_json: Json = False) -> None:
    """List every budget with what is settled, held and left, and the changes to come."""
    with shared.open_client() as client:
        reply = client.request(protocol.BUDGET_LIST)
    budgets, scheduled = reply["budgets"], reply["scheduled"]
    if not budgets and not scheduled and not as_json:
        typer.echo("no budgets yet: `noburn budget set customer=each 5 --per month`", err=True)
        return
    watches = [] if as_json else [one for one in budgets if _watches_a_margin(one)]
    others = [one for one in budgets if one not in watches]
    if others or scheduled or as_json:
        shared.show(others, as_json=as_json, scheduled=scheduled)
    if watches:
        _say_watches(len(watches), below_others=bool(others or scheduled))


def _watches_a_margin(budget: Mapping[str, Any]) -> bool:
    return margin_floor(parse_scope(budget["scope"]).keys) is not None


def _say_watches(count: int, *, below_others: bool) -> None:
    """One for each customer: a line each would bury the budgets that somebody set."""
    from noburn_cli.core.plurals import counted
    from noburn_cli.render.table import prose_lines, terminal_width

    said = (
        f"{counted(count, 'margin')} watched by `noburn pnl --alerts`, which block nothing; --json "
        "lists them."
    )
    lines = prose_lines([said], width=terminal_width())
    typer.echo("\n".join(["", *lines] if below_others else lines))


def show_command(scope: ScopeArgument, as_json: Json = False) -> None:
    """Show the budgets of one scope, and its account in the budgets of `each`."""
    parsed = parse_scope(scope)
    with shared.open_client() as client:
        reply = client.request(protocol.BUDGET_LIST)
    budgets = reply["budgets"]
    # Who has made no call yet is limited as well: the family's line says so.
    parts = (shared.part_for(budget, parsed, even_if_new=True) for budget in budgets)
    found = [part for part in parts if part is not None]
    to_come = [one for one in reply["scheduled"] if parse_scope(one["spec"]["scope"]) == parsed]
    if not found and not to_come:
        raise shared.no_budget(parsed, budgets)
    shared.show(found, as_json=as_json, scheduled=to_come)
