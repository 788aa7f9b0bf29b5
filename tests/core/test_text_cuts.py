"""Parts of a text have together the tokens of the whole, for every encoding."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noburn_cli import ranks
from noburn_cli.core import tokens
from noburn_cli.core.text_cuts import Cutter, last_cut, parts
from noburn_cli.core.token_recipes import RECIPES
from tests.corpus.random_texts import POOL, random_texts

CORPUS = Path(__file__).parent.parent / "corpus"
TEXTS: dict[str, str] = json.loads((CORPUS / "tokens_texts.json").read_text(encoding="utf-8"))
RUN = 1_000_000
COUNTED = [name for name in RECIPES if ranks.can_count(name)]
#: Runs that hardly have a place to cut, or only bad ones.
HOSTILE = (
    *(" " * 300 + "x", "x" + " " * 300, "\n" * 200 + "  \n" * 50, " \t" * 200, "\r\n" * 100 + "/a"),
    *("a" * 500, "=" * 400, "中" * 300, "1" * 301 + "a", "aB" * 200, "\u0301" * 100, "\x01" * 99),
    *("!\n/!\n//\n /", "it'S a'll 'd'\u017fx", "a\u0338 b\u0338\n\u0338c", "가\n\u11a8 가\u11a8"),
    *("1a" * 50 + "\n1 2", "中，文。字\n" * 9, "\xa0 \u3000 \u2028 \x85 \x1c x" * 9),
)
PIECES = st.lists(st.sampled_from((*POOL, *HOSTILE)), max_size=30).map("".join)


def in_parts(name: str, text: str, block: int, cutter: Cutter) -> int:
    return sum(ranks.count(name, part) for part in parts(text, block, cutter))


@pytest.mark.parametrize("name", COUNTED)
def test_parts_of_the_corpus_count_as_the_whole(name: str) -> None:
    """Goal: prose, code, JSON, Chinese, Arabic, emoji, base64, white space; runs without a cut."""
    for text in (*TEXTS.values(), *HOSTILE, "".join(random_texts(300))):
        whole = ranks.count(name, text)
        for block in (1, 7, 100):
            cutter = Cutter(run_characters_max=RUN)
            assert (in_parts(name, text, block, cutter), cutter.forced) == (whole, 0)


@settings(max_examples=100, deadline=None)
@given(PIECES, st.integers(1, 40), st.sampled_from(COUNTED))
def test_parts_of_any_text_count_as_the_whole(text: str, block: int, name: str) -> None:
    cutter = Cutter(run_characters_max=RUN)
    assert "".join(parts(text, block, cutter)) == text
    assert in_parts(name, text, block, Cutter(run_characters_max=RUN)) == ranks.count(name, text)
    assert cutter.forced == 0


@settings(max_examples=60, deadline=None)
@given(PIECES, st.integers(1, 40))
def test_composition_does_not_reach_across_a_cut(text: str, block: int) -> None:
    composed = "".join(
        tokens.composed(part) for part in parts(text, block, Cutter(run_characters_max=RUN))
    )
    assert composed == unicodedata.normalize("NFC", text)


def test_a_place_that_is_not_safe_would_be_seen() -> None:
    """Goal: the comparison above can fail: at these places the parts have other tokens."""
    encode = ranks.encoding("o200k_base").encode_ordinary
    for left, right in (("it", "'s"), (")\n", "//"), ("   ", "  x"), ("12", "34"), ("hel", "lo")):
        assert [*encode(left), *encode(right)] != encode(left + right)
        assert last_cut(left + right) != len(left)


def test_prose_and_minified_json_are_cut_often() -> None:
    """Goal: memory stays flat: ordinary text never waits for a place to cut."""
    compact = json.dumps([{"id": "4f9c1e0a", "v": [1, 2]}] * 500, separators=(",", ":"))
    for text in (TEXTS["prose"] * 20, TEXTS["chinese"] * 20, TEXTS["base64"] * 20, compact):
        assert max(map(len, parts(text, 512, Cutter(run_characters_max=RUN)))) < 1536


def test_a_run_without_a_place_is_cut_at_its_limit_and_that_is_told() -> None:
    """Goal: one huge word is bounded work: no part is larger than the limit and a block."""
    cutter = Cutter(run_characters_max=1000)
    found = list(parts("x" * 10_000, 100, cutter))
    assert "".join(found) == "x" * 10_000
    assert max(map(len, found)) <= 1100
    assert cutter.forced == len(found) - 1


@pytest.mark.parametrize("unit", [" ", "\x01"])
def test_a_million_blanks_do_not_end_the_engine(unit: str) -> None:
    """Goal: tiktoken 0.14 panics at such a run when it is not cut for it."""
    few, many = (ranks.count("deepseek_v3", "a" + unit * n + "b") for n in (1000, 1_000_000))
    assert few < many <= 1_000_002 * len(unit.encode())
