"""Money and counts: exact, whole, and read the way people write them.

Layer: core (pure, standard library, Python 3.10).  Below: errors.
Owns: Nano, the units, and the words people type (`$20`, `2M`, `2Mtok`, `100req`, `25%`).
Whole numbers and fractions only: decimal arithmetic obeys a context that belongs to the program we
are a guest in, and could round in silence.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from noburn_cli.errors import UsageError

NANO_PER_DOLLAR = 1_000_000_000
PICO_PER_NANO = 1_000
#: $1 per million tokens is 1e-6 $ a token, which is 1,000,000 pico-dollars.
PICO_PER_TOKEN_PER_DOLLAR_PER_MILLION = 1_000_000

#: The most that an amount can be: $1 billion, or 1e18 tokens.  A few of them still add up within
#: the 64 bits of a ledger's row.
AMOUNT_MAX = 10**18

#: The units a limit can have.
DOLLARS = "dollars"
TOKENS = "tokens"
REQUESTS = "requests"
_UNIT_SUFFIXES = (("tokens", TOKENS), ("tok", TOKENS), ("requests", REQUESTS), ("req", REQUESTS))

_MULTIPLIERS = {"": 1, "k": 1_000, "m": 1_000_000, "b": 1_000_000_000, "g": 1_000_000_000}
_NUMBER = re.compile(
    r"(\d{1,30}(?:[_,]\d{3}){0,10}(?:\.\d{1,30})?|\.\d{1,30})([kmbg]?)", re.IGNORECASE | re.ASCII
)


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
    """Nano-dollars of an exact dollar amount; half to even, or up.

    Raises ValueError or OverflowError for a decimal that is not finite.
    """
    exact = Fraction(dollars) * NANO_PER_DOLLAR
    return -(-exact.numerator // exact.denominator) if up else round(exact)


def show_dollars(nano: int) -> str:
    """A dollar amount for the eye, rounded half to even.

    Whole cents, and everything from $100, with two places; from a cent four places; below a cent
    four significant digits, so that what is not zero never reads `$0.00`.
    """
    sign = "-" if nano < 0 else ""
    size = abs(nano)
    cent = NANO_PER_DOLLAR // 100
    if size % cent == 0 or size >= 100 * NANO_PER_DOLLAR:
        return f"{sign}${_fixed(size, places=2)}"
    if size >= cent:
        return f"{sign}${_fixed(size, places=4)}"
    places = min(9, 13 - len(str(size)))  # Nine places hold any amount; four digits are kept.
    return f"{sign}${_fixed(size, places=places).rstrip('0')}"


def _fixed(nano: int, *, places: int) -> str:
    """Dollars >= 0 with `places` (1 to 9) decimals and thousands separated."""
    units = round(Fraction(nano, 10 ** (9 - places)))
    whole, part = divmod(units, 10**places)
    return f"{whole:,}.{part:0{places}d}"


def show_percent(share: Fraction, *, places: int = 1) -> str:
    """A share in per cent for the eye: `75 %`, `33.3 %`.

    Only a whole number reads as one: 69.96 % shows its digits instead of passing for 70 %.
    """
    percent = share * 100
    if percent.denominator == 1:
        return f"{percent.numerator:,} %"
    scaled = round(percent * 10**places)
    while scaled % 10**places == 0 and places < 9:
        places += 1
        scaled = round(percent * 10**places)
    whole, part = divmod(abs(scaled), 10**places)
    digits = f"{whole:,}.{part:0{places}d}".rstrip("0").rstrip(".")
    return f"{'-' if scaled < 0 else ''}{digits} %"


def show_count(count: int) -> str:
    """A whole count with thousands separated: `2,000,000`."""
    return f"{count:,}"


def parse_count(text: str, *, what: str = "a count", unit: str = "") -> int:
    """Read `2M`, `500k`, `1.5B`, `1_000`, `2,000,000` as a whole number >= 0.

    unit: TOKENS or REQUESTS, where `2Mtok` or `100req` may be written as well.
    Raises UsageError when it is not a number, not whole, or carries another unit.
    """
    match = _NUMBER.fullmatch(_without_unit(text.strip(), unit))
    if match is None:
        raise UsageError(
            f"{what} cannot be read from {text!r}",
            why="expected a whole number with an optional suffix k, M or B",
            next_step="write it like 500k, 2M or 1.5B",
        )
    exact = _exact(match)
    if exact.denominator != 1:
        raise UsageError(
            f"{what} is not whole: {text!r}", next_step="write a whole number, like 1500"
        )
    return _within_range(exact.numerator, what=what, text=text)


def _without_unit(plain: str, unit: str) -> str:
    """`2M` for `2Mtok`; a text that carries no suffix of `unit` stays as it is."""
    for suffix, meant in _UNIT_SUFFIXES:
        if meant == unit and plain.lower().endswith(suffix):
            return plain[: -len(suffix)].rstrip()
    return plain


def parse_dollars(text: str, *, what: str = "an amount", or_else: str = "") -> int:
    """Read `20`, `$20`, `20usd`, `0.50`, `$1.5k` as nano-dollars >= 0.

    A suffix needs a `$` or `usd`: `2M` alone could be tokens.
    or_else: what else than dollars could have been written, as a format of the number.
    Raises UsageError otherwise, below a nano-dollar's precision and above AMOUNT_MAX.
    """
    plain = text.strip()
    bare = plain.removeprefix("$").strip()
    bare = re.sub(r"\s*usd$", "", bare, flags=re.IGNORECASE)
    match = _NUMBER.fullmatch(bare)
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
            next_step=f"write '${bare}' or {bare}usd for dollars{or_else.format(bare)}",
        )
    nano = _exact(match) * NANO_PER_DOLLAR
    if nano.denominator != 1:
        raise UsageError(
            f"{what} is finer than a nano-dollar: {text!r}",
            next_step="write at most nine decimals",
        )
    return _within_range(nano.numerator, what=what, text=text)


def _exact(match: re.Match[str]) -> Fraction:
    """The number that _NUMBER matched, its suffix multiplied in."""
    return Fraction(re.sub("[_,]", "", match[1])) * _MULTIPLIERS[match[2].lower()]


def _within_range(amount: int, *, what: str, text: str) -> int:
    if amount > AMOUNT_MAX:
        raise UsageError(
            f"{what} is out of range: {text!r}", why="no ledger can hold an amount this large"
        )
    return amount


def parse_share(text: str, *, what: str = "a share") -> Fraction:
    """Read `25%`, `2.9 %`, `0.25` or `0` as an exact share from 0 to 1.

    Raises UsageError otherwise; a number above 1 without `%` is ambiguous, like `1` itself.
    """
    plain = text.strip()
    number = plain.removesuffix("%").strip()
    match = _NUMBER.fullmatch(number)
    if match is None or match[2]:
        raise UsageError(
            f"{what} cannot be read from {text!r}",
            why="expected a percentage or a share from 0 to 1",
            next_step="write it like 25% or 0.25",
        )
    exact = _exact(match)
    if number != plain:
        share = exact / 100
    elif exact < 1:
        share = exact
    else:
        raise UsageError(
            f"{what} is ambiguous: {text!r}",
            why="without % only a share below 1 is clear",
            next_step=f"write {number}% if you mean per cent",
        )
    if share > 1:
        raise UsageError(f"{what} is above 100 %: {text!r}")
    return share


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
    return f"{amount:,} {unit.removesuffix('s') if amount == 1 else unit}"


def parse_limit(text: str) -> Limit:
    """Read a limit: `5`, `$5`, `5usd` (dollars), `2Mtok` (tokens), `100req` (requests).

    Raises UsageError; `2M` is refused because it could be tokens or dollars.
    """
    plain = text.strip()
    for suffix, unit in _UNIT_SUFFIXES:
        if plain.lower().endswith(suffix):
            return Limit(unit, parse_count(plain[: -len(suffix)], what="a limit"))
    return Limit(DOLLARS, parse_dollars(plain, what="a limit", or_else=", {}tok for tokens"))
