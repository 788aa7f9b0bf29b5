"""A budget as people ask for it: every field, what it may be, and which fields go together.

Layer: core (pure).  Below: core.actions, core.budgets, core.windows, core.money.
Above: core.policy_tables (`[[budget]]`), core.policy_plan, core.policy_model, `budget set`.
Owns: BudgetSpec, and the rules that `noburn budget set` and policy files share.
Not here: balances (the daemon's accounts), where a window begins and ends (core.windows).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timezone
from typing import Any

from noburn_cli.core.actions import ACTIONS, ANY_MODEL, BILL, BLOCK, DOWNGRADE
from noburn_cli.core.budgets import Scope, budget_name, margin_floor, parse_scope
from noburn_cli.core.money import Limit, parse_limit
from noburn_cli.core.windows import CALENDAR, CALL, MONTH, UTC, WEEK, check_zone
from noburn_cli.errors import UsageError

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
#: Scopes with these are of budgets that programs make, or noburn for a run or a key.
MADE_BY_PROGRAMS = ("run", "job", "tag.key")
THRESHOLD_MAX = 1000
THRESHOLDS_MAX = 32
_MODEL = re.compile(r"\S{1,200}")
#: As core.service_keys has it for [notify.NAME].
_CHANNEL = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}", re.ASCII)


@dataclass(frozen=True)
class BudgetSpec:
    """What a budget is to be.  Amounts in the unit: nano-dollars, tokens or requests.

    anchor: the day that a month (1 to 31) or a week (1 to 7, from Monday) begins with.
    carry: the most that is carried over of what a window leaves.
    downgrade: (model or `*`, cheaper model), sorted.
    thresholds: per cent of what the budget has, sorted.  notify: names of channels.
    from_ms, until_ms: when it begins and ends to hold, epoch ms; None for now, and for ever.
    """

    scope: Scope
    per: str
    unit: str
    limit: int
    override: bool = False
    action: str = BLOCK
    zone: str = UTC
    anchor: int = 1
    carry: int = 0
    downgrade: tuple[tuple[str, str], ...] = ()
    thresholds: tuple[int, ...] = ()
    notify: tuple[str, ...] = ()
    from_ms: int | None = field(default=None, compare=False)
    until_ms: int | None = field(default=None, compare=False)

    @property
    def identity(self) -> tuple[str, str, str]:
        """What makes it this budget: two of the same are one budget, set twice."""
        return str(self.scope), self.per, self.unit

    @property
    def name(self) -> str:
        return budget_name(self.scope, self.per, self.unit)

    def __str__(self) -> str:
        return f"{self.name}: {Limit(self.unit, self.limit)}"

    def frame(self) -> dict[str, Any]:
        """The fields of a `budget.set` frame."""
        return {
            "scope": str(self.scope),
            "per": self.per,
            "limit": {"unit": self.unit, "amount": self.limit},
            "override": self.override,
            "action": self.action,
            "zone": self.zone,
            "anchor": self.anchor,
            "carry": self.carry,
            "downgrade": dict(self.downgrade),
            "thresholds": list(self.thresholds),
            "notify": list(self.notify),
        }


def spec_from(listed: Mapping[str, Any]) -> BudgetSpec:
    """The spec of a budget as the daemon lists it, as the ledger's table has it, or of a frame."""
    limit = listed["limit"]
    unit, amount = (
        (limit["unit"], limit["amount"]) if isinstance(limit, Mapping) else (listed["unit"], limit)
    )
    return BudgetSpec(
        scope=parse_scope(listed["scope"]),
        per=listed["per"],
        unit=unit,
        limit=amount,
        override=bool(listed.get("override", False)),
        action=listed.get("action", BLOCK),
        zone=listed.get("zone", UTC),
        anchor=listed.get("anchor", 1),
        carry=listed.get("carry", 0),
        downgrade=tuple(sorted(dict(listed.get("downgrade") or {}).items())),
        thresholds=tuple(listed.get("thresholds") or ()),
        notify=tuple(listed.get("notify") or ()),
    )


def check_spec(spec: BudgetSpec) -> BudgetSpec:
    """The spec, when its fields go together.  Raises UsageError: what, why, what to write."""
    check_zone(spec.zone)
    calendar = spec.per in CALENDAR
    if spec.zone != UTC and not calendar:
        raise UsageError(
            f"`zone` is only for windows of the calendar, and {spec.name} counts per {spec.per}",
            next_step="leave the zone out, or count per hour, day, week or month",
        )
    if spec.anchor != 1 and spec.per not in (WEEK, MONTH):
        raise UsageError(
            f"`anchor` is the day that a week or month begins with; {spec.name} has neither",
            next_step="leave the anchor out, or count per week or month",
        )
    if spec.carry and not calendar:
        raise UsageError(
            f"`carry` is only for windows that end and begin anew, and {spec.name} has none",
            next_step="leave it out, or count per hour, day, week or month",
        )
    if spec.per == CALL and (spec.thresholds or spec.action == BILL):
        raise UsageError(
            f"{spec.name} is a ceiling on each single call: nothing adds up",
            why="thresholds and `bill` are about what has added up",
            next_step="set them on a budget per day or month beside it",
        )
    if spec.notify and not spec.thresholds:
        raise UsageError(
            f"{spec.name} has channels to notify, and no thresholds to notify of",
            next_step="add thresholds, such as 50, 80 and 100 per cent",
        )
    _check_rules(spec)
    if spec.from_ms is not None and spec.until_ms is not None and spec.until_ms <= spec.from_ms:
        raise UsageError(f"{spec.name} would end before it begins")
    return spec


def _check_rules(spec: BudgetSpec) -> None:
    if spec.action == DOWNGRADE and not spec.downgrade:
        raise UsageError(
            f"{spec.name} downgrades, and does not say to which models",
            next_step="add rules, such as gpt-6.1-sol=gpt-6-luna",
        )
    if spec.downgrade and spec.action != DOWNGRADE:
        raise UsageError(
            f"{spec.name} has models to downgrade to, and the action {spec.action!r}",
            next_step="take the action `downgrade`, or leave the models out",
        )


def read_action(text: str) -> str:
    """One of ACTIONS.  Raises UsageError."""
    if text not in ACTIONS:
        raise UsageError(f"unknown action {text!r}", why=f"known are {', '.join(ACTIONS)}")
    return text


def read_anchor(value: int | str, per: str) -> int:
    """The day that a month or week begins with: 1 to 31; 1 to 7, or `mon` to `sun`.

    Raises UsageError.
    """
    text = str(value).strip().lower()
    if per == WEEK and text[:3] in WEEKDAYS:
        return WEEKDAYS.index(text[:3]) + 1
    most = 7 if per == WEEK else 31
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text) <= most:
        said = "mon to sun, or 1 to 7" if per == WEEK else "1 to 31"
        raise UsageError(f"no day that a {per} begins with: {value!r}", why=f"it is {said}")
    return int(text)


def read_carry(text: str, unit: str) -> int:
    """The most to carry over, in the budget's own unit.  Raises UsageError."""
    limit = parse_limit(text)
    if limit.unit != unit:
        raise UsageError(
            f"what is carried over is in {limit.unit}, the limit in {unit}",
            next_step="write both in the same unit",
        )
    return limit.amount


def read_thresholds(values: list[int]) -> tuple[int, ...]:
    """Per cents from 1 to 1000, each once, sorted.  Raises UsageError."""
    for one in values:
        if not 1 <= one <= THRESHOLD_MAX:
            raise UsageError(f"no threshold: {one!r}", why=f"it is 1 to {THRESHOLD_MAX} per cent")
    found = tuple(sorted(set(values)))
    if len(found) > THRESHOLDS_MAX:
        raise UsageError(f"more than {THRESHOLDS_MAX} thresholds on one budget")
    return found


def read_rules(rules: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Models and the cheaper ones that stand in for them.

    Raises UsageError for names that are none, and for rules that lead in a circle.
    """
    for dear, cheap in rules.items():
        if not _MODEL.fullmatch(dear) or not _MODEL.fullmatch(cheap) or cheap == ANY_MODEL:
            raise UsageError(
                f"no rule for a cheaper model: {dear!r} to {cheap!r}",
                next_step="write it like gpt-6.1-sol=gpt-6-luna; `*` is any other model",
            )
        seen = [dear]
        while cheap in rules:
            if cheap in seen:
                raise UsageError(f"the cheaper models lead in a circle: {' > '.join(seen)}")
            seen.append(cheap)
            cheap = rules[cheap]
    return tuple(sorted(rules.items()))


def read_channels(names: list[str]) -> tuple[str, ...]:
    """Names of channels to notify, each once.  Raises UsageError."""
    for name in names:
        if not _CHANNEL.fullmatch(name):
            raise UsageError(
                f"no name of a channel: {name!r}", next_step="write it as in [notify.NAME]"
            )
    return tuple(dict.fromkeys(names))


def read_moment(value: str | date | datetime, zone: str) -> int:
    """A day or a moment as epoch ms: a day is its first moment in `zone`, where it says none.

    Raises UsageError.
    """
    try:
        moment = datetime.fromisoformat(value.strip()) if isinstance(value, str) else value
    except ValueError as error:
        raise UsageError(
            f"no day and no moment: {value!r}",
            next_step="write it like 2027-01-01 or 2027-01-01T09:00",
        ) from error
    if not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day)  # noqa: DTZ001 - see below
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=_zone(zone))
    try:
        return int(moment.timestamp() * 1000)
    except (OverflowError, ValueError) as error:
        raise UsageError(f"no moment that a clock can show: {value!r}") from error


def _zone(name: str) -> Any:
    if name == UTC:
        return timezone.utc
    from zoneinfo import ZoneInfo

    return ZoneInfo(name)


def without_times(spec: BudgetSpec) -> BudgetSpec:
    """The same budget, holding from now on for ever."""
    return replace(spec, from_ms=None, until_ms=None)


def is_made_by_programs(scope: Scope) -> bool:
    """Whether budgets of this scope come and go with programs: no policy file is about them.

    Those that watch a margin come and go with `noburn pnl --alerts`.
    """
    return (
        any(key in MADE_BY_PROGRAMS for key in scope.keys) or margin_floor(scope.keys) is not None
    )
