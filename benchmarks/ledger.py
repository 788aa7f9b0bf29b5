"""Reserve and settle through the daemon, beside what one could do instead, in one run.

    scripts/setup-bench
    python -m benchmarks.ledger [--seconds 1] [--rounds 5] [--callers 1,16,64,256]

One operation is one reserve or one settle over five budgets.  All ways take turns, round after
round, so that a noisy neighbour meets each of them.  Speeds and latencies are those of a way's
quietest round; a ratio is the median of the rounds' ratios, each of neighbours in time.  Results go
to benchmarks/results/ledger.json and ledger.md.  Read the ratios, not the times.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import apsw

from benchmarks.load import Load
from benchmarks.ways import LIMIT, POWER, PROCESS, Way, running

RESULTS = Path(__file__).parent / "results"
#: At 64 callers: of the bare echo, by class.
AIMS = {PROCESS: 0.5, POWER: 0.25}
CLASSES = {
    PROCESS: "What was answered survives kill -9",
    POWER: "What was answered survives power loss",
}

#: A way's class and key.
Place = tuple[str, str]
ECHO: Place = (LIMIT, "echo")


class Measured:
    """What one number of callers came to: each way's quietest round, and the speed of all."""

    def __init__(self) -> None:
        self.best: dict[Place, Load] = {}
        self.speeds: dict[Place, list[float]] = {}

    def add(self, place: Place, load: Load) -> None:
        known = self.best.get(place)
        if known is None or load.per_s > known.per_s:
            self.best[place] = load
        self.speeds.setdefault(place, []).append(load.per_s)

    def ratio(self, place: Place, other: Place) -> float:
        """The median of the rounds' ratios."""
        pairs = zip(self.speeds[place], self.speeds[other], strict=True)
        return statistics.median(ours / theirs for ours, theirs in pairs)


def measure(
    ways: list[Way], callers: list[int], *, seconds: float, rounds: int
) -> dict[int, Measured]:
    """Every way in turn, round after round."""
    found = {count: Measured() for count in callers}
    for _ in range(rounds):
        for count in callers:
            for way in ways:
                load = way.drive(count, seconds)
                if load.refused:
                    raise SystemExit(f"{way.name} refused {load.refused}: not a fair race")
                found[count].add((way.durability, way.key), load)
                print(count, way.durability, way.key, load.as_row(), flush=True)
    return found


def table(found: dict[int, Measured], ways: list[Way], durability: str) -> list[str]:
    lines = [
        "| callers | way | operations/s | beside echo | p50 ms | p99 ms | p99.9 ms |",
        "|---|---|---|---|---|---|---|",
    ]
    for count, measured in found.items():
        for way in ways:
            if way.durability not in (LIMIT, durability):
                continue
            place = (way.durability, way.key)
            row = measured.best[place].as_row()
            lines.append(
                f"| {count} | {way.name} | {row['per_s']:,} | {measured.ratio(place, ECHO):.2f} "
                f"| {row['p50_ms']:.2f} | {row['p99_ms']:.2f} | {row['p999_ms']:.2f} |"
            )
    return lines


def verdict(measured: Measured, durability: str) -> list[str]:
    """The aims at 64 callers, each with what came out and whether it is met."""
    lines = []
    for key, name in (("noburn", "as it is"), ("compiled", "compiled")):
        ours = (durability, key)
        if ours not in measured.best:
            continue
        aim, share = AIMS[durability], measured.ratio(ours, ECHO)
        lines.append(_aim(f"{name}, {share:.2f} of the bare echo", f"{aim}", met=share >= aim))
        if (durability, "redis") in measured.best:
            times = measured.ratio(ours, (durability, "redis"))
            found = f"{name}, {times:.2f} times Redis of the same class"
            lines.append(_aim(found, "above 1", met=times > 1))
    ours = (durability, "noburn")
    tail = measured.best[ours].percentile_ms(0.999)
    for key, name in (("postgres", "PostgreSQL"), ("wal", "BEGIN IMMEDIATE in WAL"),
                      ("http", "the HTTP service over SQLite")):  # fmt: skip
        other = (durability, key)
        if other in measured.best:
            times = measured.ratio(ours, other)
            lower = measured.best[other].percentile_ms(0.999) / tail
            lines.append(f"- {times:.1f} times {name}, with a p99.9 {lower:.1f} times lower")
    return lines


def _aim(found: str, aim: str, *, met: bool) -> str:
    return f"- {found} (aim: {aim}): {'met' if met else '**not met**'}"


def report(found: dict[int, Measured], ways: list[Way], missing: list[str], how: str) -> str:
    lines = [
        "# Reserve and settle: the daemon beside what one could do instead", "", how, "",
        "Every way checks and books five budgets, keeps the call's id so that a repeat changes",
        "nothing, and writes a row of history (`benchmarks/rivals.py` and its neighbours). noburn",
        "also prices the call, keeps its owner, windows, runs and waiters, and links the row to",
        "the one before it by SHA-256. The echo sends the same frames back and does nothing.",
        "Compiled: with the extension modules of `tools/compile_daemon.py` (docs/performance.md).",
        "",
    ]  # fmt: skip
    if missing:
        lines += [f"Not installed, and so not measured: {', '.join(missing)}.", ""]
    for durability, title in CLASSES.items():
        lines += [f"## {title}", "", *table(found, ways, durability), ""]
        if 64 in found:
            lines += ["At 64 callers noburn does:", "", *verdict(found[64], durability), ""]
    return "\n".join(lines)


def machine() -> str:
    model = platform.processor() or platform.machine()
    with Path("/proc/cpuinfo").open() as told:
        model = next((li.split(":")[1].strip() for li in told if "model name" in li), model)
    return (
        f"{os.cpu_count()} cores ({model}), {platform.system()} {platform.machine()}, Python "
        f"{platform.python_version()}, SQLite {apsw.sqlite_lib_version()}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--callers", default="1,16,64,256")
    chosen = parser.parse_args()
    callers = [int(number) for number in chosen.callers.split(",")]
    folder = Path(tempfile.mkdtemp(prefix="nb-"))
    folder.chmod(0o711)  # PostgreSQL's user is another one
    try:
        with running(folder) as (ways, missing):
            found = measure(ways, callers, seconds=chosen.seconds, rounds=chosen.rounds)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    when = datetime.now(UTC).date().isoformat()
    how = (
        f"Measured {when} on {machine()},\nthe load and its peers on the same cores, by `python -m "
        f"benchmarks.ledger`;\nof {chosen.rounds} interleaved rounds of {chosen.seconds:g} s each "
        "the quietest, and for ratios the median of the rounds'.\n"
        "One operation is one reserve or one settle."
    )
    text = report(found, ways, missing, how)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "ledger.md").write_text(text, encoding="utf-8")
    rows = {
        str(count): {
            " ".join(place): {**load.as_row(), "beside_echo": round(measured.ratio(place, ECHO), 3)}
            for place, load in measured.best.items()
        }
        for count, measured in found.items()
    }
    kept = {"date": when, "machine": machine(), "missing": missing, "callers": rows}
    (RESULTS / "ledger.json").write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
