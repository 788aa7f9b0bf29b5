"""What a Gemini answer says it used, in one piece or as a stream.

Layer: providers (sans-IO, standard library, Python 3.10).  Below: providers.following.
Source: `usageMetadata` in https://ai.google.dev/api/generate-content and google-genai 3.6.1
(checked 2026-11-27): `promptTokenCount` includes what was cached, `candidatesTokenCount` leaves
thoughts out, `totalTokenCount` is the sum of prompt, candidates, tool use and thoughts.
"""

from __future__ import annotations

import json
from typing import Any

from noburn_cli.core.usage import (
    AUDIO_CACHE_READ,
    AUDIO_INPUT,
    AUDIO_OUTPUT,
    CACHE_READ,
    IMAGE_OUTPUT,
    INPUT,
    OUTPUT,
    REASONING,
)
from noburn_cli.providers.codec import Settlement
from noburn_cli.providers.following import Following, count_of, event_object, text_of
from noburn_cli.providers.sse import Event

_IMPOSSIBLE = 10**18
_TIERS = {
    "": "standard",
    "standard": "standard",
    "unspecified": "standard",
    "default": "standard",
    "flex": "flex",
    "priority": "priority",
    "batch": "batch",
}


def settlement_of(body: bytes) -> Settlement | None:
    """The usage of a complete answer: an object, or the array that a stream can come as."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    chunks = value if isinstance(value, list) else [value]
    if not chunks or not all(isinstance(chunk, dict) for chunk in chunks):
        return None
    progress = _Progress()
    for chunk in chunks:
        progress.look(chunk)
    # One object is the whole answer, whatever its candidates say.
    return progress.latest if progress.ended or not isinstance(value, list) else None


class GeminiStream(Following):
    """Every chunk tells the usage so far; the one that ends the last candidate has it all."""

    def __init__(self, *, strip_usage: bool) -> None:
        super().__init__(strip_usage=strip_usage)
        self._progress = _Progress()

    def look(self, event: Event) -> bool:
        # An error comes as bare lines of JSON, which are no fields of an event.
        if not event.data:
            self.failed = self.failed or b'"error"' in event.raw
            return False
        chunk = event_object(event)
        if chunk is None:
            return False
        if chunk.get("error"):
            self.failed = True
        self._progress.look(chunk)
        self.ended = self._progress.ended
        if self.ended:
            self.settlement = self._progress.latest
        return False


class _Progress:
    """The candidates that have begun and ended, and the latest usage."""

    def __init__(self) -> None:
        self.latest: Settlement | None = None
        self.ended = False
        self._open: set[int] = set()
        self._finished: set[int] = set()

    def look(self, chunk: dict[str, Any]) -> None:
        candidates = chunk.get("candidates")
        for candidate in candidates if isinstance(candidates, list) else ():
            index = candidate.get("index", 0) if isinstance(candidate, dict) else None
            if type(index) is int:
                done = candidate.get("finishReason") is not None
                (self._finished if done else self._open).add(index)
        feedback = chunk.get("promptFeedback")
        refused = isinstance(feedback, dict) and feedback.get("blockReason") is not None
        self.ended = refused or (bool(self._finished) and self._open <= self._finished)
        if "usageMetadata" in chunk:
            # Usage that cannot be read takes an earlier one away: it is not what was billed.
            self.latest = _settlement(chunk)


def _settlement(answer: dict[str, Any]) -> Settlement | None:
    usage = answer.get("usageMetadata")
    if not isinstance(usage, dict) or type(usage.get("promptTokenCount")) is not int:
        return None
    counts = [
        count_of(usage, name)
        for name in (
            *("promptTokenCount", "cachedContentTokenCount", "toolUsePromptTokenCount"),
            *("candidatesTokenCount", "thoughtsTokenCount", "totalTokenCount"),
        )
    ]
    if any(count is None for count in counts) or _bills_fees(answer):
        return None
    prompt, cached, tool_use, candidates, thoughts, total = (count or 0 for count in counts)
    cached = min(cached, prompt)
    heard = _of_kind(usage, "promptTokensDetails", "AUDIO")
    heard_again = min(_of_kind(usage, "cacheTokensDetails", "AUDIO"), heard, cached)
    spoken = _of_kind(usage, "candidatesTokensDetails", "AUDIO")
    drawn = _of_kind(usage, "candidatesTokensDetails", "IMAGE")
    found = {
        INPUT: prompt - cached - (heard - heard_again) + tool_use,
        CACHE_READ: cached - heard_again,
        AUDIO_INPUT: heard - heard_again,
        AUDIO_CACHE_READ: heard_again,
        OUTPUT: max(candidates + thoughts, total - prompt - tool_use) - spoken - drawn,
        AUDIO_OUTPUT: spoken,
        IMAGE_OUTPUT: drawn,
        REASONING: thoughts,
    }
    if min(found.values()) < 0:
        return None  # The parts are more than the whole: it cannot be right.
    return Settlement(
        usage={kind: count for kind, count in found.items() if count},
        variant=_variant(usage),
        served_model=text_of(answer.get("modelVersion")),
        provider_id=text_of(answer.get("responseId")),
    )


def _variant(usage: dict[str, Any]) -> str:
    tier = usage.get("serviceTier")
    if tier is None:
        return "standard"
    return _TIERS.get(tier.lower(), tier) if isinstance(tier, str) else "unknown"


def _bills_fees(answer: dict[str, Any]) -> bool:
    """Whether fees beside tokens were billed: the hold stays until somebody knows."""
    candidates = answer.get("candidates")
    return any(
        isinstance(candidate, dict) and bool(candidate.get("groundingMetadata"))
        for candidate in (candidates if isinstance(candidates, list) else ())
    )


def _of_kind(usage: dict[str, Any], details: str, modality: str) -> int:
    """Tokens of one modality; what cannot be read makes the sum impossible, and so unknown."""
    total = 0
    listed = usage.get(details)
    for one in listed if isinstance(listed, list) else ():
        if isinstance(one, dict) and one.get("modality") == modality:
            count = count_of(one, "tokenCount")
            total += _IMPOSSIBLE if count is None else count
    return total
