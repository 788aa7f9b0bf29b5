"""Event loops: asyncio, uvloop and trio; waiting, cancelling, and leaving nothing behind."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import anthropic
import httpx2
import openai
import pytest
import uvloop

import noburn_cli
from noburn_cli.enforce import layers
from tests.enforce.conftest import FOREVER_MS

MESSAGES = [{"role": "user", "content": "Which ships lay in the harbour that winter?"}]
BODY = {"model": "gpt-6-luna", "messages": MESSAGES, "max_completion_tokens": 50}
CLAUDE = {"model": "claude-haiku-5-5", "messages": MESSAGES, "max_tokens": 50}
#: A call of BODY holds 29,120 nano-dollars and costs 25,360: two fit one after the other only.
ONE_AT_A_TIME_NANO = 56_000
RUNNERS = {"asyncio": asyncio.run, "uvloop": uvloop.run}


def ask(stub, **more):
    made = openai.AsyncOpenAI(api_key="any", base_url=stub.url + "/v1", max_retries=0, **more)
    return noburn_cli.wrap(made)


def chat(client, **more):
    return client.chat.completions.create(**BODY, **more)


async def until(ready):
    deadline = time.monotonic() + 60
    while not ready():
        assert time.monotonic() < deadline, "it did not come to pass"
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("loop", RUNNERS)
def test_every_api_whole_and_streamed(desk, loop):
    async def main():
        claude = anthropic.AsyncAnthropic(api_key="any", base_url=desk.stub.url, max_retries=0)
        async with ask(desk.stub) as client, noburn_cli.wrap(claude):
            await chat(client)
            async for _ in await chat(client, stream=True):
                pass
            await client.responses.create(model="gpt-6-luna", input="hello")
            async for _ in await client.responses.create(
                model="gpt-6-luna", input="hello", stream=True
            ):
                pass
            await client.embeddings.create(model="text-embedding-3-small", input=["a", "b"])
            await claude.messages.create(**CLAUDE)
            async with claude.messages.stream(**CLAUDE) as stream:
                await stream.get_final_message()

    RUNNERS[loop](main())
    assert desk.states() == ["settled"] * 7
    assert desk.cost_nano() == desk.bill_nano() > 0


def test_trio(desk):
    trio = pytest.importorskip("trio")

    async def main():
        async with httpx2.AsyncClient(base_url=desk.stub.url + "/v1", timeout=30) as client:
            noburn_cli.wrap(client, api="openai")
            whole = await client.post("/chat/completions", json=BODY)
            streamed = await client.post("/chat/completions", json={**BODY, "stream": True})
            slow = {"x-stub-delay-ms": FOREVER_MS}
            ask = partial(client.post, "/chat/completions", json=BODY, headers=slow)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(ask)
                while len(desk.stub.requests) < 3:
                    await trio.sleep(0.01)
                nursery.cancel_scope.cancel()
            desk.limit(1)
            blocked = await client.post("/chat/completions", json=BODY)
            left = await noburn_cli.aremaining()
        return whole, streamed, blocked, left

    whole, streamed, blocked, left = trio.run(main)
    assert whole.json()["usage"]["completion_tokens"] == 40
    assert b"prompt_tokens" not in streamed.content
    assert blocked.status_code == 402
    assert left.nano == 0
    assert desk.states_when_ended() == ["settled", "settled", "uncertain", "blocked"]
    assert desk.bill_nano() <= desk.cost_nano()


def test_a_hundred_tasks(desk):
    async def main():
        async with ask(desk.stub) as client:
            return await asyncio.gather(*(chat(client) for _ in range(100)))

    assert len({answer.id for answer in asyncio.run(main())}) == 100
    assert desk.states() == ["settled"] * 100
    assert desk.cost_nano() == desk.bill_nano()


def test_a_blocked_async_call_and_stream(desk):
    desk.limit(100)

    async def main():
        async with ask(desk.stub) as client:
            for stream in (False, True):
                with pytest.raises(openai.APIStatusError) as blocked:
                    await chat(client, stream=stream)
                assert blocked.value.status_code == 402
                assert desk.customer in blocked.value.message

    asyncio.run(main())
    assert desk.states() == ["blocked"] * 2
    assert desk.stub.requests == []


def test_who_waits_is_served_in_order_and_the_loop_goes_on(desk):
    desk.limit(110_000)
    caps = (200, 100, 90)  # 104,120 held, then 54,120, then 49,120: each waits for the one before.
    desk.stub.defaults["x-stub-delay-ms"] = FOREVER_MS
    served, ticks = [], 0

    async def work(client, number):
        await client.chat.completions.create(**{**BODY, "max_completion_tokens": caps[number]})
        served.append(number)

    async def tick():
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    async def main():
        async with ask(desk.stub) as client:
            ticking = asyncio.create_task(tick())
            tasks = []
            for number in range(3):
                tasks.append(asyncio.create_task(work(client, number)))
                await until(lambda wanted=number: _asked(desk) > wanted)
            begun = ticks
            await until(lambda: ticks > begun + 10)  # While two of them wait for the first.
            assert served == []
            desk.stub.hurry.set()
            await asyncio.gather(*tasks)
            ticking.cancel()

    asyncio.run(main())
    assert served == [0, 1, 2]
    assert desk.states() == ["settled"] * 3


def _asked(desk):
    """How many calls hold money, wait for it, or have ended."""
    waiting = [
        account["waiting"]
        for budget in desk.home.client.budget_list()["budgets"]
        if budget["scope"] == f"customer={desk.customer}"
        for account in budget["accounts"]
    ]
    return len(desk.calls()) + sum(waiting)


def test_who_is_cancelled_while_waiting_frees_its_place(desk):
    desk.limit(ONE_AT_A_TIME_NANO)
    desk.stub.defaults["x-stub-delay-ms"] = FOREVER_MS

    async def main():
        async with ask(desk.stub) as client:
            first = asyncio.create_task(chat(client))
            await until(lambda: _asked(desk) > 0)
            second = asyncio.create_task(chat(client))
            await until(lambda: _asked(desk) > 1)
            third = asyncio.create_task(chat(client))
            await until(lambda: _asked(desk) > 2)
            second.cancel()
            await asyncio.gather(second, return_exceptions=True)
            desk.stub.hurry.set()
            await asyncio.gather(first, third)

    asyncio.run(main())
    assert sorted(desk.states()) == ["settled"] * 2
    assert len(desk.stub.requests) == 2


def test_what_a_call_started_is_guarded_when_the_call_is_over(desk):
    """A transport's task inherits the mark of the call in which it began."""
    found = []

    async def main():
        gate = asyncio.Event()

        async def later():
            found.append(layers.above() is not None)
            await gate.wait()
            found.append(layers.above() is not None)

        with layers.guarded():
            task = asyncio.create_task(later())
            await asyncio.sleep(0)
        gate.set()
        await task

    asyncio.run(main())
    assert found == [True, False]


LEAVES_NOTHING = """
import asyncio, gc, os, sys, openai, noburn_cli

def files():
    return len(os.listdir("/proc/self/fd"))

async def main():
    asyncio.get_running_loop().slow_callback_duration = 60  # A slow machine is no finding.
    url = sys.argv[1] + "/v1"
    async with noburn_cli.wrap(openai.AsyncOpenAI(api_key="a", base_url=url)) as client:
        async def one(stream):
            answer = await client.chat.completions.create(
                model="gpt-6-luna", messages=[{"role": "user", "content": "hi"}], stream=stream
            )
            if stream:
                async for _ in answer:
                    pass
        await asyncio.gather(*(one(n % 2 == 0) for n in range(6)))
        task = asyncio.create_task(one(True))
        await asyncio.sleep(0.02)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

asyncio.run(main())
gc.collect()
before = files()
for _ in range(8):
    asyncio.run(main())
    gc.collect()
# The first cancelled call may open the one connection that threads share; then it is kept.
print(files() - before <= 1)
"""


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts open files by /proc")
def test_no_warning_no_file_no_task_is_left_behind(desk):
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", LEAVES_NOTHING, desk.stub.url]
    ran = subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, env=dict(os.environ)
    )
    assert (ran.returncode, ran.stderr, ran.stdout) == (0, "", "True\n")
    assert "held" not in desk.states_when_ended()
