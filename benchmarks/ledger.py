"""Reserve and settle through the daemon, beside what one could do instead, in one run.

    scripts/setup-bench
    python -m benchmarks.ledger [--seconds 1] [--rounds 5] [--callers 1,16,64,256]

One operation is one reserve or one settle over five budgets.  All ways take turns, round after
round, so that a noisy neighbour meets each of them; a way's quietest round counts, and a ratio is
of two quietest rounds.  Results go to benchmarks/results/ledger.json and ledger.md.  Read the
ratios, not the times.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
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

Best = dict[int, dict[tuple[str, str], Load]]


def measure(ways: list[Way], callers: list[int], *, seconds: float, rounds: int) -> Best:
    """Every way in turn, round after round; the quietest round of each."""
    best: Best = {count: {} for count in callers}
    for _ in range(rounds):
        for count in callers:
            for way in ways:
                load = way.drive(count, seconds)
                if load.refused:
                    raise SystemExit(f"{way.name} refused {load.refused}: not a fair race")
                place = (way.durability, way.key)
                known = best[count].get(place)
                if known is None or load.per_s > known.per_s:
                    best[count][place] = load
                print(count, way.durability, way.key, load.as_row(), flush=True)
    return best


def table(best: Best, ways: list[Way], durability: str) -> list[str]:
    lines = [
        "| callers | way | operations/s | beside echo | p50 ms | p99 ms | p99.9 ms |",
        "|---|---|---|---|---|---|---|",
    ]
    for count, loads in best.items():
        limit = loads[LIMIT, "echo"].per_s
        for way in ways:
            if way.durability not in (LIMIT, durability):
                continue
            load = loads[way.durability, way.key]
            row = load.as_row()
            lines.append(
                f"| {count} | {way.name} | {row['per_s']:,} | {load.per_s / limit:.2f} "
                f"| {row['p50_ms']:.2f} | {row['p99_ms']:.2f} | {row['p999_ms']:.2f} |"
            )
    return lines


def verdict(loads: dict[tuple[str, str], Load], durability: str) -> list[str]:
    """The aims at 64 callers, each with what came out and whether it is met."""
    lines = []
    for key, name in (("noburn", "as it is"), ("compiled", "compiled")):
        ours = loads.get((durability, key))
        if ours is None:
            continue
        aim = AIMS[durability]
        share = ours.per_s / loads[LIMIT, "echo"].per_s
        lines.append(_aim(f"{name}, {share:.2f} of the bare echo", f"{aim}", met=share >= aim))
        redis = loads.get((durability, "redis"))
        if redis is not None:
            times = ours.per_s / redis.per_s
            found = f"{name}, {times:.2f} times Redis of the same class"
            lines.append(_aim(found, "above 1", met=times > 1))
    ours = loads[durability, "noburn"]
    for key, name in (("postgres", "PostgreSQL"), ("wal", "BEGIN IMMEDIATE in WAL"),
                      ("http", "the HTTP service over SQLite")):  # fmt: skip
        other = loads.get((durability, key))
        if other is not None:
            tail = other.percentile_ms(0.999) / ours.percentile_ms(0.999)
            times = ours.per_s / other.per_s
            lines.append(f"- {times:.1f} times {name}, with a p99.9 {tail:.1f} times lower")
    return lines


def _aim(found: str, aim: str, *, met: bool) -> str:
    return f"- {found} (aim: {aim}): {'met' if met else '**not met**'}"


def report(best: Best, ways: list[Way], missing: list[str], how: str) -> str:
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
        lines += [f"## {title}", "", *table(best, ways, durability), ""]
        if 64 in best:
            lines += ["At 64 callers noburn does:", "", *verdict(best[64], durability), ""]
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
            best = measure(ways, callers, seconds=chosen.seconds, rounds=chosen.rounds)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    when = datetime.now(UTC).date().isoformat()
    how = (
        f"Measured {when} on {machine()}, the load and its peers on the same cores;\nthe quietest "
        f"of {chosen.rounds} interleaved rounds of {chosen.seconds:g} s each, by `python -m "
        "benchmarks.ledger`.\nOne operation is one reserve or one settle."
    )
    text = report(best, ways, missing, how)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "ledger.md").write_text(text, encoding="utf-8")
    rows = {
        str(count): {
            f"{durability} {key}": load.as_row() for (durability, key), load in loads.items()
        }
        for count, loads in best.items()
    }
    found = {"date": when, "machine": machine(), "missing": missing, "callers": rows}
    (RESULTS / "ledger.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
