"""What values of [gate] may be: each reader takes what TOML gave, and checks it.

Layer: core (pure).  Below: core.config_values, core.spans, core.gate_globs, core.money.
Above: core.gate_tables.
Every reader raises Wrong, or UsageError, which core.gate_tables words with the file and the key.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, time
from decimal import Decimal
from fractions import Fraction
from typing import Any

from noburn_cli.core import key_paths
from noburn_cli.core.config_values import Wrong, nearest, shown, written
from noburn_cli.core.gate_globs import fault_of, is_pattern
from noburn_cli.core.money import REQUESTS, TOKENS, parse_count, parse_dollars, parse_share
from noburn_cli.core.spans import Span
from noburn_cli.errors import UsageError

_RANGE = re.compile(r"([^-–]+)[-–]([^-–]+)")
_PERCENT = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s*%", re.ASCII)
_AMOUNT = re.compile(r"\d{1,12}(?:\.\d{1,9})?", re.ASCII)


@dataclass(frozen=True)
class Growth:
    """The most growth: as a share of the base, in nano-dollars a month, or both; each holds."""

    share: Fraction | None = None
    nano: int | None = None


@dataclass(frozen=True)
class FileText:
    """A variable whose text is a file of the repository."""

    path: str


def read_text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise Wrong(f"{shown(value)} is no text", 'write it in quotes, like "gpt-6-luna"')
    return value.strip()


def read_revision(value: Any) -> str:
    """A revision of git: never something that git would take for an option."""
    text = read_text(value)
    if text.startswith("-"):
        raise Wrong(
            f"{shown(value)} is no revision", 'write a branch, tag or commit: "origin/main"'
        )
    return text


def read_texts(value: Any) -> tuple[str, ...]:
    """One text, or a list of them."""
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list) or not listed:
        raise Wrong(f"{shown(value)} is no list of texts", 'write ["one", "another"]')
    return tuple(dict.fromkeys(read_text(one) for one in listed))


def read_rules(known: tuple[str, ...]) -> Callable[[Any], frozenset[str]]:
    def read(value: Any) -> frozenset[str]:
        names = read_texts(value)
        for name in names:
            if name not in known:
                raise Wrong(
                    f"there is no rule {name!r}",
                    nearest(name, known) or f"rules are {', '.join(known)}",
                )
        return frozenset(names)

    return read


def read_patterns(value: Any) -> tuple[str, ...]:
    patterns = read_texts(value)
    for pattern in patterns:
        fault = fault_of(pattern)
        if fault:
            raise Wrong(f"{pattern!r}: {fault}", 'write "prompts/**/*.md"')
    if all(pattern.startswith("!") for pattern in patterns):
        raise Wrong("it only leaves files out", 'name some as well: ["prompts/*.md"]')
    return tuple(pattern.removeprefix("./") for pattern in patterns)


def read_path(value: Any) -> str:
    """One file or folder below the configuration's folder."""
    path = read_text(value).removeprefix("./").rstrip("/")
    fault = fault_of(path) or ("it is a pattern" if is_pattern(path) else "")
    if fault or path.startswith("!"):
        raise Wrong(
            f"{shown(value)}: {fault or 'it is a pattern'}", "write one path, from this file on"
        )
    return path


def read_key_paths(value: Any) -> tuple[str, ...]:
    paths = read_texts(value)
    for path in paths:
        key_paths.parse(path)  # Raises Wrong.
    return paths


def read_dollars(value: Any) -> int:
    if type(value) not in (int, Decimal, str):
        raise Wrong(f"{shown(value)} is no amount of dollars", 'write "$0.02"')
    return parse_dollars(written(value))


def read_price(value: Any) -> int:
    nano = read_dollars(value)
    if not nano:
        raise Wrong("a plan without a price has no margin", "leave it out")
    return nano


def read_share(value: Any) -> Fraction:
    if type(value) not in (int, Decimal, str):
        raise Wrong(f"{shown(value)} is no share", 'write "50%"')
    return parse_share(written(value))


def read_percent(value: Any) -> Fraction:
    """A share that may be above 100 %."""
    match = _PERCENT.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise Wrong(f"{shown(value)} is no percentage", 'write "10%"')
    return Fraction(match[1]) / 100


def read_growth(value: Any) -> Growth:
    """`10%`, `$50`, or a list with one of each."""
    listed = value if isinstance(value, list) else [value]
    share, nano = None, None
    for one in listed:
        if isinstance(one, str) and one.strip().endswith("%"):
            if share is not None:
                raise Wrong("it has two percentages", 'write ["10%", "$50"]')
            share = read_percent(one)
        elif nano is not None:
            raise Wrong("it has two amounts", 'write ["10%", "$50"]')
        else:
            nano = read_dollars(one)
    if share is None and nano is None:
        raise Wrong("it is empty", 'write "10%", or "$50"')
    return Growth(share, nano)


def read_count(value: Any) -> int:
    """A whole number above 0: `20000`, `20k`."""
    if type(value) not in (int, str):
        raise Wrong(f"{shown(value)} is no whole number", 'write 20000, or "20k"')
    count = parse_count(str(value), what="the number", unit=TOKENS)
    if not count:
        raise Wrong("it is 0", "leave it out where there is none")
    return count


def read_floor(value: Any) -> int:
    """A whole number, 0 included."""
    if type(value) is not int or value < 0:
        raise Wrong(f"{shown(value)} is no whole number", "write 1, or 0")
    return value


def read_calls(ledger: str) -> Callable[[Any], int | str]:
    def read(value: Any) -> int | str:
        if value == ledger:
            return ledger
        if type(value) not in (int, str):
            raise Wrong(
                f"{shown(value)} is no number of calls", f'write 20000, "20k" or "{ledger}"'
            )
        try:
            return parse_count(str(value), what="the number of calls", unit=REQUESTS)
        except UsageError as error:
            raise Wrong(
                f"{shown(value)} is no number of calls", f'write 20000, "20k" or "{ledger}"'
            ) from error

    return read


def read_amount(value: Any) -> Fraction:
    """A number that need not be whole, 0 included: `0.5` calls."""
    text = written(value) if type(value) in (int, Decimal) else ""
    if not _AMOUNT.fullmatch(text):
        raise Wrong(f"{shown(value)} is no number from 0 on", "write 40, 0.5, or 0")
    return Fraction(text)


def read_span(value: Any) -> Span:
    """`500`, or from `200-800`."""
    match = _RANGE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        tokens = read_count(value)
        return Span(tokens, tokens)
    low = parse_count(match[1], what="the least output", unit=TOKENS)
    high = parse_count(match[2], what="the most output", unit=TOKENS)
    if low > high or not high:
        raise Wrong(f"{shown(value)} ends below its start", 'write "200-800"')
    return Span(low, high)


def read_variables(value: Any) -> dict[str, Any]:
    """Values by name: texts, numbers, lists and tables; `{ file = PATH }` is a file's text."""
    if not isinstance(value, dict):
        raise Wrong(f"{shown(value)} is no table", 'write { name = "text" }')
    return {name: _variable(one) for name, one in value.items()}


def _variable(value: Any) -> Any:
    if isinstance(value, dict):
        if set(value) == {"file"}:
            return FileText(read_path(value["file"]))
        return {name: _variable(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_variable(one) for one in value]
    if isinstance(value, (Decimal, date, time)):
        return written(value) if isinstance(value, Decimal) else value.isoformat()
    return value
