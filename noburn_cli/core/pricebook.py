"""The price book: models by name, their dated rates, and what calls cost at them.

Layer: core (pure: text in, objects out).  Below: core.models, core.cost, core.pricebook_file,
core.modelnames, errors.  Above: the daemon, which prices, and the commands, which show.
Not here: where the texts lie (noburn_cli.resources, noburn_cli.prices).
Not for guests: it reads TOML, which Python 3.10 cannot.

One import for users of the book: the words of core.models and core.cost are passed on from here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from noburn_cli.core.cost import (
    HoldRates,
    RateOrigin,
    call_cost,
    extra_hold_rates,
    hold_cost,
    hold_rates,
    rate_of,
    tier_for,
)
from noburn_cli.core.modelnames import ModelNames
from noburn_cli.core.models import EMBEDDING, FAMILIES, STANDARD, VARIANTS, Model, RateRow, Tier
from noburn_cli.core.pricebook_file import Book, models_of

__all__ = [
    "EMBEDDING",
    "FAMILIES",
    "STANDARD",
    "VARIANTS",
    "HoldRates",
    "Model",
    "PriceBook",
    "RateOrigin",
    "RateRow",
    "Tier",
    "call_cost",
    "extra_hold_rates",
    "hold_cost",
    "hold_rates",
    "rate_of",
    "tier_for",
]

_VERSION_CHARS = 16


class PriceBook:
    """Immutable; two books of the same texts are the same book and have the same version."""

    def __init__(
        self,
        texts: Sequence[tuple[str, str]],
        models: Mapping[str, Model],
        names: ModelNames,
        origins: Mapping[str, Sequence[str]],
    ) -> None:
        self.texts = tuple(texts)
        self.version = texts_version(self.texts)
        self._models = models
        self._names = names
        self._origins = origins

    @classmethod
    def from_texts(cls, texts: Sequence[tuple[str, str]]) -> PriceBook:
        """Read (origin, TOML text) pairs, later ones over earlier ones.

        Raises PriceBookInvalid naming the file, the model, the row and the reason.
        """
        files = Book()
        for origin, text in texts:
            files.add(origin, text)
        models, by_name = models_of(files)
        names = ModelNames(by_name, files.prefixes, files.free)
        return cls(texts, models, names, files.origins)

    def resolve(self, name: str) -> Model:
        """The model that `name` means: exactly, by alias, date or listed prefix.

        Raises ModelUnknown, naming the nearest ones.
        """
        return self._names.find(name)

    def without_prefix(self, name: str) -> str:
        """A name that resolves, as its provider knows it: without a listed prefix."""
        return self._names.without_prefix(name)

    def origins(self, name: str) -> tuple[str, ...]:
        """The files that speak of a model, by its name in the book; the last one's word counts."""
        return tuple(self._origins.get(name, ()))

    def models(self) -> tuple[Model, ...]:
        """All models, in the order of the files."""
        return tuple(self._models.values())


def texts_version(texts: Sequence[tuple[str, str]]) -> str:
    """A short digest of what the files say; where they lie does not change it."""
    digest = hashlib.sha256()
    for _origin, text in texts:
        encoded = text.encode("utf-8")
        digest.update(len(encoded).to_bytes(8, "big"))
        digest.update(encoded)
    return digest.hexdigest()[:_VERSION_CHARS]
