"""A price file that breaks a rule is refused, with its name, the model, the row and the reason."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from noburn_cli.core.pricebook import PriceBook
from noburn_cli.errors import PriceBookInvalid

MODEL = """format = 1
[[model]]
name = "m"
provider = "openai"
family = "text"
tokenizer = "o200k_base"
context_window = 1000
output_max = 100
"""
RATE = """[[model.rate]]
variant = "standard"
starts_on = 2026-01-01
input = 2
output = 8
url = "https://example.org/prices"
checked_on = 2026-01-02
"""
GOOD = MODEL + RATE
ABOVE = "{ input_tokens = 9, input = 1, output = 1 }"


def read(text: str) -> PriceBook:
    return PriceBook.from_texts([("mine.toml", text)])


def test_the_smallest_file_is_good() -> None:
    (model,) = read(GOOD).models()
    assert model.rows[0].tiers[0].rates == {"input": 2_000_000, "output": 8_000_000}
    assert (model.input_max, model.output_min, model.cache_writes) == (1000, 1, "priced")


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("format = 1", "format = 2", "`format = 1`"),
        ("format = 1\n", "", "`format = 1`"),
        ("format = 1", "format = 1\nmodels = 1", "unknown key 'models'"),
        ("format = 1", 'format = 1\n[prefixes]\n"" = "openai"\n', "prefix ''"),
        ('name = "m"', "", "no usable `name`"),
        ('name = "m"', 'name = "m m"', "no usable `name`"),
        ('name = "m"', 'name = "m"\nlike = "other"', "`like` names no other model"),
        ('name = "m"', 'name = "m"\nlike = "m"', "`like` names no other model"),
        ('name = "m"', 'name = "m"\ncontext = 1', "unknown key 'context'"),
        ('name = "m"', 'name = "m"\naliases = ["m"]', "alias `m` already means `m`"),
        ('name = "m"', 'name = "m"\naliases = ["a", "a"]', "names something twice"),
        ('name = "m"', 'name = "m"\noutput_min = 101', "`output_min` is above"),
        ('name = "m"', 'name = "m"\ninput_max = 1001', "above the context window"),
        ('name = "m"', 'name = "m"\nretires_on = "soon"', "not a date"),
        ('provider = "openai"\n', "", "`provider` is missing"),
        ('"text"', '"chat"', "not one of text, reasoning, embedding"),
        ('"o200k_base"', '"o300k"', "not one of o200k_base"),
        ("context_window = 1000", "context_window = 0", "whole number of tokens above 0"),
        ("context_window = 1000", "context_window = true", "whole number of tokens above 0"),
        ("output_max = 100\n", "", "every model but embeddings and media"),
        ('"text"', '"embedding"', "every model but embeddings and media"),
        (RATE, "", "it has no rate"),
        (RATE, "rate = 1\n", "`rate` is not a list"),
        (RATE, RATE + RATE, "two standard rows start on 2026-01-01"),
        ("input = 2\n", "", "no input rate"),
        ("output = 8\n", "", "output rate belongs"),
        ("input = 2", "inputs = 2", "unknown key 'inputs'"),
        ("input = 2", "input = -2", "input is negative"),
        ("input = 2", "input = -0.0000001", "input is negative"),
        ("input = 2", "input = nan", "not a number"),
        ("input = 2", "input = inf", "not a number"),
        ("input = 2", "input = '2'", "not a number"),
        ("input = 2", "input = true", "not a number"),
        ("input = 2", "input = 0.0000001", "finer than a pico-dollar"),
        ("input = 2", "input = 0.1234567", "finer than a pico-dollar"),
        ("input = 2", "input = 1e300", "out of range"),
        ("input = 2", "input = 1e-300", "out of range"),
        ("input = 2", "input = 2e999999999", "out of range"),
        ("input = 2", "input = 1e99999999999999999999", "not TOML"),
        ('"standard"', '"cheap"', "not one of standard"),
        ("starts_on = 2026-01-01\n", "", "`starts_on` is not a date"),
        ("2026-01-01", "2026-01-01T00:00:00", "`starts_on` is not a date"),
        ("checked_on = 2026-01-02\n", "", "`checked_on` is not a date"),
        ('url = "https://example.org/prices"\n', "", "`url` is missing"),
        ('"https://example.org/prices"', '"somewhere"', "not an address"),
        ("input = 2", "input = 2\nabove = 1", "`above` is not a list"),
        ("input = 2", "input = 2\nabove = [1]", "not a table"),
        ("input = 2", "input = 2\nabove = [{ input = 1, output = 1 }]", "above.input_tokens"),
        ("input = 2", "input = 2\nabove = [{ input_tokens = 9, input = 1 }]", "not rate the same"),
        (
            "input = 2",
            f"input = 2\nabove = [{ABOVE}, {ABOVE}]",
            "ascending order",
        ),
    ],
)
def test_a_broken_rule_is_refused_with_its_place(old: str, new: str, reason: str) -> None:
    assert GOOD.count(old) == 1
    with pytest.raises(PriceBookInvalid) as caught:
        read(GOOD.replace(old, new))
    assert caught.value.message.startswith("price file mine.toml")
    assert reason in caught.value.message


def test_a_model_twice_in_one_file_is_refused() -> None:
    with pytest.raises(PriceBookInvalid, match="twice"):
        read(GOOD + GOOD.removeprefix("format = 1\n"))


@pytest.mark.parametrize(
    ("written", "pico"),
    [
        ("0.0375", 37_500),
        ("0.000001", 1),
        ("0", 0),
        ("0.0", 0),
        ("-0.0", 0),
        ("0e-999999999", 0),  # an exact fraction of it would fill the memory
        ("1_000", 1_000_000_000),
        ("1.25e-1", 125_000),
        ("0.1", 100_000),  # not what a binary float holds
    ],
)
def test_rates_are_exact(written: str, pico: int) -> None:
    (model,) = read(GOOD.replace("input = 2", f"input = {written}")).models()
    assert model.rows[0].tiers[0].rates["input"] == pico


_WORDS = st.sampled_from(
    [*GOOD.split("\n"), "[[model]]", "[model]", "[[", "}", "above = [{}]", "é"]
)
_GARBAGE = st.one_of(st.text(max_size=200), st.lists(_WORDS, max_size=25).map("\n".join))


@given(_GARBAGE)
@example("[" * 5000)
@example("model = 1\nformat = 1")
@example("format = 1\nmodel = [1]")
@example("format = 1\nmodel = [{ name = 1 }]")
@example("format = 1\n[prefixes]\na = 1")
@example("format = 1\ngenerated = 1")
@example(f"format = 1\nx = {'9' * 5000}")
def test_garbage_raises_one_named_error_and_nothing_else(text: str) -> None:
    with contextlib.suppress(PriceBookInvalid):
        read(text)
