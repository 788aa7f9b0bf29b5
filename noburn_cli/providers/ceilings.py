"""Parts of a call that nothing bounds, by the name under which a policy may give them a ceiling.

Layer: providers (standard library, Python 3.10).  Above: the codecs, which name them; the guard,
which looks for the ceiling; docs/bounds.md lists them from here, and a test holds the two together.
Not here: amounts (`[ceilings]` in the configuration), what is held (the daemon).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

UNKNOWN = "unknown"

#: What each ceiling pays for.
CEILINGS: Mapping[str, str] = {
    "background": "a response that goes on after the program has left",
    "batch": "a batch in a stored file, or one that is too large or too mixed to be read",
    "cache_lifetime": "cache writes for a lifetime without a price",
    "code_execution": "containers and code run by the provider, billed by time",
    "compaction": "summaries written beyond the output cap",
    "file_search": "searches in stored files, without a maximum",
    "fine_tuning": "training of a model",
    "hosted_tool": "other tools that the provider runs",
    "image_generation": "images drawn by another model on the way",
    "images": "images from the images API, whose tokens are not published",
    "mcp": "remote MCP servers, which may be called without end",
    "moderation": "moderation by a model that is not known to be free",
    "reasoning_mode": "reasoning modes without a published price",
    "regional": "inference in a region that costs more",
    "service_tier": "service tiers and speeds without a price",
    "speech": "speech by models that bill its length",
    "stored_prompt": "prompts kept by the provider, with tools of their own",
    "tool_search": "tools looked up by the provider, as often as the model asks",
    "transcription": "audio whose length only the provider knows",
    "video": "videos",
    UNKNOWN: "parameters, content and models that noburn does not know",
    "web_fetch": "pages fetched by the provider, without a maximum",
    "web_search": "web searches, without a maximum",
}

#: Those after which the answer's usage still tells all that the call cost.  Of the others the
#: answer keeps something to itself: the call stays charged at its hold.
TOLD_BY_USAGE = frozenset(
    {
        *("background", "file_search", "images", "mcp", "service_tier", "stored_prompt"),
        *("tool_search", "transcription", "web_fetch", "web_search"),
    }
)


def missing_step(names: Sequence[str], ceilings: Mapping[str, int]) -> str:
    """What a person can do about parts without a ceiling: the lines for the configuration."""
    lines = "; ".join(f'{name} = "$2"' for name in names if name not in ceilings)
    if not lines:
        return "take that part out of the request, or run it without noburn"
    return (
        f"take that part out of the request, or give it a ceiling in the configuration:"
        f" [ceilings] {lines}"
    )
