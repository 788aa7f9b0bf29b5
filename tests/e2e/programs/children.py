"""Starts children in every way, in blocks for several customers; each child makes one call.

`ask LABEL` is the child: its call's job is LABEL, and it says nothing else about itself.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import subprocess
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import httpx2

import noburn_cli

BODY = {
    "model": "gpt-6-luna", "messages": [{"role": "user", "content": "hi"}],
    "max_completion_tokens": 20,
}  # fmt: skip


def ask(label: str) -> None:
    with httpx2.Client(timeout=120) as client:
        answer = client.post(
            os.environ["OPENAI_BASE_URL"] + "/chat/completions",
            json=BODY,
            headers={"x-noburn-job": label, "authorization": "Bearer any"},
        )
    assert answer.status_code == 200, answer.text


def command(label: str) -> list[str]:
    return [sys.executable, __file__, "ask", label]


async def awaited(label: str) -> None:
    child = await asyncio.create_subprocess_exec(*command(label))
    assert await child.wait() == 0


def one_by_one() -> None:
    subprocess.run(command("subprocess"), check=True)
    own = {**os.environ, "NOBURN_CUSTOMER": "named-by-env"}
    subprocess.run(command("own-env"), check=True, env=own)
    copied = {name: text for name, text in os.environ.items() if name != "LANG"}
    subprocess.Popen(command("copied-env"), env=copied).wait()
    asyncio.run(awaited("asyncio"))
    for how in ("fork", "spawn", "forkserver"):
        process = multiprocessing.get_context(how).Process(target=ask, args=(how,))
        process.start()
        process.join()
        assert process.exitcode == 0, how


def pools() -> None:
    with (
        ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as executor,
        multiprocessing.get_context("spawn").Pool(1) as pool,
    ):
        for customer in ("first", "second"):
            with noburn_cli.attribute(customer=customer):
                executor.submit(ask, f"submit-{customer}").result()
                list(executor.map(ask, [f"map-{customer}"]))
                pool.map(ask, [f"pool-{customer}"])
                pool.apply_async(ask, (f"apply-{customer}",)).get()
        executor.submit(ask, "submit-outside").result()
        pool.map(ask, ["pool-outside"])


def threads() -> None:
    with ThreadPoolExecutor(1) as executor:
        for customer in ("first", "second"):
            with noburn_cli.attribute(customer=customer):
                executor.submit(ask, f"thread-{customer}").result()
                asyncio.run(asyncio.to_thread(ask, f"to_thread-{customer}"))
        executor.submit(ask, "thread-outside").result()


if __name__ == "__main__":
    if sys.argv[1:2] == ["ask"]:
        ask(sys.argv[2])
        sys.exit()
    warnings.simplefilter("ignore")  # 3.12 warns of forks in threaded programs.
    with (
        noburn_cli.attribute(step="outer"),
        noburn_cli.attribute(customer="acme", step="load", tags={"team": "x"}),
    ):
        one_by_one()
    ask("after")
    pools()
    threads()
