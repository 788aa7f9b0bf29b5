"""How changes of prices look: one model over time, and one book against another.

Layer: render, pure.  Below: core.book_diff, core.rate_changes, render.prices, render.table.
Above: commands.prices.showing, commands.prices.comparing.
Not here: what an update plans (render.price_plan).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

from noburn_cli.core.book_diff import CHANGED, GONE, NEW, FactDiff, ModelDiff, RowDiff
from noburn_cli.core.models import Model, RateRow
from noburn_cli.core.rate_changes import (
    RateChange,
    exact_dollars,
    kind_words,
    rate_changes,
    rate_unit,
    show_change,
    show_rate,
    show_signed,
)
from noburn_cli.core.usage import CACHE_READ, INPUT, OUTPUT
from noburn_cli.render.prices import NONE, ends_on, row_data, variant_words
from noburn_cli.render.table import RIGHT, Column, fit_table, safe_text

#: A line names as many rates as one reads.
_RATES_SHOWN = 6
_FIRST_DAY = date(1970, 1, 1)


def render_history(model: Model, rows: Sequence[RateRow], *, today: date) -> list[str]:
    """One line per row of rates, dollars per million tokens, with the change to the one before."""
    steps = list(_steps(model, rows))
    columns = [
        Column("FROM", [_from(row) for row, _ in steps]),
        Column("UNTIL", [str(ends_on(model, row) or "") for row, _ in steps]),
        Column("VARIANT", [variant_words(row) for row, _ in steps]),
        *(_rate_column(header, kind, [row for row, _ in steps])
          for header, kind in (("INPUT", INPUT), ("CACHED", CACHE_READ), ("OUTPUT", OUTPUT))),
        Column("CHANGE", [_change_words(row, changes, today) for row, changes in steps]),
    ]  # fmt: skip
    return [safe_text(model.name), *fit_table(columns, width=None)]


def _steps(model: Model, rows: Sequence[RateRow]) -> Iterator[tuple[RateRow, Sequence[RateChange]]]:
    """Each row with what it changed; the first of a variant and of its hours changed nothing."""
    for row in rows:
        earlier = [
            one
            for one in model.rows
            if (one.variant, one.windows) == (row.variant, row.windows)
            and one.starts_on < row.starts_on
        ]
        yield row, rate_changes(earlier[-1], row) if earlier else ()


def _from(row: RateRow) -> str:
    return "its first day" if row.starts_on == _FIRST_DAY else str(row.starts_on)


def _rate_column(header: str, kind: str, rows: Sequence[RateRow]) -> Column:
    rates = [row.tiers[0].rates.get(kind) for row in rows]
    cells = [NONE if pico is None else exact_dollars(kind, pico) for pico in rates]
    return Column(header, cells, RIGHT)


def _change_words(row: RateRow, changes: Sequence[RateChange], today: date) -> str:
    """`announced, input, cached input, output +100 %`: what changed alike is told once."""
    names: dict[str, list[str]] = {}
    for change in changes:
        above = f" above {change.above:,}" if change.above else ""
        names.setdefault(_share_words(change), []).append(f"{kind_words(change.kind)}{above}")
    said = ["announced"] if row.starts_on > today else []
    return ", ".join([*said, *(f"{', '.join(ones)} {how}" for how, ones in names.items())])


def _share_words(change: RateChange) -> str:
    if change.share is not None:
        return show_signed(change.share)
    # From 0 to something there is no share.
    return "new" if change.before is None else "gone" if change.after is None else "no longer 0"


def history_data(model: Model, rows: Sequence[RateRow]) -> dict[str, Any]:
    """The same as data: every row with the changes to the one before."""
    return {
        "model": model.name,
        "rates": [
            {**row_data(model, row), "changes": [change_data(one) for one in changes]}
            for row, changes in _steps(model, rows)
        ],
    }


def change_data(change: RateChange) -> dict[str, Any]:
    """One rate before and after; `percent` is rounded to a tenth."""
    share = change.share
    return {
        "variant": change.variant,
        "kind": change.kind,
        "above_input_tokens": change.above,
        "before_usd": _usd(change.kind, change.before),
        "after_usd": _usd(change.kind, change.after),
        "per": rate_unit(change.kind),
        "percent": None if share is None else str(round(share * 1000) / 10),
    }


def _usd(kind: str, pico: int | None) -> str | None:
    return None if pico is None else exact_dollars(kind, pico)


def render_diff(diffs: Sequence[ModelDiff], first: str, second: str) -> list[str]:
    """What the second book says otherwise than the first, model by model."""
    lines = [f"{safe_text(first)} → {safe_text(second)}"]
    for diff in diffs:
        if diff.kind == GONE:
            lines.append(f"- {safe_text(diff.name)}")
        elif diff.kind == NEW and diff.after is not None:
            lines.append(f"+ {safe_text(diff.name)}: {new_model_words(diff.after)}")
        else:
            lines.append(f"~ {safe_text(diff.name)}")
            lines += [f"    {_row_words(row)}" for row in diff.rows]
            lines += [f"    {fact_words(fact)}" for fact in diff.facts]
    return [*lines, "", _summary(diffs)]


def _summary(diffs: Sequence[ModelDiff]) -> str:
    counts = [(sum(one.kind == kind for one in diffs), kind) for kind in (NEW, CHANGED, GONE)]
    said = ", ".join(f"{count:,} {word}" for count, word in counts if count)
    return f"Models: {said}." if said else "No difference."


def new_model_words(model: Model) -> str:
    """A model that is new, in a line: provider, and the rates that it has now or will have."""
    row = model.rows[0]
    rates = {**row.tiers[0].rates, **row.extra}
    shown = [f"{kind_words(kind)} {show_rate(kind, pico)}" for kind, pico in rates.items()]
    return f"{safe_text(model.provider)}, {', '.join(shown[:_RATES_SHOWN])}"


def _row_words(row: RowDiff) -> str:
    day = "its first day" if row.starts_on == _FIRST_DAY else str(row.starts_on)
    if not row.after:
        return f"{row.variant} from {day}: gone"
    return f"{row.variant} from {day}: {rates_words(row.variant, row.changes)}"


def rates_words(variant: str, changes: Sequence[RateChange]) -> str:
    """Changed rates in a line, without the variant, which stands before them."""
    if not changes:
        return "other terms"
    shown = [show_change(one).removeprefix(f"{variant} ") for one in changes[:_RATES_SHOWN]]
    more = len(changes) - _RATES_SHOWN
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")


def fact_words(fact: FactDiff) -> str:
    """A fact beside the rates: `context window 128,000 → 256,000`."""
    before, after = _value_words(fact.before), _value_words(fact.after)
    if isinstance(fact.before, tuple) and isinstance(fact.after, tuple):
        added = [f"+{one}" for one in fact.after if one not in fact.before]
        gone = [f"-{one}" for one in fact.before if one not in fact.after]
        return f"{fact.key}: {safe_text(', '.join([*added, *gone]) or 'another order')}"
    return f"{fact.key.replace('_', ' ')} {safe_text(before)} → {safe_text(after)}"


def _value_words(value: Any) -> str:
    if value is None:
        return "none"
    return f"{value:,}" if type(value) is int else str(value)


def diff_data(diffs: Sequence[ModelDiff]) -> list[dict[str, Any]]:
    """The same as data."""
    return [
        {
            "model": diff.name,
            "kind": diff.kind,
            "rates": [
                {
                    "kind": row.kind,
                    "variant": row.variant,
                    "starts_on": row.starts_on.isoformat(),
                    "changes": [change_data(one) for one in row.changes],
                }
                for row in diff.rows
            ],
            "facts": [fact_data(fact) for fact in diff.facts],
        }
        for diff in diffs
    ]


def fact_data(fact: FactDiff) -> dict[str, Any]:
    """One fact before and after."""
    return {"key": fact.key, "before": _plain(fact.before), "after": _plain(fact.after)}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return value if value is None or isinstance(value, (int, str)) else str(value)
