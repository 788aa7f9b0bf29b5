"""What the input of a Converse request consists of.

Layer: providers (sans-IO, standard library, Python 3.10).  Below: providers.collect; the overheads
are those of Anthropic's messages, whose frames are the largest (providers.anthropic_input).
Source: botocore 1.44's `bedrock-runtime` model: Message, ContentBlock, SystemContentBlock, Tool
(checked 2026-11-27).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from noburn_cli.core.media import IMAGE, PDF, VIDEO, Media
from noburn_cli.core.usage import CACHE_READ, CACHE_WRITE_1H, CACHE_WRITE_5M, INPUT
from noburn_cli.providers.anthropic_input import (
    OVERHEAD_BLOCK,
    OVERHEAD_FORMAT,
    OVERHEAD_MESSAGE,
    OVERHEAD_PARAMETER,
    OVERHEAD_REQUEST,
    OVERHEAD_TOOL,
    OVERHEAD_TOOL_BLOCK,
    OVERHEAD_TOOLS,
)
from noburn_cli.providers.collect import Collector, object_list, object_or_none
from noburn_cli.providers.jsonbody import refused

_WINDOW = {
    "image": "an image, whose tokens only the provider counts",
    "document": "a document, whose text only the provider extracts",
    "video": "a video, whose tokens only the provider counts",
}


def read_input(found: Collector, values: dict[str, Any]) -> None:
    """Everything that goes in: system prompt, messages, tools, output format."""
    messages = object_list(values.get("messages"), what="messages")
    if not messages:
        raise refused("the request has no messages")
    found.add_overhead(OVERHEAD_REQUEST)
    found.frame_unknown()
    system = object_list(values.get("system"), what="system")
    _blocks(found, system)
    for message in messages:
        found.add_overhead(OVERHEAD_MESSAGE)
        role = message.get("role")
        found.text(role if role not in ("user", "assistant", "system", None) else None)
        _blocks(found, object_list(message.get("content"), what="content"))
        found.rest(message, ("role", "content"))
    _tools(found, values)
    if values.get("outputConfig") is not None:
        found.add_overhead(OVERHEAD_FORMAT)
        found.schema(values["outputConfig"])


def input_kinds(values: dict[str, Any]) -> tuple[str, ...]:
    """The kinds that input may be billed as: writes happen where there is a `cachePoint`."""
    kinds = [INPUT, CACHE_READ]
    points = list(_cache_points(values))
    if points:
        kinds.append(CACHE_WRITE_5M)
    if any(isinstance(one, dict) and one.get("ttl") not in (None, "5m") for one in points):
        kinds.append(CACHE_WRITE_1H)
    return tuple(kinds)


def _cache_points(value: object) -> Iterator[object]:
    if isinstance(value, dict):
        for key, member in value.items():
            if key == "cachePoint" and member is not None:
                yield member
            else:
                yield from _cache_points(member)
    elif isinstance(value, list):
        for item in value:
            yield from _cache_points(item)


def _blocks(found: Collector, blocks: list[dict[str, Any]]) -> None:
    for block in blocks:
        found.add_overhead(OVERHEAD_BLOCK)
        for kind, value in block.items():
            if value is not None:
                _block(found, kind, value)


def _block(found: Collector, kind: str, value: Any) -> None:
    if kind == "text":
        found.text(value)
    elif kind == "cachePoint":
        return
    elif kind == "toolUse":
        given = value.get("input") if isinstance(value, dict) else None
        count = len(given) if isinstance(given, (dict, list)) else 1
        found.add_overhead(OVERHEAD_TOOL_BLOCK + OVERHEAD_PARAMETER * count)
        found.schema(value)
    elif kind == "toolResult":
        result = object_or_none(value, what="toolResult") or {}
        found.add_overhead(OVERHEAD_TOOL_BLOCK)
        _blocks(found, object_list(result.get("content"), what="toolResult.content"))
        found.rest(result, ("content",))
    elif kind == "reasoningContent":
        _reasoning(found, object_or_none(value, what="reasoningContent") or {})
    elif kind in ("json", "guardContent", "citationsContent", "searchResult"):
        found.add_overhead(OVERHEAD_TOOL_BLOCK)
        found.schema(value)
        if "image" in str(value)[:2_000] and kind == "guardContent":
            found.window(_WINDOW["image"])
    elif kind in _WINDOW:
        _media(found, kind, object_or_none(value, what=kind) or {})
    elif kind == "audio":
        found.unbounded("audio input, which is billed as audio tokens")
    else:
        found.unbounded(f"a content block of the type {kind[:40]!r}, which is not known")


def _media(found: Collector, kind: str, value: dict[str, Any]) -> None:
    """An image, a document or a video, with the format that it says it has."""
    source = object_or_none(value.get("source"), what="source") or {}
    data = source.get("bytes")
    known = {"image": IMAGE, "video": VIDEO}.get(kind)
    if kind == "document" and value.get("format") == "pdf":
        known = PDF
    if known is None:
        found.window(_WINDOW[kind])
    else:
        packed = data if isinstance(data, str) else ""
        found.media(Media(known, packed), window=_WINDOW[kind])


def _reasoning(found: Collector, value: dict[str, Any]) -> None:
    text = object_or_none(value.get("reasoningText"), what="reasoningText") or {}
    found.text(text.get("text"))
    if value.get("redactedContent") is not None or (text and not text.get("text")):
        found.window("earlier thinking that only the provider can read")


def _tools(found: Collector, values: dict[str, Any]) -> None:
    config = object_or_none(values.get("toolConfig"), what="toolConfig") or {}
    tools = object_list(config.get("tools"), what="tools")
    for tool in tools:
        found.add_overhead(OVERHEAD_TOOL)
        for kind, value in tool.items():
            if value is None or kind == "cachePoint":
                continue
            if isinstance(value, dict):
                found.tool(value)
            else:
                found.schema(value)
            if kind != "toolSpec":
                found.unbounded(
                    f"the hosted tool {str(value)[:60]} bills what it does", "hosted_tool"
                )
    if tools:
        found.add_overhead(OVERHEAD_TOOLS)
    found.schema(config.get("toolChoice"))
    found.rest(config, ("tools", "toolChoice"))
