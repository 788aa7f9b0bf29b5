"""How many tokens Claude or Gemini make of a text, estimated on this machine.

Layer: core (pure).  Below: core.text_features, core.offline_weights.  Above: estimating.
Neither provider publishes its tokeniser in a form that could ship here.  The estimate is a weighed
sum of what a text consists of, most of it its tokens by o200k_base; its error was measured, and
comes with it.  It is never a bound (core.bounds has those), and never called exact.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from noburn_cli.core.offline_weights import AGAINST, CORPUS, ERRORS, MEASURED_ON, WEIGHTS
from noburn_cli.core.text_features import NAMES

#: Texts are told apart by their script, because the error is another one.
LATIN = "latin"
OTHER = "other"
CLAUDE_3 = "claude-3"
CLAUDE_47 = "claude-4.7"
GEMINI = "gemini"

#: Letters of other scripts than Latin, and where a text counts as written in them.
_OTHER_CLASSES = frozenset(
    ("greek", "cyrillic", "caucasian", "hebrew", "arabic", "indic", "southeast", "hangul", "han")
) | {"kana", "other"}
_OTHER_PLACES = tuple(place for place, name in enumerate(NAMES) if name in _OTHER_CLASSES)
_LETTER_PLACES = tuple(
    place for place, name in enumerate(NAMES) if name in ("upper", "lower", "latin")
)
_OTHER_SHARE = 5  # One letter in so many.
_PER_MILLE = 1000
#: The estimate never leaves these shares of o200k's count, whatever is in the text: the least and
#: the most of any text of the corpus, and some room.
_LEAST, _MOST = 500, 4000

#: `claude-opus-4-7`, `claude-3-5-sonnet`, `us.anthropic.claude-sonnet-4-20250514-v1:0`, …
_GENERATION = re.compile(r"claude-(?:[a-z]+-)?(\d{1,2})(?:[-.](\d{1,2}))?(?![0-9])")


@dataclass(frozen=True)
class MeasuredError:
    """How far such estimates were off, as shares of the true count in thousandths.

    median, p95, worst: half of the texts, 95 in 100 of them, and all were closer than that.
    texts: how many were measured; against: what the truth was; corpus, measured_on: which texts,
    and when.
    """

    median: int
    p95: int
    worst: int
    texts: int
    against: str
    corpus: str
    measured_on: str


@dataclass(frozen=True)
class OfflineCount:
    """An estimate, and its error."""

    tokens: int
    error: MeasuredError

    def span(self) -> tuple[int, int]:
        """From the least to the most of 95 in 100 texts like it."""
        off = -(-self.tokens * self.error.p95 // _PER_MILLE)
        return max(0, self.tokens - off), self.tokens + off


def family_of(tokenizer: str, model: str) -> str | None:
    """Whose weights a model needs; None where there are none.

    tokenizer: the price book's name.  Claude has one vocabulary up to 4.6, and another from 4.7 on
    (the README of ctok 1.3.0, read 2026-11-27); a name that tells no version counts as new.
    """
    if tokenizer == "gemini":
        return GEMINI
    if tokenizer != "claude":
        return None
    version = _GENERATION.search(model)
    if version is None:
        return CLAUDE_47
    return CLAUDE_3 if (int(version[1]), int(version[2] or 0)) < (4, 7) else CLAUDE_47


def script_of(values: Sequence[int]) -> str:
    """Whether a text is written in Latin letters, or in others, by its features."""
    others = sum(values[place] for place in _OTHER_PLACES)
    return OTHER if others * _OTHER_SHARE > others + _letters(values) else LATIN


def _letters(values: Sequence[int]) -> int:
    return sum(values[place] for place in _LETTER_PLACES)


def offline_count(family: str, values: Sequence[int]) -> OfflineCount:
    """The estimate for a text of these features.

    values: by text_features.NAMES; those of several texts may be added up.  None at all is no text.
    """
    values = values or [0] * len(NAMES)
    milli = sum(weight * value for weight, value in zip(WEIGHTS[family], values, strict=True))
    o200k = values[0]
    tokens = -(-min(max(milli, o200k * _LEAST), o200k * _MOST) // _PER_MILLE)
    return OfflineCount(tokens, error_of(family, script_of(values)))


def error_of(family: str, script: str) -> MeasuredError:
    """The error that was measured on texts in a script."""
    median, p95, worst, texts = ERRORS[family][script]
    return MeasuredError(median, p95, worst, texts, AGAINST[family], CORPUS, MEASURED_ON)
