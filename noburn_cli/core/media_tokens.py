"""How many tokens are expected of the images, documents and recordings in a request.

Layer: core (pure).  Below: core.media, core.image_tokens, core.image_headers, core.media_lengths.
Above: estimating.  Not a bound: a file's own header is believed here, and no bound believes it.

`sure` is said only of formulas that the provider publishes and that were checked against measured
values (docs/media.md): OpenAI's and Claude's images of a known size.

Sources, read 2026-11-27.  Claude's documents: 1,500 to 3,000 tokens a page (https://platform.claude
.com/docs/en/build-with-claude/pdf-support); measured 2,347 on Claude 5.5, 2,780 on Sonnet 4.6 and
3,182 on Opus 4.8 for a page of text.  Gemini: 32 tokens a second of sound
(https://ai.google.dev/gemini-api/docs/tokens), a frame a second of video, 258 or 560 tokens a page
(measured 561).  OpenAI: a page's text and an image of it
(https://developers.openai.com/api/docs/guides/file-inputs); sound takes a token per 100 ms
(https://developers.openai.com/api/docs/guides/realtime-costs).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from noburn_cli.core import image_tokens as images
from noburn_cli.core.image_headers import Size, image_size
from noburn_cli.core.media import AUDIO, IMAGE, PDF, Media
from noburn_cli.core.media_lengths import pdf_pages, recording_ms
from noburn_cli.core.offline_counts import CLAUDE_3, family_of
from noburn_cli.core.openai_names import OPENAI_MODEL

#: A page as a picture: Letter and A4 at 150 dots an inch lie within.
_PAGE = Size(1_275, 1_754)
#: Tokens of a page's text: none on a scan, a dense page of small print at most.
_PAGE_TEXT = 1_500
_CLAUDE_PAGE = (1_500, 3_200)
#: Two tags around an image: measured are 0 to 4 tokens beside the message's own frame.
_CLAUDE_AROUND = 4
_GEMINI_AUDIO_PER_S = 32
#: Marks of time beside each second of video: 263 tokens a second are documented for Gemini 2, of
#: which 258 are the frame's and 32 would be the sound's if there is any.
_GEMINI_VIDEO_AROUND = 8
_OPENAI_MS_PER_TOKEN = 100


class Expected(NamedTuple):
    """Tokens from `low` to `high`, of which `audio` (least and most) are billed as sound.

    sure: the provider's own formula for a known size, checked against measured values.
    """

    low: int
    high: int
    sure: bool = False
    audio: tuple[int, int] = (0, 0)


def media_tokens(media: Sequence[Media], *, tokenizer: str, model: str) -> Expected | None:
    """What is expected of all media together; None where nothing can be said of one of them.

    tokenizer, model: as the price book has them.
    """
    low = high = least = most = 0
    sure = True
    for one in media:
        found = _one(one, tokenizer, model)
        if found is None:
            return None
        low, high = low + found.low, high + found.high
        least, most = least + found.audio[0], most + found.audio[1]
        sure = sure and found.sure
    return Expected(low, high, sure, (least, most))


def _one(media: Media, tokenizer: str, model: str) -> Expected | None:
    if tokenizer == "claude":
        return _claude(media, model)
    if tokenizer == "gemini":
        return _gemini(media, model)
    return _openai(media, model) if OPENAI_MODEL.match(model) else None


def _claude(media: Media, model: str) -> Expected | None:
    old = family_of("claude", model) == CLAUDE_3
    side, most = images.CLAUDE_STANDARD if old else images.CLAUDE_HIGH
    if media.kind == IMAGE:
        size = image_size(media.content())
        if size is None:
            return Expected(1, most + _CLAUDE_AROUND)
        tokens = images.claude_image(size, side=side, tokens=most)
        return Expected(tokens, tokens + _CLAUDE_AROUND, sure=True)
    pages = pdf_pages(media.content()) if media.kind == PDF else None
    if pages is None:
        return None
    return Expected(pages * _CLAUDE_PAGE[0], pages * _CLAUDE_PAGE[1])


def _openai(media: Media, model: str) -> Expected | None:
    if media.kind == AUDIO:
        length = recording_ms(media.content())
        if length is None:
            return None
        tokens = -(-length // _OPENAI_MS_PER_TOKEN)
        return Expected(tokens, tokens, audio=(tokens, tokens))
    rule = images.openai_rule(model)
    if rule is None:
        return None
    if media.kind == IMAGE:
        size = image_size(media.content())
        if size is None:
            return Expected(rule.tokens(Size(1, 1), media.detail), rule.most(media.detail))
        tokens = rule.tokens(size, media.detail)
        return Expected(tokens, tokens, rule.sure)
    pages = pdf_pages(media.content()) if media.kind == PDF else None
    if pages is None:
        return None
    low = rule.tokens(Size(512, 704), images.LOW)
    high = rule.tokens(_PAGE, images.HIGH) + _PAGE_TEXT
    return Expected(pages * min(low, high), pages * high)


def _gemini(media: Media, model: str) -> Expected | None:
    second = "gemini-2" in model
    name = media.detail.lower().removeprefix("media_resolution_")
    resolution = name if name in images.GEMINI_RESOLUTIONS else ""
    of_image, of_page, of_frame = images.GEMINI_RESOLUTIONS[resolution]
    if media.kind == IMAGE:
        if not second:
            return Expected(of_image, of_image)
        size = image_size(media.content())
        if size is None:
            return Expected(images.GEMINI_2_TILE, images.GEMINI_2_TILE * 16)
        return Expected(*images.gemini_2_image(size, resolution))
    if media.kind == PDF:
        pages = pdf_pages(media.content())
        per_page = images.GEMINI_2_TILE if second else of_page
        return None if pages is None else Expected(pages * per_page, pages * (per_page + 1))
    length = recording_ms(media.content())
    if length is None:
        return None
    seconds = -(-length // 1000)
    sound = seconds * _GEMINI_AUDIO_PER_S
    if media.kind == AUDIO:
        return Expected(sound, sound, audio=(sound, sound))
    frame = images.GEMINI_2_TILE if second else of_frame
    # A video may have no sound.
    seen = seconds * frame
    return Expected(seen, seen + sound + seconds * _GEMINI_VIDEO_AROUND, audio=(0, sound))
