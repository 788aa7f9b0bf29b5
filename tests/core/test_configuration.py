"""The configuration's grammar: what a file may say, and how each error helps."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date
from decimal import Decimal

import pytest

from noburn_cli import resources
from noburn_cli.core.configuration import CEILINGS, KEYS, attributes_of, parse_configuration
from noburn_cli.core.endpoints import BOOK_PREFIXES, Endpoint, price_text
from noburn_cli.core.money import Limit
from noburn_cli.core.pricebook import PriceBook, call_cost
from noburn_cli.enforce.policy import ON_ABORT
from noburn_cli.errors import PriceBookInvalid, UsageError
from noburn_cli.providers import ceilings, hosts
from tests.core import gates
from tests.core.configurations import REFUSED, WHOLE

PATH = "/project/noburn.toml"
AT = 1_795_000_000_000  # November 2026


def test_every_key_is_read() -> None:
    values = parse_configuration(PATH, WHOLE)
    assert set(KEYS) <= set(values)
    assert values["run.budget"] == Limit("dollars", 5_000_000_000)
    assert (values["run.wait"], values["run.floor"]) == (2.5, 1000)
    assert values["attributes.from.metadata.user_id"] == "customer"
    assert values["ceilings.web_search"] == 2_000_000_000
    assert attributes_of(values) == {
        "project": "search",
        "customer": "acme",
        "feature": "chat",
        "user": "u1",
        "tag.team": "blue",
    }


def test_an_empty_file_says_nothing() -> None:
    assert parse_configuration(PATH, "") == {}


@pytest.mark.parametrize(("text", "key", "said"), [*REFUSED, *gates.REFUSED])
def test_an_error_names_file_key_reason_and_next_step(text: str, key: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_configuration(PATH, text)
    error = caught.value
    assert error.exit_code == 2
    assert PATH in error.message
    assert key in error.message
    assert said in f"{error.message} {error.next_step}"
    assert error.why
    assert error.next_step


def test_the_guests_know_the_same_words() -> None:
    assert set(CEILINGS) == set(ceilings.CEILINGS)
    assert KEYS["run.on_abort"].default == ON_ABORT[0]
    for word in ON_ABORT:
        parse_configuration(PATH, f'[run]\non_abort = "{word}"')


def endpoints(text: str) -> list[Endpoint]:
    found = parse_configuration(PATH, text).values()
    return [one for one in found if isinstance(one, Endpoint)]


def book_of(text: str) -> PriceBook:
    texts = [resources.shipped_prices()]
    for one in endpoints(text):
        prices = price_text(one)
        if prices is not None:
            texts.append((one.name, prices))
    return PriceBook.from_texts(texts)


def test_endpoints_name_their_provider_and_deployments() -> None:
    fast, local, own = endpoints(WHOLE)
    assert (fast.provider, fast.models) == ("groq", (("chat", "llama-3.3-70b-versatile"),))
    assert price_text(fast) is None
    assert (local.provider, local.free, local.context_window) == ("local", True, 32768)
    assert (own.provider, own.since) == ("gateway", date(2026, 11, 1))


def test_any_model_of_a_free_endpoint_costs_nothing_and_says_why() -> None:
    book = book_of(WHOLE)
    model = book.resolve("local/qwen3:8b-q4")
    assert (model.context_window, model.tokenizer) == (32768, "bytes")
    usage = {"input": 10**6, "cache_read": 5, "output": 10**6}
    assert call_cost(model, usage, variant="standard", at_ms=AT) == 0
    assert model.rows[0].url == f"file:{PATH}"
    assert "free" in model.note
    for other in ("qwen3:8b-q4", "local/", "other/qwen3"):
        with pytest.raises(Exception, match="no model"):
            book.resolve(other)


def test_own_rates_are_priced_and_cite_where_they_stand() -> None:
    book = book_of(WHOLE)
    model = book.resolve("gateway/llama-70b")
    usage = {"input": 1_000_000, "output": 1_000_000}
    assert call_cost(model, usage, variant="standard", at_ms=AT) == 1_300_000_000
    assert model.rows[0].url == "https://gateway.example/prices"
    assert model.rows[0].checked_on == date(2026, 11, 1)
    like = book.resolve("gateway/luna")
    shipped = book.resolve("gpt-6-luna")
    assert (like.rows, like.tokenizer) == (shipped.rows, shipped.tokenizer)


def test_a_model_that_is_like_none_is_told_with_the_endpoint() -> None:
    text = WHOLE.replace('like = "gpt-6-luna"', 'like = "gpt-six"')
    with pytest.raises(PriceBookInvalid, match="gateway/luna"):
        book_of(text)


def test_odd_names_survive_into_the_price_file() -> None:
    name = 'a"b\\c/ü'
    text = f"""
[[endpoint]]
name = "g"
base_url = "http://localhost:1/v1"
api = "openai"
prices = {{ date = 2026-11-01, models = {{ {json.dumps(name)} = {{ input = 1e-6, output = 2,
  context_window = 10 }} }} }}
""".replace("\n  context", " context")
    model = book_of(text).resolve(f"g/{name}")
    assert model.rows[0].tiers[0].rates["input"] == 1
    assert model.output_max == 10


def test_every_prefix_of_the_shipped_book_is_reserved() -> None:
    book = PriceBook.from_texts([resources.shipped_prices()])
    assert {model.provider for model in book.models()} <= set(BOOK_PREFIXES)
    assert {one.provider for one in hosts._KNOWN if one.provider} <= set(BOOK_PREFIXES)


def test_exact_rates_are_kept() -> None:
    one = parse_configuration(PATH, WHOLE)["endpoint.gateway"]
    assert dict(dict(one.rows)["llama-70b"])["input"] == Decimal("0.5")


def test_reading_one_loads_nothing_of_the_gate_s_arithmetic() -> None:
    """A run and a daemon read configurations at their start: a gate must cost them little."""
    program = (
        "import sys\n"
        "from noburn_cli.core.configuration import parse_configuration\n"
        "assert not any('gate' in name for name in sys.modules)\n"
        "parse_configuration('x', '[[gate.prompt]]\\nfiles = \"a\"')\n"
        "heavy = ('estimates', 'input_sizes', 'media_tokens', 'gate_model', 'cost')\n"
        "print([one for one in heavy if f'noburn_cli.core.{one}' in sys.modules])\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True
    )
    assert ran.stdout == "[]\n"
