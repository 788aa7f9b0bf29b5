"""The fast reader reads what it accepts as a whole TOML parser does, and leaves all else to it."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest
import tomllib

from noburn_cli import resources
from noburn_cli.core.plain_toml import plain_document
from noburn_cli.core.pricebook import PriceBook

_, SHIPPED = resources.shipped_prices()
SMALL = """# A price file.
format = 1

[generated]
checked_on = 2026-11-23

[prefixes]
"openai/" = "openai"

[[model]]
name = "m"
aliases = ["a", "b-2024-01-01"]
sources = []

[[model.rate]]
variant = "standard"
starts_on = 1970-01-01
input = 0.15
output = 2
above = [
    { input_tokens = 200000, input = 1.5, output = 4 },
]

[[model]]
name = "n"
"""


def whole(text: str) -> object:
    try:
        return tomllib.loads(text, parse_float=Decimal)
    except ValueError:
        return None


def test_the_shipped_book_is_in_the_plain_form() -> None:
    """Goal: reading it stays fast."""
    found = plain_document(SHIPPED)
    assert found is not None
    assert found == whole(SHIPPED)


def test_a_small_file_is_read_alike() -> None:
    assert plain_document(SMALL) == whole(SMALL) != {}


@pytest.mark.parametrize(
    "text",
    [
        "format = 1\nformat = 1",
        "[[model]]\nname = 1\n[model]\nx = 1",
        "model = []\n[[model]]\nname = 1",
        "above = [\n    { input = 1 },\n]\n[[above]]\nx = 1",
        "above = [\n    { input = 1 },\n]\n[[above.rate]]\nx = 1",
        'model = ["a"]\n[[model]]\nname = 1',
        "[[model.rate]]\nx = 1",
        "[generated]\n[generated]",
        "[[model]]\n[[model.rate]]\nx = 1\n[model.rate]\ny = 1",
        "x = 01",
        "x = 1.",
        "x = 1e5",
        "x = 2026-13-01",
        'x = "a\\nb"',
        'x = "a',
        "x = 'a'",
        "x = [1, 2]",
        'x = ["a",]',
        "x=1",
        " x = 1",
        "x = 1 # note",
        "# \x00",
        "# \x7f",
        "x.y = 1",
        "above = [\n    { input = 1 },",
        "above = [\n    { input = 1, input = 2 },\n]",
        "above = [\n    { input = x },\n]",
        "above = [\n]\nabove = [\n]",
        "x = true",
        "\ufeffx = 1",
        "x = 1\r\ny = 2",
        "x = 1\ry = 2",
        "x = ١",
    ],
)
def test_what_is_not_plain_is_left_to_the_whole_parser(text: str) -> None:
    found = plain_document(text)
    assert found is None or found == whole(text)


def test_random_edits_are_never_read_otherwise() -> None:
    """Goal: what both read is the same, and what is no TOML is never accepted."""
    dice = random.Random(20261127)
    accepted = 0
    for _ in range(4000):
        text = list(SMALL)
        for _ in range(dice.randrange(1, 4)):
            at = dice.randrange(len(text))
            new = dice.choices('[]{}",.=#\n -_0a1', k=dice.randrange(3))
            text[at : at + dice.randrange(3)] = new
        edited = "".join(text)
        found = plain_document(edited)
        if found is not None:
            accepted += 1
            assert found == whole(edited), edited
    assert accepted > 100


def test_a_users_file_may_be_any_toml() -> None:
    text = SMALL.replace("format = 1", "format = 0x1").replace('name = "n"', "name = 'n' # mine")
    assert plain_document(text) is None
    with pytest.raises(Exception, match="price file mine"):
        PriceBook.from_texts([("mine", text)])  # read whole, and found incomplete
