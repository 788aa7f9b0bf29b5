"""How far each saving reaches, by kind of product: facts, with sources.

Layer: core (pure).  Below: nothing.  Above: core.simulation_levers, core.simulation_options.
Owns: hit rates of a semantic cache by kind, and how much of the work a cheaper model can take.
Not here: whether a hit is the right answer (a measurement of one's own), what a saving earns
(core.simulation_levers).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Reach:
    """What others see, low and high, as shares; and where that is from."""

    low: float
    high: float
    source: str

    @property
    def middle(self) -> float:
        return (self.low + self.high) / 2


#: Hits of a semantic cache.  Checked 2026-11-27: published rates in production are 20-45 %
#: (preto.ai/blog/semantic-caching-llm); support 30-50 %, code 10-15 % and less where a wrong answer
#: is dear (gigagpu.com/semantic-cache-implementation): for coding we count on none.
CACHE_HITS = {
    "support": Reach(0.30, 0.50, "FAQ and support: 30-50 % in published measurements"),
    "repeating": Reach(0.25, 0.45, "questions that repeat: 25-45 % in published measurements"),
    "coding": Reach(0.0, 0.0, "code: hardly two requests are alike, about 0"),
}
#: The part of the work that many products can leave to a cheaper model, and how much cheaper its
#: input is: 10 to 20 times, as a small model of the same provider is.
ROUTED = Reach(0.0, 0.60, "work that tolerates it: 60 % and more in many products")
ROUTE_RATIOS = (10.0, 20.0)
#: Of the input: system prompt, tools and earlier turns come again; a new question doesn't.
PROMPT_CACHED = Reach(0.0, 0.80, "system prompt, tools and earlier turns that come again")
#: A cached input token costs this part of an uncached one where no model is named; Anthropic's and
#: OpenAI's flagships charge a tenth (pricing.toml, `cache_read`).
PROMPT_PRICE = 0.1
