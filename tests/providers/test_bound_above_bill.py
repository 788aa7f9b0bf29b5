"""What a codec finds in a request, counted exactly, is never less than what the stub bills."""

from __future__ import annotations

import json

import pytest

from noburn_cli import ranks
from noburn_cli.demo import stub_tokens
from noburn_cli.prices import load_book
from noburn_cli.providers import registry

TEXTS = (
    "hi",
    "Grüße aus Köln, 你好, مرحبا",
    "🚢" * 50 + "\n\n\t  ",
    "aAbB" * 300,
    "{}[]\\\"'" * 40,
    "def f(x):\n    return x\n" * 60,
)
TOOL = {"name": "look", "parameters": {"type": "object", "properties": {"at": {"type": "string"}}}}


def bodies(text):
    """The same text in each place where a request can carry it."""
    user = {"role": "user", "content": text}
    part = {"role": "user", "name": "ann", "content": [{"type": "text", "text": text}] * 3}
    called = {"function": {"name": "look", "arguments": text}, "type": "function", "id": "c"}
    yield {"messages": [user] * 7}
    yield {"messages": [part], "tools": [{"type": "function", "function": TOOL}] * 5}
    yield {"messages": [user, {"role": "assistant", "tool_calls": [called] * 4}]}
    yield {"messages": [user], "response_format": {"type": "json_schema", "json_schema": TOOL}}
    yield {"input": text, "instructions": text}
    yield {"input": [user, {"type": "function_call", "name": "look", "arguments": text}]}
    yield {"input": [user], "tools": [{"type": "function", **TOOL}]}


@pytest.mark.parametrize("name", ["gpt-6-luna", "gpt-4"])
@pytest.mark.parametrize("text", TEXTS)
def test_the_bound_covers_the_bill(name, text):
    model = load_book({}).resolve(name)
    for body in bodies(text):
        call = registry.parse_body(None, json.dumps({"model": name, **body}).encode())
        found = sum(ranks.count(model.tokenizer, piece) for piece in call.texts)
        found += ranks.count(model.tokenizer, call.schema_text) + call.overhead_tokens
        assert stub_tokens.openai_tokens(model, body) <= found
