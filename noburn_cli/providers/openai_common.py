"""What OpenAI's APIs have in common: tiers, usage, parameters without a price, errors.

Layer: providers (sans-IO, standard library, Python 3.10).
Sources, all checked 2026-11-23: the parameter documentation in the openai Python SDK 3.54
(https://github.com/openai/openai-python), https://openai.com/api-fast-mode/,
https://developers.openai.com/api/docs/guides/prompt-caching.
"""

from __future__ import annotations

import json
from typing import Any

from noburn_cli.core.usage import (
    CACHE_READ,
    CACHE_WRITE_5M,
    INPUT,
    OUTPUT,
    REASONING,
)
from noburn_cli.providers.codec import Block, Settlement
from noburn_cli.providers.collect import Collector
from noburn_cli.providers.following import count_of, text_of
from noburn_cli.providers.jsonbody import compact, refused

#: Caching is implicit, so any input token may be read from or written to a cache; from GPT-5.6 on a
#: write costs more than input (1.25 times).  There is one price for writes: our 5-minute kind.
INPUT_KINDS = (INPUT, CACHE_READ, CACHE_WRITE_5M)

#: "Priority processing was renamed Fast mode on July 30, 2026": one price under two names.
_TIER_VARIANTS = {
    "auto": "standard",
    "default": "standard",
    "standard": "standard",
    "flex": "flex",
    "priority": "priority",
    "fast": "priority",
    "batch": "batch",
}

#: What a chat is documented to add: 3 a message and a token for its role, 1 a name, 3 for the
#: reply's start (OpenAI's cookbook, https://github.com/openai/openai-cookbook, notebook
#: `How_to_count_tokens_with_tiktoken`, section 6, read 2026-11-23: equal to the API's own count for
#: gpt-3.5-turbo, gpt-4, gpt-4o and gpt-4o-mini; newer models are taken to do the same).
FRAME_REPLY = 3
FRAME_MESSAGE = 3
FRAME_ROLE = 1
FRAME_NAME = 1
#: Where two parts of a message meet, another split of the text may win: docs/bounds.md.
FRAME_SEAM = 4

#: An upper bound for a request's frame; measured are 3 for the reply's start (FIELD §4).
OVERHEAD_REQUEST = 16
#: Measured are 3 a message and 1 a name; twice that leaves room for channels and recipients.
OVERHEAD_MESSAGE = 8
OVERHEAD_NAME = 2
#: Parts of one message are joined; a token across the seam may split in another way.  Most seen
#: are 3 (noburn_cli.core.bounds, SEAM_TOKENS).
OVERHEAD_PART = 4
#: A call's wrapper (recipient, channel, constraint, end) is some 8 to 10 tokens.
OVERHEAD_TOOL_CALL = 24
#: Functions are rendered as a TypeScript namespace: a header of about a dozen tokens, some 10 each,
#: beyond their JSON, whose bytes are counted as well.
OVERHEAD_TOOLS = 64
OVERHEAD_TOOL = 32
#: An output schema comes with a header line.
OVERHEAD_FORMAT = 64

_PER_CALL_FEE = ("-search-preview", "-search-api", "deep-research")


def request_variants(found: Collector, service_tier: object) -> tuple[str, ...]:
    """The price variant that a request asks for; unset means the project's default, `standard`."""
    if service_tier is None:
        return ("standard",)
    variant = _TIER_VARIANTS.get(service_tier) if isinstance(service_tier, str) else None
    if variant is None or variant == "batch":
        found.unbounded(f"the service tier {service_tier!r:.40} has no price in the book")
        return ("standard",)
    if variant == "flex":
        # "the response body will include the `service_tier` value based on the processing mode
        # actually used … may be different from the value set in the parameter" (openai Python SDK
        # 3.54): a request for flex may be served, and billed, as standard.
        return ("flex", "standard")
    return (variant,)


def served_variant(service_tier: object) -> str:
    """The price variant that an answer says was served."""
    if service_tier is None:
        return "standard"
    if not isinstance(service_tier, str):
        return "unknown"
    # Scale capacity is bought ahead; the call itself is never dearer than the standard tier.
    return _TIER_VARIANTS.get(service_tier, "standard" if service_tier == "scale" else service_tier)


def check_model(found: Collector, model: str) -> None:
    """Models that bill more than tokens, whatever the request says."""
    if any(part in model for part in _PER_CALL_FEE):
        found.unbounded(f"{model} bills a fee for each search it makes")


def check_shared(found: Collector, values: dict[str, Any]) -> None:
    """Parameters of chat and Responses alike that may cost something beside tokens."""
    moderation = values.get("moderation")
    if moderation is not None:
        name = moderation.get("model") if isinstance(moderation, dict) else None
        if not (isinstance(name, str) and name.startswith(("omni-moderation", "text-moderation"))):
            found.unbounded("moderation by a model that is not known to be free")
    options = values.get("prompt_cache_options")
    if isinstance(options, dict) and options.get("ttl") not in (None, "30m"):
        found.unbounded("cache writes for longer than 30 minutes have no price in the book")


def check_breakpoint(found: Collector, part: dict[str, Any]) -> None:
    """A content part's own cache lifetime."""
    mark = part.get("prompt_cache_breakpoint")
    if mark is not None and not (isinstance(mark, dict) and mark.get("ttl") in (None, "30m")):
        found.unbounded("cache writes for longer than 30 minutes have no price in the book")


def settlement_of(answer: dict[str, Any], *, inputs: str, outputs: str) -> Settlement | None:
    """What an answer's usage block says; None without one, or with one that cannot be right.

    inputs, outputs: how the API names them (`prompt` or `input`, `completion` or `output`).
    Cached tokens and cache writes are part of the input count, reasoning is part of the output.
    """
    usage = answer.get("usage")
    if not isinstance(usage, dict) or type(usage.get(f"{inputs}_tokens")) is not int:
        return None
    details = usage.get(f"{inputs}_tokens_details")
    thoughts = usage.get(f"{outputs}_tokens_details")
    total = count_of(usage, f"{inputs}_tokens")
    cached = count_of(details, "cached_tokens")
    written = count_of(details, "cache_write_tokens")
    output = count_of(usage, f"{outputs}_tokens")
    everything = count_of(usage, "total_tokens")
    reasoning = count_of(thoughts, "reasoning_tokens")
    if total is None or cached is None or written is None or output is None or reasoning is None:
        return None
    # xAI and Google leave thoughts out of the output count, and have them in the total alone
    # (litellm 1.109, `llms/xai/chat/transformation.py`; checked 2026-11-27).
    output = max(output, (everything or 0) - total)
    if count_of(details, "audio_tokens") or count_of(thoughts, "audio_tokens"):
        return None  # Audio tokens cost more than text; the hold stays until somebody knows.
    cached = min(cached, total)
    # The count of writes is documented as unadjusted: it may include what was read.
    written = min(written, total - cached)
    counts = {
        INPUT: total - cached - written,
        CACHE_READ: cached,
        CACHE_WRITE_5M: written,
        OUTPUT: output,
        REASONING: reasoning,
    }
    return Settlement(
        usage={kind: count for kind, count in counts.items() if count},
        variant=served_variant(answer.get("service_tier")),
        served_model=text_of(answer.get("model")),
        provider_id=text_of(answer.get("id")),
    )


def block(*, message: str, code: str, status: int) -> Block:
    """An error as OpenAI words it (https://developers.openai.com/api/docs/guides/error-codes)."""
    error = {"message": message, "type": "budget_exceeded", "param": None, "code": code}
    return json_block({"error": error}, status=status)


def json_block(value: object, *, status: int) -> Block:
    """An answer that every SDK tried raises at once: no Retry-After, and told not to retry."""
    body = compact(value).encode("utf-8", "replace")
    headers = (
        ("content-type", "application/json"),
        ("content-length", str(len(body))),
        ("x-should-retry", "false"),
    )
    return Block(status, headers, body)


def parse_input_tokens(body: bytes) -> int:
    """`input_tokens` of a count endpoint's answer, OpenAI's and Anthropic's alike."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise refused("the provider's count is not JSON") from error
    count = answer.get("input_tokens") if isinstance(answer, dict) else None
    if type(count) is not int or count < 0:
        raise refused("the provider's count names no input tokens")
    return count
