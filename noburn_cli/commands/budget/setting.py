"""`noburn budget set`: one budget put in force or changed, now or from a day on.

Layer: commands.  Below: commands.budget.shared, core.budget_spec, core.policy_plan.
Owns: what each option says, and that what is not said stays as it is.
"""

from __future__ import annotations

import re
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from noburn_cli import protocol
from noburn_cli.commands.budget import shared
from noburn_cli.commands.budget.shared import WINDOW_WORDS, AmountArgument, Json, ScopeArgument
from noburn_cli.core import budget_spec, policy_plan
from noburn_cli.core.actions import HARD
from noburn_cli.core.budget_spec import BudgetSpec
from noburn_cli.core.budgets import parse_scope
from noburn_cli.core.windows import UTC, check_window, check_zone
from noburn_cli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from noburn_cli.client import Client

NONE = "none"
#: No two zones' clocks are farther apart.
_ZONES_APART_MS = 26 * 3_600_000


class Action(StrEnum):
    """What a budget does about a call that goes beyond it; core.actions explains each."""

    block = "block"
    kill = "kill"
    warn = "warn"
    downgrade = "downgrade"
    bill = "bill"


def set_command(
    scope: ScopeArgument,
    limit: AmountArgument,
    per: Annotated[
        str,
        typer.Option(
            help="How long it counts: a window of the calendar, one that rolls (90s, 24h, 30d), "
            "or each single call.",
            metavar=WINDOW_WORDS,
        ),
    ] = "total",
    override: Annotated[
        bool | None,
        typer.Option(
            "--override/--no-override",
            help="Stand in for the budget of `each`, instead of beside it.",
            show_default=False,
        ),
    ] = None,
    action: Annotated[
        Action | None,
        typer.Option(
            help="What happens to a call beyond it: `block` it, `kill` its run, `warn`, "
            "`downgrade` its model, or `bill` it as overage.",
            show_default="block",
        ),
    ] = None,
    zone: Annotated[
        str | None,
        typer.Option(
            help="Whose days and months count, such as Europe/Berlin.",
            metavar="ZONE",
            show_default="UTC",
        ),
    ] = None,
    anchor: Annotated[
        str | None,
        typer.Option(
            help="The day that a month (1 to 31) or week (mon to sun) begins with.",
            metavar="DAY",
            show_default="1, mon",
        ),
    ] = None,
    carry_over: Annotated[
        str | None,
        typer.Option(
            help="The most that is carried over of what a window leaves.",
            metavar="AMOUNT",
            show_default="nothing",
        ),
    ] = None,
    downgrade: Annotated[
        list[str] | None,
        typer.Option(
            help="With --action downgrade: the cheaper model for one (`*` for any other).  "
            "May be repeated.",
            metavar="MODEL=CHEAPER",
        ),
    ] = None,
    threshold: Annotated[
        list[str] | None,
        typer.Option(
            help="Per cent at which to notify, such as 50,80,100; `none` for none.  "
            "May be repeated.",
            metavar="PERCENT",
        ),
    ] = None,
    notify: Annotated[
        list[str] | None,
        typer.Option(
            help="A channel of your configuration; `none` for none.  May be repeated.",
            metavar="CHANNEL",
        ),
    ] = None,
    from_: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="The day or moment from which it holds, such as 2027-01-01.",
            metavar="WHEN",
            show_default="now",
        ),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(
            help="The day or moment at which it ends.", metavar="WHEN", show_default="never"
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Set a budget, or change one: what is not said stays as it is."""
    amount = shared.read_limit(limit)
    plain = BudgetSpec(parse_scope(scope), check_window(per), amount.unit, amount.amount)
    said: dict[str, Any] = {
        "override": override,
        "action": None if action is None else action.value,
        "zone": None if zone is None else check_zone(zone),
        "anchor": None if anchor is None else budget_spec.read_anchor(anchor, plain.per),
        "carry": None if carry_over is None else _carry(carry_over, plain.unit),
        "downgrade": None if downgrade is None else _rules(downgrade),
        "thresholds": None if threshold is None else _thresholds(threshold),
        "notify": None if notify is None else _channels(notify),
    }
    said = {name: value for name, value in said.items() if value is not None}
    if "action" in said and said["action"] != "downgrade":
        said.setdefault("downgrade", ())
    # Found before a daemon is asked (or started): a budget that would be refused even if new.
    for text in (from_, until):
        _moment(text, said.get("zone", UTC), slack_ms=_ZONES_APART_MS)
    if not _relies(said):
        budget_spec.check_spec(replace(plain, **said))
    shared.note_rules([replace(plain, downgrade=said.get("downgrade", ()))])
    with shared.open_client() as client:
        spec, replaced = _put(client, plain, said, from_, until)
        reply = client.request(protocol.BUDGET_LIST)
    of_it = [b for b in reply["budgets"] if b["name"] == spec.name]
    to_come = shared.to_come(reply, spec.name)
    shared.show(of_it, as_json=as_json, scheduled=to_come, taken_back=replaced)
    if not amount.amount and spec.action in HARD:
        typer.echo("note: a limit of 0 blocks every call it is about.", err=True)
        typer.echo(f" next: if you meant another: {shared.SHELL_HINT}", err=True)


def _relies(said: dict[str, Any]) -> bool:
    """Whether it may rely on what a budget that stands says already."""
    channels_alone = bool(said.get("notify")) and "thresholds" not in said
    return channels_alone or (said.get("action") == "downgrade") != bool(said.get("downgrade"))


def _put(
    client: Client, plain: BudgetSpec, said: dict[str, Any], from_: str | None, until: str | None
) -> tuple[BudgetSpec, Sequence[Mapping[str, Any]]]:
    """Send it; what was set, and the changes to come that it replaced.

    Raises UsageError, and what the client raises.
    """
    spec = plain
    replaced: list[Mapping[str, Any]] = []

    def steps(reply: Mapping[str, Any]) -> list[dict[str, Any]]:
        nonlocal spec, replaced
        listed = next((b for b in reply["budgets"] if b["name"] == plain.name), None)
        before = plain if listed is None else budget_spec.spec_from(listed)
        spec = replace(before, limit=plain.limit, **said)
        spec = replace(spec, from_ms=_moment(from_, spec.zone), until_ms=_moment(until, spec.zone))
        budget_spec.check_spec(spec)
        replaced = [one for one in shared.to_come(reply, spec.name) if _is_replaced(one, spec)]
        found = [policy_plan.taking_back(one["id"]) for one in replaced]
        found.append(policy_plan.setting(spec, spec.from_ms))
        if spec.until_ms is not None:
            found.append(policy_plan.removal(spec, spec.until_ms))
        return found

    shared.apply_steps(client, steps)
    return spec, replaced


def _is_replaced(one: Mapping[str, Any], spec: BudgetSpec) -> bool:
    """Whether a change that is to come gives way to this one.

    That is one for the same moment, and with an end of its own every end that stands: an older and
    earlier one would take the limit away before that.  An end before it begins is of the budget
    that holds until then, and stays.
    """
    if one["at_ms"] in (spec.from_ms, spec.until_ms):
        return True
    is_end = "limit" not in one["spec"]
    return is_end and spec.until_ms is not None and one["at_ms"] > (spec.from_ms or 0)


def _moment(text: str | None, zone: str, *, slack_ms: int = 0) -> int | None:
    """A moment to come.  slack_ms: how far the zone may turn out to be away from this one."""
    if text is None:
        return None
    at_ms = budget_spec.read_moment(text, zone)
    if at_ms + slack_ms <= shared.now_ms():
        raise UsageError(
            f"{text} has passed", next_step="leave --from out to begin now, or name a later day"
        )
    return at_ms


def _carry(text: str, unit: str) -> int:
    if text.strip() in (NONE, "0"):
        return 0
    shared.read_limit(text)  # Names what a shell made of it.
    return budget_spec.read_carry(text, unit)


def _rules(pairs: list[str]) -> tuple[tuple[str, str], ...]:
    rules = {}
    for pair in pairs:
        dear, equals, cheap = pair.partition("=")
        if not equals:
            raise UsageError(
                f"no rule for a cheaper model: {pair!r}",
                next_step="write it like --downgrade gpt-6.1-sol=gpt-6-luna",
            )
        rules[dear.strip()] = cheap.strip()
    return budget_spec.read_rules(rules)


def _thresholds(texts: list[str]) -> tuple[int, ...]:
    found = []
    for text in ",".join(texts).split(","):
        plain = text.strip().removesuffix("%").strip()
        if plain == NONE:
            continue
        if not re.fullmatch(r"[0-9]{1,4}", plain):
            raise UsageError(
                f"no threshold: {text!r}", next_step="write it like --threshold 50,80,100"
            )
        found.append(int(plain))
    return budget_spec.read_thresholds(found)


def _channels(names: list[str]) -> tuple[str, ...]:
    split = [name.strip() for name in ",".join(names).split(",")]
    return budget_spec.read_channels([name for name in split if name != NONE])
