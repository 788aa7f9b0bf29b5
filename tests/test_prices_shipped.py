"""The price file that ships: its facts, its form, and that its generator agrees with it."""

from __future__ import annotations

import importlib.metadata
import itertools
import random
import re
import subprocess
import sys
from datetime import date, datetime, timezone
from decimal import Decimal
from pathlib import Path

import pytest
import tomllib

from noburn_cli import prices, resources
from noburn_cli.core.models import TOKENIZERS
from noburn_cli.core.pricebook import Model, PriceBook, call_cost
from noburn_cli.errors import PriceBookInvalid, PriceUnknown

ROOT = Path(__file__).resolve().parents[1]
GENERATED = tomllib.loads((ROOT / "pricing.toml").read_text(encoding="utf-8"))["generated"]

#: When the rows that no source gives in our form were written (`by_hand` in prices_manual.toml).
BY_HAND_ON = date(2026, 11, 27)


#: What genai-prices calls our providers; Azure's prices are OpenAI's there.
THEIR_NAMES = {
    **{name: name for name in ("openai", "anthropic", "google", "mistral", "groq", "deepseek")},
    "together": "together",
    "cohere": "cohere",
    "xai": "x-ai",
    "bedrock": "aws",
}
NOON = datetime(2026, 11, 23, 12, tzinfo=timezone.utc)


@pytest.fixture(scope="module")
def book() -> PriceBook:
    return PriceBook.from_texts([resources.shipped_prices()])


def at(day: str) -> int:
    return int(datetime.fromisoformat(f"{day}T12:00:00+00:00").timestamp()) * 1000


def dollars(model: Model, day: str, *, above: int = 0) -> tuple[Decimal, ...]:
    """(input, cached input, output) in dollars per million tokens."""
    row = model.row_at("standard", at(day))
    assert row is not None
    (tier,) = (tier for tier in row.tiers if tier.above_input_tokens == above)
    return tuple(Decimal(tier.rates[k]) / 10**6 for k in ("input", "cache_read", "output"))


@pytest.mark.parametrize(
    ("name", "day", "above", "rates"),
    [
        ("gpt-6.1-sol", "2026-11-23", 0, "2 0.1 10"),
        ("gpt-6.1-sol", "2026-11-23", 272_000, "4 0.2 15"),
        ("gpt-6.1-terra", "2026-11-23", 0, "1 0.05 5"),
        ("gpt-6-luna", "2026-11-23", 0, "0.1 0.01 0.5"),
        ("claude-opus-5-5", "2026-11-23", 0, "4 0.2 20"),
        ("claude-sonnet-5-5", "2026-11-23", 0, "2 0.1 10"),
        ("claude-haiku-5-5", "2026-11-23", 0, "0.1 0.01 0.5"),
        ("claude-haiku-5-5", "2026-11-23", 100_000, "0.5 0.05 2.5"),
        ("gemini-4-argon", "2026-11-30", 0, "2 0.1 10"),
        ("gemini-4-argon", "2026-12-01", 0, "4 0.2 20"),
        ("gemini-3.8-flash", "2026-12-31", 0, "0.75 0.075 3.75"),
        ("gemini-3.8-flash", "2027-01-01", 0, "1.5 0.15 7.5"),
        # History: what was paid then stays what it was.
        ("o3", "2025-06-09", 0, "10 0.5 40"),
        ("o3", "2025-06-10", 0, "2 0.5 8"),
        ("gpt-5.6-luna", "2026-07-29", 0, "1 0.1 6"),
        ("gpt-5.6-luna", "2026-07-30", 0, "0.2 0.02 1.2"),
        # Others, looked up in both sources on 2026-11-27.
        ("mistral/mistral-large-4", "2026-11-27", 0, "0.7 0.07 2.1"),
        ("deepseek/deepseek-v4-pro", "2026-11-27", 0, "0.66 0.022 1.98"),
        ("deepseek/deepseek-v4-pro", "2026-08-16", 0, "0.435 0.003625 0.87"),
        ("ft:gpt-4o-mini-2024-07-18:acme::abc1", "2026-11-27", 0, "0.3 0.15 1.2"),
        ("publishers/anthropic/models/claude-opus-5-5@default", "2026-11-27", 0, "4 0.2 20"),
        ("vertex_ai/gemini-4-argon", "2026-11-30", 0, "2 0.1 10"),
        ("xai/grok-4.7", "2026-11-27", 0, "2 0.5 6"),
        ("xai/grok-4.7", "2026-11-27", 199_999, "4 1 12"),
        ("groq/openai/gpt-oss-120b", "2026-11-27", 0, "0.15 0.075 0.6"),
        ("azure/gpt-5.4", "2026-11-27", 0, "2.5 0.25 15"),
        ("azure/eu/gpt-5.4", "2026-11-27", 0, "2.75 0.275 16.5"),
        ("bedrock/us.anthropic.claude-sonnet-5-5", "2026-11-27", 0, "2.2 0.11 11"),
        ("bedrock/eu.anthropic.claude-sonnet-5-5", "2026-11-27", 0, "2.2 0.11 11"),
        ("bedrock/global.anthropic.claude-sonnet-5-5", "2026-11-27", 0, "2 0.1 10"),
    ],
)
def test_known_rates(book: PriceBook, name: str, day: str, above: int, rates: str) -> None:
    """Facts looked up by hand on 2026-11-23, apart from the generator."""
    expected = tuple(Decimal(rate) for rate in rates.split())
    assert dollars(book.resolve(name), day, above=above) == expected


@pytest.mark.parametrize(
    ("name", "variant", "moment", "rates"),
    [
        # DeepSeek's page: 01:00-04:00 and 06:00-10:00 UTC, from 2026-08-17 every day, from
        # 2026-08-23 Monday to Friday; 2026-11-27 is a Friday.
        ("deepseek-v4-pro", "standard", "2026-11-27T01:00", "1.32 0.044 3.96"),
        ("deepseek-v4-pro", "standard", "2026-11-27T04:00", "0.66 0.022 1.98"),
        ("deepseek-v4-pro", "standard", "2026-11-28T01:00", "0.66 0.022 1.98"),
        ("deepseek-v4-pro", "standard", "2026-08-22T02:00", "1.32 0.044 3.96"),
        ("deepseek-v4-pro", "standard", "2026-08-23T02:00", "0.66 0.022 1.98"),
        ("deepseek-v4-pro", "standard", "2026-08-16T02:00", "0.435 0.003625 0.87"),
        ("deepseek-v4-flash", "standard", "2026-08-24T09:59", "0.44 0.014 1.32"),
        ("deepseek-v4-flash", "standard", "2026-09-10T09:59", "0.3 0.006 1.2"),
        # OpenAI, Anthropic, Vertex AI: 1.1 times in a region.
        ("gpt-6.1-sol", "standard@eu", "2026-11-27T12:00", "2.2 0.11 11"),
        ("gpt-6.1-sol", "priority@us", "2026-11-27T12:00", "4.4 0.22 22"),
        ("claude-opus-5-5", "standard@us", "2026-11-27T12:00", "4.4 0.22 22"),
        ("claude-opus-5-5", "fast@us", "2026-11-27T12:00", "8.8 0.44 44"),
        ("vertex_ai/claude-opus-5-5", "standard@europe-west1", "2026-11-27T12:00", "4.4 0.22 22"),
    ],
)
def test_known_hours_and_regions(
    book: PriceBook, name: str, variant: str, moment: str, rates: str
) -> None:
    at_ms = int(datetime.fromisoformat(f"{moment}:00+00:00").timestamp()) * 1000
    row = book.resolve(name).row_at(variant, at_ms)
    assert row is not None
    found = [Decimal(row.tiers[0].rates[k]) / 10**6 for k in ("input", "cache_read", "output")]
    assert found == [Decimal(rate) for rate in rates.split()]


@pytest.mark.parametrize(
    ("model", "region", "expected"),
    [
        ("meta.llama3-70b-instruct-v1:0", "sa-east-1", ("4.45", "5.88")),
        ("meta.llama3-70b-instruct-v1:0", "us-west-1", ("2.65", "3.5")),
        ("amazon.titan-text-express-v1", "us-gov-east-1", ("1.3", "1.7")),
        ("mistral.mistral-large-2402-v1:0", "eu-west-3", ("5.2", "15.6")),
        ("mistral.mistral-large-2402-v1:0", "us-west-2", ("4", "12")),
        ("amazon.titan-embed-text-v2:0", "us-west-2", ("0.02", None)),
    ],
)
def test_bedrock_costs_what_the_region_costs(
    book: PriceBook, model: str, region: str, expected: tuple[str, str | None]
) -> None:
    found = book.resolve(f"bedrock/{model}")
    row = found.row_at(f"standard@{region}", at("2026-11-27"))
    assert row is not None
    rates = [row.tiers[0].rates.get(kind) for kind in ("input", "output")]
    assert rates == [None if one is None else Decimal(one) * 10**6 for one in expected]


def test_a_region_of_which_nothing_is_known_is_refused(book: PriceBook) -> None:
    with pytest.raises(PriceUnknown, match="no price in the region `eu-west-2`") as caught:
        call_cost(
            book.resolve("bedrock/qwen.qwen3-32b-v1:0"), {"input": 10},
            variant="standard@eu-west-2", at_ms=at("2026-11-27"),
        )  # fmt: skip
    assert "call it in us-east-1" in caught.value.next_step
    assert "[[model.uplift]]" in caught.value.next_step


def test_every_uplift_of_every_row_is_known(book: PriceBook) -> None:
    """None is finer than a pico-dollar, and models before the uplifts have none: unknown there."""
    raised = 0
    for model in book.models():
        for region in model.regions():
            for row in (one for one in model.rows if "@" not in one.variant):
                assert model.row_at(f"{row.variant}@{region}", row.starts_at_ms) is not None
                raised += 1
    assert raised > 100
    assert book.resolve("gpt-4o").row_at("standard@eu", at("2026-11-27")) is None
    assert book.resolve("claude-opus-4-5").row_at("standard@us", at("2026-11-27")) is None


def test_a_dearer_tier_is_dearer_in_every_kind(book: PriceBook) -> None:
    """So that a hold at the rates of the most input that may come covers what comes with less."""
    for model in book.models():
        for row in model.rows:
            for lower, higher in itertools.pairwise(row.tiers):
                for kind, rate in lower.rates.items():
                    assert higher.rates[kind] >= rate, (model.name, row.variant, kind)


@pytest.mark.parametrize(
    ("name", "kind", "units", "expected"),
    [
        ("gpt-6.1-sol", "web_search", 1000, "10"),
        ("gpt-6-luna", "file_search", 1000, "2.5"),
        ("gpt-4.1", "web_search", 1000, "10"),
        ("gpt-4.1", "web_search_preview", 1000, "25"),
        ("gpt-5", "web_search_preview", 1000, "10"),
        ("claude-opus-5-5", "web_search", 1000, "10"),
        ("gemini-4-argon", "web_search", 1000, "14"),
        ("gemini-2.5-pro", "web_search", 1000, "35"),
        ("gpt-audio", "audio_input", 10**6, "32"),
        ("gpt-audio", "audio_output", 10**6, "64"),
        ("gpt-image-2", "image_output", 10**6, "30"),
        ("gpt-image-2.5-sunburst-2026-09-08", "image_input", 10**6, "8"),
        ("tts-1", "characters", 10**6, "15"),
        ("tts-1-hd", "characters", 10**6, "30"),
        ("whisper-1", "audio_seconds", 3600, "0.36"),
        ("gpt-transcribe", "audio_seconds", 3600, "0.27"),
    ],
)
def test_known_fees(book: PriceBook, name: str, kind: str, units: int, expected: str) -> None:
    """Facts as genai-prices 0.2.3 and litellm 1.110.2 have them (2026-11-27), by hand."""
    row = book.resolve(name).row_at("standard", at("2026-11-27"))
    assert row is not None
    assert Decimal(row.extra[kind] * units) / 10**12 == Decimal(expected)


def test_cache_writes_cost_more_the_longer_they_live(book: PriceBook) -> None:
    for name in ("claude-opus-5-5", "gpt-6.1-sol"):
        row = book.resolve(name).row_at("standard", at("2026-11-23"))
        assert row is not None
        rates = row.tiers[0].rates
        assert rates["cache_write_5m"] * 4 == rates["input"] * 5
        assert rates["cache_write_1h"] == rates["input"] * (
            2 if "claude" in name else Decimal("2.5")
        )


@pytest.mark.parametrize(
    ("name", "means"),
    [
        ("openai/gpt-5.4-2026-03-05", "gpt-5.4"),
        ("gpt-5.6", "gpt-5.6-sol"),
        ("gpt-4o-2024-08-06", "gpt-4o"),
        ("gpt-4o-2024-05-13", "gpt-4o-2024-05-13"),  # dearer than the later gpt-4o
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
        ("claude-3-5-haiku-latest", "claude-3-5-haiku"),
        ("anthropic/claude-opus-4-1-20250805", "claude-opus-4-1"),
        ("models/gemini-2.5-flash", "gemini-2.5-flash"),
        ("gemini-flash-latest", "gemini-3.8-flash"),
        ("gpt-5-chat", "gpt-5-chat-latest"),  # gpt-5's price, not its output limit
        ("text-embedding-ada-002-v2", "text-embedding-ada-002"),
        ("azure/gpt-4o-2024-08-06", "azure/gpt-4o"),
        ("mistral/mistral-medium-3.5", "mistral-medium-3-5"),
        ("bedrock/jp.anthropic.claude-opus-5-5", "bedrock/us.anthropic.claude-opus-5-5"),
    ],
)
def test_known_names(book: PriceBook, name: str, means: str) -> None:
    assert book.resolve(name).name == means


def test_models_whose_calls_cost_more_than_their_tokens_are_left_out(book: PriceBook) -> None:
    words = ("search", "realtime", "live", "deep-research", "computer-use")
    names = [name for model in book.models() for name in (model.name, *model.aliases)]
    assert not [name for name in names if any(word in name for word in words)]


def test_the_form_of_every_model(book: PriceBook) -> None:
    models = book.models()
    assert len(models) >= 60
    assert {model.provider for model in models} == {*THEIR_NAMES, "azure", "vertex"}
    assert {model.family for model in models} == {"text", "reasoning", "embedding", "media"}
    for model in models:
        tokenizers = {
            "openai": {"o200k_base", "cl100k_base"},
            "anthropic": {"claude"},
            "google": {"gemini"},
        }
        assert model.tokenizer in tokenizers.get(model.provider, TOKENIZERS)
        assert model.row_at("standard", 0) is not None, f"{model.name}: history has a gap"
        assert model.sources
        for row in model.rows:
            assert row.url.startswith("https://")
            assert row.checked_on <= max(GENERATED["checked_on"], BY_HAND_ON)
            if model.family == "media":
                assert row.extra
                continue
            prices_in = [tier.rates["input"] for tier in row.tiers]
            assert prices_in == sorted(prices_in)
            assert all(0 < pico < 10**9 for pico in prices_in)
            cached = row.tiers[0].rates.get("cache_read", 0)
            assert cached <= row.tiers[0].rates["input"]


def test_the_packaged_file_is_a_link_to_the_one_at_the_top() -> None:
    link = ROOT / "noburn_cli" / "data" / "pricing.toml"
    assert link.is_symlink()
    assert not link.readlink().is_absolute()
    assert link.resolve() == ROOT / "pricing.toml"


def source_version() -> str:
    """The installed genai-prices, if it is the one that the file was made from."""
    try:
        installed = importlib.metadata.version("genai-prices")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("genai-prices is not installed")
    if installed != GENERATED["genai_prices"]:
        recorded = GENERATED["genai_prices"]
        pytest.skip(f"pricing.toml is of genai-prices {recorded}, {installed} is installed")
    return installed


def test_the_generator_agrees_with_the_committed_file() -> None:
    source_version()
    command = [sys.executable, str(ROOT / "tools" / "refresh_prices.py"), "--check"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (result.returncode, result.stderr) == (0, ""), result.stdout


def test_amounts_agree_with_the_sources_own_reckoning(book: PriceBook) -> None:
    """Goal: the engine of genai-prices, which shares no code with ours, finds the same amounts."""
    source_version()
    from genai_prices import data
    from genai_prices.types import Usage

    seed = 20261123
    dice = random.Random(seed)
    providers = {provider.id: provider for provider in data.providers}
    compared = 0
    for model in book.models():
        if not _is_listed(model):
            continue
        provider = providers[THEIR_NAMES[model.provider]]
        name = model.name.removeprefix(f"{model.provider}/")
        by_id = [one for one in provider.models if one.id == name]
        theirs = next(iter(by_id or [one for one in provider.models if one.is_match(name)]), None)
        assert theirs is not None, model.name
        for size in (1_000, 150_000, 250_000, 900_000):
            usage = {"input": dice.randrange(size), "cache_read": dice.randrange(size // 4)}
            if model.provider == "anthropic":
                usage["cache_write_5m"] = dice.randrange(size // 4)
                usage["cache_write_1h"] = dice.randrange(size // 4)
            if model.output_max is not None:
                usage["output"] = dice.randrange(size)
            written = usage.get("cache_write_5m", 0) + usage.get("cache_write_1h", 0)
            counted = Usage(
                input_tokens=usage["input"] + usage["cache_read"] + written,
                cache_read_tokens=usage["cache_read"],
                cache_write_tokens=written,
                cache_write_1h_tokens=usage.get("cache_write_1h", 0),
                output_tokens=usage.get("output", 0),
            )
            price = theirs.calc_price(counted, provider, genai_request_timestamp=NOON).total_price
            ours = call_cost(model, usage, variant="standard", at_ms=at("2026-11-23"))
            assert abs(price * 10**9 - ours) <= Decimal("0.5"), (model.name, usage, seed)
            compared += 1
    listed = [model for model in book.models() if _is_listed(model)]
    assert compared == 4 * len(listed)


def _is_listed(model: Model) -> bool:
    """Not Azure, Vertex AI, media and fine-tunes, which their lists do not have in this form."""
    others = model.family == "media" or model.name.startswith("ft:")
    return model.provider in THEIR_NAMES and not others


USER_FILE = """format = 1
[[model]]
name = "gpt-4o"
[[model.rate]]
variant = "standard"
starts_on = 2026-01-01
input = 1
output = 2
url = "file:contract"
checked_on = 2026-01-01
"""


def test_a_users_file_lies_over_the_shipped_one(tmp_path: Path, book: PriceBook) -> None:
    home = tmp_path / "config" / "prices.toml"
    home.parent.mkdir()
    environment = {"NOBURN_HOME": str(tmp_path)}
    assert prices.load_book(environment).version == book.version
    home.write_text(USER_FILE, encoding="utf-8")
    ours = prices.load_book(environment)
    assert ours.version != book.version
    assert [origin for origin, _ in ours.texts][1:] == [str(home)]
    gpt = ours.resolve("gpt-4o")
    assert call_cost(gpt, {"output": 10}, variant="standard", at_ms=at("2026-11-23")) == 20_000
    assert gpt.output_max == book.resolve("gpt-4o").output_max

    named = tmp_path / "other.toml"
    named.write_text("format = 1\n", encoding="utf-8")
    over = {**environment, "NOBURN_PRICES": str(named)}
    assert [origin for origin, _ in prices.price_texts(over)][1:] == [str(named)]


def test_the_example_in_the_documentation_is_a_price_file(book: PriceBook) -> None:
    page = (ROOT / "docs" / "price-book.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```toml\n(.*?)```", page, flags=re.DOTALL)
    both = PriceBook.from_texts([resources.shipped_prices(), ("example", example)])
    assert dollars(both.resolve("openai/gpt-4o"), "2026-11-23") == (2, 1, 8)
    assert both.resolve("acme-support").output_max == book.resolve("gpt-4o-mini").output_max


def test_the_users_configuration_folder_is_the_platforms(monkeypatch: pytest.MonkeyPatch) -> None:
    import platformdirs

    expected = platformdirs.user_config_path("noburn", appauthor=False) / "prices.toml"
    assert prices.user_file({}) == expected


@pytest.mark.parametrize("content", [None, b"\xff\xfe", b"format = 3"])
def test_a_users_file_that_cannot_be_applied_stops_everything(
    tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "mine.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(PriceBookInvalid) as caught:
        prices.load_book({"NOBURN_PRICES": str(path)})
    assert str(path) in caught.value.message


def test_a_folder_in_the_place_of_the_users_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "config" / "prices.toml").mkdir(parents=True)
    with pytest.raises(PriceBookInvalid):
        prices.price_texts({"NOBURN_HOME": str(tmp_path)})
