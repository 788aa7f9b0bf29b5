"""The options of a simulation: their keys, how each is read, and what is assumed without it.

Layer: core (pure).  Below: core.money, core.simulation_reach, core.simulation_shapes, errors.
Above: core.simulation_assembly, commands.simulate, simulation_inputs.
Owns: OPTIONS, `simulate.toml`'s keys, and which of file, plans' table and flag wins.
Not here: what the options come to together (core.simulation_assembly).

A key is the flag's name with `_` for `-`, and takes the same words.  Layers, each over the one
before: `[simulation]` of the plans file, `simulate.toml`, flags.  Of the ways to say how usage is
spread a layer that says one silences those below.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

import tomllib

from noburn_cli.core.money import (
    REQUESTS,
    TOKENS,
    parse_count,
    parse_dollars,
    parse_share,
)
from noburn_cli.core.plan_usage import rate_of_million
from noburn_cli.core.simulation_reach import CACHE_HITS
from noburn_cli.core.simulation_shapes import parse_heavy
from noburn_cli.errors import NoburnError, UsageError

NAME = "simulate.toml"
LOG_NORMAL, PARETO = "log-normal", "pareto"
#: Ways of saying how usage is spread, of which one holds.
SPREADS = ("sigma", "alpha", "heavy", "sample")
#: Tables of the file beside its keys.
MIX, WORK, CHANGE = "mix", "work", "change"
CHANGE_KEYS = ("month", "plan", "price", "rate", "leave")
LEVERS = ("prompt cache", "routing", "semantic cache", "price", "overage", "hard limit")

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


@dataclass(frozen=True)
class Said:
    """A value, as it was written, and who wrote it; origin "" for our default."""

    value: Any
    text: str
    origin: str


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
    "alpha": Option(_number("alpha", least=1.0001, most=100), None, "Pareto alpha of usage"),
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


@dataclass(frozen=True)
class Layer:
    """What one place says: texts by key, and its tables.

    origin: a file's path, or FLAGS.
    """

    origin: str
    values: Mapping[str, str]
    mix: Mapping[str, str]
    work: Mapping[str, str]
    changes: tuple[Mapping[str, str], ...]


@dataclass(frozen=True)
class Options:
    """What holds, by key; a key that nobody said and that has no default is missing.

    mix, work, changes: from the highest layer that has any, as text.
    """

    values: Mapping[str, Said]
    mix: Mapping[str, str]
    work: Mapping[str, str]
    changes: tuple[Mapping[str, str], ...]

    def value(self, key: str) -> Any:
        """The value of a key; None where nobody said one and none is assumed."""
        return self.values[key].value if key in self.values else None

    def said(self, key: str) -> bool:
        """Whether a person said it."""
        return key in self.values and self.values[key].origin != ""


def settle(layers: list[Layer]) -> Options:
    """What holds.  layers: the lowest first.  Raises UsageError naming the layer and the key."""
    texts = {key: ("", one.default) for key, one in OPTIONS.items() if one.default is not None}
    mix: Mapping[str, str] = {}
    work: Mapping[str, str] = {}
    changes: tuple[Mapping[str, str], ...] = ()
    for layer in layers:
        spreads = [key for key in SPREADS if key in layer.values]
        if len(spreads) > 1:
            raise UsageError(
                f"{layer.origin}: {' and '.join(spreads)} each say how usage is spread",
                next_step="say one of them",
            )
        for key in SPREADS if spreads else ():
            texts.pop(key, None)
        texts.update({key: (layer.origin, text) for key, text in layer.values.items()})
        mix, work, changes = layer.mix or mix, layer.work or work, layer.changes or changes
    values = {key: Said(_read(key, *pair), pair[1], pair[0]) for key, pair in texts.items()}
    return Options(values, mix, work, changes)


def _read(key: str, origin: str, text: str) -> Any:
    try:
        return OPTIONS[key].read(text)
    except NoburnError as error:
        said = f"{origin}: `{key}`: " if origin and origin != FLAGS else ""
        raise UsageError(
            f"{said}{error.message}", why=error.why, next_step=error.next_step
        ) from error


FLAGS = "said"


def flags_layer(
    values: Mapping[str, str | None],
    *,
    mix: str | None,
    work: list[str],
    changes: list[str],
) -> Layer:
    """What the command line says.  Raises UsageError."""
    return Layer(
        FLAGS,
        {key: text for key, text in values.items() if text is not None},
        {} if mix is None else _pairs(mix, what="--mix", example="free=60%,pro=40%"),
        _work(
            _merged([_pairs(one, what="--work", example="routing=3000") for one in work]), "--work"
        ),
        tuple(
            _change(_pairs(one, what="--change", example="month=12,price=39"), "--change")
            for one in changes
        ),
    )


def _merged(parts: list[dict[str, str]]) -> dict[str, str]:
    return {key: text for part in parts for key, text in part.items()}


def _pairs(text: str, *, what: str, example: str) -> dict[str, str]:
    """`a=1,b=2`, each name once."""
    found: dict[str, str] = {}
    for part in text.split(","):
        name, equals, value = (one.strip() for one in part.partition("="))
        if not equals or not name or not value or name in found:
            raise UsageError(
                f"{what} cannot be read from {text!r}", next_step=f"write it like {example}"
            )
        found[name] = value
    return found


def parse_layer(origin: str, text: str) -> Layer:
    """A scenario file.  Raises UsageError for the first rule that it breaks."""
    try:
        document = tomllib.loads(text, parse_float=Decimal)
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise UsageError(f"{origin}: it is not TOML: {error}") from error
    return layer_of(origin, document)


def layer_of(origin: str, document: Mapping[str, Any]) -> Layer:
    """A document that was read already, floats as Decimal.  Raises UsageError."""
    values = {}
    for key, value in document.items():
        if key in (MIX, WORK, CHANGE):
            continue
        if key not in OPTIONS:
            raise _unknown(origin, key, [*OPTIONS, MIX, WORK, CHANGE])
        values[key] = _text(origin, key, value)
    changes = document.get(CHANGE, [])
    if not isinstance(changes, list):
        raise UsageError(f"{origin}: `{CHANGE}` is a list", next_step=f"write [[{CHANGE}]]")
    return Layer(
        origin,
        values,
        _table(origin, MIX, document),
        _work(_table(origin, WORK, document), origin),
        tuple(_change(_texts(origin, CHANGE, one), origin) for one in changes),
    )


def _table(origin: str, name: str, document: Mapping[str, Any]) -> dict[str, str]:
    return _texts(origin, name, document.get(name, {}))


def _texts(origin: str, name: str, value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise UsageError(f"{origin}: `{name}` is not a table", next_step=f"write [{name}]")
    return {key: _text(origin, f"{name}.{key}", one) for key, one in value.items()}


def _text(origin: str, key: str, value: Any) -> str:
    """A value as a person would type it."""
    if type(value) not in (int, Decimal, str):
        raise UsageError(f"{origin}: `{key}` is neither a number nor a text")
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def _change(texts: Mapping[str, str], origin: str) -> Mapping[str, str]:
    for key in texts:
        if key not in CHANGE_KEYS:
            raise _unknown(origin, f"{CHANGE}.{key}", CHANGE_KEYS)
    if "month" not in texts or not {"price", "rate", "leave"} & set(texts):
        raise UsageError(
            f"{origin}: a change says a month and what changes",
            next_step="write it like month=12,price=39,leave=5% or month=6,rate=-30%",
        )
    return texts


def _work(texts: Mapping[str, str], origin: str) -> Mapping[str, str]:
    for key in texts:
        if key.replace("_", " ") not in LEVERS:
            raise _unknown(origin, f"{WORK}.{key}", [one.replace(" ", "_") for one in LEVERS])
    return texts


def _unknown(origin: str, key: str, known: Any) -> UsageError:
    names = list(known)
    near = difflib.get_close_matches(key.rpartition(".")[2], names, n=1, cutoff=0.4)
    said = f"did you mean `{near[0]}`?" if near else f"known here: {', '.join(names)}"
    return UsageError(f"{origin}: there is no key `{key}`", next_step=said)


def parse_moving(text: str, *, what: str) -> Fraction:
    """`-30%` or `+10%` of a change.  Raises UsageError."""
    return _moving(what)(text)
