"""A process that spends: reserves, sends, is billed and settles in threads, until it is killed.

Run as `python caller.py HOME LOG`.  What it knows stands in LOG before anybody else does something
about it, one word a line, as a write to a file survives SIGKILL:

- `sent CALL`: the grant was heard, and the request is about to leave;
- `billed CALL INPUT OUTPUT`: the provider has answered, and bills so much;
- `ended CALL STATE NANO`: the daemon has booked the end.
"""

from __future__ import annotations

import os
import random
import sys
import threading
import time
from pathlib import Path

from noburn_cli.client import Client, new_call_id
from noburn_cli.errors import NoburnError

THREADS = 4
INPUT_MAX, OUTPUT_MAX = 100, 200


def main(home: Path, log: Path) -> None:
    descriptor = os.open(log, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
    client = Client(home)
    threads = [
        threading.Thread(target=spend, args=(client, descriptor, number), daemon=True)
        for number in range(THREADS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def spend(client: Client, log: int, number: int) -> None:
    chance = random.Random()
    while True:
        call = new_call_id()
        try:
            reply = client.reserve(
                _frame(call, feature=f"f{number}", wait_ms=chance.choice((0, 50)))
            )
            if not reply["ok"]:
                time.sleep(0.005)
                continue
            _end(client, log, call, chance)
        except NoburnError:
            time.sleep(0.01)  # Whatever it was: nothing was sent for it, or its end is kept.


def _end(client: Client, log: int, call: str, chance: random.Random) -> None:
    if chance.random() < 0.1:
        client.void(call, reason="not sent after all")
        return
    _write(log, f"sent {call}")
    time.sleep(chance.random() * 0.003)
    if chance.random() < 0.1:
        reply = client.lose(call, reason="the stream broke")
    else:
        billed = chance.randint(1, INPUT_MAX), chance.randint(1, OUTPUT_MAX)
        _write(log, f"billed {call} {billed[0]} {billed[1]}")
        reply = client.settle(call, {"input": billed[0], "output": billed[1]}, status=200)
    if reply["ok"]:
        _write(log, f"ended {call} {reply['state']} {reply['cost_nano']}")


def _write(log: int, line: str) -> None:
    os.write(log, line.encode() + b"\n")


def _frame(call: str, *, feature: str, wait_ms: int) -> dict[str, object]:
    return {
        "call": call, "api": "openai_chat", "model": "gpt-6-luna",
        "attrs": {"customer": "acme", "feature": feature},
        "input": {"bytes": INPUT_MAX, "expanded": INPUT_MAX},
        "output": {"wanted": OUTPUT_MAX, "floor": 1, "choices": 1, "clamp": False},
        "wait_ms": wait_ms, "refined": True,
    }  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
