"""The most tokens that Claude's tokeniser can make of a text: a worst case per character.

Layer: core (pure, standard library, Python 3.10: it travels into guests).
Below: core.claude_excess (the table).  Above: core.bounds.  docs/bounds.md has the proof, and says
on what it rests: the reconstruction of the tokeniser in the package ctok 1.3.0.

Claude composes the text (NFC), writes word and case markers into it, and tiles the result with its
vocabulary; what no piece covers costs a token per byte and one per marker.  So the count is at most
one token per UTF-8 byte plus what markers can add:

- a capital costs its case marker where it starts a run of letters; J, Q and Z also one where they
  end it (the newer vocabulary lacks them with an end mark);
- punctuation takes a mark beside a space, which is free only where a piece holds both;
- any other character's excess is in the table;
- one for the mark that the frame may add at the start, one more at each end of the text, where
  punctuation may stand beside a space of the frame or of the next text.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections import Counter
from functools import lru_cache

from noburn_cli.core.claude_excess import EXCESS_RUNS

_EDGES = 3
#: Each match is one token beyond one per byte.  The character comes first and its context after it
#: in the pattern, so that the search can skip to the rare characters.
_ASCII_EXCESS = (
    re.compile(r"[A-Z](?<![A-Za-z].)"),
    re.compile(r"[JQZ](?![A-Za-z])"),
    re.compile(r"[,;?\]^~](?<= .)"),
    re.compile(r"[$+/@\[\\^_{~](?= )"),
    re.compile(r"[!'();?@\[\]_`$](?<= .)(?= )"),
)
#: NUL becomes a space, beside which punctuation on both sides may take a mark.  Other controls are
#: dropped, and their own byte pays for the mark that what then touches may take.
_NUL_EXCESS = 2


def tokens_max(text: str) -> int:
    """The most tokens of one text, what its frame may add at its edges included.

    Linear, and mostly in C.  0 for no text.
    """
    if not text:
        return 0
    if text.isascii():
        return _EDGES + len(text) + _ascii_excess(text)
    composed = unicodedata.normalize("NFC", text)
    most = _any_excess(composed)
    if composed != text:
        # Proven only for the composed form; the raw one costs little to look at as well.
        most = max(most, _any_excess(text))
    return _EDGES + most


def _any_excess(text: str) -> int:
    """Bytes and excesses of a text with characters beyond ASCII."""
    beyond = sum(count * _excess(character) for character, count in Counter(text).items())
    return len(text.encode("utf-8", "surrogatepass")) + beyond + _ascii_excess(text)


def _ascii_excess(text: str) -> int:
    """What markers can add around ASCII characters, in any text."""
    excess = text.count("\x00") * _NUL_EXCESS
    return excess + sum(len(pattern.findall(text)) for pattern in _ASCII_EXCESS)


@lru_cache(maxsize=16_384)
def _excess(character: str) -> int:
    """Tokens beyond one per byte of a character outside ASCII; 0 inside."""
    if character < "\x80":
        return 0
    starts, excesses = _table()
    return excesses[bisect_right(starts, ord(character)) - 1]


@lru_cache(maxsize=1)
def _table() -> tuple[list[int], list[int]]:
    """The first code point of each run, and its excess."""
    pairs = [word.split(":") for word in EXCESS_RUNS.split()]
    return [int(start, 16) for start, _ in pairs], [int(excess) for _, excess in pairs]
