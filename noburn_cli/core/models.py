"""What the price book knows about one model: limits, names and dated rates.

Layer: core (frozen data).  Below: core.rate_rows, core.variants.  Above: core.pricebook_file makes
them, core.cost prices with them, core.pricebook finds them by name.
Owns: which row is in force at a moment: by day, by hour of the day, by region.
Not here: reading files (core.pricebook_file), arithmetic (core.cost).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime

from noburn_cli.core.rate_rows import (
    ANY_REGION,
    DAY_MINUTES,
    MINUTE_MS,
    RateRow,
    Tier,
    Uplift,
    Window,
    raised,
)
from noburn_cli.core.variants import STANDARD, VARIANTS, without_region
from noburn_cli.errors import PriceUnknown

__all__ = [
    "EMBEDDING", "FAMILIES", "MEDIA", "NO_OUTPUT", "STANDARD", "TOKENIZERS", "VARIANTS",
    "Model", "RateRow", "Tier", "Uplift", "Window",
]  # fmt: skip

EMBEDDING = "embedding"
MEDIA = "media"
#: `reasoning` models bill tokens of thought as output, and may think by default.
#: `media` models answer with images, speech or a transcript: no text output that a cap limits.
FAMILIES = ("text", "reasoning", EMBEDDING, MEDIA)
NO_OUTPUT = (EMBEDDING, MEDIA)
#: A byte-level BPE of which no more is known: never more tokens than bytes.
BYTES_TOKENIZER = "bytes"
#: Nothing is known: the context window bounds the input.
WINDOW_TOKENIZER = "unknown"
TOKENIZERS = (
    *("o200k_base", "cl100k_base", "claude", "gemini", "o200k_harmony"),
    *("deepseek_v3", "tekken", "llama3", "llama4", "qwen2", "qwen3_5"),
    *(BYTES_TOKENIZER, WINDOW_TOKENIZER),
)

#: Cache writes have rates of their own, or are billed as input tokens without surcharge.
WRITES_PRICED = "priced"
WRITES_AS_INPUT = "as_input"

#: Audio and images in the input have rates of their own, or cost what text costs.
MEDIA_PRICED = "priced"
MEDIA_AS_TEXT = "as_text"


#: As `retires_on` in a later file: the date that an earlier one gives holds no more.
NOT_RETIRED = date.max


@dataclass(frozen=True)
class Model:
    """One model that can be called and priced.

    context_window: the most tokens that a call's input can have; never below the truth, because
        input that only the provider knows is bounded by it.
    input_max: what the provider accepts as input, where that is less than the window.
    output_max: the most tokens an answer can have; None for embeddings and media.
    output_min: the least output cap that the provider accepts.
    rows: sorted by variant and start, those with windows last of their start; never empty.
    uplifts: what regions cost more than the rows say.
    media_input: what audio and images in the input cost where a row has no rate for them.
    retires_on: when the provider has said that it will switch the model off.
    """

    name: str
    provider: str
    family: str
    tokenizer: str
    context_window: int
    input_max: int
    output_max: int | None
    output_min: int
    cache_writes: str
    aliases: tuple[str, ...]
    rows: tuple[RateRow, ...]
    sources: tuple[str, ...]
    retires_on: date | None = None
    note: str = ""
    uplifts: tuple[Uplift, ...] = ()
    media_input: str = MEDIA_PRICED

    def row_at(self, variant: str, at_ms: int) -> RateRow | None:
        """The row in force at a moment, or None: none yet, or no such variant or region."""
        found = None
        for row in self.rows:
            if row.variant == variant and row.holds(at_ms):
                found = row
        if found is None:
            plain, region = without_region(variant)
            return self._raised(plain, region, at_ms) if region else None
        return found

    def rows_between(self, variant: str, from_ms: int, until_ms: int) -> tuple[RateRow, ...]:
        """Every row in force at some moment from `from_ms` to `until_ms`, both included.

        Raises PriceUnknown where some moment has none: it would be missing in a hold.
        """
        found: list[RateRow] = []
        for moment in (from_ms, *sorted(self._changes(from_ms, until_ms))):
            row = self.row_at(variant, moment)
            if row is None:
                raise PriceUnknown(
                    f"`{self.name}` has no {variant} price for all of the time that is asked about",
                    why=f"there is none from {datetime.fromtimestamp(moment / 1000, UTC)} on",
                    next_step="give the rates in your own price file (set NOBURN_PRICES to its "
                    "path); a region's factor must make whole pico-dollars of them",
                )
            if row not in found:
                found.append(row)
        return tuple(found)

    def windows(self, variant: str, at_ms: int) -> tuple[Window, ...]:
        """The hours for which a variant has rates of their own at present, or none."""
        plain = without_region(variant)[0]
        begun = [r for r in self.rows if r.variant in (plain, variant) and r.starts_at_ms <= at_ms]
        newest = max((row.starts_at_ms for row in begun), default=0)
        return tuple(w for row in begun if row.starts_at_ms == newest for w in row.windows)

    def regions(self) -> tuple[str, ...]:
        """The regions whose price is known, in the order of the book."""
        raised = (region for uplift in self.uplifts for region in uplift.regions)
        own = (without_region(row.variant)[1] for row in self.rows)
        return tuple(dict.fromkeys(one for one in (*raised, *own) if one))

    def _raised(self, variant: str, region: str, at_ms: int) -> RateRow | None:
        """The variant's row at the region's uplift; None where either is not known."""
        row = self.row_at(variant, at_ms)
        begun = [one for one in self.uplifts if one.starts_at_ms <= at_ms]
        own = [one for one in begun if region in one.regions]
        known = own or [one for one in begun if ANY_REGION in one.regions]
        return raised(row, known[-1], region) if row is not None and known else None

    def _changes(self, from_ms: int, until_ms: int) -> set[int]:
        """The moments after `from_ms`, up to `until_ms`, at which another row may hold."""
        if from_ms == until_ms:
            return set()
        starts = {row.starts_at_ms for row in self.rows}
        starts |= {uplift.starts_at_ms for uplift in self.uplifts}
        windows = {window for row in self.rows for window in row.windows}
        for window in windows:
            for minute in (window.from_minute, window.until_minute):
                starts.update(_daily(minute * MINUTE_MS, from_ms, until_ms))
        return {moment for moment in starts if from_ms < moment <= until_ms}


def _daily(offset_ms: int, from_ms: int, until_ms: int) -> Iterator[int]:
    """That moment of every day, from the day of `from_ms` on."""
    day_ms = DAY_MINUTES * MINUTE_MS
    return iter(range(from_ms // day_ms * day_ms + offset_ms, until_ms + 1, day_ms))


def is_retired(model: Model, at_ms: int) -> bool:
    """Whether the provider has switched the model off, by the day in UTC."""
    today = datetime.fromtimestamp(at_ms / 1000, UTC).date()
    return model.retires_on is not None and model.retires_on <= today


def retired_warning(model: Model) -> str:
    """For a person who named a model that `is_retired`."""
    return f"`{model.name}` was switched off by its provider on {model.retires_on}"
