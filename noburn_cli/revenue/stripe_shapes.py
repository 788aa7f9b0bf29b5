"""What is kept of Stripe's objects: what facts need, and nothing that says who somebody is.

Layer: revenue, pure.  Below: the standard library.  Above: revenue.stripe_keeping.
Owns: the form of each kept object, and which other it hangs on.  No address, no e-mail, no card, no
free text is taken over; of metadata only the keys that the mapping names.
Fields as in Stripe's API of revenue.stripe_api.API_VERSION.

The parents make trees: refund and dispute -> charge -> payment intent -> invoice; a balance
transaction -> what it is about; a credit note, an invoice payment -> the invoice.  A tree's root
(an invoice, or a charge without one) is what facts are made of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Json = Mapping[str, Any]
#: Metadata of a credit grant that name the invoice it was bought with; Stripe itself does not say.
INVOICE_KEY = "noburn_invoice"
#: Metadata of a line, price or product that say what kind of fact it makes: `credit_grant`.
KIND_KEY = "noburn_kind"


@dataclass(frozen=True)
class Kept:
    """One object as it is kept.

    parent: the id that it hangs on, or "".  customer: Stripe's id of who pays, or "".
    """

    id: str
    type: str
    parent: str
    customer: str
    data: dict[str, Any]


class Shapes:
    """Reduces objects.  keys: the metadata keys that are kept."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._keys = (*keys, KIND_KEY, INVOICE_KEY)

    def kept(self, one: Json) -> list[Kept]:
        """What is kept of an object: itself, and the links that it tells; nothing of other kinds.

        Of one that was deleted nothing: who a customer was stays true of what they paid.
        """
        make = _MAKERS.get(str(one.get("object", "")))
        return make(self, one) if make and not one.get("deleted") else []

    def _metadata(self, one: Json) -> dict[str, str]:
        said = one.get("metadata") or {}
        return {key: str(said[key]) for key in self._keys if said.get(key)}

    def _named(self, one: Json) -> list[Kept]:
        """A customer, product, price or subscription: who and what for."""
        kind = str(one["object"])
        data: dict[str, Any] = {"metadata": self._metadata(one)}
        customer = ""
        if kind in ("customer", "product"):
            data["name"] = one.get("name") or ""
            customer = one["id"] if kind == "customer" else ""
        elif kind == "price":
            recurring = one.get("recurring") or {}
            data.update(product=_id(one.get("product")), metered=_is_metered(recurring))
        else:
            customer = _id(one.get("customer"))
            data["status"] = one.get("status")
        return [Kept(one["id"], kind, "", customer, data)]

    def _invoice(self, one: Json) -> list[Kept]:
        moved = one.get("status_transitions") or {}
        parent = (one.get("parent") or {}).get("subscription_details") or {}
        data = {
            "status": one.get("status") or "draft", "currency": one["currency"],
            "created": one["created"], "total": one["total"],
            "at": one.get("effective_at") or moved.get("finalized_at") or one["created"],
            "remaining": one["amount_remaining"], "name": one.get("customer_name") or "",
            "uncollectible_at": moved.get("marked_uncollectible_at"),
            "subscription": _id(parent.get("subscription")), "metadata": self._metadata(one),
            "lines": [self.line(line) for line in one["lines"]["data"]],
        }  # fmt: skip
        return [Kept(one["id"], "invoice", "", _id(one.get("customer")), data)]

    def line(self, one: Json) -> dict[str, Any]:
        """One line of an invoice."""
        parent = one.get("parent") or {}
        details = parent.get("subscription_item_details") or {}
        item = parent.get("invoice_item_details") or {}
        price = ((one.get("pricing") or {}).get("price_details")) or {}
        credit = [c for c in one.get("pretax_credit_amounts") or [] if _is_credit(c)]
        return {
            "id": one["id"], "amount": one["amount"], "metadata": self._metadata(one),
            "discount": sum(d["amount"] for d in one.get("discount_amounts") or []),
            "credits": [[_id(c["credit_balance_transaction"]), c["amount"]] for c in credit],
            **_taxes(one),
            "start": one["period"]["start"], "end": one["period"]["end"],
            "price": _id(price.get("price")), "product": _id(price.get("product")),
            "subscription": _id(
                details.get("subscription") or item.get("subscription") or one.get("subscription")
            ),
            "item": details.get("invoice_item") or item.get("invoice_item") or "",
            "quantity": one.get("quantity"),
        }  # fmt: skip

    def _payment(self, one: Json) -> list[Kept]:
        """How an invoice was paid: a link from the payment to the invoice."""
        payment = one.get("payment") or {}
        paid_by = _id(payment.get("payment_intent")) or _id(payment.get("charge"))
        invoice = _id(one["invoice"])
        kept = [Kept(one["id"], "invoice_payment", invoice, "", {"status": one["status"]})]
        if paid_by.startswith("pi_"):
            kept.append(Kept(paid_by, "payment_intent", invoice, "", {}))
        elif paid_by:
            kept.append(Kept(f"link:{paid_by}", "charge_link", invoice, "", {"charge": paid_by}))
        return kept

    def _invoiceitem(self, one: Json) -> list[Kept]:
        details = (one.get("parent") or {}).get("subscription_details") or {}
        price = ((one.get("pricing") or {}).get("price_details")) or {}
        data = {
            "amount": one["amount"], "currency": one["currency"], "created": one["date"],
            "invoice": _id(one.get("invoice")), "metadata": self._metadata(one),
            "start": one["period"]["start"], "end": one["period"]["end"],
            "price": _id(price.get("price")), "product": _id(price.get("product")),
            "subscription": _id(details.get("subscription")), "quantity": one.get("quantity"),
        }  # fmt: skip
        return [Kept(one["id"], "invoiceitem", "", _id(one.get("customer")), data)]

    def _charge(self, one: Json) -> list[Kept]:
        data = {
            "amount": one.get("amount_captured") or 0, "currency": one["currency"],
            "created": one["created"], "status": one["status"], "metadata": self._metadata(one),
            "disputed": bool(one.get("disputed")), "balance": _id(one.get("balance_transaction")),
        }  # fmt: skip
        parent = _id(one.get("payment_intent"))
        return [Kept(one["id"], "charge", parent, _id(one.get("customer")), data)]

    def _refund(self, one: Json) -> list[Kept]:
        data = {
            "amount": one["amount"], "currency": one["currency"], "created": one["created"],
            "status": one.get("status") or "succeeded",
            "balance": _id(one.get("balance_transaction")),
        }  # fmt: skip
        parent = _id(one.get("charge")) or _id(one.get("payment_intent"))
        return [Kept(one["id"], "refund", parent, "", data)]

    def _dispute(self, one: Json) -> list[Kept]:
        data = {
            "amount": one["amount"], "currency": one["currency"], "created": one["created"],
            "status": one["status"],
            "balances": [_balance(b) for b in one.get("balance_transactions") or []],
        }  # fmt: skip
        return [Kept(one["id"], "dispute", _id(one["charge"]), "", data)]

    def _transaction(self, one: Json) -> list[Kept]:
        parent = _id(one.get("source"))
        return [Kept(one["id"], "balance_transaction", parent, "", _balance(one))]

    def _credit_note(self, one: Json) -> list[Kept]:
        refunds = [[_id(r["refund"]), r["amount_refunded"]] for r in one.get("refunds") or []]
        data = {
            "status": one["status"], "total": one["total"], "currency": one["currency"],
            "at": one.get("effective_at") or one["created"], "refunds": refunds,
            "lines": [self.noted(line) for line in one["lines"]["data"]],
        }  # fmt: skip
        customer = _id(one.get("customer"))
        return [Kept(one["id"], "credit_note", _id(one["invoice"]), customer, data)]

    def noted(self, one: Json) -> dict[str, Any]:
        """One line of a credit note."""
        return {
            "id": one["id"], "line": one.get("invoice_line_item") or "", "amount": one["amount"],
            "discount": one["discount_amount"], **_taxes(one),
        }  # fmt: skip

    def _grant(self, one: Json) -> list[Kept]:
        metadata = self._metadata(one)
        data = {
            "category": one["category"], "metadata": metadata, "created": one["created"],
            "starts": one.get("effective_at") or one["created"],
            "ends": one.get("voided_at") or one.get("expires_at"),
        }  # fmt: skip
        bought_with = metadata.get(INVOICE_KEY, "")
        return [Kept(one["id"], one["object"], bought_with, _id(one.get("customer")), data)]

    def _spent(self, one: Json) -> list[Kept]:
        applied = (one.get("debit") or {}).get("credits_applied") or {}
        data = {"grant": _id(one["credit_grant"])}
        return [Kept(one["id"], one["object"], _id(applied.get("invoice")), "", data)]


_MAKERS: dict[str, Callable[[Shapes, Json], list[Kept]]] = {
    "customer": Shapes._named, "product": Shapes._named, "price": Shapes._named,
    "subscription": Shapes._named, "invoice": Shapes._invoice, "refund": Shapes._refund,
    "invoice_payment": Shapes._payment, "invoiceitem": Shapes._invoiceitem,
    "charge": Shapes._charge, "dispute": Shapes._dispute, "credit_note": Shapes._credit_note,
    "balance_transaction": Shapes._transaction, "billing.credit_grant": Shapes._grant,
    "billing.credit_balance_transaction": Shapes._spent,
}  # fmt: skip


def _id(value: Any) -> str:
    """An id, whether the object behind it was expanded or not."""
    if isinstance(value, Mapping):
        return str(value.get("id", ""))
    return str(value) if value else ""


def _is_metered(recurring: Json) -> bool:
    return recurring.get("usage_type") == "metered"


def _is_credit(one: Json) -> bool:
    return one.get("type") == "credit_balance_transaction" and bool(one["amount"])


def _taxes(one: Json) -> dict[str, int]:
    """The taxes of a line: inside of its amount, and on top of it."""
    sums = {"inclusive": 0, "exclusive": 0}
    for tax in one.get("taxes") or []:
        sums[tax["tax_behavior"]] += tax["amount"]
    return {"tax_inside": sums["inclusive"], "tax_on_top": sums["exclusive"]}


def _balance(one: Json) -> dict[str, Any]:
    """A movement of the account's balance.  The rate as text: JSON's number, as it was written."""
    rate = one.get("exchange_rate")
    return {
        "id": one["id"], "amount": one["amount"], "fee": one["fee"], "type": one["type"],
        "currency": one["currency"], "created": one["created"],
        "rate": "" if rate is None else repr(rate),
    }  # fmt: skip
