"""Names mean one model or none; later files change earlier ones by plain rules."""

from __future__ import annotations

import pytest

from noburn_cli.core.pricebook import PriceBook, call_cost
from noburn_cli.errors import ModelUnknown, PriceBookInvalid

BASE = """
format = 1

[prefixes]
"openai/" = "openai"
"models/" = "google"

[[model]]
name = "gpt-x"
provider = "openai"
family = "text"
tokenizer = "o200k_base"
context_window = 128000
output_max = 4096
cache_writes = "as_input"
aliases = ["gpt-x-chat", "x"]

[[model.rate]]
variant = "standard"
starts_on = 2026-01-01
input = 2
cache_read = 0.5
output = 8
url = "https://example.org/prices"
checked_on = 2026-01-02

[[model.rate]]
variant = "batch"
starts_on = 2026-01-01
input = 1
output = 4
url = "https://example.org/prices"
checked_on = 2026-01-02

[[model]]
name = "gem-y"
provider = "google"
family = "reasoning"
tokenizer = "gemini"
context_window = 1000000
output_max = 65536

[[model.rate]]
variant = "standard"
starts_on = 2026-01-01
input = 0.0375
output = 0.3
url = "https://example.org/prices"
checked_on = 2026-01-02
"""

NOW_MS = 1_790_000_000_000  # in September 2026
ROW = """
[[model.rate]]
variant = "standard"
starts_on = 2026-01-01
input = 1
output = 3
url = "file:contract.pdf"
checked_on = 2026-02-01
"""


def book(*texts: str) -> PriceBook:
    return PriceBook.from_texts([(f"file {n}", text) for n, text in enumerate(texts)])


@pytest.mark.parametrize(
    ("name", "means"),
    [
        ("gpt-x", "gpt-x"),
        ("gpt-x-chat", "gpt-x"),
        ("gpt-x-2026-03-05", "gpt-x"),
        ("gpt-x-20260305", "gpt-x"),
        ("gpt-x-chat-2026-03-05", "gpt-x"),
        ("openai/gpt-x", "gpt-x"),
        ("openai/gpt-x-2026-03-05", "gpt-x"),
        ("models/gem-y", "gem-y"),
    ],
)
def test_a_name_is_found_exactly_by_alias_date_or_listed_prefix(name: str, means: str) -> None:
    assert book(BASE).resolve(name).name == means


@pytest.mark.parametrize(
    "name",
    [
        "",
        "GPT-X",
        " gpt-x",
        "gpt-x ",
        "gpt-x\n",
        "gpt",
        "gpt-xx",
        "gpt-x-mini",
        "gpt-x-2026-13-05",  # no such month
        "gpt-x-2026-0305",
        "gpt-x-202603",
        "gpt-x-٢٠٢٦-٠٣-٠٥",  # digits, but not ASCII's
        "gpt-x-2026-03-05-2026-03-05",
        "openai/",
        "openai/gem-y",  # the prefix of another provider
        "openai/openai/gpt-x",
        "azure/gpt-x",  # a gateway whose prices are its own
        "ft:gpt-x:org::id",  # fine-tunes cost more
        "openai/ft:gpt-x",
    ],
)
def test_anything_else_is_unknown(name: str) -> None:
    with pytest.raises(ModelUnknown):
        book(BASE).resolve(name)


def test_an_unknown_name_gets_the_nearest_ones() -> None:
    with pytest.raises(ModelUnknown) as caught:
        book(BASE).resolve("openai/gpt-x-chta")
    assert "`gpt-x-chat`" in caught.value.next_step
    assert caught.value.exit_code == 1


def test_a_later_file_replaces_the_keys_and_variants_that_it_names() -> None:
    own = f'format = 1\n[[model]]\nname = "gpt-x"\noutput_max = 100\n{ROW}'
    model = book(BASE, own).resolve("x")
    assert model.output_max == 100
    assert model.context_window == 128000
    assert [(row.variant, row.url) for row in model.rows] == [
        ("standard", "file:contract.pdf"),
        ("batch", "https://example.org/prices"),
    ]
    assert call_cost(model, {"input": 1000}, variant="standard", at_ms=NOW_MS) == 1_000_000


def test_a_later_file_adds_models_from_nothing_or_like_another() -> None:
    own = f'format = 1\n[[model]]\nname = "ours"\nlike = "gpt-x"\naliases = ["our-x"]\n{ROW}'
    both = book(BASE, own)
    assert both.resolve("our-x").name == "ours"
    assert both.resolve("ours").tokenizer == "o200k_base"
    assert both.resolve("x").name == "gpt-x"
    assert [model.name for model in both.models()] == ["gpt-x", "gem-y", "ours"]


def test_a_later_file_may_take_an_alias_but_not_a_name() -> None:
    taken = f'format = 1\n[[model]]\nname = "gpt-x-chat"\nlike = "gem-y"\n{ROW}'
    assert book(BASE, taken).resolve("gpt-x-chat").name == "gpt-x-chat"
    assert book(BASE, taken).resolve("x").name == "gpt-x"
    with pytest.raises(PriceBookInvalid, match="`gpt-x` already means"):
        book(BASE, 'format = 1\n[[model]]\nname = "gem-y"\naliases = ["gpt-x"]\n')


def test_within_one_file_a_name_means_one_model() -> None:
    with pytest.raises(PriceBookInvalid, match="`x` already means `gpt-x`"):
        book(BASE + f'[[model]]\nname = "other"\nlike = "gem-y"\naliases = ["x"]\n{ROW}')
    with pytest.raises(PriceBookInvalid, match="`x` already means `x`"):
        book(BASE + f'[[model]]\nname = "x"\nlike = "gem-y"\n{ROW}')


def test_the_version_is_of_what_the_files_say() -> None:
    one = PriceBook.from_texts([("here", BASE)])
    assert one.version == PriceBook.from_texts([("elsewhere", BASE)]).version
    assert one.version != PriceBook.from_texts([("here", BASE + "\n")]).version
    assert one.version != PriceBook.from_texts([("a", BASE), ("b", "format = 1\n")]).version
    assert one.texts == (("here", BASE),)
    assert PriceBook.from_texts(one.texts).models() == one.models()
