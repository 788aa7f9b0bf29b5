"""What OpenAI's APIs have in common: tiers, usage, parameters without a price, errors.

Layer: providers (sans-IO, standard library, Python 3.10).
Sources, all checked 2026-11-23: the parameter documentation in the openai Python SDK 3.54
(https://github.com/openai/openai-python), https://openai.com/api-fast-mode/,
https://developers.openai.com/api/docs/guides/prompt-caching.
"""

from __future__ import annotations

import json
import re
from typing import Any

from noburn_cli.core.media import AUDIO, IMAGE, PDF, Media, data_of
from noburn_cli.core.usage import (
    AUDIO_CACHE_READ,
    AUDIO_INPUT,
    AUDIO_OUTPUT,
    CACHE_READ,
    CACHE_WRITE_1H,
    CACHE_WRITE_5M,
    INPUT,
    OUTPUT,
    REASONING,
)
from noburn_cli.providers.codec import Block, CountRequest, Settlement
from noburn_cli.providers.collect import Collector
from noburn_cli.providers.following import count_of, text_of
from noburn_cli.providers.jsonbody import compact, refused
from noburn_cli.providers.renaming import Addressed, in_body, in_body_if_there, in_path

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
    "ultrafast": "ultrafast",
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

#: An upper bound for a request's frame; measured are 3 for the reply's start (as FRAME_REPLY).
OVERHEAD_REQUEST = 16
#: Measured are 3 a message and 1 a name; twice that leaves room for channels and recipients.
OVERHEAD_MESSAGE = 8
OVERHEAD_NAME = 2
#: Parts of one message are joined.  What another split at the seam adds to an exact count, and it
#: can be much, is not here but in noburn_cli.core.seams; a bound by bytes covers it.
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


def image(found: Collector, address: object, detail: object) -> None:
    """An image in the input.  address: a data URL, or where it is.  detail: the request's word."""
    found.image(Media(IMAGE, data_of(address), detail if isinstance(detail, str) else ""))


def document(found: Collector, data: object, name: object) -> None:
    """A file in the input, which the provider reads: a PDF by its text and pages."""
    reason = "a file, whose text only the provider extracts"
    packed = data if isinstance(data, str) else ""
    named = isinstance(name, str) and name.lower().endswith(".pdf")
    if packed and (named or "application/pdf" in packed[:64] or packed.startswith("JVBERi")):
        found.media(Media(PDF, packed), window=reason)
    else:
        found.window(reason)


def sound(found: Collector, data: object) -> None:
    """Audio in the input."""
    found.audio = True
    packed = data if isinstance(data, str) else ""
    found.media(Media(AUDIO, packed), window="audio, whose length only the provider measures")


def request_variants(found: Collector, service_tier: object) -> tuple[str, ...]:
    """The price variant that a request asks for; unset means the project's default, `standard`."""
    if service_tier is None:
        return ("standard",)
    variant = _TIER_VARIANTS.get(service_tier) if isinstance(service_tier, str) else None
    if variant is None or variant == "batch":
        found.unbounded(
            f"the service tier {service_tier!r:.40} has no price in the book", "service_tier"
        )
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
        found.unbounded(f"{model} bills a fee for each search it makes", "web_search", told=False)


def check_shared(found: Collector, values: dict[str, Any]) -> None:
    """Parameters of chat and Responses alike that may cost something beside tokens."""
    moderation = values.get("moderation")
    if moderation is not None:
        name = moderation.get("model") if isinstance(moderation, dict) else None
        if not (isinstance(name, str) and name.startswith(("omni-moderation", "text-moderation"))):
            found.unbounded("moderation by a model that is not known to be free", "moderation")
    _check_lifetime(found, values.get("prompt_cache_options"))


def check_breakpoint(found: Collector, part: dict[str, Any]) -> None:
    """A content part's own cache lifetime."""
    _check_lifetime(found, part.get("prompt_cache_breakpoint"))


def _check_lifetime(found: Collector, options: object) -> None:
    """`30m` is the book's short lifetime, `12h` its long one."""
    if options is None:
        return
    ttl = options.get("ttl") if isinstance(options, dict) else options
    if ttl == "12h":
        found.long_cache = True
    elif ttl not in (None, "30m"):
        found.unbounded(f"cache writes for {ttl!r:.40} have no price in the book", "cache_lifetime")


def input_kinds(found: Collector) -> tuple[str, ...]:
    """As what the input may be billed: audio and long-lived cache writes only where asked for."""
    kinds = (*INPUT_KINDS, CACHE_WRITE_1H) if found.long_cache else INPUT_KINDS
    return (*kinds, AUDIO_INPUT, AUDIO_CACHE_READ) if found.audio else kinds


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
    output = count_of(usage, f"{outputs}_tokens")
    everything = count_of(usage, "total_tokens")
    reasoning = count_of(thoughts, "reasoning_tokens")
    heard = count_of(details, "audio_tokens")
    spoken = count_of(thoughts, "audio_tokens")
    written = _written(details)
    cached = count_of(details, "cached_tokens")
    if total is None or output is None or reasoning is None or written is None:
        return None
    # xAI and Google leave thoughts out of the output count, and have them in the total alone
    # (litellm 1.109, `llms/xai/chat/transformation.py`; checked 2026-11-27).
    output = max(output, (everything or 0) - total)
    if heard is None or spoken is None or cached is None or heard > total or spoken > output:
        return None
    if heard and cached:
        return None  # Which of them came from the cache is not told.
    cached = min(cached, total - heard)
    # The count of writes is documented as unadjusted: it may include what was read.
    left = total - heard - cached
    for_12h = min(written[1], left)
    for_30m = min(written[0], left - for_12h)
    counts = {
        INPUT: left - for_12h - for_30m,
        CACHE_READ: cached,
        CACHE_WRITE_5M: for_30m,
        CACHE_WRITE_1H: for_12h,
        OUTPUT: output - spoken,
        REASONING: reasoning,
        AUDIO_INPUT: heard,
        AUDIO_OUTPUT: spoken,
    }
    return Settlement(
        usage={kind: count for kind, count in counts.items() if count},
        variant=served_variant(answer.get("service_tier")),
        served_model=text_of(answer.get("model")),
        provider_id=text_of(answer.get("id")),
    )


def _written(details: object) -> tuple[int, int] | None:
    """Tokens written to the cache for 30 minutes and for 12 hours; None when they are no counts.

    The total is the truth; what the breakdown does not place was written for the short time.
    """
    total = count_of(details, "cache_write_tokens")
    by_lifetime = details.get("cache_write_tokens_details") if isinstance(details, dict) else None
    for_12h = count_of(by_lifetime, "ttl_12h_tokens")
    for_30m = count_of(by_lifetime, "ttl_30m_tokens")
    if total is None or for_12h is None or for_30m is None:
        return None
    return max(total - for_12h, for_30m), for_12h


class OpenAIErrors:
    """Errors as OpenAI words them (https://developers.openai.com/api/docs/guides/error-codes)."""

    def block(self, *, message: str, code: str, status: int = 402) -> Block:
        kind = "budget_exceeded" if status == 402 else "invalid_request_error"
        kind = "server_error" if status >= 500 else kind
        error = {"message": message, "type": kind, "param": None, "code": code}
        return json_block({"error": error}, status=status)

    def rate_limit(self, *, message: str, unit: str, retry_after_ms: int) -> Block:
        kind = "tokens" if unit == "tokens" else "requests"
        error = {"message": message, "type": kind, "param": None, "code": "rate_limit_exceeded"}
        return rate_limit({"error": error}, retry_after_ms=retry_after_ms)


def json_block(value: object, *, status: int) -> Block:
    """An answer that every SDK tried raises at once: no Retry-After, and told not to retry."""
    return _answer(value, status, ("x-should-retry", "false"))


def rate_limit(value: object, *, retry_after_ms: int) -> Block:
    """An answer after which SDKs wait as long as it says, and try again by themselves.

    The seconds are for everybody; the SDKs of OpenAI and Anthropic read the milliseconds first
    (`_base_client.py` of openai 3.57 and anthropic 2.14, checked 2026-11-27).
    """
    return _answer(
        value, 429,
        ("retry-after", str(-(-retry_after_ms // 1000))),
        ("retry-after-ms", str(retry_after_ms)),
        ("x-should-retry", "true"),
    )  # fmt: skip


def _answer(value: object, status: int, *further: tuple[str, str]) -> Block:
    body = compact(value).encode("utf-8", "replace")
    headers = (
        ("content-type", "application/json"),
        ("content-length", str(len(body))),
        *further,
    )
    return Block(status, headers, body)


#: Azure's older paths name the deployment.
_DEPLOYMENT = re.compile(r"/deployments/(?P<model>[^/]+)/")


def with_model(url: str, body: bytes, model: str, *, in_url: bool) -> Addressed:
    """A request for another model.  in_url: the URL names it, and the body need not (Azure)."""
    if in_url:
        return Addressed(in_path(url, _DEPLOYMENT, model), in_body_if_there(body, model))
    return Addressed(url, in_body(body, model))


class Uncounted:
    """The part of a codec whose provider has no free count of its requests."""

    def count_request(self, body: bytes) -> CountRequest | None:  # noqa: ARG002
        return None

    def parse_count(self, body: bytes) -> int:
        return parse_input_tokens(body)


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
