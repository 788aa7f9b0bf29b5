"""How a person says what is used: `--use` on a command line, `[use.NAME]` in a plans file.

Layer: core (pure).  Below: core.money, core.plan_usage, errors.
Above: core.plan_files, `noburn margin`.
Owns: KEYS, which docs/margin.md lists.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from fractions import Fraction

from noburn_cli.core.money import REQUESTS, TOKENS, parse_count, parse_share
from noburn_cli.core.plan_usage import STANDARD, ZERO, Use, rate_of_million
from noburn_cli.errors import UsageError

#: The keys of `--use` and of a `[use.NAME]` table, and what each says.
KEYS: Mapping[str, str] = {
    "model": "the model, at its rates of today",
    "rate": "instead of a model: dollars per million tokens, whatever their kind",
    "tokens": "tokens a seat uses a month, input and output together",
    "input": "instead of tokens: input tokens a seat and month",
    "output": "with tokens the share of them that is output, with input a count",
    "cached": "the share of the input that is read from the provider's cache",
    "batch": "the share of the tokens that is processed at the batch price",
    "variant": "how the rest is processed: standard, flex or priority",
    "calls": "calls a seat makes a month; decides long-context rates and overhead per request",
    "hits": "the share of the calls that a semantic cache answers, at no cost",
}


def parse_use(text: str, *, number: int = 1) -> Use:
    """Read `chat=model:NAME,tokens:400k,output:20%,cached:30%`; without a name it gets a number.

    Raises UsageError for a key that is not known, a value that cannot be read, and tokens that are
    missing or said twice.
    """
    head, equals, rest = text.partition("=")
    name, body = (head.strip(), rest) if equals else (f"use {number}", text)
    values: dict[str, str] = {}
    for part in body.split(","):
        key, colon, value = part.partition(":")
        key = key.strip()
        if not colon or not value.strip():
            raise UsageError(
                f"--use cannot be read from {text!r}",
                why=f"{part.strip()!r} is not `key:value`",
                next_step='write it like "chat=model:NAME,tokens:400k,output:20%"',
            )
        if key in values:
            raise UsageError(f"--use {name}: `{key}` is said twice")
        values[key] = value.strip()
    return use_of(name, values, where=f"--use {name}")


def use_of(name: str, values: Mapping[str, str], *, where: str) -> Use:
    """One use from its values as text.  Raises UsageError beginning with `where`."""
    for key in values:
        if key not in KEYS:
            near = difflib.get_close_matches(key, KEYS, n=1, cutoff=0.4)
            raise UsageError(
                f"{where}: there is no key `{key}`",
                next_step=f"did you mean `{near[0]}`?" if near else f"known: {', '.join(KEYS)}",
            )
    if "model" in values and "rate" in values:
        raise UsageError(f"{where}: `rate` and `model` each name the rate", next_step="say one")
    tokens, output = _volume(values, where)
    rate = values.get("rate")
    calls = values.get("calls")
    if not tokens and calls == "0":
        calls = None  # Who uses nothing calls nobody.
    return Use(
        name=name,
        tokens=tokens,
        model=values.get("model"),
        rate_pico=None if rate is None else rate_of_million(rate, what=f"{where}: rate"),
        output=output,
        cached=parse_share(values.get("cached", "0"), what=f"{where}: cached"),
        batch=parse_share(values.get("batch", "0"), what=f"{where}: batch"),
        variant=values.get("variant", STANDARD),
        calls=None if calls is None else parse_calls(calls, what=f"{where}: calls"),
        hits=parse_share(values.get("hits", "0"), what=f"{where}: hits"),
        split_given="output" in values or "input" in values,
    )


def _volume(values: Mapping[str, str], where: str) -> tuple[int, Fraction]:
    """(tokens, share of output), said as a total with a share or as two counts."""
    if ("tokens" in values) == ("input" in values):
        raise UsageError(
            f"{where}: say how many tokens a seat uses, once",
            why="either `tokens`, or `input` and `output`",
            next_step='write it like "chat=tokens:400k,output:20%" or "chat=input:320k,output:80k"',
        )
    if "tokens" in values:
        total = parse_count(values["tokens"], what=f"{where}: tokens", unit=TOKENS)
        return total, parse_share(values.get("output", "0"), what=f"{where}: output")
    count_in = parse_count(values["input"], what=f"{where}: input", unit=TOKENS)
    count_out = parse_count(values.get("output", "0"), what=f"{where}: output", unit=TOKENS)
    return count_in + count_out, share_of_output(count_in, count_out)


def share_of_output(count_in: int, count_out: int) -> Fraction:
    return Fraction(count_out, count_in + count_out) if count_in + count_out else ZERO


def parse_calls(text: str, *, what: str) -> int:
    """A number of calls above 0.  Raises UsageError."""
    calls = parse_count(text, what=what, unit=REQUESTS)
    if not calls:
        raise UsageError(f"{what} is 0, and tokens come from calls")
    return calls
