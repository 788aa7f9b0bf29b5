"""Estimates: what is expected and what is the most, priced by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from fractions import Fraction

import pytest

from noburn_cli.core import estimates
from noburn_cli.core.bounds import ASSUMED, BYTES, COUNTED, EXACT, WINDOW, Bound, Measure
from noburn_cli.core.estimates import Estimate
from noburn_cli.core.input_sizes import ESTIMATED, NOTHING, InputSize, Span, check_fits, size_of
from noburn_cli.core.models import Model, RateRow, Tier
from noburn_cli.core.offline_counts import OfflineCount, error_of
from noburn_cli.errors import CallUnbounded, InputRefused, PriceUnknown

CHEAP, DEAR = {"input": 1_000_000, "output": 10_000_000}, {"input": 3_000_000, "output": 30_000_000}
TIERS = (Tier(0, CHEAP), Tier(500, DEAR))
ROW = RateRow("standard", date(1970, 1, 1), 0, TIERS, "https://example.com", date(2026, 11, 23))
MODEL = Model(
    name="m", provider="p", family="text", tokenizer="o200k_base", context_window=1000,
    input_max=900, output_max=100, output_min=1, cache_writes="as_input", aliases=(), rows=(ROW,),
    sources=(),
)  # fmt: skip
MEASURE = Measure(bytes=100, expanded=120, overhead=7, tokens=0, window=False)

SCHEMA = Span(0, 5)


def size(
    measure: Measure = MEASURE,
    *,
    text_tokens: int | None = 20,
    schema_bytes: int = 5,
    frame: Span = NOTHING,
    schema: Span = SCHEMA,
    offline: OfflineCount | None = None,
    **model: object,
) -> InputSize:
    changed = replace(MODEL, **model)  # type: ignore[arg-type]
    return size_of(
        changed, measure, text_tokens=text_tokens, schema_bytes=schema_bytes, seams=4, frame=frame,
        schema=schema, offline=offline,
    )  # fmt: skip


def estimated(sized: InputSize, model: Model = MODEL, **more: object) -> Estimate:
    asked: dict[str, object] = {
        "source": "a", "input_kinds": ("input",), "variants": ("standard",), "output_cap": None,
        "choices": 1, "has_output": True, "output": None, "calls": 1, "at_ms": 0, **more,
    }  # fmt: skip
    return estimates.estimate_request(model, sized, **asked)  # type: ignore[arg-type]


def test_sizes_say_how_sure_they_are() -> None:
    tools = size(schema=Span(2, 5))
    assert tools == InputSize(Span(22, 25), ASSUMED, Bound(20 + 4 + 5 + 7, EXACT))
    framed = size(schema_bytes=0, schema=NOTHING, frame=Span(7, 7))
    assert framed == InputSize(Span(27, 27), EXACT, Bound(20 + 4 + 7, EXACT))
    assert size(schema_bytes=0, schema=NOTHING, frame=Span(3, 7)).expected_how == ASSUMED
    counted = replace(MEASURE, counted=33)
    assert size(counted) == InputSize(Span(33, 33), COUNTED, Bound(33, COUNTED))
    window = replace(MEASURE, window=True)
    assert size(window) == InputSize(None, "", Bound(1000, WINDOW))
    offline = OfflineCount(50, error_of("claude-3", "latin"))
    low, high = offline.span()
    claude = size(
        text_tokens=None, tokenizer="claude", offline=offline, frame=Span(6, 11), schema=NOTHING
    )
    assert claude == InputSize(
        Span(low + 6, high + 11), ESTIMATED, Bound(127, BYTES), offline.error
    )
    no_text = OfflineCount(0, offline.error)
    assert size(text_tokens=None, tokenizer="claude", offline=no_text).error is None
    tools = size(text_tokens=None, tokenizer="gemini", offline=offline, schema=Span(9, 99))
    assert (tools.expected, tools.expected_how) == (Span(low + 9, 107), ASSUMED)
    unknown = size(text_tokens=None, tokenizer="gemini")
    assert unknown == InputSize(None, "", Bound(107, BYTES))


def test_expected_and_worst_by_hand() -> None:
    one = estimated(size(), output=Span(10, 20), calls=3)
    assert one.cost == Span(3 * (20 + 100) * 1000, 3 * (25 + 200) * 1000)
    assert one.worst == 3 * (36 + 1000) * 1000
    assert one.with_output
    assert one.window_share == Fraction(25, 1000)


def test_the_worst_case_reaches_the_dearer_tier() -> None:
    """Goal: a bound beyond a tier's threshold pays that tier, though the expectation does not."""
    sized = InputSize(Span(20, 20), EXACT, Bound(501, BYTES))
    one = estimated(sized)
    assert one.cost == Span(20_000, 20_000)
    assert one.worst == 501 * 3000 + 100 * 30_000


def test_output_is_what_the_request_allows() -> None:
    assert estimated(size(), output_cap=7, choices=3).output_max == 21
    assert estimated(size(), output_cap=5000).output_max == 100
    assert estimated(size(), output_cap=7, output=Span(5, 50)).output_tokens == Span(5, 7)
    assert estimated(size(), has_output=False).worst == 36_000


def test_what_is_not_known_is_never_zero() -> None:
    unknown = estimated(InputSize(None, "", Bound(107, BYTES)), output=Span(1, 1))
    known = estimated(size(), output=Span(1, 1))
    total = estimates.together([known, unknown], source="total")
    assert unknown.cost is total.cost is total.input_tokens is None
    assert (total.how, total.bound_how, total.requests) == ("", BYTES, 2)
    assert total.worst == known.worst + unknown.worst
    assert estimates.ranked([unknown, known]) == [known, unknown]


def test_the_least_sure_part_names_the_sum() -> None:
    exact = estimated(size())
    assumed = replace(exact, how=ASSUMED, window_share=Fraction(1, 2))
    total = estimates.together([assumed, exact], source="total")
    assert (total.how, total.window_share) == (ASSUMED, Fraction(1, 2))


def test_without_output_the_worst_case_ranks() -> None:
    one = estimated(size())
    dearer = replace(one, worst=one.worst + 1, cost=Span(0, 0))
    assert estimates.ranked([dearer, one]) == [one, dearer]


def test_refusals() -> None:
    with pytest.raises(InputRefused, match=r"a does not fit `m`: at least 901 tokens"):
        check_fits(MODEL, size(text_tokens=901), where="a")
    check_fits(MODEL, size(text_tokens=900), where="a")
    huge = size_of(
        replace(MODEL, tokenizer="claude"),
        replace(MEASURE, bytes=5000, expanded=5000),
        text_tokens=None, schema_bytes=0,
        offline=OfflineCount(1200, error_of("claude-3", "latin")),
    )  # fmt: skip
    with pytest.raises(InputRefused, match="`: at least 1,0"):
        check_fits(MODEL, huge, where="a")
    with pytest.raises(PriceUnknown):
        estimated(size(), variants=("batch",))
    with pytest.raises(CallUnbounded):
        estimated(size(), replace(MODEL, output_max=None))


def test_fees_and_rounds_of_hosted_tools_are_part_of_the_worst_case() -> None:
    priced = replace(MODEL, rows=(replace(ROW, extra={"web_search": 10**10}),))
    sized = size(replace(MEASURE, windows=2))
    assert (sized.expected, sized.bound) == (None, Bound(107 + 2 * 1000, WINDOW))
    plain = estimated(sized, priced, output_cap=5, calls=2)
    searching = estimated(sized, priced, output_cap=5, calls=2, extra={"web_search": 3})
    assert searching.worst == plain.worst + 2 * 3 * 10_000_000
