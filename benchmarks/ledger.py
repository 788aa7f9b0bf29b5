"""Reserve and settle through the daemon, beside what one could do instead, in one run.

    python -m benchmarks.ledger [--seconds 2] [--rounds 3] [--callers 1,16,64,256]

One operation is one reserve or one settle over five budgets.  The rivals take turns with ours,
round after round, so that a noisy neighbour meets all of them; each one's quietest round counts.
Results go to benchmarks/results/ledger.json and ledger.md.  Read the ratios, not the times.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import apsw

from benchmarks import rivals
from benchmarks.http_service import serve_http
from benchmarks.load import Load, drive

RESULTS = Path(__file__).parent / "results"
ATTRIBUTES = {"project": "p", "customer": "acme", "feature": "chat", "run": "r1", "tag.team": "x"}
SCOPES = ("global", "project=p", "customer=*", "feature=chat", "tag.team=x")
NAMES = {
    "echo": "bare uvloop echo of the same frames (the limit)",
    "noburn": "noburn",
    "wal": "BEGIN IMMEDIATE in each process, WAL",
    "default": "BEGIN IMMEDIATE in each process, default journal",
    "http": "FastAPI + SQLite WAL",
}

RESERVE = json.dumps(
    {
        "op": "reserve", "api": "openai_chat", "model": "gpt-6-luna", "attrs": ATTRIBUTES,
        "input": {"bytes": 1200, "expanded": 1200, "overhead": 17, "tokens": 0, "window": False,
                  "counted": None},
        "input_kinds": ["input", "cache_read"], "variants": ["standard"],
        "output": {"wanted": 200, "floor": 1, "choices": 1, "clamp": False},
        "wait_ms": 0, "texts": None,
    },
    separators=(",", ":"),
).encode()[:-1]  # fmt: skip
SETTLE = json.dumps(
    {
        "op": "settle", "usage": {"input": 290, "output": 120}, "variant": "standard",
        "latency_ms": 840, "status": 200, "provider_id": None, "served_model": None,
        "failure": None,
    },
    separators=(",", ":"),
).encode()[:-1]  # fmt: skip


def frames_of(caller: int) -> Callable[[int], bytes]:
    """Reserve and settle in turn, each pair with a fresh id that starts with the time, as the
    client's ids do."""
    name = b""

    def frame(number: int) -> bytes:
        nonlocal name
        if number % 2:
            return b'%s,"n":%d,"call":"%s"}\n' % (SETTLE, number, name)
        name = b"%012x-%d-%d" % (time.time_ns() // 1_000_000, caller, number)
        return b'%s,"n":%d,"call":"%s"}\n' % (RESERVE, number, name)

    return frame


def wait_for(path: str) -> None:
    """Until somebody listens at `path`."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(path) == 0:
                return
        time.sleep(0.05)
    raise SystemExit(f"nobody listens at {path}")


def start_daemon(home: Path, durability: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "NOBURN_HOME": str(home)}
    process = subprocess.Popen(
        [sys.executable, "-m", "noburn_daemon", "--durability", durability],
        env=environment,
        stdout=subprocess.DEVNULL,
    )
    wait_for(str(home / "daemon.sock"))
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(str(home / "daemon.sock"))
        lines = peer.makefile("rwb")
        ask = [{"op": "hello", "v": 1, "client": "benchmark"}]
        limit = {"unit": "dollars", "amount": rivals.LIMIT}
        ask += [
            {"op": "budget.set", "scope": scope, "per": "total", "limit": limit, "override": False}
            for scope in SCOPES
        ]
        for number, frame in enumerate(ask):
            lines.write(json.dumps({"n": number, **frame}).encode() + b"\n")
            lines.flush()
            reply = json.loads(lines.readline())
            if not reply["ok"]:
                raise SystemExit(f"the daemon refused {frame}: {reply}")
    return process


HELLO = b'{"n":0,"op":"hello","v":1,"client":"benchmark"}\n'


def quieter(best: Load | None, load: Load) -> Load:
    return (
        load
        if best is None or load.operations / load.seconds > best.operations / best.seconds
        else best
    )


def measure(
    folder: Path, callers: list[int], *, seconds: float, rounds: int
) -> dict[int, dict[str, Load]]:
    """Every rival in turn, round after round; the quietest round of each."""
    fork = multiprocessing.get_context("fork")
    echo_path, http_path = str(folder / "echo.sock"), str(folder / "http.sock")
    home = folder / "home"
    home.mkdir(mode=0o700)
    servers = [
        fork.Process(target=rivals.serve_echo, args=(echo_path,), daemon=True),
        fork.Process(
            target=serve_http, args=(str(folder / "http.sqlite3"), http_path), daemon=True
        ),
    ]
    for server in servers:
        server.start()
    daemon = start_daemon(home, "process")
    wait_for(echo_path)
    wait_for(http_path)
    ways: dict[str, Callable[[int], Load]] = {
        "echo": lambda n: drive(echo_path, frames_of, callers=n, seconds=seconds),
        "noburn": lambda n: drive(
            str(home / "daemon.sock"), frames_of, callers=n, seconds=seconds, hello=HELLO
        ),
        "wal": lambda n: rivals.drive_naive(folder, callers=n, seconds=seconds, wal=True),
        "default": lambda n: rivals.drive_naive(folder, callers=n, seconds=seconds, wal=False),
        "http": lambda n: rivals.drive_http(http_path, callers=n, seconds=seconds),
    }
    best: dict[int, dict[str, Load]] = {n: {} for n in callers}
    try:
        for _ in range(rounds):
            for count in callers:
                for name, way in ways.items():
                    load = way(count)
                    if load.refused:
                        raise SystemExit(
                            f"{name} refused {load.refused} operations: not a fair race"
                        )
                    best[count][name] = quieter(best[count].get(name), load)
                    print(count, name, load.as_row(), flush=True)
    finally:
        daemon.terminate()
        daemon.wait()
        for server in servers:
            server.terminate()
    return best


def table(best: dict[int, dict[str, Load]]) -> str:
    lines = [
        "| callers | way | operations/s | beside echo | p50 ms | p99 ms | p99.9 ms |",
        "|---|---|---|---|---|---|---|",
    ]
    for count, loads in best.items():
        limit = loads["echo"].operations / loads["echo"].seconds
        for name, load in loads.items():
            row = load.as_row()
            share = load.operations / load.seconds / limit
            lines.append(
                f"| {count} | {NAMES[name]} | {row['per_s']:,} | {share:.2f} | {row['p50_ms']:.2f} "
                f"| {row['p99_ms']:.2f} | {row['p999_ms']:.2f} |"
            )
    return "\n".join(lines)


def verdict(loads: dict[str, Load]) -> list[str]:
    """The aims at 64 callers, each with what came out."""
    per_s = {name: load.operations / load.seconds for name, load in loads.items()}
    tail = {name: load.percentile_ms(0.999) for name, load in loads.items()}
    return [
        f"- {per_s['noburn'] / per_s['echo']:.2f} of the bare echo (aim: 0.4)",
        f"- {per_s['noburn'] / per_s['wal']:.1f} times BEGIN IMMEDIATE in WAL (aim: 2)",
        f"- with a p99.9 {tail['wal'] / tail['noburn']:.0f} times lower (aim: 10)",
        f"- {per_s['noburn'] / per_s['http']:.1f} times the HTTP service over SQLite (aim: 20)",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--callers", default="1,16,64,256")
    chosen = parser.parse_args()
    callers = [int(number) for number in chosen.callers.split(",")]
    folder = Path(tempfile.mkdtemp(prefix="nb-"))
    try:
        best = measure(folder, callers, seconds=chosen.seconds, rounds=chosen.rounds)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    machine = (
        f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python "
        f"{platform.python_version()}, SQLite {apsw.sqlite_lib_version()}"
    )
    when = datetime.now(UTC).date().isoformat()
    rounds = f"the quietest of {chosen.rounds} interleaved rounds of {chosen.seconds:g} s each"
    text = [
        "# Reserve and settle: the daemon beside what one could do instead",
        "",
        f"Measured {when} on {machine}, the load and its peers on the same cores; {rounds},",
        "by `python -m benchmarks.ledger`.  One operation is one reserve or one settle over five",
        "budgets; all ways but the echo survive kill -9.",
        "",
        table(best),
        "",
    ]
    if 64 in best:
        text += ["At 64 callers:", "", *verdict(best[64]), ""]
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "ledger.md").write_text("\n".join(text), encoding="utf-8")
    rows = {
        str(n): {name: load.as_row() for name, load in loads.items()} for n, loads in best.items()
    }
    (RESULTS / "ledger.json").write_text(
        json.dumps({"date": when, "machine": machine, "callers": rows}, indent=2) + "\n",
        encoding="utf-8",
    )
    print("\n".join(text))


if __name__ == "__main__":
    main()
