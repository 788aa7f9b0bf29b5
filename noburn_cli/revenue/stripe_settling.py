"""At what Stripe's amounts become dollars: as they were settled, else by the table of rates.

Layer: revenue.  Below: revenue.rating, revenue.stripe_keeping, core.currencies.
Above: revenue.stripe_deriving.
Owns: which movement of the balance an amount was converted with.  What was settled is shared, so
that lines add up to it exactly, whatever the digits of Stripe's rate say.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

from noburn_cli.core.currencies import USD, minor_digits, nano_per_minor, read_rate
from noburn_cli.core.money import NANO_PER_DOLLAR
from noburn_cli.revenue.rating import TABLE, Rates
from noburn_cli.revenue.stripe_keeping import Keeping
from noburn_cli.revenue.stripe_lines import Money
from noburn_cli.revenue.stripe_shapes import Kept

_NANO_PER_CENT = NANO_PER_DOLLAR // 100
_DOLLARS = Money(Fraction(_NANO_PER_CENT), "", "")


class Settling:
    """The rates of one source's amounts.  table: of a person's own."""

    def __init__(self, keeping: Keeping, table: Rates) -> None:
        self._keeping = keeping
        self._table = table

    def settled(self, charges: Sequence[Kept], currency: str, at_ms: int) -> Money:
        """What was settled for the charges of a root, else the table's rate."""
        if currency == "usd":
            return _DOLLARS
        minor = settled = 0
        found: dict[str, Any] | None = None
        for charge in charges:
            balance = self.balance(charge)
            if charge.data["currency"] == currency and balance and balance["currency"] == "usd":
                minor += charge.data["amount"]
                settled += balance["amount"]
                found = balance
        if found is None or not minor:
            return self.by_table(currency.upper(), at_ms)
        return _converted(settled, minor, currency.upper(), found)

    def balance(self, one: Kept) -> dict[str, Any] | None:
        """The movement of the balance that a charge or refund made."""
        found = self._keeping.get(one.data.get("balance", ""))
        return found.data if found else None

    def refunded(self, refund: Kept, otherwise: Money) -> Money:
        balance = self.balance(refund)
        if balance is None:
            return otherwise
        return self.moved(balance, -refund.data["amount"], str(refund.data["currency"]))

    def moved(self, balance: dict[str, Any], minor: int, currency: str) -> Money:
        """At what a movement of the balance was converted."""
        if currency == "usd":
            return _DOLLARS
        if balance["currency"] != "usd" or not minor or not balance["amount"]:
            return self.by_table(currency.upper(), balance["created"] * 1000)
        return _converted(balance["amount"], minor, currency.upper(), balance)

    def by_table(self, currency: str, at_ms: int) -> Money:
        if currency == USD:
            return _DOLLARS
        row = self._table.find(currency, at_ms)
        if row is None:
            return Money(None, "", "")
        each = nano_per_minor(currency, read_rate(row.rate))
        return Money(each, row.rate, f"{TABLE}{row.origin}, from {row.starts_on}")


def _converted(settled: int, minor: int, currency: str, balance: dict[str, Any]) -> Money:
    """What cents were settled for minor units: exactly those, whatever the rate's digits say."""
    each = Fraction(settled * _NANO_PER_CENT, minor)
    rate = f"{Decimal(balance['rate']):f}" if balance["rate"] else "settled"
    digits = minor_digits(currency)
    if balance["rate"] and digits != 2:
        # Stripe's rate is between minor units; ours is dollars for one whole unit.
        scale = Fraction(10**digits, 100)
        rate = format(float(Fraction(balance["rate"]) * scale), ".12g")
    return Money(each, rate, f"stripe {balance['id']}")
