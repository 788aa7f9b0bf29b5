"""Where requests to the gateway go, from path and headers alone."""

from __future__ import annotations

import json

import pytest

from noburn_cli.enforce.gateway.asked import forwarded, is_local
from noburn_cli.enforce.gateway.routes import KEY_OF, PLACES, NoTarget, find_target
from noburn_cli.enforce.gateway.variables import ORIGINALS, pointed_to, restored
from noburn_cli.providers.credentials import KEY_VARIABLES
from noburn_cli.providers.routes import Upstream

ENDPOINTS = {"vllm": Upstream("openai", "http://gpu:8000/v1", "vllm")}
GEMINI = "https://generativelanguage.googleapis.com"


def target(path, query="", environment=None, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return find_target(path, query, named, environment or {}, ENDPOINTS).url


@pytest.mark.parametrize(
    ("path", "url"),
    [
        ("/openai/v1/chat/completions", "https://api.openai.com/v1/chat/completions"),
        ("/openai/chat/completions", "https://api.openai.com/v1/chat/completions"),
        ("/v1/chat/completions", "https://api.openai.com/v1/chat/completions"),
        ("/responses", "https://api.openai.com/v1/responses"),
        ("/v1/models", "https://api.openai.com/v1/models"),
        ("/anthropic/v1/messages", "https://api.anthropic.com/v1/messages"),
        ("/anthropic/messages", "https://api.anthropic.com/v1/messages"),
        ("/messages", "https://api.anthropic.com/v1/messages"),
        ("/gemini/v1beta/models/g:generateContent", f"{GEMINI}/v1beta/models/g:generateContent"),
        ("/gemini/models/g:countTokens", f"{GEMINI}/v1beta/models/g:countTokens"),
        ("/v1/models/g:generateContent", f"{GEMINI}/v1/models/g:generateContent"),
        ("/models/g:streamGenerateContent", f"{GEMINI}/v1beta/models/g:streamGenerateContent"),
        ("/mistral/v1/fim/completions", "https://api.mistral.ai/v1/fim/completions"),
        ("/groq/openai/v1/chat/completions", "https://api.groq.com/openai/v1/chat/completions"),
        ("/groq/chat/completions", "https://api.groq.com/openai/v1/chat/completions"),
        ("/cohere/v2/chat", "https://api.cohere.com/v2/chat"),
        ("/openrouter/v1/chat/completions", "https://openrouter.ai/api/v1/chat/completions"),
        ("/e/vllm/v1/chat/completions", "http://gpu:8000/v1/chat/completions"),
        ("/e/vllm/chat/completions", "http://gpu:8000/v1/chat/completions"),
    ],
)
def test_paths_as_sdks_append_them(path, url):
    assert target(path) == url
    assert target(path, "a=1&key=x%20y") == f"{url}?a=1&key=x%20y"


def test_the_runs_own_base_urls_come_first():
    before = {
        "OPENAI_BASE_URL": "http://stub:1/custom",
        "ANTHROPIC_BASE_URL": "http://stub:2/v1/",
        "OPENAI_API_BASE": "http://stub:3/v1",
        "AWS_REGION": "eu-west-1",
    }
    for path, url in [
        ("/openai/v1/chat/completions", "http://stub:1/custom/chat/completions"),
        ("/anthropic/v1/messages", "http://stub:2/v1/messages"),
        ("/via/OPENAI_API_BASE/chat/completions", "http://stub:3/v1/chat/completions"),
        ("/bedrock/model/m/converse",
         "https://bedrock-runtime.eu-west-1.amazonaws.com/model/m/converse"),
    ]:  # fmt: skip
        assert target(path, environment=before) == url


def test_headers_tell_what_a_path_does_not():
    assert target("/v1/models", anthropic_version="x").startswith("https://api.anthropic.com/")
    assert target("/v1/models", x_goog_api_key="x").startswith(GEMINI)
    upstream = {"x_noburn_upstream": "https://api.mistral.ai"}
    assert (
        target("/v1/chat/completions", **upstream) == "https://api.mistral.ai/v1/chat/completions"
    )


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/nowhere", {}, 404),
        ("/e/nobody/v1/x", {}, 404),
        ("/via/HOME/x", {}, 404),
        ("/via/OPENAI_API_BASE/x", {}, 404),
        ("/bedrock/model/m/converse", {}, 400),
        ("/v1/x", {"x_noburn_upstream": "http://api.openai.com"}, 400),
        ("/v1/x", {"x_noburn_upstream": "https://user@api.openai.com"}, 400),
        ("/v1/x", {"x_noburn_upstream": "https://api.openai.com?x="}, 400),
        ("/v1/x", {"x_noburn_upstream": "https://[::"}, 400),
    ],
)
def test_what_leads_nowhere(path, headers, status):
    with pytest.raises(NoTarget) as refused:
        target(path, **headers)
    assert refused.value.status == status


def test_base_urls_there_and_back():
    before = {"PATH": "/bin", "OPENAI_BASE_URL": "http://stub", "OPENAI_API_BASE": "http://other"}
    during = {**before, **pointed_to("http://127.0.0.1:9", before)}
    assert during["OPENAI_BASE_URL"] == "http://127.0.0.1:9/openai/v1"
    assert during["OPENAI_API_BASE"] == "http://127.0.0.1:9/via/OPENAI_API_BASE"
    assert "AWS_ENDPOINT_URL_BEDROCK_RUNTIME" not in during
    assert json.loads(during[ORIGINALS])["ANTHROPIC_BASE_URL"] is None
    assert restored(during) == before
    with_key = pointed_to("http://127.0.0.1:9", {"AWS_BEARER_TOKEN_BEDROCK": "k"})
    assert with_key["AWS_ENDPOINT_URL_BEDROCK_RUNTIME"] == "http://127.0.0.1:9/bedrock"
    assert restored({"A": "b", ORIGINALS: "["}) == {"A": "b"}


def test_headers_for_one_hop_and_ours_stay_here():
    kept = forwarded(
        [("Host", "h"), ("Connection", "close, X-Own"), ("X-Own", "1"), ("X-Noburn-Customer", "a"),
         ("Expect", "100-continue"), ("Authorization", "k"), ("Accept", "a"), ("Accept", "b")]
    )  # fmt: skip
    assert kept == [("Authorization", "k"), ("Accept", "a"), ("Accept", "b")]
    assert [is_local(h) for h in ("127.0.0.1:1", "localhost", "[::1]:2", "evil.example", "[")] == [
        True, True, True, False, False,
    ]  # fmt: skip


def test_every_place_has_a_key():
    assert set(KEY_OF) == {place.name for place in PLACES}
    assert set(KEY_OF.values()) <= set(KEY_VARIABLES)
