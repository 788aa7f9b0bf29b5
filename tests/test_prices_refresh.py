"""The generator of pricing.toml never changes a released row, and hides no disagreement."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from noburn_cli import resources
from noburn_cli.core.models import Model, RateRow, Tier
from noburn_cli.core.plain_toml import plain_document
from noburn_cli.core.pricebook import PriceBook
from noburn_cli.price_sources import litellm_json, merging
from noburn_cli.price_sources.agreement import auto_models
from noburn_cli.price_sources.genai import first_models
from noburn_cli.price_sources.hours import hour_differences
from noburn_cli.price_sources.litellm_json import SecondModel
from noburn_cli.price_sources.regions import regions_by_key, with_uplifts
from noburn_cli.price_sources.rows import row_of
from noburn_cli.price_sources.writing import render_book
from tests.core.test_price_dimensions import BASE, PEAK, UPLIFT

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


def test_hours_and_regions_are_written_and_read_back_unchanged() -> None:
    """By the fast reader as well, which the written form is made for."""
    models = list(PriceBook.from_texts([("x", BASE + PEAK + UPLIFT + _REGIONAL)]).models())
    text = render_book(models, {}, {"genai_prices": "1"})
    assert plain_document(text) is not None
    assert list(PriceBook.from_texts([("x", text)]).models()) == models


#: A row of one region, on whole days.
_REGIONAL = PEAK.replace('variant = "standard"', 'variant = "standard"\nregion = "eu"').replace(
    'hours = ["01:00-04:00", "06:00-10:00"]\n', ""
) + BASE[BASE.index("[[model.rate]]") :].replace(
    'variant = "standard"', 'variant = "standard"\nregion = "eu"'
)


def _regions_of(committed: Model | None, factors: dict[str, int], today: date) -> Model:
    """A model of OpenAI's as the second source's regions leave it, on a day."""
    pages = {"openai": {"url": "https://example.org/regions", "every_region": True}}
    known = {} if committed is None else {"m": committed}
    inputs = merging.Inputs({"regions": pages}, {}, None, known, today, recheck=False)
    second = SecondModel(None, None, None, {}, regions=factors)
    plain = Model(
        name="m", provider="openai", family="text", tokenizer="gemini", context_window=1,
        input_max=1, output_max=1, output_min=1, cache_writes="priced", aliases=(),
        rows=(row(FIRST, 1),), sources=(),
    )  # fmt: skip
    return with_uplifts(plain, second, inputs, merging.Findings())


def test_uplifts_of_regions_are_appended_like_rows() -> None:
    first = _regions_of(None, {"eu": 1100, "us": 1100}, TODAY)
    assert [(one.regions, one.factor_permille) for one in first.uplifts] == [(("*",), 1100)]
    assert _regions_of(first, {"eu": 1100, "us": 1100}, LATER) == first, "the same changes nothing"
    assert _regions_of(first, {}, LATER) == first, "what the source dropped stays"
    changed = _regions_of(first, {"eu": 1200, "us": 1100}, LATER)
    assert [(one.regions, one.starts_on) for one in changed.uplifts] == [
        (("*",), FIRST), (("eu",), LATER), (("us",), LATER),
    ]  # fmt: skip
    moment = changed.uplifts[1].starts_at_ms
    rates = [changed.row_at(f"standard@{one}", moment) for one in ("eu", "us", "jp")]
    assert [one and one.tiers[0].rates["input"] for one in rates] == [
        1_200_000,
        1_100_000,
        1_100_000,
    ]
    before = changed.row_at("standard@eu", moment - 1)
    assert before is not None
    assert before.tiers[0].rates["input"] == 1_100_000


def test_hours_by_hand_are_compared_with_the_source_at_every_hour() -> None:
    pytest.importorskip("genai_prices")
    _, first = first_models(["deepseek"])
    shipped = PriceBook.from_texts([resources.shipped_prices()])
    manual = {"hourly": {"deepseek-v4-pro": {"second": "deepseek/deepseek-v4-pro"}}}
    inputs = merging.Inputs(manual, first, None, {}, date(2026, 11, 28), recheck=False)
    model = shipped.resolve("deepseek-v4-pro")
    assert hour_differences(model, inputs) == [], "a Saturday's run looks at Monday"
    always = replace(model, rows=tuple(one for one in model.rows if not one.windows))
    assert hour_differences(always, inputs) == [
        "deepseek-v4-pro standard input above 0: 660000 against 1320000 p$",
        "deepseek-v4-pro standard cache_read above 0: 22000 against 44000 p$",
        "deepseek-v4-pro standard output above 0: 1980000 against 3960000 p$",
    ]


def _bedrock(committed: Model | None, by_region: dict[str, int], today: date) -> Model:
    """A model of Bedrock's after regional entries of the second source, on a day."""
    group = {"regional_prefix": "bedrock/", "url": "https://example.org", "regions_alike": {}}
    second = {
        f"bedrock/{region}/m": SecondModel(
            None, None, None,
            {("standard", "input", 0): pico, ("standard", "output", 0): pico},
        )
        for region, pico in by_region.items()
    }  # fmt: skip
    known = {} if committed is None else {"m": committed}
    inputs = merging.Inputs(
        {"regions": {"bedrock": {"url": "https://example.org"}}}, {}, second, known, today,
        recheck=False,
    )  # fmt: skip
    home = replace(row(FIRST, 1), tiers=(Tier(0, {"input": 1, "output": 1}),))
    rows, alike = regions_by_key(group, ["m"], home, committed, inputs)
    findings = merging.Findings()
    plain = Model(
        name="m", provider="bedrock", family="text", tokenizer="unknown", context_window=1,
        input_max=1, output_max=1, output_min=1, cache_writes="priced", aliases=(), sources=(),
        rows=tuple(merging.released_rows("m", committed, [home, *rows], inputs, findings)),
    )  # fmt: skip
    return with_uplifts(plain, SecondModel(None, None, None, {}, regions=alike), inputs, findings)


def test_regions_by_key_become_rows_or_a_factor_of_one() -> None:
    """A region that gets dearer, or cheaper again, is appended to: past calls keep their price."""
    first = _bedrock(None, {"us-east-1": 1, "us-west-2": 1, "eu-west-2": 3, "invoke": 9}, TODAY)
    assert first.regions() == ("us-west-2", "eu-west-2")
    assert [one.variant for one in first.rows] == ["standard", "standard@eu-west-2"]
    assert _bedrock(first, {"us-west-2": 1, "eu-west-2": 3}, LATER) == first
    assert _bedrock(first, {}, LATER) == first, "what the source dropped stays"
    changed = _bedrock(first, {"us-west-2": 2, "eu-west-2": 1}, LATER)
    west = [one for one in changed.rows if one.variant == "standard@us-west-2"]
    assert [one.starts_on for one in west] == [LATER]
    moment = west[0].starts_at_ms
    for region, before, since in (("us-west-2", 1, 2), ("eu-west-2", 3, 1)):
        for at_ms, rate in ((moment - 1, before), (moment, since)):
            found = changed.row_at(f"standard@{region}", at_ms)
            assert found is not None
            assert found.tiers[0].rates["input"] == rate


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
