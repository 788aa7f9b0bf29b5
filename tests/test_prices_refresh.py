"""The generator of pricing.toml never changes a released row, and hides no disagreement."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest

from noburn_cli.core.models import Model, RateRow, Tier
from noburn_cli.core.pricebook import PriceBook
from noburn_cli.price_sources import litellm_json, merging
from noburn_cli.price_sources.agreement import auto_models
from noburn_cli.price_sources.genai import first_models
from noburn_cli.price_sources.litellm_json import SecondModel
from noburn_cli.price_sources.rows import row_of
from noburn_cli.price_sources.writing import render_book

TODAY = date(2026, 11, 23)
LATER = TODAY + timedelta(days=30)


def row(day: date, dollars: int, *, variant: str = "standard", above: int = 0) -> RateRow:

    tiers = [Tier(0, {"input": dollars * 10**6, "output": 5 * dollars * 10**6})]
    if above:
        tiers.append(Tier(above, {"input": 2 * dollars * 10**6, "output": 9 * dollars * 10**6}))
    url = "https://example.org/prices"
    return row_of(variant, day, tuple(tiers), url=url, checked_on=TODAY)


FIRST = date(1970, 1, 1)


def merged(old: list[RateRow], new: list[RateRow]) -> tuple[list[RateRow], list[str]]:
    before = Model(
        name="m", provider="p", family="text", tokenizer="gemini", context_window=1, input_max=1,
        output_max=1, output_min=1, cache_writes="priced", aliases=(), rows=tuple(old), sources=(),
    )  # fmt: skip
    inputs = merging.Inputs({}, {}, None, {"m": before}, TODAY, recheck=False)
    findings = merging.Findings()
    rows = merging.released_rows("m", before, new, inputs, findings)
    return sorted(rows, key=lambda one: one.starts_on), findings.changes


def test_the_same_prices_change_nothing() -> None:
    rows = [row(FIRST, 1), row(LATER, 2)]
    assert merged(rows, rows) == (rows, [])


def test_a_new_price_appends_a_row_and_keeps_the_old_one() -> None:
    rows, changes = merged([row(FIRST, 1)], [row(FIRST, 3)])
    assert rows == [row(FIRST, 1), row(TODAY, 3)]
    assert changes == ["m: standard has another price from 2026-11-23"]


def test_a_new_tier_is_a_new_price() -> None:
    rows, changes = merged([row(FIRST, 1)], [row(FIRST, 1, above=1000)])
    assert rows == [row(FIRST, 1), row(TODAY, 1, above=1000)]
    assert changes


def test_an_announced_price_is_added_and_may_be_withdrawn() -> None:
    rows, _ = merged([row(FIRST, 1)], [row(FIRST, 1), row(LATER, 2)])
    assert rows == [row(FIRST, 1), row(LATER, 2)]
    rows, changes = merged(rows, [row(FIRST, 1), row(LATER, 4)])
    assert rows == [row(FIRST, 1), row(LATER, 4)]
    assert changes == [f"m: standard has another price from {LATER}"]


def test_a_variant_that_the_sources_dropped_stays() -> None:
    old = [row(FIRST, 1), row(FIRST, 1, variant="flex")]
    rows, changes = merged(old, [row(FIRST, 1)])
    assert (rows, changes) == (old, [])


def test_the_sources_are_compared_rate_by_rate() -> None:
    rates = {
        ("standard", "input", 0): 1_000_000,
        ("standard", "output", 0): 6_000_000,
        ("standard", "input", 1000): 2_000_000,
        ("standard", "output", 1000): 9_000_000,
        ("flex", "input", 0): 500_000,
        ("flex", "output", 0): 2_500_000,
    }
    second = SecondModel(None, None, None, rates)
    inputs = merging.Inputs({"model": {}}, {}, {}, {}, TODAY, recheck=False)
    findings = merging.Findings()
    rows = merging.completed_rows("m", [row(FIRST, 1)], second, "text", inputs, findings)
    assert findings.between_sources == [
        "m standard output above 0: 5000000 against 6000000 p$",
        "m standard: only the second source has a tier above 1000",
    ]
    assert [(one.variant, one.starts_on) for one in rows] == [("standard", FIRST), ("flex", TODAY)]

    announced = [row(FIRST, 1), row(LATER, 2)]
    rows = merging.completed_rows("m", announced, second, "text", inputs, findings)
    assert rows == announced  # the later price of flex is unknown, so flex is left out
    assert findings.left_out


def test_a_release_is_written_and_read_back_unchanged() -> None:
    models = [
        Model(
            name="m", provider="openai", family="reasoning", tokenizer="o200k_base",
            context_window=1000, input_max=900, output_max=100, output_min=16,
            cache_writes="as_input", aliases=("a", "b"), sources=("here",), retires_on=LATER,
            rows=(row(FIRST, 1, above=500), row(LATER, 2)), note='says "no"',
        )
    ]  # fmt: skip
    text = render_book(models, {"openai/": "openai"}, {"genai_prices": "1"})
    assert list(PriceBook.from_texts([("x", text)]).models()) == models


def chosen(entries: dict[str, dict[str, object]]) -> tuple[list[Model], list[str]]:
    """What one [[auto]] group makes of the real first source and these entries of the second."""

    group = {
        "provider": "xai", "first": ["x-ai"], "second": ["xai"], "second_prefix": "xai/",
        "prefix": "", "url": "https://docs.x.ai/docs/models", "skip": "voice",
    }  # fmt: skip
    pytest.importorskip("genai_prices")
    _, first = first_models(["x-ai"])
    common = {"litellm_provider": "xai", "mode": "chat", "max_input_tokens": 500_000}
    second = {key: litellm_json._second_model({**common, **one}) for key, one in entries.items()}
    inputs = merging.Inputs({"auto": [group]}, first, second, {}, TODAY, recheck=False)
    findings = merging.Findings()
    return auto_models(inputs, findings), findings.between_sources


def test_a_model_joins_by_agreement_alone() -> None:
    """Goal: one source's word is no price, and a name with a date never means another price."""
    agreed = {
        "input_cost_per_token": Decimal("2e-6"), "output_cost_per_token": Decimal("6e-6"),
        "input_cost_per_token_above_200k_tokens": Decimal("4e-6"),
        "output_cost_per_token_above_200k_tokens": Decimal("12e-6"),
    }  # fmt: skip
    dearer = {**agreed, "output_cost_per_token": Decimal("7e-6")}
    models, open_questions = chosen(
        {
            "xai/grok-4.6": agreed,
            "xai/grok-4.6-2026-10-01": agreed,
            "xai/grok-4.7": dearer,
            "xai/grok-99": agreed,
            "xai/grok-voice-9": agreed,
            "xai/grok-4.5": {**agreed, "max_input_tokens": None},
        },
    )
    assert [(one.name, one.aliases, one.tokenizer) for one in models] == [
        ("grok-4.6", (), "unknown")
    ]
    (model,) = models
    assert (model.context_window, model.output_max) == (500_000, 500_000)
    # The lower threshold of the two sources: `from 200,000` and `above 200,000`.
    assert [tier.above_input_tokens for tier in model.rows[0].tiers] == [0, 199_999]
    assert open_questions == []
    _, open_questions = chosen({"xai/grok-4.6": agreed, "xai/grok-4.6-2026-10-01": dearer})
    assert open_questions == ["grok-4.6-2026-10-01: left out, and it would be priced as grok-4.6"]
