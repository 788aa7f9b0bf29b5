"""The rules of thumb of software that runs on models: each figure once, with its source and date.

Layer: core (pure).  Below: core.money.  Above: margin, simulate, pnl and their pages.
Owns: the bands of a gross margin, the 15-20 % rule, the reference rate, what caching and routing
win back, when flat pricing turns.
Not here: a plan's arithmetic (core.plan_billing), a model's rates (core.pricebook).

These figures judge; none of them enters a bill.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from fractions import Fraction
from typing import NamedTuple

from noburn_cli.core.money import PICO_PER_TOKEN_PER_DOLLAR_PER_MILLION

ZERO = Fraction(0)
ONE = Fraction(1)

#: $10 per million input tokens: the rate that plans are compared at while no model is named.
REFERENCE_RATE_PICO = 10 * PICO_PER_TOKEN_PER_DOLLAR_PER_MILLION
# The bands.  Reported in 2026: 52 % on average and inference at 23 % of revenue (ICONIQ), 50 to
# 60 % (Bessemer), as quoted by
# https://www.softwareseni.com/why-ai-gross-margins-are-so-much-lower-than-saas-and-what-that-means-for-your-business
# and, for classic software, 70 to 85 %: https://costandprofitability.com/cost-of-ai/ai-gross-margin/
# Both read 2026-11-27.
#: The margin that investors and boards expect of software that runs on models.
TARGET_MARGIN = Fraction(70, 100)
#: Where a margin is healthy for a company that is young.
HEALTHY_MARGIN = Fraction(55, 100)
#: Inference should stay below 15 to 20 % of revenue: with the rest of what serving costs it leaves
#: the target.  Best in class is below 15 %, read 2026-11-27:
#: https://metricrig.com/finance/ai-saas-gross-margin-benchmark-2026
INFERENCE_SHARE_LOW = Fraction(15, 100)
INFERENCE_SHARE_HIGH = Fraction(20, 100)
#: What software earned before it ran on models.
CLASSIC_MARGIN_LOW = Fraction(70, 100)
CLASSIC_MARGIN_HIGH = Fraction(85, 100)


class Band(Enum):
    """Gross margins of AI software, by name.  Each begins where the one before it ends."""

    UNDER_WATER = "under water"
    THIN = "thin"
    HEALTHY_EARLY = "healthy early"
    TARGET = "target"


#: The share at which each band begins, the highest first; below the last it is under water.
BANDS_FROM = (
    (TARGET_MARGIN, Band.TARGET),
    (HEALTHY_MARGIN, Band.HEALTHY_EARLY),
    (ZERO, Band.THIN),
)


def band_of(margin_share: Fraction) -> Band:
    """The band of a gross margin as a share of revenue; its lower edge belongs to a band."""
    for lower_edge, band in BANDS_FROM:
        if margin_share >= lower_edge:
            return band
    return Band.UNDER_WATER


def inference_allowance(revenue_nano: Fraction | int) -> tuple[Fraction, Fraction]:
    """What the 15-20 % rule leaves for inference, low and high, in nano-dollars."""
    return revenue_nano * INFERENCE_SHARE_LOW, revenue_nano * INFERENCE_SHARE_HIGH


class Rule(NamedTuple):
    """A range of shares that is reported or was measured, where, and when we looked."""

    low: Fraction
    high: Fraction
    source: str
    checked_on: str = "2026-11-27"


#: The share of calls that a semantic cache can answer, by kind of product.  Published rates in
#: production are 20-45 % (preto.ai/blog/semantic-caching-llm); support 30-50 %, code 10-15 % and
#: less where a wrong answer is dear (gigagpu.com/semantic-cache-implementation): for coding we
#: count on none.  Measured on public question sets, at most 1 % of them wrong: 38 to 47 % of
#: BANKING77, 24 to 25 % of CLINC150 (docs/margin.md).
SEMANTIC_CACHE_HITS: Mapping[str, Rule] = {
    "support": Rule(
        Fraction(30, 100), Fraction(50, 100), "FAQ and support: 30-50 % in published measurements"
    ),
    "repeating": Rule(
        Fraction(25, 100),
        Fraction(45, 100),
        "questions that repeat: 25-45 % in published measurements",
    ),
    "coding": Rule(ZERO, ZERO, "code: hardly two requests are alike, about 0"),
}
#: Published: https://arxiv.org/abs/2406.18665 sends 14 to 54 % of queries to the strong model and
#: keeps 95 % of its quality, so that 46 to 86 % tolerate the weak one, by benchmark.
ROUTING_TOLERATED = Fraction(60, 100)
#: How much cheaper on input the model is that easy work is routed to: `noburn prices list`.
ROUTING_RATIO_LOW, ROUTING_RATIO_HIGH = 10, 20
#: Points of margin that routing wins back where ROUTING_TOLERATED or more tolerates it: what
#: `routing_saving` gives of inference at 18.5 to 70 % of revenue.
ROUTING_POINTS = Rule(
    Fraction(10, 100), Fraction(40, 100), "arithmetic of the two rules above; docs/margin.md"
)
#: Who prices per seat goes hybrid (seat and overage) before so many customers pay: later every
#: contract, invoice and support answer has to be changed at once.  A rule of thumb of those who did
#: it; `noburn simulate` says it of one's own figures.
HYBRID_BEFORE = (200, 300)
#: What card processors in the US take of a payment: https://stripe.com/pricing, 2026-11-27.  It is
#: a figure to judge by, and enters no bill that does not say so.
CARD_FEE_SHARE = Fraction(29, 1000)
CARD_FEE_FIXED_NANO = 300_000_000


def routing_saving(routed: Fraction, ratio: Fraction | int) -> Fraction:
    """The share of inference that is saved where `routed` of it goes to a model `ratio` cheaper."""
    return routed * (ONE - ONE / ratio)
