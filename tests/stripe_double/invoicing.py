"""Invoices: lines, discounts, credits, taxes, and what becomes of them."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from noburn_cli.core.revenue import shared
from tests.stripe_double.paying import Paying, half_up
from tests.stripe_double.records import Records, listed


class Invoicing:
    """Bills customers; whoever `pays` has it charged at once."""

    def __init__(self, records: Records, paying: Paying) -> None:
        self.records = records
        self.paying = paying
        self.pays: dict[str, bool] = {}
        self._lines: dict[str, list[dict[str, Any]]] = {}

    def line(
        self, amount: int, currency: str, start: int, end: int, *, price: dict[str, Any] | None,
        parent: dict[str, Any], metadata: dict[str, str], quantity: int = 1, description: str = "",
    ) -> dict[str, Any]:  # fmt: skip
        """A line of an invoice to come."""
        pricing = None
        if price is not None:
            details = {"price": price["id"], "product": price["product"]}
            decimal = price["unit_amount_decimal"]
            pricing = {"type": "price_details", "price_details": details}
            pricing["unit_amount_decimal"] = decimal
        return self.records.new(
            "line_item", amount=amount, currency=currency, period={"start": start, "end": end},
            pricing=pricing, parent=parent, metadata=dict(metadata), quantity=quantity,
            discount_amounts=[], discountable=True, taxes=[], pretax_credit_amounts=[],
            subtotal=amount, description=description,
        )  # fmt: skip

    def bill(
        self, customer: dict[str, Any], lines: list[dict[str, Any]], *, reason: str,
        discounts: list[dict[str, Any]], tax: dict[str, Any] | None,
        subscription: dict[str, Any] | None = None, finalize: bool = True,
    ) -> dict[str, Any]:  # fmt: skip
        """An invoice of lines; a draft, or finalised and charged."""
        for discount in discounts:
            self._discount(lines, discount)
        invoice = self.records.new(
            "invoice", customer=customer["id"], currency=lines[0]["currency"], status="draft",
            billing_reason=reason, collection_method="charge_automatically", metadata={},
            customer_name=customer["name"], customer_email=customer["email"],
            period_start=self.records.now, period_end=self.records.now, attempt_count=0,
            discounts=[one["id"] for one in discounts], auto_advance=True,
            issuer={"type": "self"}, number=None,
        )  # fmt: skip
        if subscription is not None:
            details = {"metadata": dict(subscription["metadata"]),
                       "subscription": subscription["id"]}  # fmt: skip
            invoice["parent"] = {"type": "subscription_details", "quote_details": None}
            invoice["parent"]["subscription_details"] = details
        for line in lines:
            line["invoice"] = invoice["id"]
            self._credit(invoice, customer, line)
            if tax is not None:
                self._tax(line, tax)
        self._total(invoice, lines)
        self.records.tell("invoice.created", invoice)
        if finalize:
            self.finalize(invoice)
        return invoice

    def lines_of(self, invoice: dict[str, Any]) -> list[dict[str, Any]]:
        return self._lines[invoice["id"]]

    def _total(self, invoice: dict[str, Any], lines: list[dict[str, Any]]) -> None:
        self._lines[invoice["id"]] = lines
        invoice["lines"] = listed(lines, f"/v1/invoices/{invoice['id']}/lines")
        invoice["subtotal"] = sum(line["amount"] for line in lines)
        invoice["total_discount_amounts"] = _by_discount(lines)
        invoice["total_taxes"] = [tax for line in lines for tax in line["taxes"]]
        net = sum(taxable(line) for line in lines)
        on_top = sum(exclusive_tax(line) for line in lines)
        inside = sum(inclusive_tax(line) for line in lines)
        invoice["total"] = net + on_top
        invoice["total_excluding_tax"] = net - inside

    def finalize(self, invoice: dict[str, Any]) -> None:
        """It is owed now; credit in the customer's balance goes first."""
        customer = self.records.get("customer", invoice["customer"])
        invoice["status"] = "open"
        invoice["number"] = f"N-{invoice['id'][-4:]}"
        invoice["status_transitions"]["finalized_at"] = self.records.now
        invoice["effective_at"] = self.records.now
        invoice["starting_balance"] = before = customer.get("balance", 0)
        total = invoice["total"]
        used = min(total, -before) if total > 0 else total
        customer["balance"] = invoice["ending_balance"] = before + used
        invoice["amount_due"] = invoice["amount_remaining"] = max(0, total - used)
        self.records.tell("invoice.finalized", invoice)
        if not invoice["amount_due"]:
            self._paid(invoice)
        elif self.pays.get(customer["id"], True):
            self.pay(invoice)

    def pay(self, invoice: dict[str, Any]) -> dict[str, Any]:
        """Charge what is left of it."""
        assert invoice["status"] in ("open", "uncollectible")
        amount = invoice["amount_remaining"]
        charge = self.paying.charge(invoice["customer"], amount, invoice["currency"])
        payment = {"type": "payment_intent", "payment_intent": charge["payment_intent"]}
        told = self.records.new(
            "invoice_payment", invoice=invoice["id"], amount_paid=amount, amount_requested=amount,
            currency=invoice["currency"], is_default=True, payment=payment, status="paid",
            status_transitions={"canceled_at": None, "paid_at": self.records.now},
        )  # fmt: skip
        invoice["amount_paid"] += amount
        invoice["amount_remaining"] = 0
        invoice["attempted"], invoice["attempt_count"] = True, invoice["attempt_count"] + 1
        self.records.tell("invoice_payment.paid", told)
        self._paid(invoice)
        return charge

    def _paid(self, invoice: dict[str, Any]) -> None:
        invoice["status"] = "paid"
        invoice["status_transitions"]["paid_at"] = self.records.now
        self.records.tell("invoice.paid", invoice)

    def void(self, invoice: dict[str, Any]) -> None:
        assert invoice["status"] in ("open", "uncollectible")
        invoice["status"] = "void"
        invoice["status_transitions"]["voided_at"] = self.records.now
        self.records.tell("invoice.voided", invoice)

    def mark_uncollectible(self, invoice: dict[str, Any]) -> None:
        assert invoice["status"] == "open"
        invoice["status"] = "uncollectible"
        invoice["status_transitions"]["marked_uncollectible_at"] = self.records.now
        self.records.tell("invoice.marked_uncollectible", invoice)

    def _discount(self, lines: list[dict[str, Any]], discount: dict[str, Any]) -> None:
        coupon = self.records.get("coupon", discount["source"]["coupon"])
        open_ = [max(0, taxable(line)) for line in lines]
        if coupon["percent_off"] is not None:
            percent = Fraction(str(coupon["percent_off"]))
            parts = shared(half_up(sum(open_) * percent / 100), open_)
        else:
            parts = shared(min(sum(open_), coupon["amount_off"]), open_)
        for line, part in zip(lines, parts, strict=True):
            if part:
                line["discount_amounts"].append({"amount": part, "discount": discount["id"]})
                line["discounts"].append(discount["id"])

    def _credit(
        self, invoice: dict[str, Any], customer: dict[str, Any], line: dict[str, Any]
    ) -> None:
        """Credit grants pay metered lines, the oldest first, before tax."""
        price = line["pricing"] and line["pricing"]["price_details"]["price"]
        recurring = self.records.get("price", price)["recurring"] if price else None
        if not recurring or recurring["usage_type"] != "metered":
            return
        for grant in self.records.all("billing.credit_grant"):
            amount = min(self.credit_left(grant), taxable(line))
            if grant["customer"] != customer["id"] or amount <= 0:
                continue
            applied = {"invoice": invoice["id"], "invoice_line_item": line["id"]}
            monetary = {"currency": line["currency"], "value": amount}
            told = self.records.new(
                "billing.credit_balance_transaction", credit_grant=grant["id"], type="debit",
                effective_at=self.records.now, credit=None,
                debit={"amount": {"monetary": monetary, "type": "monetary"},
                       "type": "credits_applied", "credits_applied": applied},
            )  # fmt: skip
            line["pretax_credit_amounts"].append(
                {"amount": amount, "type": "credit_balance_transaction",
                 "credit_balance_transaction": told["id"]}
            )  # fmt: skip

    def credit_left(self, grant: dict[str, Any]) -> int:
        """What a grant still pays, now."""
        now = self.records.now
        if grant["voided_at"] or (grant["expires_at"] or now + 1) <= now:
            return 0
        spent = sum(
            one["debit"]["amount"]["monetary"]["value"]
            for one in self.records.all("billing.credit_balance_transaction")
            if one["credit_grant"] == grant["id"] and one["debit"]
        )
        return int(grant["amount"]["monetary"]["value"]) - spent

    def _tax(self, line: dict[str, Any], rate: dict[str, Any]) -> None:
        share = Fraction(str(rate["percentage"])) / 100
        base = taxable(line)
        inside = rate["inclusive"]
        amount = half_up(base - base / (1 + share)) if inside else half_up(base * share)
        line["taxes"].append({
            "amount": amount, "tax_behavior": "inclusive" if inside else "exclusive",
            "tax_rate_details": {"tax_rate": rate["id"]}, "taxability_reason": "standard_rated",
            "taxable_amount": base - amount if inside else base, "type": "tax_rate_details",
        })  # fmt: skip


def taxable(line: dict[str, Any]) -> int:
    """What is left of a line's amount after discounts and credits."""
    off = sum(one["amount"] for one in line["discount_amounts"])
    return int(line["amount"]) - off - sum(one["amount"] for one in line["pretax_credit_amounts"])


def exclusive_tax(line: dict[str, Any]) -> int:
    return sum(t["amount"] for t in line["taxes"] if t["tax_behavior"] == "exclusive")


def inclusive_tax(line: dict[str, Any]) -> int:
    return sum(t["amount"] for t in line["taxes"] if t["tax_behavior"] == "inclusive")


def _by_discount(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    sums: dict[str, int] = {}
    for line in lines:
        for one in line["discount_amounts"]:
            sums[one["discount"]] = sums.get(one["discount"], 0) + one["amount"]
    return [{"amount": amount, "discount": discount} for discount, amount in sums.items()]
