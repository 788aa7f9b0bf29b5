"""What Bedrock's APIs have in common: model ids, tiers, errors.

Layer: providers (sans-IO, standard library, Python 3.10).  Below: providers.eventstream.
Source: botocore 1.44's `bedrock-runtime` model and
https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles.html (checked 2026-11-27).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from noburn_cli.core.usage import CACHE_READ, CACHE_WRITE_1H, CACHE_WRITE_5M, INPUT, OUTPUT
from noburn_cli.providers.codec import Block, CountRequest, Settlement
from noburn_cli.providers.collect import Collector
from noburn_cli.providers.eventstream import encode
from noburn_cli.providers.following import count_of
from noburn_cli.providers.jsonbody import compact, refused
from noburn_cli.providers.openai_common import json_block, parse_input_tokens, rate_limit

#: An ARN whose last part is a model's own id, or a system-defined profile's (`us.anthropic.…`).
_ARN = re.compile(
    r"^arn:aws[a-z-]*:bedrock:[a-z0-9-]*:\d*:(foundation-model|inference-profile)/(.+)$"
)
#: `/model/ID/OPERATION`; the id is escaped.
MODEL_IN_URL = re.compile(r"/model/(?P<model>[^/]+)/[a-z-]+/?$")
_TIERS = {"default": "standard", "flex": "flex", "priority": "priority"}
#: The code of a block: no SDK retries it.  The message says what it is.
_ERROR = "AccessDeniedException"


def model_of(identifier: str, models: Mapping[str, str]) -> str:
    """The model's id in a URL; "" when what it names is not told by its name.

    models: ids that the configuration maps (application inference profiles, provisioned ones).
    """
    if identifier in models:
        return models[identifier]
    arn = _ARN.match(identifier)
    if arn is not None:
        return models.get(arn[2], arn[2])
    return "" if identifier.startswith("arn:") else identifier


def named(model: str) -> str:
    """`model`, or InputRefused for a URL that names none."""
    if not model:
        raise refused(
            "the URL names an inference profile, a provisioned or custom model, a prompt or a "
            "router, not a model",
            next_step="map it to the model that it runs, in `models` of an [[endpoint]] of the "
            "configuration with this host, or call the model by its own id",
        )
    return model


def variants(found: Collector, tier: object) -> tuple[str, ...]:
    """The price variant of a request's service tier; capacity that is reserved has its own bill."""
    if tier is None:
        return ("standard",)
    variant = _TIERS.get(tier) if isinstance(tier, str) else None
    if variant is None:
        found.unbounded(f"the service tier {tier!r:.40} has no price in the book", "service_tier")
        return ("standard",)
    return (variant,)


def settlement_of(answer: Mapping[str, Any]) -> Settlement | None:
    """What the `usage` of a Converse answer, or of its stream's `metadata`, says.

    `inputTokens` leaves out what was read from or written to the cache.
    """
    usage = answer.get("usage")
    if not isinstance(usage, dict) or type(usage.get("inputTokens")) is not int:
        return None
    counted = [
        count_of(usage, name)
        for name in (
            *("inputTokens", "outputTokens", "totalTokens"),
            *("cacheReadInputTokens", "cacheWriteInputTokens"),
        )
    ]
    for_1h = _written_1h(usage.get("cacheDetails"))
    if for_1h is None or any(count is None for count in counted):
        return None
    went_in, came_out, total, read, written = (count or 0 for count in counted)
    counts = {
        INPUT: went_in,
        CACHE_READ: read,
        CACHE_WRITE_5M: max(0, written - for_1h),
        CACHE_WRITE_1H: for_1h,
        OUTPUT: max(came_out, total - went_in - read - written),
    }
    return Settlement(
        usage={kind: count for kind, count in counts.items() if count}, variant=_served(answer)
    )


def _written_1h(details: object) -> int | None:
    total = 0
    for one in details if isinstance(details, list) else ():
        count = count_of(one, "inputTokens")
        if count is None:
            return None
        if isinstance(one, dict) and one.get("ttl") == "1h":
            total += count
    return total


def _served(answer: Mapping[str, Any]) -> str:
    latency = answer.get("performanceConfig")
    if isinstance(latency, dict) and latency.get("latency") == "optimized":
        return "optimized"
    tier = answer.get("serviceTier")
    kind = tier.get("type") if isinstance(tier, dict) else None
    if kind is None:
        return "standard"
    return _TIERS.get(kind, kind) if isinstance(kind, str) else "unknown"


def block(*, message: str, code: str, status: int) -> Block:
    """An error that botocore raises as a ClientError, and the anthropic SDK as its status's."""
    plain = json_block({"message": message, "code": code}, status=status)
    return replace(plain, headers=(*plain.headers, ("x-amzn-errortype", _ERROR)))


def throttled(*, message: str, retry_after_ms: int) -> Block:
    """A rate limit, which botocore tries again by itself."""
    plain = rate_limit({"message": message}, retry_after_ms=retry_after_ms)
    return replace(plain, headers=(*plain.headers, ("x-amzn-errortype", "ThrottlingException")))


def stream_error(*, message: str, code: str) -> bytes:
    """An exception inside a stream; botocore raises it as an EventStreamError."""
    headers = {
        ":exception-type": "validationException",
        ":content-type": "application/json",
        ":message-type": "exception",
    }
    payload = compact({"message": message, "code": code}).encode("utf-8", "replace")
    return encode(headers, payload)


class BedrockCodec:
    """What the codecs of both APIs have in common."""

    def block(self, *, message: str, code: str, status: int = 402) -> Block:
        return block(message=message, code=code, status=status)

    def rate_limit(self, *, message: str, unit: str, retry_after_ms: int) -> Block:  # noqa: ARG002
        return throttled(message=message, retry_after_ms=retry_after_ms)

    def stream_error(self, *, message: str, code: str) -> bytes:
        return stream_error(message=message, code=code)

    def count_request(self, body: bytes) -> CountRequest | None:  # noqa: ARG002
        return None  # CountTokens needs a signature, and a permission, of its own.

    def parse_count(self, body: bytes) -> int:
        return parse_input_tokens(body)
