"""What a provider's export says: rows of a day, a model, a kind, with tokens or money.

Layer: reconcile, pure.  Below: core.usage, errors.  Above: the readers of exports, matching.
Owns: BillRow, Bill, and how amounts, counts and days are read.  Money is exact: decimals and
fractions, never floats; it becomes nano-dollars once per line (matching).
Not here: what an export looks like (its reader), whose calls a row pays for (matching).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from typing import Any

from noburn_cli.core.money import AMOUNT_MAX, NANO_PER_DOLLAR
from noburn_cli.errors import InputRefused

OPENAI, ANTHROPIC, CSV = "openai", "anthropic", "csv"
PROVIDERS = (OPENAI, ANTHROPIC, CSV)

_DECIMAL = re.compile(r"[+-]?(\d{1,30}(\.\d{1,60})?|\.\d{1,60})([eE][+-]?\d{1,2})?", re.ASCII)
#: Thousands set apart: by commas in front of each three digits, and nowhere else.
_GROUPED = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d{1,60})?", re.ASCII)
#: `1,234` may be a thousand, or one and a bit where a comma is the decimal mark.
_AMBIGUOUS = re.compile(r"\$?[+-]?\d{1,3},\d{3}", re.ASCII)
_COUNT_MAX = 10**15
_DAY_S = 86_400


@dataclass(frozen=True)
class BillRow:
    """One row of an export.

    day: in UTC, as providers bill.  model: by the provider's own name, "" where the row has none.
    requests: None where the export does not count them.  tokens: by kind (core.usage).
    dollars: None in a row of usage.  kind: the one kind that the dollars pay for, or "".
    fee: a kind of fee (`web_search`) that the row pays for, whatever the model.
    key, project: the provider's own ids of the API key, and of the project or workspace.
    request: the provider's id of one request, where the export has one.
    """

    day: str
    model: str
    requests: int | None = None
    tokens: Mapping[str, int] = field(default_factory=dict)
    dollars: Fraction | None = None
    kind: str = ""
    fee: str = ""
    key: str = ""
    project: str = ""
    request: str = ""


@dataclass(frozen=True)
class Bill:
    """One export as it was read.

    source: where from, for a person.  digest: of its content.  days: those it tells about, with or
    without spend.  step: the smallest step that its amounts are written in, in dollars; 0 for none.
    """

    provider: str
    format: str
    source: str
    digest: str
    rows: tuple[BillRow, ...]
    days: frozenset[str]
    step: Fraction = Fraction(0)

    @property
    def has_money(self) -> bool:
        return any(row.dollars is not None for row in self.rows)


def digest_of(contents: Iterable[bytes]) -> str:
    """What tells one export from another: SHA-256 of its pages, in hex."""
    digest = hashlib.sha256()
    for content in contents:
        digest.update(len(content).to_bytes(8, "big"))
        digest.update(content)
    return digest.hexdigest()


def load_json(text: str, source: str) -> Any:
    """JSON with exact numbers.  Raises InputRefused."""
    try:
        return json.loads(text, parse_float=Decimal, parse_constant=_no_number)
    except (ValueError, RecursionError, ArithmeticError) as error:
        raise InputRefused(f"{source} is not JSON that can be read: {error}") from error


def _no_number(word: str) -> None:
    raise ValueError(f"{word} is no number")


def exact(value: object, what: str) -> Fraction:
    """An amount as it stands in an export: a JSON number or a decimal text, `1,234.50` as well.

    Raises InputRefused for anything else, and beyond what a ledger holds.
    """
    if isinstance(value, str) and _AMBIGUOUS.fullmatch(value.strip()):
        raise _refused(what, value, "its comma may set thousands apart or be a decimal mark")
    amount = _number(value, what)
    if abs(amount) * NANO_PER_DOLLAR > AMOUNT_MAX:
        raise _refused(what, value)
    return amount


def _number(value: object, what: str) -> Fraction:
    if type(value) is int or isinstance(value, Decimal):
        text = f"{value}"
    elif isinstance(value, str):
        text = value.strip().removeprefix("$")
        if _GROUPED.fullmatch(text):
            text = text.replace(",", "")
    else:
        raise _refused(what, value)
    if not _DECIMAL.fullmatch(text):
        raise _refused(what, value)
    return Fraction(text)


def step_of(value: object) -> Fraction:
    """The place of the last digit that an amount was written with: 0.01 for `12.30`."""
    text = f"{value}".strip()
    if "e" in text.lower():
        return Fraction(0)
    return Fraction(1, 10 ** len(text.partition(".")[2]))


def count(value: object, what: str) -> int:
    """A count >= 0; nothing is 0.  Raises InputRefused."""
    if value is None or value == "":
        return 0
    number = _number(value, what)
    if number.denominator != 1 or not 0 <= number <= _COUNT_MAX:
        raise _refused(what, value)
    return number.numerator


def dollars_only(currency: object, source: str) -> None:
    """Raises InputRefused for an amount in another currency."""
    if currency is not None and str(currency).strip().lower() != "usd":
        raise InputRefused(
            f"{source} has amounts in {currency}", why="the ledger is kept in US dollars"
        )


def day_of_seconds(start: object, end: object, source: str) -> str:
    """The day of a bucket given in seconds since the epoch.  Raises InputRefused."""
    first = count(start, f"{source}: start_time")
    last = count(end, f"{source}: end_time") if end else first + _DAY_S
    try:
        moment = datetime.fromtimestamp(first, tz=timezone.utc)
    except (ValueError, OverflowError, OSError) as error:
        raise InputRefused(f"{source}: {start} is no time") from error
    return _one_day(moment, last - first, source)


def day_of_text(start: object, end: object, source: str) -> str:
    """The day of a bucket given in RFC 3339, UTC where no zone is named.  Raises InputRefused."""
    first = moment_of(start, source)
    seconds = _DAY_S
    if end:
        seconds = int((moment_of(end, source) - first).total_seconds())
    return _one_day(first, seconds, source)


def moment_of(value: object, source: str) -> datetime:
    """A moment in UTC.  Raises InputRefused."""
    try:
        moment = datetime.fromisoformat(str(value).strip().replace("Z", "+00:00"))
    except ValueError as error:
        raise InputRefused(f"{source}: {value!r} is no time") from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return moment.astimezone(timezone.utc)


def _one_day(start: datetime, seconds: int, source: str) -> str:
    inside = (start + timedelta(seconds=max(seconds, 1) - 1)).date() == start.date()
    if not inside:
        raise InputRefused(
            f"{source} sums more than a day: from {start:%Y-%m-%d %H:%M} for {seconds:,} s",
            why="calls are matched by day, as providers bill, in UTC",
            next_step="export it by day (`bucket_width=1d`, `time_bucket_width=1d`)",
        )
    return f"{start:%Y-%m-%d}"


def _refused(what: str, value: object, why: str = "expected a plain number") -> InputRefused:
    return InputRefused(f"{what} cannot be read from {value!r}", why=why)
