"""The codecs of Mistral and Cohere: bounds, caps, usage, refusals."""

from __future__ import annotations

import json
from typing import Any

import pytest

from noburn_cli.errors import InputRefused
from noburn_cli.providers import registry
from noburn_cli.providers.ceilings import CEILINGS
from noburn_cli.providers.mistral import OVERHEAD_PROMPT_MODE, OVERHEAD_SAFE_PROMPT
from noburn_cli.providers.registry import GUARD, REFUSED, recognise

CHAT = registry.codec("mistral_chat")
FIM = registry.codec("mistral_fim")
EMBED = registry.codec("mistral_embeddings")
COHERE = registry.codec("cohere_chat")
COHERE_EMBED = registry.codec("cohere_embed")
HI = [{"role": "user", "content": "hi"}]


def body(**members: Any) -> bytes:
    return json.dumps({"model": "mistral-small", "messages": HI, **members}).encode()


def said(**part: Any) -> bytes:
    return body(messages=[{"role": "user", "content": [part]}])


@pytest.mark.parametrize(
    ("url", "api", "model"),
    [
        ("https://api.mistral.ai/v1/chat/completions", "mistral_chat", "mistral/m"),
        ("https://codestral.mistral.ai/v1/fim/completions", "mistral_fim", "mistral/m"),
        ("https://api.mistral.ai/v1/embeddings", "mistral_embeddings", "mistral/m"),
        ("https://api.cohere.com/v2/chat", "cohere_chat", "cohere/m"),
        ("https://api.cohere.com/v2/embed", "cohere_embed", "cohere/m"),
    ],
)
def test_paths(url: str, api: str, model: str) -> None:
    route = recognise("POST", url)
    assert (route.kind, route.codec.api, route.qualified("m")) == (GUARD, api, model)


@pytest.mark.parametrize(
    "url",
    [
        "https://api.mistral.ai/v1/agents/completions",
        "https://api.mistral.ai/v1/conversations",
        "https://api.eu.mistral.ai/v1/chat/completions",
        "https://api.cohere.com/v1/chat",
        "https://api.cohere.com/v2/rerank",
    ],
)
def test_other_paths_are_refused(url: str) -> None:
    assert recognise("POST", url).kind == REFUSED


def test_mistral_chat() -> None:
    call = CHAT.parse(body(n=2, max_tokens=90, random_seed=1, prompt_logprobs=True))
    assert (call.api, call.texts, call.unbounded) == ("mistral_chat", ("hi",), "")
    assert (call.output.wanted, call.output.choices) == (90, 2)
    assert call.input_kinds == ("input", "cache_read")
    plain = CHAT.parse(body()).overhead_tokens
    assert CHAT.parse(body(safe_prompt=True)).overhead_tokens == plain + OVERHEAD_SAFE_PROMPT
    mode = CHAT.parse(body(prompt_mode="reasoning"))
    assert mode.overhead_tokens == plain + OVERHEAD_PROMPT_MODE
    thought = CHAT.parse(said(type="thinking", thinking=[{"type": "text", "text": "deep words"}]))
    assert "deep words" in " ".join(thought.texts)
    assert not thought.unbounded


def test_mistral_caps() -> None:
    assert json.loads(CHAT.edit(body(), cap=7))["max_tokens"] == 7
    assert CHAT.edit(body(max_tokens=90), cap=9) == body(max_tokens=9)
    assert CHAT.edit(body(max_tokens=5), cap=9) == body(max_tokens=5)
    assert CHAT.edit(body(stream=True), cap=None) == body(stream=True)
    for garbage in ("9", 9.0, 0):
        with pytest.raises(InputRefused):
            CHAT.parse(body(max_tokens=garbage))


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (body(tools=[{"type": "image_generation"}]), "image_generation"),
        (body(guardrails=[{}]), "guardrails"),
        (body(service_tier="gold"), "gold"),
        (body(newThing=1), "newThing"),
        (said(type="input_audio", input_audio=""), "audio"),
        (said(type="document_url", document_url="x"), "pages"),
        (said(type="file", file_id="x"), "pages"),
        (said(type="hologram"), "hologram"),
    ],
)
def test_what_nothing_bounds_at_mistral(given: bytes, why: str) -> None:
    call = CHAT.parse(given)
    assert why in call.unbounded
    assert call.unbounded_kinds
    assert set(call.unbounded_kinds) <= set(CEILINGS)


def test_mistral_fim_and_embeddings() -> None:
    given = {"model": "codestral", "prompt": "def f(", "suffix": "return"}
    call = FIM.parse(json.dumps({**given, "max_tokens": 9}).encode())
    assert (set(call.texts), call.output.wanted, call.unbounded) == ({"def f(", "return"}, 9, "")
    assert json.loads(FIM.edit(json.dumps(given).encode(), cap=5))["max_tokens"] == 5
    with pytest.raises(InputRefused):
        FIM.parse(b'{"model":"codestral"}')
    assert "newThing" in FIM.parse(json.dumps({**given, "newThing": 1}).encode()).unbounded
    embedded = {"model": "mistral-embed", "input": ["a", "b"], "output_dtype": "int8"}
    call = EMBED.parse(json.dumps(embedded).encode())
    assert (call.api, call.texts, call.unbounded) == ("mistral_embeddings", ("a", "b"), "")


def test_mistral_usage() -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
    assert CHAT.usage(json.dumps({"usage": usage}).encode()).usage == {"input": 9, "output": 4}
    spoken = {"usage": {**usage, "prompt_audio_seconds": 3}}
    assert CHAT.usage(json.dumps(spoken).encode()) is None
    served = {"usage": {**usage, "service_tier": "priority"}}
    assert CHAT.usage(json.dumps(served).encode()).variant == "priority"


def test_a_mistral_stream_settles_with_the_last_finish_reason() -> None:
    reader = CHAT.stream(strip_usage=False)
    usage = {"prompt_tokens": 9, "completion_tokens": 4}
    for choice, more in (
        ({"index": 0, "delta": {"content": "x"}, "finish_reason": None}, {}),
        ({"index": 0, "delta": {}, "finish_reason": "length"}, {"usage": usage}),
    ):
        assert reader.settlement is None
        event = b"data: " + json.dumps({"choices": [choice], **more}).encode() + b"\n\n"
        assert reader.receive(event) == event
    assert (reader.ended, reader.settlement.usage) == (True, {"input": 9, "output": 4})


# -- Cohere ----------------------------------------------------------------------------------------


def test_cohere_chat() -> None:
    call = COHERE.parse(
        body(
            tools=[{"type": "function", "function": {"name": "look"}}], documents=["a page"],
            max_tokens=90, stream=True, safety_mode="STRICT",
        )
    )  # fmt: skip
    assert (call.texts, call.unbounded, call.window) == (("hi",), "", "")
    assert "look" in call.schema_text
    assert "a page" in call.schema_text
    assert (call.output.wanted, call.stream) == (90, True)
    assert json.loads(COHERE.edit(body(), cap=7))["max_tokens"] == 7
    assert COHERE.edit(body(max_tokens=90), cap=9) == body(max_tokens=9)
    assert "image" in COHERE.parse(said(type="image_url", image_url={"url": "x"})).window


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (body(thinking={"type": "enabled", "token_budget": 9}), "thinking"),
        (body(model="command-a-reasoning-08-2025"), "thinking"),
        (body(newThing=1), "newThing"),
        (said(type="hologram"), "hologram"),
    ],
)
def test_what_nothing_bounds_at_cohere(given: bytes, why: str) -> None:
    call = COHERE.parse(given)
    assert why in call.unbounded
    assert set(call.unbounded_kinds) <= set(CEILINGS)
    off = body(model="command-a-reasoning-08-2025", thinking={"type": "disabled"})
    assert not COHERE.parse(off).unbounded


def test_cohere_usage() -> None:
    units = {"input_tokens": 9.0, "output_tokens": 4}
    answer = {"id": "c", "usage": {"billed_units": units, "tokens": {"input_tokens": 99}}}
    settled = COHERE.usage(json.dumps(answer).encode())
    assert (settled.usage, settled.provider_id) == ({"input": 9, "output": 4}, "c")
    for wrong in ({"input_tokens": 9.5}, {"output_tokens": "4"}, {"search_units": 1}):
        broken = {"usage": {"billed_units": {**units, **wrong}}}
        assert COHERE.usage(json.dumps(broken).encode()) is None
    meta = {"meta": {"billed_units": {"input_tokens": 3}}}
    assert COHERE_EMBED.usage(json.dumps(meta).encode()).usage == {"input": 3}
    assert COHERE_EMBED.usage(b"{}") is None


def test_a_cohere_stream() -> None:
    reader = COHERE.stream(strip_usage=False)
    usage = {"billed_units": {"input_tokens": 9, "output_tokens": 4}}
    end = {"type": "message-end", "delta": {"finish_reason": "MAX_TOKENS", "usage": usage}}
    for data in ({"type": "message-start", "id": "c"}, end):
        reader.receive(b"data: " + json.dumps(data).encode() + b"\n\n")
    assert (reader.ended, reader.failed) == (True, False)
    assert reader.settlement.usage == {"input": 9, "output": 4}
    assert reader.settlement.provider_id == "c"


def test_cohere_embeddings() -> None:
    given = {"model": "embed-v4.0", "input_type": "search_query", "texts": ["a", "b"]}
    assert COHERE_EMBED.parse(json.dumps(given).encode()).texts == ("a", "b")
    assert "images" in COHERE_EMBED.parse(json.dumps({**given, "images": ["x"]}).encode()).unbounded
    with pytest.raises(InputRefused):
        COHERE_EMBED.parse(b'{"model":"embed-v4.0","texts":[]}')


@pytest.mark.parametrize("codec", [CHAT, FIM, COHERE])
def test_our_own_error_event_is_seen_as_a_failure(codec) -> None:
    reader = codec.stream(strip_usage=False)
    reader.receive(codec.stream_error(message="budget", code="stopped"))
    assert (reader.failed, reader.ended, reader.settlement) == (True, False, None)
