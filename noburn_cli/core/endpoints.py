"""Servers that speak a provider's API at prices of their own: `[[endpoint]]` in the configuration.

Layer: core (pure: tables in, objects and price texts out).  Below: core.models, core.money,
core.usage, errors.  Above: core.configuration, which reads the files; noburn_cli.prices, which adds
`price_text` to the book.
Not here: which request belongs to an endpoint (providers.registry).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from noburn_cli.core.models import EMBEDDING, TOKENIZERS, WINDOW_TOKENIZER
from noburn_cli.core.usage import CACHE_WRITE_1H, CACHE_WRITE_5M, PRICED_KINDS

#: The APIs that an endpoint can speak: those of the providers whose names they have.
APIS = ("openai", "anthropic", "google", "mistral", "bedrock", "cohere")
FREE = "free"
#: The context window of a model on a free endpoint, in tokens, where nobody says it: generous,
#: because input that only the server knows is bounded by it.
FREE_WINDOW = 1_048_576
#: Rows of a free endpoint hold from the first day on; nobody has to look a price of 0 up.
_FROM_THE_FIRST_DAY = date(1970, 1, 1)

KEYS = ("name", "base_url", "api", "prices", "models", "context_window", "tokenizer")
PRICES_KEYS = ("date", "url", "models")
MODEL_KEYS = (
    *("like", "family", "tokenizer", "context_window", "output_max", "output_min"),
    *PRICED_KINDS,
)
FAMILIES = ("text", "reasoning", EMBEDDING)
_COUNTS = ("context_window", "output_max", "output_min")

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}", re.ASCII)
#: Hosts whose owners send bills: `free` there is a mistake.
_BILLING_HOSTS = re.compile(
    r"(.+\.)?(api\.openai\.com|api\.anthropic\.com|googleapis\.com|api\.mistral\.ai|api\.groq\.com"
    r"|api\.together\.(xyz|ai)|api\.deepseek\.com|api\.x\.ai|openrouter\.ai|api\.cohere\.(com|ai)"
    r"|openai\.azure\.com|services\.ai\.azure\.com|amazonaws\.com)"
)
#: Prefixes of the price book that ships, and of the hosts that providers.hosts knows: prices of
#: one's own under them would be mistaken for theirs.
BOOK_PREFIXES = (
    *("openai", "anthropic", "google", "gemini", "models", "mistral", "groq", "together"),
    *("deepseek", "xai", "openrouter", "cohere", "azure", "bedrock", "vertex", "vertex_ai"),
    *("fireworks", "cerebras", "moonshotai", "sambanova", "deepinfra", "nvidia", "novita", "zai"),
    *("huggingface", "github", FREE),
)
#: A name that the price book would not take; the rest of its rules are the book's own.
_MODEL_NAME = re.compile(r"[^\s\x00-\x1f\x7f]{1,200}")

#: Makes the error for one key of the endpoint: (key, reason) -> error.
Refuse = Callable[[str, str], Exception]


@dataclass(frozen=True)
class Endpoint:
    """One server.

    provider: the price book's prefix of its models: that of `prices`, or the endpoint's own name.
    models: pairs of the name that requests carry (a deployment) and the name in the price book.
    rows: the rates of its own by model, as the file gives them; None where it has none.
    free: whether any model there costs nothing, by declaration.
    """

    name: str
    base_url: str
    api: str
    provider: str
    models: tuple[tuple[str, str], ...] = ()
    free: bool = False
    rows: tuple[tuple[str, tuple[tuple[str, Any], ...]], ...] | None = None
    since: date = _FROM_THE_FIRST_DAY
    url: str = ""
    context_window: int = FREE_WINDOW
    tokenizer: str = WINDOW_TOKENIZER

    @property
    def prices(self) -> str:
        """Where its prices are from, in a word or two for a person."""
        if self.free:
            return "free"
        if self.rows is not None:
            return f"{len(self.rows)} of its own, since {self.since}"
        return f"those of {self.provider}"


def read_endpoint(table: Mapping[str, Any], origin: str, refuse: Refuse) -> Endpoint:
    """The endpoint in one [[endpoint]] table whose keys are known.

    origin: the file, which its rates cite where they name no address.
    Raises what `refuse` makes.
    """
    name = table.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise refuse("name", "is missing, or not lower-case letters, digits, `-`, `_` and `.`")
    base_url = _base_url(table.get("base_url"), refuse)
    api = table.get("api")
    if api not in APIS:
        raise refuse("api", f"is {api!r}, not one of {', '.join(APIS)}")
    models = _models(table.get("models", {}), refuse)
    prices = table.get("prices")
    if name in BOOK_PREFIXES and prices != name:
        raise refuse("name", f"is the price book's own word: `prices` there could only be {name!r}")
    own = {key: table[key] for key in ("context_window", "tokenizer") if key in table}
    if isinstance(prices, dict):
        if own:
            raise refuse(next(iter(own)), "belongs to a model in `prices`, or to a free endpoint")
        since, url, rows = _own_prices(prices, origin, refuse)
        return Endpoint(name, base_url, api, name, models, rows=rows, since=since, url=url)
    if not isinstance(prices, str) or not _NAME.fullmatch(prices):
        raise refuse(
            "prices", 'is missing, or neither a provider of the price book, "free" nor a table'
        )
    if prices == FREE:
        host = urlsplit(base_url).hostname or ""
        if _BILLING_HOSTS.fullmatch(host):
            raise refuse("prices", f'cannot be "free": {host} sends bills')
        window = own.get("context_window", FREE_WINDOW)
        _count("context_window", window, refuse)
        tokenizer = own.get("tokenizer", WINDOW_TOKENIZER)
        _word("tokenizer", tokenizer, TOKENIZERS, refuse)
        url = f"file:{origin}"
        return Endpoint(
            name, base_url, api, name, models, free=True, url=url,
            context_window=window, tokenizer=tokenizer,
        )  # fmt: skip
    if own:
        raise refuse(next(iter(own)), f"is the price book's to say: {prices} has models there")
    return Endpoint(name, base_url, api, prices, models)


def price_text(endpoint: Endpoint) -> str | None:
    """The endpoint's prices as a price file; None where the book has them already.

    Its models are called `NAME/model`.
    """
    lines = ["format = 1"]
    if endpoint.free:
        lines += ["", "[[free]]", f"provider = {_toml(endpoint.name)}"]
        lines += [f"context_window = {endpoint.context_window}"]
        lines += [f"tokenizer = {_toml(endpoint.tokenizer)}", f"url = {_toml(endpoint.url)}"]
    elif endpoint.rows is not None:
        for model, pairs in endpoint.rows:
            lines += _model_lines(endpoint, model, dict(pairs))
    else:
        return None
    return "\n".join(lines) + "\n"


def _model_lines(endpoint: Endpoint, model: str, given: Mapping[str, Any]) -> list[str]:
    facts = {key: given[key] for key in MODEL_KEYS if key in given and key not in PRICED_KINDS}
    facts |= {"provider": endpoint.name}
    if "like" not in facts:
        facts = {"family": "text", "tokenizer": WINDOW_TOKENIZER, **facts}
        writes = CACHE_WRITE_5M in given or CACHE_WRITE_1H in given
        facts["cache_writes"] = "priced" if writes else "as_input"
        if facts["family"] != EMBEDDING:
            # No answer is longer than the window.
            facts.setdefault("output_max", facts.get("context_window", 0))
    lines = ["", "[[model]]", f"name = {_toml(f'{endpoint.name}/{model}')}"]
    lines += [f"{key} = {_toml(value)}" for key, value in facts.items()]
    if not any(kind in given for kind in PRICED_KINDS):
        return lines  # It costs what the model costs that it is like.
    lines += ["", "[[model.rate]]", 'variant = "standard"', f"starts_on = {endpoint.since}"]
    lines += [f"{kind} = {_toml(given[kind])}" for kind in PRICED_KINDS if kind in given]
    return [*lines, f"url = {_toml(endpoint.url)}", f"checked_on = {endpoint.since}"]


def _own_prices(
    table: Mapping[str, Any], origin: str, refuse: Refuse
) -> tuple[date, str, tuple[tuple[str, tuple[tuple[str, Any], ...]], ...]]:
    since = table.get("date")
    if type(since) is not date:
        raise refuse("prices.date", "is missing, or no date like 2026-11-23")
    url = table.get("url", f"file:{origin}")
    if not isinstance(url, str) or not url.startswith(("https://", "http://", "file:")):
        raise refuse("prices.url", "is not an address (https://…, file:…)")
    models = table.get("models")
    if not isinstance(models, dict) or not models:
        raise refuse("prices.models", "is missing: a table of models, each with its rates")
    rows = []
    for model, given in models.items():
        where = f"prices.models.{model}"
        if not _MODEL_NAME.fullmatch(model) or not isinstance(given, dict):
            raise refuse(where, "is not a model's name with a table of its rates")
        _check_model(where, given, refuse)
        rows.append((model, tuple(given.items())))
    return since, url, tuple(rows)


def _check_model(where: str, given: Mapping[str, Any], refuse: Refuse) -> None:
    """What the price book would refuse with a place that nobody wrote is refused here."""
    for kind in PRICED_KINDS:
        if kind in given and not _is_rate(given[kind]):
            raise refuse(
                f"{where}.{kind}", f"is no number of dollars per million tokens: {given[kind]!r}"
            )
    for key in _COUNTS:
        if key in given:
            _count(f"{where}.{key}", given[key], refuse)
    for key, words in (("tokenizer", TOKENIZERS), ("family", FAMILIES)):
        if key in given:
            _word(f"{where}.{key}", given[key], words, refuse)
    if "like" in given:
        if not isinstance(given["like"], str):
            raise refuse(f"{where}.like", "is not a model's name")
        if "input" not in given and any(kind in given for kind in PRICED_KINDS):
            raise refuse(f"{where}.input", "is missing: give all rates, or none")
        return
    if "input" not in given:
        raise refuse(f"{where}.input", "is missing")
    if ("output" in given) == (given.get("family") == EMBEDDING):
        raise refuse(f"{where}.output", "belongs to every model but an embedding")
    if "context_window" not in given:
        raise refuse(f"{where}.context_window", "is missing (or name a model that is `like` it)")


def _is_rate(value: Any) -> bool:
    if type(value) not in (int, Decimal):
        return False
    number = Decimal(value)
    # Written out, 1e999999999 would fill the memory; the book has the exact rule.
    return number.is_finite() and number >= 0 and abs(number.adjusted()) <= 30


def _count(key: str, value: Any, refuse: Refuse) -> None:
    if type(value) is not int or not 0 < value <= 1_000_000_000:
        raise refuse(key, f"is not a whole number of tokens above 0: {value!r}")


def _word(key: str, value: Any, words: tuple[str, ...], refuse: Refuse) -> None:
    if value not in words:
        raise refuse(key, f"is {value!r}, not one of {', '.join(words)}")


def _base_url(value: Any, refuse: Refuse) -> str:
    try:
        parts = urlsplit(value) if isinstance(value, str) else None
        good = parts is not None and parts.scheme in ("http", "https") and bool(parts.hostname)
        plain = parts is None or not (parts.query or parts.fragment or parts.username)
    except ValueError:
        good = plain = False
    if not good or not plain:
        raise refuse("base_url", "is not an address like https://llm.example/v1, without a query")
    return str(value)


def _models(table: Any, refuse: Refuse) -> tuple[tuple[str, str], ...]:
    if not isinstance(table, dict):
        raise refuse("models", 'is not a table of deployments: { chat = "gpt-5.4" }')
    for deployment, model in table.items():
        if not deployment or not isinstance(model, str) or not _MODEL_NAME.fullmatch(model):
            raise refuse(f"models.{deployment}", "is not the name of a model")
    return tuple(table.items())


def _toml(value: Any) -> str:
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return '"' + "".join(c if c.isprintable() else f"\\U{ord(c):08X}" for c in escaped) + '"'
    return f"{value:f}" if isinstance(value, Decimal) else str(value)
