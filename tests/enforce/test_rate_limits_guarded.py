"""Budgets over at most a minute answer as a provider's own rate limit, and SDKs do the rest."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import httpx
import openai
import pytest

import noburn_cli
from noburn_cli.providers import registry

MESSAGES = [{"role": "user", "content": "Which ships lay in the harbour that winter?"}]


@pytest.fixture
def limited(desk: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Two requests a minute, for one who does not wait."""
    monkeypatch.setenv("NOBURN_WAIT_S", "0")
    two_requests(desk, "1m")
    return desk


def two_requests(desk: Any, per: str) -> None:
    limit = {"unit": "requests", "amount": 2}
    desk.home.client.request("budget.set", scope=f"customer={desk.customer}", per=per, limit=limit)


def by_openai(url: str, retries: int) -> Any:
    client = openai.OpenAI(api_key="any", base_url=f"{url}/v1", max_retries=retries)
    with noburn_cli.wrap(client):
        for _ in range(3):
            client.chat.completions.create(model="gpt-6-luna", messages=MESSAGES)


def by_anthropic(url: str, retries: int) -> Any:
    client = anthropic.Anthropic(api_key="any", base_url=url, max_retries=retries)
    with noburn_cli.wrap(client):
        for _ in range(3):
            client.messages.create(model="claude-haiku-5-5", messages=MESSAGES, max_tokens=50)


@pytest.mark.parametrize("calls", [by_openai, by_anthropic])
def test_an_sdk_waits_and_tries_again_by_itself(limited: Any, calls: Any) -> None:
    # Its own window, short enough to be waited for, and long enough for two calls.
    limited.home.client.request("budget.rm", scope=f"customer={limited.customer}", per="1m",
                                unit="requests")  # fmt: skip
    two_requests(limited, "5s")
    calls(limited.stub.url, 2)
    states = limited.states_when_ended()
    # Each attempt is a call of its own; the first one in the way was told when there is room.
    assert (states[:3], states[-1]) == (["settled", "settled", "blocked"], "settled")
    assert states.count("settled") == 3
    assert limited.cost_nano() == limited.bill_nano() > 0


def test_without_retries_it_is_the_sdks_own_rate_limit_error(limited: Any) -> None:
    with pytest.raises(openai.RateLimitError) as hit:
        by_openai(limited.stub.url, 0)
    assert (hit.value.code, hit.value.type) == ("rate_limit_exceeded", "requests")
    assert "per 1m in requests` has 0 requests left" in hit.value.message
    with pytest.raises(anthropic.RateLimitError) as limit:
        by_anthropic(limited.stub.url, 0)
    assert limit.value.body["error"]["type"] == "rate_limit_error"
    headers = hit.value.response.headers
    assert headers["x-should-retry"] == "true"
    assert 0 < int(headers["retry-after-ms"]) <= int(headers["retry-after"]) * 1000 <= 60_000
    assert limited.states_when_ended() == ["settled"] * 2 + ["blocked"] * 2


def test_what_lasts_longer_is_no_rate_limit(limited: Any) -> None:
    """A month that is spent is said as such, though the short window is full as well."""
    two_requests(limited, "month")
    with pytest.raises(openai.APIStatusError) as blocked:
        by_openai(limited.stub.url, 2)
    assert (blocked.value.status_code, limited.states_when_ended()) == (
        402, ["settled", "settled", "blocked"]
    )  # fmt: skip


SHAPES = {
    "openai_responses": {"error": {"code": "rate_limit_exceeded", "type": "tokens"}},
    "anthropic_batches": {"type": "error", "error": {"type": "rate_limit_error"}},
    "gemini": {"error": {"status": "RESOURCE_EXHAUSTED", "code": 429}},
    "bedrock_converse": {},
    "mistral_chat": {"type": "rate_limited", "object": "error"},
    "cohere_chat": {},
}


@pytest.mark.parametrize("api", SHAPES)
def test_every_api_words_it_as_its_own(api: str) -> None:
    block = registry.codec(api).rate_limit(message="so many", unit="tokens", retry_after_ms=1500)
    headers = httpx.Headers(list(block.headers))
    said = json.loads(block.body)
    assert (block.status, headers["retry-after"], headers["retry-after-ms"]) == (429, "2", "1500")

    def holds(expected: Any, found: Any) -> bool:
        if not isinstance(expected, dict):
            return bool(expected == found)
        return all(holds(value, found[key]) for key, value in expected.items())

    assert holds(SHAPES[api], said)
    assert "so many" in json.dumps(said)
    if api == "gemini":
        assert said["error"]["details"][0]["retryDelay"] == "1.5s"
    if api == "bedrock_converse":
        assert headers["x-amzn-errortype"] == "ThrottlingException"
