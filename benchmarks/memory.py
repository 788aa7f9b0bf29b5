"""Is the daemon's memory flat?  Millions of calls through a real one, its RSS every 100,000.

    python -m benchmarks.memory [--calls 2000000] [--write]

The calls are of 3,000 customers with 10 features each, below five budgets, of which two have an
account per customer and one of them rolls, in runs of 500 calls; one in a hundred is lost, and
billed later, one in a hundred voided.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.ledger import machine

CUSTOMERS, FEATURES, RUN_CALLS = 3_000, 10, 500
BATCH = 250
EVERY = 100_000
RESULTS = Path(__file__).parent / "results"
BUDGETS = (
    ("global", "total", "dollars", 10**15),
    ("customer=*", "month", "dollars", 10**12),
    ("customer=*", "1m", "requests", 10**6),
    ("feature=*", "hour", "tokens", 10**12),
    ("run=*", "run", "dollars", 10**12),
)

_WHY = """What grows is filled once: 3,000 customers with an account each in two budgets (all have
been there after 1.5 million calls), and what is kept to be fast: 20,000 contexts (full after one
million calls) and 50,000 names (after 2.5 million), of which each run brings ten.  Of ended calls
only the newest 32,768 are kept.  Below a budget `run=*` each run keeps an account."""


@dataclass
class Point:
    """After so many calls: resident memory and the ledger's file in MiB, calls a second."""

    calls: int
    rss_mib: float
    ledger_mib: float
    per_s: int


class Line:
    """One connection, a batch of frames at a time; frames are made and read by text alone."""

    def __init__(self, home: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        for _ in range(600):
            try:
                self.socket.connect(str(home / "daemon.sock"))
                break
            except OSError:
                time.sleep(0.05)
        self._file = self.socket.makefile("rb")
        self.ask([{"n": 0, "op": "hello", "v": 1, "client": "memory"}])

    def ask(self, frames: list[dict[str, Any]]) -> None:
        self.send([json.dumps(frame) for frame in frames])

    def send(self, lines: list[str]) -> None:
        """Send frames, and read a good reply to each."""
        self.socket.sendall(("\n".join(lines) + "\n").encode())
        for _ in lines:
            reply = self._file.readline()
            assert b'"ok":true' in reply, reply


_RESERVE = json.dumps(
    {
        "n": 1, "op": "reserve", "call": "CALL", "api": "openai_chat", "model": "gpt-6-luna",
        "attrs": {"customer": "CUSTOMER", "feature": "FEATURE", "run": "RUN"},
        "input": {"bytes": 1200, "expanded": 1200, "overhead": 17},
        "output": {"wanted": 200, "floor": 1, "choices": 1, "clamp": False}, "refined": True,
    }
)  # fmt: skip
_SETTLE = json.dumps(
    {
        "n": 1, "op": "settle", "call": "CALL", "latency_ms": 800,
        "usage": {"input": 900, "cache_read": 100, "output": 150},
    }
)  # fmt: skip
_LOSE = json.dumps({"n": 1, "op": "lose", "call": "CALL", "reason": "reset"})
_VOID = json.dumps({"n": 1, "op": "void", "call": "CALL", "reason": "refused"})


def reserve(number: int, run: str) -> str:
    customer = number // RUN_CALLS * 7 % CUSTOMERS
    named = _RESERVE.replace("CUSTOMER", f"c{customer}").replace("RUN", run)
    return named.replace("FEATURE", f"f{number % FEATURES}").replace("CALL", f"m{number:012}")


def ending(number: int) -> str:
    frame = {1: _LOSE, 2: _VOID}.get(number % 100, _SETTLE)
    return frame.replace("CALL", f"m{number:012}")


def drive(home: Path, pid: int, calls: int) -> list[Point]:
    """Send the calls; one point for each EVERY of them."""
    line = Line(home)
    for scope, per, unit, amount in BUDGETS:
        limit = {"unit": unit, "amount": amount}
        line.ask([{"n": 1, "op": "budget.set", "scope": scope, "per": per, "limit": limit}])
    points = [_point(home, pid, 0, 0)]
    began, run, done = time.perf_counter(), "", 0
    while done < calls:
        if done % RUN_CALLS == 0:
            if run:
                line.ask([{"n": 1, "op": "run.end", "run": run}])
            run = f"r{done}"
            line.ask([{"n": 1, "op": "run.start", "run": run}])
        numbers = range(done, done + BATCH)
        line.send([reserve(number, run) for number in numbers])
        line.send([ending(number) for number in numbers])
        late = [_SETTLE.replace("CALL", f"m{n:012}") for n in numbers if n % 100 == 1]
        line.send(late)
        done += BATCH
        if done % EVERY == 0:
            per_s = round(EVERY / (time.perf_counter() - began))
            points.append(_point(home, pid, done, per_s))
            print(points[-1], flush=True)
            began = time.perf_counter()
    return points


def _point(home: Path, pid: int, calls: int, per_s: int) -> Point:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    rss = pages * os.sysconf("SC_PAGE_SIZE") / 2**20
    file = (home / "ledger.sqlite3").stat().st_size / 2**20
    return Point(calls, round(rss, 1), round(file, 1), per_s)


def report(points: list[Point]) -> str:
    half = points[len(points) // 2]
    grown = points[-1].rss_mib - half.rss_mib
    per_call = grown * 2**20 / max(points[-1].calls - half.calls, 1)
    lines = [
        "# Memory over calls", "", machine(), "",
        "Resident memory of a daemon while one client sends calls (benchmarks/memory.py).", "",
        "| calls | RSS, MiB | ledger, MiB | calls/s of the client |", "|---|---|---|---|",
        *(f"| {p.calls:,} | {p.rss_mib} | {p.ledger_mib:,} | {p.per_s:,} |" for p in points), "",
        _WHY, "",
        f"From {half.calls:,} calls on: {grown:+.1f} MiB, {per_call:+.1f} bytes a call.",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=2_000_000)
    parser.add_argument("--write", action="store_true", help="Keep the result.")
    options = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="nb-memory-"))
    process = subprocess.Popen(
        [sys.executable, "-m", "noburn_daemon", "--home", str(home), "--metrics", "unix"]
    )
    try:
        points = drive(home, process.pid, options.calls)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        shutil.rmtree(home, ignore_errors=True)
    print(report(points))
    if options.write:
        (RESULTS / "memory.md").write_text(report(points))
        rows = [vars(point) for point in points]
        (RESULTS / "memory.json").write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
