"""The answer to `--solve`: one number and what it stands beside, or why there is none.

Layer: render.  Below: core.margin_outlook, core.margin_solving, render.margin_words.
Above: commands.margin.
"""

from __future__ import annotations

from noburn_cli.core.economics import (
    ROUTING_POINTS,
    ROUTING_RATIO_HIGH,
    ROUTING_RATIO_LOW,
    ROUTING_TOLERATED,
    SEMANTIC_CACHE_HITS,
)
from noburn_cli.core.margin_outlook import Outlook
from noburn_cli.core.margin_solving import Answer, Reach
from noburn_cli.core.money import show_percent
from noburn_cli.render.margin_words import ranges
from noburn_cli.render.table import safe_text, wrap_line

_PRODUCTS = {"support": "support", "repeating": "repeating questions", "coding": "coding"}


def render_solved(
    shown: Outlook, found: Answer, *, named: bool, width: int | None = None
) -> list[str]:
    """One paragraph; named: whether it says whose it is."""
    whose = f"{safe_text(shown.name)}: " if named else ""
    lines = []
    for line in (f"{whose}{_sentence(shown, found)}", *_judged(found)):
        lines += wrap_line(line, width=width)
    return lines


def _sentence(shown: Outlook, found: Answer) -> str:
    target, sought = show_percent(found.keep), found.quantity
    now = f"(now {sought.show(sought.get(shown.scenario))})"
    if found.reach is Reach.ALWAYS:
        return f"{target} is kept whatever the {sought.name} {now}."
    if found.reach is Reach.NEVER:
        if sought.name == "overage" and not shown.month.bill.beyond:
            return f"No overage reaches {target}: none of the usage is beyond what is included."
        what = "number of tokens" if sought.name == "tokens" else sought.name
        return f"No {what} reaches {target}{_best(found)}."
    if found.charged is None:
        return f"To keep {target}, {sought.name}: {ranges(found, unit=sought.after)} {now}."
    side = "at least" if sought.better_up else "at most"
    more = ""
    if len(found.ranges) > 1:
        more = f"; it holds again {ranges(found, first=1)}"
    elif sought.better_up and found.ranges[0].high != sought.high:
        more = f", and at most {sought.show(found.ranges[0].high)}"
    return (
        f"To keep {target}, {sought.name}: {side} {sought.show(found.charged)}{sought.after} "
        f"{now}{more}."
    )


def _best(found: Answer) -> str:
    """The most that any value leaves, and where."""
    if found.best is None:
        return ": there is no revenue"
    value, left = found.best
    if value in (found.quantity.low, found.quantity.high) and found.quantity.high > 10**7:
        at = "however high" if value == found.quantity.high else "even none"
        return f": {at}, {show_percent(left, places=2)} is left at best"
    return f": even {found.quantity.show(value)} leaves {show_percent(left, places=2)}"


def _judged(found: Answer) -> list[str]:
    """Whether such a share is met in practice."""
    if found.charged is None:
        return []
    if found.quantity.name == "cache":
        rules = (
            f"{_PRODUCTS[kind]} {show_percent(rule.low)} to {show_percent(rule.high)}"
            if rule.high else f"{_PRODUCTS[kind]} about 0"
            for kind, rule in SEMANTIC_CACHE_HITS.items()
        )  # fmt: skip
        return [f"What products see: {', '.join(rules)}."]
    if found.quantity.name == "routing":
        points = f"{int(ROUTING_POINTS.low * 100)} to {int(ROUTING_POINTS.high * 100)} points"
        return [
            (
                f"As a rule {show_percent(ROUTING_TOLERATED)} of the work tolerates a model "
                f"{ROUTING_RATIO_LOW} to {ROUTING_RATIO_HIGH} times cheaper, which wins back "
                f"{points} of margin; test it on yours."
            )
        ]
    return []
