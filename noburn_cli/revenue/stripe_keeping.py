"""Keeping what Stripe told: objects by id, the trees they make, and whose facts are stale.

Layer: revenue.  Below: revenue.store, revenue.stripe_shapes.
Above: revenue.stripe_pass, revenue.stripe_changes, revenue.stripe_deriving.
Owns: the tables `objects`, `wanted` and `dirty` of one source; which roots a change touches.
Every writer runs inside `store.change()`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from noburn_cli.revenue.store import RevenueStore
from noburn_cli.revenue.stripe_shapes import Kept

#: A tree is five deep (refund, charge, payment intent, invoice); a longer chain is no tree.
_DEPTH_MAX = 8
#: Types that name things: a change of one touches the facts of many roots.
_NAMING = ("customer", "product", "price", "subscription")
_ROOTS = ("invoice", "charge", "invoiceitem", "balance_transaction")


class Keeping:
    """The objects of one source (live or test mode)."""

    def __init__(self, store: RevenueStore, source: str) -> None:
        self.store = store
        self.source = source

    def put(self, kept: Iterable[Kept]) -> None:
        """Keep objects, and mark the roots whose facts they change; the same again does nothing."""
        for one in kept:
            data = json.dumps(one.data, separators=(",", ":"), sort_keys=True)
            before = self.store.rows(
                "SELECT parent, customer, data FROM objects WHERE source = ? AND id = ?",
                self.source, one.id,
            )  # fmt: skip
            if before == [(one.parent, one.customer, data)]:
                continue
            if before:
                self.mark(self.root(one.id))
            self.store.connection.execute(
                "INSERT INTO objects VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
                "(type, parent, customer, data) = "
                "(excluded.type, excluded.parent, excluded.customer, excluded.data)",
                (self.source, one.id, one.type, one.parent, one.customer, data),
            )
            self._touch(one)

    def invoiced(self, item: str, invoice: str) -> None:
        """A pending item stands on an invoice now, and is a line there."""
        one = self.get(item)
        if one is not None and not one.data["invoice"]:
            self.put([replace(one, data={**one.data, "invoice": invoice})])

    def refunds_are_of(self, intent: str, charge: str) -> None:
        """Refunds that name a payment intent alone are of its charge."""
        for name, kind in self.below(intent):
            one = self.get(name)
            if kind == "refund" and one is not None:
                self.put([replace(one, parent=charge)])

    def remove(self, identifier: str) -> None:
        """Forget an object that is gone: a draft that was deleted, an item."""
        self.mark(self.root(identifier))
        self.mark(identifier)
        self.store.connection.execute(
            "DELETE FROM objects WHERE source = ? AND id = ?", (self.source, identifier)
        )

    def _touch(self, one: Kept) -> None:
        if one.type in _NAMING:
            self._mark_named(one)
            return
        self.mark(self.root(one.id))
        if one.type in ("payment_intent", "charge_link"):
            # Charges that were roots of their own before the link came.
            for charge, _ in self.below(one.data.get("charge", one.id)):
                self.mark(charge)
            self.mark(one.data.get("charge", ""))

    def _mark_named(self, one: Kept) -> None:
        where, values = "", []
        if one.type in ("customer", "subscription") and one.customer:
            where, values = "AND customer = ?", [one.customer]
        kinds = ", ".join("?" * len(_ROOTS))
        self.store.connection.execute(
            "INSERT OR IGNORE INTO dirty SELECT source, id FROM objects "  # noqa: S608 -- our own
            f"WHERE source = ? AND type IN ({kinds}) {where}",
            (self.source, *_ROOTS, *values),
        )

    def mark(self, root: str) -> None:
        """The facts of a root are to be made anew."""
        if root:
            self.store.connection.execute(
                "INSERT OR IGNORE INTO dirty VALUES (?, ?)", (self.source, root)
            )

    def mark_all(self) -> None:
        """All facts are: rates or the mapping changed."""
        kinds = ", ".join("?" * len(_ROOTS))
        self.store.connection.execute(
            "INSERT OR IGNORE INTO dirty SELECT source, id FROM objects "  # noqa: S608 -- our own
            f"WHERE source = ? AND type IN ({kinds})",
            (self.source, *_ROOTS),
        )

    def want(self, kind: str, identifier: str) -> None:
        """Ask for an object before the import ends."""
        self.store.connection.execute(
            "INSERT OR IGNORE INTO wanted VALUES (?, ?, ?)", (self.source, kind, identifier)
        )

    def wanted(self) -> list[tuple[str, str]]:
        return self.store.rows(
            "SELECT type, id FROM wanted WHERE source = ? ORDER BY type, id", self.source
        )

    def got(self, kind: str, identifier: str) -> None:
        self.store.connection.execute(
            "DELETE FROM wanted WHERE source = ? AND type = ? AND id = ?",
            (self.source, kind, identifier),
        )

    def get(self, identifier: str) -> Kept | None:
        """One object, or None."""
        found = self.store.rows(
            "SELECT id, type, parent, customer, data FROM objects WHERE source = ? AND id = ?",
            self.source, identifier,
        )  # fmt: skip
        return _kept(found[0]) if found else None

    def below(self, identifier: str) -> list[tuple[str, str]]:
        """(id, type) of what hangs on an object directly."""
        return self.store.rows(
            "SELECT id, type FROM objects WHERE source = ? AND parent = ? ORDER BY id",
            self.source, identifier,
        )  # fmt: skip

    def tree(self, root: str) -> list[Kept]:
        """A root and everything below it that is there."""
        found: list[Kept] = []
        waiting = [root]
        while waiting:
            identifier = waiting.pop()
            one = self.get(identifier)
            if one is not None:
                found.append(one)
                if one.type == "charge_link":
                    waiting.append(one.data["charge"])
            waiting += [name for name, _ in self.below(identifier)]
        return found

    def root(self, identifier: str) -> str:
        """The last object that is there on the way up."""
        for _ in range(_DEPTH_MAX):
            one = self.get(identifier)
            if one is None:
                return identifier
            above = one.parent
            if one.type == "charge" and self.get(above) is None:
                link = self.get(f"link:{identifier}")
                above = link.parent if link else ""
            elif one.type in ("refund", "dispute", "balance_transaction") and not above:
                return identifier
            if not above or (one.type == "charge" and self.get(above) is None):
                return identifier
            identifier = above
        return identifier

    def unfinished(self, last_s: int) -> list[tuple[str, str]]:
        """(type, id) of objects that could become something else after a moment, epoch seconds."""
        rows = self.store.rows(
            "SELECT type, id, data ->> 'status' FROM objects WHERE source = ? AND type IN "
            "('invoice', 'dispute', 'refund', 'charge')",
            self.source,
        )
        found = [(kind, name) for kind, name, status in rows if status not in _FINAL[kind]]
        pending = self.store.rows(
            "SELECT type, id FROM objects WHERE source = ? AND type = 'invoiceitem' "
            "AND data ->> 'invoice' = ''",
            self.source,
        )
        recent = self.store.rows(
            "SELECT type, id FROM objects WHERE source = ? AND type = 'refund' "
            "AND data ->> 'status' = 'succeeded' AND data ->> 'created' >= ?",
            self.source, last_s - _REFUND_FAILS_S,
        )  # fmt: skip
        # A note can be voided as long as its invoice is not paid.
        notes = self.store.rows(
            "SELECT o.type, o.id FROM objects AS o JOIN objects AS i "
            "ON i.id = o.parent AND i.source = o.source "
            "WHERE o.source = ? AND o.type = 'credit_note' AND o.data ->> 'status' = 'issued' "
            "AND i.data ->> 'status' NOT IN ('paid', 'void')",
            self.source,
        )
        return [*found, *pending, *recent, *notes]


#: How long after it was made a refund that succeeded may fail: a customer's bank returns it within
#: 30 days (https://docs.stripe.com/refunds, failed refunds; looked up 2026-11-27); twice that.
_REFUND_FAILS_S = 60 * 86_400
#: A paid or void invoice, a decided dispute, a refund that arrived long ago: what changes them
#: later is an object of its own (a credit note, a refund, another dispute).
_FINAL = {
    "invoice": ("paid", "void"),
    "dispute": ("lost", "won", "prevented", "warning_closed"),
    "refund": ("succeeded", "failed", "canceled"),
    "charge": ("succeeded", "failed"),
}


def _kept(row: tuple[Any, ...]) -> Kept:
    identifier, kind, parent, customer, data = row
    return Kept(identifier, kind, parent, customer, json.loads(data))
