"""How an update of the price book looks before it is made.

Layer: render, pure.  Below: core.book_update, render.price_changes.
Above: commands.prices.updating.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Any

from noburn_cli.core.book_diff import CHANGED, GONE, NEW
from noburn_cli.core.book_refusals import LIMITS
from noburn_cli.core.book_update import (
    ANNOUNCED,
    COMPLETED,
    CORRECTION,
    PRICE,
    WITHDRAWN,
    PlannedModel,
    PlannedRow,
    UpdatePlan,
)
from noburn_cli.core.models import WINDOW_TOKENIZER
from noburn_cli.core.rate_changes import kind_words
from noburn_cli.render.price_changes import (
    change_data,
    fact_data,
    fact_words,
    new_model_words,
    rates_words,
)
from noburn_cli.render.table import safe_text

_FIRST_DAY = date(1970, 1, 1)
#: So many models that are gone are named; more are counted.
_GONE_SHOWN = 10


def render_plan(
    plan: UpdatePlan, source: str, overridden: Sequence[str], not_taken: Sequence[str] = ()
) -> list[str]:
    """What taking a newer book does, model by model.

    overridden: models whose change does not reach a call, because another price file has the last
        word on them.
    not_taken: models of which the sources say something else that is not in the plan.
    """
    lines = [*_warnings(plan)]
    for one in plan.models:
        if one.kind == NEW:
            lines.append(f"+ {safe_text(one.name)}: {new_model_words(one.model)}")
            if one.model.tokenizer == WINDOW_TOKENIZER:
                lines.append("    its tokenizer is not known: calls are held for its whole window")
        elif one.kind == CHANGED:
            lines.append(f"~ {safe_text(one.name)}")
            lines += [f"    {_row_words(row)}" for row in one.rows]
            lines += [f"    {fact_words(fact)}" for fact in one.facts]
            if one.name in overridden:
                lines.append("    your own price file has the last word on it")
    lines += _gone_lines(plan)
    for name in map(safe_text, not_taken):
        see = f"`noburn prices check --model '{name}'`"
        lines.append(f"? {name}: the sources say otherwise, not taken: {see}")
    head = f"{safe_text(source)} over the book in force:"
    return [head, "", *lines, *([""] if lines else []), *_summary(plan)]


def _warnings(plan: UpdatePlan) -> Iterator[str]:
    """What must not hide between the prices: what is refused, what shrinks, what names mean."""
    said = [f"! {safe_text(one.model)}: {safe_text(one.text)}" for one in plan.refused]
    for one in plan.models:
        for fact in one.facts:
            if fact.key in LIMITS and (fact.after or 0) < (fact.before or 0):
                words = fact_words(fact)
                said.append(f"! {safe_text(one.name)}: {words}: calls will be held for less")
    for names in plan.moved:
        name, was, now = map(safe_text, names)
        said.append(f"! `{name}` means {now} from now on, not {was}")
    for pair in plan.prefixes:
        prefix, owner = map(safe_text, pair)
        said.append(f"! models of {owner} will also be found after `{prefix}`")
    return iter([*said, ""] if said else [])


def _gone_lines(plan: UpdatePlan) -> Iterator[str]:
    gone = [one.name for one in plan.models if one.kind == GONE]
    for name in gone[:_GONE_SHOWN]:
        yield f"= {safe_text(name)}: not in the newer book; it stays as it is"
    if len(gone) > _GONE_SHOWN:
        yield f"= and {len(gone) - _GONE_SHOWN:,} more that are not in the newer book, and stay"


def _row_words(row: PlannedRow) -> str:
    gone = dict.fromkeys(kind_words(one.kind) for one in row.changes if one.after is None)
    rates = rates_words(
        row.variant, [one for one in row.changes if one.after is not None] or row.changes
    )
    if gone and row.after:
        # They must not hide behind what is dearer: without a rate, nothing is held.
        rates += f"; no rate any more: {', '.join(gone)}; calls that may use it are refused"
    day = "its first day" if row.starts_on == _FIRST_DAY else str(row.starts_on)
    if row.kind == WITHDRAWN:
        return f"{row.variant} from {day}: announced no more: {rates}"
    if row.kind == COMPLETED:
        return f"{row.variant} from {day}: rated as well: {rates}"
    if row.kind == CORRECTION:
        taken = "" if row.applied else "; not taken without --corrections"
        return f"{row.variant} from {day}, correction: {rates}{taken}"
    ends = row.starts_on - timedelta(days=1)
    until = f"; the rates before end on {ends}" if row.before else ""
    announced = ", announced" if row.kind == ANNOUNCED else ""
    return f"{row.variant} from {day}{announced}: {rates}{until}"


def _summary(plan: UpdatePlan) -> Iterator[str]:
    if not plan.changes_anything:
        yield f"Nothing to change: {len(plan.unchanged):,} models say the same."
    else:
        counts = [
            (sum(_is_taken(one) for one in plan.models if one.kind == kind), kind)
            for kind in (NEW, CHANGED)
        ]
        said = [f"{count:,} {word}" for count, word in counts if count]
        gone = sum(one.kind == GONE for one in plan.models)
        stay = [f"{gone:,} not in it"] if gone else []
        yield f"Models: {', '.join([*said, f'{len(plan.unchanged):,} unchanged', *stay])}."
    if any(row.starts_on for _, row in plan.rows(PRICE) if row.before):
        yield "Calls that were made stay at what they were charged; holds keep their book."
    if any(not row.applied for _, row in plan.rows(CORRECTION)):
        yield (
            "What the newer book says otherwise about days that have passed is not taken: "
            "its price holds from today on."
        )


def _is_taken(one: PlannedModel) -> bool:
    return one.kind == NEW or bool(one.facts) or any(row.applied for row in one.rows)


def plan_data(plan: UpdatePlan, overridden: Sequence[str]) -> dict[str, Any]:
    """The same as data."""
    return {
        "models": [
            {
                "model": one.name,
                "kind": one.kind,
                "overridden": one.name in overridden,
                "rates": [_row_data(row) for row in one.rows],
                "facts": [fact_data(fact) for fact in one.facts],
            }
            for one in plan.models
        ],
        "refused": [{"model": one.model, "text": one.text} for one in plan.refused],
        "moved": [{"name": n, "before": was, "after": now} for n, was, now in plan.moved],
        "prefixes": [{"prefix": p, "provider": owner} for p, owner in plan.prefixes],
        "unchanged": len(plan.unchanged),
        "changes_anything": plan.changes_anything,
    }


def _row_data(row: PlannedRow) -> dict[str, Any]:
    return {
        "kind": row.kind,
        "variant": row.variant,
        "starts_on": row.starts_on.isoformat(),
        "taken": row.applied,
        "changes": [change_data(one) for one in row.changes],
    }
