"""How a plan looks: a line for each budget, and what changes of it below.

Layer: render, pure.  Below: core.policy_plan, render.budget_notes.
Above: commands.budget.applying.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from noburn_cli.core.budget_spec import BudgetSpec
from noburn_cli.core.money import show_amount
from noburn_cli.core.policy_plan import (
    CHANGE,
    CREATE,
    REMOVE,
    SCHEDULE,
    STANDS,
    UNCHANGED,
    UNSCHEDULE,
    Plan,
    Step,
)
from noburn_cli.render.budget_notes import (
    details,
    exact,
    marks,
    show_anchor,
    show_moment,
    spec_data,
)
from noburn_cli.render.table import safe_text

_SIGNS = {
    CREATE: "+ create", CHANGE: "~ change", REMOVE: "- remove", UNCHANGED: "= unchanged",
    SCHEDULE: "> schedule", STANDS: "= scheduled", UNSCHEDULE: "< take back",
}  # fmt: skip
_WORDS = {"carry": "carry over", "thresholds": "thresholds", "notify": "notifies"}


def render_plan(plan: Plan, file: str) -> list[str]:
    """The plan as lines; amounts with their units."""
    lines = [f"{safe_text(file)}:"]
    moments = [step.at_ms for step in plan.steps if step.at_ms is not None]
    for step in plan.steps:
        lines.append(f"  {_SIGNS[step.kind]:<12} {safe_text(_said(step, moments))}")
        lines.extend(f"{'':<17}{safe_text(line)}" for line in _differences(step))
    lines.append("")
    lines.append(_summary(plan))
    if plan.others:
        lines.append(
            f"{_budgets(plan.others)} that the file does not name {_stay(plan.others)} as "
            f"{'it is' if plan.others == 1 else 'they are'}; --prune would remove "
            f"{'it' if plan.others == 1 else 'them'}."
        )
    if plan.own:
        lines.append(f"{_budgets(plan.own)} of runs, jobs and keys {_stay(plan.own)} in any case.")
    return lines


def _budgets(count: int) -> str:
    return "1 budget" if count == 1 else f"{count:,} budgets"


def _stay(count: int) -> str:
    return "stays" if count == 1 else "stay"


def _said(step: Step, moments: Sequence[int]) -> str:
    spec = step.spec
    if step.kind in (SCHEDULE, STANDS, UNSCHEDULE):
        assert step.at_ms is not None
        when = show_moment(step.at_ms, spec.zone, among=moments)
        if step.ends:
            return f"{spec.name} at {when}: it ends"
        return f"{spec.name} from {when}: {_whole(spec)}"
    if step.kind == CHANGE:
        return spec.name
    return f"{spec.name}: {_whole(spec)}"


def _whole(spec: BudgetSpec) -> str:
    return "; ".join([show_amount(spec.unit, spec.limit), *marks(spec), *details(spec)])


def _differences(step: Step) -> Iterator[str]:
    for field, old, new in step.differences if step.kind == CHANGE else ():
        word = _WORDS.get(field, field)
        yield f"{word}: {_value(step.spec, field, old)} -> {_value(step.spec, field, new)}"


def _value(spec: BudgetSpec, field: str, value: Any) -> str:
    if field in ("limit", "carry"):
        return show_amount(spec.unit, value)
    if field == "anchor":
        return show_anchor(spec.per, value)
    if field == "downgrade":
        return ", ".join(f"{dear} becomes {cheap}" for dear, cheap in value) or "none"
    if isinstance(value, tuple):
        return ", ".join(str(one) for one in value) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _summary(plan: Plan) -> str:
    counts = [
        (sum(step.kind == kind for step in plan.steps), word)
        for kind, word in (
            (CREATE, "to create"), (CHANGE, "to change"), (REMOVE, "to remove"),
            (SCHEDULE, "to schedule"), (UNSCHEDULE, "to take back"),
        )
    ]  # fmt: skip
    said = [f"{count:,} {word}" for count, word in counts if count]
    same = sum(step.kind in (UNCHANGED, STANDS) for step in plan.steps)
    if not said:
        return "Nothing to change."
    return f"{', '.join(said)}, {same:,} unchanged."


def plan_data(plan: Plan) -> dict[str, Any]:
    """A plan as data, amounts exact."""
    return {
        "changes": len(plan.changes),
        "steps": [_step_data(step) for step in plan.steps],
        "others": plan.others,
        "made_by_programs": plan.own,
    }


def _step_data(step: Step) -> dict[str, Any]:
    unit = step.spec.unit
    return {
        "kind": step.kind,
        "budget": spec_data(step.spec),
        "at_ms": step.at_ms,
        "ends": step.ends,
        "loosens": step.kind not in (UNCHANGED, STANDS) and step.loosens,
        "differences": [
            {"field": field, "old": _plain(unit, field, old), "new": _plain(unit, field, new)}
            for field, old, new in (step.differences if step.kind == CHANGE else ())
        ],
    }


def _plain(unit: str, field: str, value: Any) -> Any:
    if field in ("limit", "carry"):
        return exact(unit, value)
    if field == "downgrade":
        return dict(value)
    return list(value) if isinstance(value, tuple) else value
