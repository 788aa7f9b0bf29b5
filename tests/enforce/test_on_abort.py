"""`on_abort = "drain"`: what the program lets go of is read on, and booked at what it cost."""

from __future__ import annotations

import asyncio
import http.client
import json

import aiohttp
import openai
import pytest
import requests

import noburn_cli
from noburn_cli.enforce import layers
from noburn_cli.enforce.aiohttp_hook import hook_aiohttp
from noburn_cli.enforce.http_client_hook import hook_http_client
from noburn_cli.enforce.received import Received
from noburn_cli.providers.registry import OPENAI, Upstream
from tests.enforce.conftest import FOREVER_MS

BODY = {
    "model": "gpt-6-luna",
    "messages": [{"role": "user", "content": "Which ships lay in the harbour?"}],
    "max_completion_tokens": 100,
}


@pytest.fixture(autouse=True)
def draining(desk, monkeypatch):
    monkeypatch.setenv("NOBURN_POLICY", json.dumps({"on_abort": "drain"}))
    hook_http_client(http.client, every_client=False)
    hook_aiohttp(aiohttp, every_client=False)
    desk.stub.defaults["x-stub-chunk-delay-ms"] = "20"
    with layers.marking((Upstream(OPENAI, desk.stub.url + "/v1"),)):
        yield


@pytest.fixture
def url(desk):
    return desk.stub.url + "/v1/chat/completions"


def wrapped(desk, kind):
    return noburn_cli.wrap(
        kind(api_key="any", base_url=desk.stub.url + "/v1", max_retries=0, timeout=30)
    )


def booked(desk):
    """Goal: what nobody read is settled at the bill, to the nano."""
    assert desk.states_when_ended() == ["settled"]
    assert desk.cost_nano() == desk.bill_nano() > 0
    assert desk.calls("cost_nano < hold_nano") == [(1,)]


def test_a_stream_that_openai_closes_early(desk):
    with wrapped(desk, openai.OpenAI) as client:
        stream = client.chat.completions.create(**BODY, stream=True)
        next(iter(stream))
        stream.close()
        booked(desk)


@pytest.mark.parametrize("how", ["closed", "cancelled"])
def test_an_awaited_stream(desk, how):
    async def main():
        async with wrapped(desk, openai.AsyncOpenAI) as client:
            stream = await client.chat.completions.create(**BODY, stream=True)
            if how == "closed":
                await anext(aiter(stream))
                await stream.close()
            else:
                reading = asyncio.ensure_future(_all(stream))
                await asyncio.sleep(0.05)
                await cancelled(desk, reading)
            await asyncio.to_thread(booked, desk)

    asyncio.run(main())


async def _all(stream):
    async for _ in stream:
        pass


async def cancelled(desk, asking):
    """Cancel what the provider has been asked, and let it answer then."""
    while not desk.stub.requests:
        await asyncio.sleep(0.01)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    desk.stub.hurry.set()


def test_an_awaited_call_whose_task_is_cancelled_before_the_answer(desk):
    desk.stub.defaults["x-stub-delay-ms"] = FOREVER_MS

    async def main():
        async with wrapped(desk, openai.AsyncOpenAI) as client:
            await cancelled(desk, asyncio.ensure_future(client.chat.completions.create(**BODY)))
            await asyncio.to_thread(booked, desk)

    asyncio.run(main())


def test_a_stream_that_requests_closes_early(desk, url):
    with requests.post(url, json={**BODY, "stream": True}, stream=True, timeout=30) as answer:
        assert next(answer.iter_content(16))
    booked(desk)


@pytest.mark.parametrize("how", ["released", "cancelled"])
def test_a_stream_that_aiohttp_releases_early(desk, url, how):
    if how == "cancelled":
        desk.stub.defaults["x-stub-delay-ms"] = FOREVER_MS

    async def ask(session):
        async with session.post(url, json={**BODY, "stream": True}) as answer:
            await answer.content.readline()

    async def main():
        async with aiohttp.ClientSession() as session:
            if how == "released":
                await ask(session)
            else:
                await cancelled(desk, asyncio.ensure_future(ask(session)))
            await asyncio.to_thread(booked, desk)

    asyncio.run(main())


def test_a_loop_that_ends_ends_the_reading_as_well(desk):
    """Charged in full then, never forgotten."""
    desk.stub.defaults["x-stub-chunk-delay-ms"] = FOREVER_MS

    async def main():
        client = wrapped(desk, openai.AsyncOpenAI)
        stream = await client.chat.completions.create(**BODY, stream=True)
        await anext(aiter(stream))
        await stream.close()

    asyncio.run(main())
    assert desk.states_when_ended() == ["uncertain"]
    assert desk.cost_nano() >= desk.bill_nano()


def test_received_accepts_what_came_and_says_that_it_is_an_estimate(desk, monkeypatch):
    monkeypatch.setenv("NOBURN_POLICY", json.dumps({"on_abort": "received"}))
    desk.stub.defaults["x-stub-chunk-delay-ms"] = "100"
    asked = {**BODY, "max_completion_tokens": 4000, "stream": True}
    with wrapped(desk, openai.OpenAI) as client:
        stream = client.chat.completions.create(**asked)
        said = ""
        for event in stream:
            said += event.choices[0].delta.content or ""
            if len(said) > 10:
                break
        stream.close()
    assert desk.states_when_ended() == ["settled"]
    went_in_as = "input + cache_write_5m + cache_write_1h"  # the dearest that may be billed
    columns = f"{went_in_as}, input_bound, output, cost_nano < hold_nano, failure"
    ((went_in, bound, came_out, is_less, failure),) = desk.calls(columns)
    assert (went_in, is_less) == (bound, 1)
    assert len(said) <= came_out < len(said) + 100  # What was in the last chunk, or on its way.
    assert failure.startswith("accepted as received, an estimate: ")


def test_received_never_accepts_less_than_a_broken_connection_may_have_cost(desk, monkeypatch):
    monkeypatch.setenv("NOBURN_POLICY", json.dumps({"on_abort": "received"}))
    desk.stub.defaults["x-stub-reset"] = "after"
    with wrapped(desk, openai.OpenAI) as client, pytest.raises(Exception):  # noqa: B017
        list(client.chat.completions.create(**BODY, stream=True))
    assert desk.states_when_ended() == ["uncertain"]


def test_what_came_is_measured_wherever_the_bytes_are_cut():
    """Every byte of text in the answers of each API, and no more than the hold paid for."""
    call = {"functionCall": {"args": {"a": "xy"}}}
    texts = (
        ({"choices": [{"delta": {"role": "assistant", "content": "abc"}}]}, 3),
        ({"choices": [{"delta": {"tool_calls": [{"function": {"arguments": "{}"}}]}}]}, 2),
        ({"type": "response.output_text.delta", "delta": "abcd"}, 4),
        ({"type": "response.output_text.done", "text": "abcd"}, 0),
        ({"type": "content_block_delta", "delta": {"type": "text_delta", "text": "abc"}}, 3),
        ({"candidates": [{"content": {"parts": [{"text": "\u00e9"}, call]}}]}, 4),
    )
    whole = b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event, _ in texts)
    asked = {"input_tokens": 9, "output_max": 99, "variant": "standard"}
    for size in (1, 7, len(whole)):
        received = Received(**asked, input_kinds=("input",))
        for start in range(0, len(whole), size):
            received.event_bytes(whole[start : start + size])
        assert received.usage() == {"input": 9, "output": sum(count for _, count in texts)}
    small = Received(**{**asked, "output_max": 3}, input_kinds=("cache_write_5m", "input"))
    small.body_bytes(whole)
    assert small.usage() == {"cache_write_5m": 9, "output": 3}
