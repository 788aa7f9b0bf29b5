"""Exact token counts from a vocabulary's ranks, without a download.

Layer: core (pure: bytes in, counts out).  Below: core.token_recipes; tiktoken, imported when an
encoding is built.  Above: noburn_cli.ranks reads the files.
Not for guests: they send text to the daemon.
All encodings are byte-level BPE: pieces of the text by a pattern, each then merged by rank.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import re
import unicodedata
import zlib
from typing import TYPE_CHECKING

from noburn_cli.core.bounds import SEAM_TOKENS, utf8_bytes
from noburn_cli.core.token_recipes import RECIPES, Recipe
from noburn_cli.errors import NoburnError

if TYPE_CHECKING:
    from tiktoken import Encoding

#: What unpacking may produce at most: the largest file is 2.3 MB.
_UNPACKED_BYTES_MAX = 16 * 1024 * 1024
#: More blanks, or controls, in a row are cut: between 300,000 and 1,000,000 of them the engine of
#: the patterns gives up (tiktoken 0.14.0 panics, 2026-11-27).  Other runs do not end it.
BLANKS_MAX = 200_000
_CONTROLS = r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u200b-\u200f\ue000-\uf8ff]"
_BLANK = re.compile(rf"[^\S\r\n]|{_CONTROLS}")
_BLANKS = re.compile(rf"[^\S\r\n]{{{BLANKS_MAX}}}|{_CONTROLS}{{{BLANKS_MAX}}}")


class RanksDamaged(NoburnError):
    """The token ranks of this installation are not the ones that noburn knows."""


def is_known(name: str, raw: bytes) -> bool:
    """Whether `raw` is the very file that the recipe of `name` is for."""
    return hashlib.sha256(raw).hexdigest() == RECIPES[name].sha256


def encoding_from_file(name: str, raw: bytes) -> Encoding:
    """Build an encoding whose ids are those of the tokeniser that it comes from.

    raw: the recipe's file as it lies on the disk.
    Raises KeyError for a name without a recipe, RanksDamaged when `raw` is not its file.
    The encoding is not registered with tiktoken: its name is ours, and tiktoken's own stays whole.
    """
    recipe = RECIPES[name]
    if not is_known(name, raw):
        raise _damaged(name, recipe, "their digest is not the one that noburn knows")
    import tiktoken  # 24 ms, and only where exact counts are asked for

    return tiktoken.Encoding(
        name=f"noburn-{name}",
        pat_str=recipe.pattern,
        mergeable_ranks=ranks_of(name, raw),
        special_tokens=dict(recipe.special_tokens),
    )


def count(encoding: Encoding, text: str, *, composes: bool = False) -> int:
    """Tokens of one text, tokenised by itself; what looks like a special token is plain text.

    composes: whether the tokeniser composes the text first (NFC).
    Exact: tiktoken splits long runs in linear time (0.14: 0.4 MB of one letter take 0.15 s), and
    reads a lone surrogate as U+FFFD.  Only where more than BLANKS_MAX blanks stand in a row the
    count may be SEAM_TOKENS too high for each time that they are cut.
    """
    if composes:
        text = composed(text)
    # A run that long has a blank at one of these places; to look everywhere takes a third of the
    # time that counting takes.
    if not any(_BLANK.match(text, at) for at in range(BLANKS_MAX - 1, len(text), BLANKS_MAX)):
        return len(encoding.encode_ordinary(text))
    ends = [0, *(match.end() for match in _BLANKS.finditer(text)), len(text)]
    counts = [len(encoding.encode_ordinary(text[a:b])) for a, b in itertools.pairwise(ends)]
    return min(sum(counts) + SEAM_TOKENS * (len(counts) - 1), utf8_bytes(text))


def composed(text: str) -> str:
    """The text in NFC; most texts are, and then nothing is copied."""
    return text if unicodedata.is_normalized("NFC", text) else unicodedata.normalize("NFC", text)


def ranks_of(name: str, raw: bytes) -> dict[bytes, int]:
    """Token -> id, from a rank file.  Raises RanksDamaged when the number is not the recipe's."""
    recipe = RECIPES[name]
    ranks = _from_lines(raw) if recipe.package else _from_packed(raw, recipe.first_id)
    if len(ranks) != recipe.ranks:
        raise _damaged(name, recipe, f"they hold {len(ranks)} tokens, not {recipe.ranks}")
    return ranks


def _from_packed(packed: bytes, first_id: int) -> dict[bytes, int]:
    """From length-prefixed tokens in the order of their ids, as noburn packs them."""
    unpacker = zlib.decompressobj()
    plain = unpacker.decompress(packed, _UNPACKED_BYTES_MAX)
    ranks: dict[bytes, int] = {}
    at = 0
    while at < len(plain):
        start = at + 1
        at = start + plain[at]
        ranks[plain[start:at]] = first_id + len(ranks)
    return ranks


def _from_lines(raw: bytes) -> dict[bytes, int]:
    """From tiktoken's own form: base64 of the token and its id, a line each."""
    words = raw.split()
    return dict(zip(map(base64.b64decode, words[::2]), map(int, words[1::2]), strict=True))


def _damaged(name: str, recipe: Recipe, why: str) -> RanksDamaged:
    whose = f"the package of `{recipe.package}`" if recipe.package else "noburn-cli"
    return RanksDamaged(
        f"the token ranks of {name} cannot be used",
        why=why,
        next_step=f"install {whose} again",
    )
