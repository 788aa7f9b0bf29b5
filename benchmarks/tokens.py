"""How long the first exact count takes: each packing of the ranks, in a fresh process each.

    python benchmarks/tokens.py FOLDER [--rounds 5]

FOLDER holds tiktoken's own rank files under the names of its cache (see tools/pack_ranks.py); they
are one side of the comparison: the way that tiktoken itself takes when its cache is warm.  Every
round runs all variants once, in one order; the quietest of each is reported, and ratios against
tiktoken in the same run.  Writes benchmarks/results/tokens.json and tokens.md.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import zlib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).resolve().parent / "results"
NAMES = ("o200k_base", "cl100k_base")
_TIMED = "import time; t = time.perf_counter(); {body}; print(time.perf_counter() - t)"
#: What each variant runs, `{name}` being the encoding.
BODIES = {
    "tiktoken, its cache warm": (
        "import tiktoken; tiktoken.get_encoding('{name}').encode_ordinary('hello')"
    ),
    "noburn, packed with zlib (ships)": (
        "from noburn_cli import ranks; ranks.count('{name}', 'hello')"
    ),
    "noburn, importing tiktoken only": "import tiktoken; from noburn_cli import ranks",
    "noburn, unpacking and the table only": (
        "from noburn_cli import resources; from noburn_cli.core import tokens; "
        "tokens._ranks('{name}', resources.read_bytes('{name}.ranks.zlib'), "
        "tokens.RECIPES['{name}'].ranks)"
    ),
}


def timed_ms(body: str, environment: dict[str, str]) -> float:
    """One cold start's milliseconds, the interpreter's own left out."""
    code = _TIMED.format(body=body)
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    return float(done.stdout) * 1000


def measured(folder: Path, rounds: int) -> dict[str, dict[str, float]]:
    """Quietest milliseconds by encoding and variant."""
    environment = {**os.environ, "TIKTOKEN_CACHE_DIR": str(folder), "PYTHONPATH": str(ROOT)}
    best: dict[str, dict[str, float]] = {name: {} for name in NAMES}
    for _ in range(rounds):
        for name in NAMES:
            for variant, body in BODIES.items():
                took = timed_ms(body.format(name=name), environment)
                best[name][variant] = min(took, best[name].get(variant, took))
    return best


def sizes() -> dict[str, dict[str, int]]:
    """Bytes of each encoding's ranks as they ship, unpacked, and packed with xz."""
    import lzma

    found: dict[str, dict[str, int]] = {}
    for name in NAMES:
        packed = (ROOT / "noburn_cli" / "data" / f"{name}.ranks.zlib").read_bytes()
        plain = zlib.decompress(packed)
        found[name] = {"zlib": len(packed), "plain": len(plain), "xz": len(lzma.compress(plain))}
    return found


def report(times: dict[str, dict[str, float]], rounds: int) -> str:
    """The results as Markdown."""
    lines = [
        "# The first exact count",
        "",
        f"Milliseconds of a fresh process, its interpreter's start left out; quietest of {rounds}",
        "interleaved rounds. The ratio is against tiktoken with its files in a warm cache.",
        "",
        "| encoding | variant | ms | ratio |",
        "|---|---|---:|---:|",
    ]
    base = "tiktoken, its cache warm"
    for name, variants in times.items():
        for variant, took in variants.items():
            lines.append(f"| {name} | {variant} | {took:.0f} | {took / variants[base]:.2f} |")
    lines += ["", "| encoding | ships (zlib) | xz | unpacked |", "|---|---:|---:|---:|"]
    for name, size in sizes().items():
        lines.append(f"| {name} | {size['zlib']:,} | {size['xz']:,} | {size['plain']:,} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="tiktoken's rank files, as its cache names them")
    parser.add_argument("--rounds", type=int, default=5)
    wanted = parser.parse_args()
    times = measured(wanted.folder.resolve(), wanted.rounds)
    RESULTS.mkdir(exist_ok=True)
    result = {"rounds": wanted.rounds, "first_count_ms": times, "bytes": sizes()}
    (RESULTS / "tokens.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    text = report(times, wanted.rounds)
    (RESULTS / "tokens.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
