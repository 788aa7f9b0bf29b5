"""Every way in which a test comes to a call.  AGENT_CALLS: how many test_plan makes."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import ask


@pytest.mark.parametrize("word", ["short", 'a "long" one,\nwith ü'])
def test_plan(client, word):
    client(word, int(os.environ.get("AGENT_CALLS", "12")))


def test_threads(index):
    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    with ThreadPoolExecutor() as pool:
        pool.submit(ask).result()


def test_child(index):
    subprocess.run([sys.executable, "-c", "import conftest; conftest.ask()"], check=True)


@pytest.mark.anyio
async def test_awaited():
    import openai

    async with openai.AsyncOpenAI(max_retries=0) as client:
        stream = await client.chat.completions.create(
            model="gpt-6-luna",
            messages=[{"role": "user", "content": "hi"}],
            max_tokens=20,
            stream=True,
        )
        words = [event.choices[0].delta.content async for event in stream]
    assert len(words) > 2


def test_sdk():
    import openai

    with openai.OpenAI(max_retries=0) as client:
        for size in ("small", "large"):
            client.responses.create(model="gpt-6.1-sol", input=size, max_output_tokens=20)


@pytest.mark.xfail(strict=True)
def test_fails():
    ask()
    raise AssertionError


@pytest.mark.skip
def test_skipped():
    ask()


def test_without_calls():
    pass
