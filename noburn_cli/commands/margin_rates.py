"""The rates that `noburn margin` goes by: the price book, read only where a model is named.

Layer: commands.  Below: core.plan_usage, prices.  Above: commands.margin_asking.
Owns: Rates, and the notes on what an answer takes for granted about a model's rates.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import typer

from noburn_cli.core.plan_usage import PricedUse, Use, price_flat, price_use

if TYPE_CHECKING:
    from noburn_cli.core.models import Model
    from noburn_cli.core.pricebook import PriceBook

INPUT_ONLY_NOTE = (
    "All tokens are priced as input, and output costs more: say the split with --output-share."
)


class Rates:
    """The price book, read where a model is named, and what is to be said of its models."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self._now_ms = time.time_ns() // 1_000_000
        self._book: PriceBook | None = None
        self._warned: set[str] = set()

    def price(self, use: Use) -> PricedUse:
        """A use at its rates.  Raises ModelUnknown, PriceUnknown, UsageError."""
        if use.model is None:
            return price_flat(use)
        model = self._model(use.model)
        priced = price_use(use, model, at_ms=self._now_ms)
        if not use.split_given:
            self.notes.append(INPUT_ONLY_NOTE)
        self.notes += _notes(model, use, self._now_ms)
        return priced

    def _model(self, name: str) -> Model:
        from noburn_cli.core.models import is_retired, retired_warning
        from noburn_cli.prices import load_book

        if self._book is None:
            self._book = load_book(os.environ)
        found = self._book.resolve(name)
        if found.name not in self._warned and is_retired(found, self._now_ms):
            self._warned.add(found.name)
            typer.echo(f"warning: {retired_warning(found)}", err=True)
        return found


def _notes(model: Model, use: Use, now_ms: int) -> list[str]:
    """What the answer takes for granted about one model's rates."""
    notes = []
    row = model.row_at(use.variant, now_ms)
    if row is not None and len(row.tiers) > 1 and use.calls is None:
        limit = row.tiers[1].above_input_tokens
        notes.append(
            f"{model.name}: calls above {limit:,} input tokens cost more;"
            " say how many calls (--calls, or `calls` in --use or the plans file)."
        )
    later = [r for r in model.rows if r.variant == use.variant and r.starts_at_ms > now_ms]
    if later:
        notes.append(f"{model.name}: other rates hold from {later[0].starts_on}.")
    return notes
