"""`noburn pnl --alerts`: the budgets that watch margins, brought up to date.

Layer: commands.  Below: profit.alerts, reports.costs, client, render.pnl_words.
"""

from __future__ import annotations

from collections.abc import Sequence

from noburn_cli import paths, protocol
from noburn_cli.core.recognition_days import month_of_day
from noburn_cli.errors import UsageError
from noburn_cli.profit.alerts import Steps, Watch, steps_to, watched
from noburn_cli.profit.reading import Books
from noburn_cli.render.pnl_words import listed, share_text
from noburn_cli.render.table import safe_text

#: The most steps that one frame carries.
_STEPS_MAX = 1_000


def update_alerts(books: Books) -> str:
    """Set, change and remove what is needed; how much that was, in a sentence.

    Raises UsageError without a floor, and for a channel that there is not.
    """
    from noburn_cli.client import Client
    from noburn_cli.reports.costs import imported_costs

    rules = books.question.rules
    if rules.margin_min is None:
        raise UsageError(
            "there is no margin to watch",
            why="`margin_min` of [pnl] in noburn.toml says below which margin somebody is told",
            next_step='write margin_min = "20%" and notify = ["ops"] there',
        )
    first, following = (books.days.start_ms(day) for day in month_of_day(books.today))
    found = watched(books, imported_costs(paths.home(), first, following, rules.zone))
    with Client() as client:
        reply = client.request(protocol.BUDGET_LIST)
        steps = steps_to((one.spec for one in found), reply["budgets"])
        requests = steps.requests()
        for start in range(0, len(requests), _STEPS_MAX):
            client.request(protocol.BUDGET_APPLY, steps=requests[start : start + _STEPS_MAX])
    return _said(steps, found, channels=rules.notify)


def _said(steps: Steps, found: Sequence[Watch], *, channels: tuple[str, ...]) -> str:
    whom = ", ".join(channels) if channels else "nobody ([pnl] notify names no channel)"
    return (
        f"noburn: {len(steps.set) + steps.unchanged:,} margins are watched, {len(steps.set):,} of "
        f"them new or changed, {len(steps.removed):,} no longer; told: {whom}{_below(found)}"
    )


def _below(found: Sequence[Watch]) -> str:
    """Whose margin of the month is below the floor already, the worst first."""
    below = sorted(
        (one for one in found if one.below),
        key=lambda one: (one.margin is not None, one.margin or 0, one.customer),
    )
    if not below:
        return ""
    names = [f"{safe_text(one.customer)} {share_text(one.margin)}" for one in below]
    return f"; {len(below):,} already below: {listed(names)}"
