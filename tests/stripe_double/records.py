"""The objects of one account, in memory: made at their emptiest by Stripe's schemas, then filled.

Owns: ids, the clock, and the events that each change leaves behind.
"""

from __future__ import annotations

import copy
from datetime import datetime, timezone
from typing import Any

from tests.stripe_double.openapi import api_version, blank

PREFIXES = {
    "customer": "cus", "product": "prod", "price": "price", "coupon": "coupon",
    "tax_rate": "txr", "discount": "di", "subscription": "sub", "subscription_item": "si",
    "invoice": "in", "line_item": "il", "invoiceitem": "ii", "invoice_payment": "inpay",
    "charge": "ch", "balance_transaction": "txn", "refund": "re", "dispute": "du",
    "credit_note": "cn", "credit_note_line_item": "cnli", "billing.credit_grant": "credgr",
    "billing.credit_balance_transaction": "cbtxn", "event": "evt", "payment_intent": "pi",
}  # fmt: skip
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def seconds(moment: str | int) -> int:
    """Epoch seconds of `2026-01-31` or `2026-01-31T12:00:00` (UTC)."""
    if isinstance(moment, int):
        return moment
    return int(datetime.fromisoformat(moment).replace(tzinfo=timezone.utc).timestamp())


class Records:
    """Every object by type and id, oldest first."""

    def __init__(self, start: str | int, *, livemode: bool) -> None:
        self.now = seconds(start)
        self.livemode = livemode
        self.by_type: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in PREFIXES}
        self._number = 0

    def new_id(self, kind: str) -> str:
        self._number += 1
        left, digits = self._number, ""
        while left:
            left, rest = divmod(left, 36)
            digits = _DIGITS[rest] + digits
        return f"{PREFIXES[kind]}_{digits.rjust(14, '0')}"

    def new(self, kind: str, **values: Any) -> dict[str, Any]:
        """A new object, kept."""
        one = blank(kind)
        one.update(id=self.new_id(kind), object=kind)
        if "created" in one:
            one["created"] = self.now
        if "livemode" in one:
            one["livemode"] = self.livemode
        one.update(values)
        self.by_type[kind][one["id"]] = one
        return one

    def tell(self, event: str, about: dict[str, Any]) -> None:
        """Leave an event behind, with the object as it is now."""
        self.new(
            "event", type=event, api_version=api_version(), pending_webhooks=0,
            data={"object": copy.deepcopy(about)}, request={"id": None, "idempotency_key": None},
        )  # fmt: skip

    def get(self, kind: str, identifier: str) -> dict[str, Any]:
        return self.by_type[kind][identifier]

    def all(self, kind: str) -> list[dict[str, Any]]:
        return list(self.by_type[kind].values())


def listed(data: list[dict[str, Any]], url: str) -> dict[str, Any]:
    """A list inside of an object: its first ten."""
    return {"object": "list", "data": data[:10], "has_more": len(data) > 10, "url": url}
