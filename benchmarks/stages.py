"""Where the time of one operation goes: a turn of the daemon without sockets, stage by stage.

    python -m benchmarks.stages [--turns 300] [--rounds 7]

A turn decodes 64 frames, decides them, makes their rows with the links, inserts and commits them,
and encodes the answers: all reserves in one turn, their settles in the next.  Each round runs the
daemon as it is and, where it can be compiled, compiled, in a process of its own; of each stage the
quietest round counts.  Writes benchmarks/results/stages.json and stages.md.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
ROOT = Path(__file__).resolve().parents[1]
CALLS = 64
STAGES = {
    "decode": "a frame into a request (msgspec)",
    "decide": "the decision: price, budgets, holds, balances",
    "rows": "interning texts, canonical JSON, SHA-256 link",
    "insert": "INSERT into the journal and its index",
    "commit": "BEGIN, COMMIT, the snapshot ten times a second",
    "encode": "the answer into bytes",
    "memory": "old calls forgotten",
}
KINDS = ("reserve", "settle")


def one_process(turns: int) -> dict[str, float]:
    """Microseconds an operation by `kind stage`, in this process."""
    from benchmarks import rivals
    from benchmarks.ways import RESERVE, SCOPES, SETTLE
    from noburn_cli import resources
    from noburn_cli.core.pricebook import PriceBook
    from noburn_daemon import ending, frames, policy, reserving
    from noburn_daemon.pricing import Pricing
    from noburn_daemon.restore import restore, take_snapshot
    from noburn_daemon.sqlite import SqliteLedger

    spent: dict[str, float] = defaultdict(float)
    clock = time.perf_counter
    with tempfile.TemporaryDirectory(prefix="nb-") as folder:
        now = time.time_ns() // 1_000_000
        ledger = SqliteLedger(Path(folder) / "ledger.sqlite3", now_ms=now)
        prices = PriceBook.from_texts([resources.shipped_prices()])
        ledger.store_book(prices.version, list(prices.texts))
        book = restore(ledger, Pricing(prices, ledger.book_texts), now)
        limit = frames.LimitSpec(unit="dollars", amount=rivals.LIMIT)
        for scope in SCOPES:
            frame = frames.BudgetSet(n=1, scope=scope, per="total", limit=limit)
            policy.set_budget(book, frame, now)
        events, book.events = book.events, []
        ledger.append(events, take_snapshot(book))
        execute = ledger._connection.execute
        gc.freeze()
        gc.set_threshold(20_000, 20, 50)  # as the daemon does
        for turn in range(turns * 2):
            kind, now = KINDS[turn % 2], now + 2
            if turn % 2 == 0:
                names = [b"%012x-%d-%d" % (now, i, turn) for i in range(CALLS)]
            text = SETTLE if turn % 2 else RESERVE
            lines = [b'%s,"n":%d,"call":"%s"}' % (text, turn, name) for name in names]
            times = [clock()]
            asked = [frames.decode(line) for line in lines]
            times.append(clock())
            if turn % 2:
                answers = [ending.settle(book, frame, now) for frame in asked]  # type: ignore[arg-type]
            else:
                answers = [
                    reserving.reserve(book, frame, owner="b/1/2", caller=None, now_ms=now)  # type: ignore[arg-type]
                    for frame in asked
                ]
            times.append(clock())
            events, book.events = book.events, []
            snapshot = take_snapshot(book) if turn % 50 < 2 else None
            execute("BEGIN IMMEDIATE")
            times.append(clock())
            seq, chain, values = ledger._rows(events)
            times.append(clock())
            ledger._insert(values)
            times.append(clock())
            ledger._note_holds(events)
            if snapshot is not None:
                ledger._write_snapshot(snapshot, seq)
                ledger._opened.clear()
                ledger._closed.clear()
            ledger._check_place()
            execute("COMMIT")
            ledger._seq, ledger._chain = seq, chain
            times.append(clock())
            out = [frames.encode(answer) for answer in answers]
            times.append(clock())
            book.calls.forget_old()
            times.append(clock())
            assert all(b'"ok":true' in line for line in out), out[0]
            stages = ("decode", "decide", "commit", "rows", "insert", "commit", "encode", "memory")
            for stage, began, ended in zip(stages, times[:-1], times[1:], strict=True):
                spent[f"{kind} {stage}"] += ended - began
        ledger.close()
    return {name: took / (turns * CALLS) * 1e6 for name, took in spent.items()}


def measured(turns: int, rounds: int) -> dict[str, dict[str, float]]:
    """By way (`as it is`, `compiled`): the quietest round of each stage."""
    from tools import compile_daemon

    best: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(prefix="nb-") as folder:
        ways = {"as it is": [ROOT, ROOT / "daemon"]}
        try:
            compile_daemon.compile_into(Path(folder) / "compiled")
            ways["compiled"] = [Path(folder) / "compiled", ROOT]
        except (OSError, subprocess.CalledProcessError):
            print("not compiled: no mypyc, or no C compiler")
        for _ in range(rounds):
            for way, path in ways.items():
                command = [sys.executable, "-m", "benchmarks.stages", "--alone", str(turns)]
                where = os.pathsep.join(str(part) for part in path)
                ran = subprocess.run(
                    command, env={**os.environ, "PYTHONPATH": where}, cwd=folder, check=True,
                    stdout=subprocess.PIPE, text=True,
                )  # fmt: skip
                found = json.loads(ran.stdout)
                known = best.setdefault(way, found)
                best[way] = {name: min(took, known[name]) for name, took in found.items()}
    return best


def report(best: dict[str, dict[str, float]], how: str) -> str:
    ways = list(best)
    heads = [f"{kind}, {way}" for way in ways for kind in KINDS]
    lines = ["# One operation, stage by stage", "", how, ""]
    lines += ["| stage | " + " | ".join(heads) + " |", "|---|" + "---|" * len(heads)]
    for stage, title in STAGES.items():
        cells = [f"{best[way][f'{kind} {stage}']:.2f}" for way in ways for kind in KINDS]
        lines.append(f"| {stage}: {title} | " + " | ".join(cells) + " |")
    sums = [
        f"{sum(best[way][f'{kind} {stage}'] for stage in STAGES):.1f}"
        for way in ways for kind in KINDS
    ]  # fmt: skip
    lines += ["| **all of it** | " + " | ".join(sums) + " |", ""]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--alone", type=int, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.alone:
        print(json.dumps(one_process(chosen.alone)))
        return
    from benchmarks.ledger import machine

    best = measured(chosen.turns, chosen.rounds)
    when = datetime.now(UTC).date().isoformat()
    how = (
        f"Microseconds an operation, in batches of {CALLS}, without sockets. Measured {when} on\n"
        f"{machine()};\nof each stage the quietest of {chosen.rounds} rounds, by `python -m "
        "benchmarks.stages`."
    )
    text = report(best, how)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "stages.md").write_text(text, encoding="utf-8")
    kept = {"date": when, "machine": machine(), "microseconds": best}
    (RESULTS / "stages.json").write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
