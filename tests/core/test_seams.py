"""What joining texts can add: no way of joining neighbours counts more, for every encoding."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noburn_cli import ranks
from noburn_cli.core.bounds import utf8_bytes
from noburn_cli.core.seams import TRIED_MAX, seam_tokens
from noburn_cli.core.token_recipes import RECIPES
from noburn_cli.providers import registry
from noburn_daemon.exact import count_input
from noburn_daemon.frames import Input, Texts
from tests.corpus.random_texts import POOL

CORPUS = Path(__file__).parent.parent / "corpus"
LINES = (CORPUS / "scripts.txt").read_text(encoding="utf-8").splitlines()
HOSTILE = json.loads((CORPUS / "hostile.json").read_text(encoding="utf-8"))
COUNTED = [name for name in RECIPES if ranks.can_count(name)]
#: Digits of every script that cost more in one order than in another, runs, joiners, marks.
PIECES = (
    *POOL,
    *("٠٢٠", "٢", "۰۱۲" * 9, "１２３" * 5, "०१" * 7, "①②③" * 3, "½¾" * 4, "7" * 31, "Ⅷ", "1,000"),
    *(" " * 9, "\t \t", "\r", "\n", "\r\n\r\n", " \n ", "\u3000", "\xa0 ", "//", "\n/", "\u2028"),
    *("aB" * 8, "don", "'t", "'", "’s", "\u017f", "xyz" * 7, "\u0301\u0323", "é", "ǘ", "\u0323"),
    *(
        "👨",
        "\u200d",
        "👩",
        "🏽",
        "🇩",
        "🇪",
        "\ufe0f",
        "か\u3099",
        "はい。",
        "いいえ\n",
        "中文，",
        "กำ",
        "가",
        "\u11a8",
    ),
    *("\ud800", "\udc00", "", "OK", "A full sentence, twice. And", " its end.\n"),
)
TEXTS = st.lists(st.sampled_from(PIECES), max_size=6).map("".join)


def most_of_every_way(name: str, texts: Sequence[str]) -> int:
    """The dearest of all the ways to join neighbours: each seam is joined or is not."""
    found = 0
    for joined in itertools.product((True, False), repeat=max(0, len(texts) - 1)):
        groups = [texts[0]] if texts else []
        for together, text in zip(joined, texts[1:], strict=True):
            if together:
                groups[-1] += text
            else:
                groups.append(text)
        found = max(found, sum(ranks.count(name, group) for group in groups))
    return found


def bound_of(name: str, texts: Sequence[str]) -> int:
    return sum(ranks.count(name, text) for text in texts) + ranks.seams(name, texts)


@pytest.mark.parametrize("name", COUNTED)
def test_shifted_digits_cost_what_they_cost_joined(name: str) -> None:
    """Goal: one digit in front shifts all that follow; 4 tokens a seam were no bound for it."""
    for first, unit in itertools.product("٠1０०", ("٠٢٠", "012", "０１２", "१०१", "①②③")):
        for right in (unit * 100, unit * 100 + " and on", unit * 100 + "\nnext"):
            texts = [first, right]
            most = most_of_every_way(name, texts)
            assert most <= bound_of(name, texts) <= most + 1


def test_the_allowance_of_old_is_passed() -> None:
    """Goal: the texts above can fail: joined, they take a thousand tokens more."""
    texts = ["٠", "٠٢٠" * 1000]
    alone = sum(ranks.count("o200k_base", text) for text in texts)
    assert ranks.count("o200k_base", "".join(texts)) > alone + 900
    assert ranks.seams("o200k_base", texts) > 900


@settings(max_examples=250, deadline=None)
@given(st.lists(TEXTS, max_size=6), st.sampled_from(COUNTED))
def test_no_way_of_joining_counts_more(texts: list[str], name: str) -> None:
    assert most_of_every_way(name, texts) <= bound_of(name, texts)


@pytest.mark.parametrize("name", COUNTED)
def test_ordinary_texts_have_hardly_an_allowance(name: str) -> None:
    """Goal: tight as well: less than the old 4 a seam, on lines of 25 scripts, two and two."""
    texts = [line for line in LINES if " " in line]
    assert len(texts) > 20
    pairs = list(itertools.product(texts, texts[::6]))
    assert all(most_of_every_way(name, pair) <= bound_of(name, pair) for pair in pairs)
    assert sum(ranks.seams(name, pair) for pair in pairs) < len(pairs)
    hostile = [text[:60] for text in HOSTILE]
    for pair in zip(hostile, texts, strict=False):
        assert most_of_every_way(name, pair) <= bound_of(name, pair)


def test_work_is_linear_where_nothing_can_be_cut() -> None:
    """Goal: a thousand words without a cut are bounded by bytes, not tried in every way."""
    looked_at = 0

    def count(text: str) -> int:
        nonlocal looked_at
        looked_at += len(text)
        return 1

    words = ["word"] * 1000
    assert seam_tokens(words, count=count, most=utf8_bytes) == 4000 - 1000
    assert looked_at == 4000
    looked_at = 0
    seam_tokens(words[:TRIED_MAX], count=count, most=utf8_bytes)
    assert looked_at <= 6 * 4 * TRIED_MAX
    looked_at = 0
    assert seam_tokens(["one two three " * 999] * 50, count=count, most=utf8_bytes) == 0
    assert looked_at < 50 * 50


def test_the_daemon_counts_parts_of_a_message_as_they_may_be_joined() -> None:
    """Goal: a message in two parts, as OpenAI joins them, is not above its exact bound."""
    parts = [{"type": "text", "text": text} for text in ("٠", "٠٢٠" * 1000)]
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": parts}]}
    call = registry.codec("openai_chat").parse(json.dumps(body).encode())
    size = Input(bytes=0, expanded=0, overhead=call.overhead_tokens)
    found = count_input(Texts(texts=list(call.texts)), size, tokenizer="o200k_base")
    assert found >= ranks.count("o200k_base", "".join(call.texts)) + call.overhead_tokens
