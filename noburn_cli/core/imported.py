"""A call that another program recorded: what it said of it, and what it costs by our book.

Layer: core (pure).  Below: core.pricebook, core.usage, core.money.  Above: noburn_cli.importing.
Owns: ImportedCall, and the rules by which one of two costs counts.
Not here: how a record of some source is read (importing.sources), where calls are kept
(importing.store).

A record has up to two costs: what its source said, and the list price, by our book, at the moment
of the call.  Which one counts depends on what the source knows:

- BILLED: the source charged it (a router, a provider's own export): what it said counts, 0 too;
- ESTIMATED: the source multiplied tokens by a price list of its own: what it said counts, but a 0
  for tokens that have a price is "unknown", and then the list price counts;
- UNTOLD: the source says nothing (session logs of coding agents): the list price counts.

A call with neither is *unpriced*: its cost is unknown, never zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from noburn_cli.core.models import STANDARD, Model
from noburn_cli.core.money import nano_from_pico_half_even
from noburn_cli.core.pricebook import PriceBook, call_cost, rate_of
from noburn_cli.core.usage import REASONING, Usage
from noburn_cli.errors import ModelUnknown, PriceUnknown

BILLED, ESTIMATED, UNTOLD = "billed", "estimated", "untold"
#: Which of the two costs counts: by the source's kind, or always one of them where it is known.
BY_SOURCE, SAID, LIST = "auto", "source", "list"
COST_RULES = (BY_SOURCE, SAID, LIST)
#: What the cost of a call is, in the column `counts`.
UNPRICED = "unpriced"

#: What is noted of a call whose source does not say how many tokens there were.
WITHOUT_TOKENS = "without tokens, and so without a list price"

#: Who serves models of others at prices of their own, by the words that sources use, and how their
#: models are called in the book: there a plain name would be another provider's price.
PREFIXES: Mapping[str, str] = {
    "azure": "azure/", "azure-openai": "azure/", "azure_openai": "azure/",
    "bedrock": "bedrock/", "bedrock_converse": "bedrock/", "aws": "bedrock/",
    "vertex_ai": "vertex_ai/", "vertex-ai": "vertex_ai/", "vertex": "vertex_ai/",
    "groq": "groq/", "together_ai": "together/", "together-ai": "together/",
    "together": "together/", "togetherai": "together/",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ImportedCall:
    """One call as a source tells it.

    id: the source's own, unique in the source: importing it again replaces, and never doubles.
    at_ms: when it was made.  model: as the source names it.  usage: counts by kind (core.usage).
    said_nano: the source's cost in nano-dollars; None where it says none.
    attributes: by noburn's names (`customer`, `tag.team`).  maker: who served it, in its words.
    requests: how many calls the record sums; 0 where it does not say, and for money alone.
    ran_ms: how long it took.  status: HTTP.  failure: why it failed, in one of few words.
    provider_id: the provider's id of the answer, by which the ledger may know the same call.
    tells_tokens: whether the source says how many there were; none said is not none used.
    notional: a subscription paid for it.  note: what about it could not be priced.
    rank: of two records of one call the one with the higher rank counts; of equals the later.
    """

    id: str
    at_ms: int
    model: str
    usage: Usage
    said_nano: int | None = None
    variant: str = STANDARD
    attributes: Mapping[str, str] = field(default_factory=dict)
    maker: str = ""
    requests: int = 1
    ran_ms: int | None = None
    status: int | None = None
    failure: str = ""
    provider_id: str = ""
    tells_tokens: bool = True
    notional: bool = False
    note: str = ""
    rank: int = 0


@dataclass(frozen=True, slots=True)
class Priced:
    """A call's costs in nano-dollars: by the book, and the one that counts.

    model: the book's name, "" when it has none.  counts: SAID, LIST or UNPRICED.
    why_not: why there is no list price.
    """

    list_nano: int | None
    cost_nano: int | None
    counts: str
    model: str = ""
    why_not: str = ""


class ListPrices:
    """List prices by model and moment, each name looked up once."""

    def __init__(self, book: PriceBook) -> None:
        self._book = book
        self._models: dict[tuple[str, str], Model | None] = {}

    @property
    def version(self) -> str:
        return self._book.version

    def model(self, name: str, maker: str = "") -> Model | None:
        """The book's model of that name at that provider, None for an unknown one."""
        key = (name, maker)
        if key not in self._models:
            self._models[key] = self._find(name, maker.lower())
        return self._models[key]

    def _find(self, name: str, maker: str) -> Model | None:
        prefix = PREFIXES.get(maker)
        if prefix is not None and not name.startswith(prefix):
            names: tuple[str, ...] = (f"{prefix}{name}",)
        else:
            names = (name, f"{maker}/{name}") if maker else (name,)
        for one in names:
            try:
                return self._book.resolve(one)
            except ModelUnknown:
                continue
        return None

    def price(self, call: ImportedCall, *, trust: str, rule: str = BY_SOURCE) -> Priced:
        """The call's costs.  trust: what the source knows; rule: which cost counts."""
        model = self.model(call.model, call.maker)
        listed: int | None = None
        why = ""
        if not call.requests and not call.usage:
            why = "it is money alone"
        elif not call.tells_tokens:
            why = "it does not say how many tokens there were"
        elif model is None:
            why = "the price book does not have the model"
        else:
            try:
                listed = _listed(model, call)
            except PriceUnknown:
                why = "the price book has no rate for it at that time"
        counts = _which(call, listed, trust, rule)
        cost = {SAID: call.said_nano, LIST: listed, UNPRICED: None}[counts]
        return Priced(listed, cost, counts, "" if model is None else model.name, why)


def _listed(model: Model, call: ImportedCall) -> int:
    """The list price; of many calls in one record the lowest tier's, as none of them is known.

    Raises PriceUnknown.
    """
    if call.requests == 1:
        return call_cost(model, call.usage, variant=call.variant, at_ms=call.at_ms)
    row = model.row_at(call.variant, call.at_ms)
    if row is None:
        raise PriceUnknown(f"`{model.name}` has no {call.variant} price at that time")
    kinds = ((kind, count) for kind, count in call.usage.items() if kind != REASONING and count)
    pico = sum(count * rate_of(model, row, row.tiers[0], kind) for kind, count in kinds)
    return nano_from_pico_half_even(pico)


def _which(call: ImportedCall, listed: int | None, trust: str, rule: str) -> str:
    said = None if trust == UNTOLD and rule == BY_SOURCE else call.said_nano
    if rule == BY_SOURCE and trust == ESTIMATED and not said and not is_free(call, listed):
        said = None  # A price list without the model says 0 as well.
    if rule == LIST and listed is not None:
        return LIST
    if said is not None:
        return SAID
    return LIST if listed is not None else UNPRICED


def is_free(call: ImportedCall, listed: int | None) -> bool:
    """Whether a cost of 0 can be believed: nothing was used, or it costs nothing by the book."""
    used = any(count for kind, count in call.usage.items() if kind != REASONING)
    return not used or listed == 0
