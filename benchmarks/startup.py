"""How long noburn takes to start, beside an empty typer program, in one run.

Pairs in one run: every round starts each program once, in turn, so that a busy machine is busy for
all of them; the median of the rounds' ratios is the result.  The aim is at most 1.3.

    python benchmarks/startup.py [--rounds 40] [--write]

--write replaces benchmarks/results/startup.json and startup.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
AIM = 1.3

EMPTY = """\
import typer

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def hello(name: str = "world") -> None:
    \"\"\"Say hello.\"\"\"
    typer.echo(f"hello {name}")


app(prog_name="empty")
"""
NOBURN = "import sys; from noburn_cli.main import main; sys.exit(main())"
BASE_HELP = "empty typer program, --help"
BASE_RUN = "empty typer program, run"
INTERPRETER = "the interpreter alone"
#: Each of ours, and what it is measured by.
PAIRS = {
    "noburn --help": BASE_HELP,
    "noburn --version": BASE_HELP,
    "noburn margin --price 20 --tokens 2M": BASE_RUN,
}


def programs(empty: Path) -> dict[str, list[str]]:
    """Name -> command line; all by the same interpreter, from the same folder of bytecode."""
    python = sys.executable
    ours = {name: [python, "-c", NOBURN, *name.split()[1:]] for name in PAIRS}
    return {
        INTERPRETER: [python, "-c", "pass"],
        BASE_HELP: [python, str(empty), "--help"],
        BASE_RUN: [python, str(empty)],
        **ours,
    }


def start_once(command: list[str], environment: dict[str, str]) -> float:
    """Wall-clock milliseconds from start to exit.  Raises CalledProcessError when it fails."""
    begun = time.perf_counter()
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
    return (time.perf_counter() - begun) * 1000


def measure(rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each program in each round, after one round that warms the files up."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "80"}
    with tempfile.TemporaryDirectory() as folder:
        empty = Path(folder) / "empty.py"
        empty.write_text(EMPTY)
        commands = programs(empty)
        for command in commands.values():
            start_once(command, environment)
        times: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(rounds):
            for name, command in commands.items():
                times[name].append(start_once(command, environment))
    return times


def summarise(times: dict[str, list[float]]) -> dict[str, object]:
    """Medians in milliseconds, and each of our programs as a ratio to its base."""
    ratios = {}
    for name, base in PAIRS.items():
        by_round = sorted(a / b for a, b in zip(times[name], times[base], strict=True))
        ratios[name] = {
            "base": base,
            "ratio_median": round(statistics.median(by_round), 3),
            "ratio_quartiles": [
                round(by_round[len(by_round) // 4], 3),
                round(by_round[len(by_round) * 3 // 4], 3),
            ],
        }
    return {
        "aim_ratio": AIM,
        "rounds": len(times[INTERPRETER]),
        "python": platform.python_version(),
        "typer": version("typer"),
        "system": f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors",
        "median_ms": {name: round(statistics.median(all_ms), 1) for name, all_ms in times.items()},
        "ratios": ratios,
    }


def as_markdown(summary: dict[str, object]) -> str:
    """The result as a page.  The times are of one machine; the ratios travel better."""
    lines = [
        "# Start-up beside an empty typer program",
        "",
        f"Python {summary['python']}, typer {summary['typer']}, {summary['system']}.",
        f"{summary['rounds']} rounds, interleaved. Aim: a ratio of at most {summary['aim_ratio']}.",
        "",
        "| program | median ms | beside | ratio (median of rounds) | quartiles |",
        "|---|---|---|---|---|",
    ]
    ratios, medians = summary["ratios"], summary["median_ms"]
    assert isinstance(ratios, dict)
    assert isinstance(medians, dict)
    for name, median in medians.items():
        row = ratios.get(name)
        if row is None:
            lines.append(f"| {name} | {median} | | | |")
            continue
        low, high = row["ratio_quartiles"]
        ratio = row["ratio_median"]
        lines.append(f"| `{name}` | {median} | {row['base']} | {ratio} | {low} to {high} |")
    return "\n".join([*lines, "", "Made by `python benchmarks/startup.py --write`.", ""])


def main() -> None:
    parser = argparse.ArgumentParser(description="Start-up beside an empty typer program.")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--write", action="store_true", help="replace the committed results")
    options = parser.parse_args()
    summary = summarise(measure(options.rounds))
    page = as_markdown(summary)
    print(page)
    if options.write:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "startup.json").write_text(json.dumps(summary, indent=2) + "\n")
        (RESULTS / "startup.md").write_text(page)


if __name__ == "__main__":
    main()
