"""Do reports answer in under a second on five million calls, and is it what a scan says?

    python -m benchmarks.reports [--calls 5000000] [--folder DIR] [--rounds 3] [--scans 3]

Builds a ledger of so many calls in --folder (kept, and used again) through the daemon's own book
(benchmarks.reports_ledger).  Then: the first report, which makes the sums; each question as a
person asks it, a whole process from its start to its end, the quietest of --rounds; a hundred more
calls and a report after them; and --scans of the questions again with --no-rollups, every call
read, and their answers compared to the last nano-dollar.  Writes benchmarks/results/reports.json
and reports.md.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import apsw

from benchmarks.ledger import machine
from benchmarks.reports_ledger import CUSTOMERS, FEATURES, MODELS, Builder

RESULTS = Path(__file__).parent / "results"
#: What a person asks; the first three are compared with a scan.
QUESTIONS: tuple[tuple[str, ...], ...] = (
    ("--by", "customer,feature,model", "--top", "20"),
    ("--by", "day"),
    ("--by", "run", "--top", "20"),
    ("--by", "customer"),
    ("--by", "feature", "--latency"),
    ("--by", "model", "--period", "month", "--compare"),
    ("--by", "customer", "--period", "7d"),
    ("--by", "customer", "--period", "96h"),
    ("--by", "feature", "--customer", "customer-3", "--period", "last-month"),
    ("--by", "user", "--top", "20"),
    ("--by", "step"),
    ("--by", "tag.tier"),
    ("--by", "day", "--period", "30d", "--zone", "America/New_York"),
    ("--pareto",),
    ("--anomalies",),
    ("--forecast",),
)
#: All 38,000 lines of one; those that no kept grouping answers: added up from quarter-hours.
SLOWER: tuple[tuple[str, ...], ...] = (
    ("--by", "customer,feature,model"),
    ("--by", "customer,project", "--period", "30d"),
    ("--by", "model", "--tag", "tier=pro", "--period", "30d"),
    ("--by", "hour", "--period", "7d"),
    ("--by", "customer,tag.tier"),
)
AIM_S = 1.0


def built(folder: Path, calls: int) -> Path:
    """The home of a ledger with so many calls; made where there is none."""
    home = folder / f"calls-{calls}"
    if not (home / "built").exists():
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        began = time.perf_counter()
        Builder(home / "ledger.sqlite3", calls).build(calls)
        took = time.perf_counter() - began
        (home / "built").write_text(f"{took:.0f} s\n", encoding="utf-8")
        print(f"built {calls:,} calls in {took:.0f} s", flush=True)
    return home


def report(home: Path, *arguments: str) -> tuple[float, float, str]:
    """(wall seconds, seconds of processor time, standard output) of one `noburn report`."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "noburn_cli", "report", *arguments],
        env={**os.environ, "NOBURN_HOME": str(home)}, check=True, capture_output=True, text=True,
    )  # fmt: skip
    took = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return took, spent, done.stdout


def quietest(home: Path, question: tuple[str, ...], rounds: int) -> dict[str, float]:
    tries = [report(home, *question)[:2] for _ in range(rounds)]
    return {"wall_s": min(wall for wall, _ in tries), "cpu_s": min(cpu for _, cpu in tries)}


def same(home: Path, question: tuple[str, ...]) -> dict[str, Any]:
    """Whether a scan says the same, and how long it takes."""
    asked = tuple(word for word in question if word not in ("--top", "20"))
    kept = json.loads(report(home, *asked, "--json")[2])["data"]
    wall, cpu, text = report(home, *asked, "--json", "--no-rollups")
    scanned = json.loads(text)["data"]
    equal = kept["rows"] == scanned["rows"] and kept["total"] == scanned["total"]
    return {"equal": equal, "lines": len(scanned["rows"]), "wall_s": wall, "cpu_s": cpu}


def add_calls(home: Path) -> None:
    """A few more, as if the day went on."""
    builder = Builder(home / "ledger.sqlite3", 100, seed=2, days=0)
    builder.build(100)


def kept_rows(home: Path) -> dict[str, int]:
    connection = apsw.Connection(str(home / "reports.sqlite3"), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return {
            table: next(iter(connection.execute(f"SELECT count(*) FROM {table}")))[0]
            for table in ("cells", "sums", "latencies", "contexts")
        }
    finally:
        connection.close()


def measure(home: Path, rounds: int, scans: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if not (home / "reports.sqlite3").exists():
        wall, cpu, _ = report(home, "--by", "customer")
        first = {"wall_s": wall, "cpu_s": cpu}
        (home / "first.json").write_text(json.dumps(first), encoding="utf-8")
    if (home / "first.json").exists():
        found["first"] = json.loads((home / "first.json").read_text("utf-8"))
        print("first", found["first"], flush=True)
    for name, asked in (("questions", QUESTIONS), ("slower", SLOWER)):
        report(home, *asked[-1])
        found[name] = {}
        for question in asked:
            if "--zone" in question:
                report(home, *question)  # which makes the zone's days
            found[name][" ".join(question)] = quietest(home, question, rounds)
            print(question, found[name][" ".join(question)], flush=True)
    found["load"] = os.getloadavg()[0]
    add_calls(home)
    wall, cpu, _ = report(home, "--by", "customer")
    found["after_100_calls"] = {"wall_s": wall, "cpu_s": cpu}
    found["scans"] = {}
    for question in QUESTIONS[:scans]:
        found["scans"][" ".join(question)] = same(home, question)
        print(question, found["scans"][" ".join(question)], flush=True)
    found["rows"] = kept_rows(home)
    found["bytes"] = {
        name: (home / name).stat().st_size for name in ("ledger.sqlite3", "reports.sqlite3")
    }
    return found


def page(found: dict[str, Any], calls: int, how: str) -> str:
    """The results as a page."""
    sizes = {name: f"{size / 2**20:,.0f} MiB" for name, size in found["bytes"].items()}
    kept = ", ".join(f"{count:,} {table}" for table, count in found["rows"].items())
    whole = f"The ledger has {sizes['ledger.sqlite3']}, the kept sums {sizes['reports.sqlite3']}"
    lines = [
        f"# Reports on {calls:,} calls", "", how, "", f"{whole} ({kept}).", "",
        "| `noburn report …` | wall, s | processor, s |", "|---|--:|--:|",
    ]  # fmt: skip
    if "first" in found:
        lines.append(_row("(the first: makes the sums)", found["first"]))
    lines += [_row(f"`{name}`", row) for name, row in found["questions"].items()]
    lines.append(_row("after 100 more calls, `--by customer`", found["after_100_calls"]))
    slow = [n for n, row in found["questions"].items() if row["wall_s"] >= AIM_S]
    met = "**not met** by " + ", ".join(f"`{n}`" for n in slow) if slow else "met"
    lines += [
        "", f"Aim: under a second of wall time, start-up included: {met}.", "",
        "Every line of the longest, and what no kept grouping answers, from quarter-hours:", "",
        "| `noburn report …` | wall, s | processor, s |", "|---|--:|--:|",
        *(_row(f"`{name}`", row) for name, row in found["slower"].items()), "",
        "Beside a scan of every call (`--no-rollups`), all rows and totals compared:", "",
        "| `noburn report …` | lines | equal | scan, s of processor | times as long |",
        "|---|--:|---|--:|--:|",
    ]  # fmt: skip
    for name, row in found["scans"].items():
        times = row["cpu_s"] / found["questions"][name]["cpu_s"]
        equal = "yes" if row["equal"] else "**no**"
        lines.append(
            f"| `{name}` | {row['lines']:,} | {equal} | {row['cpu_s']:.0f} | {times:,.0f} |"
        )
    return "\n".join([*lines, ""])


def _row(name: str, row: dict[str, float]) -> str:
    return f"| {name} | {row['wall_s']:.2f} | {row['cpu_s']:.2f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=5_000_000)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "nb-reports")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scans", type=int, default=3)
    chosen = parser.parse_args()
    home = built(chosen.folder, chosen.calls)
    found = measure(home, chosen.rounds, chosen.scans)
    when = datetime.now(UTC).date().isoformat()
    how = (
        f"Measured {when} on {machine()}, load {found['load']:.1f};\nthe quietest of"
        f" {chosen.rounds} runs each, by `python -m benchmarks.reports`. {CUSTOMERS} customers,"
        f" {len(FEATURES)} features,\n{len(MODELS)} models, runs of sixty calls, late bills,"
        " orphans, failures, corrections (`benchmarks/reports_ledger.py`)."
    )
    text = page(found, chosen.calls, how)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "reports.md").write_text(text, encoding="utf-8")
    kept = {"date": when, "machine": machine(), "calls": chosen.calls, **found}
    (RESULTS / "reports.json").write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
