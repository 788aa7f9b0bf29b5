"""What a call used, by the kinds that providers bill.

Layer: core (pure, standard library, Python 3.10).  Below: nothing.  Above: everything.
Owns: the list of kinds.  Not here: what a kind costs (core.pricebook).

The kinds are disjoint: a token is billed as exactly one of them.  A cached input token is
`cache_read` and not also `input`, an audio token `audio_input` and neither.  `reasoning` is the one
exception: it tells how many of the `output` tokens nobody saw, and is never priced on its own.

Most calls use the kinds of text alone.  The further ones (EXTRA_KINDS) are rare: tokens of audio
and images, where they have rates of their own, and fees that are counted in units.
"""

from __future__ import annotations

from collections.abc import Mapping

INPUT = "input"
CACHE_READ = "cache_read"
CACHE_WRITE_5M = "cache_write_5m"
CACHE_WRITE_1H = "cache_write_1h"
OUTPUT = "output"
REASONING = "reasoning"

#: Kinds that carry a price, each counted in tokens.
PRICED_KINDS = (INPUT, CACHE_READ, CACHE_WRITE_5M, CACHE_WRITE_1H, OUTPUT)
#: Kinds that fill the context window; tiers are decided by their sum.
INPUT_KINDS = (INPUT, CACHE_READ, CACHE_WRITE_5M, CACHE_WRITE_1H)
KINDS = (*PRICED_KINDS, REASONING)

AUDIO_INPUT = "audio_input"
AUDIO_CACHE_READ = "audio_cache_read"
AUDIO_OUTPUT = "audio_output"
IMAGE_INPUT = "image_input"
IMAGE_CACHE_READ = "image_cache_read"
IMAGE_OUTPUT = "image_output"
#: Further tokens that go in and fill the context window, and those that come out.
EXTRA_INPUT_KINDS = (AUDIO_INPUT, AUDIO_CACHE_READ, IMAGE_INPUT, IMAGE_CACHE_READ)
EXTRA_OUTPUT_KINDS = (AUDIO_OUTPUT, IMAGE_OUTPUT)
EXTRA_TOKEN_KINDS = (*EXTRA_INPUT_KINDS, *EXTRA_OUTPUT_KINDS)

WEB_SEARCH = "web_search"
#: OpenAI's older search tool, at another price for models that do not reason.
WEB_SEARCH_PREVIEW = "web_search_preview"
FILE_SEARCH = "file_search"
CHARACTERS = "characters"
AUDIO_SECONDS = "audio_seconds"
#: Fees by units that are no tokens: searches, characters spoken, seconds of audio transcribed.
FEE_KINDS = (WEB_SEARCH, WEB_SEARCH_PREVIEW, FILE_SEARCH, CHARACTERS, AUDIO_SECONDS)
EXTRA_KINDS = (*EXTRA_TOKEN_KINDS, *FEE_KINDS)

#: What a kind of fee is called in prices: its key there, and how many units the price is for.
FEE_PRICES: Mapping[str, tuple[str, int]] = {
    WEB_SEARCH: ("web_search_per_1k", 1_000),
    WEB_SEARCH_PREVIEW: ("web_search_preview_per_1k", 1_000),
    FILE_SEARCH: ("file_search_per_1k", 1_000),
    CHARACTERS: ("characters_per_1m", 1_000_000),
    AUDIO_SECONDS: ("audio_per_hour", 3_600),
}

#: Counts by kind, each >= 0; a missing kind is 0.
Usage = Mapping[str, int]


def input_total(usage: Usage) -> int:
    """All tokens that went in, cached or not, of text or anything else."""
    return sum(usage.get(kind, 0) for kind in (*INPUT_KINDS, *EXTRA_INPUT_KINDS))


def billed_total(usage: Usage) -> int:
    """All billed tokens, in and out; what a token budget counts."""
    out = sum(usage.get(kind, 0) for kind in (OUTPUT, *EXTRA_OUTPUT_KINDS))
    return input_total(usage) + out


def split(usage: Usage) -> tuple[dict[str, int], dict[str, int]]:
    """(counts of the kinds of text, counts of the further kinds), as the daemon is told them."""
    extra = {kind: count for kind, count in usage.items() if kind in EXTRA_KINDS}
    return {kind: count for kind, count in usage.items() if kind not in extra}, extra


def checked(usage: Mapping[str, object]) -> dict[str, int]:
    """Return `usage` as whole non-negative counts of known kinds, zeros left out.

    Raises ValueError naming the first kind that is unknown or not a count.
    """
    counts: dict[str, int] = {}
    for kind, count in usage.items():
        if kind not in KINDS and kind not in EXTRA_KINDS:
            raise ValueError(f"unknown kind of usage {kind!r}")
        if type(count) is not int or count < 0:
            raise ValueError(f"{kind} is not a whole number: {count!r}")
        if count:
            counts[kind] = count
    return counts
