"""Which rules of [gate] each prompt, and all of them together, are held to.

Layer: core (pure).  Below: core.gate_model, core.gate_tables, core.money.  Above: gating.comparing.
Not here: whether they are broken (core.gate_rules, which reads the same tables).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from noburn_cli.core import gate_model as gm
from noburn_cli.core.gate_model import Change, Held
from noburn_cli.core.gate_tables import GateSpec, Rules
from noburn_cli.core.gate_values import Growth
from noburn_cli.core.money import show_dollars, show_percent

#: Rules of [gate] that hold for each prompt by itself, unless its own table has another limit.
_EACH = (gm.PER_CALL_MAX, gm.WORST_CALL_MAX, gm.WINDOW_SHARE_MAX, gm.MODELS)
#: Rules that hold for one prompt only where its own table has them.
_OWN = (gm.PER_MONTH_MAX, gm.PER_CUSTOMER_MONTH_MAX)
#: Rules of [gate] about all prompts together.
_TOGETHER = (gm.PER_MONTH_MAX, gm.PER_CUSTOMER_MONTH_MAX, gm.MARGIN_MIN)


def rules_held(
    gate: GateSpec, own: Mapping[str, Rules], changes: Sequence[Change], *, has_base: bool
) -> tuple[Held, ...]:
    """Every rule with whom it is held against, prompts in their order, the total last.

    own: the rules of each prompt's table, by the prompt's name.
    """
    found: list[Held] = []
    here = [change for change in changes if change.after is not None]
    for change in here:
        found += _of_prompt(gate.rules, own[change.name], change, has_base=has_base)
    if here:
        growth = (gm.GROWTH_MAX,) if has_base else ()
        for rule in (*_TOGETHER, *growth):
            found += _held(gate.rules, rule, gm.TOTAL)
    return tuple(found)


def _of_prompt(shared: Rules, own: Rules, change: Change, *, has_base: bool) -> Iterator[Held]:
    one = change.after
    assert one is not None
    for rule in _EACH:
        yield from _held(own if getattr(own, rule) is not None else shared, rule, one.name)
    for rule in _OWN:
        yield from _held(own, rule, one.name)
    if own.margin_min is not None:
        yield from _held(own, gm.MARGIN_MIN, one.name)
    elif one.plan_price is not None:
        yield from _held(shared, gm.MARGIN_MIN, one.name)
    if not has_base:
        return
    if own.growth_max is not None:
        yield from _held(own, gm.GROWTH_MAX, one.name)
    elif not change.monthly:
        yield from _held(shared, gm.GROWTH_MAX, one.name)


def _held(rules: Rules, rule: str, subject: str) -> Iterator[Held]:
    """The rule as that table has it; nothing where it has none."""
    limit = getattr(rules, rule)
    if limit is not None:
        level = gm.WARNING if rule in rules.warn else gm.ERROR
        yield Held(rule, subject, shown_limit(rule, limit), level)


def shown_limit(rule: str, limit: Any) -> str:
    """A limit for the eye."""
    if isinstance(limit, Growth):
        parts = []
        if limit.share is not None:
            parts.append(show_percent(limit.share))
        if limit.nano is not None:
            parts.append(show_dollars(limit.nano))
        return " and ".join(parts)
    if rule == gm.MODELS:
        return ", ".join(limit)
    return (
        show_percent(limit) if rule in (gm.MARGIN_MIN, gm.WINDOW_SHARE_MAX) else show_dollars(limit)
    )
