"""Counting tokens beside plain tiktoken: the first count, the speed, the memory on a large file.

    python benchmarks/tokens.py FOLDER [--rounds 5] [--megabytes 200]

FOLDER holds tiktoken's own rank files under the names of its cache (see tools/pack_ranks.py).
Everything is a pair in one run, in interleaved rounds; the quietest of each is reported, with the
ratio to plain tiktoken.  A ratio says more than a time: the machine is shared.

- First count: a fresh process each, until one short text is counted.
- Speed: one text of prose, code, JSON, Chinese, Arabic, emoji and base64; plain is one call of
  tiktoken on all of it, ours is what `noburn estimate` does: parts, counted on several threads.
- Memory: the peak of a child that counts a large file, by one call of tiktoken and by
  `noburn estimate`; the child's time as well.

Writes benchmarks/results/tokens.json and tokens.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).resolve().parent / "results"
PLAIN = ("o200k_base", "cl100k_base")
_TIMED = "import time; t = time.perf_counter(); {body}; print(time.perf_counter() - t)"
#: What each variant runs, `{name}` being the encoding.
TIKTOKEN = "tiktoken, its cache warm"
BODIES = {
    TIKTOKEN: "import tiktoken; tiktoken.get_encoding('{name}').encode_ordinary('hello')",
    "noburn": "from noburn_cli import ranks; ranks.count('{name}', 'hello')",
}
#: A child that counts a file in one call.
WHOLE = (
    "import sys, tiktoken; text = open(sys.argv[1], encoding='utf-8').read(); "
    "print(len(tiktoken.get_encoding('o200k_base').encode_ordinary(text)))"
)
PEAK = (
    "import resource, subprocess, sys, time; t = time.perf_counter(); "
    "subprocess.run(sys.argv[1:], check=False, capture_output=True); "
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, time.perf_counter() - t)"
)


def every_encoding() -> list[str]:
    from noburn_cli import ranks
    from noburn_cli.core.token_recipes import RECIPES

    return [name for name in RECIPES if ranks.can_count(name)]


def first_counts(environment: dict[str, str], rounds: int) -> dict[str, dict[str, float]]:
    """Quietest milliseconds by encoding and variant, the interpreter's own start left out."""
    best: dict[str, dict[str, float]] = {name: {} for name in every_encoding()}
    for _ in range(rounds):
        for name, found in best.items():
            for variant, body in BODIES.items():
                if variant == TIKTOKEN and name not in PLAIN:
                    continue
                code = _TIMED.format(body=body.format(name=name))
                done = subprocess.run(
                    [sys.executable, "-c", code],
                    env=environment, capture_output=True, text=True, check=True,
                )  # fmt: skip
                took = float(done.stdout) * 1000
                found[variant] = min(took, found.get(variant, took))
    return best


def corpus(megabytes: float) -> str:
    """A text of every kind, of about so many bytes: the tests' corpus, the docs, the code."""
    kinds = json.loads((ROOT / "tests/corpus/tokens_texts.json").read_text(encoding="utf-8"))
    docs = "".join(p.read_text(encoding="utf-8") for p in sorted((ROOT / "docs").glob("*.md")))
    code = "".join(
        p.read_text(encoding="utf-8") for p in sorted((ROOT / "noburn_cli").rglob("*.py"))
    )
    others = "".join(text for kind, text in kinds.items() if kind != "space") * 60
    unit = docs + code[: len(docs)] + others
    return unit * max(1, round(megabytes * 1e6 / len(unit.encode())))


def speeds(text: str, rounds: int) -> dict[str, dict[str, float]]:
    """Most MB/s by encoding, of one call and of noburn's parts.  Stops where counts differ."""
    from noburn_cli import ranks

    megabytes = len(text.encode()) / 1e6
    best: dict[str, dict[str, float]] = {}
    for name in every_encoding():
        ranks.encoding(name)
        ways: dict[str, Callable[[str, str], int]] = {"plain": ranks.count, "noburn": in_parts}
        found: dict[str, float] = {}
        counts = set()
        for _ in range(rounds):
            for way, counted in ways.items():
                start = time.perf_counter()
                counts.add(counted(name, text))
                speed = megabytes / (time.perf_counter() - start)
                found[way] = max(speed, found.get(way, 0))
        if len(counts) != 1:
            raise SystemExit(f"{name}: the ways differ: {counts}")
        best[name] = found
    return best


def in_parts(name: str, text: str) -> int:
    """As `noburn estimate` counts a large file, without its reading."""
    from noburn_cli.core.text_cuts import RUN_CHARACTERS_MAX, Cutter, parts
    from noburn_cli.counting import Tally, tally_parts

    tally = Tally()
    cutter = Cutter(run_characters_max=RUN_CHARACTERS_MAX)
    tally_parts(parts(text, 1 << 18, cutter), [name], tally, expands=False)
    return tally.tokens[name]


def memory(environment: dict[str, str], megabytes: int) -> dict[str, Any]:
    """Peak MB and seconds of each way on one file, and of an interpreter that only imports."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.txt"
        text = corpus(8)
        with path.open("w", encoding="utf-8") as file:
            while path.stat().st_size < megabytes * 1e6:
                file.write(text)
        size = path.stat().st_size
        estimate = [sys.executable, "-m", "noburn_cli", "estimate", "--model", "gpt-6-luna"]
        ways = {
            "plain": [sys.executable, "-c", WHOLE, str(path)],
            "noburn": [*estimate, str(path)],
            "noburn, standard input": ["sh", "-c", 'exec "$@" - <"$0"', str(path), *estimate],
            "noburn, a file of one byte": [*estimate, str(short(Path(folder)))],
        }
        return {"bytes": size, **{way: peak(command, environment) for way, command in ways.items()}}


def short(folder: Path) -> Path:
    (folder / "short.txt").write_text("x")
    return folder / "short.txt"


def peak(command: list[str], environment: dict[str, str]) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-c", PEAK, *command],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    kilobytes, seconds = done.stdout.split()
    return {"peak_mb": int(kilobytes) / 1024, "seconds": float(seconds)}


def sizes() -> dict[str, dict[str, int]]:
    """Bytes of each encoding's ranks as they ship, unpacked, and packed with xz."""
    import lzma

    found: dict[str, dict[str, int]] = {}
    for path in sorted((ROOT / "noburn_cli" / "data").glob("*.ranks.zlib")):
        packed = path.read_bytes()
        plain = zlib.decompress(packed)
        name = path.name.partition(".")[0]
        found[name] = {"zlib": len(packed), "plain": len(plain), "xz": len(lzma.compress(plain))}
    return found


def machine() -> str:
    cores = os.cpu_count()
    busy = os.getloadavg()[0]
    python, system = platform.python_version(), f"{platform.system()} {platform.machine()}"
    return f"{cores} shared cores, {system}, Python {python}, load {busy:.1f}"


def report(result: dict[str, Any]) -> str:
    """The results as Markdown."""
    return "\n".join(
        [
            "# Counting tokens",
            "",
            f"{result['date']}, {result['machine']}; by `benchmarks/tokens.py`.",
            f"Pairs in one run, the quietest of {result['rounds']} rounds: read the ratios.",
            *_first_lines(result["first_count_ms"]),
            *_speed_lines(result["megabytes_a_second"], result["corpus_bytes"]),
            *_memory_lines(result["memory"]),
            *("", "## What ships", "", "| encoding | zlib (ships) | xz | unpacked |"),
            "|---|---:|---:|---:|",
            *(
                f"| {name} | {size['zlib']:,} | {size['xz']:,} | {size['plain']:,} |"
                for name, size in result["bytes"].items()
            ),
            "",
        ]
    )


def _first_lines(times: dict[str, dict[str, float]]) -> list[str]:
    lines = [
        *("", "## The first count", ""),
        "A fresh process until one short text is counted, its interpreter's start left out.",
        *("", "| encoding | noburn, ms | tiktoken with a warm cache, ms | ratio |"),
        "|---|---:|---:|---:|",
    ]
    for name, found in times.items():
        plain = found.get(TIKTOKEN)
        theirs = ("", "") if plain is None else (f"{plain:.0f}", f"{found['noburn'] / plain:.2f}")
        lines.append(f"| {name} | {found['noburn']:.0f} | {theirs[0]} | {theirs[1]} |")
    return lines


def _speed_lines(speed: dict[str, dict[str, float]], corpus_bytes: int) -> list[str]:
    lines = [
        *("", "## Speed", ""),
        f"{corpus_bytes / 1e6:.1f} MB of prose, code, JSON, Chinese, Arabic, emoji and base64; the",
        "counts of both ways are equal. Plain is one call of tiktoken with the same ranks; noburn",
        "is what `noburn estimate` does with a large file: parts, on several threads.",
        *("", "| encoding | plain, MB/s | noburn, MB/s | ratio |", "|---|---:|---:|---:|"),
    ]
    for name, found in speed.items():
        ratio = found["noburn"] / found["plain"]
        lines.append(f"| {name} | {found['plain']:.1f} | {found['noburn']:.1f} | {ratio:.2f} |")
    return lines


def _memory_lines(found: dict[str, Any]) -> list[str]:
    lines = [
        *("", "## Memory", ""),
        f"The peak of a child (`ru_maxrss`) that counts a file of {found['bytes'] / 1e6:.0f} MB by",
        "o200k_base: one call of tiktoken on the whole text, and `noburn estimate`.",
        *("", "| way | peak, MB | ratio | seconds |", "|---|---:|---:|---:|"),
    ]
    plain = found["plain"]["peak_mb"]
    for way, one in found.items():
        if way == "bytes":
            continue
        ratio = one["peak_mb"] / plain
        lines.append(f"| {way} | {one['peak_mb']:,.0f} | {ratio:.3f} | {one['seconds']:.1f} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="tiktoken's rank files, as its cache names them")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--megabytes", type=int, default=200, help="the file for the memory")
    wanted = parser.parse_args()
    cache = str(wanted.folder.resolve())
    environment = {**os.environ, "TIKTOKEN_CACHE_DIR": cache, "PYTHONPATH": str(ROOT)}
    text = corpus(4)
    result = {
        "date": datetime.now(timezone.utc).date().isoformat(),
        "machine": machine(),
        "rounds": wanted.rounds,
        "first_count_ms": first_counts(environment, wanted.rounds),
        "corpus_bytes": len(text.encode()),
        "megabytes_a_second": speeds(text, wanted.rounds),
        "memory": memory(environment, wanted.megabytes),
        "bytes": sizes(),
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "tokens.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    lines = report(result)
    (RESULTS / "tokens.md").write_text(lines, encoding="utf-8")
    print(lines)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
