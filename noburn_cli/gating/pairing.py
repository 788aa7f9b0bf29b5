"""Which prompt of now is which of the base.

Layer: pure.  Below: core.gate_globs, gating.prompts.  Above: gating.comparing.
Tried in this order, each among what is left: the same name; the file's name before git took it to
be renamed; the same place under another label; the very same text anywhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence

from noburn_cli.core.gate_globs import chosen
from noburn_cli.core.gate_tables import PromptSpec
from noburn_cli.gating.prompts import Prompt

Pair = tuple[Prompt | None, Prompt | None]
_Key = Callable[[Prompt], Hashable]


def paired(
    before: Sequence[Prompt], after: Sequence[Prompt], renames: Mapping[str, str]
) -> list[Pair]:
    """(before, after) in the order of now; what is gone comes last.

    renames: a file's new path to its old one, both below the configuration's folder.
    """
    left = {one.name: one for one in before}
    partners: dict[str, Prompt] = {}

    def match(key_before: _Key, key_after: _Key) -> None:
        """Pair what has one key, where only one on each side has it."""
        open_after = [one for one in after if one.name not in partners]
        theirs = _alone(left.values(), key_before)
        for key, one in _alone(open_after, key_after).items():
            found = theirs.get(key)
            if found is not None:
                partners[one.name] = found
                del left[found.name]

    match(lambda one: one.name, lambda one: one.name)
    match(_place, lambda one: (renames.get(one.path), one.part, one.spec.label))
    match(lambda one: (one.path, one.part), lambda one: (one.path, one.part))
    match(_text, _text)
    pairs: list[Pair] = [(partners.get(one.name), one) for one in after]
    return [*pairs, *((one, None) for one in before if one.name in left)]


def same_table(gone: Prompt, spec: PromptSpec, *, as_many: bool) -> bool:
    """Whether a prompt of the base would stand in a table of now, or did in what it was before.

    as_many: whether both sides have as many tables: the first is then the first.
    """
    patterns = [one for one in spec.files if not one.startswith("!")]
    return (
        not set(patterns).isdisjoint(gone.spec.files)
        or (as_many and gone.spec.number == spec.number)
        or any(chosen(patterns, [gone.path]).values())
    )


def _alone(prompts: Iterable[Prompt], key: _Key) -> dict[Hashable, Prompt]:
    """The prompts whose key no other one has."""
    found: dict[Hashable, list[Prompt]] = {}
    for one in prompts:
        found.setdefault(key(one), []).append(one)
    return {place: ones[0] for place, ones in found.items() if len(ones) == 1}


def _place(one: Prompt) -> Hashable:
    return (one.path, one.part, one.spec.label)


def _text(one: Prompt) -> Hashable:
    return tuple((item.call.texts, item.call.schema_text) for item in one.items)
