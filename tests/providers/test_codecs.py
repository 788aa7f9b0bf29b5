"""What each codec makes of real requests and answers: bounds, caps, usage, refusals."""

from __future__ import annotations

import json

import pytest

from noburn_cli.errors import InputRefused
from noburn_cli.providers import registry

CHAT = registry.codec("openai_chat")
RESPONSES = registry.codec("openai_responses")
EMBEDDINGS = registry.codec("openai_embeddings")
MESSAGES = registry.codec("anthropic_messages")
HI = [{"role": "user", "content": "hi"}]
ENCRYPTED = {"type": "reasoning", "encrypted_content": "x"}


def chat(**members):
    return json.dumps({"model": "gpt-6-luna", "messages": HI, **members}).encode()


def responses(**members):
    return json.dumps({"model": "gpt-6-luna", "input": "hi", **members}).encode()


def messages(**members):
    body = {"model": "claude-opus-5-5", "max_tokens": 500, "messages": HI, **members}
    return json.dumps(body).encode()


def said(part):
    return [{"role": "user", "content": [part]}]


def tool(**members):
    return [{"name": "t", "input_schema": {"type": "object"}, **members}]


# -- What is in a call ---------------------------------------------------------------------------


def test_every_text_of_a_chat_is_found():
    call = CHAT.parse(
        chat(
            messages=[
                {"role": "system", "content": "be brief", "name": "boss"},
                {"role": "user", "content": [{"type": "text", "text": "part"}]},
                {"role": "assistant", "content": None, "refusal": "unknown field",
                 "tool_calls": [{"id": "c", "type": "function",
                                 "function": {"name": "look", "arguments": '{"at":"harbour"}'}}]},
                {"role": "tool", "tool_call_id": "c", "content": "a ship"},
            ],
            tools=[{"type": "function", "function": {"name": "look", "parameters": {"a": 1}}}],
            response_format={"type": "json_object"},
        )
    )  # fmt: skip
    everything = "\n".join((*call.texts, call.schema_text))
    for text in ("be brief", "boss", "part", "unknown field", "harbour", "a ship", "json_object"):
        assert text in everything
    assert (call.window, call.unbounded) == ("", "")
    assert call.input_kinds == ("input", "cache_read", "cache_write_5m")


def test_every_text_of_a_message_is_found():
    call = MESSAGES.parse(
        messages(
            system=[{"type": "text", "text": "be brief"}],
            messages=[
                {"role": "user", "content": [
                    {"type": "document", "title": "log book",
                     "source": {"type": "text", "media_type": "text/plain", "data": "storm"}},
                ]},
                {"role": "assistant", "content": [
                    {"type": "tool_use", "id": "t1", "name": "look", "input": {"at": "harbour"}}]},
                {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": "t1",
                     "content": [{"type": "text", "text": "a ship"}]}]},
            ],
            tools=tool(description="looks around"),
        )
    )  # fmt: skip
    everything = "\n".join((*call.texts, call.schema_text))
    for text in ("be brief", "log book", "storm", "harbour", "a ship", "looks around"):
        assert text in everything
    assert (call.window, call.unbounded) == ("", "")
    assert call.overhead_tokens > 1_200  # The hidden prompt for tools.


def test_every_text_of_a_response_is_found():
    call = RESPONSES.parse(
        responses(
            instructions="be brief",
            input=[
                {"role": "user", "content": [{"type": "input_text", "text": "part"}]},
                {"type": "function_call", "call_id": "c", "name": "look", "arguments": "harbour"},
                {"type": "function_call_output", "call_id": "c", "output": "a ship"},
            ],
            text={"format": {"type": "json_schema", "name": "n", "schema": {"x": "deep"}}},
        )
    )
    everything = "\n".join((*call.texts, call.schema_text))
    for text in ("be brief", "part", "look", "harbour", "a ship", "deep"):
        assert text in everything
    assert (call.window, call.unbounded) == ("", "")


@pytest.mark.parametrize(
    ("given", "texts", "tokens"),
    [("one", ("one",), 0), (["a", "b"], ("a", "b"), 0), ([1, 2, 3], (), 3), ([[1], [2, 3]], (), 3)],
)
def test_embedding_inputs(given, texts, tokens):
    call = EMBEDDINGS.parse(json.dumps({"model": "e", "input": given}).encode())
    assert (call.texts, call.counted_tokens, call.output) == (texts, tokens, None)
    assert call.kinds() == ("input",)


@pytest.mark.parametrize("given", [None, [], {}, 5, ["a", 1], [[1], "a"], [-1], [True], [1.0]])
def test_embedding_inputs_that_are_none(given):
    with pytest.raises(InputRefused):
        EMBEDDINGS.parse(json.dumps({"model": "e", "input": given}).encode())


# -- What only the provider knows, and what nothing bounds ---------------------------------------


AUDIO = {"type": "input_audio", "input_audio": {"data": "x", "format": "wav"}}


@pytest.mark.parametrize(
    ("codec", "body", "reason"),
    [
        (CHAT, chat(messages=said(AUDIO)), "audio"),
        (CHAT, chat(messages=[{"role": "assistant", "audio": {"id": "a"}}]), "audio"),
        (CHAT, chat(messages=said({"type": "file", "file": {"file_id": "f"}})), "file"),
        (RESPONSES, responses(previous_response_id="r"), "earlier turns"),
        (RESPONSES, responses(conversation="c"), "conversation"),
        (RESPONSES, responses(input=[{"type": "item_reference", "id": "i"}]), "item_reference"),
        (RESPONSES, responses(input=[{"id": "i"}]), "item_reference"),
        (RESPONSES, responses(input=[ENCRYPTED]), "reasoning"),
        (RESPONSES, responses(tools=[{"type": "computer"}]), "computer"),
        (MESSAGES, messages(messages=said({"type": "server_tool_use", "id": "s"})), "server_tool"),
        (
            MESSAGES,
            messages(messages=said({"type": "document", "source": {"type": "file"}})),
            "doc",
        ),
        (MESSAGES, messages(messages=said({"type": "redacted_thinking", "data": "x"})), "thinking"),
        (MESSAGES, messages(tools=[{"type": "memory_20250818", "name": "memory"}]), "memory"),
    ],
)
def test_input_that_only_the_window_bounds(codec, body, reason):
    call = codec.parse(body)
    assert reason in call.window
    assert call.unbounded == ""


@pytest.mark.parametrize(
    ("codec", "body", "reason"),
    [
        (CHAT, chat(modalities=["text", "video"]), "video"),
        (CHAT, chat(web_search_options={}), "search"),
        (CHAT, chat(model="gpt-4o-search-preview"), "search"),
        (CHAT, chat(tools=[{"type": "web_search"}]), "web_search"),
        (CHAT, chat(service_tier="hyperfast"), "hyperfast"),
        (CHAT, chat(service_tier=[]), "tier"),
        (CHAT, chat(something_new=1), "something_new"),
        (CHAT, chat(moderation={"model": "gpt-6-astra"}), "moderation"),
        (CHAT, chat(prompt_cache_options={"ttl": "30d"}), "cache"),
        (CHAT, chat(messages=said({"type": "hologram"})), "hologram"),
        (RESPONSES, responses(background=True), "background"),
        (RESPONSES, responses(prompt={"id": "p"}), "stored prompt"),
        (RESPONSES, responses(reasoning={"mode": "pro"}), "pro"),
        (RESPONSES, responses(context_management=[{"type": "compaction"}]), "compaction"),
        (RESPONSES, responses(input=[{"type": "configuration_update"}]), "configuration_update"),
        *(
            (RESPONSES, responses(tools=[{"type": kind}]), kind)
            for kind in (
                "web_search",
                "code_interpreter",
                "file_search",
                "mcp",
                "tool_search",
                "shell",
            )
        ),
        *(
            (MESSAGES, messages(tools=[{"type": kind, "name": "x"}]), kind)
            for kind in ("web_search_20250305", "web_fetch_20260318", "code_execution_20260521")
        ),
        (MESSAGES, messages(mcp_servers=[{"url": "u"}]), "MCP servers"),
        (MESSAGES, messages(inference_geo="the moon"), "the moon"),
        (MESSAGES, messages(service_tier="gold"), "gold"),
        (MESSAGES, messages(container={"id": "c"}), "container"),
        (MESSAGES, messages(messages=said({"type": "container_upload"})), "container_upload"),
    ],
)
def test_what_nothing_bounds_is_named(codec, body, reason):
    assert reason in codec.parse(body).unbounded


@pytest.mark.parametrize(
    ("codec", "body", "variants"),
    [
        (CHAT, chat(), ("standard",)),
        (CHAT, chat(service_tier="auto"), ("standard",)),
        (CHAT, chat(service_tier="flex"), ("flex", "standard")),
        (CHAT, chat(service_tier="fast"), ("priority",)),
        (RESPONSES, responses(service_tier="priority"), ("priority",)),
        (RESPONSES, responses(service_tier="ultrafast"), ("ultrafast",)),
        (MESSAGES, messages(service_tier="standard_only", inference_geo="global"), ("standard",)),
        (MESSAGES, messages(), ("standard", "standard@us?")),
        (MESSAGES, messages(speed="fast"), ("fast", "fast@us?")),
        (MESSAGES, messages(inference_geo="us"), ("standard@us",)),
        (MESSAGES, messages(inference_geo="us", speed="fast"), ("fast@us",)),
    ],
)
def test_variants(codec, body, variants):
    call = codec.parse(body)
    assert (call.variants, call.unbounded) == (variants, "")


MARK = {"type": "ephemeral"}
HOUR = {"type": "ephemeral", "ttl": "1h"}


@pytest.mark.parametrize(
    ("body", "writes"),
    [
        (messages(), ()),
        (messages(cache_control=None), ()),
        (messages(cache_control=MARK), ("cache_write_5m",)),
        (messages(tools=tool(cache_control=MARK)), ("cache_write_5m",)),
        (
            messages(messages=said({"type": "text", "text": "x", "cache_control": HOUR})),
            ("cache_write_5m", "cache_write_1h"),
        ),
        (
            messages(system=[{"type": "text", "text": "x", "cache_control": HOUR}]),
            ("cache_write_5m", "cache_write_1h"),
        ),
    ],
)
def test_cache_writes_happen_where_they_are_asked_for(body, writes):
    assert MESSAGES.parse(body).input_kinds == ("input", "cache_read", *writes)


# -- Caps ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("codec", "body", "cap", "changed"),
    [
        (CHAT, chat(), 50, {"max_completion_tokens": 50}),
        (CHAT, chat(max_completion_tokens=None), 50, {"max_completion_tokens": 50}),
        (CHAT, chat(model="llama-4"), 50, {"max_tokens": 50}),
        (CHAT, chat(max_tokens=90), 50, {"max_tokens": 50}),
        (CHAT, chat(max_tokens=90, max_completion_tokens=40), 50, {"max_tokens": 50}),
        (CHAT, chat(max_tokens=90, max_completion_tokens=80), 50,
         {"max_tokens": 50, "max_completion_tokens": 50}),
        (CHAT, chat(max_tokens=50), 50, {}),
        (CHAT, chat(stream=True, max_tokens=5), 50, {"stream_options": {"include_usage": True}}),
        (CHAT, chat(stream=True, max_tokens=5, stream_options={"include_obfuscation": False}), 50,
         {"stream_options": {"include_obfuscation": False, "include_usage": True}}),
        (CHAT, chat(stream=True, max_tokens=5, stream_options={"include_usage": True}), 50, {}),
        (RESPONSES, responses(), 50, {"max_output_tokens": 50}),
        (RESPONSES, responses(max_output_tokens=40), 50, {}),
        (RESPONSES, responses(max_output_tokens=60), 50, {"max_output_tokens": 50}),
        (MESSAGES, messages(), 50, {"max_tokens": 50}),
        (MESSAGES, messages(), None, {}),
        (MESSAGES, messages(max_tokens=9_000, thinking={"type": "enabled", "budget_tokens": 2_000}),
         1_500, {"max_tokens": 1_500, "thinking": {"type": "enabled", "budget_tokens": 1_499}}),
        (MESSAGES, messages(max_tokens=9_000, thinking={"type": "enabled", "budget_tokens": 2_000}),
         2_001, {"max_tokens": 2_001}),
    ],
)  # fmt: skip
def test_a_cap_is_written_where_the_api_reads_it(codec, body, cap, changed):
    edited = codec.edit(body, cap=cap)
    assert json.loads(edited) == {**json.loads(body), **changed}
    if not changed:
        assert edited == body


def test_an_edit_leaves_every_other_byte():
    body = (
        b'{ "temperature":1.10e-07,\r\n "seed" : 123456789012345678901234567890, '
        b'"max_tokens" :\t900, "model":"gpt-6-luna",'
        b'"messages":[{"role":"user","content":"\\u00e9 \xc3\xa9 \\/"}] }'
    )
    assert CHAT.edit(body, cap=50) == body.replace(b"900", b"50")


@pytest.mark.parametrize("value", [0, -1, 1.0, 100.5, "100", True, [], {}, 10**30 + 0.5])
@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens", "n"])
def test_caps_that_are_not_counts_are_refused(name, value):
    with pytest.raises(InputRefused):
        CHAT.parse(chat(**{name: value}))


def test_messages_need_a_cap():
    body = json.dumps({"model": "claude-opus-5-5", "messages": HI}).encode()
    with pytest.raises(InputRefused, match="max_tokens"):
        MESSAGES.parse(body)


def test_output_caps():
    both = CHAT.parse(chat(max_tokens=10, max_completion_tokens=20, n=3)).output
    assert (both.wanted, both.floor, both.choices) == (20, 1, 3)
    assert CHAT.parse(chat()).output.wanted is None
    thinking = {"type": "enabled", "budget_tokens": 4_000}
    assert MESSAGES.parse(messages(max_tokens=9_000, thinking=thinking)).output.floor == 4_001
    # Between tool calls a budget may be larger than the cap, which then rules.
    assert MESSAGES.parse(messages(max_tokens=900, thinking=thinking)).output.floor == 900
    assert MESSAGES.parse(messages(max_tokens=0)).output is None  # Only fills the cache.


# -- Usage ---------------------------------------------------------------------------------------


def test_cached_tokens_are_counted_once():
    usage = {
        "prompt_tokens": 1_000,
        "completion_tokens": 50,
        "prompt_tokens_details": {"cached_tokens": 600, "cache_write_tokens": 300},
        "completion_tokens_details": {"reasoning_tokens": 20},
    }
    answer = {"id": "c", "model": "m-2026", "service_tier": "flex", "usage": usage}
    settled = CHAT.usage(json.dumps(answer).encode())
    assert settled.usage == {
        "input": 100, "cache_read": 600, "cache_write_5m": 300, "output": 50, "reasoning": 20,
    }  # fmt: skip
    assert (settled.variant, settled.served_model, settled.provider_id) == ("flex", "m-2026", "c")


@pytest.mark.parametrize(
    ("creation", "writes"),
    [
        (None, {"cache_write_5m": 30}),
        ({"ephemeral_1h_input_tokens": 30, "ephemeral_5m_input_tokens": 0}, {"cache_write_1h": 30}),
        (
            {"ephemeral_1h_input_tokens": 10, "ephemeral_5m_input_tokens": 20},
            {"cache_write_1h": 10, "cache_write_5m": 20},
        ),
    ],
)
def test_claudes_cache_writes_by_lifetime(creation, writes):
    usage = {
        "input_tokens": 5, "output_tokens": 7, "cache_read_input_tokens": 11,
        "cache_creation_input_tokens": 30, "cache_creation": creation,
    }  # fmt: skip
    settled = MESSAGES.usage(json.dumps({"id": "m", "usage": usage}).encode())
    assert settled.usage == {"input": 5, "output": 7, "cache_read": 11, **writes}


@pytest.mark.parametrize(
    ("codec", "answer"),
    [
        (CHAT, {}),
        (CHAT, {"usage": None}),
        (CHAT, {"usage": {"prompt_tokens": -1, "completion_tokens": 1}}),
        (CHAT, {"usage": {"prompt_tokens": 1.5, "completion_tokens": 1}}),
        (CHAT, {"usage": {"prompt_tokens": 1, "completion_tokens": True}}),
        (CHAT, {"usage": {"prompt_tokens": 9, "completion_tokens": 1,
                          "prompt_tokens_details": {"audio_tokens": 5, "cached_tokens": 3}}}),
        (MESSAGES, {"usage": {"input_tokens": 5}}),
        (MESSAGES, {"usage": {"input_tokens": 5, "output_tokens": 5,
                              "server_tool_use": {"code_execution_requests": 1}}}),
        (MESSAGES, {"usage": {"input_tokens": 5, "output_tokens": 5,
                              "iterations": [{"type": "compaction"}]}}),
        (RESPONSES, {"usage": {"input_tokens": 5, "output_tokens": 5},
                     "output": [{"type": "web_search_call"}]}),
        (RESPONSES, {"usage": {"input_tokens": 5, "output_tokens": 5},
                     "tools": [{"type": "code_interpreter"}]}),
        (EMBEDDINGS, {"usage": {}, "data": []}),
    ],
)  # fmt: skip
def test_usage_that_cannot_be_trusted_is_none(codec, answer):
    assert codec.usage(json.dumps(answer).encode()) is None


def test_a_stream_that_repeats_its_usage_settles_on_the_last():
    reader = CHAT.stream(strip_usage=True)
    for output in (1, 2, 3):
        usage = {"prompt_tokens": 9, "completion_tokens": output}
        chunk = {"choices": [{"delta": {"content": "x"}}], "usage": usage}
        event = b"data: " + json.dumps(chunk).encode() + b"\n\n"
        assert reader.receive(event) == event
        assert reader.settlement is None  # Not final: the stream could be cut here.
    reader.receive(b"data: [DONE]\n\n")
    assert reader.settlement.usage == {"input": 9, "output": 3}


def test_a_chat_stream_has_ended_when_every_choice_has():
    reader = CHAT.stream(strip_usage=True)
    seen = []
    for index, reason in ((0, None), (1, None), (0, "stop"), (1, None), (1, "length")):
        choice = {"index": index, "delta": {}, "finish_reason": reason}
        reader.receive(b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n")
        seen.append(reader.ended)
    assert seen == [False, False, False, False, True]
    assert reader.settlement is None  # Its usage is still to come.


@pytest.mark.parametrize("codec", [CHAT, RESPONSES, MESSAGES])
def test_our_own_error_event_is_seen_as_a_failure(codec):
    reader = codec.stream(strip_usage=False)
    reader.receive(codec.stream_error(message="budget", code="stopped"))
    assert (reader.failed, reader.ended, reader.settlement) == (True, False, None)


# -- Counting ------------------------------------------------------------------------------------


def test_count_requests_carry_the_input_alone():
    counted = MESSAGES.count_request(messages(system="s", temperature=0.5, stream=True))
    assert counted.path_suffix == "/count_tokens"
    wanted = {"model": "claude-opus-5-5", "messages": HI, "system": "s"}
    assert json.loads(counted.body) == wanted
    asked = RESPONSES.count_request(responses(max_output_tokens=20, store=False))
    assert asked.path_suffix == "/input_tokens"
    assert json.loads(asked.body) == {"model": "gpt-6-luna", "input": "hi"}
    assert MESSAGES.parse_count(b'{"input_tokens": 12}') == 12
    with pytest.raises(InputRefused):
        MESSAGES.parse_count(b'{"input_tokens": "12"}')


@pytest.mark.parametrize(
    ("said", "variant"),
    [
        ({}, "standard"),
        ({"inference_geo": "global"}, "standard"),
        ({"inference_geo": "not_available"}, "standard"),
        ({"inference_geo": "us"}, "standard@us"),
        ({"inference_geo": "us", "speed": "fast"}, "fast@us"),
        ({"inference_geo": "us", "service_tier": "batch"}, "batch@us"),
    ],
)
def test_where_an_answer_was_made_decides_its_variant(said, variant):
    usage = {"input_tokens": 5, "output_tokens": 7, **said}
    settled = MESSAGES.usage(json.dumps({"id": "m", "usage": usage}).encode())
    assert settled.variant == variant
