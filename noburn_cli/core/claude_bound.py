"""The most tokens that Claude's tokeniser can make of a text: a worst case per character.

Layer: core (pure, standard library, Python 3.10: it travels into guests).  Below: nothing.
"""

from __future__ import annotations

import unicodedata

#: Above three tokens a byte nothing was found over all of Unicode; markers add up to three more.
_TOKENS_PER_BYTE_MAX = 3
_MARKERS_MAX = 3


def tokens_max(text: str) -> int:
    """The most tokens of one text, the marker that its frame may add included."""
    if text.isascii():
        return 1 + 2 * len(text) if text else 0
    composed = unicodedata.normalize("NFC", text)
    length = len(composed.encode("utf-8", "surrogatepass"))
    return 1 + _TOKENS_PER_BYTE_MAX * length + _MARKERS_MAX
