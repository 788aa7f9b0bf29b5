"""Tools as providers write them into a prompt, against counts that they billed or print."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noburn_cli import ranks
from noburn_cli.core.tool_schemas import (
    OPENAI_AROUND,
    OPENAI_SYSTEM,
    claude_prompt,
    openai_text,
    schema_tokens,
)

Messages = tuple[tuple[str, str], ...]
HELLO: Messages = (("user", "hello"),)
BOTH: Messages = (("system", "Hello"), ("user", "Hi there"))


def function(name: str, description: str | None = None, **properties: Any) -> dict[str, Any]:
    shape = {"type": "object", "properties": properties}
    return {
        "name": name,
        **({"description": description} if description else {}),
        "parameters": shape,
    }


TEXT, NUMBER, FLAG = {"type": "string"}, {"type": "number"}, {"type": "boolean"}
PROS = {
    "type": "array",
    "items": TEXT,
    "description": "Write 3 points why this text is well written",
}
INGREDIENT = {
    "type": "object",
    "required": ["name", "unit", "amount"],
    "properties": {
        "name": TEXT,
        "amount": NUMBER,
        "unit": {"enum": ["grams", "ml", "cups", "pieces", "teaspoons"], "type": "string"},
    },
}
RECIPE = function(
    "get_recipe",
    ingredients={"type": "array", "items": INGREDIENT},
    instructions={
        "type": "array",
        "items": TEXT,
        "description": "Steps to prepare the recipe (no numbering)",
    },
    time_to_cook={**NUMBER, "description": "Total time to prepare the recipe in minutes"},
)
RECIPE["parameters"]["required"] = ["ingredients", "instructions", "time_to_cook"]
#: (prompt tokens as gpt-3.5-turbo billed them, functions, messages): the tests of
#: github.com/hmarr/openai-chat-tokens, read 2026-11-27.
BILLED: tuple[tuple[int, list[dict[str, Any]], Messages], ...] = (
    (31, [function("foo")], HELLO),
    (36, [function("foo", "Do a foo")], HELLO),
    (49, [function("bing_bong", "Do a bing bong", foo=TEXT)], HELLO),
    (
        57,
        [
            function(
                "bing_bong", "Do a bing bong", foo=TEXT, bar={**NUMBER, "description": "A number"}
            )
        ],
        HELLO,
    ),
    (
        68,
        [
            function(
                "bing_bong",
                "Do a bing bong",
                foo={
                    "type": "object",
                    "properties": {"bar": {"type": "string", "enum": ["a", "b", "c"]}, "baz": FLAG},
                },
            )
        ],
        HELLO,
    ),
    (
        52,
        [
            function(
                "do_stuff",
                foo={
                    "anyOf": [
                        {
                            "type": "object",
                            "properties": {"kind": {"type": "string", "const": "a"}, "baz": FLAG},
                        }
                    ]
                },
            )
        ],
        BOTH,
    ),
    (44, [function("do_stuff", foo={"anyOf": [{"type": "string", "const": "a"}, NUMBER]})], BOTH),
    (35, [function("do_stuff")], BOTH),
    (
        46,
        [
            function(
                "function", "description", quality={"type": "object", "properties": {"pros": PROS}}
            )
        ],
        HELLO,
    ),
    (106, [RECIPE], HELLO),
)
CITY = "The city and state, e.g. San Francisco, CA"
UNIT = "The unit of temperature to return"
WEATHER = {
    "name": "get_current_weather",
    "description": "Get the current weather in a given location",
    "parameters": {
        "type": "object",
        "properties": {
            "location": {"type": "string", "description": CITY},
            "unit": {"type": "string", "description": UNIT, "enum": ["celsius", "fahrenheit"]},
        },
        "required": ["location"],
    },
}
ASKED: Messages = (
    ("system", "You are a helpful assistant that can answer to questions about the weather."),
    ("user", "What's the weather like in San Francisco?"),
)


def billed(encoding: str, functions: list[dict[str, Any]], messages: Messages) -> int:
    """A whole chat: 3 tokens for the reply, 3 and the role for each message, and the functions."""
    total = 3 + ranks.count(encoding, openai_text(functions)) + OPENAI_AROUND
    for place, (role, text) in enumerate(messages):
        first = role == "system" and place == 0
        total += 4 + ranks.count(encoding, text + "\n" if first else text)
        total += OPENAI_SYSTEM if first else 0
    return total


@pytest.mark.parametrize(("tokens", "functions", "messages"), BILLED)
def test_functions_are_written_as_they_were_billed(
    tokens: int, functions: list[dict[str, Any]], messages: Messages
) -> None:
    assert billed("cl100k_base", functions, messages) == tokens
    wrapped = [{"type": "function", "function": one} for one in functions]
    assert openai_text(wrapped) == openai_text(functions)


def test_the_cookbook_s_example() -> None:
    """OpenAI's cookbook, `How_to_count_tokens_with_tiktoken`, section 7: gpt-4 and gpt-4o."""
    assert billed("cl100k_base", [WEATHER], ASKED) == 105
    assert billed("o200k_base", [WEATHER], ASKED) == 101


def expected(model: str, tokenizer: str, tools: list[Any], **more: Any) -> tuple[int, int]:
    asked = {"rest": "", "forced": False, "count": lambda text: len(text) // 4, **more}
    return schema_tokens(tools, tokenizer=tokenizer, model=model, **asked)


def test_each_provider_adds_what_it_is_known_to() -> None:
    low, high = expected("azure/gpt-4o", "o200k_base", [WEATHER])
    assert low < len(openai_text([WEATHER])) // 4 + OPENAI_AROUND < high < low * 2
    plain = expected("groq/llama", "llama3", [WEATHER])
    free = expected("claude-opus-4-8", "claude", [WEATHER])
    must = expected("claude-opus-4-8", "claude", [WEATHER], forced=True)
    assert [one - other for one, other in zip(free, plain, strict=True)] == [290, 290]
    assert must[0] - free[0] == 120
    newer = expected("claude-opus-5-5", "claude", [WEATHER])
    assert (newer[0] - plain[0], newer[1] - plain[1]) == (290, 804)
    hosted = {"type": "custom", "name": "x", "format": {"type": "text"}}
    assert expected("gpt-5", "o200k_base", [hosted]) > (0, 0)
    assert expected("gpt-5", "o200k_base", []) == (0, 0)


def test_claude_s_prompts() -> None:
    assert claude_prompt("bedrock/us.anthropic.claude-opus-4-20250514-v1:0", forced=False) == (
        313,
        313,
    )
    assert claude_prompt("claude-sonnet-4-6", forced=True) == (589, 589)
    assert claude_prompt("claude-sonnet-5", forced=False) == (354, 354)
    assert claude_prompt("claude-sonnet-5-5", forced=False) == (290, 804)
    # The page on token counting: 403 in all, 346 for the prompt of then and 16 for the message;
    # the tool's JSON takes 61 by ctok 1.3.0.
    low, high = expected("claude-3-7-sonnet", "claude", [WEATHER], count=lambda _: 61)
    assert low <= 403 - 16 <= high


KEYS = st.text(max_size=3) | st.sampled_from(
    ["type", "properties", "items", "enum", "anyOf", "required", "description"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(["name", "type", "function", "parameters"]), JSON))
def test_whatever_a_schema_is_it_is_written(tool: dict[str, Any]) -> None:
    """Goal: a schema that no provider would take is no reason to fail, nor is a deep one."""
    deep: dict[str, Any] = {"type": "object"}
    for _ in range(200):
        deep = {"type": "object", "properties": {"a": deep}}
    assert isinstance(openai_text([tool, {"name": "f", "parameters": deep}]), str)
