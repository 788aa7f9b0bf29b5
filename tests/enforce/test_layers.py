"""Layers that lie on each other: counted once, and each attempt below them a call of its own."""

from __future__ import annotations

import asyncio
import http.client
import json

import aiohttp
import httpx
import httpx2
import pytest
import requests

import noburn_cli
from noburn_cli.enforce.aiohttp_hook import hook_aiohttp
from noburn_cli.enforce.http_client_hook import hook_http_client

BODY = {
    "model": "gpt-6-luna",
    "messages": [{"role": "user", "content": "hi"}],
    "max_completion_tokens": 100,
}
MODULES = pytest.mark.parametrize("module", [httpx, httpx2], ids=["httpx", "httpx2"])


def retrying(module):
    """A transport of the program's own that tries again by itself."""

    class Retrying(module.HTTPTransport):
        def handle_request(self, request):
            for _ in range(2):
                response = super().handle_request(request)
                if response.status_code != 500:
                    return response
                response.close()
            return super().handle_request(request)

    return Retrying()


def retrying_async(module):
    class Retrying(module.AsyncBaseTransport):
        inner = module.AsyncHTTPTransport()

        async def handle_async_request(self, request):
            for _ in range(2):
                response = await self.inner.handle_async_request(request)
                if response.status_code != 500:
                    return response
                await response.aclose()
            return await self.inner.handle_async_request(request)

        async def aclose(self):
            await self.inner.aclose()

    return Retrying()


@MODULES
@pytest.mark.parametrize("awaited", [False, True], ids=["sync", "async"])
def test_each_attempt_of_a_retrying_transport_is_a_call_of_its_own(desk, module, awaited):
    desk.stub.defaults["x-stub-status"] = "500"
    base = desk.stub.url + "/v1"
    if awaited:

        async def main():
            transport = retrying_async(module)
            async with module.AsyncClient(base_url=base, transport=transport) as client:
                noburn_cli.wrap(client, api="openai")
                return (await client.post("/chat/completions", json=BODY)).status_code

        status = asyncio.run(main())
    else:
        with module.Client(base_url=base, transport=retrying(module)) as client:
            noburn_cli.wrap(client, api="openai")
            status = client.post("/chat/completions", json=BODY).status_code
    assert status == 500
    assert len(desk.stub.requests) == 3
    assert desk.states_when_ended() == ["uncertain"] * 3


def test_a_retry_that_succeeds_settles_its_own_hold(desk):
    attempts = []

    class Once(httpx.HTTPTransport):
        def handle_request(self, request):
            request.headers["x-stub-status"] = "500"
            super().handle_request(request).close()
            request.headers["x-stub-status"] = "200"
            attempts.append(request)
            return super().handle_request(request)

    with httpx.Client(base_url=desk.stub.url + "/v1", transport=Once()) as client:
        noburn_cli.wrap(client, api="openai")
        answer = client.post("/chat/completions", json={**BODY, "stream": True})
    assert b"completion_tokens" not in answer.content
    assert answer.content.endswith(b"data: [DONE]\n\n")
    assert desk.states_when_ended() == ["uncertain", "settled"]
    assert sorted(cost for (cost,) in desk.calls("cost_nano"))[0] == desk.bill_nano()


def test_a_transport_over_requests_is_counted_once(desk):
    hook_http_client(http.client, every_client=False)

    class OverRequests(httpx.BaseTransport):
        def handle_request(self, request):
            answer = requests.post(str(request.url), data=request.read(), timeout=30)
            return httpx.Response(answer.status_code, content=answer.content)

    with httpx.Client(base_url=desk.stub.url + "/v1", transport=OverRequests()) as client:
        noburn_cli.wrap(client, api="openai")
        for _ in range(2):
            assert client.post("/chat/completions", json=BODY).status_code == 200
    assert desk.states() == ["settled"] * 2
    assert desk.cost_nano() == desk.bill_nano()


def test_a_transport_over_aiohttp_is_counted_once(desk):
    hook_aiohttp(aiohttp, every_client=False)

    class OverAiohttp(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request):
            async with (
                aiohttp.ClientSession() as session,
                session.post(str(request.url), data=await request.aread()) as answer,
            ):
                return httpx.Response(answer.status, content=await answer.read())

    async def main():
        async with httpx.AsyncClient(base_url=desk.stub.url + "/v1",
                                     transport=OverAiohttp()) as client:  # fmt: skip
            noburn_cli.wrap(client, api="openai")
            return (await client.post("/chat/completions", json=BODY)).status_code

    assert asyncio.run(main()) == 200
    assert desk.states_when_ended() == ["settled"]
    assert desk.cost_nano() == desk.bill_nano()


def test_a_signed_request_leaves_as_it_was_signed_or_not_at_all(desk):
    signed = {"authorization": "AWS4-HMAC-SHA256 Credential=x", "accept-encoding": "gzip"}
    with httpx.Client(base_url=desk.stub.url + "/v1", headers=signed) as client:
        noburn_cli.wrap(client, api="openai")
        assert client.post("/chat/completions", json=BODY).status_code == 200
        capless = {key: value for key, value in BODY.items() if not key.startswith("max")}
        desk.limit(400_000)
        refused = client.post("/chat/completions", content=json.dumps(capless).encode())
    assert refused.status_code == 402
    assert "cannot be signed anew" in refused.text
    assert desk.states() == ["settled", "voided"]
    assert len(desk.stub.requests) == 1
