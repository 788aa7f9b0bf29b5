"""Providers whose models cost nothing, by declaration: `[[free]]` in a price file.

Layer: core (pure).  Below: core.models, core.pricebook_fields.
Above: core.pricebook_file reads them, core.modelnames finds their models.

A server on one's own machine takes any model name, so no list of names would do.  What costs
nothing is still counted: budgets of tokens and of requests hold there as elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from noburn_cli.core.models import TOKENIZERS, VARIANTS, WRITES_AS_INPUT, Model, RateRow, Tier
from noburn_cli.core.pricebook_fields import count_of, is_name, one_of, only, refuser, text_of
from noburn_cli.core.usage import EXTRA_KINDS, PRICED_KINDS

_FROM_THE_FIRST_DAY = date(1970, 1, 1)
_NO_RATE = (Tier(0, dict.fromkeys(PRICED_KINDS, 0)),)
_NO_FEE = dict.fromkeys(EXTRA_KINDS, 0)


@dataclass(frozen=True)
class FreeProvider:
    """One declaration.

    context_window: tokens; generous, because unseen input is bounded by it.
    url: where it was declared.
    """

    provider: str
    context_window: int
    tokenizer: str
    url: str

    def model(self, name: str) -> Model:
        """The model of that name, at a rate of 0 for every kind of usage in every variant."""
        rows = tuple(
            RateRow(
                variant, _FROM_THE_FIRST_DAY, 0, _NO_RATE, self.url, _FROM_THE_FIRST_DAY, _NO_FEE
            )
            for variant in VARIANTS
        )
        return Model(
            name=name,
            provider=self.provider,
            family="text",
            tokenizer=self.tokenizer,
            context_window=self.context_window,
            input_max=self.context_window,
            output_max=self.context_window,
            output_min=1,
            cache_writes=WRITES_AS_INPUT,
            aliases=(),
            rows=rows,
            sources=(),
            note=f"free, as {self.url} says",
        )


def read_free(entries: Any, origin: str) -> dict[str, FreeProvider]:
    """The [[free]] tables of one file, by provider.  Raises PriceBookInvalid."""
    if not isinstance(entries, list):
        raise refuser(origin)("`free` is not a list: write [[free]]")
    found: dict[str, FreeProvider] = {}
    for number, entry in enumerate(entries, start=1):
        refuse = refuser(origin, f"free {number}")
        if not isinstance(entry, dict):
            raise refuse("it is not a table")
        only(entry, {"provider", "context_window", "tokenizer", "url"}, refuse)
        provider = entry.get("provider")
        if not (isinstance(provider, str) and is_name(provider)) or "/" in provider:
            raise refuse("it has no usable `provider`")
        found[provider] = FreeProvider(
            provider,
            count_of(entry.get("context_window"), "context_window", refuse),
            one_of(TOKENIZERS)(entry.get("tokenizer"), "tokenizer", refuse),
            text_of(entry.get("url"), "url", refuse),
        )
    return found
