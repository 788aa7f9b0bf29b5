"""Bounds: no count is above them, for every tokeniser family, on ordinary and hostile strings."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noburn_cli import ranks
from noburn_cli.core import bounds
from noburn_cli.core.bounds import ASSUMED, BYTES, COUNTED, EXACT, HOW, WINDOW, Bound
from noburn_cli.core.claude_bound import _excess, _table, tokens_max

CORPUS = Path(__file__).parent.parent / "corpus"
HOSTILE = json.loads((CORPUS / "hostile.json").read_text(encoding="utf-8"))
LINES = (CORPUS / "scripts.txt").read_text(encoding="utf-8").splitlines()
VECTORS = json.loads((CORPUS / "claude_counts.json").read_text(encoding="ascii"))
WINDOW_TOKENS = 10_000_000
#: Tokens around one user message, by ctok's version.
FRAMES = {"3.0": 7, "4.7": 11, "4.8": 6}


def measured(*texts: str, schema: str = "", **more: object) -> bounds.Measure:
    given_: dict[str, object] = {"overhead_tokens": 0, "counted_tokens": 0, "window": False, **more}
    return bounds.measure(texts, schema, **given_)  # type: ignore[arg-type]


def bound(measure: bounds.Measure, tokenizer: str, window: int = WINDOW_TOKENS) -> Bound:
    return bounds.input_bound(measure, tokenizer=tokenizer, context_window=window)


@pytest.mark.parametrize("name", ranks.NAMES)
def test_byte_level_bpe_stays_within_bytes(name: str) -> None:
    for text in (*HOSTILE, *LINES):
        assert ranks.count(name, text) <= bound(measured(text), name).tokens


@given(st.text(st.characters(), max_size=80))
def test_byte_level_bpe_stays_within_bytes_for_any_text(text: str) -> None:
    assert ranks.count("o200k_base", text) <= bound(measured(text), "o200k_base").tokens


def test_claude_stays_within_its_bound() -> None:
    """Goal: the recorded counts of ctok, hostile strings included, never pass the bound."""
    assert len(VECTORS) > 400
    above = [(text, count) for text, count in VECTORS if count > tokens_max(text)]
    assert above == []


def test_bytes_alone_would_not_bound_claude() -> None:
    """Goal: the vectors are hostile enough that the test above can fail."""
    beyond = [text for text, count in VECTORS if count > len(text.encode("utf-8", "replace"))]
    assert any("\U0001d160" in text for text in beyond)
    assert any(text.isascii() for text in beyond)


def test_claude_against_the_reconstruction() -> None:
    """Goal: where ctok is installed, fresh random strings are compared as well."""
    ctok = pytest.importorskip("ctok")
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    for _ in range(300):
        alphabet = [
            chr(chance.choice((chance.randrange(0x250), chance.randrange(0x3000))))
            for _ in range(6)
        ]
        text = "".join(chance.choice(alphabet) for _ in range(40))
        for version in FRAMES:
            count = ctok.token_count(text, version) - FRAMES[version]
            assert count <= tokens_max(text), (seed, text)


def test_plain_lower_case_costs_a_token_a_byte() -> None:
    """Goal: ordinary ASCII pays nothing for what capitals and lone punctuation may do."""
    text = "the quick brown fox, jumps over; the lazy dog.\n" * 100
    assert tokens_max(text) - len(text) <= 3
    assert tokens_max("") == 0


def test_the_table_covers_unicode_in_order() -> None:
    starts, excesses = _table()
    assert starts == sorted(set(starts))
    assert starts[0] == 0x80
    assert len(starts) == len(excesses)
    assert excesses[-1] == 0
    assert _excess(chr(sys.maxunicode)) == 0
    assert _excess("\u0378") == 4  # unassigned: may become a capital letter


def test_bytes_of_surrogates_are_those_of_the_replacement_character() -> None:
    assert measured("\ud800").bytes == 3
    assert measured("a", schema="{}").bytes == 3


def test_ways_of_reaching_a_bound() -> None:
    text = measured("hello", schema="{}", overhead_tokens=7, counted_tokens=5)
    assert bound(text, "o200k_base") == Bound(19, BYTES)
    assert bound(text, "gemini") == Bound(19, BYTES)
    assert bound(text, "claude").how == BYTES
    assert bound(text, "claude").tokens >= 19
    assert bound(text, "not a tokeniser") == Bound(WINDOW_TOKENS, WINDOW)
    assert bound(measured("x", window=True), "o200k_base") == Bound(WINDOW_TOKENS, WINDOW)
    assert bounds.exact_bound(3, 2, 7, 5, tokenizer="o200k_base") == Bound(17, EXACT)
    assert bounds.exact_bound(3, 2, 7, 5, tokenizer="llama3", seams=1) == Bound(18, ASSUMED)
    assert HOW == (EXACT, COUNTED, BYTES, WINDOW, ASSUMED)


def test_the_provider_s_count_wins_over_everything() -> None:
    counted = bounds.Measure(bytes=100, expanded=100, overhead=7, tokens=0, window=True, counted=42)
    assert bound(counted, "claude") == Bound(42, COUNTED)


def test_the_window_caps_every_bound() -> None:
    assert bound(measured("x" * 50), "o200k_base", window=49) == Bound(49, WINDOW)
    assert bound(measured("x" * 49), "o200k_base", window=49) == Bound(49, BYTES)


def test_the_factor_is_rounded_up() -> None:
    raised = bounds.input_bound(
        measured("x" * 11), tokenizer="o200k_base", context_window=1000, factor_per_mille=1001
    )
    assert raised == Bound(12, BYTES)


def test_other_byte_level_models_allow_for_their_template() -> None:
    small = bounds.Measure(bytes=10, expanded=10, overhead=7, tokens=0, window=False)
    bound = bounds.input_bound(small, tokenizer=bounds.OTHER_BYTES, context_window=100_000)
    assert bound == bounds.Bound(10 + 14 + bounds.TEMPLATE_TOKENS, ASSUMED)
    capped = bounds.input_bound(small, tokenizer=bounds.OTHER_BYTES, context_window=500)
    assert capped == bounds.Bound(500, bounds.WINDOW)
    unknown = bounds.input_bound(small, tokenizer="unknown", context_window=500)
    assert unknown == bounds.Bound(500, bounds.WINDOW)
