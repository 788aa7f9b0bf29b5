"""A fast reader for the part of TOML that our own price book is written in.

Layer: core (pure).  Below: nothing.  Above: core.pricebook_file.
price_sources.writing writes one statement a line in a fixed form; here each line is matched against
that form, at a tenth of what a whole TOML parser takes (10,000 lines: some 25 ms instead of 250).
Anything else gives None, and the whole parser reads the text: what this one accepts, it reads as
that one does (a test compares the two on the shipped book and on hostile texts).
"""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from typing import Any

_HEADER = re.compile(r"\[\[([a-z]+)\]\]|\[\[([a-z]+)\.([a-z]+)\]\]|\[([a-z]+)\]")
_STRING = r'"[^"\\\x00-\x1f\x7f]*"'
_PAIR = re.compile(
    rf"([A-Za-z0-9_-]+|{_STRING}) = (?:({_STRING})|(0|[1-9][0-9]*)|((?:0|[1-9][0-9]*)\.[0-9]+)"
    r"|([0-9]{4}-[0-9]{2}-[0-9]{2})|(\[.*\]))"
)
_STRINGS = re.compile(rf"\[(?:{_STRING}(?:, {_STRING})*)?\]")
_ONE_STRING = re.compile(_STRING)
_TABLE = re.compile(r"    \{ (.*) \},")
_NUMBER = re.compile(r"([a-z0-9_]+) = (?:(0|[1-9][0-9]*)|((?:0|[1-9][0-9]*)\.[0-9]+))")


class _NotPlain(Exception):
    """Something that only a whole parser can read."""


def plain_document(text: str) -> dict[str, Any] | None:
    """The document of a text in the plain form, floats as Decimal; None for any other text."""
    try:
        return _document(text.split("\n"))
    except (_NotPlain, ValueError):
        return None


def _document(lines: list[str]) -> dict[str, Any]:
    document: dict[str, Any] = {}
    table = document
    opened: set[int] = set()
    waiting = iter(lines)
    for line in waiting:
        if not line or line[0] == "#":
            if not line.isprintable():  # A control character in a comment is an error.
                raise _NotPlain
            continue
        if line[0] == "[":
            table = _opened(document, line, opened)
            continue
        if line == "above = [":
            _put(table, "above", _tables(waiting))
            continue
        pair = _PAIR.fullmatch(line)
        if pair is None:
            raise _NotPlain
        key, string, whole, decimal, day, strings = pair.groups()
        key = key.strip('"')
        if string is not None:
            _put(table, key, string[1:-1])
        elif whole is not None:
            _put(table, key, int(whole))
        elif decimal is not None:
            _put(table, key, Decimal(decimal))
        elif day is not None:
            _put(table, key, date.fromisoformat(day))
        elif _STRINGS.fullmatch(strings):
            _put(table, key, [one[1:-1] for one in _ONE_STRING.findall(strings)])
        else:
            raise _NotPlain
    return document


def _opened(document: dict[str, Any], line: str, opened: set[int]) -> dict[str, Any]:
    """The new table of a header line.

    opened: the lists that headers made, by identity; one that was written as a value is closed.
    """
    header = _HEADER.fullmatch(line)
    if header is None:
        raise _NotPlain
    entry, outer, inner, plain = header.groups()
    table: dict[str, Any] = {}
    if plain is not None:
        _put(document, plain, table)
        return table
    if entry is not None:
        held, key = document, entry
    else:
        if id(document.get(outer)) not in opened:
            raise _NotPlain
        held, key = document[outer][-1], inner
    if key not in held:
        held[key] = []
        opened.add(id(held[key]))
    elif id(held[key]) not in opened:
        raise _NotPlain
    held[key].append(table)
    return table


def _tables(waiting: Any) -> list[dict[str, Any]]:
    """The lines of `above` up to its end."""
    found: list[dict[str, Any]] = []
    for line in waiting:
        if line == "]":
            return found
        match = _TABLE.fullmatch(line)
        if match is None:
            break
        table: dict[str, Any] = {}
        for part in match[1].split(", "):
            pair = _NUMBER.fullmatch(part)
            if pair is None:
                raise _NotPlain
            _put(table, pair[1], int(pair[2]) if pair[2] is not None else Decimal(pair[3]))
        found.append(table)
    raise _NotPlain


def _put(table: dict[str, Any], key: str, value: Any) -> None:
    if key in table:
        raise _NotPlain  # An error, which the whole parser words.
    table[key] = value
