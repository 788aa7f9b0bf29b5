"""How far each saving reaches, by kind of product: facts, with sources.

Layer: core (pure).  Below: core.economics, which owns the figures that margin reads too.
Above: core.simulation_levers, core.simulation_options.
Owns: hit rates of a semantic cache by kind, and how much of the work a cheaper model can take.
Not here: whether a hit is the right answer (a measurement of one's own), what a saving earns
(core.simulation_levers).
"""

from __future__ import annotations

from dataclasses import dataclass

from noburn_cli.core.economics import (
    ROUTING_RATIO_HIGH,
    ROUTING_RATIO_LOW,
    ROUTING_TOLERATED,
    SEMANTIC_CACHE_HITS,
)


@dataclass(frozen=True)
class Reach:
    """What others see, low and high, as shares; and where that is from."""

    low: float
    high: float
    source: str

    @property
    def middle(self) -> float:
        return (self.low + self.high) / 2


#: Hits of a semantic cache.
CACHE_HITS = {
    kind: Reach(float(rule.low), float(rule.high), rule.source)
    for kind, rule in SEMANTIC_CACHE_HITS.items()
}
#: The part of the work that many products can leave to a cheaper model, and how much cheaper its
#: input is: 10 to 20 times, as a small model of the same provider is.
ROUTED = Reach(
    0.0, float(ROUTING_TOLERATED), "work that tolerates it: 60 % and more in many products"
)
ROUTE_RATIOS = (float(ROUTING_RATIO_LOW), float(ROUTING_RATIO_HIGH))
#: Of the input: system prompt, tools and earlier turns come again; a new question doesn't.
PROMPT_CACHED = Reach(0.0, 0.80, "system prompt, tools and earlier turns that come again")
#: A cached input token costs this part of an uncached one where no model is named; Anthropic's and
#: OpenAI's flagships charge a tenth (pricing.toml, `cache_read`).
PROMPT_PRICE = 0.1
