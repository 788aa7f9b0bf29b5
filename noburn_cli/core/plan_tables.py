"""Tables of a plans file: what each key takes, and the errors that name file, table and key.

Layer: core (pure).  Below: core.config_values, core.money.  Above: core.plan_files.
Owns: Table, which reads one table's keys once, and refuses the keys that nobody read.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

from noburn_cli.core.config_values import Wrong, read_truth, written
from noburn_cli.core.money import parse_count, parse_dollars, parse_share
from noburn_cli.core.plan_amounts import parse_markup
from noburn_cli.errors import NoburnError, UsageError

_WHY = "a plan that is read by half would answer for another one"


def broken(origin: str, key: str, reason: str, next_step: str = "") -> UsageError:
    """The error for one key of a plans file."""
    return UsageError(
        f"plans {origin}: `{key}`: {reason}" if key else f"plans {origin}: {reason}",
        why=_WHY,
        next_step=next_step or "mend it; docs/plans.md describes every key",
    )


def unknown(origin: str, key: str, known: Iterable[str]) -> UsageError:
    """The error for a key that is not known, with the nearest one."""
    names = list(known)
    near = difflib.get_close_matches(key.rpartition(".")[2], names, n=1, cutoff=0.4)
    said = f"did you mean `{near[0]}`?" if near else f"known here: {', '.join(names)}"
    return broken(origin, key, "there is no such key", said)


class Table:
    """One table: keys are read by name, and `close` refuses the others.

    where: its dotted name, for errors.  Every method raises UsageError naming file and key.
    """

    def __init__(self, origin: str, where: str, content: Any) -> None:
        if not isinstance(content, dict):
            raise broken(origin, where, "it is not a table", f"write [{where}]")
        self.origin = origin
        self.where = where
        self._content: Mapping[str, Any] = content
        self._known: list[str] = []

    def __iter__(self) -> Iterator[str]:
        return iter(self._content)

    def __contains__(self, key: str) -> bool:
        return key in self._content

    def read(self, key: str, how: Callable[[Any], Any], default: Any) -> Any:
        """The value of a key as `how` reads it, or `default` where the key is not there."""
        self._known.append(key)
        if key not in self._content:
            return default
        try:
            return how(self._content[key])
        except Wrong as wrong:
            raise broken(self.origin, self._name(key), wrong.why, wrong.next_step) from wrong
        except NoburnError as error:
            reason = f"{error.message}: {error.why}" if error.why else error.message
            raise broken(self.origin, self._name(key), reason, error.next_step) from error

    def dollars(self, key: str, default: Any = None) -> Any:
        return self.read(key, lambda value: parse_dollars(_text(value)), default)

    def count(self, key: str, default: Any = None) -> Any:
        return self.read(key, _count, default)

    def share(self, key: str, default: Any = None) -> Any:
        return self.read(key, lambda value: parse_share(_text(value)), default)

    def markup(self, key: str) -> Any:
        return self.read(key, lambda value: parse_markup(_text(value)), None)

    def percent(self, key: str, default: Any = None) -> Any:
        """`2.9` and "2.9%" alike: the key's name already says per cent."""
        return self.read(key, _percent, default)

    def truth(self, key: str, default: bool) -> bool:
        found: bool = self.read(key, read_truth, default)
        return found

    def word(self, key: str, words: tuple[str, ...], default: str) -> str:
        def how(value: Any) -> str:
            if value not in words:
                raise Wrong(f"{value!r} is none of {', '.join(words)}")
            return str(value)

        found: str = self.read(key, how, default)
        return found

    def table(self, key: str) -> Table | None:
        """The table under a key; None where there is none."""
        self._known.append(key)
        if key not in self._content:
            return None
        return Table(self.origin, self._name(key), self._content[key])

    def raw(self, key: str) -> Any:
        """A key's value as TOML gave it; None where it is not there."""
        self._known.append(key)
        return self._content.get(key)

    def text_values(self, known: Mapping[str, str]) -> dict[str, str]:
        """Every value as a person would type it, for a reader of texts.  Closes the table."""
        found = {}
        for key in self._content:
            if key not in known:
                raise unknown(self.origin, self._name(key), known)
            found[key] = str(self.read(key, _text, ""))
        return found

    def close(self) -> None:
        """Raises UsageError for the first key that nobody asked for."""
        for key in self._content:
            if key not in self._known:
                raise unknown(self.origin, self._name(key), self._known)

    def refuse(self, key: str, reason: str, next_step: str = "") -> UsageError:
        return broken(self.origin, self._name(key), reason, next_step)

    def _name(self, key: str) -> str:
        return f"{self.where}.{key}" if self.where and key else self.where or key


def _text(value: Any) -> str:
    if type(value) not in (int, Decimal, str):
        raise Wrong(f"{value!r} is neither a number nor a text")
    return written(value)


def _count(value: Any) -> int:
    return parse_count(_text(value))


def _percent(value: Any) -> Fraction:
    return parse_share(f"{_text(value).strip().removesuffix('%').strip()}%")
