"""Random texts that hurt tokenisers: the same ones from the same seed, on every machine.

Used by the tests and by tools/check_tokenizers.py, so that both see what was recorded.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

SEED = 20261127
#: Characters and words at which some pattern splits, or a normaliser does something.
POOL = (
    *("a", "Z", "é", "é", "ß", "Ö", "中", "龥", "か", "ン", "・", "゠", "ー", "\u3099", "\u3040"),
    *("1", "12", "1234", "²", "½", "٣", "〇", " ", "  ", "   ", "\n", "\n\n", "\r", "\r\n", "\t"),
    *("!", "'", "'s", "'LL", "_", "-", "/", "//", "#", "`", "“", "，", "。", "«", "،", "…", "€"),
    *("\x00", "\x01", "\x7f", "\u200b", "\u200d", "\ufeff", "\u0301", "\u0338", "\xa0", "\u2028"),
    *("🙂", "👩‍💻", "\U0001d160", "\ue000", "\U000e0001", "ع", "مر", "ह", "ि", "Å", "가", "각"),
    *(
        "The",
        " the",
        "word",
        "Word",
        "WORD",
        " of",
        "def ",
        "x=",
        '{"',
        '":',
        "aaaa",
        "====",
        "    ",
    ),
)


def random_texts(number: int, seed: int = SEED) -> Iterator[str]:
    """`number` texts of one to sixteen pieces, every fourth of any characters at all."""
    source = random.Random(seed)
    for turn in range(number):
        length = source.randint(1, 16)
        if turn % 4 == 3:
            points = (source.randrange(0x110000) for _ in range(length))
            yield "".join(chr(p) for p in points if not 0xD800 <= p < 0xE000)
        else:
            yield "".join(source.choice(POOL) for _ in range(length))
