"""May a value of an untrusted project file hold?  Only where it is no looser than what holds now.

Layer: core (pure).  Below: core.money, errors.  Above: noburn_cli.settings.
docs/configuration.md has the rules as a table.
"""

from __future__ import annotations

from typing import Any

from noburn_cli.core.money import Limit

#: What an untrusted file's value is, beside what would hold without it.
TIGHTER, LOOSER, NOT_COMPARABLE = "tighter", "looser", "not comparable"


def compare(key: str, value: Any, without: Any) -> str:
    """TIGHTER (or the same), LOOSER or NOT_COMPARABLE.

    key: dotted, as in core.configuration.  without: what holds without the file; None for nothing.
    Endpoints, ceilings and subscriptions only ever let more out, so that any change of theirs is
    looser; an attribute that is set already decides which budgets a call is charged to.  `[pnl]`
    says how profit is counted, and at most that somebody is told.
    """
    if value == without or key.startswith("pnl."):  # What is only shown lets nothing out.
        return TIGHTER
    if key == "run.budget":
        return _compare_limits(value, without)
    if key == "run.wait":
        return TIGHTER if value <= without else LOOSER
    if key == "run.floor":
        return TIGHTER if value >= without else LOOSER
    if key in ("run.clamp", "run.lower_caps"):
        return TIGHTER if value else LOOSER
    if key == "run.on_exceed":
        return TIGHTER if value == "kill" else LOOSER
    if key == "run.on_abort":
        return TIGHTER if value == "hold" else LOOSER
    if key.startswith("attributes."):
        return TIGHTER if without is None else LOOSER
    return LOOSER


def _compare_limits(value: Limit, without: Limit | None) -> str:
    if without is None:
        return TIGHTER
    if value.unit != without.unit:
        return NOT_COMPARABLE
    return TIGHTER if value.amount <= without.amount else LOOSER
