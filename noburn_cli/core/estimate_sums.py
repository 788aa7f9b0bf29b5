"""What several inputs come to: by model, and all of them together.

Layer: core (pure).  Below: core.estimates.  Above: estimating, commands.estimate, render.estimate.
A request that names its model is sent to that one; a text without a model is priced on several,
of which one will be chosen (`Estimate.is_choice`).  Sums never mix two that exclude each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from noburn_cli.core.estimates import Estimate, together
from noburn_cli.core.plurals import counted

TOTAL = "total"


def totals(rows: Sequence[Estimate]) -> list[Estimate]:
    """A sum per model, when there are several inputs."""
    if len({one.source for one in rows}) < 2:
        return []
    return [together(ones, source=TOTAL) for ones in _by_model(rows).values()]


def whole(rows: Sequence[Estimate]) -> Estimate | None:
    """All inputs together, where each has one model and these are several; otherwise None."""
    if any(one.is_choice for one in rows) or len(_by_model(rows)) < 2:
        return None
    return _together(rows)


def bills(rows: Sequence[Estimate]) -> list[Estimate]:
    """What is paid for all inputs: one sum for each model that may still be chosen."""
    fixed = [one for one in rows if not one.is_choice]
    choices = _by_model([one for one in rows if one.is_choice])
    if not choices:
        return [_together(fixed)] if fixed else []
    return [_together([*fixed, *ones]) for ones in choices.values()]


def _together(rows: Sequence[Estimate]) -> Estimate:
    """One sum; its model is the number of models, where they are several."""
    models = _by_model(rows)
    name = next(iter(models)) if len(models) == 1 else counted(len(models), "model")
    return replace(together(rows, source=TOTAL), model=name)


def _by_model(rows: Sequence[Estimate]) -> dict[str, list[Estimate]]:
    found: dict[str, list[Estimate]] = {}
    for one in rows:
        found.setdefault(one.model, []).append(one)
    return found
