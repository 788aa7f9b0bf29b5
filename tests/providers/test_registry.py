"""Which request is guarded, passed or refused."""

from __future__ import annotations

import json

import pytest

from noburn_cli.errors import InputRefused
from noburn_cli.providers import registry
from noburn_cli.providers.registry import FREE, GUARD, NOT_OURS, REFUSED, Upstream, recognise

UPSTREAMS = (
    Upstream("openai", "http://127.0.0.1:8000/v1"),
    Upstream("anthropic", "http://127.0.0.1:9000"),
    Upstream("openai", "https://gate.example/team/openai/v1/"),
)


@pytest.mark.parametrize(
    ("method", "url", "kind"),
    [
        ("POST", "https://api.openai.com/v1/chat/completions", GUARD),
        ("post", "https://API.OpenAI.com:443/v1/responses?x=1", GUARD),
        ("POST", "https://api.openai.com/v1/embeddings/", GUARD),
        ("POST", "https://api.anthropic.com/v1/messages?beta=true", GUARD),
        ("POST", "https://api.anthropic.com/messages", GUARD),
        ("POST", "http://127.0.0.1:8000/v1/chat/completions", GUARD),
        ("POST", "http://127.0.0.1:8000/chat/completions", GUARD),
        ("POST", "http://127.0.0.1:9000/v1/messages", GUARD),
        ("POST", "https://gate.example/team/openai/responses", GUARD),
        ("POST", "https://gate.example/team/openai/v1/responses", GUARD),
        ("GET", "https://api.openai.com/v1/models", FREE),
        ("DELETE", "https://api.openai.com/v1/files/f", FREE),
        ("POST", "https://api.openai.com/v1/responses/input_tokens", FREE),
        ("POST", "https://api.openai.com/v1/moderations", FREE),
        ("POST", "https://api.anthropic.com/v1/messages/count_tokens", FREE),
        ("POST", "https://api.openai.com/v1/images/generations", REFUSED),
        ("POST", "https://api.openai.com/v1/audio/speech", REFUSED),
        ("POST", "https://api.openai.com/v1/batches", REFUSED),
        ("POST", "https://api.openai.com/v1/fine_tuning/jobs", REFUSED),
        ("POST", "https://api.openai.com/v1/completions", REFUSED),
        ("POST", "https://api.openai.com/v1/responses/compact", REFUSED),
        ("POST", "https://api.openai.com/v1/something/new", REFUSED),
        ("PUT", "https://api.openai.com/v1/chat/completions", REFUSED),
        ("PATCH", "https://api.openai.com/v1/x", REFUSED),
        ("GET", "wss://api.openai.com/v1/realtime?model=x", REFUSED),
        ("GET", "wss://api.openai.com/v1/responses", REFUSED),
        ("POST", "https://api.anthropic.com/v1/messages/batches", REFUSED),
        ("POST", "https://api.anthropic.com/v1/complete", REFUSED),
        ("POST", "https://api.anthropic.com/v1/%6dessages", REFUSED),
        ("POST", "http://127.0.0.1:8000/other/chat/completions", REFUSED),
        ("POST", "https://eu.api.openai.com/v1/chat/completions", REFUSED),
        ("GET", "https://eu.api.openai.com/v1/models", FREE),
        ("POST", "https://example.com/v1/chat", NOT_OURS),
        ("GET", "https://example.com/v1/chat/completions", NOT_OURS),
        ("POST", "https://api.openai.com.example.com/v1/x", NOT_OURS),
        ("POST", "https://notapi.openai.com/", NOT_OURS),
        ("POST", "http://127.0.0.1:8001/v1/models", NOT_OURS),
        ("POST", "http://[broken", NOT_OURS),
    ],
)
def test_routes(method, url, kind):
    route = recognise(method, url, UPSTREAMS)
    assert route.kind == kind
    assert (route.codec is not None) == (kind == GUARD)
    assert bool(route.reason and route.next_step) == (kind == REFUSED)


@pytest.mark.parametrize(
    ("path", "body", "kind"),
    [
        ("/v1/chat/completions", {"model": "m", "messages": [{}]}, REFUSED),
        ("/api/v1/messages", {"model": "m", "messages": [{}]}, REFUSED),
        ("/x/responses", {"model": "m", "input": "hi"}, REFUSED),
        ("/embeddings", {"model": "m", "input": ["hi"]}, REFUSED),
        ("/responses", {"model": "m", "answer": 5}, NOT_OURS),
        ("/messages", {"messages": [{}]}, NOT_OURS),
        ("/messages", [1], NOT_OURS),
    ],
)
def test_a_call_to_an_unlisted_host_is_refused_by_its_body(path, body, kind):
    url = "https://llm.example" + path
    first = recognise("POST", url)
    assert (first.kind, first.look_into_body) == (NOT_OURS, True)
    second = recognise("POST", url, body=json.dumps(body).encode())
    assert second.kind == kind
    if kind == REFUSED:
        wanted = "ANTHROPIC_BASE_URL" if "messages" in path else "OPENAI_BASE_URL"
        assert wanted in second.next_step


@pytest.mark.parametrize(
    ("body", "api"),
    [
        ({"model": "gpt-6-luna", "messages": []}, "openai_chat"),
        ({"model": "claude-opus-5-5", "messages": []}, "anthropic_messages"),
        ({"messages": [], "system": "x"}, "anthropic_messages"),
        ({"model": "gpt-6-luna", "input": "x"}, "openai_responses"),
        ({"model": "text-embedding-3-small", "input": "x"}, "openai_embeddings"),
        ({"prompt": "x"}, None),
        ({"model": ["gpt"], "input": "x"}, "openai_responses"),
    ],
)
def test_the_api_of_a_body_without_a_url(body, api):
    assert registry.guess_api(body) == api


def test_parse_body_refuses_what_it_cannot_place():
    with pytest.raises(InputRefused, match="neither"):
        registry.parse_body(None, b'{"prompt":"x"}')
    with pytest.raises(InputRefused, match="no codec"):
        registry.parse_body("gemini", b"{}")


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize(
    ("path", "kind", "api"),
    [
        ("/v1/messages", GUARD, "anthropic_messages"),
        ("/v1/chat/completions", GUARD, "openai_chat"),
        ("/v1/messages/count_tokens", FREE, None),
        ("/v1/responses/input_tokens", FREE, None),
        ("/v1/audio/speech", REFUSED, None),
    ],
)
def test_one_server_may_stand_for_two_providers(
    order: tuple[int, int], path: str, kind: str, api: str | None
) -> None:
    """Goal: whichever provider knows the path decides, not the one that was named first."""
    named = (Upstream("openai", "http://gate:1/v1"), Upstream("anthropic", "http://gate:1"))
    route = recognise("POST", f"http://gate:1{path}", [named[index] for index in order])
    assert route.kind == kind
    assert (route.codec.api if route.codec else None) == api
