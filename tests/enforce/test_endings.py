"""Every way a call can end, as docs/threat-model.md books it: never below the provider's bill."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import socket
import subprocess
import sys
import threading
import time

import anthropic
import httpx
import httpx2
import openai
import pytest

import noburn_cli
from tests.enforce.conftest import FOREVER_MS
from tests.enforce.scripted import CHAT_EVENTS, EVENT_STREAM, Answer, Scripted, chat_answer

MESSAGES = [{"role": "user", "content": "Which ships lay in the harbour that winter?"}]
BODY = {"model": "gpt-6-luna", "messages": MESSAGES, "max_completion_tokens": 100}


FAULTS = (
    "x-stub-reset: before", "x-stub-reset: after", "x-stub-fault: malformed",
    "x-stub-fault: no-usage",
)  # fmt: skip


def ask_openai(url, *, kind=openai.OpenAI, retries=0, **more):
    made = kind(api_key="any", base_url=url + "/v1", max_retries=retries, **{"timeout": 30, **more})
    return noburn_cli.wrap(made)


def ask_claude(url, kind=anthropic.Anthropic):
    return noburn_cli.wrap(kind(api_key="any", base_url=url, max_retries=0, timeout=30))


def chat(client, **more):
    return client.chat.completions.create(**BODY, **more)


def exhaust(client, **more):
    return list(chat(client, stream=True, **more))


def attempt(run):
    """Run it; what it raises, if it does."""
    try:
        run()
    except Exception as error:  # noqa: BLE001 - an SDK meets broken bytes in its own ways
        return error
    return None


@pytest.mark.parametrize(
    ("status", "state"),
    [(400, "voided"), (401, "voided"), (404, "voided"), (429, "voided"),
     (408, "uncertain"), (424, "uncertain"), (499, "uncertain"),
     (500, "uncertain"), (503, "uncertain"), (529, "uncertain")],
)  # fmt: skip
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_errors_of_the_provider(desk, status, state, stream):
    desk.stub.defaults["x-stub-status"] = str(status)
    with ask_openai(desk.stub.url) as client, ask_claude(desk.stub.url) as claude:
        assert attempt(lambda: chat(client, stream=stream)).status_code == status
        failed = attempt(
            lambda: claude.messages.create(
                model="claude-haiku-5-5", messages=MESSAGES, max_tokens=50, stream=stream
            )
        )
        assert failed.status_code == status
    assert desk.calls("state, status") == [(state, status)] * 2


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("on_disconnect", ["stop", "run_on", "to_cap"])
def test_faults_in_the_middle_are_charged_in_full(desk, fault, on_disconnect):
    name, value = fault.split(": ")
    desk.stub.defaults.update({name: value, "x-stub-on-disconnect": on_disconnect})
    with ask_openai(desk.stub.url) as client, ask_claude(desk.stub.url) as claude:
        attempt(lambda: chat(client))
        attempt(lambda: exhaust(client))
        attempt(
            lambda: list(
                claude.messages.create(
                    model="claude-haiku-5-5", messages=MESSAGES, max_tokens=50, stream=True
                )
            )
        )
    bill = desk.bill_nano()
    assert desk.cost_nano() >= bill
    # A whole answer knows no malformed events: that one is simply settled.
    whole = "settled" if value == "malformed" else "uncertain"
    assert desk.states_when_ended() == [whole, "uncertain", "uncertain"]


@pytest.mark.parametrize("on_disconnect", ["stop", "run_on", "to_cap"])
@pytest.mark.parametrize("way", ["close", "with", "break"])
def test_a_program_that_leaves_early_never_pays_less_than_the_bill(desk, on_disconnect, way):
    desk.stub.defaults["x-stub-on-disconnect"] = on_disconnect
    desk.stub.defaults["x-stub-chunk-delay-ms"] = FOREVER_MS
    with ask_openai(desk.stub.url) as client:
        stream = chat(client, stream=True)
        if way == "with":
            with stream:
                next(iter(stream))
        else:
            for _ in stream:
                break
            if way == "close":
                stream.close()
            del stream, _
            gc.collect()
        assert desk.states_when_ended() == ["uncertain"]
    bill = desk.bill_nano()
    assert 0 < bill <= desk.cost_nano()


def test_a_timeout_before_the_answer(desk):
    with ask_openai(desk.stub.url, timeout=0.2) as client:
        error = attempt(lambda: chat(client, extra_headers={"x-stub-delay-ms": FOREVER_MS}))
    assert isinstance(error, openai.APITimeoutError)
    assert desk.states() == ["uncertain"]
    assert desk.bill_nano() <= desk.cost_nano()


def test_each_retry_is_a_call_of_its_own(desk):
    answers = iter([Answer(status=429), Answer(status=500)])
    with (
        Scripted(lambda seen: next(answers, None) or chat_answer(seen)) as provider,
        ask_openai(provider.url, retries=2) as client,
    ):
        chat(client)
        assert len(provider.seen) == 3
    assert desk.states() == ["voided", "uncertain", "settled"]


def closed_port():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


def test_what_never_left_costs_nothing(desk):
    """Refused, a name that is none, a header that is none, a connect that is cancelled."""
    with ask_openai(f"http://127.0.0.1:{closed_port()}", retries=2) as client:
        assert isinstance(attempt(lambda: chat(client)), openai.APIConnectionError)
    with ask_openai("http://no-such-host.invalid") as client:
        assert isinstance(attempt(lambda: chat(client)), openai.APIConnectionError)
    with ask_openai(desk.stub.url) as client:
        client.api_key = "from-a-file\n"
        assert isinstance(attempt(lambda: chat(client)), openai.APIConnectionError)
    assert desk.states() == ["voided"] * 5
    assert desk.stub.requests == []


def test_a_call_cancelled_before_it_left_costs_nothing_and_after_it_is_charged(desk):
    """One connection only: the second task waits in the client's own pool."""

    async def main():
        http = httpx2.AsyncClient(limits=httpx2.Limits(max_connections=1), timeout=30)
        async with ask_openai(desk.stub.url, kind=openai.AsyncOpenAI, http_client=http) as client:
            slow = {"x-stub-delay-ms": FOREVER_MS}
            first = asyncio.create_task(chat(client, extra_headers=slow))
            while not desk.stub.requests:
                await asyncio.sleep(0.01)
            second = asyncio.create_task(chat(client))
            while len(desk.states()) < 2:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.05)
            second.cancel()
            await asyncio.gather(second, return_exceptions=True)
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)

    asyncio.run(main())
    assert desk.states_when_ended() == ["uncertain", "voided"]
    assert desk.bill_nano() <= desk.cost_nano()


def test_a_program_may_trace_its_own_requests(desk):
    events = []
    with httpx2.Client(base_url=desk.stub.url + "/v1", timeout=30) as client:
        noburn_cli.wrap(client, api="openai")
        trace = {"trace": lambda name, _: events.append(name)}
        client.post("/chat/completions", json=BODY, extensions=trace)
    assert any(name.endswith("send_request_headers.started") for name in events)


def test_a_whole_answer_that_breaks_off(desk):
    with (
        Scripted(lambda _: Answer(body=[b'{"id": "chat-1", "usa', None])) as provider,
        ask_openai(provider.url) as client,
    ):
        assert isinstance(attempt(lambda: chat(client)), openai.APIConnectionError)
    assert desk.calls("state, cost_nano = hold_nano") == [("uncertain", 1)]


def test_a_stream_that_breaks_off_after_its_usage_is_settled(desk):
    usage_sent = CHAT_EVENTS.replace(b"data: [DONE]\n\n", b"")
    with (
        Scripted(lambda _: Answer(headers=EVENT_STREAM, body=[usage_sent, None])) as provider,
        ask_openai(provider.url) as client,
    ):
        attempt(lambda: exhaust(client))
    assert desk.states() == ["settled"]


def test_an_error_inside_a_stream_is_noted(desk):
    usage = {"input_tokens": 9, "output_tokens": 3}
    response = {"id": "r", "model": "gpt-6-luna", "usage": usage}
    data = json.dumps({"type": "response.failed", "response": response}).encode()
    failed = b"event: response.failed\ndata: " + data + b"\n\n"
    with (
        Scripted(lambda _: Answer(headers=EVENT_STREAM, body=failed)) as provider,
        httpx2.Client(base_url=provider.url + "/v1") as client,
    ):
        body = {"model": "gpt-6-luna", "input": "hi", "max_output_tokens": 20, "stream": True}
        noburn_cli.wrap(client, api="openai").post("/responses", json=body)
    assert desk.calls("state, failure") == [
        ("settled", "the provider reported an error in its answer")
    ]


@pytest.mark.parametrize("module", [httpx, httpx2], ids=["httpx", "httpx2"])
def test_an_answer_that_nobody_closes(desk, module):
    desk.stub.defaults["x-stub-chunk-delay-ms"] = FOREVER_MS
    client = noburn_cli.wrap(module.Client(base_url=desk.stub.url + "/v1"), api="openai")
    request = client.build_request("POST", "/chat/completions", json={**BODY, "stream": True})
    answer = client.send(request, stream=True)
    inner = answer.stream._inner._stream  # Below what refers to the answer again.
    del answer
    gc.collect()
    assert desk.states_when_ended() == ["uncertain"]
    inner.close()
    client.close()


def test_an_async_generator_that_is_not_exhausted(desk):
    never_whole = {"x-stub-chunk-delay-ms": FOREVER_MS}

    async def main():
        async with ask_openai(desk.stub.url, kind=openai.AsyncOpenAI) as client:
            async for _ in await chat(client, stream=True, extra_headers=never_whole):
                break
            stream = await chat(client, stream=True)
            async for chunk in stream:
                if chunk.choices and chunk.choices[0].finish_reason:
                    break
            await stream.close()

    asyncio.run(main())
    assert desk.states_when_ended() == ["uncertain", "settled"]
    assert desk.bill_nano() <= desk.cost_nano()


def test_a_stream_closed_by_another_thread(desk):
    desk.stub.defaults["x-stub-chunk-delay-ms"] = "300"  # The reader hears of it with a piece.
    seen = []
    with ask_openai(desk.stub.url) as client:
        stream = chat(client, stream=True)

        def read():
            try:
                for number, _ in enumerate(stream):
                    seen.append(number)
            except Exception as error:  # noqa: BLE001 - whatever the HTTP stack makes of it
                seen.append(error)

        reader = threading.Thread(target=read)
        reader.start()
        while not seen:
            time.sleep(0.01)
        stream.close()
        reader.join()
    assert desk.states_when_ended() == ["uncertain"]


OPEN_AT_EXIT = """
import os, sys, httpx2, noburn_cli
client = noburn_cli.wrap(httpx2.Client(base_url=sys.argv[1] + "/v1"), api="openai")
body = {"model": "gpt-6-luna", "messages": [{"role": "user", "content": "hi"}], "stream": True}
request = client.build_request("POST", "/chat/completions", json=body)
answer = client.send(request, stream=True)
if sys.argv[2] == "fork":
    child = os.fork()
    if not child:
        sys.exit(0)  # A child that ends says nothing of its parent's call.
    assert os.waitpid(child, 0)[1] == 0
    answer.read()
    answer.close()
elif sys.argv[2] == "hard":
    os._exit(0)
"""


@pytest.mark.parametrize(
    ("way", "states"),
    [("exit", ["uncertain"]), ("hard", ["orphaned"]), ("fork", ["settled"])],
)
def test_a_process_that_ends_with_an_open_answer(desk, way, states):
    if way != "fork":
        desk.stub.defaults["x-stub-chunk-delay-ms"] = FOREVER_MS
    ran = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", OPEN_AT_EXIT, desk.stub.url, way],
        capture_output=True, text=True, timeout=120, check=False, env=dict(os.environ),
    )  # fmt: skip
    assert (ran.returncode, "Traceback" in ran.stderr) == (0, False), ran.stderr
    assert desk.states_when_ended() == states
    assert desk.calls("count(*)") == [(1,)]
    if way == "fork":  # Never lost and then corrected: the child kept out of it.
        assert desk.calls("failure") == [(None,)]
        assert "lose" not in desk.home.kinds(desk.calls("call")[0][0])
    assert desk.bill_nano() <= desk.cost_nano()
