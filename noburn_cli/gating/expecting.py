"""The numbers of a prompt that no file shows: its output, its cached share, its calls, its price.

Layer: I/O (it may read the ledger).  Below: gating.volumes, core.gate_tables.
Above: gating.comparing.
Owns: who is asked first: the configuration, then the ledger, then the other side of the comparison.
One answer of the ledger serves both sides, asked for with the model that the base names: those are
the calls that were made.  Where there are none, the change may name at last what is called.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from noburn_cli.core.estimates import Span
from noburn_cli.core.gate_costs import NO_CACHE, Market
from noburn_cli.core.gate_model import FROM_CONFIG, FROM_LEDGER, FROM_OTHER_SIDE
from noburn_cli.core.gate_tables import LEDGER, GateSpec, PromptSpec
from noburn_cli.core.learning import MODEL, CacheShares
from noburn_cli.gating.volumes import Typical, Volumes


@dataclass(frozen=True)
class Numbers:
    """What one side expects of a call and of a month; None is not known."""

    market: Market
    output: Span | None = None
    cache: CacheShares | None = None
    calls: int | None = None

    @property
    def shares(self) -> CacheShares:
        return NO_CACHE if self.cache is None else self.cache


class Expecting:
    """Answers for one ledger, or for what was saved of it; read only when it is asked."""

    def __init__(self, volumes: Volumes) -> None:
        self._volumes = volumes

    @property
    def notes(self) -> list[str]:
        return self._volumes.notes

    def of(self, name: str, spec: PromptSpec, gate: GateSpec, *, models: Sequence[str]) -> Numbers:
        """What a table says, and the ledger where it is asked for.

        models: on which calls were made, as the price book calls them; the base's first.
        Raises LedgerUnavailable, and InputRefused where the ledger has no call of it.
        """
        customers = spec.customers if spec.customers is not None else gate.customers
        per_customer = spec.calls_per_customer
        calls, calls_from = spec.calls_per_month, FROM_CONFIG
        if calls == LEDGER:
            calls = self._volumes.calls(name, feature=spec.feature, models=models)
            calls_from = FROM_LEDGER
        assert calls is None or isinstance(calls, int)
        if calls is None and customers is not None and per_customer:
            whole = customers * per_customer
            calls = -(-whole.numerator // whole.denominator)
        if per_customer is None and calls is not None and customers is not None:
            per_customer = Fraction(calls, customers)
        share = spec.cached_share
        market = Market(
            calls_from=calls_from if calls is not None else "",
            output_from=FROM_CONFIG if spec.output is not None else "",
            customers=customers,
            calls_per_customer=per_customer,
            plan_price=spec.plan_price,
            feature=spec.feature,
        )
        cache = None
        if share is not None:
            cache = CacheShares(plain=share.denominator - share.numerator, read=share.numerator)
        return Numbers(market, spec.output, cache, calls)

    def learned(self, name: str, spec: PromptSpec, *, models: Sequence[str]) -> Typical | None:
        """What past calls say of output and cache: those with the prompt's name as `tag.prompt`,
        then those of its feature, then all of the model.
        """
        asked = (
            self._volumes.typical(feature=spec.feature, prompt=name, model=one) for one in models
        )
        return next((found for found in asked if found is not None), None)


def from_learned(numbers: Numbers, learned: Typical | None) -> Numbers:
    """The numbers, with what was learned where nobody said it.

    The mean, because a month is a sum of many calls.  How much a cache serves is taken from calls
    of the same prompt or feature only: those of others on the model have other beginnings.
    """
    if learned is None:
        return numbers
    market, output, cache = numbers.market, numbers.output, numbers.cache
    if output is None:
        output = Span(learned.mean, learned.mean)
        market = replace(market, output_from=FROM_LEDGER)
    if cache is None and learned.basis != MODEL:
        cache = learned.cache
    return replace(numbers, market=market, output=output, cache=cache)


def shared(one: Numbers, other: Numbers) -> Numbers:
    """The numbers of a side, with the other one's where it has none of its own.

    An expectation that somebody wrote down at last, or took out, is no change of what calls cost.
    A cached share is not shared: without one, nothing is taken to be cached.
    """
    market, output, calls = one.market, one.output, one.calls
    if output is None and other.output is not None:
        output = other.output
        market = replace(market, output_from=FROM_OTHER_SIDE)
    if calls is None and other.calls is not None:
        calls = other.calls
        market = replace(market, calls_from=FROM_OTHER_SIDE)
    if market.calls_per_customer is None:
        market = replace(market, calls_per_customer=other.market.calls_per_customer)
    return replace(one, market=market, output=output, calls=calls)
