"""What of a text decides how many tokens a tokeniser that is not ours makes of it.

Layer: core (pure, standard library).  Below: nothing.  Above: core.offline_counts, which weighs the
features; tools/fit_offline_counts.py, which finds the weights.
Every feature is a count that adds up over the pieces of a text, so a file can be read in pieces.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from functools import lru_cache

#: Where a class of characters begins; it ends where the next one does.  The order is by code point.
_STARTS = (
    (0x00, "control"), (0x09, "tab"), (0x0A, "newline"), (0x0B, "control"), (0x20, "space"),
    (0x21, "mark"), (0x30, "digit"), (0x3A, "mark"), (0x41, "upper"), (0x5B, "mark"),
    (0x61, "lower"), (0x7B, "mark"), (0x7F, "control"), (0xA0, "sign"), (0xC0, "latin"),
    (0x370, "greek"), (0x400, "cyrillic"), (0x530, "caucasian"), (0x590, "hebrew"),
    (0x600, "arabic"), (0x780, "other"), (0x900, "indic"), (0xE00, "southeast"),
    (0x10A0, "caucasian"), (0x1100, "hangul"), (0x1200, "other"), (0x1780, "southeast"),
    (0x1800, "other"), (0x1E00, "latin"), (0x1EA0, "vietnamese"), (0x1F00, "greek"),
    (0x2000, "sign"), (0x2C00, "other"),
    (0x2E80, "han"), (0x3040, "kana"), (0x3100, "han"), (0x3130, "hangul"), (0x3190, "han"),
    (0xA000, "other"), (0xAC00, "hangul"), (0xD800, "other"), (0xF900, "han"), (0xFB00, "arabic"),
    (0xFE00, "sign"), (0xFE70, "arabic"), (0xFF00, "han"), (0xFFF0, "sign"), (0x10000, "astral"),
    (0x20000, "han"), (0x2FA20, "astral"),
)  # fmt: skip
_FROM = [start for start, _ in _STARTS]
_CLASS = [name for _, name in _STARTS]
#: A space after a space: some tokenisers join a run of them to one token, others do not.
_RUNS = re.compile(r" {2,}")
#: What is looked at in one piece, however often it comes.
_LETTERS = re.compile(r"[A-Za-z0-9]+")
#: A capital after a capital, a capital that starts a word, a number's further digits.
_CAPS = re.compile(r"(?<=[A-Z])[A-Z]")
_TITLE = re.compile(r"(?<![A-Za-z])[A-Z](?=[a-z])")
_DIGITS = re.compile(r"(?<=[0-9])[0-9]")
#: Letters with digits between them: base64, hexadecimal digests, identifiers.
_MIXED = re.compile(r"[A-Za-z][0-9]|[0-9][A-Za-z]|[a-z][A-Z]")
#: Words in ASCII letters; punctuation after punctuation; one character several times over.
_WORD = re.compile(r"[A-Za-z]+")
_MARKS = re.compile(r"[!-/:-@\[-`{-~]{2,}")
_REPEAT = re.compile(r"([!-/:-@\[-`{-~])\1{3,}")

#: Frequent words that English has not, by languages that the tokenisers treat alike: Latin letters
#: alone do not tell how well a tokeniser knows a text's language.
_FREQUENT = {
    "german": "der und das ist nicht ein eine auf mit von dem sich auch zu sind wird wenn oder bei",
    "dutch": "het van een niet voor zijn aan dat wordt ook naar werd deze heeft maar wie sy nie "
    "vir",
    "romance": "de la que el los las del por una con le les des et du dans pour il di della che "
    "per da em um uma dos ou au sur est sono nel y e os ao na se al i dels o si",
    "nordic": "og som til det och att av ikke inte har med den kan skal ska er eller vil ett en at",
    "malay": "yang dan untuk dengan atau dari tidak pada ini dalam itu akan adalah oleh juga ada",
    "swahili": "ya na kwa wa kila mtu katika ni au za hii kama ili cha la si kuwa watu hiyo",
    "tagalog": "ng sa ang mga ay na at isang hindi kanyang ito siya kung para may",
    "finnic": "ja ei tai joka jokaisella kun se ning on ta oma tema ega kas mis olla sen sekä",
    "turkish": "ve bir bu ile veya her olarak olan ne ya da gibi kadar daha sonra ancak hak",
}
_LANGUAGE_OF: dict[str, tuple[str, ...]] = {}
for _language, _words in _FREQUENT.items():
    for _word in _words.split():
        _LANGUAGE_OF[_word] = (*_LANGUAGE_OF.get(_word, ()), _language)

#: Every feature, in the order of the weights: tokens by o200k_base, then counts of characters.
NAMES = (
    "o200k",
    *dict.fromkeys(_CLASS),
    "run",
    "caps",
    "title",
    "digits",
    "mixed",
    "word",
    "marks",
    "repeated",
    *_FREQUENT,
)
_PIECE_CHARS = 65_536
#: Longer runs of letters and digits are not remembered.
_SHORT = 40
_PLACE = {name: place for place, name in enumerate(NAMES)}


def features(text: str, o200k_tokens: int) -> list[int]:
    """The features of one text, by NAMES.  Linear, mostly in C.

    o200k_tokens: the text's tokens by o200k_base.
    A long text is looked at piece by piece, so that its words never stand in memory all at once.
    """
    found = [0] * len(NAMES)
    for start in range(0, len(text), _PIECE_CHARS):
        _add(found, text[start : start + _PIECE_CHARS])
    found[0] = o200k_tokens
    return found


def _add(found: list[int], text: str) -> None:
    """Count one piece."""
    for character, times in Counter(text).items():
        found[_PLACE[_CLASS[bisect_right(_FROM, ord(character)) - 1]]] += times
    found[_PLACE["run"]] += sum(len(run) - 1 for run in _RUNS.findall(text))
    for marks in _MARKS.findall(text):
        found[_PLACE["marks"]] += len(marks) - 1
        if len(marks) > 3:
            repeated = sum(len(run[0]) for run in _REPEAT.finditer(marks))
            found[_PLACE["repeated"]] += repeated
    for run, times in Counter(_LETTERS.findall(text)).items():
        known = _short_run(run) if len(run) <= _SHORT else _of_run(run)
        for place, count in known:
            found[place] += count * times


@lru_cache(maxsize=16_384)
def _short_run(run: str) -> tuple[tuple[int, int], ...]:
    """The same as `_of_run`, remembered: most runs are words that come again."""
    return _of_run(run)


def _of_run(run: str) -> tuple[tuple[int, int], ...]:
    """The features of one run of ASCII letters and digits: (place, count), zeros left out."""
    words = _WORD.findall(run)
    counts = {name: len(pattern.findall(run)) for name, pattern in _IN_RUN}
    counts["word"] = len(words)
    for word in words:
        for language in _LANGUAGE_OF.get(word.lower(), ()):
            counts[language] = counts.get(language, 0) + 1
    return tuple((_PLACE[name], count) for name, count in counts.items() if count)


_IN_RUN = (("caps", _CAPS), ("title", _TITLE), ("digits", _DIGITS), ("mixed", _MIXED))
