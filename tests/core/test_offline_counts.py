"""Offline estimates of Claude's and Gemini's counts against recorded true ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from noburn_cli import ranks
from noburn_cli.core.offline_counts import LATIN, OTHER, error_of, family_of, offline_count
from noburn_cli.core.offline_weights import WEIGHTS
from noburn_cli.core.text_features import NAMES, features

#: Texts that took no part in finding the weights: tools/fit_offline_counts.py.
RECORDED = json.loads(
    (Path(__file__).parent.parent / "corpus" / "offline_counts.json").read_text(encoding="ascii")
)


@pytest.mark.parametrize("family", ["claude-3", "claude-4.7", "gemini"])
def test_the_error_is_the_one_that_is_said(family: str) -> None:
    """Goal: nearly every text lies in its span, and none is further off than the worst."""
    inside = 0
    errors = []
    for text, truth in RECORDED:
        found = offline_count(family, features(text, ranks.count("o200k_base", text)))
        low, high = found.span()
        inside += low <= truth[family] <= high
        errors.append(abs(found.tokens / truth[family] - 1))
        assert errors[-1] <= found.error.worst / 1000 + 1 / truth[family]
    assert len(RECORDED) > 50
    assert inside >= 0.85 * len(RECORDED)
    assert sorted(errors)[len(errors) // 2] < 0.08


def test_pieces_add_up() -> None:
    """Goal: a long file is looked at in pieces, and nothing is lost between them."""
    text = "".join(text for text, _ in RECORDED)
    whole, halves = features(text * 6, 5), [features(part, 5) for part in (text * 3, text * 3)]
    summed = [sum(one) for one in zip(*halves, strict=True)]
    assert whole[0] == 5
    assert all(abs(a - b) <= 4 for a, b in zip(whole[1:], summed[1:], strict=True))
    assert all(len(weights) == len(NAMES) for weights in WEIGHTS.values())
    assert offline_count("gemini", []).tokens == 0


def test_the_generation_decides_the_vocabulary() -> None:
    old = ("claude-3-haiku", "claude-opus-4-6", "anthropic/claude-sonnet-4-20250514")
    new = ("claude-opus-4-7", "claude-haiku-5-5", "bedrock/us.anthropic.claude-opus-5-v1:0", "x")
    assert {family_of("claude", name) for name in old} == {"claude-3"}
    assert {family_of("claude", name) for name in new} == {"claude-4.7"}
    assert family_of("o200k_base", "gpt-5") is None


def test_a_script_has_its_own_error() -> None:
    assert error_of("gemini", LATIN) != error_of("gemini", OTHER)
    russian = offline_count("gemini", features("Счёт неверен, проверьте строку", 12))
    assert russian.error == error_of("gemini", OTHER)
