"""`noburn pnl --alerts`: the budgets that watch margins, brought up to date.

Layer: commands.  Below: profit.alerts, client.
"""

from __future__ import annotations

from noburn_cli import protocol
from noburn_cli.errors import UsageError
from noburn_cli.profit.alerts import Steps, steps_to, watched
from noburn_cli.profit.reading import Books

#: The most steps that one frame carries.
_STEPS_MAX = 1_000


def update_alerts(books: Books) -> str:
    """Set, change and remove what is needed; how much that was, in a sentence.

    Raises UsageError without a floor, and for a channel that there is not.
    """
    from noburn_cli.client import Client

    rules = books.question.rules
    if rules.margin_min is None:
        raise UsageError(
            "there is no margin to watch",
            why="`margin_min` of [pnl] in noburn.toml says below which margin somebody is told",
            next_step='write margin_min = "20%" and notify = ["ops"] there',
        )
    with Client() as client:
        reply = client.request(protocol.BUDGET_LIST)
        steps = steps_to(watched(books), reply["budgets"])
        requests = steps.requests()
        for start in range(0, len(requests), _STEPS_MAX):
            client.request(protocol.BUDGET_APPLY, steps=requests[start : start + _STEPS_MAX])
    return _said(steps, channels=rules.notify)


def _said(steps: Steps, *, channels: tuple[str, ...]) -> str:
    whom = ", ".join(channels) if channels else "nobody ([pnl] notify names no channel)"
    return (
        f"noburn: {len(steps.set) + steps.unchanged:,} margins are watched, {len(steps.set):,} of "
        f"them new or changed, {len(steps.removed):,} no longer; told: {whom}"
    )
