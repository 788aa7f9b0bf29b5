"""A year's revenue counted again, day by day, from what the double's business did; shares no code.

Amounts are exact dollars.  Of an invoice that something is taken back from one line alone may be
positive: which of several it would come from is the import's rule, and tested with it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import date, datetime, timezone
from fractions import Fraction
from typing import Any

Object = dict[str, Any]
DAY_S = 86_400
EPOCH = date(1970, 1, 1).toordinal()


def day_of(seconds: int) -> int:
    return EPOCH + seconds // DAY_S


def month_of(day: int) -> str:
    return f"{date.fromordinal(day):%Y-%m}"


class Row:
    """One amount by day: what each day earns, and what it was to begin with."""

    def __init__(self, amount: Fraction, weights: Mapping[int, Fraction]) -> None:
        whole = sum(weights.values())
        self.weights = {day: weight / whole for day, weight in weights.items()}
        self.days = defaultdict(Fraction)
        self.owed = amount
        for day, weight in self.weights.items():
            self.days[day] = amount * weight

    def take(self, day: int, amount: Fraction) -> None:
        """First out of the days to come, the rest out of this one."""
        ahead = sum(value for when, value in self.days.items() if when >= day)
        cut = min(amount, ahead)
        for when in list(self.days):
            if when >= day and ahead:
                self.days[when] -= self.days[when] * cut / ahead
        self.days[day] -= amount - cut
        self.owed -= amount

    def give(self, day: int, amount: Fraction) -> None:
        """As if it had been earned all along, and the rest from here on."""
        self.owed += amount
        before = sum(value for when, value in self.days.items() if when < day)
        due = self.owed * sum(w for when, w in self.weights.items() if when < day)
        ahead = {when: w for when, w in self.weights.items() if when >= day}
        for when in list(self.days):
            if when >= day:
                self.days[when] = Fraction(0)
        rest = self.owed - (due if ahead else self.owed)
        self.days[day] += self.owed - rest - before
        for when, weight in ahead.items():
            self.days[when] += rest * weight / sum(ahead.values())


class Pencil:
    """Every customer's revenue and fees by month."""

    def __init__(self, business: Any, calls: Mapping[str, Mapping[int, int]]) -> None:
        """calls: how many calls a customer made, by day."""
        self._business = business
        self._calls = calls
        self.revenue: dict[tuple[str, str], Fraction] = defaultdict(Fraction)
        self.fees: dict[tuple[str, str], Fraction] = defaultdict(Fraction)
        self._spent: dict[str, dict[int, Fraction]] = defaultdict(lambda: defaultdict(Fraction))
        invoices = [one for one in business.records.all("invoice")
                    if one["status"] not in ("draft", "void")]  # fmt: skip
        for invoice in invoices:
            self._invoice(invoice)
        for grant in business.records.all("billing.credit_grant"):
            self._grant(grant)
        for one in business.records.all("balance_transaction"):
            if one["type"] == "stripe_fee":  # for Stripe's own services, of nobody
                self.fees["(none)", month_of(day_of(one["created"]))] += Fraction(
                    one["amount"], 100
                )

    def whose(self, payer: str) -> str:
        one = self._business.records.get("customer", payer)
        return one["metadata"].get("noburn_customer", f"(unmapped) {one['name']}")

    def _book(self, invoice: Object, row: Row) -> None:
        for day, amount in row.days.items():
            self.revenue[self.whose(invoice["customer"]), month_of(day)] += amount

    def _invoice(self, invoice: Object) -> None:
        at = invoice["status_transitions"]["finalized_at"]
        lines = self._business.lines_of(invoice)
        charge = None
        if any(one["invoice"] == invoice["id"] for one in
               self._business.records.all("invoice_payment")):  # fmt: skip
            charge = self._business.charge_of(invoice)
        each = self._worth(charge)
        rows = []
        for line in lines:
            inside, on_top = _taxes(line)
            off = sum(one["amount"] for one in line["discount_amounts"])
            credit = sum(one["amount"] for one in line["pretax_credit_amounts"])
            weights = self._weights(invoice, line, at)
            for day, weight in weights.items():
                share = weight / sum(weights.values())
                self._spent[invoice["customer"]][day] += Fraction(credit, 100) * share
            net = line["amount"] - off - credit - inside
            rows.append((Row(net * each, weights), net + inside + on_top, inside + on_top, weights))
        grants = [one for one in self._business.records.all("billing.credit_grant")
                  if one["metadata"].get("noburn_invoice") == invoice["id"]]  # fmt: skip
        self._take_back(invoice, charge, rows, each)
        if charge is not None:
            self._fee(invoice, self._balance(charge["balance_transaction"]), rows)
        if not grants:  # Bought credit is earned when it is spent.
            for row, *_ in rows:
                self._book(invoice, row)

    def _worth(self, charge: Object | None) -> Fraction:
        """Dollars of one minor unit."""
        if charge is None or charge["currency"] == "usd":
            return Fraction(1, 100)
        settled = self._balance(charge["balance_transaction"])["amount"]
        return Fraction(settled, charge["amount"]) / 100

    def _balance(self, identifier: str) -> Object:
        return self._business.records.get("balance_transaction", identifier)

    def _weights(self, invoice: Object, line: Object, at: int) -> dict[int, Fraction]:
        start, end = line["period"]["start"], line["period"]["end"]
        if end <= start:
            return {day_of(at): Fraction(1)}
        days = range(day_of(start), day_of(end - 1) + 1)
        price = line["pricing"] and self._business.records.get(
            "price", line["pricing"]["price_details"]["price"]
        )
        if price and price["recurring"] and price["recurring"]["usage_type"] == "metered":
            calls = self._calls.get(self.whose(invoice["customer"]), {})
            used = {day: Fraction(calls[day]) for day in days if calls.get(day)}
            if used:
                return used
        return {
            day: Fraction(min(end, (day - EPOCH + 1) * DAY_S) - max(start, (day - EPOCH) * DAY_S))
            for day in days
        }

    def _take_back(
        self, invoice: Object, charge: Object | None, rows: list[Any], each: Fraction
    ) -> None:
        records = self._business.records
        events = []
        if charge is not None:
            for one in records.all("refund"):
                if one["charge"] == charge["id"]:
                    balance = self._balance(one["balance_transaction"])
                    events.append((one["created"], -one["amount"], balance))
            for one in records.all("dispute"):
                if one["charge"] == charge["id"]:
                    for balance in one["balance_transactions"]:
                        sign = -1 if balance["amount"] < 0 else 1
                        events.append((balance["created"], sign * one["amount"], balance))
        if invoice["status"] == "uncollectible":
            at = invoice["status_transitions"]["marked_uncollectible_at"]
            events.append((at, -invoice["amount_remaining"], None))
        for at, minor, balance in sorted(events, key=lambda one: one[0]):
            ((row, gross, tax, weights),) = [one for one in rows if one[1] > 0]
            worth = each if balance is None else Fraction(balance["amount"], minor) / 100
            part = (abs(minor) - round(Fraction(tax * abs(minor), gross))) * worth
            (row.take if minor < 0 else row.give)(day_of(at), part)
            if balance is not None and balance["fee"]:
                self._fee(invoice, balance, [(row, gross, tax, weights)])

    def _fee(self, invoice: Object, balance: Object, rows: list[Any]) -> None:
        """Cents by what each line came to, over what is left of its period."""
        sizes = [max(0, gross) for _, gross, *_ in rows]
        parts = [balance["fee"] * size // sum(sizes) for size in sizes]
        rests = [balance["fee"] * size % sum(sizes) for size in sizes]
        for _ in range(balance["fee"] - sum(parts)):
            most = rests.index(max(rests))
            parts[most], rests[most] = parts[most] + 1, -1
        first = day_of(balance["created"])
        lines = list(self._business.lines_of(invoice))
        for part, (row, *_) in zip(parts, rows, strict=True):
            line = lines[0] if len(rows) < len(lines) else lines[[r for r, *_ in rows].index(row)]
            left = self._days_left(invoice, line, balance["created"])
            for day, share in left.items() if left else [(first, Fraction(1))]:
                self.fees[self.whose(invoice["customer"]), month_of(day)] -= part * share / 100

    def _days_left(self, invoice: Object, line: Object, at: int) -> dict[int, Fraction]:
        """Of the line's period, from the day of a fee on."""
        grants = [one for one in self._business.records.all("billing.credit_grant")
                  if one["metadata"].get("noburn_invoice") == invoice["id"]]  # fmt: skip
        start, end = line["period"]["start"], line["period"]["end"]
        if grants:
            start, end = grants[0]["effective_at"], grants[0]["expires_at"]
        start = max(start, at - at % DAY_S)
        found = {
            day: Fraction(min(end, (day - EPOCH + 1) * DAY_S) - max(start, (day - EPOCH) * DAY_S))
            for day in range(day_of(start), day_of(end - 1) + 1)
            if end > start
        }
        whole = sum(found.values())
        return {day: seconds / whole for day, seconds in found.items()}

    def _grant(self, grant: Object) -> None:
        """What was spent, on the days of the usage that it paid for; the rest when it expires."""
        if grant["category"] != "paid":
            return
        left = Fraction(grant["amount"]["monetary"]["value"], 100)
        name = self.whose(grant["customer"])
        for day, amount in sorted(self._spent[grant["customer"]].items()):
            taken = min(left, amount)
            self.revenue[name, month_of(day)] += taken
            left -= taken
        self.revenue[name, month_of(day_of(grant["expires_at"] - 1))] += left


def _taxes(line: Object) -> tuple[int, int]:
    """(inside the amount, on top of it), in minor units."""
    inside = sum(t["amount"] for t in line["taxes"] if t["tax_behavior"] == "inclusive")
    return inside, sum(t["amount"] for t in line["taxes"]) - inside


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp())
