"""The real SDKs behind the guard: what goes out, what is blocked, and what it is booked at."""

from __future__ import annotations

import asyncio
import gc
import json
from concurrent.futures import ThreadPoolExecutor

import anthropic
import httpx
import httpx2
import openai
import pytest

import noburn_cli
from tests.enforce.conftest import FOREVER_MS

MESSAGES = [{"role": "user", "content": "Which ships lay in the harbour that winter?"}]
CHAT_MODEL = "gpt-6-luna"
CLAUDE_MODEL = "claude-haiku-5-5"


def ask_openai(stub, *, retries=0, kind=openai.OpenAI):
    base_url = stub.url + "/v1"
    return noburn_cli.wrap(kind(api_key="any", base_url=base_url, max_retries=retries, timeout=30))


def ask_claude(stub, kind=anthropic.Anthropic):
    return noburn_cli.wrap(kind(api_key="any", base_url=stub.url, max_retries=2, timeout=30))


def chat(client, **more):
    return client.chat.completions.create(
        model=CHAT_MODEL, messages=MESSAGES, max_completion_tokens=100, **more
    )


def test_what_is_booked_is_what_is_billed(home, stub):
    with ask_openai(stub) as client, ask_claude(stub) as claude:
        chat(client)
        list(chat(client, stream=True))
        client.responses.create(model=CHAT_MODEL, input="hello", max_output_tokens=50)
        list(client.responses.create(model=CHAT_MODEL, input="hello", stream=True))
        client.embeddings.create(model="text-embedding-3-small", input="hello")
        claude.messages.create(model=CLAUDE_MODEL, messages=MESSAGES, max_tokens=50)
        with claude.messages.stream(model=CLAUDE_MODEL, messages=MESSAGES, max_tokens=50) as stream:
            stream.get_final_message()
    assert stub.wait_idle()
    assert home.states() == ["settled"] * 7
    assert home.cost_nano() == stub.bill_nano() > 0
    assert all(cost <= hold for cost, hold in home.calls("cost_nano, hold_nano"))
    assert all(status == 200 and ms >= 0 for status, ms in home.calls("status, latency_ms"))


@pytest.mark.parametrize("module", [httpx, httpx2], ids=["httpx", "httpx2"])
def test_a_plain_client_is_guarded_like_an_sdk(home, stub, module):
    body = {"model": CHAT_MODEL, "messages": MESSAGES, "max_completion_tokens": 20}
    with module.Client(base_url=stub.url + "/v1", timeout=30) as client:
        noburn_cli.wrap(client, api="openai")
        answer = client.post("/chat/completions", json=body)
        assert answer.json()["usage"]["completion_tokens"] == 20
        assert json.loads(answer.request.content) == body
        home.limit("global", 1)
        refused = client.post("/chat/completions", json=body)
    assert refused.status_code == 402
    assert refused.headers["x-should-retry"] == "false"
    assert home.states() == ["settled", "blocked"]
    assert len(stub.bill.calls) == 1


def test_a_block_is_the_sdks_own_error_and_sends_nothing(home, stub):
    home.limit("customer=acme", 100)
    with (
        ask_openai(stub, retries=2) as client,
        ask_claude(stub) as claude,
        noburn_cli.attribute(customer="acme"),
    ):
        with pytest.raises(openai.APIStatusError) as blocked:
            chat(client)
        with pytest.raises(openai.APIStatusError):
            chat(client, stream=True)
        with pytest.raises(anthropic.APIStatusError) as claude_blocked:
            claude.messages.create(model=CLAUDE_MODEL, messages=MESSAGES, max_tokens=50)
    for error in (blocked.value, claude_blocked.value):
        assert error.status_code == 402
        assert "customer=acme" in str(error)
        assert "spent" in str(error)
        assert "noburn why " in str(error)
    assert home.states() == ["blocked"] * 3
    assert stub.requests == []


def test_a_model_without_a_price_and_a_call_without_a_bound_do_not_leave(home, stub):
    with ask_openai(stub) as client:
        with pytest.raises(openai.APIStatusError, match="gpt-none"):
            client.chat.completions.create(model="gpt-none", messages=MESSAGES)
        with pytest.raises(openai.APIStatusError, match="web search"):
            chat(client, web_search_options={})
        with pytest.raises(openai.APIStatusError, match="images, whose tokens are not published"):
            client.images.generate(model="gpt-image-1", prompt="a ship")
        with pytest.raises(openai.APIStatusError, match="may cost money"):
            client.post("/something/new", body={"model": CHAT_MODEL}, cast_to=object)
    assert stub.requests == []
    assert stub.bill_nano() == 0


def test_an_uncapped_output_is_clamped_to_what_is_left(home, stub):
    stub.defaults["x-stub-output-tokens"] = "100000"
    home.limit("global", 500_000)
    with ask_openai(stub) as client:
        answer = client.chat.completions.create(model=CHAT_MODEL, messages=MESSAGES)
    assert answer.choices[0].finish_reason == "length"
    assert 256 <= answer.usage.completion_tokens < 1_000
    assert home.cost_nano() == stub.bill_nano() <= 500_000


@pytest.mark.parametrize("asked", [True, False], ids=["usage", "plain"])
def test_a_stream_is_the_same_with_and_without_the_guard(home, stub, asked):
    options = {"stream_options": {"include_usage": True}} if asked else {}

    def seen(client):
        with client:
            chunks = [chunk.model_dump() for chunk in chat(client, stream=True, **options)]
        for chunk in chunks:
            del chunk["id"], chunk["created"]
        return chunks

    plain = seen(openai.OpenAI(api_key="any", base_url=stub.url + "/v1"))
    guarded = seen(ask_openai(stub))
    assert guarded == plain
    assert any(chunk.get("usage") for chunk in guarded) == asked
    assert home.states() == ["settled"]


def test_a_stream_that_is_left_early_is_charged_in_full(home, stub):
    stub.defaults["x-stub-chunk-delay-ms"] = FOREVER_MS
    with ask_openai(stub) as client:
        stream = chat(client, stream=True)
        next(iter(stream))
        stream.close()
    assert home.states() == ["uncertain"]
    assert home.calls("cost_nano = hold_nano") == [(1,)]
    stub.hurry.set()
    assert stub.wait_idle()
    assert home.cost_nano() >= stub.bill_nano()


def test_a_stream_that_is_left_after_its_last_word_is_settled(home, stub):
    """The usage is still on its way when the program has seen all that it wanted."""
    with ask_openai(stub) as client:
        stream = chat(client, stream=True)
        for chunk in stream:
            if chunk.choices and chunk.choices[0].finish_reason:
                break
        stream.close()
    assert stub.wait_idle()
    assert home.states() == ["settled"]
    assert home.cost_nano() == stub.bill_nano()


def test_an_answer_that_nobody_closes_is_charged_in_full(home, stub):
    stub.defaults["x-stub-chunk-delay-ms"] = FOREVER_MS
    request = {"model": CHAT_MODEL, "messages": MESSAGES, "stream": True}
    client = noburn_cli.wrap(httpx2.Client(base_url=stub.url + "/v1"), api="openai")
    answer = client.send(
        client.build_request("POST", "/chat/completions", json=request), stream=True
    )
    assert answer.status_code == 200
    inner, answer.stream = answer.stream._inner, None
    gc.collect()
    assert home.states_when_ended() == ["uncertain"]
    inner.close()
    client.close()


@pytest.mark.parametrize(("status", "state"), [(500, "uncertain"), (429, "voided")])
def test_each_attempt_of_a_retrying_sdk_is_a_call_of_its_own(home, stub, status, state):
    stub.defaults["x-stub-status"] = str(status)
    with ask_openai(stub, retries=2) as client, pytest.raises(openai.APIStatusError) as failed:
        chat(client)
    assert failed.value.status_code == status
    assert len(stub.requests) == 3
    assert home.calls("state, status") == [(state, status)] * 3


def test_a_reset_after_sending_is_charged_and_a_refused_connection_is_not(home, stub):
    with ask_openai(stub) as client, pytest.raises(openai.APIConnectionError):
        chat(client, extra_headers={"x-stub-reset": "before"})
    nobody = type("Nobody", (), {"url": "http://127.0.0.1:9"})
    with ask_openai(nobody) as client, pytest.raises(openai.APIConnectionError):
        chat(client)
    assert home.states() == ["uncertain", "voided"]


def test_an_answer_without_usage_is_charged_in_full(home, stub):
    stub.defaults["x-stub-fault"] = "no-usage"
    with ask_openai(stub) as client:
        chat(client)
    assert home.calls("state, cost_nano = hold_nano") == [("uncertain", 1)]


def test_without_a_daemon_nothing_leaves(home, stub, monkeypatch):
    blocking = home.folder / "file"
    blocking.write_text("")
    monkeypatch.setenv("NOBURN_HOME", str(blocking / "home"))
    with ask_openai(stub, retries=2) as client, pytest.raises(openai.APIStatusError) as refused:
        chat(client)
    assert refused.value.status_code == 402
    assert stub.requests == []
    home.client.status()  # For the fixture's end: a daemon to be ended.


def test_threads_share_one_budget(home, stub):
    home.limit("global", 400_000)

    def once(client):
        try:
            chat(client)
        except openai.APIStatusError as error:
            return "blocked" if error.status_code == 402 else repr(error)
        return "settled"

    with ask_openai(stub) as client, ThreadPoolExecutor(8) as pool:
        seen = list(pool.map(lambda _: once(client), range(40)))
    assert stub.wait_idle()
    assert sorted(home.states()) == sorted(seen)
    assert {"blocked", "settled"} == set(seen)
    assert home.cost_nano() == stub.bill_nano() <= 400_000


def test_tasks_share_one_budget(home, stub):
    home.limit("global", 400_000)

    async def once(client):
        try:
            await chat(client)
        except openai.APIStatusError as error:
            return "blocked" if error.status_code == 402 else repr(error)
        return "settled"

    async def many():
        async with ask_openai(stub, kind=openai.AsyncOpenAI) as client:
            return await asyncio.gather(*(once(client) for _ in range(40)))

    seen = asyncio.run(many())
    assert stub.wait_idle()
    assert sorted(home.states()) == sorted(seen)
    assert {"blocked", "settled"} == set(seen)
    assert home.cost_nano() == stub.bill_nano() <= 400_000


def test_async_streams_and_a_cancelled_one(home, stub):
    async def both():
        async with (
            ask_openai(stub, kind=openai.AsyncOpenAI) as client,
            ask_claude(stub, kind=anthropic.AsyncAnthropic) as claude,
        ):
            async for _ in await chat(client, stream=True):
                pass
            async with claude.messages.stream(
                model=CLAUDE_MODEL, messages=MESSAGES, max_tokens=50
            ) as stream:
                await stream.get_final_message()
            slow = asyncio.create_task(chat(client, extra_headers={"x-stub-delay-ms": FOREVER_MS}))
            while len(stub.requests) < 3:
                await asyncio.sleep(0.01)
            slow.cancel()
            await asyncio.gather(slow, return_exceptions=True)

    asyncio.run(both())
    stub.hurry.set()
    assert stub.wait_idle()
    assert home.states_when_ended() == ["settled", "settled", "uncertain"]
    assert home.cost_nano() >= stub.bill_nano()


def test_the_loop_is_never_blocked_by_a_waiting_call(home, stub):
    """A call waits for another's money, while the loop goes on and lets the other finish."""
    home.limit("global", 100_000)
    stub.defaults["x-stub-delay-ms"] = "100"

    async def both():
        async with ask_openai(stub, kind=openai.AsyncOpenAI) as client:
            return await asyncio.gather(chat(client), chat(client))

    answers = asyncio.run(both())
    assert len(answers) == 2
    assert home.states() == ["settled", "settled"]
