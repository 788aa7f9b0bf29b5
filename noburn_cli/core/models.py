"""What the price book knows about one model: limits, names and dated rates.

Layer: core (frozen data).  Below: core.usage.  Above: core.pricebook_file makes them, core.cost
prices with them, core.pricebook finds them by name.
Not here: reading files (core.pricebook_file), arithmetic (core.cost).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

#: How a call is processed, which decides its price.  `fast` is a provider's faster mode, sold for
#: more than `standard` (Anthropic `speed: fast`, OpenAI `service_tier: fast`).
STANDARD = "standard"
VARIANTS = (STANDARD, "batch", "flex", "priority", "fast")

EMBEDDING = "embedding"
MEDIA = "media"
#: `reasoning` models bill tokens of thought as output, and may think by default.
#: `media` models answer with images, speech or a transcript: no text output that a cap limits.
FAMILIES = ("text", "reasoning", EMBEDDING, MEDIA)
NO_OUTPUT = (EMBEDDING, MEDIA)
#: A byte-level BPE whose ranks do not ship: never more tokens than bytes.
BYTES_TOKENIZER = "bytes"
#: Nothing is known: the context window bounds the input.
WINDOW_TOKENIZER = "unknown"
TOKENIZERS = (
    *("o200k_base", "cl100k_base", "claude", "gemini"),
    *(BYTES_TOKENIZER, WINDOW_TOKENIZER),
)

#: Cache writes have rates of their own, or are billed as input tokens without surcharge.
WRITES_PRICED = "priced"
WRITES_AS_INPUT = "as_input"


@dataclass(frozen=True)
class Tier:
    """Rates of calls with more than `above_input_tokens` input tokens, cached ones included.

    A cliff: all tokens of such a call cost these rates, not only those beyond the threshold.
    rates: pico-dollars per token by kind of usage; only the kinds that the file gives.
    """

    above_input_tokens: int
    rates: Mapping[str, int]


@dataclass(frozen=True)
class RateRow:
    """The rates of one variant from a day on (00:00 UTC), until the variant's next row.

    tiers: ascending; the first one starts at 0.
    extra: pico-dollars per unit of the further kinds (core.usage.EXTRA_KINDS), in all tiers.
    url, checked_on: where the rates were read, and when.
    """

    variant: str
    starts_on: date
    starts_at_ms: int
    tiers: tuple[Tier, ...]
    url: str
    checked_on: date
    extra: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Model:
    """One model that can be called and priced.

    context_window: the most tokens that a call's input can have; never below the truth, because
        input that only the provider knows is bounded by it.
    input_max: what the provider accepts as input, where that is less than the window.
    output_max: the most tokens an answer can have; None for embeddings and media.
    output_min: the least output cap that the provider accepts.
    rows: sorted by variant and start; never empty.
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

    def row_at(self, variant: str, at_ms: int) -> RateRow | None:
        """The row in force at a moment, or None: none yet, or no such variant."""
        found = None
        for row in self.rows:
            if row.variant == variant and row.starts_at_ms <= at_ms:
                found = row
        return found

    def rows_between(self, variant: str, from_ms: int, until_ms: int) -> tuple[RateRow, ...]:
        """Every row in force at some moment from `from_ms` to `until_ms`, both included."""
        now = self.row_at(variant, from_ms)
        later = tuple(
            row
            for row in self.rows
            if row.variant == variant and from_ms < row.starts_at_ms <= until_ms
        )
        return later if now is None else (now, *later)


def is_retired(model: Model, at_ms: int) -> bool:
    """Whether the provider has switched the model off, by the day in UTC."""
    today = datetime.fromtimestamp(at_ms / 1000, UTC).date()
    return model.retires_on is not None and model.retires_on <= today


def retired_warning(model: Model) -> str:
    """For a person who named a model that `is_retired`."""
    return f"`{model.name}` was switched off by its provider on {model.retires_on}"
