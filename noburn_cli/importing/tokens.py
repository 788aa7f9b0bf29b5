"""Usage blocks of providers, and of tools that pass them on, as disjoint kinds.

Layer: importing, pure.  Below: fields, core.usage.  Above: sources.
Owns: what is a part of what.  OpenAI counts cached, audio and image tokens inside the prompt, and
reasoning inside the completion; Anthropic counts cached tokens beside the input.  A tool's total
sometimes has the one and sometimes the other: where cached tokens do not fit in the input, they
stand beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from noburn_cli.core.usage import (
    AUDIO_INPUT,
    AUDIO_OUTPUT,
    CACHE_READ,
    CACHE_WRITE_1H,
    CACHE_WRITE_5M,
    IMAGE_INPUT,
    IMAGE_OUTPUT,
    INPUT,
    OUTPUT,
    REASONING,
    WEB_SEARCH,
)
from noburn_cli.importing.fields import Unread, count_of, object_of


def disjoint(
    *, input_tokens: int, output_tokens: int, cache_read: int = 0, write_5m: int = 0,
    write_1h: int = 0, reasoning: int = 0, audio_input: int = 0, audio_output: int = 0,
    image_input: int = 0, image_output: int = 0, searches: int = 0, inclusive: bool | None = None,
) -> dict[str, int]:  # fmt: skip
    """Counts by kind, zeros left out.

    inclusive: whether `input_tokens` has the cached, audio and image tokens in it; None where the
    source does not say: then it has, if they fit.  Raises Unread where the parts pass the whole.
    """
    beside = cache_read + write_5m + write_1h
    parts = beside + audio_input + image_input
    if inclusive is None:
        inclusive = parts <= input_tokens
    plain = input_tokens - (parts if inclusive else audio_input + image_input)
    spoken = output_tokens - audio_output - image_output
    if plain < 0 or spoken < 0 or reasoning > output_tokens:
        raise Unread("its tokens do not add up")
    counts = {
        INPUT: plain, CACHE_READ: cache_read, CACHE_WRITE_5M: write_5m, CACHE_WRITE_1H: write_1h,
        OUTPUT: spoken, REASONING: reasoning, AUDIO_INPUT: audio_input,
        AUDIO_OUTPUT: audio_output, IMAGE_INPUT: image_input, IMAGE_OUTPUT: image_output,
        WEB_SEARCH: searches,
    }  # fmt: skip
    return {kind: number for kind, number in counts.items() if number}


def from_usage_object(usage: Mapping[str, Any]) -> dict[str, int]:
    """A `usage` like chat completions have it, with what LiteLLM adds of Anthropic's.

    LiteLLM since 2025 counts what was read from and written to a cache inside `prompt_tokens`, and
    says in `prompt_tokens_details.text_tokens` what is neither.  Raises Unread.
    """
    details = object_of(usage.get("prompt_tokens_details", usage.get("input_tokens_details")))
    answer = object_of(usage.get("completion_tokens_details", usage.get("output_tokens_details")))

    def number(holder: Mapping[str, Any], *names: str) -> int:
        return next((n for name in names if (n := count_of(holder.get(name), name))), 0)

    written = number(usage, "cache_creation_input_tokens") or number(
        details, "cache_creation_tokens", "cache_write_tokens"
    )
    split = object_of(details.get("cache_creation_token_details") or usage.get("cache_creation"))
    for_1h = number(split, "ephemeral_1h_input_tokens")
    tools = object_of(usage.get("server_tool_use"))
    return disjoint(
        input_tokens=number(usage, "prompt_tokens", "input_tokens"),
        output_tokens=number(usage, "completion_tokens", "output_tokens"),
        cache_read=number(usage, "cache_read_input_tokens") or number(details, "cached_tokens"),
        write_5m=max(written - for_1h, 0), write_1h=for_1h,
        reasoning=number(answer, "reasoning_tokens"), audio_input=number(details, "audio_tokens"),
        audio_output=number(answer, "audio_tokens"), image_input=number(details, "image_tokens"),
        image_output=number(answer, "image_tokens"), searches=number(tools, "web_search_requests"),
    )  # fmt: skip
