"""`noburn stop` inside the program: its streams end at an event, loudly, charged at their hold."""

from __future__ import annotations

import asyncio
import http.client
import itertools
import json

import anthropic
import openai
import pytest
import requests

import noburn_cli
from noburn_cli.enforce import cutting, layers
from noburn_cli.enforce.http_client_hook import hook_http_client
from noburn_cli.enforce.outcome import CODE_STOPPED, Tracker
from noburn_cli.providers.registry import OPENAI, Upstream, codec
from tests.daemon.parts import eventually
from tests.enforce.conftest import Desk

ASKED = "Which ships lay in the harbour that winter?"
MESSAGES = [{"role": "user", "content": ASKED}]
_numbers = itertools.count()


@pytest.fixture
def run(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    """An open run that this process is in."""
    name = f"cut{next(_numbers)}"
    desk.home.client.run_start(run=name, attrs={}, command=["x"], limit=None)
    monkeypatch.setenv("NOBURN_RUN", name)
    monkeypatch.setenv("NOBURN_CUSTOMER", desk.customer)
    desk.stub.defaults["x-stub-chunk-delay-ms"] = "150"
    yield name
    cutting._stopped.clear()


def open_chat(client):
    return client.chat.completions.create(
        model="gpt-6-luna", messages=MESSAGES, max_completion_tokens=400, stream=True
    )


def open_response(client):
    return client.responses.create(
        model="gpt-6-luna", input=ASKED, max_output_tokens=400, stream=True
    )


def open_message(client):
    return client.messages.create(
        model="claude-haiku-5-5", messages=MESSAGES, max_tokens=400, stream=True
    )


def stop_and_hear_of_it(desk: Desk, run: str) -> None:
    """Stop the run, and wait until this process knows: the stream may be short."""
    desk.home.client.run_stop(run=run, reason="too dear", by="ann")
    eventually(lambda: run in cutting._stopped, "the guard hears of it")


OPENINGS = (
    (openai.OpenAI, openai.AsyncOpenAI, "/v1", open_chat),
    (openai.OpenAI, openai.AsyncOpenAI, "/v1", open_response),
    (anthropic.Anthropic, anthropic.AsyncAnthropic, "", open_message),
)


@pytest.mark.parametrize("awaited", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize(
    ("kind", "async_kind", "path", "begin"), OPENINGS, ids=["chat", "responses", "messages"]
)
def test_a_stream_of_a_stopped_run_ends_with_the_providers_error(
    desk, run, kind, async_kind, path, begin, awaited
):
    made = (async_kind if awaited else kind)(
        api_key="any", base_url=desk.stub.url + path, max_retries=0, timeout=30
    )
    client = noburn_cli.wrap(made)

    def stop() -> None:
        stop_and_hear_of_it(desk, run)

    def read() -> None:
        with client:
            for number, _event in enumerate(begin(client)):
                if number == 3:
                    stop()

    async def read_async() -> None:
        async with client:
            number = 0
            async for _event in await begin(client):
                number += 1
                if number == 3:
                    await asyncio.to_thread(stop)

    with pytest.raises((openai.APIError, anthropic.APIError)) as raised:
        asyncio.run(read_async()) if awaited else read()
    assert f"Run `{run}` was stopped by ann: too dear" in str(raised.value)
    assert desk.states_when_ended() == ["uncertain"]
    assert desk.cost_nano() >= desk.bill_nano() > 0
    failure = desk.calls("failure")[0][0]
    assert failure == f"cut: run `{run}` was stopped by ann: too dear"
    # Nothing more goes, and the SDK says why.
    with pytest.raises((openai.APIStatusError, anthropic.APIStatusError)) as refused:
        begin(noburn_cli.wrap(kind(api_key="any", base_url=desk.stub.url + path)))
    assert refused.value.status_code == 402
    assert refused.value.body["error" if "error" in refused.value.body else "code"]
    assert f"Run `{run}` was stopped by ann" in str(refused.value)


def test_a_stream_below_requests_is_cut_as_well(desk, run):
    """Goal: the error is an event, the answer is whole, and its connection is not used again."""
    hook_http_client(http.client, every_client=False)
    url = desk.stub.url + "/v1/chat/completions"
    body = {"model": "gpt-6-luna", "messages": MESSAGES, "max_completion_tokens": 400}
    with (
        layers.marking((Upstream(OPENAI, desk.stub.url + "/v1"),)),
        requests.Session() as session,
        session.post(url, json={**body, "stream": True}, stream=True) as answer,
    ):
        lines = []
        for line in answer.iter_lines():
            lines += [line] if line else []
            if len(lines) == 3:
                stop_and_hear_of_it(desk, run)
        assert json.loads(lines[-1].removeprefix(b"data: "))["error"]["code"] == CODE_STOPPED
        assert b"[DONE]" not in b"".join(lines)
        assert desk.states_when_ended() == ["uncertain"]
        assert session.post(url, json=body).status_code == 402


EVENTS = [b'data: {"a": 1}\n\n', b'data: {"b": 2}\r\n\r\n', b'data: {"c": 3}\r\r', b"data: x\n\n"]


@pytest.mark.parametrize("strip", [False, True], ids=["as-it-came", "edited"])
def test_a_cut_falls_between_two_events_wherever_the_bytes_are_cut(monkeypatch, strip):
    """Goal: the error is an event of its own, never inside one that was begun."""
    monkeypatch.delenv("NOBURN_RUN", raising=False)
    for size in (1, 2, 3, 5, 16, 100):
        for before in range(0, 60, 7):
            check_cut(monkeypatch, size, strip, before)


def check_cut(monkeypatch, size, strip, before):
    chat = codec("openai_chat")
    tracker = Tracker("c", chat, stream=True, strip_usage=strip)
    tracker.answered(200, {"content-type": "text/event-stream"})
    whole = b"".join(EVENTS)
    came = b""
    monkeypatch.setattr(cutting, "_stopped", {})
    for at in range(0, len(whole), size):
        if at >= before:
            cutting._stopped["r"] = "run `r` was stopped"
        came += tracker.receive(whole[at : at + size])
        if tracker.cut is not None:
            break
    said = chat.stream_error(message="noburn: Run `r` was stopped.", code=CODE_STOPPED)
    if tracker.cut is None:  # The bytes ended before an event did.
        return
    assert came.endswith(said)
    passed = came.removesuffix(said)
    assert passed in (b"".join(EVENTS[:n]) for n in range(5)), passed
    assert tracker.receive(b"data: more\n\n") == b""
    assert tracker.rest() == b""
    outcome = tracker.abandoned()
    assert outcome is not None
    assert (outcome.op, outcome.fields["reason"]) == ("lose", "cut: run `r` was stopped")
