"""A program that does what its arguments say, one after the other, over plain httpx.

call            a call with a cap; its status is printed
pair            two of them at once
deaf            start a child that ignores SIGTERM, and print its pid
apart           start a child in a session of its own, and print its pid
run:LIMIT:STEP  `noburn run --budget LIMIT` of this program with one step
wait:FILE       until the file exists
sleep:SECONDS
exit:CODE
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx

DEAF = "trap '' TERM; while :; do sleep 0.2; done"


def call() -> None:
    answer = httpx.post(
        f"{os.environ['OPENAI_BASE_URL']}/chat/completions",
        json={
            "model": "gpt-6-luna",
            "messages": [{"role": "user", "content": "Tell me about the harbour."}],
            "max_completion_tokens": 400,
        },
        timeout=120,
    )
    print("status", answer.status_code, flush=True)


def pair() -> None:
    threads = [threading.Thread(target=call) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def start(*command: str, session: bool = False) -> None:
    # Its output is nobody's, so that nobody waits for its end.
    child = subprocess.Popen(
        command, start_new_session=session, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    print("pid", child.pid, flush=True)


def wait_for(file: str) -> None:
    while not Path(file).exists():
        time.sleep(0.02)


def nested(limit: str, step: str) -> None:
    command = [sys.executable, "-m", "noburn_cli", "run", "--budget", limit, "--"]
    subprocess.run([*command, sys.executable, __file__, step, step], check=False)


STEPS: dict[str, Callable[..., None]] = {
    "call": call,
    "pair": pair,
    "deaf": lambda: start("sh", "-c", DEAF),
    "apart": lambda: start("sleep", "600", session=True),
    "run": nested,
    "wait": wait_for,
    "sleep": lambda seconds: time.sleep(float(seconds)),
    "exit": lambda code: sys.exit(int(code)),
}

if __name__ == "__main__":
    for argument in sys.argv[1:]:
        name, *values = argument.split(":")
        STEPS[name](*values)
