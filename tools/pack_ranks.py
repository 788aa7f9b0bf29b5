"""Pack tiktoken's rank files into noburn_cli/data, checked by tiktoken's own digests.

    python tools/pack_ranks.py FOLDER

FOLDER holds `o200k_base.tiktoken` and `cl100k_base.tiktoken`, or the same files under the names by
which tiktoken caches them (the SHA-1 of their address); the wheel of litellm carries those.
The packed form: each token as one length byte and its bytes, in the order of their ids, which are
consecutive from 0; compressed with zlib (xz is a fifth smaller, but some Python builds lack lzma).
The script prints the digests that noburn_cli/core/tokens.py pins.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import zlib
from pathlib import Path

DATA = Path(__file__).resolve().parent.parent / "noburn_cli" / "data"
#: tiktoken's address and the SHA-256 that it expects (tiktoken_ext/openai_public.py, 0.14.0).
SOURCES = {
    "o200k_base": "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
    "cl100k_base": "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
}
ADDRESS = "https://openaipublic.blob.core.windows.net/encodings/{name}.tiktoken"


def raw_file(folder: Path, name: str) -> bytes:
    """The rank file of one encoding, by either name.  Exits when missing or changed."""
    cached = hashlib.sha1(ADDRESS.format(name=name).encode()).hexdigest()
    for candidate in (folder / f"{name}.tiktoken", folder / cached):
        if candidate.exists():
            raw = candidate.read_bytes()
            if hashlib.sha256(raw).hexdigest() != SOURCES[name]:
                raise SystemExit(f"{candidate} is not the file that tiktoken expects")
            return raw
    raise SystemExit(f"{folder} holds no rank file of {name}")


def packed(raw: bytes) -> bytes:
    """The tokens in the order of their ids.  Exits when the ids have gaps."""
    pairs = [line.split() for line in raw.splitlines() if line]
    tokens = {int(rank): base64.b64decode(token) for token, rank in pairs}
    if sorted(tokens) != list(range(len(pairs))):
        raise SystemExit("the ids are not consecutive from 0")
    if max(map(len, tokens.values())) > 255:
        raise SystemExit("a token is longer than a length byte can say")
    return b"".join(bytes([len(tokens[i])]) + tokens[i] for i in range(len(tokens)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    DATA.mkdir(exist_ok=True)
    for name in SOURCES:
        compressed = zlib.compress(packed(raw_file(folder, name)), 9)
        (DATA / f"{name}.ranks.zlib").write_bytes(compressed)
        print(f"{name}: {len(compressed):,} bytes, sha256 {hashlib.sha256(compressed).hexdigest()}")


if __name__ == "__main__":
    main()
