"""Plans: from what stands to what a file asks for."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from noburn_cli.core.budget_spec import BudgetSpec
from noburn_cli.core.budgets import parse_scope
from noburn_cli.core.policy_plan import (
    CHANGE,
    CREATE,
    REMOVE,
    SCHEDULE,
    STANDS,
    UNCHANGED,
    UNSCHEDULE,
    Standing,
    is_looser,
    make_plan,
    removal,
    standing_from,
)
from noburn_cli.core.suggesting import Observed, suggest
from noburn_cli.core.windows import Window

NOW_MS = 1_795_476_000_000
DAY_MS = 86_400_000
A = BudgetSpec(parse_scope("customer=*"), "month", "dollars", 5, thresholds=(80,), notify=("ops",))
B = BudgetSpec(parse_scope("global"), "day", "dollars", 50)


def _listed(spec: BudgetSpec, **more: Any) -> dict[str, Any]:
    return {**spec.frame(), "limit": spec.limit, "unit": spec.unit, "run": None, **more}


def _standing(*specs: BudgetSpec, scheduled: Any = ()) -> Standing:
    return standing_from(
        {"budgets": [_listed(one) for one in specs], "scheduled": list(scheduled), "digest": "d"}
    )


def _kinds(wanted: list[BudgetSpec], standing: Standing, **more: Any) -> list[str]:
    return [step.kind for step in make_plan(wanted, standing, now_ms=NOW_MS, **more).steps]


def test_each_budget_is_created_changed_or_left() -> None:
    wider = replace(B, limit=70)
    plan = make_plan([A, wider], _standing(B), now_ms=NOW_MS)
    assert [step.kind for step in plan.steps] == [CREATE, CHANGE]
    assert plan.steps[1].differences == (("limit", 50, 70),)
    assert [step["op"] for step in plan.frame()["steps"]] == ["budget.set"] * 2
    assert plan.frame()["expects"] == "d"
    assert _kinds([A, wider], _standing(A, wider)) == [UNCHANGED] * 2


def test_others_stay_unless_pruned_and_those_of_programs_always() -> None:
    own = [replace(B, scope=parse_scope(scope)) for scope in ("job=j", "tag.key=k", "run=r")]
    standing = _standing(A, B, *own)
    plan = make_plan([A], standing, now_ms=NOW_MS)
    assert (plan.others, plan.own, plan.changes) == (1, 3, ())
    assert _kinds([A], standing, prune=True) == [UNCHANGED, REMOVE]


def test_what_is_to_come_is_scheduled_once() -> None:
    """Goal: a second apply finds it; one that the file no longer has is taken back."""
    at_ms = NOW_MS + DAY_MS
    later = replace(A, limit=9, from_ms=at_ms, until_ms=at_ms + DAY_MS)
    plan = make_plan([A, later], _standing(A), now_ms=NOW_MS)
    assert [step.kind for step in plan.steps] == [UNCHANGED, SCHEDULE, SCHEDULE]
    requests = plan.frame()["steps"]
    assert [one["op"] for one in requests] == ["budget.set", "budget.rm"]
    assert [one["at_ms"] for one in requests] == [at_ms, at_ms + DAY_MS]
    kept = [
        {"id": number, "at_ms": one["at_ms"], "spec": one} for number, one in enumerate(requests)
    ]
    standing = _standing(A, scheduled=kept)
    assert _kinds([A, later], standing) == [UNCHANGED, STANDS, STANDS]
    plan = make_plan([A], standing, now_ms=NOW_MS)
    assert [step.kind for step in plan.steps] == [UNCHANGED, UNSCHEDULE, UNSCHEDULE]
    assert [one["id"] for one in plan.frame()["steps"]] == [0, 1]


def test_the_version_that_has_begun_holds_and_an_ended_one_goes() -> None:
    first = replace(A, until_ms=NOW_MS - DAY_MS)
    second = replace(A, limit=9, from_ms=NOW_MS - DAY_MS)
    [step] = make_plan([first, second], _standing(A), now_ms=NOW_MS).steps
    assert (step.kind, step.spec.limit, step.spec.from_ms) == (CHANGE, 9, None)
    assert _kinds([first], _standing(A)) == [REMOVE]
    assert _kinds([first], _standing()) == []


@pytest.mark.parametrize(
    ("changes", "looser"),
    [
        ({"limit": 4}, False),
        ({"limit": 6}, True),
        ({"carry": 1}, True),
        ({"action": "kill"}, False),
        ({"action": "warn"}, True),
        ({"override": True}, True),
        ({"zone": "Asia/Tokyo"}, True),
        ({"thresholds": (50, 80)}, False),
        ({"thresholds": (), "notify": ()}, True),
    ],
)
def test_what_loosens(changes: dict[str, Any], looser: bool) -> None:
    assert is_looser(A, replace(A, **changes)) == looser
    plan = make_plan([replace(A, **changes)], _standing(A), now_ms=NOW_MS)
    assert bool(plan.looser) == looser


def test_a_limit_from_what_was_spent() -> None:
    """Goal: nearest rank, headroom, whole windows only, who went beyond it."""
    observed = Observed(parse_scope("customer=*"), Window("day"), "dollars")
    start_ms = NOW_MS - NOW_MS % DAY_MS
    for number in range(100):  # ten customers, ten days, 1 to 10 dollars
        day, customer = divmod(number, 10)
        call = f"c{number}"
        attributes = {"customer": f"k{customer}"}
        at_ms = start_ms + day * DAY_MS + 5
        observed.reserve(call, customer, attributes, at_ms, (99, 9, 1))
        observed.settle(call, (customer + 1, 1, 1))
    observed.reserve("gone", 0, {"customer": "k0"}, start_ms, (10**9, 1, 1))
    observed.void("gone")
    observed.reserve("today", 0, {"customer": "k0"}, start_ms + 10 * DAY_MS, (10**9, 1, 1))
    observed.finish()
    found = suggest(
        observed, quantile=80, headroom=Fraction(1), since_ms=start_ms,
        until_ms=start_ms + 10 * DAY_MS + 6,
    )  # fmt: skip
    assert found is not None
    assert (found.limit, found.windows, found.values, found.blocked) == (8, 100, 10, 20)
    assert (found.quantiles, found.most, found.is_cut) == ({50: 5, 80: 8, 90: 9, 99: 10}, 10, False)
    assert [(one.key[0][1], one.beyond, one.most) for one in found.outliers] == [
        ("k9", 10, 10),
        ("k8", 10, 9),
    ]


@pytest.mark.parametrize(
    ("action", "loosens"), [("block", False), ("warn", False), ("downgrade", True), ("bill", True)]
)
def test_a_new_budget_that_changes_models_or_bills_needs_trust(action: str, loosens: bool) -> None:
    rules = (("*", "gpt-6-luna"),) if action == "downgrade" else ()
    new = replace(B, action=action, downgrade=rules)
    assert bool(make_plan([new], _standing(), now_ms=NOW_MS).looser) is loosens
    to_come = replace(new, from_ms=NOW_MS + DAY_MS)
    assert bool(make_plan([to_come], _standing(), now_ms=NOW_MS).looser) is loosens


def test_prune_takes_back_the_end_of_a_budget_that_does_not_stand_and_leaves_programs() -> None:
    job = replace(B, scope=parse_scope("job=j"))
    kept = [
        {"id": number, "at_ms": NOW_MS + DAY_MS, "spec": removal(spec, NOW_MS + DAY_MS)}
        for number, spec in enumerate((B, job))
    ]
    standing = _standing(A, scheduled=kept)
    plan = make_plan([A], standing, now_ms=NOW_MS, prune=True)
    assert [(step.kind, step.id) for step in plan.changes] == [(UNSCHEDULE, 0)]
    assert plan.frame()["steps"] == [{"op": "budget.unschedule", "n": 0, "id": 0}]
