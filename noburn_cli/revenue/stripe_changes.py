"""What changed since the last pass: by events, and by looking at what may still change.

Layer: revenue.  Below: revenue.stripe_api, stripe_keeping, stripe_pass.
Above: revenue.stripe_import, revenue.stripe_webhook.
Owns: which events matter, that an event is only a hint (the object is asked for again, as it is
now), and what is looked at when events are no longer there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from noburn_cli.revenue.store import RevenueStore
from noburn_cli.revenue.stripe_api import NotThere, StripeApi
from noburn_cli.revenue.stripe_pass import CHARGES, EVENTS_KEPT_S, OVERLAP_S, Pass, Reader, Tell

#: The kind of wanting to know which invoice a payment is for.
_LINK = "invoice of intent"
#: A question takes at most twenty names.
_EVENTS = (
    (
        *("invoice.finalized", "invoice.paid", "invoice.voided", "invoice.updated"),
        *("invoice.marked_uncollectible", "invoice.deleted", "invoice_payment.paid"),
        *("charge.succeeded", "charge.failed", "charge.updated", "charge.captured"),
        *("charge.refunded", "refund.updated", "refund.failed", "charge.refund.updated"),
    ),
    (
        *("charge.dispute.updated", "charge.dispute.closed", "charge.dispute.funds_withdrawn"),
        *("charge.dispute.funds_reinstated", "credit_note.updated", "credit_note.voided"),
        *("customer.updated", "customer.deleted", "customer.subscription.updated"),
        *("customer.subscription.deleted", "product.updated", "price.updated"),
        *("billing.credit_grant.updated", "invoiceitem.deleted"),
    ),
)
#: Where one object of a type is asked for.
_PATHS = {
    "invoice": "/v1/invoices", "charge": "/v1/charges", "refund": "/v1/refunds",
    "dispute": "/v1/disputes", "credit_note": "/v1/credit_notes", "customer": "/v1/customers",
    "subscription": "/v1/subscriptions", "product": "/v1/products", "price": "/v1/prices",
    "invoiceitem": "/v1/invoiceitems", "invoice_payment": "/v1/invoice_payments",
    "balance_transaction": "/v1/balance_transactions",
    "billing.credit_grant": "/v1/billing/credit_grants",
    "billing.credit_balance_transaction": "/v1/billing/credit_balance_transactions",
}  # fmt: skip


class Changes:
    """Finds what changed, and asks for it."""

    def __init__(self, api: StripeApi, store: RevenueStore, reader: Reader, tell: Tell) -> None:
        self._api = api
        self._store = store
        self._reader = reader
        self._keeping = reader.keeping
        self._tell = tell

    def find(self, one: Pass, last_s: int, *, look_back_s: int = 0) -> None:
        """Want everything that changed between the last pass and this one.

        look_back_s: how far back objects are asked for whatever events say; 0 for not at all.
        """
        if one.until_s - last_s < EVENTS_KEPT_S:
            for types in _EVENTS:
                self._events(one, last_s, types)
        else:
            self._look_again(last_s)
        if look_back_s:
            self._look_back(one.until_s - look_back_s)

    def _events(self, one: Pass, last_s: int, types: tuple[str, ...]) -> None:
        created = {"gte": last_s - OVERLAP_S, "lte": one.until_s}
        for page in self._api.pages("/v1/events", created=created, types=list(types)):
            with self._store.change():
                for event in page:
                    about = event["data"]["object"]
                    made = about.get("created") or about.get("date") or 0
                    # What was made since has just been listed, as it is now.
                    if made < one.since_s:
                        self.hint(about)

    def hint(self, about: Mapping[str, Any]) -> None:
        """Inside `change`: something is said to have happened to an object."""
        kind = str(about.get("object", ""))
        if kind in _PATHS and about.get("id"):
            self._keeping.want(kind, str(about["id"]))

    def _look_again(self, last_s: int) -> None:
        """Events are gone: ask for all that can still become something else.

        Names are listed anew by the pass itself.
        """
        with self._store.change():
            for kind, name in self._keeping.unfinished(last_s):
                self._keeping.want(kind, name)

    def _look_back(self, since_s: int) -> None:
        with self._store.change():
            for kind in ("invoice", "charge", "refund", "dispute", "credit_note"):
                rows = self._store.rows(
                    "SELECT id FROM objects WHERE source = ? AND type = ? "
                    "AND coalesce(data ->> 'created', data ->> 'at') >= ?",
                    self._api.source, kind, since_s,
                )  # fmt: skip
                for (name,) in rows:
                    self._keeping.want(kind, name)

    def fetch(self) -> None:
        """Ask for everything wanted, and for what that wants, until nothing is."""
        done = 0
        while wanted := self._keeping.wanted():
            for kind, name in wanted:
                if kind == _LINK:
                    self._link(name)
                elif kind == CHARGES:
                    self._charges(name)
                else:
                    self._one(kind, name)
                done += 1
                self._tell(done, "changes")

    def _link(self, intent: str) -> None:
        """Ask which invoice a payment intent paid, if any."""
        question = {"type": "payment_intent", "payment_intent": intent}
        pages = list(self._api.pages("/v1/invoice_payments", payment=question))
        with self._store.change():
            self._keeping.got(_LINK, intent)
            for page in pages:
                for found in page:
                    self._reader.take(found)

    def _charges(self, intent: str) -> None:
        """Ask for the charge that a refund is of, which names its payment intent alone."""
        pages = list(self._api.pages("/v1/charges", payment_intent=intent))
        with self._store.change():
            self._keeping.got(CHARGES, intent)
            for found in (one for page in pages for one in page):
                self._reader.take(found)
                self._follow(found)
                if found["status"] == "succeeded":
                    self._keeping.refunds_are_of(intent, str(found["id"]))

    def _one(self, kind: str, name: str) -> None:
        found: Mapping[str, Any] | None
        try:
            found = self._asked(kind, name)
        except NotThere:
            found = None
        with self._store.change():
            self._keeping.got(kind, name)
            if found is None:
                self._keeping.remove(name)
                return
            self._reader.take(found)
            self._follow(found)

    def _asked(self, kind: str, name: str) -> Mapping[str, Any]:
        """An object as it is now; one with more lines than it carries, with all of them."""
        base = kind.removesuffix("_lines")
        found = self._api.get(f"{_PATHS[base]}/{name}")
        if base == kind:
            return found
        lines = [line for page in self._api.pages(f"{_PATHS[base]}/{name}/lines") for line in page]
        found["lines"] = {"data": lines, "has_more": False}
        return found

    def _follow(self, found: Mapping[str, Any]) -> None:
        """What an object names and a list may not have told yet: its movement, its payments."""
        kind = found.get("object")
        balance = found.get("balance_transaction")
        intent = found.get("payment_intent")
        if kind == "charge" and intent and self._keeping.get(str(intent)) is None:
            self._keeping.want(_LINK, str(intent))
        if kind in ("charge", "refund") and balance and self._keeping.get(str(balance)) is None:
            self._keeping.want("balance_transaction", str(balance))
