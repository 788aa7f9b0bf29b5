"""Fifty calls at once against one budget: the naive way, or whatever stands in front of them.

Layer: demo.  Below: demo.voices, demo.brief, core.pricebook.  Started as
`python -m noburn_cli.demo.rush [--check LIMIT]`.

With `--check` every call first compares what was spent with the limit, goes out, and records its
cost when the answer is there: how a wrapper around a client does it.  Without, it only calls.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import time

from noburn_cli.core.money import parse_dollars
from noburn_cli.core.pricebook import STANDARD, call_cost
from noburn_cli.demo.brief import RUSH_CAP_TOKENS, RUSH_MODEL, RUSH_PROMPT
from noburn_cli.demo.voices import Said, StoppedError, choose_voice
from noburn_cli.prices import load_book

CALLS = 50


class CheckThenAct:
    """A budget as it is often kept: read before the call, written after it.

    Each step alone is safe between threads.  What is missing is a hold between the two.
    """

    def __init__(self, limit_nano: int) -> None:
        self._limit_nano = limit_nano
        self._spent_nano = 0
        self._lock = threading.Lock()
        self._model = load_book(os.environ).resolve(RUSH_MODEL)

    def cost(self, usage: dict[str, int]) -> int:
        return call_cost(self._model, usage, variant=STANDARD, at_ms=time.time_ns() // 1_000_000)

    def allows(self) -> bool:
        """Whether the most that one call can cost still fits."""
        most = {"input": len(RUSH_PROMPT.encode()), "output": RUSH_CAP_TOKENS}
        with self._lock:
            return self._spent_nano + self.cost(most) <= self._limit_nano

    def record(self, said: Said) -> None:
        cost = self.cost({"input": said.input_tokens, "output": said.output_tokens})
        with self._lock:
            self._spent_nano += cost


def main(arguments: list[str] | None = None) -> int:
    """Make the calls; one line of JSON says how many went out and how many were stopped."""
    parser = argparse.ArgumentParser(description="Fifty calls at once against one budget.")
    parser.add_argument("--check", metavar="LIMIT", help="check against this limit, and then act")
    chosen = parser.parse_args(arguments)
    budget = None if chosen.check is None else CheckThenAct(parse_dollars(chosen.check))
    counts = {"made": 0, "stopped": 0}
    lock = threading.Lock()
    start = threading.Barrier(CALLS)
    voice = choose_voice()
    voice.warm_up()

    def call_once() -> None:
        start.wait()
        try:
            if budget is not None and not budget.allows():
                raise StoppedError("check", 0, "spent")
            said = voice.chat(RUSH_MODEL, RUSH_PROMPT, cap=RUSH_CAP_TOKENS)
        except StoppedError:
            with lock:
                counts["stopped"] += 1
            return
        if budget is not None:
            budget.record(said)
        with lock:
            counts["made"] += 1

    threads = [threading.Thread(target=call_once) for _ in range(CALLS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.stdout.write(json.dumps(counts) + "\n")
    return 0 if sum(counts.values()) == CALLS else 1


if __name__ == "__main__":
    raise SystemExit(main())
