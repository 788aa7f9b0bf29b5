"""Which model a name means: exactly, or not at all.

Layer: core (pure).  Below: errors, core.models.  Above: core.pricebook.
A name is known when it is a model's name or alias, one of these followed by a date
(`-2026-03-05`, `-20260305`), or either after a listed prefix (`openai/`).  A fine-tune
(`ft:BASE:organisation:name:id`) is the model `ft:BASE`, if there is one.  On Vertex AI a name may
have its version behind it (`@20250929`, `@default`) and be written as a resource
(`publishers/anthropic/models/…`).  Any name is known after the prefix of a provider that was
declared free.  Case counts.  Anything else is unknown, however near: a wrong match is a wrong
price.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date

from noburn_cli.core.free_models import FreeProvider
from noburn_cli.core.models import Model
from noburn_cli.errors import ModelUnknown

_DATED = re.compile(
    r"(?P<name>.+)-(?P<y>\d{4})(?P<dash>-?)(?P<m>\d{2})(?P=dash)(?P<d>\d{2})", re.ASCII
)

FINE_TUNE = "ft:"
#: The prefix of Vertex AI's models in the book, and how Google itself names them.
_VERTEX = "vertex_ai/"
_VERTEX_RESOURCE = re.compile(r"publishers/[a-z0-9-]+/models/(?P<model>[^/]+)", re.ASCII)
_VERTEX_VERSION = re.compile(r"@(\d{8}|default|latest)$", re.ASCII)


class ModelNames:
    """Finds models by name.

    by_name: every name and alias.
    prefixes: prefix -> the provider whose models it may stand before.
    free: providers by name whose every model costs nothing.
    """

    def __init__(
        self,
        by_name: Mapping[str, Model],
        prefixes: Mapping[str, str],
        free: Mapping[str, FreeProvider] | None = None,
    ) -> None:
        self._by_name = by_name
        self._prefixes = prefixes
        self._free = free or {}

    def find(self, name: str) -> Model:
        """Return the model that `name` means.  Raises ModelUnknown, naming the nearest."""
        found = self._find_plain(name)
        if found is not None:
            return found
        for prefix, provider in self._prefixes.items():
            if name.startswith(prefix):
                found = self._find_plain(name[len(prefix) :])
                if found is not None and found.provider == provider:
                    return found
        found = self._find_on_vertex(name)
        if found is not None:
            return found
        provider, slash, rest = name.partition("/")
        if slash and rest and provider in self._free:
            return self._free[provider].model(name)
        raise _unknown(name, self._by_name)

    def without_prefix(self, name: str) -> str:
        """A name that `find` knows, as its provider knows it: without a listed prefix."""
        if self._find_plain(name) is not None:
            return name
        rests = (name[len(one) :] for one in self._prefixes if name.startswith(one))
        return next((rest for rest in rests if self._find_plain(rest) is not None), name)

    def _find_on_vertex(self, name: str) -> Model | None:
        resource = _VERTEX_RESOURCE.fullmatch(name)
        plain = resource["model"] if resource else name.removeprefix(_VERTEX)
        if resource is None and plain == name:
            return None
        found = self._by_name.get(f"{_VERTEX}{plain}")
        return found or self._by_name.get(f"{_VERTEX}{_VERTEX_VERSION.sub('', plain)}")

    def _find_plain(self, name: str) -> Model | None:
        found = self._by_name.get(name)
        if found is not None:
            return found
        if name.startswith(FINE_TUNE):
            base = name.removeprefix(FINE_TUNE).partition(":")[0]
            return self._by_name.get(FINE_TUNE + base)
        undated = without_date(name)
        return None if undated is None else self._by_name.get(undated)


def without_date(name: str) -> str | None:
    """`gpt-5.4` for `gpt-5.4-2026-03-05`; None when the name ends in no real date."""
    match = _DATED.fullmatch(name)
    if match is None:
        return None
    try:
        date(int(match["y"]), int(match["m"]), int(match["d"]))
    except ValueError:
        return None
    return match["name"]


def _unknown(name: str, known: Iterable[str]) -> ModelUnknown:
    import difflib  # only on the way to an error: it costs some milliseconds to import

    shown = name if len(name) <= 100 else f"{name[:100]}…"
    plain = shown.rpartition("/")[2]
    if plain.startswith(FINE_TUNE):
        return _fine_tune(plain, known)
    plain = plain.lower()
    near = difflib.get_close_matches(plain, list(known), n=3, cutoff=0.6)
    nearest = " or ".join(f"`{one}`" for one in near)
    return ModelUnknown(
        f"the price book has no model `{shown}`",
        why="a name matches exactly, by alias, with a date at its end, or after a listed prefix; "
        "it is never guessed, because a wrong match is a wrong price",
        next_step=(f"did you mean {nearest}? " if near else "")
        + "your own price file can add models and aliases (set NOBURN_PRICES to its path)",
    )


def _fine_tune(shown: str, known: Iterable[str]) -> ModelUnknown:
    tuned = ", ".join(one.removeprefix(FINE_TUNE) for one in known if one.startswith(FINE_TUNE))
    base = shown.removeprefix(FINE_TUNE).partition(":")[0]
    return ModelUnknown(
        f"the price book has no rates for fine-tunes of `{base}`",
        why="a fine-tuned model costs more than its base, and no source says how much this one does"
        + (f"; known are those of {tuned}" if tuned else ""),
        next_step=f'add it in your own price file: name = "{FINE_TUNE}{base}", like = "{base}" and '
        "the fine-tune's own rates of every variant that you use (docs/price-book.md)",
    )
