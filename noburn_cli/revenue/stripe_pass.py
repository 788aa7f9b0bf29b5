"""One pass over Stripe's lists: what was made since the last one, page by page.

Layer: revenue.  Below: revenue.stripe_api, stripe_keeping, stripe_shapes, store.
Above: revenue.stripe_import.
Owns: which lists are read, in which order and between which moments; that a page and the place it
ends at are kept in one transaction, so that a pass that was killed goes on there.

A pass reads what was made from `since_s` (the start of the last one, and an hour before it, since a
list may lag behind) to `until_s` (its own start, by Stripe's clock).  Both stay the same however
often it is taken up again.  What changes afterwards leaves an event (revenue.stripe_changes).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from noburn_cli.revenue.store import RevenueStore
from noburn_cli.revenue.stripe_api import NotThere, StripeApi
from noburn_cli.revenue.stripe_keeping import Keeping
from noburn_cli.revenue.stripe_shapes import Kept, Shapes

OVERLAP_S = 3_600
#: Younger than that an event is surely there: Stripe keeps them for 30 days
#: (https://docs.stripe.com/api/events, looked up 2026-11-27).
EVENTS_KEPT_S = 28 * 86_400
_PASS, _DONE = "pass", "done"


@dataclass(frozen=True)
class Listing:
    """One list.

    created: whether it can be asked between moments.  names: whether it tells names, which change
    without another object being made.
    """

    path: str
    what: str
    created: bool = True
    names: bool = False
    more: Mapping[str, Any] = field(default_factory=dict)


#: Names first, then what was billed, then how it was paid, then what was taken back: what a page
#: needs for its facts is there before it, though facts are made when all is.
LISTS = (
    Listing("/v1/products", "products", names=True),
    Listing("/v1/prices", "prices", names=True),
    Listing("/v1/customers", "customers", names=True),
    Listing("/v1/subscriptions", "subscriptions", names=True, more={"status": "all"}),
    Listing("/v1/invoices", "invoices"),
    Listing("/v1/invoiceitems", "pending items", created=False, more={"pending": "true"}),
    Listing("/v1/invoice_payments", "payments of invoices"),
    Listing("/v1/charges", "charges"),
    Listing("/v1/balance_transactions", "balance transactions"),
    Listing("/v1/refunds", "refunds"),
    Listing("/v1/disputes", "disputes"),
    Listing("/v1/credit_notes", "credit notes"),
    Listing("/v1/billing/credit_grants", "credit grants", created=False),
)

#: What an object hangs on, by its type: it may be older than what is listed.
_ABOVE = {
    "refund": "charge", "dispute": "charge", "credit_note": "invoice", "invoice_payment": "invoice",
}  # fmt: skip
#: The kind of wanting to know which charge a payment intent made.
CHARGES = "charges of intent"
Tell = Callable[[int, str], None]


@dataclass
class Pass:
    """Where a pass is.

    since_s, until_s: what is listed, by when it was made, epoch seconds; names_s: the same as
    since_s for what tells names, 0 where no event tells any more which of them changed.
    places: by a list's path, the last id that was kept, or "done".
    """

    since_s: int
    until_s: int
    names_s: int
    places: dict[str, str] = field(default_factory=dict)

    def text(self) -> str:
        return json.dumps(
            {
                "since": self.since_s, "until": self.until_s, "names": self.names_s,
                "places": self.places,
            },
            sort_keys=True,
        )  # fmt: skip


def unfinished_pass(store: RevenueStore, source: str) -> Pass | None:
    """The pass that was broken off, if one was."""
    text = store.cursor(source, _PASS)
    if text is None:
        return None
    said = json.loads(text)
    return Pass(said["since"], said["until"], said["names"], said["places"])


def last_done_s(store: RevenueStore, source: str) -> int | None:
    """When the last whole pass began, by Stripe's clock; None before the first."""
    text = store.cursor(source, _DONE)
    return None if text is None else int(text)


class Reader:
    """Reads the lists of one pass into the store."""

    def __init__(self, api: StripeApi, store: RevenueStore, shapes: Shapes, tell: Tell) -> None:
        self._api = api
        self._store = store
        self._shapes = shapes
        self._tell = tell
        self.keeping = Keeping(store, api.source)

    def begin(self, one: Pass) -> None:
        with self._store.change():
            self._store.set_cursor(self._api.source, _PASS, one.text())

    def end(self, one: Pass) -> None:
        """The pass is whole: the next one begins where it began."""
        with self._store.change():
            self._store.set_cursor(self._api.source, _PASS, None)
            self._store.set_cursor(self._api.source, _DONE, str(one.until_s))

    def read(self, one: Pass) -> None:
        """Every list, from where the pass is.  Raises what revenue.stripe_api raises."""
        for listing in LISTS:
            if one.places.get(listing.path) != _DONE:
                self._list(one, listing)

    def _list(self, one: Pass, listing: Listing) -> None:
        question = self._question(one, listing)
        after = one.places.get(listing.path)
        try:
            self._pages(one, listing, question, after)
        except NotThere:
            if after is None:
                raise
            # The object that the last page ended with is gone: its list is read again, and what is
            # known of it changes nothing.
            del one.places[listing.path]
            self._pages(one, listing, question, None)

    def _question(self, one: Pass, listing: Listing) -> dict[str, Any]:
        question = dict(listing.more)
        if listing.created:
            since_s = one.names_s if listing.names else one.since_s
            question["created"] = {"gte": since_s, "lte": one.until_s}
        return question

    def _pages(
        self, one: Pass, listing: Listing, question: dict[str, Any], after: str | None
    ) -> None:
        seen = 0
        for page in self._api.pages(listing.path, after=after, **question):
            with self._store.change():
                for found in page:
                    self.take(found)
                if page:
                    one.places[listing.path] = page[-1]["id"]
                self._store.set_cursor(self._api.source, _PASS, one.text())
            seen += len(page)
            self._tell(seen, listing.what)
        with self._store.change():
            one.places[listing.path] = _DONE
            self._store.set_cursor(self._api.source, _PASS, one.text())

    def take(self, found: Mapping[str, Any]) -> None:
        """Inside `change`: keep an object, and ask for what it does not carry itself."""
        kind = str(found.get("object", ""))
        if found.get("deleted") and kind in ("invoice", "invoiceitem"):
            self.keeping.remove(str(found["id"]))
            return
        kept = self._shapes.kept(found)
        lines = found.get("lines")
        if kind in ("invoice", "credit_note") and lines and lines["has_more"]:
            # Its first ten lines alone would be too little money: it is kept when all are there.
            self.keeping.want(f"{kind}_lines", str(found["id"]))
            return
        self.keeping.put(kept)
        self._want_above(kept)
        for line in kept[0].data["lines"] if kind == "invoice" and kept else ():
            if line["item"]:
                self.keeping.invoiced(line["item"], kept[0].id)
            for spent, _ in line["credits"]:
                if self.keeping.get(spent) is None:
                    self.keeping.want("billing.credit_balance_transaction", spent)

    def _want_above(self, kept: list[Kept]) -> None:
        """Inside `change`: ask for the charge or invoice that an object is about, if it is unknown.

        One that is only just being listed is here before the import asks.
        """
        for one in kept:
            above = _ABOVE.get(one.type)
            if above and one.parent and self.keeping.get(one.parent) is None:
                is_intent = one.parent.startswith("pi_")
                self.keeping.want(CHARGES if is_intent else above, one.parent)
