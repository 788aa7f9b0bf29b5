"""Compare Claude's bound with the reconstruction's counts, and record vectors for the tests.

Needs Python >= 3.12 and ctok (1.3.0).  Run:  PYTHONPATH=. python tools/check_claude_bound.py
With --write it records tests/corpus/claude_counts.json.  Exits 1 when a count is above its bound.

Looked at, for each of the three families: every code point alone and in contexts; the corpus and
the hostile strings; random strings out of many scripts, long and short, with a printed seed.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path

from ctok.engine import tile
from ctok.main import _model

from noburn_cli.core.claude_bound import tokens_max

CORPUS = Path(__file__).resolve().parent.parent / "tests" / "corpus"
FAMILIES = ("v3", "v4.7", "v4.8")
CONTEXTS = ("{}", "1{}1{}1{}", " {} {} {} ", "a{}b{}", "~{} {}~", "Q{}Q{}", "{}\u0301{}")
SEED = 20261123
RANDOM_STRINGS = 20_000
SPANS = (
    (0x20, 0x7F), (0x20, 0x7F), (0x00, 0x100), (0x41, 0x5B), (0x21, 0x30), (0x100, 0x250),
    (0x300, 0x370), (0x370, 0x400), (0x400, 0x530), (0x590, 0x600), (0x600, 0x700), (0x700, 0x750),
    (0x900, 0xE00), (0xE00, 0xF00), (0xF00, 0x1000), (0x1000, 0x1200), (0x1100, 0x1200),
    (0x1200, 0x1400), (0x1780, 0x1800), (0x1E00, 0x2000), (0x2000, 0x2070), (0x2150, 0x2190),
    (0x2460, 0x2500), (0x3000, 0x3100), (0x4E00, 0x9FFF), (0xAC00, 0xD7A4), (0xE000, 0xE010),
    (0xF900, 0xFB00), (0xFE00, 0xFE10), (0xFF00, 0x10000), (0x10400, 0x10450), (0x1D100, 0x1D200),
    (0x1F300, 0x1F700), (0x2F800, 0x2FA20),
)  # fmt: skip


def count(family: str, text: str) -> int:
    """Content tokens by the reconstruction, the message's frame left out."""
    return int(tile(text, _model(family))[0])


def named_strings() -> Iterator[str]:
    """The corpus, whole and by lines, and the hostile strings."""
    for path in sorted(CORPUS.glob("*.txt")):
        text = path.read_text(encoding="utf-8")
        yield text
        yield from text.splitlines()
    yield from json.loads((CORPUS / "hostile.json").read_text(encoding="utf-8"))


def random_string(chance: random.Random) -> str:
    """A few runs, each out of one span, with spaces and digits between them."""
    parts: list[str] = []
    for _ in range(chance.randint(1, 12)):
        start, end = chance.choice(SPANS)
        few = [chr(chance.randrange(start, end)) for _ in range(chance.randint(1, 3))]
        parts += [chance.choice(few) for _ in range(chance.randint(1, 8))]
        parts.append(chance.choice(("", "", " ", " ", "  ", "1", "\n", "\x01", "'", "\u00a0", "~")))
    return "".join(parts)


def strings() -> Iterator[tuple[str, str]]:
    """(group, text) of all that is looked at."""
    for text in named_strings():
        yield "corpus and hostile", text
    chance = random.Random(SEED)
    for _ in range(RANDOM_STRINGS):
        yield "random", random_string(chance)
    for code in range(sys.maxunicode + 1):
        if not 0xD800 <= code <= 0xDFFF:
            # Beyond the BMP the contexts are sampled: all there take one path of the tokeniser.
            wanted = CONTEXTS if code < 0x10000 or code % 64 == 0 else CONTEXTS[:1]
            for context in wanted:
                yield "code points", context.replace("{}", chr(code))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--write", action="store_true", help="record vectors for the tests")
    parser.add_argument("--quick", action="store_true", help="leave the code points out")
    wanted = parser.parse_args()
    looked: dict[str, int] = {}
    closest: dict[str, tuple[float, str]] = {}
    failures = 0
    for group, text in strings():
        if wanted.quick and group == "code points":
            break
        looked[group] = looked.get(group, 0) + 1
        bound = tokens_max(text)
        for family in FAMILIES:
            counted = count(family, text)
            if counted > bound:
                failures += 1
                print(f"ABOVE: {family} counts {counted}, bound {bound}: {ascii(text)[:200]}")
            if len(text) > 20 and counted / bound > closest.get(group, (0.0, ""))[0]:
                closest[group] = (counted / bound, f"{family} {text[:24]!a}")
    for group, number in looked.items():
        share, what = closest.get(group, (0.0, "none is longer than 20 characters"))
        print(f"{group}: {number:,} texts, count at most {share:.3f} of the bound ({what})")
    print(f"seed {SEED}; counts above their bound: {failures}")
    if wanted.write:
        record()
    raise SystemExit(1 if failures else 0)


def record() -> None:
    """Write (text, the most that a family counts) for the tests that run without ctok."""
    chance = random.Random(SEED)
    texts = [*named_strings(), *(random_string(chance) for _ in range(400))]
    vectors = [[text, max(count(family, text) for family in FAMILIES)] for text in texts]
    target = CORPUS / "claude_counts.json"
    target.write_text(json.dumps(vectors, indent=0) + "\n", encoding="ascii")
    print(f"{len(vectors)} vectors in {target.name}")


if __name__ == "__main__":
    main()
