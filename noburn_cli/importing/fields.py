"""Values out of a record, of whatever type somebody's export gave them.

Layer: importing, pure.  Below: core.money, core.budgets, reconcile.bill.  Above: sources, mapping.
Owns: Unread, the one way in which a record says that it cannot be read, and the reading of times,
counts, amounts, texts, and of fields by their path.  Texts in JSON inside a field of CSV are read
as what they hold.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone, tzinfo
from decimal import Decimal
from typing import Any

from noburn_cli.core.budgets import VALUE_CHARS_MAX
from noburn_cli.core.money import NANO_PER_DOLLAR
from noburn_cli.errors import InputRefused
from noburn_cli.reconcile.bill import count, exact

#: 2000-01-01 and 2200-01-01: outside them a number is no time of a call.
_FIRST_MS, _LAST_MS = 946_684_800_000, 7_258_118_400_000
_JSON_CHARS_MAX = 8 * 1024 * 1024
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_PART = re.compile(r"[^.\[\]]+")
#: What a path begins with: a column of a table that holds JSON.
ROOT = _PART


class Unread(Exception):
    """A record cannot be read.  The reason is one of few; `what` is for its first line alone."""

    def __init__(self, reason: str, what: object = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.what = f"{what!r:.80}" if what != "" else ""


def moment_ms(value: object, zone: tzinfo = timezone.utc, *, what: str = "time") -> int:
    """Epoch milliseconds of a time: ISO 8601, or a number of seconds, milli- or microseconds.

    zone: that of a text which names none.  Raises Unread.
    """
    number = _as_number(value)
    if number is not None:
        found = _epoch_ms(number)
    else:
        text = text_of(value, 40)
        if not text:
            raise Unread(f"it has no {what}")
        try:
            moment = datetime.fromisoformat(text.replace(" UTC", "+00:00").replace("/", "-"))
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=zone)
            found = int(moment.timestamp() * 1000)
        except (ValueError, OverflowError, OSError) as error:
            raise Unread(f"its {what} cannot be read", value) from error
    if not _FIRST_MS <= found < _LAST_MS:
        raise Unread(f"its {what} cannot be read", value)
    return found


def lasted_ms(start_ms: int, end: object, zone: tzinfo = timezone.utc) -> int | None:
    """How long a call took, by when it ended; None where that cannot be read: its cost is known."""
    try:
        return max(moment_ms(end, zone) - start_ms, 0)
    except Unread:
        return None


def _as_number(value: object) -> Decimal | None:
    """A number of seconds or parts of it, None for anything else."""
    if isinstance(value, datetime) or type(value) is bool:
        return None
    if type(value) in (int, float, Decimal) or (
        isinstance(value, str) and re.fullmatch(r"\d{9,19}(\.\d{1,9})?", value.strip(), re.ASCII)
    ):
        text = f"{value}".strip()
        return Decimal(text) if len(text) <= 40 else Decimal(-1)
    return None


def _epoch_ms(number: Decimal) -> int:
    if not number.is_finite() or not 0 <= number < 10**19:
        return -1
    for digits in (9, 6, 3):  # Nano-, micro- and milliseconds are that much more than seconds.
        if number >= Decimal(_FIRST_MS) * 10 ** (digits - 3):
            return int(number / 10 ** (digits - 3))
    return int(number * 1000)


def count_of(value: object, what: str) -> int:
    """A count >= 0; nothing is 0, and `12.0`, as some tables have it, is 12.  Raises Unread."""
    if value is None or value == "":
        return 0
    if type(value) is int and 0 <= value <= 10**15:
        return value
    try:
        return count(_plain(value), what)
    except InputRefused as error:
        raise Unread("its tokens are no counts", f"{what}: {value!r}") from error


def tells_any(*counts: object) -> bool:
    """Whether one of some counts is told, 0 too."""
    return any(one not in (None, "") for one in counts)


def status_of(value: object) -> int | None:
    """An HTTP status, None for anything else."""
    text = text_of(value, 8).removesuffix(".0")
    return int(text) if len(text) == 3 and text.isascii() and text.isdecimal() else None


def milliseconds_of(value: object, *, per_second: int = 1000) -> int | None:
    """A duration in whole milliseconds, of a number in that unit; None for anything else."""
    number = _duration(value)
    return None if number is None else int(number * 1000 / per_second)


def _duration(value: object) -> Decimal | None:
    text = f"{value}".strip() if type(value) in (int, float, Decimal, str) else ""
    found = re.fullmatch(r"\d{1,12}(\.\d{1,20})?", text[:40], re.ASCII)
    return None if found is None else Decimal(text)


def nano_of(value: object, *, per_dollar: int = 1) -> int | None:
    """An amount of dollars (or `per_dollar`-ths of one) in nano-dollars; None for nothing.

    Rounded once, half to even.  Raises Unread for what is no amount, and for less than nothing.
    """
    if value is None or value == "":
        return None
    if value == 0:
        return 0
    try:
        amount = exact(_plain(value), "its cost")
    except InputRefused as error:
        raise Unread("its cost cannot be read", value) from error
    if amount < 0:
        raise Unread("its cost is below zero", value)
    return round(amount * NANO_PER_DOLLAR / per_dollar)


def _plain(value: object) -> object:
    """A float of Parquet as the decimal that it is shown as; anything else as it is."""
    return Decimal(repr(value)) if type(value) is float else value


def text_of(value: object, characters_max: int = VALUE_CHARS_MAX) -> str:
    """A text, or a number as one; "" for nothing and for anything else.

    Control characters become spaces, and what is longer is cut: it is a name, to be shown.
    """
    if type(value) is str and len(value) <= characters_max and value.isprintable():
        return value.strip()
    if isinstance(value, datetime):
        value = value.isoformat()
    if not isinstance(value, str):
        value = f"{value}" if type(value) in (int, Decimal) else ""
    return _CONTROL.sub(" ", value[: 4 * characters_max]).strip()[:characters_max]


def object_of(value: object) -> Mapping[str, Any]:
    """An object, also one that is written as a text of JSON; {} for anything else."""
    found = unpacked(value)
    return found if isinstance(found, Mapping) else {}


def is_true(value: object) -> bool:
    """Whether a field says yes: as JSON, or as Python and databases write it into text."""
    return value is True or text_of(value, 8).lower() in ("true", "t", "1")


def list_of(value: object) -> Sequence[Any]:
    """A list, also one that is written as a text of JSON; empty for anything else."""
    found = unpacked(value)
    return found if isinstance(found, list) else ()


def unpacked(value: object) -> object:
    """A text of JSON as what it holds; anything else, and a text that is none, as it is."""
    if not isinstance(value, str) or value[:1] not in ("{", "["):
        return value
    if len(value) > _JSON_CHARS_MAX:
        return value
    try:
        return json.loads(value, parse_float=Decimal)
    except (ValueError, RecursionError, ArithmeticError):
        return value


def field_of(record: Mapping[str, Any], path: str) -> object:
    """What stands at a path like `metadata.tenant`, `tags[0]` or `request_tags.team`.

    A column whose own name has dots comes first.  In a list of texts a name finds `name:value` or
    `name=value`; in a list of pairs (`{"key": …, "value": …}`) its value.  None where nothing is.
    """
    if path in record:
        return record[path]
    found: object = record
    for part in _PART.findall(path):
        found = _member(unpacked(found), part)
        if found is None:
            return None
    return found


def _member(holder: object, part: str) -> object:
    if isinstance(holder, Mapping):
        return holder.get(part)
    if not isinstance(holder, list):
        return None
    if part.isdecimal() and len(part) < 6:
        return holder[int(part)] if int(part) < len(holder) else None
    for one in holder:
        if isinstance(one, str):
            name, mark, value = _split(one)
            if mark and name == part:
                return value
        elif isinstance(one, Mapping) and one.get("key", one.get("name")) == part:
            return one.get("value")
    return None


def _split(text: str) -> tuple[str, str, str]:
    places = [(text.find(mark), mark) for mark in ":=" if mark in text]
    if not places:
        return text, "", ""
    name, mark, value = text.partition(min(places)[1])
    return name.strip(), mark, value.strip()
