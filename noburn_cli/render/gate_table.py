"""A gate for a terminal: before → after by prompt, why, what is broken, and the verdict.

Layer: render (pure).  Below: core.gate_model, render.gate_words, render.table.
Above: render.gate_formats.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from noburn_cli.core.estimates import Span
from noburn_cli.core.gate_model import TOTAL, Change, GateResult, PromptCost
from noburn_cli.core.money import show_count, show_percent
from noburn_cli.core.plurals import counted
from noburn_cli.render.gate_words import (
    cause_words,
    growth_of,
    sentence,
    show_cost,
    show_span,
    signed_dollars,
    signed_percent,
    verdict,
)
from noburn_cli.render.table import RIGHT, Column, fit_table, safe_text, wrap_line

UNKNOWN = "?"
ARROW = " → "
_INDENT = 2


def render_gate(result: GateResult, *, width: int | None, show_all: bool) -> list[str]:
    """The whole answer; only what changed of what has a base, unless all is asked for."""
    shown = [
        change for change in result.changes if show_all or result.base is None or change.changed
    ]
    blocks = [
        _table(result, shown, width),
        _reasons(shown, width),
        _unchanged(result, shown),
        _remarks(result, width),
        wrap_line(safe_text(f"{verdict(result)}. {sentence(result)}."), width=width),
    ]
    lines: list[str] = []
    for block in blocks:
        if block:
            lines += ["", *block] if lines else block
    return lines


def _table(result: GateResult, shown: Sequence[Change], width: int | None) -> list[str]:
    if not shown:
        return []
    # Of a call and a month a narrow terminal shows the one that says what it comes to.
    months = any(one.monthly for one in shown)
    columns = [
        _column("PROMPT", [change.name for change in shown], total=TOTAL, shorten=True),
        _sides("MODEL", shown, _model, give_up=3),
        _sides("TOKENS", shown, _tokens, align=RIGHT, give_up=5),
        _sides("OUTPUT", shown, _output, align=RIGHT, give_up=1),
        _sides("CAP", shown, _cap, align=RIGHT, give_up=0),
        _sides("CALLS A MONTH", shown, _calls, align=RIGHT, give_up=2),
        _sides(
            "A CALL",
            shown,
            lambda one: _cost(one, one.cost_call),
            align=RIGHT,
            give_up=6 if months else None,
        ),
        _sides(
            "A MONTH",
            shown,
            lambda one: _cost(one, one.cost_month),
            align=RIGHT,
            total=_total_month(result),
            give_up=None if months else 6,
        ),
    ]
    if any(one.after is not None and one.after.margin is not None for one in shown):
        columns.append(_sides("MARGIN", shown, _margin, align=RIGHT, give_up=4))
    if result.base is not None:
        cells = [_difference(change) for change in shown]
        columns.append(_column("CHANGE", cells, total=_total_change(result), align=RIGHT))
    return fit_table(columns, width=width)


def _column(
    header: str,
    cells: Sequence[str],
    *,
    total: str = "",
    align: str = "l",
    give_up: int | None = None,
    shorten: bool = False,
) -> Column:
    """A column with the total under it."""
    return Column(header, [*cells, total], align, give_up, shorten)


def _sides(
    header: str,
    shown: Sequence[Change],
    cell: Callable[[PromptCost], str],
    *,
    align: str = "l",
    give_up: int | None = None,
    total: str = "",
) -> Column:
    """A column of `before → after`, or of the one side that there is."""
    cells = []
    for change in shown:
        texts = [cell(one) for one in (change.before, change.after) if one is not None]
        cells.append(ARROW.join(dict.fromkeys(texts)))
    return _column(header, cells, total=total, align=align, give_up=give_up)


def _model(one: PromptCost) -> str:
    return one.model if one.variant == "standard" else f"{one.model} ({one.variant})"


def _tokens(one: PromptCost) -> str:
    return f"≤ {show_count(one.bound_tokens)}" if one.input is None else show_span(one.input)


def _output(one: PromptCost) -> str:
    if not one.output_max:
        return "none"
    return UNKNOWN if one.output is None else show_span(one.output)


def _cap(one: PromptCost) -> str:
    return "-" if one.cap is None else show_count(one.cap)


def _calls(one: PromptCost) -> str:
    return UNKNOWN if one.calls_per_month is None else show_count(one.calls_per_month)


def _cost(one: PromptCost, cost: Span | None) -> str:
    if cost is None:
        return UNKNOWN
    return show_cost(cost) if one.with_output else f"{show_cost(cost)} (input)"


def _margin(one: PromptCost) -> str:
    return "-" if one.margin is None else show_percent(one.margin)


def _difference(change: Change) -> str:
    if change.before is None:
        return f"new, {signed_dollars(change.difference)}"
    if change.after is None:
        return f"gone, {signed_dollars(change.difference)}"
    share = growth_of(change)
    if not change.difference or share is None:
        return signed_dollars(change.difference)
    return f"{signed_dollars(change.difference)} ({signed_percent(share)})"


def _total_month(result: GateResult) -> str:
    months = [side.month for side in (result.before, result.after) if side is not None]
    texts = [UNKNOWN if month is None else show_cost(month) for month in months]
    return ARROW.join(dict.fromkeys(texts))


def _total_change(result: GateResult) -> str:
    if result.difference is None:
        return ""
    growth = result.growth
    percent = f" ({signed_percent(growth)})" if growth and result.difference else ""
    return f"{signed_dollars(result.difference)}{percent}"


def _reasons(shown: Sequence[Change], width: int | None) -> list[str]:
    """Why each prompt that changed did."""
    lines: list[str] = []
    for change in shown:
        words = cause_words(change)
        if change.renamed_from:
            words = [f"was {change.renamed_from}", *words]
        if change.changed and words:
            line = safe_text(f"{change.name}: {', '.join(words)}")
            lines += wrap_line(line, width=width, indent=_INDENT)
    return lines


def _unchanged(result: GateResult, shown: Sequence[Change]) -> list[str]:
    left = len(result.changes) - len(shown)
    if not left:
        return []
    return [f"{counted(left, 'prompt')} unchanged (--all shows them)"]


def _remarks(result: GateResult, width: int | None) -> list[str]:
    """Broken rules, then notes."""
    lines: list[str] = []
    said = [(one.level, one.text) for one in result.findings]
    for label, text in (*said, *(("note", note) for note in result.notes)):
        head = f"{label}: "
        lines += wrap_line(head + safe_text(text), width=width, indent=len(head))
    return lines
