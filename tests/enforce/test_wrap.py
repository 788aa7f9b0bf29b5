"""`noburn_cli.wrap`: one client of each kind guarded, in a program without `noburn run`."""

from __future__ import annotations

import asyncio
import os
import subprocess
from pathlib import Path

import aiohttp
import botocore.session
import pytest
import requests

import noburn_cli
from noburn_cli.errors import UsageError

GUEST = Path(__file__).parents[2] / ".venv" / "guests" / "current" / "bin" / "python"
needs_guests = pytest.mark.skipif(not GUEST.exists(), reason="scripts/setup-guests was not run")
BODY = {
    "model": "gpt-6-luna",
    "messages": [{"role": "user", "content": "hi"}],
    "max_completion_tokens": 50,
}


def by_requests(stub):
    with requests.Session() as session:
        noburn_cli.wrap(session, api="openai", base_url=stub.url + "/v1")
        noburn_cli.wrap(session, api="openai", base_url=stub.url + "/v1")
        return session.post(stub.url + "/v1/chat/completions", json=BODY, timeout=30).status_code


def by_aiohttp(stub):
    async def main():
        async with aiohttp.ClientSession(stub.url + "/v1/") as session:
            noburn_cli.wrap(session, api="openai")
            async with session.post("chat/completions", json=BODY) as answer:
                await answer.read()
                return answer.status

    return asyncio.run(main())


def by_botocore(stub):
    session = botocore.session.Session()
    session.set_credentials("AKIDEXAMPLE", "secret")
    client = session.create_client(
        "bedrock-runtime", region_name="us-east-1", endpoint_url=stub.url
    )
    noburn_cli.wrap(client)
    try:
        answer = client.converse(
            modelId="us.anthropic.claude-haiku-4-5-20251001-v1:0",
            messages=[{"role": "user", "content": [{"text": "hi"}]}],
            inferenceConfig={"maxTokens": 50},
        )
    except client.exceptions.ClientError as error:
        answer = error.response
    return answer["ResponseMetadata"]["HTTPStatusCode"]


#: For SDKs that this environment does not have: a program of its own, which prints the status.
BY_SDK = """
import asyncio, os, sys
import noburn_cli
stub, way = os.environ["STUB"], sys.argv[1]
GEMINI = {"model": "gemini-3.8-flash", "contents": "hi", "config": {"max_output_tokens": 50}}
def gemini():
    from google import genai
    return noburn_cli.wrap(genai.Client(api_key="any", http_options={"base_url": stub}))
def google():
    client = gemini()
    client.models.generate_content(**GEMINI)
def google_awaited():
    async def main():
        client = gemini()
        try:
            await client.aio.models.generate_content(**GEMINI)
        finally:
            await client.aio.aclose()
    asyncio.run(main())
def mistral():
    from mistralai.client import Mistral
    with noburn_cli.wrap(Mistral(api_key="any", server_url=stub)) as client:
        client.chat.complete(model="mistral-small-latest", max_tokens=50,
                             messages=[{"role": "user", "content": "hi"}])
try:
    globals()[way]()
    print(200)
except Exception as error:
    print(getattr(error, "code", None) or getattr(error, "status_code", repr(error)))
"""


def by_sdk(way):
    def ask(stub):
        ran = subprocess.run(
            [str(GUEST), "-W", "ignore", "-c", BY_SDK, way], env={**os.environ, "STUB": stub.url},
            capture_output=True, text=True, timeout=240, check=False,
        )  # fmt: skip
        assert ran.stdout.strip().isdigit(), ran.stdout + ran.stderr
        return int(ran.stdout)

    return pytest.param(ask, id=way, marks=needs_guests)


SDKS = [by_sdk("google"), by_sdk("google_awaited"), by_sdk("mistral")]


@pytest.mark.parametrize("ask", [by_requests, by_aiohttp, by_botocore, *SDKS])
def test_a_wrapped_client_is_counted_and_blocked(desk, ask):
    assert ask(desk.stub) == 200
    assert desk.states_when_ended() == ["settled"]
    assert desk.cost_nano() == desk.bill_nano() > 0
    desk.limit(1)
    assert ask(desk.stub) == 402
    assert desk.states() == ["settled", "blocked"]
    assert len(desk.stub.requests) == 1


def test_a_client_beside_it_is_left_alone(desk):
    by_requests(desk.stub)
    assert requests.post(desk.stub.url + "/v1/chat/completions", json=BODY, timeout=30).ok
    assert desk.states() == ["settled"]


def test_what_cannot_be_guarded_is_refused_with_what_to_do():
    with pytest.raises(UsageError, match="wrap cannot guard a builtins") as refused:
        noburn_cli.wrap({})
    assert "noburn run" in refused.value.next_step
    with pytest.raises(UsageError, match="api is one of"):
        noburn_cli.wrap(requests.Session(), api="opanai")
