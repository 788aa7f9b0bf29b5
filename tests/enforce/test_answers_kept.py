"""Answers that are kept and played, in every stack: the same bytes, booked apart, nothing sent."""

from __future__ import annotations

import asyncio
import gzip
import http.client
import json

import aiohttp
import anthropic
import botocore.endpoint
import botocore.session
import openai
import pytest
import requests
from botocore.config import Config

import noburn_cli
from noburn_cli.enforce import answers, layers
from noburn_cli.enforce.aiohttp_hook import hook_aiohttp
from noburn_cli.enforce.botocore_hook import hook_botocore
from noburn_cli.enforce.http_client_hook import hook_http_client
from noburn_cli.errors import NoburnError
from noburn_cli.providers.registry import BEDROCK, OPENAI, Upstream
from noburn_cli.recording import cassettes
from noburn_cli.recording.spool import read_spool
from tests.enforce.scripted import CHAT as CHAT_ANSWER
from tests.enforce.scripted import Answer, Scripted

KEY = "sk-a-real-key-of-nobody"
TEST = "tests/test_agent.py::test_harbour[ü]"
SAID = [{"role": "user", "content": "Which ships lay in the harbour — that winter?"}]
CHAT = {"model": "gpt-6-luna", "messages": SAID, "max_completion_tokens": 100}
CLAUDE = {"model": "claude-haiku-5-5", "messages": SAID, "max_tokens": 100}
BEDROCK_CLAUDE = "us.anthropic.claude-haiku-4-5-20251001-v1:0"


@pytest.fixture(autouse=True)
def marked(desk):
    hook_http_client(http.client, every_client=False)
    hook_botocore(botocore.endpoint, every_client=False)
    hook_aiohttp(aiohttp, every_client=False)
    upstreams = (Upstream(OPENAI, desk.stub.url + "/v1"), Upstream(BEDROCK, desk.stub.url))
    with layers.marking(upstreams):
        yield


@pytest.fixture
def tape(desk, monkeypatch, tmp_path):
    """Keeps at first; `play()` makes cassettes of what was kept, and plays those."""
    spool, played, folder = (tmp_path / name for name in ("spool", "played", "cassettes"))
    spool.mkdir()
    monkeypatch.setenv(answers.VARIABLE, f"{answers.KEEP}:{spool}")
    monkeypatch.setenv("NOBURN_TAGS", json.dumps({"noburn_test": TEST}))

    def play():
        news = read_spool(spool)
        saved = cassettes.save(folder, news, quiet=[], gone=lambda _: False, keys=["A"])
        assert saved.answers == len(news) == cassettes.lay_out(played, cassettes.load(folder))
        assert cassettes.keys_of(folder) == ("A",)
        monkeypatch.setenv(answers.VARIABLE, f"{answers.PLAY}:{played}")
        desk.stub.requests.clear()
        return "".join(path.read_text() for path in folder.iterdir())

    return play


def by_openai(desk):
    made = openai.OpenAI(api_key=KEY, base_url=desk.stub.url + "/v1", max_retries=0)
    with noburn_cli.wrap(made) as client:
        return client.chat.completions.create(**CHAT).model_dump_json()


def by_openai_awaited(desk):
    async def ask():
        made = openai.AsyncOpenAI(api_key=KEY, base_url=desk.stub.url + "/v1", max_retries=0)
        async with noburn_cli.wrap(made) as client:
            stream = await client.chat.completions.create(**CHAT, stream=True)
            return [event.model_dump_json() async for event in stream]

    return asyncio.run(ask())


def by_claude(desk):
    made = anthropic.Anthropic(api_key=KEY, base_url=desk.stub.url, max_retries=0)
    with noburn_cli.wrap(made) as client, client.messages.stream(**CLAUDE) as stream:
        return [event.model_dump_json() for event in stream]


def by_requests(desk):
    url, headers = desk.stub.url + "/v1/chat/completions", {"authorization": f"Bearer {KEY}"}
    answer = requests.post(url, json={**CHAT, "stream": True}, headers=headers, timeout=30)
    return answer.status_code, answer.content


def by_aiohttp(desk):
    async def ask():
        async with aiohttp.ClientSession(headers={"authorization": f"Bearer {KEY}"}) as session:
            url = desk.stub.url + "/v1/chat/completions"
            async with session.post(url, json={**CHAT, "stream": True}) as answer:
                return answer.status, await answer.read()

    return asyncio.run(ask())


def by_botocore(desk):
    session = botocore.session.Session()
    session.set_credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
    client = session.create_client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=desk.stub.url,
        config=Config(retries={"total_max_attempts": 1}),
    )
    answer = client.converse_stream(
        modelId=BEDROCK_CLAUDE,
        messages=[{"role": "user", "content": [{"text": "Which ships?"}]}],
        inferenceConfig={"maxTokens": 100},
    )
    return list(answer["stream"])


@pytest.mark.parametrize(
    "way", [by_openai, by_openai_awaited, by_claude, by_requests, by_aiohttp, by_botocore]
)
def test_what_was_kept_is_played(desk, tape, way):
    desk.stub.defaults["x-stub-output-tokens"] = "80"
    live = way(desk)
    cost = desk.cost_nano()
    assert cost == desk.bill_nano() > 0
    said = tape()
    assert KEY not in said
    assert "AKIDEXAMPLE" not in said
    desk.limit(1)  # No dollar is left for a real one.

    assert way(desk) == live
    assert desk.stub.requests == []
    calls = desk.calls("state, cost_nano, detail ->> '$.notional', tags ->> '$.replayed'")
    assert calls == [("settled", cost, None, None), ("settled", cost, 1, "yes")]
    with pytest.raises(Exception, match="no answer was recorded to this request"):
        raise RuntimeError(str(way(desk)))  # Those that raise nothing give the refusal.
    assert desk.stub.requests == []
    assert desk.states()[-1] == "refused"


def test_a_packed_answer_larger_than_a_socket_is_played(desk, tape):
    """http.client is answered by a pair of sockets, which nobody reads until all is written."""
    body = json.dumps({**CHAT_ANSWER, "padding": "ü" * 400_000}).encode()
    headers = (("content-type", "application/json"), ("content-encoding", "gzip"))
    packed = Answer(headers=headers, body=gzip.compress(body))
    with Scripted(lambda _: packed) as provider:
        with layers.marking((Upstream(OPENAI, provider.url),)):
            url = provider.url + "/chat/completions"
            assert requests.post(url, json=CHAT, timeout=30).content == body
            said = tape()
            assert "content-encoding" not in said
            assert requests.post(url, json=CHAT, timeout=30).content == body
        assert len(provider.seen) == 1
    assert desk.states() == ["settled", "settled"]


def test_a_key_that_a_packed_answer_repeats_is_not_kept(desk, tape):
    told = json.dumps({"error": {"message": f"Incorrect API key provided: {KEY}"}}).encode()
    packed = [("gzip", gzip.compress(told)), ("br", told), ("gzip", told)]
    answers_ = iter(packed)

    def answer(_):
        encoding, body = next(answers_)
        headers = (("content-type", "application/json"), ("content-encoding", encoding))
        return Answer(status=401, headers=headers, body=body)

    with Scripted(answer) as provider, layers.marking((Upstream(OPENAI, provider.url),)):
        for _ in packed:
            with requests.post(
                provider.url + "/chat/completions",
                json=CHAT,
                headers={"authorization": f"Bearer {KEY}"},
                timeout=30,
                stream=True,
            ) as got:
                assert got.raw.read()
        said = tape()
    assert said.count("Incorrect API key provided: REDACTED") == 1
    assert KEY not in said


def test_free_requests_and_refusals_are_played_as_well(desk, tape):
    made = anthropic.Anthropic(api_key=KEY, base_url=desk.stub.url, max_retries=0)
    with noburn_cli.wrap(made) as client:

        def ask():
            counted = client.messages.count_tokens(model=CLAUDE["model"], messages=SAID)
            desk.stub.defaults["x-stub-status"] = "400"
            with pytest.raises(anthropic.BadRequestError) as refused:
                client.messages.create(**CLAUDE)
            del desk.stub.defaults["x-stub-status"]
            return counted.input_tokens, str(refused.value)

        live = ask()
        tape()
        assert ask() == live
    assert desk.stub.requests == []
    assert desk.states() == ["voided", "voided"]


def test_another_request_is_not_the_same(desk, tape):
    by_openai(desk)
    tape()
    made = openai.OpenAI(api_key=KEY, base_url=desk.stub.url + "/v1", max_retries=0)
    with noburn_cli.wrap(made) as client:
        create = client.chat.completions.create
        with pytest.raises(openai.APIStatusError, match="no answer was recorded"):
            create(**{**CHAT, "max_completion_tokens": 101})
        # The same one has its answer still, with its keys in another order.
        assert create(**dict(reversed(CHAT.items()))).usage


def test_answers_that_cannot_be_read_are_refused(tmp_path):
    with pytest.raises(NoburnError, match="no recorded answers"):
        cassettes.keys_of(tmp_path)
    (tmp_path / "answers.json").write_text("{}")
    with pytest.raises(NoburnError, match="cannot be read"):
        cassettes.keys_of(tmp_path)
    (tmp_path / "test_a.py.yaml").write_text(
        "interactions: [{request: !!python/name:os.system {}}]"
    )
    with pytest.raises(NoburnError, match=r"test_a\.py\.yaml cannot be read"):
        cassettes.load(tmp_path)
