"""From one row of rates to another: what changed, by how much, and how a rate is written.

Layer: core (pure).  Below: core.models, core.usage, core.money.
Above: core.price_notices, core.book_diff, render.prices.
Not here: which row holds when (core.models), what a call costs (core.cost).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from fractions import Fraction

from noburn_cli.core.models import STANDARD, RateRow
from noburn_cli.core.money import show_percent
from noburn_cli.core.usage import EXTRA_KINDS, FEE_PRICES, PRICED_KINDS

#: The order in which kinds are shown.
SHOWN_KINDS = (*PRICED_KINDS, *EXTRA_KINDS)
_MILLION = 1_000_000
#: Kinds in people's words, where the key is not one.
_WORDS = {
    "cache_read": "cached input",
    "cache_write_5m": "cache write",
    "cache_write_1h": "long cache write",
}


@dataclass(frozen=True)
class RateChange:
    """One rate of a variant that is another one, is new, or is gone.

    above: the threshold of the tier, in input tokens; 0 is the base.
    before, after: pico-dollars per token or unit; None where there is none.
    """

    variant: str
    kind: str
    above: int
    before: int | None
    after: int | None

    @property
    def share(self) -> Fraction | None:
        """The change as a share of the rate before; None where one of the two is missing or 0."""
        if not self.before or self.after is None:
            return None
        return Fraction(self.after - self.before, self.before)


def rate_changes(before: RateRow | None, after: RateRow | None) -> tuple[RateChange, ...]:
    """Every rate in which two rows of one variant differ, in the order in which they are shown."""
    row = after or before
    if row is None:
        return ()
    old, new = _rates(before), _rates(after)
    places = sorted(old.keys() | new.keys(), key=lambda at: (at[1], SHOWN_KINDS.index(at[0])))
    return tuple(
        RateChange(row.variant, kind, above, old.get((kind, above)), new.get((kind, above)))
        for kind, above in places
        if old.get((kind, above)) != new.get((kind, above))
    )


def same_terms(one: RateRow, other: RateRow) -> bool:
    """Whether two rows price every call alike; where and when they were read does not matter."""
    return _terms(one) == _terms(other)


def _terms(row: RateRow) -> RateRow:
    """The row without its place in time and its source: whatever else it says is a term."""
    day = date(1970, 1, 1)
    return replace(row, starts_on=day, starts_at_ms=0, url="", checked_on=day)


def _rates(row: RateRow | None) -> dict[tuple[str, int], int]:
    if row is None:
        return {}
    found = {(kind, 0): pico for kind, pico in row.extra.items()}
    for tier in row.tiers:
        found |= {(kind, tier.above_input_tokens): pico for kind, pico in tier.rates.items()}
    return found


def exact_dollars(kind: str, pico: int) -> str:
    """Exact dollars for as many units as a price of this kind is for, without trailing zeros."""
    units = FEE_PRICES[kind][1] if kind in FEE_PRICES else _MILLION
    whole, part = divmod(pico * units, 10**12)
    return f"{whole}.{part:012d}".rstrip("0").removesuffix(".")


def rate_unit(kind: str) -> str:
    """What the dollars of `exact_dollars` are for: `M`, `1k`, `hour`."""
    if kind not in FEE_PRICES:
        return "M"
    key, units = FEE_PRICES[kind]
    return "M" if units == _MILLION else key.rpartition("_per_")[2]


def show_rate(kind: str, pico: int | None) -> str:
    """`$2.5 / M` of tokens, `$10 / 1k` of searches; `–` for no rate."""
    return "–" if pico is None else f"${exact_dollars(kind, pico)} / {rate_unit(kind)}"


def kind_words(kind: str) -> str:
    """A kind of usage as people say it."""
    return _WORDS.get(kind, kind.replace("_", " "))


def show_change(change: RateChange) -> str:
    """`output $10 / M → $15 / M (+50 %)`; variant and tier are named where they are not plain."""
    place = "" if change.variant == STANDARD else f"{change.variant} "
    above = f" above {change.above:,}" if change.above else ""
    name = f"{place}{kind_words(change.kind)}{above}"
    old, new = (show_rate(change.kind, pico) for pico in (change.before, change.after))
    if change.before is None:
        return f"{name} {new} (new)"
    if change.after is None:
        return f"{name} {old} (gone)"
    percent = "" if change.share is None else f" ({show_signed(change.share)})"
    return f"{name} {old} → {new}{percent}"


def show_signed(share: Fraction) -> str:
    """A change in per cent, rounded to a tenth: `+50 %`, `-33.3 %`."""
    tenths = round(share * 1000)
    return ("+" if tenths > 0 else "") + show_percent(Fraction(tenths, 1000))
