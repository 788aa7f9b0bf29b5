"""The real key is on the wire of every stack, and in nothing that the program sees."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request

import aiohttp
import pytest
import requests

import noburn_cli
from noburn_cli import protocol
from noburn_cli.client import Client
from noburn_cli.enforce import layers
from noburn_cli.providers.registry import OPENAI, Upstream
from tests.enforce.scripted import Answer, Scripted, chat_answer

REAL = "sk-real-0123456789abcdef"
VIRTUAL = "sk-noburn-vk-5f3a"
KEYED = {"Authorization": f"Bearer {VIRTUAL}"}
BODY = {"model": "gpt-6-luna", "messages": [{"role": "user", "content": "hi"}],
        "max_completion_tokens": 20}  # fmt: skip


@pytest.fixture(autouse=True)
def lender(desk):
    with Client(desk.home.folder) as client:
        client.request(protocol.KEYS_LEND, run="r1", keys={VIRTUAL: REAL})
        yield


@pytest.fixture
def provider():
    with (
        Scripted(chat_answer) as running,
        layers.marking((Upstream(OPENAI, running.url + "/v1"),)),
    ):
        yield running


def by_requests(url):
    with requests.Session() as session:
        noburn_cli.wrap(session, api="openai", base_url=url)
        called = session.post(url + "/chat/completions", json=BODY, headers=KEYED, timeout=30)
        listed = session.get(url + "/models", headers=KEYED, timeout=30)
        for answer in (called, listed):
            assert answer.request.headers["Authorization"] == f"Bearer {VIRTUAL}"
        return [called.status_code, listed.status_code]


def by_urllib(url):
    noburn_cli.wrap(requests.Session())  # The hook below it is the same.
    statuses = []
    for path, data in (("/chat/completions", json.dumps(BODY).encode()), ("/models", None)):
        request = urllib.request.Request(url + path, data=data, headers=KEYED)
        with urllib.request.urlopen(request, timeout=30) as answer:
            statuses.append(answer.status)
            answer.read()
        assert request.get_header("Authorization") == f"Bearer {VIRTUAL}"
    return statuses


def by_aiohttp(url):
    async def main():
        statuses = []
        async with aiohttp.ClientSession(headers=KEYED) as session:
            noburn_cli.wrap(session, api="openai", base_url=url)
            for method, path, body in (
                ("POST", "/chat/completions", BODY),
                ("GET", "/models", None),
            ):
                async with session.request(method, url + path, json=body) as answer:
                    await answer.read()
                    statuses.append(answer.status)
                    assert answer.request_info.headers["Authorization"] == f"Bearer {VIRTUAL}"
        return statuses

    return asyncio.run(main())


@pytest.mark.parametrize("ask", [by_requests, by_urllib, by_aiohttp])
def test_calls_and_free_requests_get_the_real_key(desk, provider, ask):
    assert ask(provider.url + "/v1") == [200, 200]
    keys = [seen.headers["authorization"] for seen in provider.seen]
    assert keys == [f"Bearer {REAL}"] * 2
    assert desk.states_when_ended() == ["settled"]


def test_a_key_in_the_query_is_exchanged_as_well(desk, provider):
    usage = {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5}
    provider.answer = lambda _: Answer(body=json.dumps({"usageMetadata": usage}).encode())
    path = "/v1beta/models/gemini-3.8-flash:generateContent"
    body = {"contents": [{"parts": [{"text": "hi"}]}], "generationConfig": {"maxOutputTokens": 20}}
    with requests.Session() as session:
        noburn_cli.wrap(session, api="google", base_url=provider.url)
        answer = session.post(f"{provider.url}{path}?key={VIRTUAL}", json=body, timeout=30)
    assert answer.status_code == 200, answer.text
    assert provider.seen[0].path == f"{path}?key={REAL}"
    assert VIRTUAL in answer.url
    assert desk.states() == ["settled"]


def test_a_key_that_nobody_lends_is_the_providers_401(desk, provider):
    other = {"Authorization": "Bearer sk-noburn-vk-0000"}
    with requests.Session() as session:
        noburn_cli.wrap(session, api="openai", base_url=provider.url + "/v1")
        answer = session.post(
            provider.url + "/v1/chat/completions", json=BODY, headers=other, timeout=30
        )
    assert answer.status_code == 401
    assert provider.seen == []
