"""Hours, regions, fine-tunes and hosted names in a price file: what holds, and what is refused."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from noburn_cli.core.pricebook import PriceBook, call_cost, extra_hold_rates, hold_cost, hold_rates
from noburn_cli.errors import ModelUnknown, PriceBookInvalid, PriceUnknown

BASE = """
format = 1
[[model]]
name = "deep"
provider = "deepseek"
family = "text"
tokenizer = "bytes"
context_window = 1000000
output_max = 100000
cache_writes = "as_input"
[[model.rate]]
variant = "standard"
starts_on = 2026-01-01
input = 1
cache_read = 0.1
output = 2
above = [ { input_tokens = 1000, input = 2, cache_read = 0.2, output = 3 } ]
web_search_per_1k = 10
audio_input = 4
url = "https://example.com/prices"
checked_on = 2026-01-01
"""
PEAK = """
[[model.rate]]
variant = "standard"
starts_on = 2026-01-01
hours = ["01:00-04:00", "06:00-10:00"]
days = ["mon", "tue", "wed", "thu", "fri"]
input = 2
cache_read = 0.2
output = 4
above = [ { input_tokens = 1000, input = 4, cache_read = 0.4, output = 6 } ]
web_search_per_1k = 10
audio_input = 8
url = "https://example.com/prices"
checked_on = 2026-01-01
"""
UPLIFT = """
[[model.uplift]]
regions = ["us", "eu"]
factor = 1.1
starts_on = 2026-03-01
url = "https://example.com/regions"
checked_on = 2026-03-01
"""
TOKENS = {"input": 100, "output": 10}


def _book(*parts: str) -> PriceBook:
    return PriceBook.from_texts([("a test", "".join(parts))])


def _ms(day: int, hour: int, minute: int = 0, month: int = 11) -> int:
    at = datetime(2026, month, day, hour, minute, tzinfo=timezone.utc)
    return int(at.timestamp() * 1000)


def _cost(book: PriceBook, at_ms: int, variant: str = "standard") -> int:
    return call_cost(book.resolve("deep"), TOKENS, variant=variant, at_ms=at_ms)


@pytest.mark.parametrize(
    ("at_ms", "dear"),
    [
        (_ms(27, 0, 59), False), (_ms(27, 1), True), (_ms(27, 3, 59), True), (_ms(27, 4), False),
        (_ms(27, 9, 59), True), (_ms(27, 10), False),
        (_ms(28, 2), False), (_ms(29, 2), False), (_ms(30, 2), True),
    ],
)  # fmt: skip
def test_hours_hold_on_their_days_alone(at_ms: int, dear: bool) -> None:
    """2026-11-27 is a Friday; at the weekend the plain row holds all day."""
    assert _cost(_book(BASE, PEAK), at_ms) == (240_000 if dear else 120_000)


def test_hours_go_first_wherever_they_stand_in_the_file() -> None:
    head, plain = BASE[: BASE.index("[[model.rate]]")], BASE[BASE.index("[[model.rate]]") :]
    assert _cost(_book(head, PEAK, plain), _ms(27, 2)) == 240_000


def test_a_later_row_ends_earlier_hours() -> None:
    later = PEAK.replace("2026-01-01\nhours", "2026-11-01\nhours").replace(
        "01:00-04:00", "23:00-24:00"
    )
    plain = BASE[BASE.index("[[model.rate]]") :].replace(
        "starts_on = 2026-01-01", "starts_on = 2026-11-01"
    )
    book = _book(BASE, PEAK, plain, later)
    assert _cost(book, _ms(27, 2)) == 120_000, "no peak at two o'clock any more"
    assert _cost(book, _ms(27, 23)) == 240_000
    assert _cost(book, _ms(30, 2, month=10)) == 240_000, "and before that day as it was"


def test_a_region_raises_tokens_and_not_fees() -> None:
    book = _book(BASE, PEAK, UPLIFT)
    model = book.resolve("deep")
    assert _cost(book, _ms(27, 0), "standard@eu") == 132_000
    assert _cost(book, _ms(27, 2), "standard@eu") == 264_000, "hours and regions add up"
    usage = {"web_search": 3, "audio_input": 10}
    assert call_cost(model, usage, variant="standard@us", at_ms=_ms(27, 0)) == 30_000_000 + 44_000
    rates = hold_rates(
        model, variants=("standard", "standard@eu"), input_kinds=("input",),
        input_tokens_max=10, from_ms=_ms(27, 0), until_ms=_ms(27, 0),
    )  # fmt: skip
    assert (rates.input_pico, rates.output_pico) == (1_100_000, 2_200_000)
    assert rates.input.variant == "standard@eu"


@pytest.mark.parametrize(
    ("variant", "at_ms", "says"),
    [
        ("standard@mars", _ms(27, 0), "no price in the region `mars`"),
        ("standard@eu", _ms(1, 0, month=2), "no standard price at that time"),
        ("batch@eu", _ms(27, 0), "no batch price at that time"),
    ],
)
def test_a_region_without_a_price_is_unknown_and_never_the_plain_one(
    variant: str, at_ms: int, says: str
) -> None:
    with pytest.raises(PriceUnknown) as caught:
        _cost(_book(BASE, UPLIFT), at_ms, variant)
    assert says in caught.value.message


def test_rows_of_a_region_go_before_its_uplift_and_any_region_behind_named_ones() -> None:
    own = BASE[BASE.index("[[model.rate]]") :].replace(
        'variant = "standard"', 'variant = "standard"\nregion = "eu"'
    ).replace("input = 1\n", "input = 7\n")  # fmt: skip
    anywhere = UPLIFT.replace('["us", "eu"]', '["*"]').replace("1.1", "1.5")
    book = _book(BASE, own, UPLIFT, anywhere)
    assert _cost(book, _ms(27, 0), "standard@eu") == 720_000
    assert _cost(book, _ms(27, 0), "standard@us") == 132_000
    assert _cost(book, _ms(27, 0), "standard@asia-south1") == 180_000
    assert book.resolve("deep").regions() == ("us", "eu", "*")


def test_an_uplift_that_no_whole_pico_dollar_gives_is_unknown() -> None:
    fine = BASE.replace("cache_read = 0.1", "cache_read = 0.003625")
    with pytest.raises(PriceUnknown):
        _cost(_book(fine, UPLIFT), _ms(27, 0), "standard@eu")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (PEAK.replace("01:00-04:00", "22:00-04:00"), "hours of one day in UTC"),
        (PEAK.replace("01:00-04:00", "01:00-04:60"), "hours of one day in UTC"),
        (PEAK.replace("06:00-10:00", "03:00-10:00"), "overlap"),
        (PEAK.replace('"mon"', '"monday"'), "not a list of days"),
        (PEAK + PEAK, "two standard rows start on"),
        (PEAK.replace("2026-01-01\nhours", "2025-01-01\nhours"), "no row without hours"),
        (UPLIFT.replace("1.1", "0"), "not a factor"),
        (UPLIFT.replace("1.1", "1.10005"), "finer than a thousandth"),
        (UPLIFT.replace('["us", "eu"]', "[]"), "not a list of regions"),
        (UPLIFT.replace('["us", "eu"]', '["u s"]'), "no usable region"),
        (UPLIFT.replace("https:", "ftp:"), "not an address"),
        (UPLIFT.replace("factor", "factr"), "unknown key 'factr'"),
    ],
)
def test_broken_hours_and_regions_are_refused(text: str, says: str) -> None:
    with pytest.raises(PriceBookInvalid) as caught:
        _book(BASE, text)
    assert says in caught.value.message


def test_your_own_file_keeps_hours_and_regions_that_it_does_not_name() -> None:
    own = BASE.replace("input = 1\n", "input = 5\n")
    book = PriceBook.from_texts([("ours", BASE + PEAK + UPLIFT), ("yours", own)])
    assert _cost(book, _ms(27, 2)) == 520_000, "your rows replace all of ours of the variant"
    assert _cost(book, _ms(27, 2), "standard@eu") == 572_000, "the region's uplift stays"
    like = 'format = 1\n[[model]]\nname = "ft:deep"\nlike = "deep"\n'
    with pytest.raises(PriceBookInvalid, match="no rate"):
        PriceBook.from_texts([("ours", BASE + PEAK), ("yours", like)])
    like += BASE[BASE.index("[[model.rate]]") :]
    twin = PriceBook.from_texts([("ours", BASE + PEAK + UPLIFT), ("yours", like)])
    at_ms = _ms(27, 2)
    found = twin.resolve("ft:deep:acme::1")
    assert found.name == "ft:deep"
    # The base's dearer hours are not its own.
    assert call_cost(found, TOKENS, variant="standard@eu", at_ms=at_ms) == 132_000


def test_fine_tunes_and_vertex_names() -> None:
    named = BASE.replace('"deep"', '"vertex_ai/claude-x-1"').replace('"deepseek"', '"vertex"')
    tuned = BASE.replace('"deep"', '"ft:gpt-a-2024-07-18"').replace("format = 1", "")
    book = _book(named, tuned)
    for name in ("vertex_ai/claude-x-1", "publishers/anthropic/models/claude-x-1"):
        for version in ("", "@20260101", "@default"):
            assert book.resolve(name + version).name == "vertex_ai/claude-x-1"
    assert book.resolve("ft:gpt-a-2024-07-18:acme:support:9x").name == "ft:gpt-a-2024-07-18"
    for name in (
        *("claude-x-1@default", "vertex_ai/claude-x-1@nightly", "publishers/x/models/gpt"),
        "projects/p/locations/us-east5/publishers/anthropic/models/claude-x-1",
    ):
        with pytest.raises(ModelUnknown):
            book.resolve(name)
    with pytest.raises(ModelUnknown) as caught:
        book.resolve("ft:gpt-b:acme::1")
    assert "fine-tunes of `gpt-b`" in caught.value.message
    assert "gpt-a-2024-07-18" in caught.value.why


def test_sound_costs_what_text_does_where_the_book_says_so_and_is_unknown_elsewhere() -> None:
    """In every tier and region; a rate of its own goes first."""
    silent = BASE.replace("audio_input = 4\n", "")
    says = silent.replace(
        'cache_writes = "as_input"', 'cache_writes = "as_input"\nmedia_input = "as_text"'
    )
    usage = {"audio_input": 850, "image_input": 50, "audio_cache_read": 100}
    at_ms = _ms(27, 0)

    def cost(text: str, variant: str = "standard", more: int = 0) -> int:
        counted = {**usage, "audio_input": 850 + more}
        return call_cost(_book(text).resolve("deep"), counted, variant=variant, at_ms=at_ms)

    assert cost(says) == 900 * 1_000 + 100 * 100
    assert cost(says, more=1) == 901 * 2_000 + 100 * 200, "they reach the next tier"
    assert cost(says + UPLIFT, "standard@eu") == (900 * 1_000 + 100 * 100) * 11 // 10
    own = says.replace("web_search_per_1k", "audio_input = 4\nweb_search_per_1k")
    assert cost(own) == (850 + 100) * 4_000 + 50 * 1_000
    with pytest.raises(PriceUnknown):
        cost(silent)
    with pytest.raises(PriceBookInvalid):
        _book(says.replace('"as_text"', '"free"'))


counts = st.integers(0, 4000)
moments = st.integers(_ms(20, 0), _ms(30, 0))
kinds = ("input", "cache_read", "output", "audio_input", "web_search")


@given(usage=st.dictionaries(st.sampled_from(kinds), counts), more=st.sampled_from(kinds),
       at_ms=moments, variant=st.sampled_from(("standard", "standard@us")))  # fmt: skip
def test_cost_never_falls_when_usage_grows(
    usage: dict[str, int], more: str, at_ms: int, variant: str
) -> None:
    model = _book(BASE, PEAK, UPLIFT).resolve("deep")
    grown = {**usage, more: usage.get(more, 0) + 1}
    before, after = (call_cost(model, one, variant=variant, at_ms=at_ms) for one in (usage, grown))
    assert after > before


@example(
    went_in=10,
    out=10,
    began=_ms(27, 5, 30),
    ran=timedelta(hours=1),
    variants=("standard", "standard@us"),
)
@given(went_in=st.integers(1, 4000), out=st.integers(0, 4000), began=moments,
       ran=st.timedeltas(timedelta(0), timedelta(hours=1)),
       variants=st.sampled_from((("standard",), ("standard", "standard@us"))))  # fmt: skip
def test_a_hold_covers_every_settlement_of_its_call(
    went_in: int, out: int, began: int, ran: timedelta, variants: tuple[str, ...]
) -> None:
    """At whatever moment of its run the provider prices it, in any tier, region and kind."""
    model = _book(BASE, PEAK, UPLIFT).resolve("deep")
    end = began + int(ran / timedelta(milliseconds=1))
    held = hold_cost(
        hold_rates(
            model, variants=variants, input_kinds=("input", "cache_read"),
            input_tokens_max=went_in, from_ms=began, until_ms=end,
        ),
        input_tokens=went_in, output_tokens=out,
    )  # fmt: skip
    searches = extra_hold_rates(
        model, kinds=("web_search",), variants=variants, from_ms=began, until_ms=end
    )
    for at_ms in {began, end, *range(began, end, 60_000)}:
        for variant in variants:
            usage = {"input": went_in, "output": out}
            assert call_cost(model, usage, variant=variant, at_ms=at_ms) <= held
            fee = call_cost(model, {"web_search": 1}, variant=variant, at_ms=at_ms)
            assert fee * 1000 <= searches["web_search"].pico_per_token


def test_a_moment_without_a_price_is_never_left_out_of_a_hold() -> None:
    """Goal: a region's factor that makes no whole pico-dollars of a row still to come."""
    later = BASE[BASE.index("[[model.rate]]") :].replace("2026-01-01", "2026-05-01", 1)
    book = _book(BASE + later.replace("input = 1\n", "input = 1.000001\n") + UPLIFT)
    model = book.resolve("deep")
    day_ms = 86_400_000
    may_ms = int(datetime(2026, 5, 1, tzinfo=timezone.utc).timestamp()) * 1000
    terms = {"variants": ["standard@eu"], "input_kinds": ["input"], "input_tokens_max": 9}
    assert hold_rates(model, **terms, from_ms=may_ms - day_ms, until_ms=may_ms - 1)
    with pytest.raises(PriceUnknown, match="for all of the time"):
        hold_rates(model, **terms, from_ms=may_ms - day_ms, until_ms=may_ms)
