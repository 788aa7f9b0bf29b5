"""What goes out and what comes back, byte by byte: caps, encodings, redirects, transports."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import zlib

import anthropic
import httpx
import httpx2
import openai
import pytest

import noburn_cli
from tests.enforce.scripted import (
    CHAT,
    CHAT_EVENTS,
    CHAT_NANO,
    EVENT_STREAM,
    Answer,
    Scripted,
    chat_answer,
)

MESSAGES = [{"role": "user", "content": "Which ships lay in the harbour that winter?"}]
BODY = {"model": "gpt-6-luna", "messages": MESSAGES, "max_completion_tokens": 20}
BOTH = pytest.mark.parametrize("module", [httpx, httpx2], ids=["httpx", "httpx2"])


@pytest.fixture
def provider(desk):
    with Scripted(chat_answer) as running:
        yield running


def client_of(module, provider, **more):
    base_url = provider.url + "/v1"
    return noburn_cli.wrap(module.Client(base_url=base_url, timeout=30, **more), api="openai")


def raw_deflate(data):
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


PACKED = {"gzip": gzip.compress, "deflate": zlib.compress, "raw": raw_deflate}


def packed_as(name, data, headers=()):
    encoding = "deflate" if name == "raw" else name
    packed = PACKED[name](data)
    body = [packed[:10], packed[10:]]  # A whole answer and a stream alike, cut in an odd place.
    return Answer(headers=(*headers, ("content-encoding", encoding)), body=body)


@BOTH
@pytest.mark.parametrize("packing", PACKED)
def test_a_packed_answer_is_read_and_handed_on(desk, provider, module, packing):
    whole = json.dumps(CHAT).encode()
    json_type = (("content-type", "application/json"),)
    provider.answer = lambda _: packed_as(packing, whole, json_type)
    with client_of(module, provider) as client:
        assert client.post("/chat/completions", json=BODY).json() == CHAT
    assert provider.seen[0].headers["accept-encoding"] == "identity"
    assert desk.calls("state, cost_nano, provider_id") == [("settled", CHAT_NANO, "chat-1")]


@BOTH
@pytest.mark.parametrize("packing", PACKED)
@pytest.mark.parametrize("asked", [True, False], ids=["usage", "plain"])
def test_a_packed_stream_is_read_and_edited(desk, provider, module, packing, asked):
    provider.answer = lambda _: packed_as(packing, CHAT_EVENTS, EVENT_STREAM)
    options = {"stream_options": {"include_usage": True}} if asked else {}
    with client_of(module, provider) as client:
        answer = client.post("/chat/completions", json={**BODY, "stream": True, **options})
    assert (b"prompt_tokens" in answer.content) == asked
    assert b"Aye." in answer.content
    assert answer.content.endswith(b"data: [DONE]\n\n")
    assert desk.calls("state, cost_nano") == [("settled", CHAT_NANO)]


def test_a_broken_packing_is_the_clients_own_error(desk, provider):
    headers = (*EVENT_STREAM, ("content-encoding", "gzip"))
    provider.answer = lambda _: Answer(headers=headers, body=[b"no gzip at all"])
    with client_of(httpx2, provider) as client, pytest.raises(httpx2.DecodingError):
        client.post("/chat/completions", json={**BODY, "stream": True})
    assert desk.calls("state, cost_nano = hold_nano") == [("uncertain", 1)]


def test_an_encoding_that_we_cannot_read_reaches_the_program_as_it_came(desk, provider):
    headers = (("content-type", "application/json"), ("content-encoding", "x-secret"))
    provider.answer = lambda _: Answer(headers=headers, body=b"\x00whatever")
    with client_of(httpx2, provider) as client:
        answer = client.post("/chat/completions", json=BODY)
    assert (answer.content, answer.headers["content-encoding"]) == (b"\x00whatever", "x-secret")
    assert desk.calls("state, cost_nano = hold_nano") == [("uncertain", 1)]


def test_events_under_another_name_are_a_stream_all_the_same(desk, provider):
    provider.answer = lambda _: Answer(headers=(("content-type", "text/plain"),), body=CHAT_EVENTS)
    with client_of(httpx2, provider) as client:
        answer = client.post("/chat/completions", json={**BODY, "stream": True})
    assert b"prompt_tokens" not in answer.content
    assert desk.calls("state, cost_nano") == [("settled", CHAT_NANO)]


def test_an_uncapped_request_leaves_with_its_granted_cap(desk, provider):
    desk.limit(300_000)
    uncapped = {"model": "gpt-6-luna", "messages": MESSAGES, "seed": 1.50}
    with client_of(httpx2, provider) as client:
        answer = client.post("/chat/completions", json=uncapped)
    (granted,) = desk.calls("granted")[0]
    assert 256 <= granted < 600
    assert provider.seen[0].json == {**uncapped, "max_completion_tokens": granted}
    assert json.loads(answer.request.content) == uncapped  # The program's own is as it was.
    assert answer.request.headers["accept-encoding"] != "identity"


def test_the_least_cap_is_the_persons_to_choose(desk, provider, monkeypatch):
    uncapped = {"model": "gpt-6-luna", "messages": MESSAGES}
    desk.limit(60_000)
    with client_of(httpx2, provider) as client:
        assert client.post("/chat/completions", json=uncapped).status_code == 402
        monkeypatch.setenv("NOBURN_OUTPUT_FLOOR", "20")
        assert client.post("/chat/completions", json=uncapped).status_code == 200
    assert 20 <= provider.seen[0].json["max_completion_tokens"] < 256


@pytest.mark.parametrize("value", ["nan", "inf", "-1", "soon", "1e300"])
def test_settings_that_mean_nothing_count_as_not_set(desk, provider, monkeypatch, value):
    monkeypatch.setenv("NOBURN_WAIT_S", value)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://[")
    with client_of(httpx2, provider) as client:
        assert client.post("/chat/completions", json=BODY).json() == CHAT
    assert desk.states() == ["settled"]


@pytest.mark.parametrize("lower", ["0", "1"])
def test_an_explicit_cap_is_lowered_only_when_that_is_allowed(desk, provider, monkeypatch, lower):
    monkeypatch.setenv("NOBURN_LOWER_CAPS", lower)
    desk.limit(300_000)
    with client_of(httpx2, provider) as client:
        answer = client.post("/chat/completions", json={**BODY, "max_completion_tokens": 4_000})
    if lower == "1":
        assert answer.status_code == 200
        assert provider.seen[0].json["max_completion_tokens"] == desk.calls("granted")[0][0] < 600
    else:
        assert answer.status_code == 402
        assert provider.seen == []


def test_an_explicit_cap_that_fits_is_left_alone(desk, provider):
    with client_of(httpx2, provider) as client:
        client.post("/chat/completions", content=json.dumps(BODY, indent=3))
    assert provider.seen[0].body == json.dumps(BODY, indent=3).encode()


def test_without_clamping_an_uncapped_request_is_blocked(desk, provider, monkeypatch):
    monkeypatch.setenv("NOBURN_CLAMP", "0")
    desk.limit(300_000)
    with client_of(httpx2, provider) as client:
        answer = client.post(
            "/chat/completions", json={"model": "gpt-6-luna", "messages": MESSAGES}
        )
    assert answer.status_code == 402
    assert provider.seen == []


def test_a_lowered_cap_takes_the_thinking_budget_with_it(desk, monkeypatch):
    monkeypatch.setenv("NOBURN_LOWER_CAPS", "1")
    desk.limit(4_000_000)
    thinking = {"type": "enabled", "budget_tokens": 3_000}
    with (
        Scripted(lambda _: Answer(status=400)) as provider,
        anthropic.Anthropic(api_key="any", base_url=provider.url, max_retries=0) as client,
        pytest.raises(anthropic.BadRequestError),
    ):
        noburn_cli.wrap(client).messages.create(
            model="claude-haiku-5-5", messages=MESSAGES, max_tokens=20_000, thinking=thinking
        )
    sent = provider.seen[-1].json
    assert 3_000 < sent["max_tokens"] == desk.calls("granted")[0][0] < 20_000
    assert sent["thinking"] == thinking


def test_a_streamed_request_body_is_read_and_sent(desk, provider):
    def parts():
        yield json.dumps(BODY)[:30].encode()
        yield json.dumps(BODY)[30:].encode()

    with client_of(httpx2, provider) as client:
        assert client.post("/chat/completions", content=parts()).json() == CHAT
    assert provider.seen[0].json == BODY
    assert desk.states() == ["settled"]


def test_an_upload_to_what_is_free_is_not_touched(desk, provider):
    with client_of(httpx2, provider) as client:
        files = {"file": ("a.jsonl", io.BytesIO(b"\x00\xff" * 50_000))}
        answer = client.post("/files", files=files, data={"purpose": "assistants"})
        request = answer.request
    assert provider.seen[0].headers["content-type"] == request.headers["content-type"]
    assert provider.seen[0].headers["accept-encoding"] == request.headers["accept-encoding"]
    assert b"\x00\xff" * 50_000 in provider.seen[0].body
    assert desk.calls() == []


def test_garbage_is_refused(desk, provider):
    with client_of(httpx2, provider) as client:
        for garbage in (b"\x00\xff", b"[]", b'{"model": 1}', gzip.compress(b"{}"), b""):
            answer = client.post("/chat/completions", content=garbage)
            assert answer.status_code == 402
            assert answer.json()["error"]["message"].startswith("noburn: Call refused: ")
    assert provider.seen == []
    assert desk.states() == ["refused"] * 5


def test_a_redirect_is_a_call_of_its_own(desk, provider):
    def moved(seen):
        if seen.path == "/v1/chat/completions":
            return Answer(status=307, headers=(("location", "/v1/a/../chat/completions/"),))
        return chat_answer(seen)

    provider.answer = moved
    with client_of(httpx2, provider, follow_redirects=True) as client:
        assert client.post("/chat/completions", json=BODY).json() == CHAT
    assert len(provider.seen) == 2
    assert desk.states() == ["voided", "settled"]


def test_a_redirect_to_a_host_that_nobody_named_is_refused(desk, provider):
    with Scripted(chat_answer) as elsewhere:
        target = elsewhere.url + "/v1/chat/completions"
        provider.answer = lambda _: Answer(status=308, headers=(("location", target),))
        with client_of(httpx2, provider, follow_redirects=True) as client:
            answer = client.post("/chat/completions", json=BODY)
    assert answer.status_code == 402
    assert "not told about" in answer.text
    assert elsewhere.seen == []
    assert desk.states() == ["voided", "refused"]


@BOTH
def test_a_transport_of_the_programs_own(desk, module):
    seen = []

    def answer(request):
        seen.append(json.loads(request.content))
        if seen[-1].get("stream"):
            headers = {"content-type": "text/event-stream"}
            return module.Response(200, content=CHAT_EVENTS, headers=headers)
        return module.Response(200, json=CHAT)

    transport = module.MockTransport(answer)
    with module.Client(transport=transport, base_url="https://api.openai.com/v1") as client:
        noburn_cli.wrap(client)
        assert client.post("/chat/completions", json=BODY).json() == CHAT
        streamed = client.post("/chat/completions", json={**BODY, "stream": True})
    assert b"prompt_tokens" not in streamed.content

    async def awaited():
        async with module.AsyncClient(transport=transport) as client:
            noburn_cli.wrap(client)
            url = "https://api.openai.com/v1/chat/completions"
            return (await client.post(url, json=BODY)).json()

    assert asyncio.run(awaited()) == CHAT
    assert len(seen) == 3
    assert desk.calls("state, cost_nano") == [("settled", CHAT_NANO)] * 3


def test_several_sdk_clients_on_one_http_client_of_the_programs_own(desk):
    with httpx2.Client(timeout=30) as shared:
        base_url = desk.stub.url + "/v1"
        one = noburn_cli.wrap(openai.OpenAI(api_key="a", base_url=base_url, http_client=shared))
        two = noburn_cli.wrap(
            anthropic.Anthropic(api_key="b", base_url=desk.stub.url, http_client=shared)
        )
        one.responses.create(model="gpt-6-luna", input="hello", max_output_tokens=50)
        two.messages.create(model="claude-haiku-5-5", messages=MESSAGES, max_tokens=50)
    assert desk.states() == ["settled"] * 2
    assert desk.cost_nano() == desk.bill_nano() > 0


def test_an_error_names_the_programs_own_request(desk, provider):
    provider.answer = lambda _: Answer(body=[b"{", None])
    with client_of(httpx2, provider) as client:
        request = client.build_request("POST", "/chat/completions", json=BODY)
        with pytest.raises(httpx2.RemoteProtocolError) as broken:
            client.send(request)
        assert broken.value.request is request
    with httpx2.Client(timeout=30) as client:
        noburn_cli.wrap(client, api="openai")
        request = client.build_request("POST", "http://127.0.0.1:9/v1/chat/completions", json=BODY)
        client.base_url = "http://127.0.0.1:9/v1"
        with pytest.raises(httpx2.ConnectError) as refused:
            noburn_cli.wrap(client, api="openai").send(request)
        assert refused.value.request is request
    assert desk.states() == ["uncertain", "voided"]
