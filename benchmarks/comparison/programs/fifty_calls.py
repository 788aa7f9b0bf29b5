"""Fifty calls at once, in threads, and what became of each.  For the programs beside it."""

from __future__ import annotations

import contextvars
import json
import os
import sys
import threading
from collections import Counter
from collections.abc import Callable

CALLS = 50
MODEL = os.environ["MODEL"]
OUTPUT_TOKENS = int(os.environ["OUTPUT_TOKENS"])
LIMIT_USD = float(os.environ["LIMIT_USD"])
#: `row`: one after another; `together`: all at once; `warm`: all at once after a first one.
MODE = os.environ["MODE"]


def request(number: int) -> dict[str, object]:
    """One call's arguments; each has words of its own, so that no cache answers it."""
    words = f"Answer customer {number}'s question about opening hours, in full."
    return {
        "model": MODEL,
        "messages": [{"role": "user", "content": words}],
        "max_tokens": OUTPUT_TOKENS,
    }


def run(call: Callable[[int], object], is_refusal: Callable[[Exception], bool]) -> None:
    """Make the calls and print the counts.  A tool's context variables go along."""
    counts: Counter[str] = Counter()
    errors: Counter[str] = Counter()
    lock = threading.Lock()
    together = threading.Barrier(CALLS)

    def one(number: int, *, wait: bool = True) -> None:
        if wait:
            together.wait()
        try:
            call(number)
        except Exception as error:  # noqa: BLE001 -- every tool has errors of its own
            with lock:
                counts["refused" if is_refusal(error) else "failed"] += 1
                errors[f"{type(error).__name__}: {str(error)[:120]}"] += 1
        else:
            with lock:
                counts["answered"] += 1

    if MODE == "warm":
        one(0, wait=False)
    if MODE == "row":
        for number in range(CALLS):
            one(number, wait=False)
        return _tell(counts, errors)
    threads = [
        threading.Thread(target=contextvars.copy_context().run, args=(one, number + 1))
        for number in range(CALLS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return _tell(counts, errors)


def _tell(counts: Counter[str], errors: Counter[str]) -> None:
    kept = dict(errors.most_common(3))
    counted = {name: counts[name] for name in ("answered", "refused", "failed")}
    sys.stdout.write(json.dumps({**counted, "errors": kept}) + "\n")


def client():
    """The SDK without retries of its own, which would blur what the tool decides."""
    from openai import OpenAI

    headers = json.loads(os.environ.get("MORE_HEADERS", "{}"))
    return OpenAI(max_retries=0, timeout=120, default_headers=headers)


def status_is(*codes: int) -> Callable[[Exception], bool]:
    return lambda error: getattr(error, "status_code", None) in codes
