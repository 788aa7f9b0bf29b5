"""How many more tokens texts can take when a provider joins them than when each is counted alone.

Layer: core (pure: texts and a way to count them).  Below: core.text_cuts.
Above: noburn_cli.ranks, which knows the encodings.
Not here: what a provider puts between texts (the codecs' overhead), bounds (core.bounds).

Another split may win where two texts meet, and change everything up to the next safe cut: digits go
in threes from the left, so one more digit in front shifts all of them.  Beyond that cut nothing
changes.  So only the pieces between the last safe cut of one text and the first of the next are
counted again, joined.  docs/bounds.md has the claim; a property test tries every way of joining.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from noburn_cli.core.text_cuts import first_cut, last_cut

#: More pieces in a row without a cut are bounded by their bytes: to try every way of joining n
#: pieces counts the middle ones n * n / 4 times.
TRIED_MAX = 4

#: Tokens of a text, or the most that they can be.
Count = Callable[[str], int]


def seam_tokens(texts: Sequence[str], *, count: Count, most: Count) -> int:
    """The most tokens that joining neighbours adds to the sum of the texts' own counts; >= 0.

    Holds for every choice of which neighbours are joined, with nothing between them.
    count: exact tokens of one text by the encoding.
    most: tokens of a text that no way of joining it with others can exceed: its bytes.
    Linear in the texts.
    """
    return sum(_added(chain, count, most) for chain in _chains(texts))


def _chains(texts: Sequence[str]) -> Iterator[list[str]]:
    """What stands between safe cuts wherever texts meet: two pieces, or more without a cut."""
    chain: list[str] = []
    for text in texts:
        if not text:
            continue
        if chain and first_cut(chain[-1][-1] + text[0]):
            yield chain  # The seam itself is a safe cut.
            chain = []
        cut = first_cut(text)
        if not cut:
            chain.append(text)
            continue
        yield [*chain, text[:cut]]
        chain = [text[last_cut(text) :]]
    yield chain


def _added(chain: Sequence[str], count: Count, most: Count) -> int:
    if len(chain) < 2:
        return 0
    alone = [count(piece) for piece in chain]
    if len(chain) > TRIED_MAX:
        return max(0, sum(map(most, chain)) - sum(alone))
    # worst[j]: the most tokens of the first j pieces, over every way of joining them.
    worst = [0]
    for end in range(1, len(chain) + 1):
        ways = [worst[end - 1] + alone[end - 1]]
        ways += [worst[at] + count("".join(chain[at:end])) for at in range(end - 1)]
        worst.append(max(ways))
    return worst[-1] - sum(alone)
