"""`noburn budget`: limits on scopes, as the daemon keeps them.

Layer: commands.  Below: client, core.budgets, core.money, render.budget.
Only the daemon writes; this reads what a person typed and shows what the daemon answers.
"""

from __future__ import annotations

import difflib
import time
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from noburn_cli import protocol
from noburn_cli.core.budgets import Scope, parse_scope
from noburn_cli.core.money import DOLLARS, REQUESTS, TOKENS, Limit, parse_limit, show_amount
from noburn_cli.core.windows import WINDOWS, check_window
from noburn_cli.errors import NoburnError, UsageError

if TYPE_CHECKING:
    from noburn_cli.client import Client

JSON_VERSION = 1
UNITS = (DOLLARS, TOKENS, REQUESTS)

app = typer.Typer(
    help="Set, list, show, remove and top up budgets.", add_completion=False, rich_markup_mode=None
)


class Action(StrEnum):
    """What a block by a budget does."""

    block = "block"
    kill = "kill"


ScopeArgument = Annotated[
    str,
    typer.Argument(
        help="global, project=x, customer=acme, customer=each (each its own), feature=x, "
        "user=x, run=ID, job=x, step=x, tag.team=x; several joined by commas.",
        metavar="SCOPE",
        show_default=False,
    ),
]
AmountArgument = Annotated[
    str,
    typer.Argument(
        help="5, '$5' or 5usd; 2Mtok for tokens; 100req for requests.",
        metavar="LIMIT",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
#: For rm and topup, where the budget that is there says it.
PerOfExisting = Annotated[
    str | None,
    typer.Option(
        help="The budget's window; needed where a scope has several.", metavar="|".join(WINDOWS)
    ),
]


@app.command("set")
def set_command(
    scope: ScopeArgument,
    limit: AmountArgument,
    per: Annotated[
        str, typer.Option(help="How long it counts, in UTC.", metavar="|".join(WINDOWS))
    ] = "total",
    override: Annotated[
        bool,
        typer.Option("--override", help="Stand in for the budget of `each`, instead of beside it."),
    ] = False,
    action: Annotated[
        Action,
        typer.Option(
            help="What a block by it does: `block` that call only, or `kill` its run at once."
        ),
    ] = Action.block,
    as_json: Json = False,
) -> None:
    """Set a budget, or change the limit of one."""
    parsed = parse_scope(scope)
    check_window(per)
    amount = _read_limit(limit)
    with _client() as client:
        reply = client.request(
            protocol.BUDGET_SET,
            scope=str(parsed),
            per=per,
            limit={"unit": amount.unit, "amount": amount.amount},
            override=override,
            action=action.value,
        )
    _show([reply["budget"]], as_json=as_json)
    if not amount.amount:
        _warn_of_zero()


@app.command("list")
def list_command(as_json: Json = False) -> None:
    """List every budget with what is settled, held and left."""
    with _client() as client:
        budgets = _all_budgets(client)
    if not budgets and not as_json:
        typer.echo("no budgets yet: `noburn budget set customer=each 5 --per month`", err=True)
        return
    _show(budgets, as_json=as_json)


@app.command("show")
def show_command(scope: ScopeArgument, as_json: Json = False) -> None:
    """Show the budgets of one scope, and its account in the budgets of `each`."""
    parsed = parse_scope(scope)
    with _client() as client:
        budgets = _all_budgets(client)
    found = [shown for budget in budgets if (shown := _part_for(budget, parsed)) is not None]
    if not found:
        raise _no_budget(parsed, budgets)
    _show(found, as_json=as_json)


@app.command("rm")
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
    _check_choice(per, unit)
    with _client() as client:
        budgets = _all_budgets(client)
        of_scope = [b for b in budgets if parse_scope(b["scope"]) == parsed]
        budget = _only_one(_narrowed(of_scope, per, unit), parsed, budgets)
        client.request(
            protocol.BUDGET_RM, scope=budget["scope"], per=budget["per"], unit=budget["unit"]
        )
    if as_json:
        _print_json({"removed": _data(budget)})
    else:
        limit = show_amount(budget["unit"], budget["limit"])
        typer.echo(f"removed {budget['name']} ({limit})")


@app.command("topup")
def topup_command(
    scope: ScopeArgument, amount: AmountArgument, per: PerOfExisting = None, as_json: Json = False
) -> None:
    """Add to what a budget has, in its current window only."""
    parsed = parse_scope(scope)
    if parsed.is_family:
        raise UsageError(
            f"a top-up goes to one account, not to {parsed}",
            next_step="name it: `noburn budget topup customer=acme 5`",
        )
    added = _read_limit(amount)
    if not added.amount:
        raise UsageError("a top-up of 0 adds nothing", next_step=_SHELL_HINT)
    _check_choice(per, None)
    with _client() as client:
        budgets = _all_budgets(client)
        touching = [b for b in budgets if _part_for(b, parsed, even_if_new=True) is not None]
        # A budget of its own is meant before a family's account.
        own = [b for b in touching if parse_scope(b["scope"]) == parsed]
        narrowed = _narrowed(own, per, added.unit) or _narrowed(touching, per, added.unit)
        budget = _only_one(narrowed, parsed, budgets)
        client.request(
            protocol.BUDGET_TOPUP,
            scope=str(parsed),
            per=budget["per"],
            unit=added.unit,
            amount=added.amount,
        )
        after = [b for b in _all_budgets(client) if b["name"] == budget["name"]]
    shown = [part for b in after if (part := _part_for(b, parsed)) is not None]
    _show(shown, as_json=as_json)


_SHELL_HINT = "the shell takes $20 for a variable: write '$20', 20usd or 20"


def _read_limit(text: str) -> Limit:
    """As parse_limit, with the marks that a shell leaves of `$5` and `$0.50` named.

    Raises UsageError.
    """
    plain = text.strip()
    if not plain:
        raise UsageError(
            "the limit is empty", why="in a shell, $5 is a variable", next_step=_SHELL_HINT
        )
    try:
        return parse_limit(plain)
    except UsageError as error:
        # `$0` is the shell's own name: `$0.50` arrives as `bash.50`.
        if plain.partition(".")[0].rpartition("/")[2].lstrip("-") in ("bash", "zsh", "sh", "fish"):
            raise UsageError(
                error.message, why="the shell ate `$0`", next_step=_SHELL_HINT
            ) from error
        raise


def _warn_of_zero() -> None:
    typer.echo("note: a limit of 0 blocks every call it is about.", err=True)
    typer.echo(f" next: if you meant another: {_SHELL_HINT}", err=True)


def _check_choice(per: str | None, unit: str | None) -> None:
    if per is not None:
        check_window(per)
    if unit is not None and unit not in UNITS:
        raise UsageError(f"unknown unit {unit!r}", why=f"known are {', '.join(UNITS)}")


def _client() -> Client:
    from noburn_cli.client import Client

    return Client()


def _all_budgets(client: Client) -> list[dict[str, Any]]:
    budgets: list[dict[str, Any]] = client.request(protocol.BUDGET_LIST)["budgets"]
    return budgets


def _part_for(
    budget: dict[str, Any], scope: Scope, *, even_if_new: bool = False
) -> dict[str, Any] | None:
    """A budget as far as it is about `scope`: all of it, or one account of a family.

    even_if_new: a family that has no account for it yet counts as well.
    """
    own = parse_scope(budget["scope"])
    if own == scope:
        return budget
    if not own.is_family or own.keys != scope.keys:
        return None
    pairs = zip(own.pairs, scope.pairs, strict=True)
    if any(ours[1] not in ("*", theirs[1]) for ours, theirs in pairs):
        return None
    accounts = [a for a in budget["accounts"] if a["key"] == str(scope)]
    return {**budget, "accounts": accounts} if accounts or even_if_new else None


def _narrowed(
    budgets: Sequence[dict[str, Any]], per: str | None, unit: str | None
) -> list[dict[str, Any]]:
    return [b for b in budgets if per in (None, b["per"]) and unit in (None, b["unit"])]


def _only_one(
    candidates: Sequence[dict[str, Any]], scope: Scope, budgets: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """The one budget that is meant.  Raises NoburnError for none, UsageError for several."""
    if not candidates:
        raise _no_budget(scope, budgets)
    if len(candidates) > 1:
        raise UsageError(
            f"{scope} has several budgets",
            why="; ".join(budget["name"] for budget in candidates),
            next_step="say which with --per, and for rm with --unit",
        )
    return candidates[0]


def _no_budget(scope: Scope, budgets: Sequence[Mapping[str, Any]]) -> NoburnError:
    names = [str(budget["name"]) for budget in budgets]
    near = difflib.get_close_matches(str(scope), names, n=3, cutoff=0.3)
    return NoburnError(
        f"there is no such budget for {scope}",
        why=f"there is {'; '.join(near or names[:3])}" if names else "no budget has been set",
        next_step="`noburn budget list` shows all; `noburn budget set` makes one",
    )


def _show(budgets: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    from noburn_cli.render.budget import render_budgets

    if as_json:
        _print_json({"budgets": [_data(budget) for budget in budgets]})
    else:
        typer.echo("\n".join(render_budgets(budgets, now_ms=int(time.time() * 1000))))


def _data(budget: Mapping[str, Any]) -> dict[str, Any]:
    from noburn_cli.render.budget import budget_data

    return budget_data(budget)


def _print_json(data: object) -> None:
    from noburn_cli.render.jsonout import print_json

    print_json("budget", JSON_VERSION, data)
