"""What a policy file would change: the budgets that it asks for beside those that are there.

Layer: core (pure, given the moment).  Below: core.budget_spec, core.money.
Above: `noburn budget apply`, which shows a plan and sends it to the daemon.
Owns: Plan, the order of its steps, and which of them loosen.
Not here: doing it (noburn_daemon.applying), how a plan looks (render.policy).

A file is the whole truth about the budgets it names: what holds now, and what is to come.  Other
budgets stay, or go when asked for (`prune`); those that noburn made itself (of a run, a job, a
key) always stay.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from noburn_cli.core.actions import BILL, BLOCK, DOWNGRADE, HARD, KILL
from noburn_cli.core.budget_spec import BudgetSpec, is_made_by_programs, spec_from, without_times
from noburn_cli.core.budgets import parse_scope
from noburn_cli.core.money import DOLLARS

CREATE, CHANGE, REMOVE, UNCHANGED = "create", "change", "remove", "unchanged"
SCHEDULE, UNSCHEDULE, STANDS = "schedule", "unschedule", "scheduled"
#: Steps that change something.
EFFECTIVE = (CREATE, CHANGE, REMOVE, SCHEDULE, UNSCHEDULE)

Identity = tuple[str, str, str]


@dataclass(frozen=True)
class Scheduled:
    """A change to come: `spec` from `at_ms` on, or (None) the end of the budget."""

    id: int
    at_ms: int
    identity: Identity
    spec: BudgetSpec | None


@dataclass(frozen=True)
class Standing:
    """The budgets as the daemon lists them.

    digest: of all of it; the daemon refuses a plan that was made against another one.
    """

    digest: str
    budgets: tuple[BudgetSpec, ...]
    scheduled: tuple[Scheduled, ...]
    #: Of runs, jobs and keys: no policy file is about them.
    own: tuple[BudgetSpec, ...] = ()


@dataclass(frozen=True)
class Step:
    """One line of a plan.

    kind: of CREATE … STANDS.  spec: what is to be; of a removal, what was.  before: what was, of a
    change.  at_ms: when, of what is scheduled; id: of what is taken back.
    """

    kind: str
    spec: BudgetSpec
    before: BudgetSpec | None = None
    at_ms: int | None = None
    id: int | None = None
    ends: bool = False

    @property
    def differences(self) -> tuple[tuple[str, Any, Any], ...]:
        """(field, old, new) of a change."""
        if self.before is None:
            return ()
        pairs = (
            (f.name, getattr(self.before, f.name), getattr(self.spec, f.name))
            for f in fields(BudgetSpec)
            if f.compare
        )
        return tuple(pair for pair in pairs if pair[1] != pair[2])

    @property
    def loosens(self) -> bool:
        """Whether it does more than tighten: what needs trust in a project's file.

        More could be spent, less be heard of it, or calls or bills are changed.
        """
        if self.kind == REMOVE or (self.kind == SCHEDULE and self.ends):
            return True
        if self.kind == UNSCHEDULE:
            return True
        if self.kind in (CREATE, SCHEDULE) and self.before is None:
            # A new one that downgrades changes calls' models; one that bills, what a customer owes.
            return self.spec.override or self.spec.action in (DOWNGRADE, BILL)
        return self.before is not None and is_looser(self.before, self.spec)


@dataclass(frozen=True)
class Plan:
    """The steps from what stands to what a file asks for, in its order."""

    digest: str
    steps: tuple[Step, ...]
    #: Budgets that stand and that the file does not name: how many, and are they left.
    others: int = 0
    own: int = 0

    @property
    def changes(self) -> tuple[Step, ...]:
        return tuple(step for step in self.steps if step.kind in EFFECTIVE)

    @property
    def set_here(self) -> tuple[BudgetSpec, ...]:
        """The budgets that the plan sets, now or later."""
        setting = (CREATE, CHANGE, SCHEDULE)
        return tuple(step.spec for step in self.steps if step.kind in setting and not step.ends)

    @property
    def looser(self) -> tuple[Step, ...]:
        return tuple(step for step in self.changes if step.loosens)

    def frame(self) -> dict[str, Any]:
        """The fields of a `budget.apply` frame."""
        return {"expects": self.digest, "steps": [_request(step) for step in self.changes]}


def _request(step: Step) -> dict[str, Any]:
    if step.kind == UNSCHEDULE:
        assert step.id is not None
        return taking_back(step.id)
    if step.kind == REMOVE or step.ends:
        return removal(step.spec, step.at_ms)
    return setting(step.spec, step.at_ms)


def setting(spec: BudgetSpec, at_ms: int | None) -> dict[str, Any]:
    """A step of a `budget.apply` frame that sets a budget, now or at a moment."""
    return {"op": "budget.set", "n": 0, **spec.frame(), "at_ms": at_ms}


def removal(spec: BudgetSpec, at_ms: int | None) -> dict[str, Any]:
    """A step that removes one."""
    scope, per, unit = spec.identity
    named = {"scope": scope, "per": per, "unit": unit}
    return {"op": "budget.rm", "n": 0, **named, "at_ms": at_ms}


def taking_back(number: int) -> dict[str, Any]:
    """A step that takes back a change that is to come."""
    return {"op": "budget.unschedule", "n": 0, "id": number}


def standing_from(reply: Mapping[str, Any]) -> Standing:
    """What a `budget.list` reply says."""
    budgets: list[BudgetSpec] = []
    own: list[BudgetSpec] = []
    for listed in reply["budgets"]:
        spec = spec_from(listed)
        (
            own if listed.get("run") is not None or is_made_by_programs(spec.scope) else budgets
        ).append(spec)
    scheduled = tuple(_scheduled_from(one) for one in reply.get("scheduled", ()))
    return Standing(str(reply.get("digest", "")), tuple(budgets), scheduled, tuple(own))


def _scheduled_from(listed: Mapping[str, Any]) -> Scheduled:
    request = listed["spec"]
    if "limit" not in request:  # The end of a budget.
        scope, unit = str(parse_scope(request["scope"])), request.get("unit", DOLLARS)
        return Scheduled(listed["id"], listed["at_ms"], (scope, request["per"], unit), None)
    spec = spec_from(request)
    return Scheduled(listed["id"], listed["at_ms"], spec.identity, spec)


def make_plan(
    wanted: Sequence[BudgetSpec], standing: Standing, *, now_ms: int, prune: bool = False
) -> Plan:
    """Compare what a file asks for with what stands.

    wanted: its budgets; one may be there several times, with different `from`.
    prune: remove what stands and is not in the file.
    """
    groups: dict[Identity, list[BudgetSpec]] = {}
    for spec in wanted:
        groups.setdefault(spec.identity, []).append(spec)
    now = {spec.identity: spec for spec in (*standing.budgets, *standing.own)}
    steps: list[Step] = []
    for identity, specs in groups.items():
        to_come = [one for one in standing.scheduled if one.identity == identity]
        steps.extend(_steps_for(specs, now.get(identity), to_come, now_ms))
    others = [spec for spec in standing.budgets if spec.identity not in groups]
    unnamed = [
        one
        for one in standing.scheduled
        if one.identity not in groups and not is_made_by_programs(parse_scope(one.identity[0]))
    ]
    if prune:
        steps.extend(Step(REMOVE, spec) for spec in others)
        steps.extend(_taken_back(unnamed, now))
    left = 0 if prune else len(others)
    own = sum(spec.identity not in groups for spec in standing.own)
    return Plan(standing.digest, tuple(steps), left, own)


def _steps_for(
    specs: Sequence[BudgetSpec], before: BudgetSpec | None, to_come: Sequence[Scheduled],
    now_ms: int,
) -> Iterable[Step]:  # fmt: skip
    """The steps for one budget: what it is to be now, then what is to come."""
    ordered = sorted(specs, key=lambda spec: spec.from_ms or 0)
    begun = [spec for spec in ordered if (spec.from_ms or 0) <= now_ms]
    holds = begun[-1] if begun else None
    if holds is not None and holds.until_ms is not None and holds.until_ms <= now_ms:
        if before is not None:
            yield Step(REMOVE, before)
        before = None
    elif holds is not None:
        target = without_times(holds)
        if before is None:
            yield Step(CREATE, target)
        else:
            kind = UNCHANGED if target == before else CHANGE
            yield Step(kind, target, before)
        before = target
    yield from _schedule(ordered, before, to_come, now_ms)


def _schedule(
    ordered: Sequence[BudgetSpec], before: BudgetSpec | None, to_come: Sequence[Scheduled],
    now_ms: int,
) -> Iterable[Step]:  # fmt: skip
    """Changes to come as the file has them, and those that stand and are not in it."""
    starts = {spec.from_ms for spec in ordered if spec.from_ms is not None}
    wanted: list[tuple[int, BudgetSpec, bool]] = []
    for spec in ordered:
        if spec.from_ms is not None and spec.from_ms > now_ms:
            wanted.append((spec.from_ms, without_times(spec), False))
        # The next one takes over at once where it begins with this one's end.
        if spec.until_ms is not None and spec.until_ms > now_ms and spec.until_ms not in starts:
            wanted.append((spec.until_ms, without_times(spec), True))
    left = list(to_come)
    for at_ms, spec, ends in sorted(wanted, key=lambda one: one[0]):
        same = next(
            (o for o in left if o.at_ms == at_ms and o.spec == (None if ends else spec)), None
        )
        if same is not None:
            left.remove(same)
        kind = SCHEDULE if same is None else STANDS
        yield Step(kind, spec, None if ends else before, at_ms=at_ms, ends=ends)
        before = None if ends else spec
    yield from _taken_back(left, {spec.identity: spec for spec in ordered})


def _taken_back(left: Iterable[Scheduled], known: Mapping[Identity, BudgetSpec]) -> Iterable[Step]:
    for one in left:
        scope, per, unit = one.identity
        # An end may be of a budget that is to come itself, or that is gone.
        spec = one.spec or known.get(one.identity) or BudgetSpec(parse_scope(scope), per, unit, 0)
        yield Step(UNSCHEDULE, spec, at_ms=one.at_ms, id=one.id, ends=one.spec is None)


def is_looser(before: BudgetSpec, after: BudgetSpec) -> bool:
    """Whether a budget lets more pass, or tells less, than it did; what can't be compared does."""
    if after.limit > before.limit or after.carry > before.carry:
        return True
    if (after.zone, after.anchor) != (before.zone, before.anchor):
        return True
    if after.override and not before.override:
        return True
    if _strength(after.action) < _strength(before.action) or (
        after.action not in HARD and (after.action, after.downgrade)
        != (before.action, before.downgrade)
    ):  # fmt: skip
        return True
    return not (
        set(before.thresholds) <= set(after.thresholds) and set(before.notify) <= set(after.notify)
    )


def _strength(action: str) -> int:
    return {KILL: 2, BLOCK: 1}.get(action, 0)


def in_force_after(
    wanted: Sequence[BudgetSpec], present: Iterable[BudgetSpec], *, prune: bool
) -> list[BudgetSpec]:
    """The budgets that hold once a file is applied and all that it schedules has come.

    Of several versions of one budget the last counts.
    """
    found = {} if prune else {spec.identity: spec for spec in present}
    for spec in sorted(wanted, key=lambda one: one.from_ms or 0):
        found[spec.identity] = without_times(spec)
    return list(found.values())
