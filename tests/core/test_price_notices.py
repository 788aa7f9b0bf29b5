"""What is announced: told ahead, inside the horizon, once, and with the change."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from noburn_cli.core.price_notices import notices, unchecked
from noburn_cli.core.pricebook import PriceBook
from noburn_cli.errors import ModelUnknown

BOOK = PriceBook.from_texts([("book.toml", """\
format = 1
[[model]]
name = "dearer"
provider = "openai"
family = "text"
tokenizer = "o200k_base"
context_window = 1000
output_max = 100
aliases = ["also-dearer"]
retires_on = 2027-01-05
[[model.rate]]
variant = "standard"
starts_on = 1970-01-01
input = 2.5
output = 10
web_search_per_1k = 10
url = "https://example.org"
checked_on = 2026-11-01
[[model.rate]]
variant = "standard"
starts_on = 2026-12-01
input = 2.5
output = 15
web_search_per_1k = 8
url = "https://example.org"
checked_on = 2026-11-01
[[model.rate]]
variant = "batch"
starts_on = 2026-12-15
input = 1.25
output = 7.5
url = "https://example.org"
checked_on = 2026-11-01
""")])  # fmt: skip


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def told(day: str, horizon_days: int, names: list[str] | None = None) -> list[tuple[str, str, int]]:
    found = notices(BOOK, names, at_ms=at(day), horizon_days=horizon_days)
    return [(one.kind, one.on.isoformat(), one.days) for one in found]


def test_the_horizon_decides_and_the_nearest_comes_first() -> None:
    assert told("2026-11-27", 3) == []
    assert told("2026-11-27", 4) == [("price", "2026-12-01", 4)]
    assert told("2026-11-27T23:59:59", 39) == [
        ("price", "2026-12-01", 4), ("price", "2026-12-15", 18), ("retirement", "2027-01-05", 39),
    ]  # fmt: skip
    assert told("2026-12-01", 3) == []  # it holds, and is announced no more
    assert told("2027-01-05", 3) == [("retired", "2027-01-05", 0)]


def test_the_sentence_says_by_how_much() -> None:
    (first, second, retirement) = notices(BOOK, ["dearer", "also-dearer"], at_ms=at("2026-11-27"))
    assert first.text == (
        "`dearer` changes its price on 2026-12-01 (in 4 days): "
        "output $10 / M → $15 / M (+50 %), web search $10 / 1k → $8 / 1k (-20 %)"
    )
    assert "batch input $1.25 / M (new)" in second.text
    assert retirement.text == (
        "`dearer` is switched off by its provider on 2027-01-05 (in 39 days)"
    )
    with pytest.raises(ModelUnknown):
        notices(BOOK, ["no-such-model"], at_ms=0)


HOURS = """\
[[model.rate]]
variant = "standard"
starts_on = 2026-12-01
hours = ["01:00-04:00", "06:00-10:00"]
days = ["mon", "tue", "wed"]
input = 5
output = 30
url = "https://example.org"
checked_on = 2026-11-01
[[model.uplift]]
regions = ["eu", "*"]
factor = 1.1
starts_on = 2026-12-02
url = "https://example.org"
checked_on = 2026-11-01
"""


def test_hours_and_regions_are_announced_too() -> None:
    book = PriceBook.from_texts([("book.toml", BOOK.texts[0][1] + HOURS)])
    first, second = notices(book, None, at_ms=at("2026-11-27"), horizon_days=5)
    changes = [(one.variant, one.kind, one.before, one.after) for one in first.changes]
    hours = "standard Mon-Wed 01:00-04:00, 06:00-10:00 UTC"
    assert (hours, "input", 2_500_000, 5_000_000) in changes
    assert ("standard", "output", 10_000_000, 15_000_000) in changes
    assert second.text.endswith("in eu, any other region: × 1.1 of all rates of tokens")


def test_rows_that_nobody_compared_for_long_are_named() -> None:
    assert unchecked(BOOK, None, at_ms=at("2026-12-31")) == []
    (one,) = unchecked(BOOK, None, at_ms=at("2027-01-01"))
    assert (one.kind, one.days) == ("unchecked", -61)
    assert unchecked(BOOK, None, at_ms=at("2027-01-05")) == []  # switched off
