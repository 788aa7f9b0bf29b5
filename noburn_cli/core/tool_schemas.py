"""What a provider makes of the tools in a request, as far as that is known.

Layer: core (pure).  Below: core.openai_names.  Above: estimating.
Not a bound: the codecs take a token for every byte of a schema, and an allowance beside it.

OpenAI writes functions as TypeScript into the prompt, which it does not publish.  The rendering
here is what was inferred from billed counts (https://hmarr.com/blog/counting-openai-tokens, and the
counts in the tests of github.com/hmarr/openai-chat-tokens, gpt-3.5-turbo); the example in OpenAI's
cookbook, `How_to_count_tokens_with_tiktoken`, section 7, was billed alike on gpt-4o.  Read
2026-11-27; newer models are taken to be alike, so an estimate with tools is `assumed`.

Anthropic adds a prompt of its own when there are tools, and says how long:
https://platform.claude.com/docs/en/agents-and-tools/tool-use/overview (read 2026-11-27).  A tool
itself takes less than its JSON: the example of the page on token counting, 403 tokens in all on
Claude 4, leaves 41 for a tool whose JSON has 61.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from noburn_cli.core.openai_names import OPENAI_MODEL, bare

#: What functions bring along in a chat, and what they save where a system message stands already.
OPENAI_AROUND = 9
OPENAI_SYSTEM = -4
#: How far off the rendering may be on a model that nobody measured: beside a part in ten.
OPENAI_UNSURE = 8
#: What is left of the tokens of JSON, in hundredths: least and most.
JSON_LEFT = (50, 110)

_DEPTH_MAX = 32
_OPENAI = ("o200k_base", "cl100k_base")

#: Tokens of Claude's prompt for tools: (choice is `auto` or `none`, it is `any` or one tool).
#: The first name that starts a model's own, after its prefixes.
_CLAUDE_PROMPT: tuple[tuple[str, tuple[int, int]], ...] = (
    (r"claude-opus-4-8", (290, 410)),
    (r"claude-opus-4-7", (675, 804)),
    (r"claude-(opus|sonnet)-4-6", (497, 589)),
    (r"claude-(opus|sonnet|haiku)-4-5", (496, 588)),
    (r"claude-sonnet-5(?!-[1-9](-|$))", (354, 474)),
    (r"claude-(opus|sonnet)-4", (313, 315)),
    (r"claude-3-7-sonnet|claude-3-5-sonnet", (346, 313)),
    (r"claude-3-5-haiku", (264, 355)),
    (r"claude-3-opus", (530, 281)),
    (r"claude-3-sonnet", (159, 235)),
    (r"claude-3-haiku", (264, 340)),
)
#: For models that the page does not have: the least and the most of those from 4.7 on.
_CLAUDE_UNKNOWN = (290, 804)


def schema_tokens(
    tools: Sequence[Mapping[str, Any]],
    rest: str,
    *,
    forced: bool,
    tokenizer: str,
    model: str,
    count: Callable[[str], int],
) -> tuple[int, int]:
    """The least and the most tokens that are expected of tools and formats together.

    rest: what is no tool, as JSON; forced: the model has to use a tool.
    count: tokens of a text on this model, exact or estimated.
    """
    found = openai_text(tools) if tokenizer in _OPENAI and OPENAI_MODEL.match(bare(model)) else ""
    others = [one for one in tools if not found or function_of(one) is None]
    plain = "\n".join([*(json.dumps(one, ensure_ascii=False) for one in others), rest])
    tokens = count(plain) if plain.strip() else 0
    low, high = (-(-tokens * share // 100) for share in JSON_LEFT)
    if found:
        written = count(found) + OPENAI_AROUND
        unsure = OPENAI_UNSURE + written // 10
        low, high = low + max(0, written - unsure), high + written + unsure
    if tokenizer == "claude" and tools:
        least, most = claude_prompt(model, forced=forced)
        low, high = low + least, high + most
    return low, high


def claude_prompt(model: str, *, forced: bool) -> tuple[int, int]:
    """The least and the most tokens of the prompt that Claude gets for tools.

    forced: the choice is `any`, or one tool by name.
    """
    name = model[max(model.find("claude-"), 0) :]
    for pattern, (free, must) in _CLAUDE_PROMPT:
        if re.match(pattern, name):
            found = must if forced else free
            return found, found
    return _CLAUDE_UNKNOWN


def openai_text(tools: Sequence[Mapping[str, Any]]) -> str:
    """The functions among some tools, written as TypeScript; "" where there are none."""
    written = [_function(one) for tool in tools if (one := function_of(tool)) is not None]
    if not written:
        return ""
    return "\n".join(["namespace functions {", "", *written, "} // namespace functions"])


def function_of(tool: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The function that a tool defines, as chat, Responses and older requests word it."""
    inner = tool.get("function")
    if isinstance(inner, Mapping):
        return inner
    kind = tool.get("type")
    return tool if kind in ("function", None) and isinstance(tool.get("name"), str) else None


def _function(one: Mapping[str, Any]) -> str:
    lines = _comment(one.get("description"))
    parameters = one.get("parameters")
    shape = parameters if isinstance(parameters, Mapping) else {}
    members = _members(shape, depth=0)
    if members:
        lines += [f"type {one.get('name')} = (_: {{", *members, "}) => any;"]
    else:
        lines.append(f"type {one.get('name')} = () => any;")
    return "\n".join([*lines, ""])


def _comment(text: object) -> list[str]:
    return [f"// {text}"] if isinstance(text, str) and text else []


def _members(shape: Mapping[str, Any], *, depth: int) -> list[str]:
    """The properties of an object, a line each."""
    found = shape.get("properties")
    if not isinstance(found, Mapping) or depth > _DEPTH_MAX:
        return []
    required = shape.get("required")
    needed = set(map(str, required)) if isinstance(required, list) else set()
    lines: list[str] = []
    for name, value in found.items():
        inner = value if isinstance(value, Mapping) else {}
        if depth == 0:  # What is written further inside was not billed.
            lines += _comment(inner.get("description"))
        mark = "" if name in needed else "?"
        lines.append(f"{name}{mark}: {_type(inner, depth=depth)},")
    return [" " * 2 * depth + line for line in lines]


def _type(value: Mapping[str, Any], *, depth: int) -> str:
    """One property's type in TypeScript."""
    if depth > _DEPTH_MAX:
        return "any"
    choices = value.get("anyOf")
    if isinstance(choices, list):
        shapes = [one for one in choices if isinstance(one, Mapping)]
        return " | ".join(_type(one, depth=depth) for one in shapes)
    named = value.get("enum")
    kind = value.get("type")
    if isinstance(named, list):
        return " | ".join(f'"{one}"' if kind == "string" else str(one) for one in named)
    if kind == "array":
        items = value.get("items")
        return f"{_type(items, depth=depth)}[]" if isinstance(items, Mapping) else "any[]"
    if kind == "object":
        return "\n".join(["{", *_members(value, depth=depth + 1), "}"])
    return {"integer": "number"}.get(str(kind), str(kind) if isinstance(kind, str) else "any")
