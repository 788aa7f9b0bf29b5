"""What the commands of `noburn budget` have in common: arguments, finding a budget, showing it.

Layer: commands.  Below: client, core.budgets, core.money, render.budget.
Only the daemon writes; this reads what a person typed and shows what the daemon answers.
"""

from __future__ import annotations

import difflib
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from noburn_cli import protocol
from noburn_cli.core.budgets import EACH, Scope, parse_scope
from noburn_cli.core.money import DOLLARS, REQUESTS, TOKENS, Limit, parse_limit
from noburn_cli.core.windows import CALL, WINDOWS, check_window
from noburn_cli.errors import NoburnError, PolicyChanged, UsageError

if TYPE_CHECKING:
    from noburn_cli.client import Client
    from noburn_cli.core.budget_spec import BudgetSpec

JSON_VERSION = 1
#: How often a change that somebody else's overtook is made anew.
_TRIES = 5
UNITS = (DOLLARS, TOKENS, REQUESTS)
WINDOW_WORDS = "|".join((*(word for word in WINDOWS if word != CALL), "90s|24h|30d", CALL))
SHELL_HINT = "the shell takes $20 for a variable: write '$20', 20usd or 20"
AMOUNT_HELP = "5, '$5' or 5usd; 2Mtok for tokens; 100req for requests."

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
        help=AMOUNT_HELP,
        metavar="LIMIT",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
#: For rm and topup, where the budget that is there says it.
PerOfExisting = Annotated[
    str | None,
    typer.Option(
        help="The budget's window; needed where a scope has several.", metavar=WINDOW_WORDS
    ),
]


def read_limit(text: str) -> Limit:
    """As parse_limit, with the marks that a shell leaves of `$5` and `$0.50` named.

    Raises UsageError.
    """
    plain = text.strip()
    if not plain:
        raise UsageError(
            "the limit is empty", why="in a shell, $5 is a variable", next_step=SHELL_HINT
        )
    try:
        return parse_limit(plain)
    except UsageError as error:
        # `$0` is the shell's own name: `$0.50` arrives as `bash.50`.
        if plain.partition(".")[0].rpartition("/")[2].lstrip("-") in ("bash", "zsh", "sh", "fish"):
            raise UsageError(
                error.message, why="the shell ate `$0`", next_step=SHELL_HINT
            ) from error
        raise


def check_choice(per: str | None, unit: str | None) -> str | None:
    """The window as it is written, when it and the unit are ones.  Raises UsageError."""
    if unit is not None and unit not in UNITS:
        raise UsageError(f"unknown unit {unit!r}", why=f"known are {', '.join(UNITS)}")
    return None if per is None else check_window(per)


def open_client() -> Client:
    from noburn_cli.client import Client

    return Client()


def all_budgets(client: Client) -> list[dict[str, Any]]:
    budgets: list[dict[str, Any]] = client.request(protocol.BUDGET_LIST)["budgets"]
    return budgets


def part_for(
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
    if any(ours[1] not in (EACH, theirs[1]) for ours, theirs in pairs):
        return None
    accounts = [a for a in budget["accounts"] if a["key"] == str(scope)]
    return {**budget, "accounts": accounts} if accounts or even_if_new else None


def narrowed(
    budgets: Sequence[dict[str, Any]], per: str | None, unit: str | None
) -> list[dict[str, Any]]:
    return [b for b in budgets if per in (None, b["per"]) and unit in (None, b["unit"])]


def only_one(
    candidates: Sequence[dict[str, Any]], scope: Scope, budgets: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """The one budget that is meant.  Raises NoburnError for none, UsageError for several."""
    if not candidates:
        raise no_budget(scope, budgets)
    if len(candidates) > 1:
        raise UsageError(
            f"{scope} has several budgets",
            why="; ".join(budget["name"] for budget in candidates),
            next_step="say which with --per, and for rm with --unit",
        )
    return candidates[0]


def no_budget(scope: Scope, budgets: Sequence[Mapping[str, Any]]) -> NoburnError:
    names = [str(budget["name"]) for budget in budgets]
    near = difflib.get_close_matches(str(scope), names, n=3, cutoff=0.3)
    return NoburnError(
        f"there is no such budget for {scope}",
        why=f"there is {'; '.join(near or names[:3])}" if names else "no budget has been set",
        next_step="`noburn budget list` shows all; `noburn budget set` makes one",
    )


def now_ms() -> int:
    return int(time.time() * 1000)


def to_come(reply: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """The changes of one budget that a `budget.list` reply says are to come."""
    from noburn_cli.render.budget_notes import scheduled_name

    return [one for one in reply["scheduled"] if scheduled_name(one["spec"]) == name]


def apply_steps(client: Client, make: Callable[[Mapping[str, Any]], list[dict[str, Any]]]) -> None:
    """Do all steps or none, made anew from what stands when somebody's change came between.

    make: the steps, given a `budget.list` reply.  Raises what it and the client raise.
    """
    for attempt in range(_TRIES):
        reply = client.request(protocol.BUDGET_LIST)
        try:
            client.request(protocol.BUDGET_APPLY, expects=reply["digest"], steps=make(reply))
        except PolicyChanged:
            if attempt == _TRIES - 1:
                raise
        else:
            return


def note_rules(specs: Iterable[BudgetSpec]) -> None:
    """Say what is odd about rules for cheaper models.

    Raises UsageError for a cheaper model that the price book does not have, PriceBookInvalid.
    """
    with_rules = [spec for spec in specs if spec.downgrade]
    if not with_rules:
        return
    from noburn_cli.core.downgrade_rules import check_rules
    from noburn_cli.prices import load_book

    book = load_book(os.environ)
    for spec in with_rules:
        for line in check_rules(spec.name, spec.downgrade, book, at_ms=now_ms()):
            typer.echo(f"note: {line}.", err=True)


def show(
    budgets: Sequence[Mapping[str, Any]], *, as_json: bool,
    scheduled: Sequence[Mapping[str, Any]] = (),
    taken_back: Sequence[Mapping[str, Any]] | None = None,
) -> None:  # fmt: skip
    """Print budgets, the changes that are to come, and those that no longer are."""
    from noburn_cli.render.budget import budget_data, render_budgets
    from noburn_cli.render.budget_notes import scheduled_data, taken_back_notes
    from noburn_cli.render.table import prose_lines, terminal_width

    if as_json:
        data = {
            "budgets": [budget_data(budget) for budget in budgets],
            "scheduled": [scheduled_data(one) for one in scheduled],
        }
        if taken_back is not None:
            data["taken_back"] = [scheduled_data(one) for one in taken_back]
        print_json(data)
    else:
        width = terminal_width()
        lines = render_budgets(budgets, now_ms=now_ms(), scheduled=scheduled, width=width)
        lines += prose_lines(taken_back_notes(taken_back or ()), width=width)
        typer.echo("\n".join(lines))


def print_json(data: object) -> None:
    from noburn_cli.render import jsonout

    jsonout.print_json("budget", JSON_VERSION, data)
