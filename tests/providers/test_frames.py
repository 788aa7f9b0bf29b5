"""The frame that an estimate expects around a request's texts, against published counts."""

from __future__ import annotations

import json

import pytest

from noburn_cli import ranks
from noburn_cli.demo import stub_tokens
from noburn_cli.prices import load_book
from noburn_cli.providers import registry

#: OpenAI's cookbook, notebook `How_to_count_tokens_with_tiktoken`, section 6 (read 2026-11-23 at
#: https://github.com/openai/openai-cookbook): for its six messages, four of them with a name, the
#: API counted 124 tokens on gpt-4o and 129 on gpt-4.  Contents and names alone are 93 and 98.
PUBLISHED_FRAME = 31
TOOL = {"name": "look", "parameters": {"type": "object", "properties": {"at": {"type": "string"}}}}
HI = {"role": "user", "content": "hi"}


def parsed(body):
    return registry.parse_body(None, json.dumps(body).encode())


def expected(tokenizer, body):
    """The least and the most that an estimate expects of a request whose texts can be counted."""
    call = parsed(body)
    found = sum(ranks.count(tokenizer, text) for text in call.texts)
    least, most = call.frame_range()
    return found + least, found + most + len(call.schema_text.encode())


def test_a_frame_is_what_the_provider_counted():
    messages = [HI, *[{"role": "system", "name": "ann", "content": "hi"}] * 4, HI]
    call = parsed({"model": "gpt-4o", "messages": messages})
    assert call.frame_range() == (PUBLISHED_FRAME, PUBLISHED_FRAME)


CHATS = {
    "one": {"messages": [HI]},
    "named": {"messages": [{**HI, "name": "ann"}]},
    "turns": {"messages": [HI, {"role": "assistant", "content": "Grüße, 你好"}, HI] * 5},
    "roles": {"messages": [{**HI, "role": role} for role in ("system", "developer", "assistant")]},
    "a part": {"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]},
}


@pytest.mark.parametrize("body", CHATS.values(), ids=list(CHATS))
@pytest.mark.parametrize("name", ["gpt-6-luna", "gpt-4"])
def test_a_chat_s_count_equals_the_bill(name, body):
    model = load_book({}).resolve(name)
    billed = stub_tokens.openai_tokens(model, body)
    assert expected(model.tokenizer, {"model": name, **body}) == (billed, billed)


def test_hi_is_eight_tokens():
    """Goal: the stub and the codec do not merely agree with each other."""
    assert expected("o200k_base", {"model": "gpt-6-luna", "messages": [HI]}) == (8, 8)


UNSURE = {
    "tools": {"messages": [HI], "tools": [{"type": "function", "function": TOOL}]},
    "a format": {"messages": [HI], "response_format": {"type": "json_schema", "json_schema": TOOL}},
    "parts": {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}] * 2}]},
    "a prediction": {"messages": [HI], "prediction": {"type": "content", "content": "hi"}},
    "responses": {"input": "hi"},
}


@pytest.mark.parametrize("body", UNSURE.values(), ids=list(UNSURE))
def test_what_is_not_published_is_a_range_with_the_bill_in_it(body):
    model = load_book({}).resolve("gpt-6-luna")
    least, most = expected(model.tokenizer, {"model": "gpt-6-luna", **body})
    assert least < stub_tokens.openai_tokens(model, body) <= most or "prediction" in body
    assert least < most


@pytest.mark.parametrize("body", [*CHATS.values(), *UNSURE.values()])
def test_a_frame_is_never_above_what_is_held(body):
    call = parsed({"model": "gpt-6-luna", **body})
    least, most = call.frame_range()
    assert least <= most <= call.overhead_tokens


def test_claude_s_frame_is_a_range():
    one = parsed({"model": "claude-sonnet-5-5", "max_tokens": 9, "messages": [HI]})
    assert one.frame_range() == (6, 11)
    three = parsed({"model": "claude-sonnet-5-5", "max_tokens": 9, "messages": [HI] * 3})
    assert three.frame_range() == (6, 19)
    tool = {"name": "look", "input_schema": TOOL["parameters"]}
    tools = parsed(
        {"model": "claude-sonnet-5-5", "max_tokens": 9, "messages": [HI], "tools": [tool]}
    )
    assert tools.frame_range() == (6, 11)  # What tools bring is expected of them, not of the frame.
    assert tools.overhead_tokens > 1_200


def test_nothing_stands_around_an_embedded_text():
    call = parsed({"model": "text-embedding-3-small", "input": ["hi", "there"]})
    assert call.frame_range() == (0, 0)
