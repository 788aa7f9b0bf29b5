"""How long does the dashboard take to answer over five million calls?

    python -m benchmarks.dashboard [--calls 5000000] [--folder DIR] [--rounds 3]

Uses the ledger of benchmarks.reports in --folder (built where there is none) and brings its kept
sums up to date.  Then, --rounds times: a `noburn dashboard` of its own, so that nothing is kept in
memory, each address asked once as the page asks it, and once more; the quietest counts.  Writes
benchmarks/results/dashboard.json and dashboard.md.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.ledger import machine
from benchmarks.reports import built

RESULTS = Path(__file__).parent / "results"
#: What the views ask for, in the page's order.
ADDRESSES = (
    "overview?period=month", "overview?period=all", "outlook", "now", "blocks",
    "report?by=customer&period=month", "report?by=model&period=month&latency=1",
    "report?by=feature&period=month", "served?by=feature&period=month",
    "report?by=day,model&period=month&customer=customer-3",
)  # fmt: skip
_WAITED_S = 3_600.0


class Board:
    """One `noburn dashboard`."""

    def __init__(self, home: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "noburn_cli", "dashboard", "--no-open", "--port", "0"],
            env={**os.environ, "NOBURN_HOME": str(home)}, text=True, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        assert self._process.stdout is not None
        self._process.stdout.readline()
        self._base, _, self._token = self._process.stdout.readline().strip().partition("/?token=")

    def ask(self, address: str) -> tuple[float, int]:
        """(seconds until the answer was there, its bytes); asked again while it says to."""
        began = time.perf_counter()
        while True:
            request = urllib.request.Request(
                f"{self._base}/api/v1/{address}", headers={"Authorization": f"Bearer {self._token}"}
            )
            with urllib.request.urlopen(request, timeout=120) as answer:
                size = len(answer.read())
                if answer.status == 200:
                    return time.perf_counter() - began, size
            assert time.perf_counter() - began < _WAITED_S, address

    def end(self) -> None:
        self._process.terminate()
        self._process.communicate()


def measure(home: Path, rounds: int) -> dict[str, dict[str, float]]:
    """Seconds of the first and of the second answer, by address."""
    found: dict[str, dict[str, float]] = {}
    for _ in range(rounds):
        board = Board(home)
        for address in ADDRESSES:
            first, size = board.ask(address)
            again, _ = board.ask(address)
            best = found.setdefault(address, {"first_s": first, "again_s": again, "bytes": size})
            best["first_s"] = min(first, best["first_s"])
            best["again_s"] = min(again, best["again_s"])
        board.end()
        print(found, flush=True)
    return found


def _row(address: str, row: dict[str, float]) -> str:
    kilobytes = row["bytes"] / 1000
    return f"| `{address}` | {row['first_s']:.2f} | {row['again_s']:.3f} | {kilobytes:.0f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=5_000_000)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "nb-reports")
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    home = built(chosen.folder, chosen.calls)
    board = Board(home)
    board.ask(ADDRESSES[0])
    board.end()
    found = measure(home, chosen.rounds)
    when, load = datetime.now(UTC).date().isoformat(), os.getloadavg()[0]
    lines = [
        f"# The dashboard over {chosen.calls:,} calls", "",
        f"Measured {when} on {machine()}, load {load:.1f}; the quietest of {chosen.rounds} rounds,",
        "by `python -m benchmarks.dashboard`. The kept sums are up to date, as after any report",
        "(results/reports.md has what their first making takes); the process is new in each round.",
        "",
        "| address below /api/v1/ | first answer, s | again, s | kB |", "|---|---:|---:|---:|",
        *(_row(address, row) for address, row in found.items()),
    ]  # fmt: skip
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "dashboard.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    kept = {"date": when, "machine": machine(), "calls": chosen.calls, "load": load, "s": found}
    (RESULTS / "dashboard.json").write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
