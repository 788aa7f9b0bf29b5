"""Money and counts: exact, whole, and read the way people write them.

Layer: core (pure, standard library, Python 3.10).  Below: errors.
Owns: Nano, the units, and the words people type (`$20`, `2M`, `2Mtok`, `100req`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Decimal, InvalidOperation

from noburn_cli.errors import UsageError

NANO_PER_DOLLAR = 1_000_000_000
PICO_PER_NANO = 1_000
#: $1 per million tokens is 1e-6 $ a token, which is 1,000,000 pico-dollars.
PICO_PER_TOKEN_PER_DOLLAR_PER_MILLION = 1_000_000

_MULTIPLIERS = {"": 1, "k": 1_000, "m": 1_000_000, "b": 1_000_000_000, "g": 1_000_000_000}
_NUMBER = re.compile(r"^(\d+(?:[_,]\d{3})*(?:\.\d+)?|\.\d+)([kmbg]?)$", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, order=True)
class Nano:
    """An amount in nano-dollars (1e-9 USD): whole, signed, never a float."""

    value: int

    def __post_init__(self) -> None:
        if type(self.value) is not int:  # bool is an int too, hence `type`.
            raise TypeError(f"an amount is whole nano-dollars, not {self.value!r}")

    def __add__(self, other: Nano) -> Nano:
        return Nano(self.value + other.value)

    def __sub__(self, other: Nano) -> Nano:
        return Nano(self.value - other.value)

    def __neg__(self) -> Nano:
        return Nano(-self.value)

    def __mul__(self, times: int) -> Nano:
        return Nano(self.value * times)

    def exact(self) -> str:
        """Dollars as an exact decimal string, without trailing zeros: `0.0000375`."""
        sign = "-" if self.value < 0 else ""
        whole, part = divmod(abs(self.value), NANO_PER_DOLLAR)
        decimals = f"{part:09d}".rstrip("0")
        return f"{sign}{whole}.{decimals}" if decimals else f"{sign}{whole}"

    def __str__(self) -> str:
        return show_dollars(self.value)


def nano_from_pico_up(pico: int) -> int:
    """Round pico-dollars up to nano-dollars: what a hold does."""
    return -(-pico // PICO_PER_NANO)


def nano_from_pico_half_even(pico: int) -> int:
    """Round pico-dollars half to even to nano-dollars: what a settlement does."""
    whole, rest = divmod(pico, PICO_PER_NANO)
    if rest > PICO_PER_NANO // 2 or (rest == PICO_PER_NANO // 2 and whole % 2):
        return whole + 1
    return whole


def nano_from_decimal(dollars: Decimal, *, up: bool = False) -> int:
    """Nano-dollars of an exact dollar amount; half to even, or up."""
    rounding = ROUND_CEILING if up else ROUND_HALF_EVEN
    return int((dollars * NANO_PER_DOLLAR).to_integral_value(rounding=rounding))


def show_dollars(nano: int) -> str:
    """A dollar amount for the eye: cents from a cent upward, then four significant digits.

    Never `$0.00` for something that is not zero.
    """
    sign = "-" if nano < 0 else ""
    size = abs(nano)
    if size == 0 or size >= NANO_PER_DOLLAR // 100 and size % (NANO_PER_DOLLAR // 100) == 0:
        return f"{sign}${Decimal(size) / NANO_PER_DOLLAR:,.2f}"
    if size >= 100 * NANO_PER_DOLLAR:
        return f"{sign}${Decimal(size) / NANO_PER_DOLLAR:,.2f}"
    if size >= NANO_PER_DOLLAR // 100:
        return f"{sign}${Decimal(size) / NANO_PER_DOLLAR:,.4f}"
    digits = Decimal(size) / NANO_PER_DOLLAR
    places = min(9, 3 - digits.adjusted())
    text = f"{digits:.{places}f}".rstrip("0")
    return f"{sign}${text}"


def show_count(count: int) -> str:
    """A whole count with thousands separated: `2,000,000`."""
    return f"{count:,}"


def parse_count(text: str, *, what: str = "a count") -> int:
    """Read `2M`, `500k`, `1.5B`, `1_000`, `2,000,000` as a whole number >= 0.

    Raises UsageError when it is not a number, not whole, or carries another unit.
    """
    match = _NUMBER.match(text.strip())
    if match is None:
        raise UsageError(
            f"{what} cannot be read from {text!r}",
            why="expected a whole number with an optional suffix k, M or B",
            next_step="write it like 500k, 2M or 1.5B",
        )
    exact = Decimal(re.sub("[_,]", "", match[1])) * _MULTIPLIERS[match[2].lower()]
    if exact != exact.to_integral_value():
        raise UsageError(
            f"{what} is not whole: {text!r}", next_step="write a whole number, like 1500"
        )
    return int(exact)


def parse_dollars(text: str, *, what: str = "an amount") -> int:
    """Read `20`, `$20`, `20usd`, `0.50`, `$1.5k` as nano-dollars >= 0.

    A suffix needs a `$` or `usd`: `2M` alone could be tokens.
    Raises UsageError otherwise, and below a nano-dollar's precision.
    """
    plain = text.strip()
    bare = plain.removeprefix("$").strip()
    bare = re.sub(r"\s*usd$", "", bare, flags=re.IGNORECASE)
    match = _NUMBER.match(bare)
    if match is None:
        raise UsageError(
            f"{what} cannot be read from {text!r}",
            why="expected dollars",
            next_step="write it like 20, '$20', 20usd or 0.50",
        )
    if match[2] and bare == plain:
        raise UsageError(
            f"{what} is ambiguous: {text!r}",
            why="a suffix without a unit could mean tokens or dollars",
            next_step=f"write '${bare}' or {bare}usd for dollars, {bare}tok for tokens",
        )
    try:
        exact = Decimal(re.sub("[_,]", "", match[1])) * _MULTIPLIERS[match[2].lower()]
        nano = exact * NANO_PER_DOLLAR
        whole = nano == nano.to_integral_value()
    except InvalidOperation as error:
        raise UsageError(f"{what} is out of range: {text!r}") from error
    if not whole:
        raise UsageError(f"{what} is finer than a nano-dollar: {text!r}")
    return int(nano)


#: The units a limit can have.
DOLLARS = "dollars"
TOKENS = "tokens"
REQUESTS = "requests"


@dataclass(frozen=True)
class Limit:
    """A limit in its unit: nano-dollars, tokens or requests."""

    unit: str
    amount: int

    def __str__(self) -> str:
        return show_amount(self.unit, self.amount)


def show_amount(unit: str, amount: int) -> str:
    """An amount in a limit's unit, for the eye."""
    if unit == DOLLARS:
        return show_dollars(amount)
    return f"{amount:,} {unit}"


def parse_limit(text: str) -> Limit:
    """Read a limit: `5`, `$5`, `5usd` (dollars), `2Mtok` (tokens), `100req` (requests).

    Raises UsageError; `2M` is refused because it could be tokens or dollars.
    """
    plain = text.strip()
    for suffix, unit in (
        ("tokens", TOKENS),
        ("tok", TOKENS),
        ("requests", REQUESTS),
        ("req", REQUESTS),
    ):
        if plain.lower().endswith(suffix):
            return Limit(unit, parse_count(plain[: -len(suffix)], what="a limit"))
    return Limit(DOLLARS, parse_dollars(plain, what="a limit"))
