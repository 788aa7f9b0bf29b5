"""What the input of an OpenAI Responses request consists of.

Layer: providers (sans-IO, standard library, Python 3.10).  Below: providers.openai_common.
Sources: the item and tool types of the openai Python SDK 3.54 (checked 2026-11-23);
`additional_tools` and `client_metadata` as codex-cli 0.171.0 sends them (checked 2026-11-27).
"""

from __future__ import annotations

from typing import Any

from noburn_cli.providers import openai_common as common
from noburn_cli.providers.collect import Collector, names, object_list, object_or_none
from noburn_cli.providers.jsonbody import refused
from noburn_cli.providers.responses_tools import ADDITIONAL_TOOLS, read_tools

#: Top-level members that make up the input.
READ = names(
    "input instructions tools tool_choice max_tool_calls text "
    "previous_response_id conversation prompt client_metadata"
)
_ROLES = ("system", "developer", "user", "assistant", None)
_TEXT_PARTS = names("input_text output_text text refusal summary_text reasoning_text")
_TEXT_KEYS = names("type text refusal prompt_cache_breakpoint annotations logprobs")
#: Items whose content the provider keeps, or renders in a way that is not published.
_WINDOW_ITEMS = names(
    "item_reference compaction file_search_call web_search_call code_interpreter_call "
    "computer_call computer_call_output image_generation_call mcp_call mcp_list_tools "
    "mcp_approval_request mcp_approval_response local_shell_call local_shell_call_output "
    "shell_call shell_call_output apply_patch_call apply_patch_call_output"
)
_CALLS = names("function_call custom_tool_call")
_OUTPUTS = names("function_call_output custom_tool_call_output")


def read_input(found: Collector, values: dict[str, Any]) -> None:
    """Everything that goes in: instructions, items, tools, formats, what is stored."""
    found.add_overhead(common.OVERHEAD_REQUEST)
    _stored(found, values)
    instructions = values.get("instructions")
    if instructions is not None:
        found.add_overhead(common.OVERHEAD_MESSAGE)
        found.text(instructions)
    given = values.get("input")
    if isinstance(given, str):
        found.add_overhead(common.OVERHEAD_MESSAGE)
        found.text(given)
    else:
        for item in object_list(given, what="input"):
            _item(found, item)
    if given is None and not found.why_window:
        raise refused("the request has no input")
    read_tools(found, values)
    # Nobody says that it is free, so it counts as if the model read it.
    found.text(values.get("client_metadata"))
    text = object_or_none(values.get("text"), what="text") or {}
    if text.get("format") is not None:
        found.add_overhead(common.OVERHEAD_FORMAT)
        found.schema(text["format"])


def _stored(found: Collector, values: dict[str, Any]) -> None:
    if values.get("previous_response_id") is not None:
        found.window("earlier turns behind `previous_response_id`")
    if values.get("conversation") is not None:
        found.window("earlier turns of a stored conversation")
    if values.get("prompt") is not None:
        # A stored prompt can also bring tools and settings that we cannot see.
        found.window("a stored prompt")
        found.unbounded("a stored prompt, which may bring tools and settings", "stored_prompt")


def _item(found: Collector, item: dict[str, Any]) -> None:
    kind = item.get("type")
    found.add_overhead(common.OVERHEAD_MESSAGE)
    if kind in (None, "message") and "role" in item:
        role = item.get("role")
        found.text(role if role not in _ROLES else None)
        _content(found, item.get("content"))
        found.rest(item, ("type", "role", "content", "id", "status", "phase"))
    elif kind == ADDITIONAL_TOOLS:
        found.rest(item, ("type", "role", "id", "tools"))  # its tools are read with the others
    elif kind == "reasoning":
        _reasoning(found, item)
    elif isinstance(kind, str) and kind in _CALLS:
        found.add_overhead(common.OVERHEAD_TOOL_CALL)
        found.rest(item, ("type", "status"))
    elif isinstance(kind, str) and kind in _OUTPUTS:
        found.add_overhead(common.OVERHEAD_TOOL_CALL)
        _content(found, item.get("output"))
        found.rest(item, ("type", "output", "status"))
    elif (isinstance(kind, str) and kind in _WINDOW_ITEMS) or (kind is None and "id" in item):
        found.window(f"an item of the type {kind or 'item_reference'}, which the provider renders")
    else:
        found.unbounded(f"an input item of the type {kind!r:.40}, which is not known")


def _content(found: Collector, content: object) -> None:
    if not isinstance(content, list):
        found.text(content)
        return
    for part in content:
        found.add_overhead(common.OVERHEAD_PART)
        if isinstance(part, dict):
            _part(found, part)
        else:
            found.text(part)


def _part(found: Collector, part: dict[str, Any]) -> None:
    kind = part.get("type")
    common.check_breakpoint(found, part)
    if isinstance(kind, str) and kind in _TEXT_PARTS:
        found.text(part.get("text"))
        found.text(part.get("refusal"))
        found.rest(part, _TEXT_KEYS)
    elif kind in ("input_image", "computer_screenshot"):
        common.image(found, part.get("image_url"), part.get("detail"))
    elif kind == "input_file":
        common.document(found, part.get("file_data"), part.get("filename"))
    elif kind == "input_audio":
        given = part.get("input_audio")
        common.sound(found, given.get("data") if isinstance(given, dict) else None)
    else:
        found.unbounded(f"a content part of the unknown type {kind!r:.40}")


def _reasoning(found: Collector, item: dict[str, Any]) -> None:
    """Earlier thoughts: encrypted, or kept by the provider under their id, so of unknown length."""
    if item.get("encrypted_content") is not None or item.get("id") is not None:
        found.window("earlier reasoning that only the provider can read")
    _content(found, item.get("summary"))
    _content(found, item.get("content"))
    found.rest(item, ("type", "id", "summary", "content", "encrypted_content", "status"))
