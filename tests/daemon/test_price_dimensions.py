"""The daemon's pricing, with its caches: hours, regions, and books of ledgers from before them."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from noburn_cli.core.pricebook import PriceBook, call_cost
from noburn_cli.core.variants import maybe_in
from noburn_cli.errors import PriceUnknown
from noburn_daemon import frames
from noburn_daemon.pricing import Pricing
from tests.core.test_price_dimensions import BASE, PEAK, UPLIFT
from tests.daemon.parts import read, reserve_frame

USAGE = frames.Usage(input=500, output=100)


def _ms(hour: int, minute: int = 0) -> int:
    return int(datetime(2026, 11, 27, hour, minute, tzinfo=timezone.utc).timestamp()) * 1000


def _reserve(*variants: str) -> frames.Reserve:
    output = {"wanted": 100, "floor": 1, "choices": 1, "clamp": False}
    size = {"bytes": 0, "expanded": 0, "overhead": 500}
    frame = reserve_frame("a", model="deep", input=size, output=output, variants=list(variants))
    found: frames.Reserve = read(frame)
    return found


def test_holds_and_settlements_at_every_minute_around_a_peak() -> None:
    """A hold of the hour before the peak is at the peak's rates; a settlement at its start's."""
    book = PriceBook.from_texts([("now", BASE + PEAK + UPLIFT)])
    pricing = Pricing(book, lambda _: None)
    model = book.resolve("deep")
    for minutes in range(0, 26 * 60, 7):
        now_ms = _ms(0) + minutes * 60_000
        for variants in (("standard",), ("standard@eu",), ("standard", "standard@us")):
            quote = pricing.quote(_reserve(*variants), now_ms=now_ms)
            held, settled = quote.full[0], []
            for variant in variants:
                cost = pricing.cost(
                    version=book.version, model="deep", usage=USAGE, variant=variant, at_ms=now_ms
                )
                by_the_book = call_cost(model, USAGE.by_kind(), variant=variant, at_ms=now_ms)
                assert cost == by_the_book
                settled.append(cost)
                later = call_cost(model, USAGE.by_kind(), variant=variant, at_ms=now_ms + 3_600_000)
                assert max(cost, later) <= held
    quiet = pricing.quote(_reserve("standard"), now_ms=_ms(12))
    before = pricing.quote(_reserve("standard"), now_ms=_ms(5, 30))
    assert before.full[0] == 2 * quiet.full[0], "the peak begins at six, while it may still run"
    assert (
        '"variant":"standard@us"'
        in pricing.quote(_reserve("standard", "standard@us"), now_ms=_ms(12)).rates_note
    )


def test_where_the_request_does_not_tell_the_region_the_dearer_one_is_held() -> None:
    """A workspace's default geography is seen in the bill alone."""
    word = maybe_in("standard", "us")
    book = PriceBook.from_texts([("now", BASE + UPLIFT)])
    pricing = Pricing(book, lambda _: None)
    held = pricing.quote(_reserve("standard", word), now_ms=_ms(12)).full[0]
    assert held == pricing.quote(_reserve("standard@us"), now_ms=_ms(12)).full[0]
    assert held > pricing.quote(_reserve("standard"), now_ms=_ms(12)).full[0]
    everywhere_alike = PriceBook.from_texts([("now", BASE)])
    pricing = Pricing(everywhere_alike, lambda _: None)
    held = pricing.quote(_reserve("standard", word), now_ms=_ms(12)).full[0]
    assert held == pricing.quote(_reserve("standard"), now_ms=_ms(12)).full[0]


def test_a_region_without_a_price_holds_nothing_and_settles_nothing() -> None:
    book = PriceBook.from_texts([("now", BASE)])
    pricing = Pricing(book, lambda _: None)
    with pytest.raises(PriceUnknown):
        pricing.quote(_reserve("standard@eu"), now_ms=_ms(12))
    with pytest.raises(PriceUnknown):
        pricing.cost(
            version=book.version, model="deep", usage=USAGE, variant="standard@eu", at_ms=_ms(12)
        )


def test_a_book_from_before_prices_its_own_holds() -> None:
    """A call is settled by the book on its hold; today's has hours, regions and no `deep`."""
    old = [("then", BASE)]
    before = PriceBook.from_texts(old)
    today = PriceBook.from_texts([("now", (BASE + PEAK + UPLIFT).replace("deep", "other"))])
    pricing = Pricing(today, {before.version: old}.get)
    cost = pricing.cost(
        version=before.version, model="deep", usage=USAGE, variant="standard", at_ms=_ms(2)
    )
    assert cost == 500 * 1_000 + 100 * 2_000
