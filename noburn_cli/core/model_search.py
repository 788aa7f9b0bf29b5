"""Finding models by words that a person remembers: nearest first, nothing decided.

Layer: core (pure).  Below: core.models.  Above: commands.prices (`search`).
Not here: which model a name means when a call is priced (core.modelnames), which never guesses.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher

from noburn_cli.core.models import Model

_MARKS = re.compile(r"[^a-z0-9]+")
#: How alike two words are that are taken for one with a slip in it.
_ALIKE = 0.75
_SHOWN_MAX = 20


def search_models(
    models: Iterable[Model], words: Sequence[str], *, shown_max: int = _SHOWN_MAX
) -> list[Model]:
    """Models that fit every word, the best first; a word may be part of a name, or misspelt.

    words: `haiku`, `gpt4o`, `sonet`; case and marks between letters do not count.
    """
    wanted = [plain for word in words if (plain := _plain(word))]
    scored = []
    for place, model in enumerate(models):
        points = [_points(word, model) for word in wanted]
        if points and all(points):
            scored.append((-sum(points), len(model.name), place, model))
    scored.sort(key=lambda one: one[:3])
    return [model for *_, model in scored[:shown_max]]


def _plain(text: str) -> str:
    return _MARKS.sub("", text.lower())


def _points(word: str, model: Model) -> float:
    """How well one word fits: the whole name, a part of a name, the provider, or a slip."""
    names = [_plain(name) for name in (model.name, *model.aliases)]
    if word in names:
        return 10.0
    if word == _plain(model.provider) or word == model.family:
        return 4.0
    best = 0.0
    for name in names:
        if word in name:
            best = max(best, 5.0 + len(word) / len(name))
    return best or _slip(word, model)


def _slip(word: str, model: Model) -> float:
    parts = {part for name in (model.name, *model.aliases) for part in _MARKS.split(name.lower())}
    parts |= {_plain(model.name), _plain(model.provider)}
    ratios = (_ratio(word, part) for part in parts if part and abs(len(part) - len(word)) <= 2)
    best = max(ratios, default=0.0)
    return best if best >= _ALIKE and len(word) > 2 else 0.0


def _ratio(one: str, other: str) -> float:
    return SequenceMatcher(None, one, other, autojunk=False).ratio()
