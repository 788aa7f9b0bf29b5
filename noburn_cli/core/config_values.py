"""What a configuration's values may be: each reader takes what TOML gave, and checks it.

Layer: core (pure).  Below: core.budgets, core.money, errors.  Above: core.configuration,
core.service_keys.
Owns: Wrong, which core.configuration turns into a UsageError with the file and the key; Key.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from noburn_cli.core.budgets import check_key, check_value
from noburn_cli.core.money import parse_count, parse_dollars, parse_limit

#: The most seconds that a call may wait for money in flight: the protocol's day.
WAIT_S_MAX = 86_400
#: Providers that sell subscriptions whose programs log in without an API key.
SUBSCRIPTIONS = ("openai", "anthropic", "google")


class Wrong(Exception):
    """A value that its key does not take: why, and what to write.  Becomes a UsageError."""

    def __init__(self, why: str, next_step: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.next_step = next_step


@dataclass(frozen=True)
class Key:
    """A key: how its value is read (raises Wrong or UsageError), its default, what it means."""

    read: Callable[[Any], Any]
    default: Any
    help: str


def shown(value: Any) -> str:
    """A value as its file has it: TOML's `true` and `1.5`, not Python's words for them."""
    if type(value) is bool:
        return "true" if value else "false"
    # As it was written: 1e999999999, written out, would fill the memory.
    return str(value) if isinstance(value, Decimal) else repr(value)


def read_truth(value: Any) -> bool:
    if type(value) is not bool:
        raise Wrong(f"{shown(value)} is neither true nor false")
    return value


def read_seconds(value: Any) -> float:
    is_number = type(value) is int or (isinstance(value, Decimal) and value.is_finite())
    if not is_number or not 0 <= value <= WAIT_S_MAX:
        raise Wrong(f"{shown(value)} is no number of seconds from 0 to {WAIT_S_MAX}")
    return float(value)


def read_tokens(value: Any) -> int:
    if type(value) not in (int, str):
        raise Wrong(f"{shown(value)} is no number of tokens", 'write 256, or "2k"')
    count = parse_count(str(value))
    if not 0 < count <= 10**9:
        raise Wrong(f"{shown(value)} is no number of tokens above 0")
    return count


def read_limit(value: Any) -> Any:
    if type(value) not in (int, Decimal, str):
        raise Wrong(f"{shown(value)} is no limit", 'write "$5", "2Mtok" or "100req"')
    return parse_limit(written(value))


def read_ceiling(value: Any) -> int:
    if type(value) not in (int, Decimal, str):
        raise Wrong(f"{shown(value)} is no amount of dollars", 'write "$2"')
    return parse_dollars(written(value))


def written(value: Any) -> str:
    if isinstance(value, Decimal) and (not value.is_finite() or abs(value.adjusted()) > 30):
        raise Wrong(f"{shown(value)} is no amount")
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def one_of(words: tuple[str, ...]) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if value not in words:
            raise Wrong(
                f"{shown(value)} is not one of {', '.join(words)}", nearest(str(value), words)
            )
        return str(value)

    return read


def read_name(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise Wrong(f"{shown(value)} is no name", 'write it in quotes, like "acme"')
    return check_value("the attribute", value)


def read_attribute(value: Any) -> str:
    if not isinstance(value, str) or value == "run":
        raise Wrong(f"{shown(value)} is no attribute", 'write "customer", "user" or "tag.NAME"')
    return check_key(value)


def read_subscriptions(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(one in SUBSCRIPTIONS for one in value):
        raise Wrong(f"{shown(value)} is not a list of {', '.join(SUBSCRIPTIONS)}")
    return tuple(dict.fromkeys(value))


def nearest(word: str, words: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(word, words, n=1, cutoff=0.4)
    return f"did you mean {near[0]!r}?" if near else ""
