"""Exact token counts for OpenAI's encodings, from ranks that ship with noburn.

Layer: core (pure: bytes in, counts out).  Below: tiktoken, imported when an encoding is built.
Above: noburn_cli.ranks reads the packed files.  Not for guests: they send text to the daemon.
Owns: the patterns and special tokens of the encodings, and the digests of the packed ranks.

Facts from tiktoken 0.14.0, tiktoken_ext/openai_public.py (MIT), read on 2026-11-23; a test compares
them with the tiktoken that is installed.  tiktoken itself would download its rank files.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from noburn_cli.errors import NoburnError

if TYPE_CHECKING:
    from tiktoken import Encoding

#: What unpacking may produce at most: the larger file is 2.3 MB.
_UNPACKED_BYTES_MAX = 16 * 1024 * 1024

_CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
_O200K_UPPER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"
_O200K_LOWER = r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_O200K_PATTERN = "|".join(
    (
        rf"[^\r\n\p{{L}}\p{{N}}]?{_O200K_UPPER}*{_O200K_LOWER}+{_CONTRACTIONS}",
        rf"[^\r\n\p{{L}}\p{{N}}]?{_O200K_UPPER}+{_O200K_LOWER}*{_CONTRACTIONS}",
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    )
)
_CL100K_PATTERN = "|".join(
    (
        r"'(?i:[sdmt]|ll|ve|re)",
        r"[^\r\n\p{L}\p{N}]?+\p{L}++",
        r"\p{N}{1,3}+",
        r" ?[^\s\p{L}\p{N}]++[\r\n]*+",
        r"\s++$",
        r"\s*[\r\n]",
        r"\s+(?!\S)",
        r"\s",
    )
)


@dataclass(frozen=True)
class Recipe:
    """What makes an encoding, besides its ranks.

    packed_sha256: of the packed file as it ships.
    """

    pattern: str
    special_tokens: Mapping[str, int]
    ranks: int
    packed_sha256: str


RECIPES: Mapping[str, Recipe] = {
    "o200k_base": Recipe(
        pattern=_O200K_PATTERN,
        special_tokens={"<|endoftext|>": 199_999, "<|endofprompt|>": 200_018},
        ranks=199_998,
        packed_sha256="237883613c799b57337f9bda254d004913ab133c879f4cd55cc4d5b66992a450",
    ),
    "cl100k_base": Recipe(
        pattern=_CL100K_PATTERN,
        special_tokens={
            "<|endoftext|>": 100_257,
            "<|fim_prefix|>": 100_258,
            "<|fim_middle|>": 100_259,
            "<|fim_suffix|>": 100_260,
            "<|endofprompt|>": 100_276,
        },
        ranks=100_256,
        packed_sha256="f93a1dc1bc9057b7fde539f594216737bfd8ff0afc93326c685a5ce9cec68d29",
    ),
}


class RanksDamaged(NoburnError):
    """The token ranks of this installation are not the ones that noburn shipped."""


def encoding_from_packed(name: str, packed: bytes) -> Encoding:
    """Build an encoding whose ids are tiktoken's.

    Raises KeyError for a name without a recipe, RanksDamaged when `packed` is not its file.
    The encoding is not registered with tiktoken: its name is ours, and tiktoken's own stays whole.
    """
    recipe = RECIPES[name]
    if hashlib.sha256(packed).hexdigest() != recipe.packed_sha256:
        raise _damaged(name, "their digest is not the one that was shipped")
    import tiktoken  # 24 ms, and only where exact counts are asked for

    return tiktoken.Encoding(
        name=f"noburn-{name}",
        pat_str=recipe.pattern,
        mergeable_ranks=_ranks(name, packed, recipe.ranks),
        special_tokens=dict(recipe.special_tokens),
    )


def count(encoding: Encoding, text: str) -> int:
    """Tokens of one text, tokenised by itself; what looks like a special token is plain text.

    Exact for every text: tiktoken splits long runs in linear time (0.14: 0.4 MB of one letter take
    0.15 s), and reads a lone surrogate as U+FFFD.
    """
    return len(encoding.encode_ordinary(text))


def _ranks(name: str, packed: bytes, expected: int) -> dict[bytes, int]:
    """Token -> id, from length-prefixed tokens in the order of their ids."""
    unpacker = zlib.decompressobj()
    plain = unpacker.decompress(packed, _UNPACKED_BYTES_MAX)
    ranks: dict[bytes, int] = {}
    at = 0
    while at < len(plain):
        start = at + 1
        at = start + plain[at]
        ranks[plain[start:at]] = len(ranks)
    if at != len(plain) or len(ranks) != expected:
        raise _damaged(name, f"they hold {len(ranks)} tokens, not {expected}")
    return ranks


def _damaged(name: str, why: str) -> RanksDamaged:
    return RanksDamaged(
        f"the token ranks of {name} cannot be used",
        why=why,
        next_step="install noburn-cli again",
    )
