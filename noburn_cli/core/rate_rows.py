"""Rows of rates: what one variant costs from a day on, in which hours, and in which regions.

Layer: core (frozen data).  Below: core.usage, core.variants.  Above: core.models, which has the
rows of a model and says which is in force.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date

from noburn_cli.core.usage import EXTRA_TOKEN_KINDS
from noburn_cli.core.variants import with_region

#: In `regions` of an uplift: every region that no uplift or row names by itself.
ANY_REGION = "*"
MINUTE_MS = 60_000
DAY_MINUTES = 1440
_WEEK_DAYS = 7
#: 1970-01-01 was a Thursday.
_EPOCH_WEEKDAY = 3


@dataclass(frozen=True)
class Tier:
    """Rates of calls with more than `above_input_tokens` input tokens, cached ones included.

    A cliff: all tokens of such a call cost these rates, not only those beyond the threshold.
    rates: pico-dollars per token by kind of usage; only the kinds that the file gives.
    """

    above_input_tokens: int
    rates: Mapping[str, int]


@dataclass(frozen=True, order=True)
class Window:
    """The hours, in UTC, in which a row holds; every day's from `from_minute` to `until_minute`.

    from_minute, until_minute: of the day; the second is not part of it.
    days: of the week, Monday is 0.
    """

    from_minute: int
    until_minute: int
    days: tuple[int, ...]

    def holds(self, at_ms: int) -> bool:
        day, minute = divmod(at_ms // MINUTE_MS, DAY_MINUTES)
        return (
            self.from_minute <= minute < self.until_minute
            and (day + _EPOCH_WEEKDAY) % _WEEK_DAYS in self.days
        )


@dataclass(frozen=True)
class Uplift:
    """What a region costs more: all rates of tokens times `factor_permille` / 1000.

    Fees are not raised: providers multiply "token pricing categories" (docs/price-book.md).
    """

    regions: tuple[str, ...]
    factor_permille: int
    starts_on: date
    starts_at_ms: int
    url: str
    checked_on: date


@dataclass(frozen=True)
class RateRow:
    """The rates of one variant from a day on (00:00 UTC), until the variant's next row.

    variant: with its region, where the rates are those of one (core.variants).
    tiers: ascending; the first one starts at 0.
    extra: pico-dollars per unit of the further kinds (core.usage.EXTRA_KINDS), in all tiers.
    url, checked_on: where the rates were read, and when.
    windows: the only hours in which the row holds; empty for all.  At the same start a row with
        windows goes before one without.
    """

    variant: str
    starts_on: date
    starts_at_ms: int
    tiers: tuple[Tier, ...]
    url: str
    checked_on: date
    extra: Mapping[str, int] = field(default_factory=dict)
    windows: tuple[Window, ...] = ()

    def holds(self, at_ms: int) -> bool:
        """Whether the row has begun, and this hour is one of its own."""
        return self.starts_at_ms <= at_ms and (
            not self.windows or any(one.holds(at_ms) for one in self.windows)
        )


def raised(row: RateRow, uplift: Uplift, region: str) -> RateRow | None:
    """The row with all rates of tokens raised; None where one is no whole pico-dollar."""
    factor = uplift.factor_permille
    rates = [rate for tier in row.tiers for rate in tier.rates.values()]
    rates += [rate for kind, rate in row.extra.items() if kind in EXTRA_TOKEN_KINDS]
    if any(rate * factor % 1000 for rate in rates):
        return None
    return replace(
        row,
        variant=with_region(row.variant, region),
        starts_on=max(row.starts_on, uplift.starts_on),
        starts_at_ms=max(row.starts_at_ms, uplift.starts_at_ms),
        tiers=tuple(
            Tier(t.above_input_tokens, {k: r * factor // 1000 for k, r in t.rates.items()})
            for t in row.tiers
        ),
        extra={
            kind: rate * factor // 1000 if kind in EXTRA_TOKEN_KINDS else rate
            for kind, rate in row.extra.items()
        },
    )
