"""What the input of a Gemini request consists of.

Layer: providers (sans-IO, standard library, Python 3.10).  Below: providers.collect.
Source: `types.py` of google-genai 3.6.1 (Content, Part, Tool, GenerateContentConfig) and
https://ai.google.dev/api/generate-content (checked 2026-11-27).

The server reads protobuf's JSON: a field is spelled `toolConfig` or `tool_config`.
"""

from __future__ import annotations

import re
from typing import Any

from noburn_cli.core.media import AUDIO, IMAGE, PDF, VIDEO, Media
from noburn_cli.providers.ceilings import UNKNOWN
from noburn_cli.providers.collect import Collector, names, object_list, object_or_none
from noburn_cli.providers.jsonbody import refused

#: Turns are framed by some five tokens in Gemma, whose vocabularies these are; the API's own count
#: of a lone `hi` is 2 (https://ai.google.dev/gemini-api/docs/tokens).
OVERHEAD_REQUEST = 16
OVERHEAD_CONTENT = 8
OVERHEAD_PART = 4
#: How functions are rendered is not published: their JSON is counted by its bytes, and this beside.
OVERHEAD_TOOLS = 512
OVERHEAD_TOOL = 32
OVERHEAD_TOOL_PART = 32
OVERHEAD_FORMAT = 128

_SNAKE = re.compile(r"_([a-z0-9])")
#: Tools that the provider runs: why they have no bound, and the ceiling that would give them one.
#: A grounded answer does not tell how many fees it was billed (queries on some models, prompts on
#: others).
_HOSTED = {
    "googleSearch": ("Google Search bills a fee for each query", "web_search"),
    "googleSearchRetrieval": ("Google Search bills a fee for each prompt", "web_search"),
    "googleMaps": ("Google Maps bills a fee for each prompt", "hosted_tool"),
    "urlContext": ("pages that the provider fetches are billed as input", "web_fetch"),
    "codeExecution": ("the code's steps and results are billed as input", "code_execution"),
    "fileSearch": ("what a file search finds is billed as input", "file_search"),
    "mcpServers": ("an MCP server adds input without a limit", "mcp"),
}
_FEES = ("web_search",)
_DECLARATIONS = "functionDeclarations"
_PART_READ = names(
    "text inlineData fileData functionCall functionResponse executableCode codeExecutionResult "
    "thought thoughtSignature mediaResolution videoMetadata"
)


def camel(value: object, *, what: str) -> dict[str, Any]:
    """One message of the request with its fields in their first spelling; null is an empty one.

    Raises InputRefused for what is no object, and for a field in both spellings.
    """
    found: dict[str, Any] = {}
    for key, member in (object_or_none(value, what=what) or {}).items():
        name = _SNAKE.sub(lambda match: match[1].upper(), key)
        if name in found:
            raise refused(f"`{what}` has the field `{name[:60]}` twice, in two spellings")
        found[name] = member
    return found


def read_contents(found: Collector, values: dict[str, Any]) -> None:
    """The conversation, the system's instruction, and a cache that the request stands on."""
    contents = values.get("contents")
    # A lone object stands for a list of one in protobuf's JSON reader of some servers.
    turns = object_list([contents] if isinstance(contents, dict) else contents, what="contents")
    if not turns:
        raise refused("the request has no `contents`")
    found.add_overhead(OVERHEAD_REQUEST)
    found.frame_unknown()
    for turn in turns:
        read_content(found, turn)
    if values.get("systemInstruction") is not None:
        instruction = values["systemInstruction"]
        read_content(
            found,
            {"parts": [{"text": instruction}]} if isinstance(instruction, str) else instruction,
        )
    config = object_or_none(values.get("generationConfig"), what="generationConfig") or {}
    found.look_at_media(_detail(config.get("mediaResolution") or config.get("media_resolution")))
    if values.get("cachedContent") is not None:
        found.window("cached content, whose tokens only the provider knows")


def read_content(found: Collector, value: object) -> None:
    """One turn: its parts, each text by itself."""
    content = camel(value, what="content")
    found.add_overhead(OVERHEAD_CONTENT)
    role = content.get("role")
    found.text(role if role not in ("user", "model", "function", "system", None) else None)
    parts = content.get("parts")
    for part in object_list([parts] if isinstance(parts, dict) else parts, what="parts"):
        found.add_overhead(OVERHEAD_PART)
        _part(found, camel(part, what="part"))
    found.rest(content, ("role", "parts"))


def _part(found: Collector, part: dict[str, Any]) -> None:
    found.text(part.get("text"))
    for name in ("functionCall", "executableCode", "codeExecutionResult"):
        if part.get(name) is not None:
            found.add_overhead(OVERHEAD_TOOL_PART)
            found.schema(part[name])
    if part.get("functionResponse") is not None:
        _response(found, part["functionResponse"])
    for name in ("inlineData", "fileData"):
        if part.get(name) is not None:
            _media(
                found,
                camel(part[name], what=name),
                stored=name == "fileData",
                detail=_detail(part.get("mediaResolution")),
            )
    # "Thought signatures will increase the input tokens you are charged when sent back", and calls
    # are stateless (https://ai.google.dev/gemini-api/docs/thinking): a signature carries what it
    # stands for, and no token of it takes less than a character of Base64.
    found.schema(part.get("thoughtSignature"))
    found.rest(part, _PART_READ)


def _response(found: Collector, value: object) -> None:
    """A function's result, which may bring media of its own."""
    found.add_overhead(OVERHEAD_TOOL_PART)
    response = camel(value, what="functionResponse")
    for part in object_list(response.get("parts"), what="functionResponse.parts"):
        _part(found, camel(part, what="part"))
    found.rest(response, ("parts",))


def _media(found: Collector, media: dict[str, Any], *, stored: bool, detail: str) -> None:
    kind = media.get("mimeType")
    kind = kind.lower() if isinstance(kind, str) else ""
    given = media.get("data")
    data = given if isinstance(given, str) and not stored else ""
    if kind.startswith("image/"):
        found.image(Media(IMAGE, data, detail))
    elif kind.startswith("audio/"):
        found.audio = True
        reason = "audio, whose length only the provider measures"
        found.media(Media(AUDIO, data), window=reason)
    elif kind.startswith("video/") or (stored and not kind):
        found.audio = True  # Its sound is counted, and billed, as audio.
        reason = "a video, whose frames and sound only the provider counts"
        found.media(Media(VIDEO, data, detail), window=reason)
    elif kind == "application/pdf":
        reason = "a file, whose text only the provider extracts"
        found.media(Media(PDF, data, detail), window=reason)
    elif kind == "" or stored or not kind.startswith("text/"):
        found.window("a file, whose text only the provider extracts")
    else:
        found.text(media.get("data"))  # Base64 is longer than the text that it holds.


def _detail(resolution: object) -> str:
    """A part's own resolution, by its level; "" where it says none."""
    level = resolution.get("level") if isinstance(resolution, dict) else resolution
    return level if isinstance(level, str) else ""


def read_tools(found: Collector, values: dict[str, Any]) -> None:
    """Functions, and the tools that the provider runs itself."""
    tools = values.get("tools")
    listed = object_list([tools] if isinstance(tools, dict) else tools, what="tools")
    for one in listed:
        tool = camel(one, what="tool")
        found.add_overhead(OVERHEAD_TOOL)
        declared = object_list(tool.get(_DECLARATIONS), what=_DECLARATIONS)
        for declaration in declared:
            found.add_overhead(OVERHEAD_TOOL)
            found.tool(declaration)
        for name, value in tool.items():
            if name == _DECLARATIONS or value is None:
                continue
            if name == "computerUse":
                found.window("the tool `computerUse`, whose definition the provider adds")
                found.schema(value)
            else:
                why, ceiling = _HOSTED.get(name, ("what it bills is not known", UNKNOWN))
                found.unbounded(
                    f"the hosted tool `{name[:40]}`: {why}", ceiling, told=ceiling not in _FEES
                )
    if listed:
        found.add_overhead(OVERHEAD_TOOLS)
    found.schema(values.get("toolConfig"))
