"""How many tokens an image takes, by each provider's own formula.

Layer: core (pure, standard library, Python 3.10: the most of an image travels into guests).
Below: core.image_headers.  Above: the codecs (the most), core.media_tokens (what is expected).

Sources, read 2026-11-27.  OpenAI: "Model sizing behavior" and "Calculating costs" in
https://developers.openai.com/api/docs/guides/images-vision.  Anthropic:
https://platform.claude.com/docs/en/build-with-claude/vision, with the reference resizing of its
page on coordinates.  Google: https://ai.google.dev/gemini-api/docs/media-resolution.
docs/media.md has the measured values that these are checked against.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from noburn_cli.core.image_headers import Size
from noburn_cli.core.openai_names import OPENAI_MODEL, bare

LOW, HIGH, ORIGINAL, AUTO = "low", "high", "original", "auto"
_PATCH = 32
#: "If that count exceeds 30,000 patches, the API rejects the request."
_PATCHES_MAX = 30_000


@dataclass(frozen=True)
class Limit:
    """What an image is scaled down to: pixels a side, and patches."""

    side: int
    patches: int


@dataclass(frozen=True)
class Patches:
    """Models that cover an image with patches of 32 pixels.

    per_mille: tokens a patch, in thousandths.
    limits: by detail; a detail that is not there counts as `default`.
    """

    per_mille: int
    limits: Mapping[str, Limit]
    default: str
    sure: bool = True

    def tokens(self, size: Size, detail: str) -> int:
        limit = self._limit(detail)
        width, height = _fit_side(size, limit.side)
        if _patches(width, height) > limit.patches:
            width, height = _fit_patches(width, height, limit.patches)
        return self._billed(min(_patches(width, height), limit.patches))

    def most(self, detail: str) -> int:
        limit = self._limit(detail)
        whole = math.ceil(limit.side / _PATCH) ** 2
        # "Floating-point rounding in billing can make the final count differ … by one token."
        return self._billed(min(whole, limit.patches)) + 1

    def _limit(self, detail: str) -> Limit:
        return self.limits.get(detail) or self.limits[self.default]

    def _billed(self, patches: int) -> int:
        return -(-patches * self.per_mille // 1000)


@dataclass(frozen=True)
class Tiles:
    """Models that cut an image into tiles of 512 pixels, after scaling it into 2,048 by 768."""

    base: int
    tile: int
    sure: bool = field(default=True)

    def tokens(self, size: Size, detail: str) -> int:
        if detail == LOW:
            return self.base
        width, height = _fit_side(size, 2048)
        short = min(width, height)
        if short > 768:
            width, height = width * 768 // short, height * 768 // short
        return self.base + self.tile * math.ceil(width / 512) * math.ceil(height / 512)

    def most(self, detail: str) -> int:
        return self.base if detail == LOW else self.base + 8 * self.tile


Rule = Patches | Tiles

_FROM_56 = {LOW: Limit(512, 256), HIGH: Limit(2048, 2_500), ORIGINAL: Limit(65_535, _PATCHES_MAX)}
_OF_55 = {LOW: Limit(512, 256), HIGH: Limit(2048, 2_500), ORIGINAL: Limit(6000, 10_000)}
_OF_54 = {LOW: Limit(2048, 6_144), HIGH: Limit(2048, 2_500), ORIGINAL: Limit(6000, 10_000)}
_ONE = {HIGH: Limit(2048, 6_144)}
#: Whole names, beside a day and a fine-tune's own part: a model that comes later is none of them,
#: whatever its name begins with.  `sure` is false where the guide has no line for the model: GPT-6
#: is taken to be as GPT-5.6 (whose limit of 30,000 patches it was seen to have), the Codex and
#: other variants as their family, models on their way out as the guide had them before (1,536
#: patches).  (Patterns are compiled when the first image comes: guests should not wait for them.)
_RULES: tuple[tuple[str, Rule], ...] = (
    (r"gpt-5\.6(-(sol|terra|luna))?", Patches(1200, _FROM_56, ORIGINAL)),
    (r"gpt-6(\.1)?(-(astra|sol|terra|luna))?", Patches(1200, _FROM_56, ORIGINAL, sure=False)),
    (r"gpt-5\.5(-(pro|chat|chat-latest|codex))?", Patches(1200, _OF_55, ORIGINAL)),
    (r"gpt-5\.4(-(pro|mini|nano))?", Patches(1200, _OF_54, HIGH)),
    (r"gpt-5\.2(-pro)?", Patches(1200, _ONE, HIGH)),
    (
        r"gpt-5\.[23]-(chat|chat-latest|codex)|gpt-5(\.1)?-codex(-max)?",
        Patches(1200, _ONE, HIGH, sure=False),
    ),
    (
        r"gpt-5(\.1)?(-codex)?-mini",
        Patches(1620, {HIGH: Limit(2048, 1_536)}, HIGH, sure=False),
    ),
    (r"gpt-5-nano", Patches(2460, {HIGH: Limit(2048, 1_536)}, HIGH, sure=False)),
    (r"gpt-4\.1-mini", Patches(1620, _ONE, HIGH)),
    (r"gpt-4\.1-nano", Patches(2460, {HIGH: Limit(2048, 1_536)}, HIGH, sure=False)),
    (r"o4-mini", Patches(1720, {HIGH: Limit(2048, 1_536)}, HIGH, sure=False)),
    (r"gpt-5(\.1)?(-(chat|chat-latest))?|gpt-5-pro", Tiles(70, 140)),
    (r"gpt-4o-mini", Tiles(2833, 5667)),
    (r"gpt-4(\.1|\.5-preview|o)|chatgpt-4o-latest", Tiles(85, 170)),
    (r"gpt-4(-32k|-turbo)?(-\d{4})?(-vision)?(-preview)?", Tiles(85, 170)),
    (r"o[13](-pro)?", Tiles(75, 150)),
    (r"computer-use-preview", Tiles(65, 129)),
)
_DAY_AND_TUNE = r"(-20\d\d-\d\d-\d\d)?(:.*)?"
#: Any other model of OpenAI's: the most patches that the API takes, at the most a patch has cost.
_UNKNOWN = Patches(2460, {ORIGINAL: Limit(65_535, _PATCHES_MAX)}, ORIGINAL, sure=False)
#: Where two editions of the guide differ, the bound keeps to the dearer one: 6,144 patches.
_UNSURE_PATCHES = 6_144


def openai_rule(model: str) -> Rule | None:
    """How a model of OpenAI's counts images; None where the guide does not have it."""
    name = bare(model)
    return next(
        (rule for pattern, rule in _RULES if re.fullmatch(f"({pattern}){_DAY_AND_TUNE}", name)),
        None,
    )


def image_max(model: str, detail: str, *, aliases: Iterable[str] = ()) -> int | None:
    """The most tokens of an image, tags around it included; None where only the window bounds it.

    model: that will be billed, as the price book names it.  detail: as the request has it.
    aliases: other names that may be meant by it; the guide may count images in another way there.
    """
    if OPENAI_MODEL.match(model):
        return max(openai_image_max(name, detail) for name in (model, *aliases))
    if _CLAUDE.search(model):
        return CLAUDE_IMAGE_MAX
    return GEMINI_IMAGE_MAX if _GEMINI.search(model) else None


def openai_image_max(model: str, detail: str) -> int:
    """The most tokens that an image takes on one of OpenAI's models, whatever its size.

    detail: the request's own word; anything but `low`, `high` and `original` is `auto`.
    """
    rule = openai_rule(model) or _UNKNOWN
    most = rule.most(detail)
    if isinstance(rule, Patches) and not rule.sure:
        unsure = -(-_UNSURE_PATCHES * rule.per_mille // 1000) + 1
        most = max(most, unsure)
    return most


def _patches(width: int, height: int) -> int:
    return math.ceil(width / _PATCH) * math.ceil(height / _PATCH)


def _fit_side(size: Size, side: int) -> tuple[int, int]:
    """Scaled down, keeping its shape, until no side is longer."""
    longest = max(size)
    if longest <= side:
        return size
    return max(1, round(size.width * side / longest)), max(1, round(size.height * side / longest))


def _fit_patches(width: int, height: int, budget: int) -> tuple[int, int]:
    """Scaled down into a budget of patches, word by word as the guide has it."""
    shrink = math.sqrt(_PATCH**2 * budget / (width * height))
    across, down = width * shrink / _PATCH, height * shrink / _PATCH
    if across < 1 or down < 1:  # A strip thinner than a patch: one row of them.
        return min(width, _PATCH * budget), min(height, _PATCH * budget)
    shrink *= min(math.floor(across) / across, math.floor(down) / down)
    # Full precision until here; the nudge keeps 1,599.9999 at 1,600.
    return max(1, int(width * shrink + 1e-6)), max(1, int(height * shrink + 1e-6))


#: (pixels a side, tokens): until Claude 4.6, and from 4.7 on.
CLAUDE_STANDARD = (1_568, 1_568)
CLAUDE_HIGH = (2_576, 4_784)
#: No image takes more, whatever its size, with 16 for the tags around it.
CLAUDE_IMAGE_MAX = 4_784 + 16
_CLAUDE = re.compile(r"(^|[/.])claude-")
_CLAUDE_PATCH = 28


def claude_image(size: Size, *, side: int, tokens: int) -> int:
    """Tokens of an image on Claude: one for each patch of 28 pixels, after scaling."""

    def fits(width: int, height: int) -> bool:
        across, down = math.ceil(width / _CLAUDE_PATCH), math.ceil(height / _CLAUDE_PATCH)
        return max(across, down) * _CLAUDE_PATCH <= side and across * down <= tokens

    long, short = max(size), min(size)
    if not fits(long, short):
        low, high = 1, long  # `low` fits, `high` does not.
        while low + 1 < high:
            middle = (low + high) // 2
            if fits(middle, max(1, round(middle * short / long))):
                low = middle
            else:
                high = middle
        long, short = low, max(1, round(low * short / long))
    return math.ceil(long / _CLAUDE_PATCH) * math.ceil(short / _CLAUDE_PATCH)


#: Gemini 3 and 4: tokens of an image, a PDF's page and a video's frame, by resolution.
GEMINI_RESOLUTIONS: Mapping[str, tuple[int, int, int]] = {
    "": (1_120, 560, 70),
    "low": (280, 280, 70),
    "medium": (560, 560, 70),
    "high": (1_120, 1_120, 280),
    "ultra_high": (2_240, 2_240, 280),
}
#: Part-by-part resolution "ultra high": the most of the versions that have resolutions.
GEMINI_IMAGE_MAX = 2_240
_GEMINI = re.compile(r"(^|/)gemini-[34](\.|-)")
#: Gemini 2: tokens of a tile, of a page, of a frame.
GEMINI_2_TILE = 258
_GEMINI_2_SMALL = 384
_GEMINI_2_LOW = 64


def gemini_2_image(size: Size, resolution: str) -> tuple[int, int]:
    """The least and the most of an image on Gemini 2: one tile, or one for each crop of 768 pixels.

    The guide says that larger images are "cropped and scaled as needed into tiles of 768x768
    pixels", not how; the crop is taken to be two thirds of the shorter side.
    """
    if resolution == "low":
        return _GEMINI_2_LOW, _GEMINI_2_LOW
    if max(size) <= _GEMINI_2_SMALL:
        return GEMINI_2_TILE, GEMINI_2_TILE
    crop = min(max(256, min(size) * 2 // 3), 768)
    tiles = math.ceil(size.width / crop) * math.ceil(size.height / crop)
    return GEMINI_2_TILE, GEMINI_2_TILE * tiles
