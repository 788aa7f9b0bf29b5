"""The words for how and where a call is processed, which decide its price.

Layer: core (pure, standard library, Python 3.10).  Below: nothing.  Above: everything.
A call in a region that costs more has the region behind its variant, `standard@eu`: one word that
frames, ledgers and reports carry like any other.  Not here: what it costs (core.models, core.cost).
"""

from __future__ import annotations

#: `fast` is Anthropic's faster mode (`speed: fast`); OpenAI's `service_tier: fast` is another word
#: for its `priority`, and `ultrafast` a tier of its own above that.
STANDARD = "standard"
VARIANTS = (STANDARD, "batch", "flex", "priority", "fast", "ultrafast")
#: Where Anthropic may process a request that names no geography, at a price of its own: a workspace
#: can have "us" as its default (`default_inference_geo`), which no request shows
#: (https://platform.claude.com/docs/en/manage-claude/data-residency, checked 2026-11-27).
UNTOLD_GEO = "us"
_AT = "@"
_MAYBE = "?"


def with_region(variant: str, region: str) -> str:
    """The word for a variant in a region; a variant that has one already keeps it."""
    return f"{variant}{_AT}{region}" if region and _AT not in variant else variant


def without_region(variant: str) -> tuple[str, str]:
    """(variant, region) of such a word; no region is ""."""
    plain, _, region = variant.partition(_AT)
    return plain, region


def words_of(variant: str) -> str:
    """The word as people read it: `standard in region us`."""
    plain, region = without_region(variant)
    return f"{plain} in region {region}" if region else plain


def maybe_in(variant: str, region: str) -> str:
    """The word, in requests alone, for a variant whose region the request does not tell.

    `standard@us?`: held at the region's price where the model has one.  No bill names it.
    """
    return f"{with_region(variant, region)}{_MAYBE}"


def certain(variant: str) -> tuple[str, bool]:
    """(the variant, whether the request itself is sure of it)."""
    plain = variant.removesuffix(_MAYBE)
    return plain, plain == variant


def order_of(variant: str) -> tuple[int, str]:
    """Where rows of a variant stand in a book: the plain ones first, then region by region."""
    plain, region = without_region(variant)
    return VARIANTS.index(plain), region
