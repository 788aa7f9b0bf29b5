"""A small business on Stripe: customers, plans, subscriptions, and time that passes.

    business = Business("2025-01-01")
    pro = business.price("Pro", 2_000)
    acme = business.customer("Acme", {"noburn_customer": "acme"})
    contract = business.subscribe(acme, pro)
    business.advance("2025-03-10")
    business.change(contract, business.price("Team", 5_000))     # prorated
    charge = business.charges_of(acme)[-1]
    business.refund(charge, 500)

Every amount is in minor units, every moment `2025-01-31`, `2025-01-31T12:00:00` or epoch seconds,
UTC.  `business.records` has all objects; what is done leaves events behind, as in Stripe.
"""

from __future__ import annotations

import calendar
from datetime import datetime, timezone
from fractions import Fraction
from typing import Any

from tests.stripe_double.invoicing import Invoicing, exclusive_tax
from tests.stripe_double.paying import Paying, half_up
from tests.stripe_double.records import Records, listed, seconds

Object = dict[str, Any]


class Business:
    """One account.  settles: the currency of its balance."""

    def __init__(self, start: str | int, *, settles: str = "usd", livemode: bool = False) -> None:
        self.records = Records(start, livemode=livemode)
        self.paying = Paying(self.records, settles=settles)
        self.invoicing = Invoicing(self.records, self.paying)
        self._usage: dict[str, int] = {}
        self._tax: dict[str, Object] = {}
        self.refund = self.paying.refund
        self.dispute = self.paying.dispute
        self.close_dispute = self.paying.close_dispute
        self.stripe_fee = self.paying.stripe_fee
        self.pay = self.invoicing.pay
        self.void = self.invoicing.void
        self.mark_uncollectible = self.invoicing.mark_uncollectible
        self.credit_left = self.invoicing.credit_left

    @property
    def now(self) -> int:
        return self.records.now

    # What is sold, and to whom.

    def customer(
        self, name: str, metadata: dict[str, str] | None = None, *, pays: bool = True
    ) -> Object:
        """pays: False leaves its invoices open, to be paid, voided or written off."""
        one = self.records.new(
            "customer", name=name, metadata=metadata or {}, balance=0,
            email=f"{name.lower().replace(' ', '.')}@example.com",
        )  # fmt: skip
        self.invoicing.pays[one["id"]] = pays
        self.records.tell("customer.created", one)
        return one

    def set_metadata(self, one: Object, metadata: dict[str, str]) -> None:
        one["metadata"].update(metadata)
        event = one["object"] if one["object"] != "subscription" else "customer.subscription"
        self.records.tell(f"{event}.updated", one)

    def price(
        self, name: str, amount: int, *, currency: str = "usd", interval: str | None = "month",
        metered: bool = False, metadata: dict[str, str] | None = None,
    ) -> Object:  # fmt: skip
        """A price of a product of that name.  interval: month, year or None for one-time."""
        products = [one for one in self.records.all("product") if one["name"] == name]
        product = products[0] if products else self.records.new(
            "product", name=name, active=True, metadata=metadata or {}, updated=self.now
        )  # fmt: skip
        recurring = interval and {
            "interval": interval, "interval_count": 1, "meter": "mtr_1" if metered else None,
            "usage_type": "metered" if metered else "licensed",
        }  # fmt: skip
        return self.records.new(
            "price", product=product["id"], currency=currency, unit_amount=amount, active=True,
            unit_amount_decimal=str(amount), type="recurring" if interval else "one_time",
            recurring=recurring, metadata={}, billing_scheme="per_unit",
        )  # fmt: skip

    def coupon(self, *, percent_off: float | None = None, amount_off: int | None = None) -> Object:
        return self.records.new(
            "coupon", percent_off=percent_off, amount_off=amount_off, duration="forever",
            currency="usd" if amount_off else None, valid=True,
        )  # fmt: skip

    def tax_rate(self, percentage: float, *, inclusive: bool = False) -> Object:
        return self.records.new(
            "tax_rate", percentage=percentage, inclusive=inclusive, active=True, display_name="VAT"
        )

    # Subscriptions.

    def subscribe(
        self, customer: Object, *prices: Object, quantity: int = 1, coupon: Object | None = None,
        trial_days: int = 0, tax: Object | None = None, metadata: dict[str, str] | None = None,
    ) -> Object:  # fmt: skip
        """Begin now: the first invoice is for the first period, or for a trial at nothing."""
        one = self.records.new(
            "subscription", customer=customer["id"], currency=prices[0]["currency"],
            start_date=self.now, billing_cycle_anchor=self.now + trial_days * 86_400,
            status="trialing" if trial_days else "active", metadata=metadata or {},
            collection_method="charge_automatically", cancel_at_period_end=False,
            billing_mode={"type": "classic"}, discounts=[], invoice_settings={
                "account_tax_ids": None, "issuer": {"type": "self"}
            },
        )  # fmt: skip
        if trial_days:
            one["trial_start"], one["trial_end"] = self.now, one["billing_cycle_anchor"]
        if coupon is not None:
            discount = self.records.new(
                "discount", source={"type": "coupon", "coupon": coupon["id"]}, start=self.now,
                customer=customer["id"], subscription=one["id"],
            )  # fmt: skip
            one["discounts"].append(discount["id"])
        if tax is not None:
            self._tax[one["id"]] = tax
        items = [self._item(one, price, quantity, trial_days) for price in prices]
        one["items"] = listed(items, f"/v1/subscription_items?subscription={one['id']}")
        self.records.tell("customer.subscription.created", one)
        self._bill_period(one, reason="subscription_create", ended=None)
        return one

    def _item(self, one: Object, price: Object, quantity: int, trial_days: int) -> Object:
        end = one["billing_cycle_anchor"] if trial_days else self._after(one, price)
        item = self.records.new(
            "subscription_item", price=price, subscription=one["id"], metadata={},
            current_period_start=self.now, current_period_end=end, discounts=[],
        )  # fmt: skip
        if price["recurring"]["usage_type"] == "licensed":
            item["quantity"] = quantity
        return item

    def _after(self, one: Object, price: Object) -> int:
        """The end of the period that begins now: the anchor's day and time, a month or year on."""
        anchor = datetime.fromtimestamp(one["billing_cycle_anchor"], tz=timezone.utc)
        here = datetime.fromtimestamp(self.now, tz=timezone.utc)
        months = 12 if price["recurring"]["interval"] == "year" else 1
        count = here.year * 12 + here.month - 1 + months
        year, month = divmod(count, 12)
        day = min(anchor.day, calendar.monthrange(year, month + 1)[1])
        return int(anchor.replace(year=year, month=month + 1, day=day).timestamp())

    def use(self, subscription: Object, units: int) -> None:
        """Meter so many units for its metered item."""
        item = next(i for i in subscription["items"]["data"] if "quantity" not in i)
        self._usage[item["id"]] = self._usage.get(item["id"], 0) + units

    def change(
        self, subscription: Object, price: Object | None = None, *, quantity: int | None = None,
        invoice_now: bool = False,
    ) -> None:  # fmt: skip
        """Another price or number of seats from now on, prorated to the second.

        The proration waits for the next invoice, unless `invoice_now`; another interval begins a
        new period, and is invoiced at once.
        """
        item = subscription["items"]["data"][0]
        old, old_quantity = item["price"], item["quantity"]
        price, quantity = price or old, quantity or old_quantity
        start, end = item["current_period_start"], item["current_period_end"]
        left = Fraction(end - self.now, end - start)
        unused = -half_up(old["unit_amount"] * old_quantity * left)
        period = {"start": self.now, "end": end}
        self._proration(subscription, item, old, old_quantity, unused, period)
        item["price"], item["quantity"] = price, quantity
        if price["recurring"]["interval"] != old["recurring"]["interval"]:
            subscription["billing_cycle_anchor"] = self.now
            item["current_period_start"] = self.now
            item["current_period_end"] = self._after(subscription, price)
            self.records.tell("customer.subscription.updated", subscription)
            self._bill_period(subscription, reason="subscription_update", ended=None)
            return
        remaining = half_up(price["unit_amount"] * quantity * left)
        self._proration(subscription, item, price, quantity, remaining, period)
        self.records.tell("customer.subscription.updated", subscription)
        if invoice_now:
            self._bill(subscription, self._pending(subscription), reason="subscription_update")

    def _proration(
        self, one: Object, item: Object, price: Object, quantity: int, amount: int, period: Object
    ) -> None:
        details = {"subscription": one["id"], "subscription_item": item["id"]}
        self._invoiceitem(
            one["customer"], amount, price["currency"], period=period, price=price,
            quantity=quantity, proration=True, parent={
                "type": "subscription_details", "subscription_details": details
            },
        )  # fmt: skip

    def cancel(self, subscription: Object, *, at_period_end: bool = True) -> None:
        """End it with its period, or now, with nothing given back."""
        if at_period_end:
            subscription["cancel_at_period_end"] = True
            self.records.tell("customer.subscription.updated", subscription)
            return
        subscription.update(status="canceled", canceled_at=self.now, ended_at=self.now)
        self.records.tell("customer.subscription.deleted", subscription)

    def advance(self, to: str | int) -> None:
        """Let time pass: every period that ends is billed at its moment."""
        until = seconds(to)
        assert until >= self.now
        while True:
            due = [
                (item["current_period_end"], one["id"], one)
                for one in self.records.all("subscription")
                if one["status"] in ("active", "trialing")
                for item in one["items"]["data"]
                if item["current_period_end"] <= until
            ]
            if not due:
                break
            self.records.now, _, one = min(due, key=lambda found: found[:2])
            self._cycle(one)
        self.records.now = until

    def _cycle(self, one: Object) -> None:
        ended = {}
        for item in one["items"]["data"]:
            if item["current_period_end"] <= self.now:
                ended[item["id"]] = (item["current_period_start"], item["current_period_end"])
                item["current_period_start"] = item["current_period_end"]
                if not one["cancel_at_period_end"]:
                    item["current_period_end"] = self._after(one, item["price"])
        if one["cancel_at_period_end"]:
            one.update(status="canceled", canceled_at=self.now, ended_at=self.now)
            self.records.tell("customer.subscription.deleted", one)
        elif one["status"] == "trialing":
            one["status"] = "active"
            self.records.tell("customer.subscription.updated", one)
        self._bill_period(one, reason="subscription_cycle", ended=ended)

    def _bill_period(
        self, one: Object, *, reason: str, ended: dict[str, tuple[int, int]] | None
    ) -> None:
        """The period that begins, in advance; usage of the one that ended; what was pending."""
        lines = self._pending(one)
        for item in one["items"]["data"]:
            if ended is not None and item["id"] not in ended:
                continue
            price, quantity = item["price"], item.get("quantity")
            start, end = item["current_period_start"], item["current_period_end"]
            if quantity is None:
                if ended is None:
                    continue
                quantity = self._usage.pop(item["id"], 0)
                start, end = ended[item["id"]]
            elif one["status"] == "canceled":
                continue
            free = one["status"] == "trialing" and "quantity" in item
            amount = 0 if free else price["unit_amount"] * quantity
            lines.append(self._line(one, item, price, amount, quantity, start, end))
        if lines:
            self._bill(one, lines, reason=reason)

    def _line(
        self, one: Object, item: Object, price: Object, amount: int, quantity: int, start: int,
        end: int, *, of: Object | None = None,
    ) -> Object:  # fmt: skip
        details = {
            "invoice_item": of and of["id"], "proration": of is not None,
            "proration_details": of and {"credited_items": None}, "subscription": one["id"],
            "subscription_item": item["id"],
        }  # fmt: skip
        parent = {"type": "subscription_item_details", "subscription_item_details": details,
                  "invoice_item_details": None}  # fmt: skip
        return self.invoicing.line(
            amount, price["currency"], start, end, price=price, parent=parent, quantity=quantity,
            metadata={} if of else one["metadata"],
            description=f"{'Proration' if of else quantity} × {price['id']}",
        )  # fmt: skip

    def _pending(self, one: Object) -> list[Object]:
        """Lines of the pending items of a subscription, and of its customer without one."""
        lines = []
        for pending in self.records.all("invoiceitem"):
            details = (pending["parent"] or {}).get("subscription_details") or {}
            if (
                pending["invoice"] or pending["customer"] != one["customer"]
                or pending["currency"] != one["currency"]
                or details.get("subscription", one["id"]) != one["id"]
            ):  # fmt: skip
                continue
            lines.append(self._line_of(pending, one))
        return lines

    def _line_of(self, pending: Object, one: Object | None) -> Object:
        period = pending["period"]
        price = None
        if pending["pricing"]:
            price = self.records.get("price", pending["pricing"]["price_details"]["price"])
        if pending["proration"]:
            assert one is not None
            assert price is not None
            item = one["items"]["data"][0]
            line = self._line(
                one, item, price, pending["amount"], pending["quantity"], period["start"],
                period["end"], of=pending,
            )  # fmt: skip
        else:
            details = {"invoice_item": pending["id"], "proration": False,
                       "proration_details": None, "subscription": None}  # fmt: skip
            line = self.invoicing.line(
                pending["amount"], pending["currency"], period["start"], period["end"],
                price=price, metadata=pending["metadata"], description=pending["description"],
                parent={"type": "invoice_item_details", "invoice_item_details": details,
                        "subscription_item_details": None},
            )  # fmt: skip
        return line

    def _bill(self, one: Object, lines: list[Object], *, reason: str) -> Object:
        customer = self.records.get("customer", one["customer"])
        discounts = [self.records.get("discount", name) for name in one["discounts"]]
        invoice = self.invoicing.bill(
            customer, lines, reason=reason, discounts=discounts, tax=self._tax.get(one["id"]),
            subscription=one,
        )  # fmt: skip
        self._invoiced(invoice, lines)
        return invoice

    def _invoiced(self, invoice: Object, lines: list[Object]) -> None:
        for line in lines:
            parents = (line["parent"]["subscription_item_details"] or
                       line["parent"]["invoice_item_details"])  # fmt: skip
            if parents["invoice_item"]:
                item = self.records.get("invoiceitem", parents["invoice_item"])
                item["invoice"] = invoice["id"]

    # Single items and payments.

    def _invoiceitem(
        self, customer: str, amount: int, currency: str, *, period: Object,
        price: Object | None = None, quantity: int = 1, proration: bool = False,
        parent: Object | None = None, metadata: dict[str, str] | None = None,
        description: str = "",
    ) -> Object:  # fmt: skip
        pricing = price and {
            "type": "price_details", "unit_amount_decimal": price["unit_amount_decimal"],
            "price_details": {"price": price["id"], "product": price["product"]},
        }  # fmt: skip
        one = self.records.new(
            "invoiceitem", customer=customer, amount=amount, currency=currency, date=self.now,
            period=period, pricing=pricing, quantity=quantity, quantity_decimal=str(quantity),
            proration=proration, parent=parent, metadata=metadata or {}, description=description,
            discountable=not proration, discounts=[],
        )  # fmt: skip
        self.records.tell("invoiceitem.created", one)
        return one

    def item(
        self, customer: Object, amount: int, *, currency: str = "usd", price: Object | None = None,
        period: tuple[str, str] | None = None, metadata: dict[str, str] | None = None,
        description: str = "",
    ) -> Object:  # fmt: skip
        """An invoice item that waits for the customer's next invoice."""
        start, end = (self.now, self.now) if period is None else map(seconds, period)
        return self._invoiceitem(
            customer["id"], amount, currency, period={"start": start, "end": end}, price=price,
            metadata=metadata, description=description,
        )  # fmt: skip

    def invoice_items(
        self, customer: Object, *, tax: Object | None = None, coupon: Object | None = None,
        finalize: bool = True,
    ) -> Object:  # fmt: skip
        """An invoice of what is pending of a customer, outside of subscriptions."""
        pending = [
            one for one in self.records.all("invoiceitem")
            if one["customer"] == customer["id"] and not one["invoice"] and not one["proration"]
        ]  # fmt: skip
        discounts = []
        if coupon is not None:
            discounts.append(self.records.new(
                "discount", source={"type": "coupon", "coupon": coupon["id"]}, start=self.now,
                customer=customer["id"],
            ))  # fmt: skip
        lines = [self._line_of(one, None) for one in pending]
        invoice = self.invoicing.bill(
            customer, lines, reason="manual", discounts=discounts, tax=tax, finalize=finalize
        )
        self._invoiced(invoice, lines)
        return invoice

    def charge(
        self, customer: Object | None, amount: int, *, currency: str = "usd",
        metadata: dict[str, str] | None = None, succeeds: bool = True,
    ) -> Object:  # fmt: skip
        """A payment without an invoice."""
        name = None if customer is None else customer["id"]
        return self.paying.charge(name, amount, currency, succeeds=succeeds, metadata=metadata)

    def grant(
        self, customer: Object, amount: int, *, paid_by: Object | None = None,
        expires: str | None = None, currency: str = "usd",
    ) -> Object:  # fmt: skip
        """Credit for metered lines.  paid_by: the invoice that it was bought with, else a gift."""
        one = self.records.new(
            "billing.credit_grant", customer=customer["id"],
            amount={"type": "monetary", "monetary": {"currency": currency, "value": amount}},
            category="paid" if paid_by else "promotional", effective_at=self.now,
            expires_at=None if expires is None else seconds(expires), updated=self.now,
            applicability_config={"scope": {"price_type": "metered"}}, priority=50,
            metadata={"noburn_invoice": paid_by["id"]} if paid_by else {},
        )  # fmt: skip
        self.records.tell("billing.credit_grant.created", one)
        return one

    def credit_note(
        self, invoice: Object, amounts: dict[str, int], *, pays: str = "refund"
    ) -> Object:
        """Take lines of an invoice back.

        amounts: by line id, before discount and exclusive tax; both follow in proportion.
        pays, for a paid invoice: `refund`, `balance` (the customer's) or `elsewhere`.
        """
        lines = {line["id"]: line for line in self.invoicing.lines_of(invoice)}
        noted = [self._noted(lines[name], amount) for name, amount in amounts.items()]
        total = sum(one["amount"] - one["discount_amount"] + exclusive_tax(one) for one in noted)
        paid = invoice["status"] == "paid"
        identifier = self.records.new_id("credit_note")
        note = self.records.new(
            "credit_note", invoice=invoice["id"], customer=invoice["customer"], amount=total,
            currency=invoice["currency"], total=total, status="issued", refunds=[],
            subtotal=sum(one["amount"] for one in noted), number=f"CN-{identifier[-4:]}",
            discount_amount=sum(one["discount_amount"] for one in noted), metadata={},
            type="post_payment" if paid else "pre_payment", discount_amounts=[],
            pre_payment_amount=0 if paid else total, post_payment_amount=total if paid else 0,
            total_taxes=[tax for one in noted for tax in one["taxes"]], id=identifier,
            pretax_credit_amounts=[], pdf="https://example.com/note.pdf", effective_at=self.now,
        )  # fmt: skip
        note["lines"] = listed(noted, f"/v1/credit_notes/{note['id']}/lines")
        if not paid:
            invoice["amount_remaining"] -= total
            invoice["amount_due"] -= total
            invoice["pre_payment_credit_notes_amount"] += total
        else:
            invoice["post_payment_credit_notes_amount"] += total
            self._pay_back(note, invoice, total, pays)
        self.records.tell("credit_note.created", note)
        return note

    def _noted(self, line: Object, amount: int) -> Object:
        share = Fraction(amount, line["amount"])
        off = half_up(sum(one["amount"] for one in line["discount_amounts"]) * share)
        taxes = [
            {**t, "amount": half_up(t["amount"] * share),
             "taxable_amount": half_up(t["taxable_amount"] * share)}
            for t in line["taxes"]
        ]  # fmt: skip
        return self.records.new(
            "credit_note_line_item", amount=amount, discount_amount=off, discount_amounts=[],
            invoice_line_item=line["id"], taxes=taxes, type="invoice_line_item", quantity=1,
            description=line["description"],
        )  # fmt: skip

    def _pay_back(self, note: Object, invoice: Object, total: int, pays: str) -> None:
        if pays == "refund":
            refund = self.refund(self.charge_of(invoice), total)
            note["refunds"] = [{"amount_refunded": total, "refund": refund["id"],
                                "type": "refund", "payment_record_refund": None}]  # fmt: skip
        elif pays == "balance":
            self.records.get("customer", invoice["customer"])["balance"] -= total
        else:
            note["out_of_band_amount"] = total

    # What is there.

    def invoices_of(self, customer: Object) -> list[Object]:
        return [i for i in self.records.all("invoice") if i["customer"] == customer["id"]]

    def charges_of(self, customer: Object) -> list[Object]:
        return [c for c in self.records.all("charge") if c["customer"] == customer["id"]]

    def charge_of(self, invoice: Object) -> Object:
        """The charge that paid an invoice."""
        intents = {
            one["payment"]["payment_intent"] for one in self.records.all("invoice_payment")
            if one["invoice"] == invoice["id"]
        }  # fmt: skip
        return next(c for c in self.records.all("charge") if c["payment_intent"] in intents)

    def lines_of(self, invoice: Object) -> list[Object]:
        return self.invoicing.lines_of(invoice)
