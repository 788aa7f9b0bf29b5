"""Money that moves: charges, the balance, refunds, disputes."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from tests.stripe_double.records import Records

FEE_SHARE, FEE_FIXED = Fraction("0.029"), 30
DISPUTE_FEE = 1_500


def half_up(exact: Fraction) -> int:
    """Rounded to a whole minor unit, halves away from zero, as Stripe's amounts are."""
    size = (2 * abs(exact).numerator + abs(exact).denominator) // (2 * abs(exact).denominator)
    return -size if exact < 0 else size


class Paying:
    """The account's balance.

    settles: the currency of the account.  rates: what one minor unit of another currency is worth
    in minor units of that one, as a decimal text: `balance_transaction.exchange_rate`.
    """

    def __init__(self, records: Records, *, settles: str) -> None:
        self.records = records
        self.settles = settles
        self.rates: dict[str, str] = {}

    def balance(
        self, kind: str, source: str | None, amount: int, currency: str, *, fee: int = 0
    ) -> dict[str, Any]:
        """Book an amount of a currency, converted where it is not the account's."""
        rate = None if currency == self.settles else self.rates[currency]
        settled = amount if rate is None else half_up(amount * Fraction(rate))
        details = [{"amount": fee, "application": None, "currency": self.settles,
                    "description": "Processing fees", "type": "stripe_fee"}]  # fmt: skip
        return self.records.new(
            "balance_transaction", amount=settled, currency=self.settles, fee=fee,
            net=settled - fee, fee_details=details if fee else [], source=source, type=kind,
            exchange_rate=None if rate is None else float(rate), balance_type="payments",
            reporting_category="dispute" if kind == "adjustment" else kind, status="available",
            available_on=self.records.now,
        )  # fmt: skip

    def charge(
        self, customer: str | None, amount: int, currency: str, *, succeeds: bool = True,
        metadata: dict[str, str] | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """Take money by a payment intent."""
        one = self.records.new(
            "charge", amount=amount, currency=currency, customer=customer, paid=succeeds,
            captured=succeeds, amount_captured=amount if succeeds else 0, metadata=metadata or {},
            payment_intent=self.records.new_id("payment_intent"),
            status="succeeded" if succeeds else "failed",
            # What a real one carries, and what must not be kept by an import.
            billing_details={
                "address": None, "email": "somebody@example.com", "name": "Some Body",
                "phone": None, "tax_id": None,
            },
            receipt_email="somebody@example.com",
        )  # fmt: skip
        if succeeds:
            rate = Fraction(1 if currency == self.settles else self.rates[currency])
            fee = half_up(half_up(amount * rate) * FEE_SHARE) + FEE_FIXED
            booked = self.balance("charge", one["id"], amount, currency, fee=fee)
            one["balance_transaction"] = booked["id"]
        self.records.tell("charge.succeeded" if succeeds else "charge.failed", one)
        return one

    def refund(self, charge: dict[str, Any], amount: int | None = None) -> dict[str, Any]:
        """Give back some of a charge, or all that is left of it."""
        left = charge["amount"] - charge["amount_refunded"]
        amount = left if amount is None else amount
        assert 0 < amount <= left
        one = self.records.new(
            "refund", amount=amount, currency=charge["currency"], charge=charge["id"],
            payment_intent=charge["payment_intent"], status="succeeded", metadata={},
            reason="requested_by_customer",
        )  # fmt: skip
        booked = self.balance("refund", one["id"], -amount, charge["currency"])
        one["balance_transaction"] = booked["id"]
        charge["amount_refunded"] += amount
        charge["refunded"] = charge["amount_refunded"] == charge["amount"]
        self.records.tell("refund.created", one)
        self.records.tell("charge.refunded", charge)
        return one

    def dispute(self, charge: dict[str, Any], amount: int | None = None) -> dict[str, Any]:
        """A customer's bank takes money back; the fee comes on top."""
        one = self.records.new(
            "dispute", amount=amount or charge["amount"], currency=charge["currency"],
            charge=charge["id"], payment_intent=charge["payment_intent"], reason="fraudulent",
            status="needs_response", is_charge_refundable=False, metadata={},
        )  # fmt: skip
        charge["disputed"] = True
        booked = self.balance(
            "adjustment", one["id"], -one["amount"], charge["currency"], fee=DISPUTE_FEE
        )
        one["balance_transactions"].append(booked)
        self.records.tell("charge.dispute.created", one)
        self.records.tell("charge.dispute.funds_withdrawn", one)
        return one

    def close_dispute(self, dispute: dict[str, Any], *, won: bool, fee_back: bool = False) -> None:
        """The bank has decided; funds of a won one come back, its fee where Stripe returns it."""
        dispute["status"] = "won" if won else "lost"
        if won:
            fee = -DISPUTE_FEE if fee_back else 0
            currency = dispute["currency"]
            booked = self.balance("adjustment", dispute["id"], dispute["amount"], currency, fee=fee)
            dispute["balance_transactions"].append(booked)
            self.records.tell("charge.dispute.funds_reinstated", dispute)
        self.records.tell("charge.dispute.closed", dispute)

    def stripe_fee(self, amount: int) -> dict[str, Any]:
        """What Stripe takes for its own services, without a customer."""
        return self.balance("stripe_fee", None, -amount, self.settles)
