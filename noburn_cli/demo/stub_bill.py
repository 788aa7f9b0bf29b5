"""What a provider would bill, by arithmetic of its own.

Layer: demo.  Below: core.pricebook for the rates alone; the sums, tiers and rounding here share no
code with core.cost, so that the two can be compared.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from noburn_cli.core.models import Model
from noburn_cli.core.pricebook import PriceBook

_PICO_PER_DOLLAR = Decimal(10) ** 12
_NANO = Decimal("1e-9")
#: What fills the context window, and so decides the tier.
_INPUT = (
    *("input", "cache_read", "cache_write_5m", "cache_write_1h"),
    *("audio_input", "audio_cache_read", "image_input", "image_cache_read"),
)


@dataclass
class BilledCall:
    """One call on the bill; usage by the kinds of core.usage, disjoint.

    disconnected: the client went away before it had the whole answer.
    """

    request_id: str
    api: str
    model: str
    variant: str
    usage: dict[str, int]
    nano: int
    stream: bool
    at_ms: int
    disconnected: bool = False


@dataclass
class Bill:
    """Every call billed so far; safe to use from many threads."""

    book: PriceBook
    calls: list[BilledCall] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def charge(
        self, *, request_id: str, api: str, model: str, variant: str, usage: Mapping[str, int],
        stream: bool, disconnected: bool,
    ) -> BilledCall:  # fmt: skip
        """Put one call on the bill.  Raises ModelUnknown; KeyError for a variant without rates."""
        at_ms = time.time_ns() // 1_000_000
        nano = price_nano(self.book.resolve(model), usage, variant=variant, at_ms=at_ms)
        call = BilledCall(
            request_id=request_id, api=api, model=model, variant=variant, usage=dict(usage),
            nano=nano, stream=stream, at_ms=at_ms, disconnected=disconnected,
        )  # fmt: skip
        with self.lock:
            self.calls.append(call)
        return call

    def knows(self, model: Model, variant: str) -> bool:
        """Whether calls of the model can be billed in that variant."""
        return model.row_at(variant, time.time_ns() // 1_000_000) is not None

    def total_nano(self) -> int:
        with self.lock:
            return sum(call.nano for call in self.calls)

    def as_json(self) -> dict[str, Any]:
        with self.lock:
            calls = [asdict(call) for call in self.calls]
        total = sum(call["nano"] for call in calls)
        return {"total_nano": total, "count": len(calls), "calls": calls}


def price_nano(model: Model, usage: Mapping[str, int], *, variant: str, at_ms: int) -> int:
    """Nano-dollars for one call: exact dollars, rounded once, half to even."""
    row = max(
        (row for row in model.rows if row.variant == variant and row.holds(at_ms)),
        key=lambda row: (row.starts_at_ms, bool(row.windows)),
        default=None,
    )
    if row is None:
        raise KeyError(f"{model.name} has no {variant} rates")
    went_in = sum(usage.get(kind, 0) for kind in _INPUT)
    reached = [t for t in row.tiers if t.above_input_tokens == 0 or went_in > t.above_input_tokens]
    rates = max(reached, key=lambda tier: tier.above_input_tokens).rates
    dollars = Decimal(0)
    for kind, count in usage.items():
        if kind != "reasoning" and count:
            rate = row.extra[kind] if kind in row.extra else _pico(model, rates, kind)
            dollars += count * (Decimal(rate) / _PICO_PER_DOLLAR)
    return int((dollars / _NANO).quantize(Decimal(1), rounding=ROUND_HALF_EVEN))


def _pico(model: Model, rates: Mapping[str, int], kind: str) -> int:
    if kind in rates:
        return rates[kind]
    if kind == "cache_read" or (kind != "output" and model.cache_writes == "as_input"):
        return rates["input"]
    raise KeyError(f"{model.name} has no rate for {kind}")
