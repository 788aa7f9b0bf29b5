"""What a budget says besides its limit: in whose time it counts, what it carries, whom it tells.

Layer: render, pure.  Below: core.  Above: render.budget, render.policy.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone, tzinfo
from typing import Any

from noburn_cli.core.budget_spec import WEEKDAYS, BudgetSpec, spec_from
from noburn_cli.core.budgets import budget_name, parse_scope
from noburn_cli.core.money import DOLLARS, Nano, show_amount
from noburn_cli.core.windows import MONTH, UTC

_MINUTE_MS = 60_000
_VERBS = {"kill": "kills", "warn": "warns", "downgrade": "downgrades", "bill": "bills"}


def zone_of(name: str) -> tzinfo:
    if name == UTC:
        return timezone.utc
    from zoneinfo import ZoneInfo

    return ZoneInfo(name)


def show_moment(at_ms: int, zone: str, *, among: Iterable[int] = ()) -> str:
    """A moment in a budget's own time: `2027-01-01 00:00 CET`.

    among: epoch ms of those shown beside it; with seconds, where one is of the same minute.
    """
    same = {other for other in among if other // _MINUTE_MS == at_ms // _MINUTE_MS}
    clock = "%H:%M:%S" if same - {at_ms} else "%H:%M"
    return f"{datetime.fromtimestamp(at_ms / 1000, tz=zone_of(zone)):%Y-%m-%d {clock} %Z}"


def marks(spec: BudgetSpec) -> list[str]:
    """What is said beside a budget's name: `override`, `kills`."""
    found = ["override"] if spec.override else []
    return [*found, _VERBS[spec.action]] if spec.action in _VERBS else found


def show_anchor(per: str, anchor: int) -> str:
    return str(anchor) if per == MONTH else WEEKDAYS[anchor - 1]


def details(spec: BudgetSpec) -> list[str]:
    """Everything else that it says, as short sentences without a stop."""
    found = []
    if spec.zone != UTC:
        found.append(f"in the time of {spec.zone}")
    if spec.anchor != 1:
        found.append(f"each {spec.per} from {show_anchor(spec.per, spec.anchor)}")
    if spec.carry:
        found.append(f"carries over up to {show_amount(spec.unit, spec.carry)}")
    if spec.downgrade:
        found.append(", ".join(f"{dear} becomes {cheap}" for dear, cheap in spec.downgrade))
    if spec.thresholds:
        levels = ", ".join(str(one) for one in spec.thresholds)
        whom = ", ".join(spec.notify) if spec.notify else "nobody"
        found.append(f"tells {whom} at {levels} %")
    return found


def budget_notes(budgets: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A line for each budget that says more than its limit."""
    for budget in budgets:
        said = details(spec_from(budget))
        if said:
            yield f"{budget['name']}: {'; '.join(said)}."


def reached(budgets: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What accounts have reached: thresholds that were told, and overage that was billed."""
    for budget in budgets:
        for account in budget["accounts"]:
            if account.get("notified"):
                yield f"Told of {account['key']}: {account['notified']} % reached."
            if account.get("overage"):
                amount = show_amount(budget["unit"], account["overage"])
                yield f"Billed beyond the limit of {account['key']}: {amount}."


def scheduled_notes(scheduled: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A line for each change that is to come, with its number for `unschedule`."""
    moments = [int(one["at_ms"]) for one in scheduled]
    for one in sorted(scheduled, key=lambda one: int(one["at_ms"])):
        said = planned(one["at_ms"], one["spec"], among=moments)
        yield f"{said} (change {one['id']})."


def planned(at_ms: int, request: Mapping[str, Any], *, among: Iterable[int] = ()) -> str:
    """What a change that is to come does, and when; `among` as show_moment has it."""
    when = show_moment(at_ms, request.get("zone", UTC), among=among)
    preposition = "At" if "limit" not in request else "From"
    return f"{preposition} {when}: {scheduled_name(request)} {_becomes(request)}"


def taken_back_notes(scheduled: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A line for each change that was to come and no longer is."""
    for line in scheduled_notes(scheduled):
        yield f"Taken back: {line[0].lower()}{line[1:]}"


def scheduled_name(request: Mapping[str, Any]) -> str:
    """The budget that a change to come is about."""
    limit = request.get("limit") or request
    return budget_name(parse_scope(request["scope"]), request["per"], limit.get("unit", DOLLARS))


def _becomes(request: Mapping[str, Any]) -> str:
    if "limit" not in request:
        return "ends"
    spec = spec_from(request)
    said = [show_amount(spec.unit, spec.limit), *marks(spec), *details(spec)]
    return f"is {'; '.join(said)}"


def scheduled_data(one: Mapping[str, Any]) -> dict[str, Any]:
    """A change that is to come as data."""
    request = one["spec"]
    ends = "limit" not in request
    return {
        "id": one["id"],
        "at_ms": one["at_ms"],
        "budget": scheduled_name(request),
        "ends": ends,
        "becomes": None if ends else spec_data(spec_from(request)),
    }


def spec_data(spec: BudgetSpec) -> dict[str, Any]:
    """A budget as data: dollars as exact decimal strings, tokens and requests whole."""
    return {
        "name": spec.name,
        "scope": str(spec.scope),
        "per": spec.per,
        "unit": spec.unit,
        "limit": exact(spec.unit, spec.limit),
        "override": spec.override,
        "action": spec.action,
        "zone": spec.zone,
        "anchor": spec.anchor,
        "carry": exact(spec.unit, spec.carry),
        "downgrade": dict(spec.downgrade),
        "thresholds": list(spec.thresholds),
        "notify": list(spec.notify),
    }


def exact(unit: str, amount: int) -> int | str:
    return Nano(amount).exact() if unit == DOLLARS else amount
