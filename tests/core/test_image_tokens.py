"""Images by the providers' formulas, against values that others measured or the providers print."""

from __future__ import annotations

import pytest

from noburn_cli.core import image_tokens as images
from noburn_cli.core.image_headers import Size
from noburn_cli.core.image_tokens import CLAUDE_HIGH, CLAUDE_STANDARD, Patches, openai_image_max

GUIDE = "developers.openai.com/api/docs/guides/images-vision, its examples"
#: Input tokens of an image of 128 x 64 beside five words, which are 12 tokens (13 where the image
#: goes by patches); April 2025.
FORUM = "community.openai.com/t/1262691"
FICHE = "github.com/jaredboynton/tokenfiche: 30 images and a prompt billed as 318,283"
OPENAI = (
    ("gpt-5.4", 1024, 1024, "high", 1229, GUIDE),
    ("gpt-5.4", 2048, 2048, "high", 3000, GUIDE),
    ("gpt-5.4", 1024, 1024, "auto", 1229, GUIDE),
    ("gpt-5.6-sol", 6000, 6000, "high", 3000, "…/guides/image-cost-calculator, its example"),
    ("gpt-5.5", 3000, 3000, "auto", 10_604, FICHE),
    ("gpt-5.5", 2752, 1536, "high", 2765, "a table of 2026-09-02 by the same guide"),
    ("gpt-4o", 1024, 1024, "high", 765, GUIDE),
    ("gpt-4o", 2048, 4096, "high", 1105, GUIDE),
    ("gpt-4o", 4096, 8192, "low", 85, GUIDE),
    ("gpt-4.1-2025-04-14", 128, 64, "high", 267 - 12, FORUM),
    ("gpt-4.1-2025-04-14", 128, 64, "low", 97 - 12, FORUM),
    ("gpt-4o-mini-2024-07-18", 128, 64, "high", 8512 - 12, FORUM),
    ("gpt-4o-mini-2024-07-18", 128, 64, "low", 2845 - 12, FORUM),
    ("o3-2025-04-16", 128, 64, "high", 236 - 11, FORUM),
    ("gpt-4.1-mini-2025-04-14", 128, 64, "high", 26 - 13, FORUM),
    ("gpt-4.1-nano-2025-04-14", 128, 64, "auto", 33 - 13, FORUM),
    ("gpt-4.1-nano-2025-04-14", 1800, 2400, "auto", 3572, GUIDE + " of 2025: 1,452 patches"),
)  # fmt: skip
#: Counted by count_tokens with 10 tokens of frame and words on Opus 4.6, and 14 on Opus 4.7.
COUNTED = "a public comparison of Opus 4.7 with 4.6, April 2026"
VISION = "platform.claude.com/docs/en/build-with-claude/vision, coordinates: the size after scaling"
CLAUDE = (
    (CLAUDE_STANDARD, 3456, 2234, 1578 - 10, COUNTED),
    (CLAUDE_HIGH, 3456, 2234, 4744 - 14, COUNTED),
    (CLAUDE_STANDARD, 682, 318, 310 - 10, COUNTED),
    (CLAUDE_HIGH, 682, 318, 314 - 14, COUNTED),
    (CLAUDE_STANDARD, 1075, 1520, 33 * 47, VISION + " is 924 x 1307"),
    (CLAUDE_STANDARD, 1920, 1080, 52 * 30, VISION + " is 1456 x 819"),
    (CLAUDE_HIGH, 1000, 1000, 1296, "…/vision, its table; 1,304 counted with frame and words"),
    (CLAUDE_HIGH, 4800, 2700, 4784, "…/vision: the most of any image"),
)


@pytest.mark.parametrize(("model", "width", "height", "detail", "tokens", "source"), OPENAI)
def test_openai(model: str, width: int, height: int, detail: str, tokens: int, source: str) -> None:
    rule = images.openai_rule(model)
    assert rule is not None
    assert rule.tokens(Size(width, height), detail) == tokens, source
    assert tokens <= openai_image_max(model, detail)


@pytest.mark.parametrize(("limits", "width", "height", "tokens", "source"), CLAUDE)
def test_claude(limits: tuple[int, int], width: int, height: int, tokens: int, source: str) -> None:
    side, most = limits
    assert images.claude_image(Size(width, height), side=side, tokens=most) == tokens, source
    turned = images.claude_image(Size(height, width), side=side, tokens=most)
    assert turned == tokens <= most


SIDES = (1, 2, 31, 32, 33, 511, 513, 767, 769, 1568, 2047, 2049, 4096, 6001, 65_535)
MODELS = (
    *("gpt-6-luna", "gpt-5.6-terra", "gpt-5.5", "gpt-5.4-mini", "gpt-5.2", "gpt-5-nano", "gpt-5"),
    *("gpt-4.1-mini", "gpt-4o", "gpt-4o-mini", "o1", "o4-mini", "computer-use-preview"),
)


def test_no_image_passes_the_most_of_its_model_and_detail() -> None:
    """Goal: the number that a hold rests on holds for every shape, strips included."""
    for model in MODELS:
        rule = images.openai_rule(f"openai/{model}")
        assert rule is not None
        for detail in ("low", "high", "original", "auto", "", "strange"):
            most = openai_image_max(model, detail)
            for width in SIDES:
                for height in SIDES:
                    tokens = rule.tokens(Size(width, height), detail)
                    assert 0 < tokens <= most, (model, detail, width, height)
    for width in SIDES:
        for height in SIDES:
            assert 0 < images.claude_image(Size(width, height), side=2576, tokens=4784) <= 4784


def test_a_patch_budget_is_kept_and_used() -> None:
    rule = images.openai_rule("gpt-5.4")
    assert isinstance(rule, Patches)
    for width, height in ((2048, 2048), (2000, 1999), (6000, 4000), (5999, 3001), (8000, 60)):
        tokens = rule.tokens(Size(width, height), "high")
        assert tokens <= 3000
        assert tokens > 2500 or height == 60


def test_a_model_that_is_not_known_gets_the_most_of_all() -> None:
    assert images.openai_rule("gpt-9") is None
    assert openai_image_max("gpt-9", "high") >= max(
        openai_image_max(model, detail) for model in MODELS for detail in ("low", "high", "auto")
    )


def test_a_name_that_goes_on_is_another_model() -> None:
    """Goal: a model of tomorrow is no model of today because its name begins like it."""
    unknown = openai_image_max("gpt-9", "auto")
    later = (
        "gpt-5.7",
        "gpt-5.7-sol",
        "gpt-5.10",
        "gpt-59",
        "gpt-60",
        "o10",
        "o3-vision",
        "gpt-6.2",
    )
    for name in (*later, "gpt-4-micro", "gpt-4oo", "gpt-4o-mini-2", "gpt-5-pico", "computer-use-2"):
        for prefix in ("", "openai/", "azure/", "azure/eu/", "ft:"):
            assert images.openai_rule(prefix + name) is None, name
            assert openai_image_max(prefix + name, "low") == unknown
    tuned = images.openai_rule("ft:gpt-4o-mini-2024-07-18:acme:app:id")
    assert tuned is not None
    assert tuned == images.openai_rule("azure/us/gpt-4o-mini")


def test_gemini() -> None:
    assert images.gemini_2_image(Size(384, 384), "") == (258, 258)
    assert images.gemini_2_image(Size(960, 540), "") == (258, 6 * 258)
    assert images.gemini_2_image(Size(4000, 3000), "low") == (64, 64)
    assert (
        images.GEMINI_RESOLUTIONS[""][0] == 1120
    )  # ai.google.dev/gemini-api/docs/media-resolution
    assert max(found[0] for found in images.GEMINI_RESOLUTIONS.values()) == images.GEMINI_IMAGE_MAX
