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


def test_sums_are_priced_where_they_come_to_what_was_charged() -> None:
    """Goal: calls in a batch, in a higher tier or at peak hours do not hide in a sum."""
    start, end = (_ms(datetime(2026, month, 1, tzinfo=timezone.utc)) for month in (10, 11))
    usage = {kind: 100 * count for kind, count in TOKENS.items()}  # Above a tier, together.
    dearer = BASE[BASE.index("[[model.rate]]") :].replace("2026-01-01", "2026-11-20", 1)
    dearer = dearer.replace("input = 1\n", "input = 3\n").replace("output = 2\n", "output = 9\n")

    def summed(charged: int, before: str = BASE, after: str = BASE + dearer) -> Repricing:
        books = (PriceBook.from_texts([("a test", text)]) for text in (before, after))
        found = Repricing([PriceList("", book, _ms(DAY)) for book in books])
        found.add_sums("deep", usage, charged, calls=100, since_ms=start, until_ms=end)
        return found

    for charged in (12_000_000, 12_000_050):  # Each call was rounded by itself.
        total = summed(charged).total()
        assert (total.calls, total.by_sums, total.charged) == (100, 100, charged)
        assert total.costs == [12_000_000, 39_000_000]
    for left_out in (
        summed(12_000_052),
        summed(6_000_000),
        summed(12_000_000, after=BASE.replace("input_tokens = 1000", "input_tokens = 900")),
        summed(12_000_000, before=BASE + PEAK),
        summed(12_000_000, after=BASE + PEAK),
        summed(12_000_000, before=BASE.replace("2026-01-01", "2026-10-02", 1)),
    ):
        assert left_out.models == {}
        ((_, entry),) = left_out.left_out.items()
        assert entry.calls == 100
