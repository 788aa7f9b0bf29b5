"""`growth_max`: how much more than the base a prompt, a table, or all prompts together may cost.

Layer: core (pure).  Below: core.gate_findings, core.gate_model, core.gate_tables.
Above: core.gate_rules, gating.comparing.
Owns: what counts as new.  Nothing was there of which growth could be a share; so what stands in
the place of something that is gone is compared with it, and what is new and in no sum is told.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from noburn_cli.core.gate_findings import Subject, grown, unknown
from noburn_cli.core.gate_model import (
    GROWTH_MAX,
    TOTAL,
    Change,
    Finding,
    PromptCost,
    Totals,
)
from noburn_cli.core.gate_tables import GateSpec, Rules
from noburn_cli.core.gate_values import Growth

CALLS_UNKNOWN = ("its calls a month are", "calls_per_month")
_ALL = Subject(TOTAL)


@dataclass(frozen=True)
class Replaced:
    """Prompts that are new in a table, and those that the base had in it and are gone."""

    new: tuple[Change, ...]
    gone: tuple[Change, ...]


def growth_of_prompt(
    shared: Rules, own: Rules, change: Change, replaced: Sequence[Replaced]
) -> Iterator[Finding]:
    """One prompt against the base, by its own rule; by the shared one where its month is not known.

    Without calls a month it is in no sum, and would otherwise grow unseen: the share holds for a
    call of it.
    """
    if own.growth_max is not None:
        yield from _growth(own, own.growth_max, change)
        for one in replaced:
            if change is one.new[0]:
                yield from _in_place(own, own.growth_max, one)
    elif shared.growth_max is not None and not change.monthly:
        yield from _growth(shared, Growth(shared.growth_max.share, None), change)


def growth_of_total(
    rules: Rules, limit: Growth, changes: Sequence[Change], before: Totals
) -> Iterator[Finding]:
    """All prompts together against the base."""
    # A share of a call of it is judged where it was there before; what is new has none.
    compared = any(one.before is not None for one in changes)
    unsure = [
        one.name
        for one in changes
        if one.after is not None
        and not one.monthly
        and (limit.nano is not None or (compared and one.before is None))
    ]
    if unsure:
        what = f"calls a month of {', '.join(unsure)} are"
        yield unknown(rules, GROWTH_MAX, _ALL, what, "calls_per_month")
    yield from grown(
        rules,
        limit,
        _ALL,
        was=0 if before.month is None else before.month.high,
        more=sum(change.difference for change in changes if change.monthly),
        period="a month",
        # Without a prompt in the base there is nothing that growth could be a share of.
        is_new=not any(one.before is not None and one.monthly for one in changes),
    )


def growth_unchecked(gate: GateSpec, why: str) -> Finding:
    """Nothing could be compared, although the base has something.  why: a clause."""
    first = next((one.rules for one in gate.prompts if one.rules.growth_max is not None), None)
    rules = first if first is not None and gate.rules.growth_max is None else gate.rules
    return unknown(rules, GROWTH_MAX, _ALL, f"{why}, so what it cost is", "base")


def _growth(rules: Rules, limit: Growth, change: Change) -> Iterator[Finding]:
    one, side = change.after, change.before
    assert one is not None
    subject = Subject(one.name, one.path)
    if limit.nano is not None and not change.monthly:
        yield unknown(rules, GROWTH_MAX, subject, *CALLS_UNKNOWN)
        limit = Growth(limit.share, None)
    was = 0
    if side is not None:
        monthly = change.monthly and side.cost_month is not None
        was = side.cost_month.high if monthly and side.cost_month else side.cost_call.high
    yield from grown(
        rules,
        limit,
        subject,
        was=was,
        more=change.difference,
        period="a month" if change.monthly else "a call",
        is_new=side is None,
    )


def _in_place(rules: Rules, limit: Growth, replaced: Replaced) -> Iterator[Finding]:
    """What is new in a table by the share of what it lost: a file that was moved and rewritten."""
    new = [one.after for one in replaced.new if one.after is not None]
    gone = [one.before for one in replaced.gone if one.before is not None]
    monthly = all(one.cost_month is not None for one in (*new, *gone))
    was, now = _sum(gone, monthly=monthly), _sum(new, monthly=monthly)
    here, there = (", ".join(one.name for one in side) for side in (new, gone))
    yield from grown(
        rules,
        Growth(limit.share, None),  # Dollars are of each by itself.
        Subject(new[0].name, new[0].path, f"{here}, in place of {there},"),
        was=was,
        more=now - was,
        period="a month" if monthly else "a call",
        is_new=False,
    )


def _sum(costs: Sequence[PromptCost], *, monthly: bool) -> int:
    """Nano-dollars a month, or a call, at the top of what is expected."""
    spans = [one.cost_month if monthly else one.cost_call for one in costs]
    return sum(span.high for span in spans if span is not None)
