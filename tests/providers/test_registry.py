"""Which request is guarded, passed or refused."""

from __future__ import annotations

import json

import pytest
import tomllib

from noburn_cli.errors import InputRefused
from noburn_cli.providers import registry
from noburn_cli.providers.codec import CountRequest
from noburn_cli.providers.registry import (
    FOLLOW,
    FREE,
    GUARD,
    NOT_OURS,
    REFUSED,
    Upstream,
    recognise,
)

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
        ("POST", "https://api.openai.com/v1/images/generations", GUARD),
        ("POST", "https://api.openai.com/v1/audio/speech", GUARD),
        ("POST", "https://api.openai.com/v1/batches", GUARD),
        ("POST", "https://api.openai.com/v1/fine_tuning/jobs", GUARD),
        ("POST", "https://api.openai.com/v1/completions", GUARD),
        ("POST", "https://api.openai.com/v1/responses/compact", REFUSED),
        ("POST", "https://api.openai.com/v1/something/new", REFUSED),
        ("PUT", "https://api.openai.com/v1/chat/completions", REFUSED),
        ("PATCH", "https://api.openai.com/v1/x", REFUSED),
        ("GET", "wss://api.openai.com/v1/realtime?model=x", REFUSED),
        ("GET", "wss://api.openai.com/v1/responses", REFUSED),
        ("POST", "https://api.anthropic.com/v1/messages/batches", GUARD),
        ("GET", "https://api.anthropic.com/v1/messages/batches/msgbatch_1/results", FOLLOW),
        ("GET", "https://api.anthropic.com/v1/messages/batches/msgbatch_1", FREE),
        ("POST", "https://api.anthropic.com/v1/complete", REFUSED),
        ("POST", "https://api.anthropic.com/v1/%6dessages", REFUSED),
        ("POST", "http://127.0.0.1:8000/other/chat/completions", REFUSED),
        ("POST", "https://eu.api.openai.com/v1/chat/completions", GUARD),
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
    assert (route.codec is not None) == (kind in (GUARD, FOLLOW))
    assert bool(route.reason and route.next_step) == (kind == REFUSED)


@pytest.mark.parametrize(
    ("path", "body", "kind"),
    [
        ("/v1/chat/completions", {"model": "m", "messages": [{}]}, REFUSED),
        ("/api/v1/messages", {"model": "m", "messages": [{}]}, REFUSED),
        ("/x/responses", {"model": "m", "input": "hi"}, REFUSED),
        ("/embeddings", {"model": "m", "input": ["hi"]}, REFUSED),
        ("/v2/chat", {"model": "m", "messages": [{}]}, REFUSED),
        ("/v1beta/models/m:generateContent", {"contents": [{}]}, REFUSED),
        ("/model/m/converse", {"messages": [{}]}, REFUSED),
        ("/v2/chat", {"messages": [{}]}, NOT_OURS),
        ("/responses", {"model": "m", "answer": 5}, NOT_OURS),
        ("/messages", {"messages": [{}]}, NOT_OURS),
        ("/messages", {"model": "car", "content": "for sale"}, NOT_OURS),
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
        wanted = {
            "/messages": "ANTHROPIC_BASE_URL",
            "2/chat": "CO_API_URL",
            "Content": "GOOGLE_GEMINI_BASE_URL",
            "/converse": "AWS_ENDPOINT_URL_BEDROCK_RUNTIME",
        }
        names = [name for end, name in wanted.items() if path.endswith(end)]
        assert (names or ["OPENAI_BASE_URL"])[0] in second.next_step
        lines = tomllib.loads(second.next_step.partition("\n\n")[2])
        (endpoint,) = lines["endpoint"]
        assert endpoint["prices"] == "?"
        listed = Upstream(endpoint["api"], endpoint["base_url"], endpoint["name"])
        route = recognise("POST", url, [listed])
        assert (route.kind, route.qualified("m")) == (GUARD, "llm-example/m")


@pytest.mark.parametrize(
    ("body", "api"),
    [
        ({"model": "gpt-6-luna", "messages": []}, "openai_chat"),
        ({"model": "claude-opus-5-5", "messages": []}, "anthropic_messages"),
        ({"messages": [], "system": "x"}, "anthropic_messages"),
        ({"model": "gpt-6-luna", "input": "x"}, "openai_responses"),
        ({"model": "text-embedding-3-small", "input": "x"}, "openai_embeddings"),
        ({"prompt": "x"}, "openai_completions"),
        ({"question": "x"}, None),
        ({"model": ["gpt"], "input": "x"}, "openai_responses"),
    ],
)
def test_the_api_of_a_body_without_a_url(body, api):
    assert registry.guess_api(body) == api


def test_parse_body_refuses_what_it_cannot_place():
    with pytest.raises(InputRefused, match="neither"):
        registry.parse_body(None, b'{"question":"x"}')
    with pytest.raises(InputRefused, match="no codec"):
        registry.parse_body("nonesuch", b"{}")


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize(
    ("path", "kind", "api"),
    [
        ("/v1/messages", GUARD, "anthropic_messages"),
        ("/v1/chat/completions", GUARD, "openai_chat"),
        ("/v1/messages/count_tokens", FREE, None),
        ("/v1/responses/input_tokens", FREE, None),
        ("/v1/audio/speech", GUARD, "openai_speech"),
        ("/v1/something/new", REFUSED, None),
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


@pytest.mark.parametrize(
    ("url", "kind", "model"),
    [
        ("https://api.openai.com/v1/chat/completions", GUARD, "m"),
        ("https://api.groq.com/openai/v1/chat/completions", GUARD, "groq/m"),
        ("https://api.deepseek.com/chat/completions", GUARD, "deepseek/m"),
        ("https://api.deepseek.com/beta/chat/completions", GUARD, "deepseek/m"),
        ("https://api.deepseek.com/anthropic/v1/messages", GUARD, "deepseek/m"),
        ("https://api.together.xyz/v1/chat/completions", GUARD, "together/m"),
        ("https://openrouter.ai/api/v1/chat/completions", GUARD, "openrouter/m"),
        ("https://openrouter.ai/login", NOT_OURS, ""),
        ("https://api.x.ai/v1/responses", GUARD, "xai/m"),
        ("https://api.fireworks.ai/inference/v1/chat/completions", GUARD, "fireworks/m"),
        ("https://generativelanguage.googleapis.com/v1beta/openai/chat/completions", GUARD,
         "google/m"),
        ("https://lab.openai.azure.com/openai/v1/chat/completions", GUARD, "azure/m"),
        ("https://lab.cognitiveservices.azure.com/speech/recognise", NOT_OURS, ""),
        ("https://lab.services.ai.azure.com/anthropic/v1/messages", GUARD, "azure/m"),
        ("https://api.perplexity.ai/chat/completions", REFUSED, ""),
        ("https://eu-west4-aiplatform.googleapis.com/v1/projects/p/x:generateContent", REFUSED, ""),
        ("https://bedrock-agent-runtime.eu-west-1.amazonaws.com/agents/a/text", REFUSED, ""),
        ("https://bedrock-runtime.eu-west-1.amazonaws.com/model/m/invented", REFUSED, ""),
        ("https://generativelanguage.googleapis.com/v1beta/models/m:predict", REFUSED, ""),
        ("https://generativelanguage.googleapis.com/v1beta/models/m:countTokens", FREE, ""),
        ("https://generativelanguage.googleapis.com/upload/v1beta/files", FREE, ""),
        ("https://api.mistral.ai/v1/ocr", REFUSED, ""),
        ("https://api.cohere.com/v2/rerank", REFUSED, ""),
    ],
)  # fmt: skip
def test_known_hosts(url: str, kind: str, model: str) -> None:
    route = recognise("POST", url)
    assert route.kind == kind
    if kind == GUARD:
        assert route.qualified("m") == model
        assert route.qualified(model) == model


def test_deployments_are_called_as_the_configuration_says() -> None:
    listed = Upstream("openai", "https://gate.example/v1", "azure", (("prod", "gpt-6-luna"),))
    route = recognise("POST", "https://gate.example/v1/chat/completions", [listed])
    assert route.qualified("prod") == "azure/gpt-6-luna"
    assert route.qualified("other") == "azure/other"


def test_a_bare_base_url_does_not_take_a_known_host_its_prices() -> None:
    """Goal: `openai/gpt-…` at OpenRouter is OpenRouter's, though OPENAI_BASE_URL leads there."""
    named = [Upstream("openai", "https://openrouter.ai/api/v1")]
    route = recognise("POST", "https://openrouter.ai/api/v1/chat/completions", named)
    assert route.qualified("openai/gpt-6-luna") == "openrouter/openai/gpt-6-luna"
    named = [Upstream("openai", "https://eu.api.openai.com/v1")]
    route = recognise("POST", "https://eu.api.openai.com/v1/responses", named)
    assert (route.region, route.qualified("gpt-6-luna")) == ("eu", "gpt-6-luna")
    assert recognise("POST", "https://api.openai.com/v1/responses").region == ""


def test_an_endpoint_on_a_regional_host_bills_what_the_region_costs() -> None:
    named = [Upstream("openai", "https://eu.api.openai.com/v1", models=(("mine", "gpt-6-luna"),))]
    route = recognise("POST", "https://eu.api.openai.com/v1/responses", named)
    assert (route.region, route.qualified("mine")) == ("eu", "gpt-6-luna")


@pytest.mark.parametrize("order", [1, -1])
def test_of_two_base_urls_on_one_server_the_longer_decides(order: int) -> None:
    named = [Upstream("openai", "http://gate:1/v1"), Upstream("openai", "http://gate:1", "groq")]
    ours = recognise("POST", "http://gate:1/v1/chat/completions", named[::order])
    assert ours.qualified("m") == "m"
    theirs = recognise("POST", "http://gate:1/openai/v1/chat/completions", named[::order])
    assert theirs.qualified("m") == "groq/m"


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("https://h/v1beta/models/m:generateContent?alt=sse&key=k",
         "https://h/v1beta/models/m:countTokens?key=k"),
        ("https://h/models/m%3AstreamGenerateContent", "https://h/models/m:countTokens"),
    ],
)  # fmt: skip
def test_where_a_count_is_asked_for(url: str, wanted: str) -> None:
    assert CountRequest(":countTokens", b"", replaces_method=True).url_of(url) == wanted
    assert CountRequest("/c", b"").url_of("https://h/v1/messages?beta=true") == (
        "https://h/v1/messages/c?beta=true"
    )
