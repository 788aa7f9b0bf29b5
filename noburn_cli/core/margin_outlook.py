"""Everything that `noburn margin` says of one plan: its month, and how far it carries.

Layer: core (pure).  Below: core.margin_month, core.margin_quantities, core.margin_solving.
Above: render.margin, commands.margin.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from noburn_cli.core.economics import BANDS_FROM, TARGET_MARGIN
from noburn_cli.core.margin_month import Month, Scenario, month_of, points_won
from noburn_cli.core.margin_quantities import PRICE, TOKENS_USED, Quantity
from noburn_cli.core.margin_solving import Answer, Bend, Edge, answer, breaks, edges, sweep
from noburn_cli.core.plans import ZERO

#: Of a curve: more than the columns of most terminals.
_CURVE_POINTS = 161


class Outlook(NamedTuple):
    """One plan in use.

    break_even, keeping_target: tokens; target_price: for the tokens that are used.
    points: of margin that caching and routing win back; None without revenue.
    """

    name: str
    scenario: Scenario
    month: Month
    target: Fraction
    break_even: Answer
    keeping_target: Answer
    target_price: Answer
    points: Fraction | None


def outlook(name: str, scenario: Scenario, *, target: Fraction = TARGET_MARGIN) -> Outlook:
    """The month, and how many tokens and which price keep break-even and the target."""
    return Outlook(
        name=name,
        scenario=scenario,
        month=month_of(scenario),
        target=target,
        break_even=answer(scenario, TOKENS_USED, keep=ZERO),
        keeping_target=answer(scenario, TOKENS_USED, keep=target),
        target_price=answer(scenario, PRICE, keep=target),
        points=points_won(scenario),
    )


class Swept(NamedTuple):
    """A plan over a quantity.

    months: by value, evenly spaced, the marked values among them.
    curve: the same at so many values that it looks smooth, where one is to be drawn.
    edges: where a band, break-even or the target begins or ends.  bends: where an allowance is used
    up or a limit of the charge is met.
    """

    name: str
    quantity: Quantity
    target: Fraction
    months: tuple[tuple[int, Month], ...]
    curve: tuple[tuple[int, Month], ...]
    edges: tuple[Edge, ...]
    bends: tuple[Bend, ...]

    def marks_at(self, value: int) -> list[Edge]:
        return [edge for edge in self.edges if edge.value == value]


class Span(NamedTuple):
    """A quantity from low to high in so many rows; drawn: as a curve too."""

    quantity: Quantity
    low: int
    high: int
    points: int
    drawn: bool = False


def swept(rows: Sequence[tuple[str, Scenario, Span]], *, target: Fraction) -> list[Swept]:
    """Every (name, plan, span), with all that happens in any of them in the rows of each."""
    alone = [_swept(name, scenario, span, target) for name, scenario, span in rows]
    marked = sorted({value for one in alone for value, _ in one.months})
    found = []
    for one, (_, scenario, span) in zip(alone, rows, strict=True):
        months, smooth = dict(one.months), dict(one.curve)
        for value in marked:
            if value not in months and span.low <= value <= span.high:
                months[value] = month_of(span.quantity.put(scenario, value))
        smooth.update(months)
        found.append(
            one._replace(months=tuple(sorted(months.items())), curve=tuple(sorted(smooth.items())))
        )
    return found


def _swept(name: str, scenario: Scenario, span: Span, target: Fraction) -> Swept:
    quantity, low, high = span.quantity, span.low, span.high
    keeps = sorted({target, *(edge for edge, _ in BANDS_FROM)})
    found = [
        edge for keep in keeps for edge in edges(scenario, quantity, keep=keep, low=low, high=high)
    ]
    bends = breaks(scenario, quantity, low=low, high=high)
    months = dict(sweep(scenario, quantity, low=low, high=high, points=span.points))
    points = _CURVE_POINTS if span.drawn else 2
    smooth = sweep(scenario, quantity, low=low, high=high, points=points)
    for value in (*(edge.value for edge in found), *(bend.value for bend in bends)):
        months.setdefault(value, month_of(quantity.put(scenario, value)))
    return Swept(
        name=name,
        quantity=quantity,
        target=target,
        months=tuple(sorted(months.items())),
        curve=tuple(smooth),
        edges=tuple(sorted(found, key=lambda edge: (edge.value, edge.keep))),
        bends=tuple(bends),
    )
