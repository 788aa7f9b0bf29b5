"""The keys of a simulation: how each is read, and what is assumed without it.

Layer: core (pure).  Below: core.money, core.simulation_reach, core.simulation_shapes, errors.
Above: core.simulation_options, core.simulation_assembly, core.simulation_assumptions.
Owns: OPTIONS, with the defaults and what they rest on.
Not here: which of file and flag wins (core.simulation_options).

A key is the flag's name with `_` for `-`, and takes the same words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from noburn_cli.core.money import REQUESTS, TOKENS, parse_count, parse_dollars, parse_share
from noburn_cli.core.plan_usage import rate_of_million
from noburn_cli.core.simulation_reach import CACHE_HITS
from noburn_cli.core.simulation_shapes import ALPHA_LEAST, parse_heavy
from noburn_cli.errors import UsageError

LOG_NORMAL, PARETO = "log-normal", "pareto"
#: A sample of what the last days' calls were, imported ones among them; else it is a file.
LEDGER = "ledger"
#: Ways of saying how usage is spread, of which one holds.
SPREADS = ("sigma", "alpha", "heavy", "sample")

_NUMBER = re.compile(r"\d{1,9}(\.\d{1,12})?", re.ASCII)
_SIGNED = re.compile(r"([+-]?)\s*(\d{1,4}(?:\.\d{1,9})?)\s*%", re.ASCII)


@dataclass(frozen=True)
class Option:
    """One key.  read: text to value, raising UsageError.  default: as one would write it, None for
    nothing.  shown: the line of the assumptions.  why: what the default rests on.
    """

    read: Callable[[str], Any]
    default: str | None
    shown: str
    why: str = ""


def _dollars(what: str) -> Callable[[str], int]:
    return lambda text: parse_dollars(text, what=what)


def _share(what: str) -> Callable[[str], Fraction]:
    return lambda text: parse_share(text, what=what)


def _count(what: str, unit: str = "") -> Callable[[str], int]:
    return lambda text: parse_count(text, what=what, unit=unit)


def _percent(what: str) -> Callable[[str], Fraction]:
    """`2.9` and `2.9%` alike: the name already says per cent."""
    return lambda text: parse_share(f"{text.strip().removesuffix('%').strip()}%", what=what)


def _word(what: str, words: tuple[str, ...]) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in words:
            raise UsageError(f"{what} cannot be {text!r}", next_step=f"say {' or '.join(words)}")
        return text

    return read


def _number(what: str, *, least: float, most: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        plain = text.strip().removesuffix("x").strip()
        if not _NUMBER.fullmatch(plain) or not least <= float(plain) <= most:
            raise UsageError(
                f"{what} cannot be read from {text!r}",
                why=f"expected a number from {least:g} to {most:g}",
            )
        return float(plain)

    return read


def _moving(what: str) -> Callable[[str], Fraction]:
    """`-3%`, `+2%`, `2%`: from one month to the next, above -100 %."""

    def read(text: str) -> Fraction:
        match = _SIGNED.fullmatch(text.strip())
        found = None if match is None else Fraction(match[2]) / (-100 if match[1] == "-" else 100)
        if text.strip() == "0":
            return Fraction(0)
        if found is None or found <= -1:
            raise UsageError(
                f"{what} cannot be read from {text!r}", next_step="write it like -3% or +2%"
            )
        return found

    return read


def _per_million(text: str) -> Fraction:
    return rate_of_million(text, what="rate")


def _cache(text: str) -> Fraction | str:
    """A hit rate, or `on`: the middle of what the product's kind sees."""
    return "on" if text == "on" else parse_share(text, what="cache")


_OURS = "ours: say yours"
OPTIONS: Mapping[str, Option] = {
    "price": Option(_dollars("price"), None, "Price of a seat and month"),
    "seats": Option(_count("seats"), "1", "Seats of a customer"),
    "included": Option(str, None, "Included in the price"),
    "overage": Option(str, None, "Beyond what is included"),
    "trial_days": Option(_count("trial_days"), "0", "Free days at the start"),
    "fee_percent": Option(_percent("fee_percent"), "0", "Card fee, share", "none is taken unsaid"),
    "fee_fixed": Option(_dollars("fee_fixed"), "0", "Card fee, fixed", "none is taken unsaid"),
    "overhead": Option(_dollars("overhead"), "0", "Other cost of a customer and month"),
    "tokens": Option(_count("tokens", TOKENS), None, "Tokens of a seat and month, on average"),
    "requests": Option(_count("requests", REQUESTS), None, "Requests of a seat and month"),
    "request_cost": Option(_dollars("request_cost"), "0", "Cost of a request, tokens apart"),
    "model": Option(str, None, "Model"),
    "rate": Option(
        _per_million, None, "Cost of a million tokens", "the reference rate for input: name a model"
    ),
    "output_share": Option(_share("output_share"), "0", "Share of the tokens that is output"),
    "distribution": Option(
        _word("distribution", (LOG_NORMAL, PARETO)), LOG_NORMAL, "Shape of usage"
    ),
    "sigma": Option(
        _number("sigma", least=0, most=4), "2", "Spread of usage, log-normal sigma",
        "the top tenth then makes 76 % of spend; 70-80 % is what is published",
    ),
    "alpha": Option(_number("alpha", least=ALPHA_LEAST, most=100), None, "Pareto alpha of usage"),
    "heavy": Option(parse_heavy, None, "Heavy users"),
    "sample": Option(str, None, "Usage as measured"),
    "steadiness": Option(
        _share("steadiness"), "80%", "What of a month's difference is the customer's own", _OURS
    ),
    "customers": Option(_count("customers"), "200", "Customers at the start", _OURS),
    "growth": Option(_share("growth"), "5%", "New customers a month, of those there", _OURS),
    "arrivals": Option(_count("arrivals"), "0", "New customers a month besides"),
    "churn": Option(
        _share("churn"), "3.3%", "Customers who leave a month",
        "Recurly's mean of all subscriptions: 3.27 % (recurly.com/research/churn-rate-benchmarks)",
    ),
    "trial_keeps": Option(_share("trial_keeps"), "100%", "Trials that stay"),
    "months": Option(_count("months"), "24", "Months"),
    "usage_growth": Option(_moving("usage_growth"), "0%", "Growth of a customer's usage a month"),
    "rate_growth": Option(_moving("rate_growth"), "0%", "Change of what tokens cost, a month"),
    "product": Option(
        _word("product", tuple(CACHE_HITS)), None, "Kind of product",
        "unsaid: a cache is weighed as for questions that repeat",
    ),
    "cache": Option(_cache, "0%", "Requests that a semantic cache answers"),
    "routed": Option(_share("routed"), "0%", "Calls routed to a cheaper model"),
    "route_ratio": Option(
        _number("route_ratio", least=1, most=1000), "10", "How many times cheaper that model is",
        "10 to 20 times on input is usual of one provider's small model",
    ),
    "prompt_cached": Option(
        _share("prompt_cached"), "0%", "Input read from the provider's prompt cache"
    ),
    "fixed": Option(_dollars("fixed"), "0", "Fixed costs of a month"),
    "target": Option(
        _share("target"), "70%", "Target margin", "what investors expect of AI software"
    ),
    "draws": Option(_count("draws"), "1000", "Futures drawn"),
    "seed": Option(_count("seed"), "1", "Seed: the same one gives the same figures"),
}  # fmt: skip


def parse_moving(text: str, *, what: str) -> Fraction:
    """`-30%` or `+10%` of a change.  Raises UsageError."""
    return _moving(what)(text)
