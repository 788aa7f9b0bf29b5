"""Calls of the past at other prices: of one day's terms, at the hour at which they were made."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from noburn_cli.core.pricebook import PriceBook
from noburn_cli.core.repricing import PriceList, Repricing
from tests.core.test_price_dimensions import BASE, PEAK, TOKENS, UPLIFT

#: A Friday; the peak begins at one.
DAY = datetime(2026, 11, 27, tzinfo=timezone.utc)


def _ms(at: datetime) -> int:
    return int(at.timestamp()) * 1000


def test_a_call_keeps_its_weekday_and_hour_whenever_it_is_asked() -> None:
    """Goal: also of a price that is announced, and in a region whose uplift came later."""
    double = BASE[BASE.index("[[model.rate]]") :].replace("2026-01-01", "2026-12-01", 1)
    book = PriceBook.from_texts([("a test", BASE + PEAK + UPLIFT + double.replace(" 1\n", " 9\n"))])
    for hour in (2, 12):
        now = DAY + timedelta(hours=hour)
        then = now.replace(month=12, day=1)
        repricing = Repricing(
            [PriceList("now", book, _ms(now)), PriceList("then", book, _ms(then))]
        )
        made = datetime(2026, 2, 6, 2, tzinfo=timezone.utc)  # A Friday at the peak.
        repricing.add("deep", "standard", TOKENS, 0, made_ms=_ms(made))
        repricing.add("deep", "standard", TOKENS, 0, made_ms=_ms(made + timedelta(days=1)))
        repricing.add("deep", "standard@eu", TOKENS, 0, made_ms=_ms(made))
        # At the peak, off it, and at the peak in the EU; from December all hours cost the same.
        sums = [240_000 + 120_000 + 264_000, 920_000 + 920_000 + 1_012_000]
        assert repricing.total().costs == sums, repricing.left_out
