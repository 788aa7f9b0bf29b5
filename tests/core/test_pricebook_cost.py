"""What is settled is exact; what is held is never less than what can be settled."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noburn_cli.core.models import Model, RateRow, Tier
from noburn_cli.core.pricebook import call_cost, extra_hold_rates, hold_cost, hold_rates
from noburn_cli.errors import PriceUnknown

DAY_MS = 86_400_000
FIRST_DAY = date(2026, 1, 1)
KINDS = ("input", "cache_read", "cache_write_5m", "cache_write_1h")


def ms(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=timezone.utc).timestamp()) * 1000


def row(variant: str, day: date, *tiers: tuple[int, dict[str, int]]) -> RateRow:
    made = tuple(Tier(above, rates) for above, rates in tiers)
    return RateRow(variant, day, ms(day), made, "https://example.org/prices", day)


def model(*rows: RateRow, family: str = "text", cache_writes: str = "priced") -> Model:
    return Model(
        name="m",
        provider="p",
        family=family,
        tokenizer="claude",
        context_window=10**6,
        input_max=10**6,
        output_max=None if family == "embedding" else 1000,
        output_min=1,
        cache_writes=cache_writes,
        aliases=(),
        rows=rows,
        sources=(),
    )


CHEAP = {"input": 2_000_000, "cache_read": 100_000, "output": 10_000_000}
DEAR = {"input": 4_000_000, "cache_read": 200_000, "output": 15_000_000}
TIERED = model(row("standard", FIRST_DAY, (0, CHEAP), (272_000, DEAR)))
NOW = ms(FIRST_DAY) + 5 * DAY_MS


def settled(of: Model, usage: dict[str, int], variant: str = "standard", at_ms: int = NOW) -> int:
    return call_cost(of, usage, variant=variant, at_ms=at_ms)


def test_the_tier_above_the_threshold_prices_every_token() -> None:
    assert settled(TIERED, {"input": 272_000, "output": 1}) == 544_010_000
    assert settled(TIERED, {"input": 272_001, "output": 1}) == 1_088_019_000


def test_cached_input_counts_towards_the_threshold() -> None:
    # 1 x 4 $/M + 272,000 x 0.2 $/M, in nano-dollars.
    assert settled(TIERED, {"input": 1, "cache_read": 272_000}) == 4_000 + 54_400_000


def test_reasoning_is_part_of_the_output_and_costs_nothing_more() -> None:
    usage = {"input": 10, "output": 20}
    assert settled(TIERED, {**usage, "reasoning": 15}) == settled(TIERED, usage)


@pytest.mark.parametrize(("tokens", "nano"), [(1, 0), (2, 1), (3, 2), (5, 2), (7, 4)])
def test_a_settlement_is_rounded_once_half_to_even(tokens: int, nano: int) -> None:
    half = model(row("standard", FIRST_DAY, (0, {"input": 500, "output": 500})))
    assert settled(half, {"input": tokens}) == nano


def test_rounding_is_of_the_sum_not_of_its_parts() -> None:
    third = model(row("standard", FIRST_DAY, (0, {"input": 400, "output": 400})))
    assert settled(third, {"input": 1, "output": 1}) == 1  # 400 + 400 p$, each alone would be 0


def test_yesterdays_call_keeps_yesterdays_price() -> None:
    change = FIRST_DAY + timedelta(days=30)
    priced = model(row("standard", FIRST_DAY, (0, CHEAP)), row("standard", change, (0, DEAR)))
    assert settled(priced, {"input": 1000}, at_ms=ms(change) - 1) == 2_000_000
    assert settled(priced, {"input": 1000}, at_ms=ms(change)) == 4_000_000


def test_cached_input_without_a_rate_costs_what_input_costs() -> None:
    plain = model(row("standard", FIRST_DAY, (0, {"input": 7_000, "output": 9_000})))
    assert settled(plain, {"cache_read": 1000}) == 7_000


def test_writes_are_input_where_the_file_says_so_and_unknown_elsewhere() -> None:
    plain = row("standard", FIRST_DAY, (0, {"input": 7_000, "output": 9_000}))
    assert settled(model(plain, cache_writes="as_input"), {"cache_write_1h": 1000}) == 7_000
    with pytest.raises(PriceUnknown, match="no rate for cache_write_1h"):
        settled(model(plain), {"cache_write_1h": 1})
    with pytest.raises(PriceUnknown, match="no rate for cache_write_5m"):
        held(model(plain), kinds=("input", "cache_write_5m"))


@pytest.mark.parametrize("usage", [{"audio": 1}, {"cache_write_5m": 1}])
def test_an_unpriced_kind_is_never_free(usage: dict[str, int]) -> None:
    with pytest.raises(PriceUnknown):
        settled(TIERED, usage)


def test_a_kind_that_was_not_used_needs_no_rate() -> None:
    assert settled(TIERED, {"cache_write_5m": 0, "input": 1}) == 2_000


@pytest.mark.parametrize(("variant", "at_ms"), [("priority", NOW), ("standard", ms(FIRST_DAY) - 1)])
def test_no_row_in_force_is_no_price(variant: str, at_ms: int) -> None:
    with pytest.raises(PriceUnknown, match=f"no {variant} price"):
        settled(TIERED, {"input": 1}, variant=variant, at_ms=at_ms)
    with pytest.raises(PriceUnknown, match=f"no {variant} price"):
        held(TIERED, variants=(variant,), from_ms=at_ms, until_ms=NOW + DAY_MS)


def held(
    of: Model,
    *,
    variants: tuple[str, ...] = ("standard",),
    kinds: tuple[str, ...] = ("input", "cache_read"),
    input_tokens: int = 1000,
    from_ms: int = NOW,
    until_ms: int = NOW,
) -> tuple[int, int]:
    found = hold_rates(
        of,
        variants=variants,
        input_kinds=kinds,
        input_tokens_max=input_tokens,
        from_ms=from_ms,
        until_ms=until_ms,
    )
    return found.input_pico, found.output_pico


def test_a_hold_takes_the_tiers_it_can_reach() -> None:
    assert held(TIERED, input_tokens=272_000) == (2_000_000, 10_000_000)
    assert held(TIERED, input_tokens=272_001) == (4_000_000, 15_000_000)


def test_a_hold_takes_the_dearest_row_that_may_be_in_force() -> None:
    change = FIRST_DAY + timedelta(days=30)
    rises = model(row("standard", FIRST_DAY, (0, CHEAP)), row("standard", change, (0, DEAR)))
    falls = model(row("standard", FIRST_DAY, (0, DEAR)), row("standard", change, (0, CHEAP)))
    for one in (rises, falls):
        assert held(one, from_ms=ms(change) - 1, until_ms=ms(change))[0] == 4_000_000
    assert held(rises, from_ms=ms(change) - 2, until_ms=ms(change) - 1)[0] == 2_000_000
    assert held(falls, from_ms=ms(change), until_ms=ms(change))[0] == 2_000_000


def test_a_hold_says_where_its_rates_are_from() -> None:
    found = hold_rates(
        TIERED,
        variants=("standard",),
        input_kinds=("cache_read", "input"),
        input_tokens_max=300_000,
        from_ms=NOW,
        until_ms=NOW,
    )
    assert (found.input.kind, found.input.above_input_tokens) == ("input", 272_000)
    assert found.output is not None
    assert found.output.row is TIERED.rows[0]


def test_an_embedding_holds_no_output() -> None:
    embedding = model(row("standard", FIRST_DAY, (0, {"input": 20_000})), family="embedding")
    found = hold_rates(
        embedding,
        variants=("standard",),
        input_kinds=("input",),
        input_tokens_max=10,
        from_ms=NOW,
        until_ms=NOW,
    )
    assert hold_cost(found, input_tokens=10, output_tokens=0) == 200
    with pytest.raises(PriceUnknown):
        hold_cost(found, input_tokens=10, output_tokens=1)


_rate = st.integers(min_value=0, max_value=10**8)
_variants = ("standard", "batch")


@st.composite
def _models(draw: st.DrawFn) -> Model:
    rows = []
    kinds = draw(st.sets(st.sampled_from(KINDS[1:]))) | {"input", "output"}
    for variant in _variants:
        days = {0, *draw(st.sets(st.integers(min_value=1, max_value=9), max_size=3))}
        for day in sorted(days):
            steps = sorted(draw(st.sets(st.integers(min_value=1, max_value=2000), max_size=2)))
            tiers = [(above, {k: draw(_rate) for k in sorted(kinds)}) for above in (0, *steps)]
            rows.append(row(variant, FIRST_DAY + timedelta(days=day), *tiers))
    return model(*rows, cache_writes="as_input")


@given(_models(), st.data())
def test_no_settlement_is_above_its_hold(of: Model, data: st.DataObject) -> None:
    """Goal: whatever variant, row, tier and mix of kinds comes true, the hold pays for it."""
    variants = data.draw(st.lists(st.sampled_from(_variants), min_size=1, unique=True))
    kinds = data.draw(st.lists(st.sampled_from(KINDS), min_size=1, unique=True))
    usage = {kind: data.draw(st.integers(0, 1500), label=kind) for kind in kinds}
    spare = data.draw(st.integers(0, 100))
    output = data.draw(st.integers(0, 1000))
    first = (
        ms(FIRST_DAY)
        + data.draw(st.integers(0, 9)) * DAY_MS
        + data.draw(st.sampled_from([-1, 0, 1]))
    )
    first = max(first, ms(FIRST_DAY))
    last = first + data.draw(st.integers(0, 2)) * DAY_MS
    at_ms = data.draw(st.integers(first, last))
    input_max = sum(usage.values()) + spare
    rates = hold_rates(
        of,
        variants=variants,
        input_kinds=kinds,
        input_tokens_max=input_max,
        from_ms=first,
        until_ms=last,
    )
    hold = hold_cost(rates, input_tokens=input_max, output_tokens=output)
    for variant in variants:
        cost = call_cost(of, {**usage, "output": output}, variant=variant, at_ms=at_ms)
        assert cost <= hold


@given(_models(), st.dictionaries(st.sampled_from((*KINDS, "output")), st.integers(0, 3000)))
def test_a_settlement_is_the_exact_sum(of: Model, usage: dict[str, int]) -> None:
    """Goal: the same amount as an independent reckoning with fractions, to half a nano-dollar."""
    at_ms = ms(FIRST_DAY) + 5 * DAY_MS
    now = [r for r in of.rows if r.variant == "batch" and r.starts_at_ms <= at_ms][-1]
    total = sum(count for kind, count in usage.items() if kind != "output")
    rates = [tier.rates for tier in now.tiers if tier.above_input_tokens < max(total, 1)][-1]
    exact = sum(
        (Fraction(count * rates.get(kind, rates["input"]), 1000) for kind, count in usage.items()),
        Fraction(0),
    )
    assert abs(call_cost(of, usage, variant="batch", at_ms=at_ms) - exact) <= Fraction(1, 2)


def with_extra(**extra: int) -> Model:
    plain = row("standard", FIRST_DAY, (0, CHEAP), (272_000, DEAR))
    return model(replace(plain, extra=extra))


def test_fees_and_audio_have_their_own_rates_in_every_tier() -> None:
    of = with_extra(web_search=10**10, audio_input=32_000_000)
    assert settled(of, {"web_search": 3}) == 30_000_000
    # Audio fills the window: 272,001 tokens of it put the text into the dear tier.
    assert settled(of, {"audio_input": 272_001, "input": 1}) == 272_001 * 32_000 + 4_000
    # Cached audio without a rate costs what audio costs; images and speech have none at all.
    assert settled(of, {"audio_cache_read": 10}) == 320_000
    for kind in ("image_input", "image_cache_read", "audio_output", "characters"):
        with pytest.raises(PriceUnknown, match=f"no rate for {kind}"):
            settled(of, {kind: 1})


def test_a_hold_takes_the_dearest_kind_of_output_and_of_each_fee() -> None:
    change = FIRST_DAY + timedelta(days=30)
    of = with_extra(web_search=10**10, audio_output=64_000_000)
    later = replace(of.rows[0], starts_on=change, starts_at_ms=ms(change), extra={"web_search": 5})
    both = replace(of, rows=(of.rows[0], later))
    found = hold_rates(
        of, variants=("standard",), input_kinds=("input",), input_tokens_max=1,
        from_ms=NOW, until_ms=NOW, output_kinds=("output", "audio_output"),
    )  # fmt: skip
    assert found.output_pico == 64_000_000
    fees = extra_hold_rates(
        both, kinds=("web_search",), variants=("standard",), from_ms=NOW, until_ms=ms(change)
    )
    assert fees["web_search"].pico_per_token == 10**10
    with pytest.raises(PriceUnknown, match="no rate for file_search"):
        extra_hold_rates(
            both, kinds=("file_search",), variants=("standard",), from_ms=NOW, until_ms=NOW
        )
