"""A worker as users write them: threads that call a provider until they are stopped.

Usage: worker.py KIND THREADS CALLS LOG, where KIND is one of the names in CALLERS.
Writes one JSON line per call to LOG: {"ok": true, "id": …} or {"ok": false, "status": 402, …}.
Knows nothing of noburn.
"""

from __future__ import annotations

import importlib
import json
import sys
import threading
from collections.abc import Callable
from pathlib import Path

PROMPT = "Summarise the state of the harbour in the winter of that year, ship by ship. " * 4
CAP = 200


def openai_plain() -> Callable[[], str]:
    import openai

    client = openai.OpenAI(api_key="test", max_retries=0, timeout=120)

    def call() -> str:
        answer = client.chat.completions.create(
            model="gpt-6-luna",
            messages=[{"role": "user", "content": PROMPT}],
            max_completion_tokens=CAP,
        )
        return answer.id

    return call


def openai_stream() -> Callable[[], str]:
    import openai

    client = openai.OpenAI(api_key="test", max_retries=0, timeout=120)

    def call() -> str:
        call_id = ""
        with client.chat.completions.create(
            model="gpt-6-luna",
            messages=[{"role": "user", "content": PROMPT}],
            max_completion_tokens=CAP,
            stream=True,
        ) as stream:
            for chunk in stream:
                call_id = chunk.id
        return call_id

    return call


def anthropic_stream() -> Callable[[], str]:
    import anthropic

    client = anthropic.Anthropic(api_key="test", max_retries=0, timeout=120)

    def call() -> str:
        with client.messages.stream(
            model="claude-haiku-5-5",
            messages=[{"role": "user", "content": PROMPT}],
            max_tokens=CAP,
        ) as stream:
            return stream.get_final_message().id

    return call


def openai_uncapped() -> Callable[[], str]:
    import openai

    client = openai.OpenAI(api_key="test", max_retries=0, timeout=120)

    def call() -> str:
        answer = client.responses.create(model="gpt-6-luna", input=PROMPT)
        return answer.id

    return call


CALLERS = {
    "openai_plain": openai_plain,
    "openai_stream": openai_stream,
    "openai_uncapped": openai_uncapped,
    "anthropic_stream": anthropic_stream,
}


def load(kind: str) -> None:
    """Import what `kind` calls with."""
    importlib.import_module(kind.partition("_")[0])


def work(kind: str, threads: int, calls: int, log_name: str) -> None:
    caller = CALLERS[kind]()
    lock = threading.Lock()
    with Path(log_name).open("a", encoding="utf-8") as log:

        def ask() -> None:
            for _ in range(calls):
                try:
                    line = {"ok": True, "id": caller()}
                except Exception as error:  # noqa: BLE001 - what a worker's own loop does
                    line = {
                        "ok": False,
                        "status": getattr(error, "status_code", None),
                        "error": type(error).__name__,
                        "message": str(error),
                    }
                with lock:
                    log.write(json.dumps(line) + "\n")
                    log.flush()

        workers = [threading.Thread(target=ask) for _ in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()


if __name__ == "__main__":
    work(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
