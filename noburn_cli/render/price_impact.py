"""How the cost of past calls at other prices looks.

Layer: render, pure.  Below: core.repricing, core.money, render.table.
Above: commands.prices.updating.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from noburn_cli.core.money import Nano, show_count, show_dollars
from noburn_cli.core.rate_changes import show_signed
from noburn_cli.core.repricing import RepricedModel, Repricing
from noburn_cli.render.table import RIGHT, Column, fit_table, safe_text

_SAME = "="


def render_impact(repricing: Repricing, period: str, *, width: int | None) -> list[str]:
    """Costs of the same calls at every price list, model by model, what changes most first."""
    lines = _ordered(repricing)
    total = repricing.total()
    if not total.calls:
        shown = [f"No settled call of {period} can be priced anew."]
    else:
        rows = [*lines, total] if len(lines) > 1 else lines
        columns = [
            Column("MODEL", [safe_text(row.model) or "TOTAL" for row in rows], shorten=True),
            Column("CALLS", [show_count(row.calls) for row in rows], RIGHT),
            Column("CHARGED", [show_dollars(row.charged) for row in rows], RIGHT, give_up=1),
            *(Column(one.name.upper(), [show_dollars(row.costs[place]) for row in rows], RIGHT)
              for place, one in enumerate(repricing.lists)),
            Column("CHANGE", [_change(row) for row in rows], RIGHT),
        ]  # fmt: skip
        shown = [f"The calls of {period} at both prices:", *fit_table(columns, width=width)]
        if total.by_sums:
            shown.append(
                f"of them by the sums of a compacted month: {show_count(total.by_sums)}, at the"
                " standard price, which is what they were charged"
            )
    for reason, left in repricing.left_out.items():
        calls = "1 call" if left.calls == 1 else f"{left.calls:,} calls"
        shown.append(f"not in it: {calls}, {show_dollars(left.charged)}: {safe_text(reason)}")
    return shown


def _ordered(repricing: Repricing) -> list[RepricedModel]:
    def change(line: RepricedModel) -> tuple[int, int]:
        return -abs(line.costs[-1] - line.costs[0]), -line.costs[0]

    return sorted(repricing.models.values(), key=change)


def _change(row: RepricedModel) -> str:
    first, last = row.costs[0], row.costs[-1]
    if first == last:
        return _SAME
    amount = ("+" if last > first else "") + show_dollars(last - first)
    return f"{amount} ({show_signed(Fraction(last - first, first))})" if first else amount


def impact_data(repricing: Repricing, period: str) -> dict[str, Any]:
    """The same as data, exact."""
    return {
        "period": period,
        "prices": [one.name for one in repricing.lists],
        "models": [_data(line) for line in _ordered(repricing)],
        "total": _data(repricing.total()),
        "left_out": [
            {"reason": reason, "calls": left.calls, "charged_usd": Nano(left.charged)}
            for reason, left in repricing.left_out.items()
        ],
    }


def _data(line: RepricedModel) -> dict[str, Any]:
    return {
        "model": line.model or None,
        "calls": line.calls,
        "calls_by_sums": line.by_sums,
        "charged_usd": Nano(line.charged),
        "costs_usd": [Nano(cost) for cost in line.costs],
    }
