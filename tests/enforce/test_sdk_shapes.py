"""The SDKs' own ways of asking, beside an unguarded run of the same; and what a block says."""

from __future__ import annotations

import datetime
import re

import anthropic
import openai
import pytest

import noburn_cli

MESSAGES = [{"role": "user", "content": "Which ships lay in the harbour that winter?"}]
CHAT = {"model": "gpt-6-luna", "messages": MESSAGES, "max_completion_tokens": 50}
RESPONSE = {"model": "gpt-6-luna", "input": "hello", "max_output_tokens": 50}
MESSAGE = {"model": "claude-haiku-5-5", "messages": MESSAGES, "max_tokens": 50}


def sdk(stub, kind):
    base_url = stub.url + "/v1" if kind is openai.OpenAI else stub.url
    return kind(api_key="any", base_url=base_url, timeout=30)


def chat_helper(client):
    with client.chat.completions.stream(**CHAT) as stream:
        events = [event.type for event in stream]
        return events, stream.get_final_completion().choices[0].message.content


def responses_helper(client):
    with client.responses.stream(**RESPONSE) as stream:
        events = [event.type for event in stream]
        return events, stream.get_final_response().output_text


def messages_helper(client):
    with client.messages.stream(**MESSAGE) as stream:
        return list(stream.text_stream), stream.get_final_message().usage.output_tokens


def streaming_response(client):
    with client.chat.completions.with_streaming_response.create(**CHAT) as response:
        lines = [line for line in response.iter_lines() if line]
        assert isinstance(response.elapsed, datetime.timedelta) or response.elapsed is None
        return len(lines), response.status_code


def raw_response(client):
    response = client.chat.completions.with_raw_response.create(**CHAT)
    assert isinstance(response.elapsed, datetime.timedelta)
    return response.parse().choices[0].message.content, response.status_code


def claude_raw_response(client):
    response = client.messages.with_raw_response.create(**MESSAGE)
    assert isinstance(response.elapsed, datetime.timedelta)
    return response.parse().usage.output_tokens


def raw_stream(client):
    response = client.chat.completions.with_raw_response.create(**CHAT, stream=True)
    return [chunk.choices for chunk in response.parse()]


WAYS = [
    (openai.OpenAI, chat_helper),
    (openai.OpenAI, responses_helper),
    (openai.OpenAI, streaming_response),
    (openai.OpenAI, raw_response),
    (openai.OpenAI, raw_stream),
    (anthropic.Anthropic, messages_helper),
    (anthropic.Anthropic, claude_raw_response),
]


@pytest.mark.parametrize(("kind", "way"), WAYS, ids=lambda value: value.__name__)
def test_the_same_as_without_the_guard(desk, kind, way):
    with sdk(desk.stub, kind) as plain:
        expected = way(plain)
    unguarded = desk.bill_nano()
    with noburn_cli.wrap(sdk(desk.stub, kind)) as client:
        assert way(client) == expected
    assert desk.states() == ["settled"]
    assert desk.cost_nano() == desk.bill_nano() - unguarded > 0
    ((latency_ms, status, provider_id),) = desk.calls("latency_ms, status, provider_id")
    assert latency_ms >= 0
    assert status == 200
    assert provider_id.startswith("stub-")


def without_ids(chunk):
    seen = chunk.model_dump()
    for name in ("id", "created", "created_at"):
        seen.pop(name, None)
        (seen.get("response") or seen.get("message") or {}).pop(name, None)
    return {**seen, "item_id": None, "item": None}


@pytest.mark.parametrize(
    ("kind", "ask"),
    [
        (openai.OpenAI, lambda client: client.chat.completions.create(**CHAT, stream=True)),
        (openai.OpenAI, lambda client: client.chat.completions.create(**CHAT, n=2, stream=True)),
        (
            openai.OpenAI,
            lambda client: client.chat.completions.create(
                **CHAT, stream=True, stream_options={"include_usage": True}
            ),
        ),
        (
            openai.OpenAI,
            lambda client: client.chat.completions.create(
                **CHAT, stream=True, stream_options={"include_usage": False}
            ),
        ),
        (anthropic.Anthropic, lambda client: client.messages.create(**MESSAGE, stream=True)),
    ],
    ids=["chat", "choices", "usage", "no-usage", "messages"],
)
def test_chunks_are_those_of_an_unguarded_run(desk, kind, ask):
    with sdk(desk.stub, kind) as plain:
        expected = [without_ids(chunk) for chunk in ask(plain)]
    with noburn_cli.wrap(sdk(desk.stub, kind)) as client:
        assert [without_ids(chunk) for chunk in ask(client)] == expected
    assert desk.states() == ["settled"]


@pytest.mark.parametrize("kind", [openai.OpenAI, anthropic.Anthropic])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_block_is_one_error_that_a_person_understands(desk, kind, stream):
    desk.limit(1_234_000)
    errors = openai if kind is openai.OpenAI else anthropic
    with noburn_cli.wrap(sdk(desk.stub, kind)) as client:  # Retries as the SDK has them.
        assert client.max_retries > 0
        if kind is openai.OpenAI:
            create, asked = client.chat.completions.create, {**CHAT, "max_completion_tokens": 9_000}
        else:
            create, asked = client.messages.create, {**MESSAGE, "max_tokens": 9_000}
        with pytest.raises(errors.APIStatusError) as blocked:
            create(**asked, stream=stream)
    assert desk.stub.requests == []
    assert blocked.value.status_code == 402
    ((call,),) = desk.calls("call")
    message = str(blocked.value)
    assert f"budget `customer={desk.customer} per total`" in message
    for said in (
        "$0.001234",
        "$0.00 spent",
        "$0.00 held",
        "Lower max_tokens",
        "noburn budget topup",
    ):
        assert said in message
    assert re.search(r"this call may use \$0\.00\d+", message)
    assert f"`noburn why {call}`" in message
    assert desk.states() == ["blocked"]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_raw_and_streaming_responses_raise_a_block_as_well(desk, stream):
    desk.limit(1)
    with noburn_cli.wrap(sdk(desk.stub, openai.OpenAI)) as client:
        with pytest.raises(openai.APIStatusError):
            client.chat.completions.with_raw_response.create(**CHAT, stream=stream)
        with (
            pytest.raises(openai.APIStatusError),
            client.chat.completions.with_streaming_response.create(**CHAT, stream=stream),
        ):
            pass
    assert desk.states() == ["blocked"] * 2
