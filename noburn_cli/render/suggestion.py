"""A suggestion as a policy file: what it rests on as comments, the budget as a table.

Layer: render, pure.  Below: core.suggesting.  Above: commands.budget.suggesting.
Names come from outside: they are written as TOML strings, and spelt out in comments.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from fractions import Fraction
from typing import Any

from noburn_cli.core.budgets import EACH, Key, Scope
from noburn_cli.core.money import show_amount, show_percent
from noburn_cli.core.suggesting import Suggestion, written_limit
from noburn_cli.core.windows import UTC
from noburn_cli.render.budget_notes import exact, show_anchor
from noburn_cli.render.table import safe_text

#: So many values get a budget of their own, as a comment.
_OUTLIERS_MAX = 5


@dataclass(frozen=True)
class Asked:
    """What was asked for; moments in epoch ms."""

    scope: Scope
    per: str
    unit: str
    zone: str
    anchor: int
    quantile: int
    headroom: str
    since_ms: int
    until_ms: int


def render_suggestion(asked: Asked, found: Suggestion) -> list[str]:
    """The policy file, line by line."""
    lines = [f"# {line}" for line in _reasons(asked, found)]
    lines += _table(asked, str(asked.scope).replace(f"={EACH}", "=each"), found.limit)
    for outlier in found.outliers[:_OUTLIERS_MAX] if asked.scope.is_family else ():
        said = (
            f"{_name(outlier.key)} went beyond it in {outlier.beyond:,} of {outlier.windows:,}, by "
            f"up to {show_amount(asked.unit, outlier.most - found.limit)}. Its own limit could be:"
        )
        own = _table(asked, str(Scope(outlier.key)), outlier.own, override=True)
        lines += ["", *(f"# {line}" for line in [said, *own])]
    return lines


def _reasons(asked: Asked, found: Suggestion) -> Iterator[str]:
    unit = asked.unit
    yield (
        f"Suggested from {_day(asked.since_ms)} to {_day(asked.until_ms)}: {found.windows:,} "
        f"{asked.per}s with calls, of {_values(found.values)}."
    )
    parts = [f"{q} % up to {show_amount(unit, amount)}" for q, amount in found.quantiles.items()]
    yield (
        f"{', '.join(parts)}; the most {show_amount(unit, found.most)} ({_name(found.most_of)})."
    )
    share = show_percent(Fraction(found.blocked, found.windows), places=1)
    yield (
        f"The limit is {asked.headroom} times the {asked.quantile} %; it would have cut "
        f"{found.blocked:,} of them ({share}), of {_values(len(found.outliers))}."
    )
    if found.is_cut:
        yield f"No whole {asked.per} was seen yet: what comes after may be more."


def _values(count: int) -> str:
    return "1 value" if count == 1 else f"{count:,} values"


def _name(key: Key) -> str:
    return safe_text(str(Scope(key)))


def _day(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, tz=timezone.utc):%Y-%m-%d}"


def _table(asked: Asked, scope: str, limit: int, *, override: bool = False) -> list[str]:
    lines = [
        "[[budget]]",
        f"scope = {json.dumps(scope, ensure_ascii=False)}",
        f'limit = "{written_limit(asked.unit, limit)}"',
        f'per = "{asked.per}"',
    ]
    if asked.zone != UTC:
        lines.append(f'zone = "{asked.zone}"')
    if asked.anchor != 1:
        anchor = show_anchor(asked.per, asked.anchor)
        lines.append(f"anchor = {anchor}" if anchor.isdecimal() else f'anchor = "{anchor}"')
    return [*lines, "override = true"] if override else lines


def suggestion_data(asked: Asked, found: Suggestion) -> dict[str, Any]:
    """A suggestion as data, amounts exact."""
    unit = asked.unit
    return {
        "scope": str(asked.scope),
        "per": asked.per,
        "unit": unit,
        "zone": asked.zone,
        "anchor": asked.anchor,
        "since_ms": asked.since_ms,
        "until_ms": asked.until_ms,
        "limit": exact(unit, found.limit),
        "values": found.values,
        "windows": found.windows,
        "windows_beyond": found.blocked,
        "whole_windows": not found.is_cut,
        "quantiles": {str(q): exact(unit, amount) for q, amount in found.quantiles.items()},
        "most": exact(unit, found.most),
        "most_of": str(Scope(found.most_of)),
        "outliers": [
            {
                "value": str(Scope(one.key)),
                "windows_beyond": one.beyond,
                "windows": one.windows,
                "most": exact(unit, one.most),
                "own_limit": exact(unit, one.own),
            }
            for one in found.outliers
        ],
    }
