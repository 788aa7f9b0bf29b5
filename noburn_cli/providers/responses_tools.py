"""Tools in a Responses request: what each may add to the input, and to the bill.

Layer: providers (sans-IO, standard library, Python 3.10).  Below: providers.openai_common.
Sources: the tool types, `max_tool_calls`, `max_output_tokens` and `tool_usage` in the openai Python
SDK 3.57 (checked 2026-11-27).

A hosted tool makes a loop: the model is asked again with what the tool found.  `max_tool_calls` is
"the maximum number of total calls to built-in tools that can be processed in a response", so it
bounds the rounds and the fees; `max_output_tokens` is "an upper bound for the number of tokens that
can be generated for a response", rounds included.  What a round reads, only the window bounds.
"""

from __future__ import annotations

from typing import Any

from noburn_cli.core.usage import FILE_SEARCH, WEB_SEARCH, WEB_SEARCH_PREVIEW
from noburn_cli.providers import openai_common as common
from noburn_cli.providers.codec import Settlement
from noburn_cli.providers.collect import Collector, count_or_none, names, object_list
from noburn_cli.providers.following import count_of

#: An item of the input that brings tools, as codex sends it.
ADDITIONAL_TOOLS = "additional_tools"
#: Tools that run in the program, but whose definition the provider adds.
_WINDOW_TOOLS = names("local_shell apply_patch computer computer_use_preview")
#: Hosted tools without a bound in time or number, by the ceiling that pays for them.
_CEILINGS = {
    "code_interpreter": "code_execution",
    "shell": "code_execution",
    "image_generation": "image_generation",
    "mcp": "mcp",
    "tool_search": "tool_search",
}
_SEARCH_PREVIEW = "web_search_preview"
_FEE_ITEMS = {"file_search_call": FILE_SEARCH}
#: Tools whose use costs something that no part of an answer tells.
_UNTOLD = ("code_interpreter", "image_generation", "programmatic_tool_calling")


def read_tools(found: Collector, values: dict[str, Any]) -> None:
    """Definitions into the input, fees and rounds of hosted tools into the bound."""
    tools = [*object_list(values.get("tools"), what="tools"), *_additional(values.get("input"))]
    calls_max = count_or_none(values.get("max_tool_calls"), what="max_tool_calls", least=0)
    fees: dict[str, None] = {}
    for tool in tools:
        _tool(found, tool, calls_max, fees)
    if calls_max and fees:
        found.loop(calls_max)
        for kind in fees:
            found.fee(kind, calls_max)
    if tools:
        found.add_overhead(common.OVERHEAD_TOOLS)
    found.schema(values.get("tool_choice"))


def _additional(given: object) -> list[dict[str, Any]]:
    """Tools that come as an item of the input."""
    items = given if isinstance(given, list) else []
    return [
        tool
        for item in items
        if isinstance(item, dict) and item.get("type") == ADDITIONAL_TOOLS
        for tool in object_list(item.get("tools"), what="tools")
    ]


def _tool(
    found: Collector, tool: dict[str, Any], calls_max: int | None, fees: dict[str, None]
) -> None:
    kind = tool.get("type")
    found.add_overhead(common.OVERHEAD_TOOL)
    found.tool(tool)
    fee = _fee(kind)
    if kind == "namespace":
        for inner in object_list(tool.get("tools"), what="tools"):
            _tool(found, inner, calls_max, fees)
    elif (isinstance(kind, str) and kind in _WINDOW_TOOLS) or _runs_here(tool):
        found.window(f"the tool {kind}, whose definition the provider adds")
    elif fee is not None:
        fees[fee] = None
        if calls_max is None:
            ceiling = FILE_SEARCH if fee == FILE_SEARCH else WEB_SEARCH
            found.unbounded(f"the tool {kind} without `max_tool_calls`", ceiling)
    elif kind not in ("function", "custom"):
        ceiling = _CEILINGS.get(kind, "hosted_tool") if isinstance(kind, str) else "hosted_tool"
        found.unbounded(f"the hosted tool {kind!r:.40} bills what it does", ceiling)


def _fee(kind: object) -> str | None:
    """The fee of each call of a search tool."""
    if not isinstance(kind, str):
        return None
    if kind.startswith(_SEARCH_PREVIEW):
        return WEB_SEARCH_PREVIEW
    if kind == "web_search" or kind.startswith("web_search_20"):
        return WEB_SEARCH
    return FILE_SEARCH if kind == "file_search" else None


def _runs_here(tool: dict[str, Any]) -> bool:
    """A shell or a tool search of the program's own costs nothing beside its tokens."""
    environment = tool.get("environment")
    if tool.get("type") == "tool_search":
        return tool.get("execution") == "client"
    local = isinstance(environment, dict) and environment.get("type") == "local"
    return tool.get("type") == "shell" and local


def settlement_of(answer: dict[str, Any]) -> Settlement | None:
    """What a response says it used; None when it also used something that it does not tell."""
    tools = _objects(answer.get("tools"))
    kinds = [tool.get("type") for tool in tools]
    shells = (tool for tool in tools if tool.get("type") == "shell")
    if any(kind in _UNTOLD for kind in kinds) or not all(map(_runs_here, shells)):
        return None
    settled = common.settlement_of(answer, inputs="input", outputs="output")
    fees = _fees(answer, kinds)
    if settled is None or fees is None:
        return None
    counts = {kind: count for kind, count in fees.items() if count}
    return Settlement(
        usage={**settled.usage, **counts},
        variant=settled.variant,
        served_model=settled.served_model,
        provider_id=settled.provider_id,
    )


def _fees(answer: dict[str, Any], kinds: list[object]) -> dict[str, int] | None:
    """Billable searches: as counted by the provider, or by the calls in the answer's output."""
    items = [item.get("type") for item in _objects(answer.get("output"))]
    found = {kind: items.count(item) for item, kind in _FEE_ITEMS.items()}
    told = answer.get("tool_usage")
    searches = count_of(told.get("web_search"), "num_requests") if isinstance(told, dict) else None
    drawn = count_of(told.get("image_gen"), "total_tokens") if isinstance(told, dict) else 0
    if drawn != 0 or "image_generation_call" in items or "code_interpreter_call" in items:
        return None
    if searches is None and "web_search_call" in items:
        return None
    old = any(isinstance(kind, str) and kind.startswith(_SEARCH_PREVIEW) for kind in kinds)
    found[WEB_SEARCH_PREVIEW if old else WEB_SEARCH] = searches or 0
    return found


def _objects(value: object) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
