"""Does a ledger of ten million calls answer as soon as one of ten thousand?

    python -m benchmarks.flatness [--calls 10000,1000000,10000000] [--folder DIR] [--slow-too]

Builds ledgers of that many calls in --folder (kept, and used again; each round adds some thousands
of calls), through the daemon's own book and ledger: each call a `reserve` and a `settle` row with
its link, balances and all.  Then starts a daemon over each, and measures in turn, round after
round, so that a noisy neighbour meets all: the start until the first answer, the latency of one
caller, and 64 callers' operations; the quietest round counts.  Beside them, once each: a new budget
over all calls, `noburn report`, and, with --slow-too, `noburn ledger verify`.  Writes
benchmarks/results/flatness.json and flatness.md.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import rivals
from benchmarks.ledger import machine
from benchmarks.load import Load, drive
from benchmarks.ways import NOBURN, RESERVE, SETTLE, ask, start_daemon
from noburn_cli import resources
from noburn_cli.core.pricebook import PriceBook
from noburn_daemon import ending, frames, policy, reserving
from noburn_daemon.book import Book
from noburn_daemon.calls import charged
from noburn_daemon.ledger import Event
from noburn_daemon.pricing import Pricing
from noburn_daemon.restore import restore, take_snapshot
from noburn_daemon.sqlite import SqliteLedger

RESULTS = Path(__file__).parent / "results"
BUDGETS = (("global", "total"), ("project=p", "month"), ("customer=*", "month"),
           ("feature=*", "month"), ("tag.team=x", "total"))  # fmt: skip
CUSTOMERS, FEATURES = 200, 5
#: The calls lie in the last so many days, evenly.
DAYS = 300
BATCH = 2_000
#: At most this much slower at the largest size than at the smallest: what "flat" means here.
FLAT = 1.3


class Builder:
    """Writes calls as the daemon would, a batch a commit."""

    def __init__(self, path: Path, calls: int) -> None:
        prices = PriceBook.from_texts([resources.shipped_prices()])
        self._step_ms = DAYS * 86_400_000 / calls
        self._now = float(time.time_ns() // 1_000_000 - DAYS * 86_400_000)
        self._ledger = SqliteLedger(path, now_ms=int(self._now))
        self._ledger.store_book(prices.version, list(prices.texts))
        pricing = Pricing(prices, self._ledger.book_texts)
        self._book: Book = restore(self._ledger, pricing, int(self._now))
        self._made = 0
        for scope, per in BUDGETS:
            limit = frames.LimitSpec(unit="dollars", amount=rivals.LIMIT)
            frame = frames.BudgetSet(n=1, scope=scope, per=per, limit=limit)
            policy.set_budget(self._book, frame, int(self._now))
        self._samples = list(self._sampled())
        self._commit()

    def build(self, calls: int) -> None:
        """Write until there are so many calls, the sampled ones included; then close the file."""
        while self._made < calls:
            for _ in range(min(BATCH, calls - self._made)):
                self._one_more()
            self._commit()
        self._ledger.close()

    def _sampled(self) -> Iterator[tuple[Any, Event, Event]]:
        """A real call of each context, decided by the rules: its context, and its two rows."""
        book = self._book
        for number in range(CUSTOMERS * FEATURES):
            attributes = {
                "project": "p", "customer": f"c{number // FEATURES}",
                "feature": f"f{number % FEATURES}", "tag.team": "x",
            }  # fmt: skip
            name = f"{int(self._now):012x}-{number}"
            asked = json.loads(RESERVE + b"}") | {"n": 1, "call": name, "attrs": attributes}
            frame = frames.decode(json.dumps(asked).encode())
            assert isinstance(frame, frames.Reserve)
            now = int(self._now)
            reserving.reserve(book, frame, owner="boot/1/2", caller=None, now_ms=now)
            bill = frames.decode(b'%s,"n":1,"call":"%s"}' % (SETTLE, name.encode()))
            assert isinstance(bill, frames.Settle)
            ending.settle(book, bill, now)
            reserved, settled = book.events[-2:]
            self._made += 1
            yield book.context(frame.attrs), copy.copy(reserved), copy.copy(settled)

    def _one_more(self) -> None:
        """The like of a sampled call, reserved and settled at the next moment."""
        book, number = self._book, self._made
        self._made += 1
        self._now += self._step_ms
        now = int(self._now)
        context, reserved, settled = self._samples[number % len(self._samples)]
        opening, ended = copy.copy(reserved), copy.copy(settled)
        opening.call = ended.call = f"{now:012x}-{number}"
        opening.at_ms = ended.at_ms = now
        book.accounts.look_up(context, now)
        call = book.open_call(opening, context, charged(context.charged, notional=False))
        book.close_call(call, ended)
        book.events += (opening, ended)

    def _commit(self) -> None:
        book = self._book
        events, book.events = book.events, []
        self._ledger.append(events, take_snapshot(book))
        book.calls.forget_old()


def built(folder: Path, calls: int) -> Path:
    """The home of a ledger with so many calls; made where there is none."""
    home = folder / f"calls-{calls}"
    if not (home / "built").exists():
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(mode=0o700, parents=True)
        began = time.perf_counter()
        Builder(home / "ledger.sqlite3", calls).build(calls)
        took = time.perf_counter() - began
        (home / "built").write_text(f"{took:.0f} s\n", encoding="utf-8")
        print(f"built {calls:,} calls in {took:.0f} s", flush=True)
    return home


def timed_start(home: Path) -> tuple[subprocess.Popen[bytes], float]:
    """A daemon, and the milliseconds until it answered for the first time."""
    began = time.perf_counter()
    daemon = start_daemon(home, "process", budgets=False)
    ask(home, {"op": "status"})
    return daemon, (time.perf_counter() - began) * 1000


def run(home: Path, *command: str) -> float:
    """Seconds of one `noburn` command."""
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "noburn_cli", *command], check=True, stdout=subprocess.DEVNULL,
        env={**os.environ, "NOBURN_HOME": str(home)},
    )  # fmt: skip
    return time.perf_counter() - began


def measure_all(homes: dict[int, Path], rounds: int, *, slow: bool) -> dict[int, dict[str, float]]:
    """What came out, by the number of calls."""
    found: dict[int, dict[str, float]] = {calls: {} for calls in homes}
    first = min(homes)
    bytes_of = {n: (home / "ledger.sqlite3").stat().st_size for n, home in homes.items()}
    for calls, size in bytes_of.items():
        if calls > first:  # without what every ledger has: price books, names
            further = (size - bytes_of[first]) / (calls - first)
            found[calls]["bytes_per_call"] = round(further, 1)
        found[calls]["file_mb"] = round(size / 2**20, 1)
    for _ in range(rounds):
        for calls, home in homes.items():
            _one_round(home, found[calls])
            print(calls, found[calls], flush=True)
    for calls, home in homes.items():
        row = found[calls]
        row["report_s"] = round(run(home, "report", "--by", "model"), 2)
        if slow:
            row["verify_s"] = round(run(home, "ledger", "verify"), 2)
        print(calls, row, flush=True)
    return found


def _one_round(home: Path, best: dict[str, float]) -> None:
    """One start, one caller, 64 callers, a new budget; the quietest of each is kept."""
    daemon, took_ms = timed_start(home)
    path = str(home / "daemon.sock")
    try:
        alone = drive(path, NOBURN, callers=1, seconds=0.5)
        many = drive(path, NOBURN, callers=64, seconds=1.0)
        began = time.perf_counter()
        budget = {"scope": "feature=f1", "per": "total"}
        limit = {"unit": "dollars", "amount": rivals.LIMIT}
        ask(home, {"op": "budget.set", **budget, "limit": limit})
        took_s = time.perf_counter() - began
        ask(home, {"op": "budget.rm", **budget, "unit": "dollars"})
        status = Path(f"/proc/{daemon.pid}/status").read_text(encoding="ascii")
    finally:
        daemon.terminate()
        daemon.wait()
    assert not alone.refused + many.refused
    resident = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    for name, value in (
        ("start_ms", took_ms), ("alone_p50_ms", alone.percentile_ms(0.5)),
        ("alone_p99_ms", alone.percentile_ms(0.99)), ("many_p50_ms", many.percentile_ms(0.5)),
        ("many_p99_ms", many.percentile_ms(0.99)), ("budget_set_s", took_s),
        ("resident_mb", int(resident.split()[1]) / 1024),
    ):  # fmt: skip
        best[name] = round(min(value, best.get(name, value)), 3)
    best["many_per_s"] = max(_per_s(many), best.get("many_per_s", 0))


def _per_s(load: Load) -> float:
    return round(load.per_s)


LINES = {
    "start_ms": "start to first answer, ms",
    "alone_p50_ms": "1 caller, p50 ms",
    "alone_p99_ms": "1 caller, p99 ms",
    "many_per_s": "64 callers, operations/s",
    "many_p50_ms": "64 callers, p50 ms",
    "many_p99_ms": "64 callers, p99 ms",
    "resident_mb": "daemon's resident memory, MiB",
    "file_mb": "the file, MiB",
    "bytes_per_call": "bytes of the file per further call",
    "budget_set_s": "a new budget over all calls, s",
    "report_s": "`noburn report --by model`, s",
    "verify_s": "`noburn ledger verify`, s",
}
#: What is to be flat: not what reads every row.
FLAT_LINES = ("start_ms", "alone_p50_ms", "many_p50_ms")


def report(found: dict[int, dict[str, float]], how: str) -> str:
    sizes = sorted(found)
    lines = [
        "# Ledgers of ten thousand, a million and ten million calls", "", how, "",
        "| | " + " | ".join(f"{calls:,}" for calls in sizes) + " | last beside first |",
        "|---|" + "---|" * (len(sizes) + 1),
    ]  # fmt: skip
    for name, title in LINES.items():
        values = [found[calls].get(name) for calls in sizes]
        if values[-1] is None:
            continue
        cells = " | ".join("" if value is None else f"{value:,.10g}" for value in values)
        times = f"{values[-1] / values[0]:.2f}" if values[0] else ""
        lines.append(f"| {title} | {cells} | {times} |")
    lines.append("")
    for name in FLAT_LINES:
        times = found[sizes[-1]][name] / found[sizes[0]][name]
        met = "met" if times <= FLAT else "**not met**"
        lines.append(f"- {LINES[name]}: {times:.2f} times (aim: at most {FLAT}): {met}")
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", default="10000,1000000,10000000")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "nb-flatness")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--slow-too", action="store_true", help="verify as well: minutes")
    chosen = parser.parse_args()
    sizes = sorted(int(number) for number in chosen.calls.split(","))
    homes = {calls: built(chosen.folder, calls) for calls in sizes}
    found = measure_all(homes, chosen.rounds, slow=chosen.slow_too)
    when = datetime.now(UTC).date().isoformat()
    how = (
        f"Measured {when} on {machine()};\nthe quietest of {chosen.rounds} interleaved rounds, by "
        "`python -m benchmarks.flatness --slow-too`.\nThe calls lie in the last "
        f"{DAYS} days, of {CUSTOMERS * FEATURES:,} contexts, under five budgets."
    )
    text = report(found, how)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "flatness.md").write_text(text, encoding="utf-8")
    rows = {str(calls): row for calls, row in found.items()}
    kept = {"date": when, "machine": machine(), "calls": rows}
    (RESULTS / "flatness.json").write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
