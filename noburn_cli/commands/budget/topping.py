"""`noburn budget topup`: more for one account, in its current window only.

Layer: commands.  Below: commands.budget.shared.
"""

from __future__ import annotations

from typing import Annotated

import typer

from noburn_cli import protocol
from noburn_cli.commands.budget import shared
from noburn_cli.commands.budget.shared import AMOUNT_HELP, Json, PerOfExisting, ScopeArgument
from noburn_cli.core.budgets import parse_scope
from noburn_cli.errors import UsageError


def topup_command(
    scope: ScopeArgument,
    amount: Annotated[str, typer.Argument(help=AMOUNT_HELP, metavar="AMOUNT", show_default=False)],
    per: PerOfExisting = None,
    family: Annotated[
        bool,
        typer.Option(
            "--family",
            help="Its account in the budget of `each`, where a budget of its own stands beside.",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Add to what a budget has, in its current window only."""
    parsed = parse_scope(scope)
    if parsed.is_family:
        raise UsageError(
            f"a top-up goes to one account, not to {parsed}",
            next_step="name it: `noburn budget topup customer=acme 5`",
        )
    added = shared.read_limit(amount)
    if not added.amount:
        raise UsageError("a top-up of 0 adds nothing", next_step=shared.SHELL_HINT)
    per = shared.check_choice(per, None)
    with shared.open_client() as client:
        budgets = shared.all_budgets(client)
        touching = [b for b in budgets if shared.part_for(b, parsed, even_if_new=True) is not None]
        # A budget of its own is meant before a family's account.
        own = [b for b in touching if parse_scope(b["scope"]) == parsed]
        families = [b for b in touching if parse_scope(b["scope"]) != parsed]
        first, then = (families, []) if family else (own, touching)
        narrowed = shared.narrowed(first, per, added.unit)
        narrowed = narrowed or shared.narrowed(then, per, added.unit)
        budget = shared.only_one(narrowed, parsed, budgets)
        client.request(
            protocol.BUDGET_TOPUP, scope=str(parsed), per=budget["per"], unit=added.unit,
            amount=added.amount, family=parse_scope(budget["scope"]) != parsed,
        )  # fmt: skip
        after = [b for b in shared.all_budgets(client) if b["name"] == budget["name"]]
    parts = (shared.part_for(b, parsed) for b in after)
    shared.show([part for part in parts if part is not None], as_json=as_json)
