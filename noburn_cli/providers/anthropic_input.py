"""What the input of an Anthropic request consists of.

Layer: providers (sans-IO, standard library, Python 3.10).  Below: providers.collect.
Source: the block and tool types of the anthropic Python SDK 2.12,
https://platform.claude.com/docs/en/agents-and-tools/tool-use/overview (checked 2026-11-23).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from noburn_cli.core.media import IMAGE, PDF, Media
from noburn_cli.core.usage import CACHE_READ, CACHE_WRITE_1H, CACHE_WRITE_5M, INPUT, WEB_SEARCH
from noburn_cli.providers.collect import (
    Collector,
    count_or_none,
    names,
    object_list,
    object_or_none,
)
from noburn_cli.providers.jsonbody import refused

#: Top-level members that make up the input.
READ = names("messages system tools tool_choice output_config cache_control mcp_servers")
#: What the count endpoint takes; anything else would be refused there.
COUNTED = (
    *("model", "messages", "system", "tools", "tool_choice", "thinking", "output_config"),
    *("cache_control", "speed"),
)

#: The frame of one message takes 6 or 7 tokens before Claude 4.7 and 11 from it on (the
#: reconstruction in the package ctok, 2026-11-23): 16 covers both.
OVERHEAD_REQUEST = 16
OVERHEAD_MESSAGE = 8
#: What is expected of them, for estimates; of further messages nothing is published.
FRAME_REQUEST = (6, 11)
FRAME_NEXT_MESSAGE = (0, 4)
OVERHEAD_BLOCK = 4
#: A tool call or its result is wrapped in tags, with one more pair for each parameter.
OVERHEAD_TOOL_BLOCK = 64
OVERHEAD_PARAMETER = 24
#: The hidden prompt for tools: at most 804 tokens published (Opus 4.7; https://platform.claude.com
#: /docs/en/agents-and-tools/tool-use/overview, read 2026-11-27), none for models after Sonnet 5:
#: half as much again as the largest ever published.  The count endpoint is exact.
OVERHEAD_TOOLS = 1_200
OVERHEAD_TOOL = 64
#: An output schema brings instructions of unpublished length.
OVERHEAD_FORMAT = 1_200
#: Thinking may change the hidden prompt.
OVERHEAD_THINKING = 256
#: Published are 245 tokens for bash and 700 for the text editor (Claude 4).
OVERHEAD_KNOWN_TOOL = 2_048

_KNOWN_TOOL = re.compile(r"^(bash|text_editor)_\d{8}$")
#: Run by the client, so without a fee, but with a definition of unpublished length.
_WINDOW_TOOL = re.compile(r"^(memory_|computer_|browser_)")
_BLOCK_KEYS = names("type text cache_control")
_CITED = "citations"
_SERVER_BLOCKS = names(
    "server_tool_use web_search_tool_result web_fetch_tool_result code_execution_tool_result "
    "bash_code_execution_tool_result text_editor_code_execution_tool_result "
    "tool_search_tool_result mcp_tool_use mcp_tool_result"
)


def read_input(found: Collector, values: dict[str, Any]) -> None:
    """Everything that goes in: system prompt, messages, tools, output format."""
    messages = object_list(values.get("messages"), what="messages")
    if not messages:
        raise refused("the request has no messages")
    found.add_overhead(OVERHEAD_REQUEST)
    found.add_frame(*FRAME_REQUEST)
    _content(found, values.get("system"))
    for place, message in enumerate(messages):
        found.add_overhead(OVERHEAD_MESSAGE)
        if place:
            found.add_frame(*FRAME_NEXT_MESSAGE)
        role = message.get("role")
        found.text(role if role not in ("user", "assistant", "system", None) else None)
        _content(found, message.get("content"))
        found.rest(message, ("role", "content"))
    _tools(found, values)
    config = object_or_none(values.get("output_config"), what="output_config") or {}
    if config.get("format") is not None:
        found.add_overhead(OVERHEAD_FORMAT)
    found.schema(config or None)
    if values.get("thinking") is not None:
        found.add_overhead(OVERHEAD_THINKING)
        found.add_frame(0, OVERHEAD_THINKING)


def input_kinds(values: dict[str, Any]) -> tuple[str, ...]:
    """The kinds that input may be billed as: writes cost extra, and happen only where asked for."""
    kinds = [INPUT, CACHE_READ]
    marks = list(_cache_marks(values))
    if marks:
        kinds.append(CACHE_WRITE_5M)
    if any(isinstance(mark, dict) and mark.get("ttl") not in (None, "5m") for mark in marks):
        kinds.append(CACHE_WRITE_1H)
    return tuple(kinds)


def _cache_marks(value: object) -> Iterator[object]:
    """Every `cache_control` in the request that is not null, however deep."""
    if isinstance(value, dict):
        for key, member in value.items():
            if key == "cache_control" and member is not None:
                yield member
            else:
                yield from _cache_marks(member)
    elif isinstance(value, list):
        for item in value:
            yield from _cache_marks(item)


def _content(found: Collector, content: object) -> None:
    if not isinstance(content, list):
        found.text(content)
        return
    for block in content:
        found.add_overhead(OVERHEAD_BLOCK)
        found.add_frame(0, OVERHEAD_BLOCK)
        if isinstance(block, dict):
            _block(found, block)
        else:
            found.text(block)


def _block(found: Collector, block: dict[str, Any]) -> None:
    kind = block.get("type")
    if kind == "text":
        found.text(block.get("text"))
        found.rest(block, _BLOCK_KEYS)
    elif kind == "tool_use":
        parameters = block.get("input")
        count = len(parameters) if isinstance(parameters, (dict, list)) else 1
        found.add_overhead(OVERHEAD_TOOL_BLOCK + OVERHEAD_PARAMETER * count)
        found.rest(block, ("type", "cache_control"))
    elif kind in ("tool_result", "search_result"):
        found.add_overhead(OVERHEAD_TOOL_BLOCK)
        found.add_frame(0, OVERHEAD_TOOL_BLOCK)
        _content(found, block.get("content"))
        found.rest(block, ("type", "content", "cache_control"))
    elif kind == "document":
        _document(found, block)
    elif kind == "thinking":
        found.text(block.get("thinking"))
        found.rest(block, ("type", "thinking", "signature"))
        # With `display: omitted` the signature stands for thoughts that are not in the request.
        if not block.get("thinking"):
            found.window("earlier thinking that only the provider can read")
    elif isinstance(kind, str) and kind in _SERVER_BLOCKS:
        # What a server tool did in an earlier turn: its results come encrypted, or cut short.
        found.window(f"an earlier {kind}, which the provider renders")
    elif kind == "redacted_thinking":
        found.window("earlier thinking that only the provider can read")
    elif kind == "image":
        found.image(Media(IMAGE, _data(block.get("source"))))
    else:
        found.unbounded(f"a content block of the type {kind!r:.40}, which is not known")


def _document(found: Collector, block: dict[str, Any]) -> None:
    """A document in plain text is here; a PDF or a stored file is read by the provider."""
    found.add_frame(0, OVERHEAD_TOOL_BLOCK)
    source = block.get("source")
    kind = source.get("type") if isinstance(source, dict) else None
    if isinstance(source, dict) and kind == "text":
        found.add_overhead(OVERHEAD_TOOL_BLOCK)
        found.text(source.get("data"))
    elif isinstance(source, dict) and kind == "content":
        found.add_overhead(OVERHEAD_TOOL_BLOCK)
        _content(found, source.get("content"))
    else:
        reason = "a document, whose text only the provider extracts"
        found.media(Media(PDF, _data(source)), window=reason)
    citations = block.get(_CITED)
    if citations is not None and citations != {"enabled": False}:
        # The provider cuts the text into numbered sentences; the numbers are not published.
        found.window("citations, which add marks that only the provider counts")
    found.rest(block, ("type", "source", "cache_control", _CITED))


def _data(source: object) -> str:
    """The Base64 in a source; "" for one that is somewhere else."""
    data = source.get("data") if isinstance(source, dict) else None
    return data if isinstance(data, str) else ""


def _tools(found: Collector, values: dict[str, Any]) -> None:
    tools = object_list(values.get("tools"), what="tools")
    uses = 0
    for tool in tools:
        kind = tool.get("type")
        found.add_overhead(OVERHEAD_TOOL)
        found.tool({key: value for key, value in tool.items() if key != "cache_control"})
        if kind in (None, "custom"):
            continue
        if isinstance(kind, str) and _KNOWN_TOOL.match(kind):
            found.add_overhead(OVERHEAD_KNOWN_TOOL)
        elif isinstance(kind, str) and _WINDOW_TOOL.match(kind):
            found.window(f"the tool {kind!r:.40}, whose definition the provider adds")
        else:
            uses += _server_tool(found, kind, tool)
    if uses:
        # A use beyond the last is answered with an error, and the model asked once more.
        found.loop(uses + 1)
    if tools:
        found.add_overhead(OVERHEAD_TOOLS)
    if values.get("mcp_servers") is not None:
        found.unbounded("remote MCP servers, which may be called without end", "mcp")
    choice = values.get("tool_choice")
    found.tool_forced = isinstance(choice, dict) and choice.get("type") in ("any", "tool")
    found.schema(choice)


def _server_tool(found: Collector, kind: object, tool: dict[str, Any]) -> int:
    """A tool that Anthropic runs: how often at most, 0 where nothing says so."""
    name = kind if isinstance(kind, str) else ""
    search, fetch = name.startswith("web_search_"), name.startswith("web_fetch_")
    if not (search or fetch):
        known = (of for start, of in _SERVER_TOOLS.items() if name.startswith(start))
        ceiling = next(known, "hosted_tool")
        found.unbounded(f"the server tool {kind!r:.40} bills what it does", ceiling)
        return 0
    ceiling = WEB_SEARCH if search else "web_fetch"
    uses = count_or_none(tool.get("max_uses"), what="max_uses", least=1)
    if uses is None:
        found.unbounded(f"the server tool {kind} without `max_uses`", ceiling)
        return 0
    if search:
        found.fee(WEB_SEARCH, uses)
    if name not in _DIRECT and tool.get("allowed_callers") != ["direct"]:
        # Newer versions also run code that filters what was found, in rounds that nothing counts.
        found.unbounded(
            f"the server tool {kind}, which may run code: say `allowed_callers` = `direct`", ceiling
        )
    return uses


#: Versions that the model calls by itself alone; later ones also from code that it writes.
_DIRECT = ("web_search_20250305", "web_fetch_20250910")
_SERVER_TOOLS = {
    "code_execution_": "code_execution",
    "tool_search_tool_": "tool_search",
    "mcp_toolset": "mcp",
}
