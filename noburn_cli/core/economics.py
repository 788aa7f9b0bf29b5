"""What a plan earns after its tokens are paid.

Layer: core (pure).  Below: money, usage.  Above: `noburn margin`.
Owns: the rules of thumb with their numbers (bands, the 15-20 % rule, the reference rate).
Not here: a model's rates (core.pricebook).

Everything is one month of one plan.  Amounts are exact fractions of a nano-dollar, so that a sum of
lines is the total; whoever shows one rounds it, once, half to even.  Where the question is how many
tokens or which price, the answer is rounded to the side on which the promise still holds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction

from noburn_cli.core.money import PICO_PER_NANO, PICO_PER_TOKEN_PER_DOLLAR_PER_MILLION
from noburn_cli.core.usage import CACHE_READ, INPUT, OUTPUT

#: $10 per million input tokens: the rate that plans are compared at while no model is named.
REFERENCE_RATE_PICO = 10 * PICO_PER_TOKEN_PER_DOLLAR_PER_MILLION
#: The margin that investors and boards expect of software that runs on models.
TARGET_MARGIN = Fraction(70, 100)
#: Inference should stay below 15 to 20 % of revenue.
INFERENCE_SHARE_LOW = Fraction(15, 100)
INFERENCE_SHARE_HIGH = Fraction(20, 100)
#: What software earned before it ran on models.
CLASSIC_MARGIN_LOW = Fraction(70, 100)
CLASSIC_MARGIN_HIGH = Fraction(85, 100)

ZERO = Fraction(0)


class Band(Enum):
    """Gross margins of AI software, by name.  Each begins where the one before it ends."""

    UNDER_WATER = "under water"
    THIN = "thin"
    HEALTHY_EARLY = "healthy early"
    TARGET = "target"


_BANDS_FROM = (
    (TARGET_MARGIN, Band.TARGET),
    (Fraction(55, 100), Band.HEALTHY_EARLY),
    (ZERO, Band.THIN),
)


def band_of(margin_share: Fraction) -> Band:
    """The band of a gross margin as a share of revenue; its lower edge belongs to a band."""
    for lower_edge, band in _BANDS_FROM:
        if margin_share >= lower_edge:
            return band
    return Band.UNDER_WATER


@dataclass(frozen=True)
class Plan:
    """What one customer pays in a month, and what goes off besides tokens.

    price_nano: nano-dollars per seat, >= 0.
    fee_share, fee_fixed_nano: the card processor's part of one payment for all seats.
    overhead_nano: everything else that serving this customer costs (hosting, support).
    """

    price_nano: int
    seats: int = 1
    fee_share: Fraction = ZERO
    fee_fixed_nano: int = 0
    overhead_nano: int = 0

    @property
    def revenue_nano(self) -> int:
        return self.price_nano * self.seats

    @property
    def fees_nano(self) -> Fraction:
        """Payment fees; nothing is paid, and so nothing charged, on a free plan."""
        if not self.revenue_nano:
            return ZERO
        return self.revenue_nano * self.fee_share + self.fee_fixed_nano


@dataclass(frozen=True)
class Statement:
    """One month's lines, in nano-dollars, for all seats."""

    revenue_nano: Fraction
    inference_nano: Fraction
    fees_nano: Fraction
    overhead_nano: Fraction

    @property
    def margin_nano(self) -> Fraction:
        return self.revenue_nano - self.inference_nano - self.fees_nano - self.overhead_nano

    @property
    def margin_share(self) -> Fraction | None:
        """Gross margin as a share of revenue; None where there is no revenue."""
        return self.margin_nano / self.revenue_nano if self.revenue_nano else None

    @property
    def inference_share(self) -> Fraction | None:
        """Inference as a share of revenue; None where there is no revenue."""
        return self.inference_nano / self.revenue_nano if self.revenue_nano else None

    @property
    def band(self) -> Band | None:
        """The margin's band.  A free plan that costs something is under water."""
        if self.margin_share is not None:
            return band_of(self.margin_share)
        return Band.UNDER_WATER if self.margin_nano < 0 else None


class Reach(Enum):
    """Whether a question has a number for an answer."""

    AT = "at"
    ALWAYS = "always"
    NEVER = "never"


@dataclass(frozen=True)
class Allowance:
    """The most tokens per seat that keep a promise, `tokens` being None unless reach is AT."""

    reach: Reach
    tokens: int | None = None


def mix_of(*, output_share: Fraction = ZERO, cached_share: Fraction = ZERO) -> dict[str, Fraction]:
    """Shares of all tokens by kind, adding up to 1.

    output_share: of all tokens.  cached_share: of the input, read from the provider's cache.
    """
    input_share = 1 - output_share
    return {
        INPUT: input_share * (1 - cached_share),
        CACHE_READ: input_share * cached_share,
        OUTPUT: output_share,
    }


def average_rate(mix: Mapping[str, Fraction], rates_pico: Mapping[str, int]) -> Fraction:
    """Pico-dollars of an average token of `mix`, exact.

    rates_pico: pico-dollars per token, for every kind that has a share.
    """
    return sum((share * rates_pico[kind] for kind, share in mix.items() if share), ZERO)


def statement(plan: Plan, *, tokens: int, rate_pico: Fraction) -> Statement:
    """One month of a plan.

    tokens: per seat.  rate_pico: pico-dollars of an average token.
    """
    return Statement(
        revenue_nano=Fraction(plan.revenue_nano),
        inference_nano=plan.seats * tokens * rate_pico / PICO_PER_NANO,
        fees_nano=plan.fees_nano,
        overhead_nano=Fraction(plan.overhead_nano),
    )


def tokens_keeping(plan: Plan, *, rate_pico: Fraction, keep: Fraction = ZERO) -> Allowance:
    """The most tokens per seat that leave `keep` of revenue as margin; break-even by default.

    With neither fees nor overhead break-even is price ÷ rate: $20 ÷ $10 a million is 2,000,000.
    """
    room_nano = plan.revenue_nano * (1 - keep) - plan.fees_nano - plan.overhead_nano
    if room_nano < 0:
        return Allowance(Reach.NEVER)
    if not rate_pico:
        return Allowance(Reach.ALWAYS)
    return Allowance(Reach.AT, math.floor(room_nano * PICO_PER_NANO / (plan.seats * rate_pico)))


def price_keeping(
    plan: Plan, *, tokens: int, rate_pico: Fraction, keep: Fraction = TARGET_MARGIN
) -> int | None:
    """The least price per seat, in nano-dollars, that leaves `keep`; None if no price does.

    p = (cost + fixed fee) ÷ (1 - fee share - keep), divided by the seats and rounded up.
    """
    left_share = 1 - plan.fee_share - keep
    inference_nano = plan.seats * tokens * rate_pico / PICO_PER_NANO
    cost_nano = inference_nano + plan.overhead_nano
    if not cost_nano:
        return 0
    if left_share <= 0:
        return None
    return math.ceil((cost_nano + plan.fee_fixed_nano) / left_share / plan.seats)


def inference_allowance(revenue_nano: Fraction | int) -> tuple[Fraction, Fraction]:
    """What the 15-20 % rule leaves for inference, low and high, in nano-dollars."""
    return revenue_nano * INFERENCE_SHARE_LOW, revenue_nano * INFERENCE_SHARE_HIGH


@dataclass(frozen=True)
class Outlook:
    """Everything `noburn margin` says about one plan at one rate."""

    plan: Plan
    tokens: int
    rate_pico: Fraction
    month: Statement
    break_even: Allowance
    keeping_target: Allowance
    target_price_nano: int | None


def outlook(plan: Plan, *, tokens: int, rate_pico: Fraction) -> Outlook:
    """The month, and how far the plan carries.  tokens: per seat."""
    return Outlook(
        plan=plan,
        tokens=tokens,
        rate_pico=rate_pico,
        month=statement(plan, tokens=tokens, rate_pico=rate_pico),
        break_even=tokens_keeping(plan, rate_pico=rate_pico),
        keeping_target=tokens_keeping(plan, rate_pico=rate_pico, keep=TARGET_MARGIN),
        target_price_nano=price_keeping(plan, tokens=tokens, rate_pico=rate_pico),
    )
