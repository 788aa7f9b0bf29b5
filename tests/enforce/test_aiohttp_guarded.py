"""aiohttp behind the guard: sessions, streams in all the ways to read them, what is let go."""

from __future__ import annotations

import asyncio
import gc
import json

import aiohttp
import pytest

from noburn_cli.enforce import cutting, layers
from noburn_cli.enforce.aiohttp_hook import hook_aiohttp
from noburn_cli.enforce.outcome import CODE_STOPPED
from noburn_cli.providers.registry import ANTHROPIC, OPENAI, Upstream
from tests.enforce.conftest import FOREVER_MS
from tests.enforce.scripted import CHAT_EVENTS, EVENT_STREAM, Answer, Scripted, chat_answer

BODY = {
    "model": "gpt-6-luna",
    "messages": [{"role": "user", "content": "Which ships lay in the harbour?"}],
    "max_completion_tokens": 100,
}


@pytest.fixture(autouse=True)
def marked(desk):
    hook_aiohttp(aiohttp, every_client=False)
    with layers.marking((Upstream(OPENAI, desk.stub.url + "/v1"),)):
        yield


@pytest.fixture
def url(desk):
    return desk.stub.url + "/v1/chat/completions"


@pytest.fixture
def provider():
    with Scripted(chat_answer) as running, layers.marking((Upstream(OPENAI, running.url),)):
        yield running


def in_session(work, **more):
    async def main():
        async with aiohttp.ClientSession(**more) as session:
            return await work(session)

    return asyncio.run(main())


async def pieces():
    yield json.dumps(BODY).encode()


@pytest.mark.parametrize("given", [{"json": BODY}, {"data": json.dumps(BODY)}, {"data": pieces}])
def test_a_call_is_counted_once_and_blocked_once(desk, url, given):
    async def ask(session):
        arguments = {name: value() if callable(value) else value for name, value in given.items()}
        async with session.post(url, **arguments) as answer:
            return answer.status, await answer.json()

    assert in_session(ask)[0] == 200
    assert desk.states_when_ended() == ["settled"]
    assert desk.cost_nano() == desk.bill_nano() > 0
    desk.limit(1)
    status, answer = in_session(ask)
    assert (status, answer["error"]["code"]) == (402, "noburn_budget_exceeded")
    assert desk.states() == ["settled", "blocked"]
    assert len(desk.stub.requests) == 1


def test_a_block_is_the_sessions_own_error(desk, url):
    desk.limit(1)

    async def ask(session):
        await session.post(url, json=BODY)

    with pytest.raises(aiohttp.ClientResponseError, match="Payment Required") as blocked:
        in_session(ask, raise_for_status=True)
    assert blocked.value.status == 402


def test_an_uncapped_output_is_clamped(desk, url):
    desk.stub.defaults["x-stub-output-tokens"] = "100000"
    desk.limit(500_000)
    body = {key: value for key, value in BODY.items() if not key.startswith("max")}

    async def ask(session):
        async with session.post(url, json=body) as answer:
            return await answer.json()

    assert in_session(ask)["choices"][0]["finish_reason"] == "length"
    assert desk.states_when_ended() == ["settled"]
    assert desk.cost_nano() == desk.bill_nano() <= 500_000


async def by_lines(content):
    return [line async for line in content]


async def by_chunks(content):
    seen = [data async for data, _ in content.iter_chunks()]
    assert all(seen)
    return seen


async def at_once(content):
    return [await content.read()]


async def by_bytes(content):
    return [data async for data in content.iter_chunked(7)]


@pytest.mark.parametrize("read", [by_lines, by_chunks, at_once, by_bytes])
def test_a_stream_is_read_along_and_arrives_as_it_is(desk, url, read):
    async def ask(session):
        for _ in range(2):
            async with session.post(url, json={**BODY, "stream": True}) as answer:
                seen = b"".join(await read(answer.content))
            assert seen.endswith(b"data: [DONE]\n\n")
            assert b"completion_tokens" not in seen
        return len(session.connector._conns)

    assert in_session(ask) == 1  # The second call took the connection of the first.
    assert desk.states_when_ended() == ["settled"] * 2
    assert desk.cost_nano() == desk.bill_nano()


def test_what_comes_with_the_head_is_edited_as_well(desk, provider):
    provider.answer = lambda _: Answer(headers=EVENT_STREAM, body=CHAT_EVENTS)

    async def ask(session):
        async with session.post(provider.url + "/chat/completions",
                                json={**BODY, "stream": True}) as answer:  # fmt: skip
            return await answer.read()

    seen = in_session(ask)
    assert seen.endswith(b"data: [DONE]\n\n")
    assert b"prompt_tokens" not in seen
    assert desk.states_when_ended() == ["settled"]


@pytest.mark.filterwarnings("ignore:Unclosed connection:ResourceWarning")
@pytest.mark.parametrize("how", ["closed", "released", "forgotten", "cancelled"])
def test_an_answer_that_is_let_go_is_charged_in_full(desk, url, how):
    desk.stub.defaults["x-stub-chunk-delay-ms"] = FOREVER_MS

    async def ask(session):
        answer = await session.post(url, json={**BODY, "stream": True})
        await answer.content.readline()
        if how == "cancelled":
            reading = asyncio.ensure_future(answer.read())
            await asyncio.sleep(0.01)
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
        elif how == "forgotten":  # It lives as long as its session, which still refers to it.
            del answer
        else:
            getattr(answer, {"closed": "close", "released": "release"}[how])()

    in_session(ask)
    gc.collect()
    assert desk.states_when_ended() == ["uncertain"]
    assert desk.calls("cost_nano = hold_nano") == [(1,)]


def test_what_was_not_sent_is_void_and_what_may_have_been_is_not(desk, url):
    async def ask(session):
        with pytest.raises(aiohttp.ClientOSError):
            await session.post(url, json=BODY, headers={"x-stub-reset": "before"})
        with (
            layers.marking((Upstream(OPENAI, "http://127.0.0.1:9"),)),
            pytest.raises(aiohttp.ClientConnectorError),
        ):
            await session.post("http://127.0.0.1:9/chat/completions", json=BODY)
        with pytest.raises(asyncio.TimeoutError):
            # Counted from when the request has left: a hold may take its time.
            await session.post(url, json=BODY, headers={"x-stub-delay-ms": FOREVER_MS},
                               timeout=aiohttp.ClientTimeout(sock_read=0.3))  # fmt: skip
        async with session.post(url, json=BODY, headers={"x-stub-reset": "after"}) as answer:
            with pytest.raises(aiohttp.ClientError):
                await answer.read()

    in_session(ask)
    assert desk.states_when_ended() == ["uncertain", "voided", "uncertain", "uncertain"]
    assert desk.cost_nano() >= desk.bill_nano()


def test_a_redirected_call_is_held_again(desk, provider, url):
    provider.answer = lambda _: Answer(status=307, headers=(("location", url),))

    async def ask(session):
        async with session.post(provider.url + "/chat/completions", json=BODY) as answer:
            return answer.status

    with layers.marking((Upstream(OPENAI, provider.url), Upstream(OPENAI, desk.stub.url))):
        assert in_session(ask) == 200
    assert desk.states_when_ended() == ["voided", "settled"]


def test_the_provider_is_asked_for_its_count_before_a_block(desk, provider):
    def answer(seen):
        if "/count_tokens" in seen.path:
            return Answer(body=b'{"input_tokens": 4}')
        usage = {"input_tokens": 4, "output_tokens": 2}
        return Answer(body=json.dumps({"type": "message", "usage": usage}).encode())

    provider.answer = answer
    desk.limit(120_000)
    body = {"model": "claude-haiku-5-5", "max_tokens": 16,
            "messages": [{"role": "user", "content": "harbour " * 200}]}  # fmt: skip

    async def ask(session):
        async with session.post(provider.url + "/v1/messages", json=body) as answer:
            return answer.status

    with layers.marking((Upstream(ANTHROPIC, provider.url),)):
        assert in_session(ask, headers={"x-api-key": "k"}) == 200
    assert [(s.path, s.headers["x-api-key"]) for s in provider.seen] == [
        ("/v1/messages/count_tokens", "k"), ("/v1/messages", "k"),
    ]  # fmt: skip


def test_tasks_share_one_budget(desk, url):
    desk.limit(400_000)

    async def once(session):
        async with session.post(url, json=BODY) as answer:
            await answer.read()
            return {200: "settled", 402: "blocked"}[answer.status]

    async def many(session):
        return await asyncio.gather(*(once(session) for _ in range(30)))

    seen = in_session(many)
    assert sorted(desk.states_when_ended()) == sorted(seen)
    assert set(seen) == {"blocked", "settled"}
    assert desk.cost_nano() == desk.bill_nano() <= 400_000


def test_a_stream_of_a_stopped_run_ends_with_an_error_event(desk, url, monkeypatch):
    monkeypatch.setattr(cutting, "_stopped", {})
    desk.stub.defaults["x-stub-chunk-delay-ms"] = "50"

    async def ask(session):
        lines = []
        async with session.post(url, json={**BODY, "stream": True}) as answer:
            async for line in answer.content:
                lines += [line.strip()] if line.strip() else []
                if len(lines) == 2:
                    cutting._stopped["r"] = "run `r` was stopped"
        return lines, len(session.connector._conns)

    lines, kept = in_session(ask)
    assert json.loads(lines[-1].removeprefix(b"data: "))["error"]["code"] == CODE_STOPPED
    assert kept == 0
    assert desk.states_when_ended() == ["uncertain"]
    assert desk.cost_nano() >= desk.bill_nano()
