"""Codecs and garbage: one named error, and the same result wherever the bytes are cut."""

from __future__ import annotations

import contextlib
import itertools
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from noburn_cli.errors import InputRefused
from noburn_cli.providers import registry
from noburn_cli.providers.collect import names
from noburn_cli.providers.paths import CODECS
from noburn_cli.providers.sse import EventSplitter

APIS = tuple(CODECS)

_KEYS = st.sampled_from(
    sorted(
        names(
            "model messages input max_tokens max_completion_tokens max_output_tokens n stream "
            "tools role content type text thinking budget_tokens cache_control ttl stream_options "
            "system include_usage reasoning service_tier function name usage prompt_tokens choices "
            "prompt_cache_options mode moderation source data citations output format "
            "prompt suffix best_of contents parts generationConfig maxOutputTokens thinkingConfig "
            "thinkingBudget functionCall inlineData mimeType fileData requests usageMetadata "
            "promptTokenCount candidates finishReason serviceTier systemInstruction "
            "inferenceConfig maxTokens toolConfig toolUse cachePoint inputTokens inputText "
            "additionalModelRequestFields anthropic_version modelId"
        )
    )
)
_WORDS = st.sampled_from(
    sorted(
        names(
            "gpt-6-luna claude-opus-5-5 user assistant text image_url tool_use tool_result 1h "
            "ephemeral function enabled flex message reasoning document item_reference "
            "\ud800 \u00e9"
        )
    )
)
_LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), _WORDS, st.text()
)
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.one_of(_KEYS, st.text()), inner, max_size=6)
    ),
    max_leaves=25,
)
_OBJECTS = st.dictionaries(_KEYS, _VALUES, max_size=8)


def every_answer(api: str, body: bytes) -> None:
    """Call whatever reads a body; only InputRefused may come out."""
    codec = registry.codec(api)
    for read in (
        codec.parse,
        lambda b: codec.edit(b, cap=100),
        lambda b: codec.edit(b, cap=None),
        lambda b: codec.with_model("https://api.example/v1/x", b, "other"),
        codec.asks_usage,
        codec.count_request,
        codec.parse_count,
        lambda b: registry.parse_body(None, b),
    ):
        with contextlib.suppress(InputRefused):
            read(body)
    codec.usage(body)  # An answer that cannot be read says nothing; that is no error.


@pytest.mark.parametrize("api", APIS)
@given(body=st.binary(max_size=200))
def test_garbage_bytes(api, body):
    every_answer(api, body)


@pytest.mark.parametrize("api", APIS)
@given(value=_OBJECTS)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_garbage_objects(api, value):
    every_answer(api, json.dumps(value).encode())


@pytest.mark.parametrize("api", APIS)
@given(rest=_OBJECTS)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_nearly_right_requests(api, rest):
    """The fields that get a body past the first checks, and garbage in the others."""
    message = {"role": "user", "content": "hi"}
    body = {**rest, "model": "gpt-6-luna", "max_tokens": 50, "stream": True}
    body.setdefault("messages", [message])
    body.setdefault("input", [message])
    body.setdefault("prompt", "hi")
    body.setdefault("contents", [{"parts": [{"text": "hi"}]}])
    every_answer(api, json.dumps(body).encode())


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("depth", [400, 900, 5_000, 200_000])
def test_deep_nesting_is_refused_or_read_never_a_crash(api, depth):
    for opening, closing in (("[", "]"), ('{"cache_control":', "}")):
        nested = opening * depth + "1" + closing * depth
        every_answer(api, f'{{"model":"m","max_tokens":5,"messages":{nested}}}'.encode())
        content = f'[{{"role":"user","content":{nested}}}]'
        every_answer(api, f'{{"model":"m","max_tokens":5,"messages":{content}}}'.encode())
        every_answer(
            api, f'{{"model":"m","input":[{{"role":"user","content":{nested}}}]}}'.encode()
        )


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"m","messages":[{"role":"user","content":"a","content":"b"}]}',
        b'{"model":"m","model":"n","messages":[{"role":"user","content":"a"}]}',
        b'{"model":"m","messages":[{"role":"user","content":NaN}]}',
        b'{"model":"m","messages":[{"role":"user","content":"a"}]} x',
        b'\xef\xbb\xbf{"model":"m","messages":[{"role":"user","content":"a"}]}',
        b"[1]",
        b"",
        b"{",
        b'{"model":"m",}',
    ],
)
def test_what_two_readers_could_read_differently_is_refused(body):
    with pytest.raises(InputRefused):
        registry.codec("openai_chat").parse(body)


def chat_stream(ending: str) -> bytes:
    """A chat stream in one kind of line end, with everything that SSE allows."""
    usage = {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16}
    lines = [
        ": a comment",
        "",
        'data: {"id":"c1","model":"m","choices":[{"delta":{"content":"héé 🚀 \\"usage\\""}}],',
        'data:"usage":null}',
        "id: 7",
        "retry: 10",
        "",
        "event: message",
        'data: {"id":"c1","choices":[{"delta":{},"finish_reason":"stop"}],"usage":null}',
        "",
        "data: " + json.dumps({"id": "c1", "model": "m", "choices": [], "usage": usage}),
        "",
        "data: [DONE]",
        "",
        "",
    ]
    return b"\xef\xbb\xbf" + ending.join(lines).encode()


def claude_stream(ending: str) -> bytes:
    start = {"input_tokens": 9, "output_tokens": 1, "cache_read_input_tokens": 4}
    events = [
        ("message_start", {"message": {"id": "m1", "model": "claude", "usage": start}}),
        ("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": "Grüße 🚀"}}),
        ("ping", {}),
        ("message_delta", {"delta": {"stop_reason": None}, "usage": {"output_tokens": 3}}),
        ("message_delta", {"delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 8}}),
        ("message_stop", {}),
    ]
    lines = []
    for name, data in events:
        told = json.dumps({"type": name, **data}, ensure_ascii=False)
        lines += [f"event: {name}", f"data: {told}", ""]
    return ending.join([*lines, ""]).encode()


def responses_stream(ending: str) -> bytes:
    usage = {"input_tokens": 9, "output_tokens": 4, "input_tokens_details": {"cached_tokens": 2}}
    response = {"id": "r1", "model": "m", "service_tier": "flex", "usage": usage}
    events = [
        ("response.created", {"response": {"id": "r1", "usage": None}}),
        ("response.output_text.delta", {"delta": "Grüße 🚀"}),
        ("response.incomplete", {"response": response}),
    ]
    lines = []
    for name, data in events:
        told = json.dumps({"type": name, **data}, ensure_ascii=False)
        lines += [f"event: {name}", f"data: {told}", ""]
    return ending.join([*lines, ""]).encode()


def follow(api: str, chunks: list[bytes], *, strip: bool):
    reader = registry.codec(api).stream(strip_usage=strip)
    handed_on = b"".join(reader.receive(chunk) for chunk in chunks) + reader.close()
    return handed_on, reader.settlement, reader.ended, reader.failed


def cuts(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted({place % (len(data) + 1) for place in places}), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges)]


def gemini_stream(ending: str) -> bytes:
    usage = {"promptTokenCount": 9, "thoughtsTokenCount": 2, "candidatesTokenCount": 3}
    parts = {"content": {"parts": [{"text": "Grüße 🚀"}]}, "index": 0}
    lines = []
    for candidate, total in ((parts, 12), ({"finishReason": "STOP", "index": 0}, 14)):
        told = {"candidates": [candidate], "usageMetadata": {**usage, "totalTokenCount": total}}
        lines += ["data: " + json.dumps(told, ensure_ascii=False), ""]
    return ending.join([*lines, ""]).encode()


def cohere_stream(ending: str) -> bytes:
    usage = {"billed_units": {"input_tokens": 9.0, "output_tokens": 4}}
    events = [
        {"type": "message-start", "id": "c1"},
        {"type": "content-delta", "delta": {"message": {"content": {"text": "Grüße 🚀"}}}},
        {"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": usage}},
    ]
    lines = []
    for told in events:
        data = json.dumps(told, ensure_ascii=False)
        lines += [f"event: {told['type']}", f"data: {data}", ""]
    return ending.join([*lines, ""]).encode()


STREAMS = {
    "openai_chat": chat_stream,
    "openai_completions": chat_stream,
    "gemini": gemini_stream,
    "cohere_chat": cohere_stream,
    "openai_responses": responses_stream,
    "anthropic_messages": claude_stream,
}


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize("strip", [False, True])
@pytest.mark.parametrize("api", STREAMS)
@given(places=st.lists(st.integers(0, 10_000), max_size=40))
def test_a_stream_reads_the_same_wherever_it_is_cut(api, strip, ending, places):
    data = STREAMS[api](ending)
    whole = follow(api, [data], strip=strip)
    assert whole[1] is not None
    assert whole[2] is True
    assert whole[3] is False
    assert follow(api, cuts(data, places), strip=strip) == whole
    assert follow(api, [data[n : n + 1] for n in range(len(data))], strip=strip) == whole
    if not (strip and STREAMS[api] is chat_stream):
        assert whole[0] == data


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
def test_only_the_usage_event_is_left_out(ending):
    data = chat_stream(ending)
    handed_on, settlement, _, _ = follow("openai_chat", [data], strip=True)
    lines = data.decode().split(ending)
    at = next(n for n, line in enumerate(lines) if '"total_tokens"' in line)
    assert handed_on.decode() == ending.join(lines[:at] + lines[at + 2 :])
    assert settlement.usage == {"input": 11, "output": 5}


@given(data=st.binary(max_size=300), places=st.lists(st.integers(0, 300), max_size=10))
def test_garbage_streams_pass_unchanged(data, places):
    for api in STREAMS:
        for strip in (False, True):
            handed_on, settlement, _, _ = follow(api, cuts(data, places), strip=strip)
            assert handed_on == data
            assert settlement is None


@given(
    data=st.text("ab:d \n\r", max_size=80).map(str.encode),
    places=st.lists(st.integers(0, 80), max_size=10),
)
def test_events_joined_again_are_the_bytes(data, places):
    splitter = EventSplitter()
    events = [event for chunk in cuts(data, places) for event in splitter.receive(chunk)]
    rest = splitter.rest()
    assert b"".join(e.raw for e in events) + (rest.raw if rest else b"") == data


def test_an_event_that_is_too_large_is_handed_on_unread():
    from noburn_cli.providers.openai_chat import ChatStream

    reader = ChatStream(strip_usage=True, event_bytes_max=100)
    data = b"data: " + b"x" * 300 + b"\n\n" + chat_stream("\n")
    handed_on = b"".join(reader.receive(data[n : n + 50]) for n in range(0, len(data), 50))
    assert handed_on + reader.close() == data
    assert reader.settlement is None
