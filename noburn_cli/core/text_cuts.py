"""Where a text may be cut so that its parts have together the very tokens of the whole.

Layer: core (pure: text in, parts out; never reads).  Below: nothing.
Above: noburn_cli.big_inputs, core.seams.
Owns: the places at which no encoding of core.token_recipes can join what stands on both sides.
docs/tokens.md has the proof; a property test compares parts with wholes for every encoding.

A cut at a place is safe when every pattern ends a piece there, whatever follows, and none of its
alternatives looks across it: what stands before is then split as if the text ended, and what
follows as if it began.  Composition (NFC) does not reach across these places either.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

#: Each match is the character before a cut.  Python's white space holds Unicode's, and more.
_BEFORE_CUT = re.compile(
    r"\S(?= )"  # no piece goes on with a space, and only white space looks ahead
    r"|\n(?=[^\s/])"  # a line end ends its piece, save that o200k adds slashes to it
    r"|[A-Za-z](?=[\n\t!-&(-@\[-`{-~])"  # letters go on with letters, marks and apostrophes
    r"|[0-9](?=[A-Za-z])"  # digits with digits
    r"|[一-龥ぁ-ゖァ-ヺー](?=[，。！？；：、\n])"  # Han and kana: letters in every pattern
)
#: How far back the end of a text is searched at first.
_LOOK_CHARACTERS = 4096
#: What is counted in one piece where nothing can be cut: a run of letters, of white space, of
#: signs.  Counting it takes tiktoken about 300 bytes of memory a character.
RUN_CHARACTERS_MAX = 1 << 20


def first_cut(text: str) -> int:
    """The first safe place in `text`, as an index into it; 0 when there is none."""
    found = _BEFORE_CUT.search(text)
    return found.end() if found else 0


def last_cut(text: str, start: int = 0) -> int:
    """The last safe place in text[start:], as an index into `text`; 0 when there is none."""
    high, width = len(text), _LOOK_CHARACTERS
    while high > start:
        low = max(start, high - width)
        found = 0
        # One character beyond: what stands before `high` may only now be seen with what follows.
        for match in _BEFORE_CUT.finditer(text, low, min(len(text), high + 1)):
            found = match.end()
        if found:
            return found
        high, width = low, width * 2
    return 0


class Cutter:
    """Blocks of text in, parts out: each block completes at most one part.

    forced: how often a run had to be cut where it is not safe; then the sum is not exact.
    """

    def __init__(self, *, run_characters_max: int) -> None:
        self._run_max = run_characters_max
        self._held: list[str] = []
        self._held_characters = 0
        self.forced = 0

    def receive(self, block: str) -> str:
        """Take a block; the part that it completes, or nothing."""
        if not block:
            return ""
        # One character of what is held, since a place is seen by the characters on both sides.
        before = self._held[-1][-1] if self._held else ""
        seen = before + block
        cut = last_cut(seen) - len(before)
        if cut < 0 or (cut == 0 and not before):
            return self._hold(block)
        part = "".join((*self._held, block[:cut]))
        self._held, self._held_characters = [block[cut:]], len(block) - cut
        return part

    def _hold(self, block: str) -> str:
        self._held.append(block)
        self._held_characters += len(block)
        if self._held_characters <= self._run_max:
            return ""
        self.forced += 1
        return self.end()

    def end(self) -> str:
        """What is left."""
        part = "".join(self._held)
        self._held, self._held_characters = [], 0
        return part


def parts(text: str, block_characters: int, cutter: Cutter) -> Iterator[str]:
    """A whole text in parts, as if it came in blocks."""
    for at in range(0, len(text), block_characters):
        part = cutter.receive(text[at : at + block_characters])
        if part:
            yield part
    rest = cutter.end()
    if rest:
        yield rest
