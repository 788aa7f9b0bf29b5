"""The lines of an invoice as facts: what was billed, its discounts, credits and taxes.

Layer: revenue, pure.  Below: core.revenue, core.currencies, revenue.stripe_shapes.
Above: revenue.stripe_deriving.
Owns: BilledLine, and how Stripe's line becomes facts; what a line is called (kind, plan, feature,
customer) by price and metadata.
Not here: what is taken back later (revenue.stripe_reversals).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from noburn_cli.core.currencies import USD
from noburn_cli.core.plans import SEATS_MAX
from noburn_cli.core.revenue import (
    CREDIT_GRANT,
    DISCOUNT,
    ONE_OFF,
    SUBSCRIPTION,
    TAX,
    USAGE,
    RevenueFact,
    cumulated,
)
from noburn_cli.revenue.stripe_shapes import KIND_KEY, Kept

Find = Callable[[str], Kept | None]
PAID = "paid"


@dataclass(frozen=True)
class Keys:
    """Metadata keys that say whose and what for."""

    customer: str = "noburn_customer"
    feature: str = "noburn_feature"
    plan: str = "noburn_plan"

    def all(self) -> tuple[str, str, str]:
        return self.customer, self.feature, self.plan


@dataclass(frozen=True)
class Money:
    """How minor units of one currency become nano-dollars.

    each: nano-dollars of one minor unit, None where no rate is known.
    rate, source: dollars for one unit as text, and where that is from, both "" for USD.
    """

    each: Fraction | None
    rate: str
    source: str


@dataclass(frozen=True)
class BilledLine:
    """One line: the fact that the payer was billed for, and what it comes to.

    gross: minor units that it adds to the invoice's total, tax included, discounts off.
    tax: how much of that is tax.
    """

    fact: RevenueFact
    gross: int
    tax: int


def in_dollars(facts: Sequence[RevenueFact], money: Money) -> list[RevenueFact]:
    """Facts with their amounts in dollars, so that the running sum of each is rounded right."""
    if money.each is None:  # Nothing is nothing in every currency.
        unknown = [None if fact.amount_minor else 0 for fact in facts]
        return [
            replace(fact, amount_nano=amount, rate="", rate_source="")
            for fact, amount in zip(facts, unknown, strict=True)
        ]
    nano = cumulated((fact.amount_minor for fact in facts), money.each)
    return [
        replace(fact, amount_nano=amount, rate=money.rate, rate_source=money.source)
        for fact, amount in zip(facts, nano, strict=True)
    ]


class Naming:
    """What a line is for, by the objects that it names.  The nearest word wins."""

    def __init__(self, keys: Keys, find: Find) -> None:
        self._keys = keys
        self._find = find

    def customer(self, payer: str, *metadata: Mapping[str, str]) -> str | None:
        """By the metadata given, then the subscription's, then the payer's own."""
        own = self._metadata(payer)
        return _first(self._keys.customer, (*metadata, own))

    def words(self, line: Mapping[str, Any]) -> dict[str, Any]:
        """kind, feature, plan and metadata's order for a line, a pending item or a charge."""
        price, product = self._find(line.get("price", "")), self._find(line.get("product", ""))
        if product is None and price is not None:
            product = self._find(price.data.get("product", ""))
        contract = self._metadata(line.get("subscription", ""))
        said = (
            line.get("metadata", {}),
            contract,
            price.data["metadata"] if price and "metadata" in price.data else {},
            product.data["metadata"] if product and "metadata" in product.data else {},
        )
        kind = SUBSCRIPTION if line.get("subscription") else ONE_OFF
        if price is not None and price.data.get("metered"):
            kind = USAGE
        if _first(KIND_KEY, said) == CREDIT_GRANT:
            kind = CREDIT_GRANT
        plan = _first(self._keys.plan, said) or (product.data.get("name") if product else None)
        return {"kind": kind, "feature": _first(self._keys.feature, said), "plan": plan or None}

    def _metadata(self, identifier: str) -> dict[str, str]:
        one = self._find(identifier)
        return dict(one.data.get("metadata", {})) if one else {}

    def payer_name(self, payer: str, default: str = "") -> str:
        one = self._find(payer)
        return str(one.data.get("name") or default) if one else default

    def subscription_metadata(self, line: Mapping[str, Any]) -> dict[str, str]:
        return self._metadata(line.get("subscription", ""))


def _first(key: str, said: Iterable[Mapping[str, str]]) -> str | None:
    return next((one[key] for one in said if one.get(key)), None)


def lines_of(
    invoice: Kept, source: str, naming: Naming, money: Money, state: str, grants: Sequence[Kept],
    find: Find,
) -> tuple[list[RevenueFact], list[BilledLine]]:  # fmt: skip
    """The facts of an invoice's lines, and the lines for what is taken back from them.

    grants: the credit that was bought with it.  find: any kept object by id.
    """
    facts: list[RevenueFact] = []
    taxes: list[RevenueFact] = []
    billed: list[BilledLine] = []
    lines = [*invoice.data["lines"], *_without_line(invoice)]
    for line in lines:
        first = _line_fact(invoice, line, source, naming, state, grants)
        own = [first, *_taken_off(line, first, find)]
        tax = line["tax_inside"] + line["tax_on_top"]
        if tax:
            taxes.append(
                replace(first, id=f"{first.id}:tax", kind=TAX, amount_minor=-tax, reverses=first.id)
            )
        facts += own
        billed.append(BilledLine(first, sum(one.amount_minor for one in own), tax))
    return [*in_dollars(facts, money), *in_dollars(taxes, money)], billed


def _without_line(invoice: Kept) -> list[dict[str, Any]]:
    """What an invoice's total has beyond its lines (shipping), as a line of its own."""
    said = sum(
        line["amount"] + line["tax_on_top"] - line["discount"] - sum(c for _, c in line["credits"])
        for line in invoice.data["lines"]
    )
    rest = invoice.data["total"] - said
    if not rest:
        return []
    nothing = {"discount": 0, "credits": [], "tax_inside": 0, "tax_on_top": 0, "metadata": {}}
    moment = invoice.data["at"]
    return [
        {"id": f"{invoice.id}:other", "amount": rest, "start": moment, "end": moment, **nothing}
    ]


def _line_fact(
    invoice: Kept, line: Mapping[str, Any], source: str, naming: Naming, state: str,
    grants: Sequence[Kept],
) -> RevenueFact:  # fmt: skip
    words = naming.words(line)
    currency = str(invoice.data["currency"]).upper()
    at_ms = invoice.data["at"] * 1000
    starts_ms, ends_ms = line["start"] * 1000, line["end"] * 1000
    if ends_ms <= starts_ms:
        starts_ms = ends_ms = at_ms
    if words["kind"] == CREDIT_GRANT or (grants and words["kind"] == ONE_OFF):
        # Credit is earned when it is spent, at the latest when it expires.
        words["kind"] = CREDIT_GRANT
        starts_ms = min([g.data["starts"] * 1000 for g in grants], default=at_ms)
        ends = [g.data["ends"] for g in grants]
        ends_ms = max(ends) * 1000 if ends and all(ends) else starts_ms
    said = (line["metadata"], naming.subscription_metadata(line), invoice.data["metadata"])
    name = naming.payer_name(invoice.customer, invoice.data["name"])
    return RevenueFact(
        id=f"{source}:{line['id']}", source=source, payer=invoice.customer, payer_name=name,
        customer=naming.customer(invoice.customer, *said), **words,
        amount_minor=line["amount"] + line["tax_on_top"], currency=currency,
        amount_nano=0 if currency == USD else None, rate="", rate_source="",
        starts_ms=starts_ms, ends_ms=max(starts_ms, ends_ms), at_ms=at_ms,
        document=invoice.id, state=state, seats=seats_of(line, words["kind"]),
    )  # fmt: skip


def seats_of(line: Mapping[str, Any], kind: str) -> int | None:
    """The seats of a subscription's line; None where it is something else, or does not say."""
    quantity = line.get("quantity") or 0  # not kept by earlier versions
    return quantity if kind == SUBSCRIPTION and 1 <= quantity <= SEATS_MAX else None


def _taken_off(line: Mapping[str, Any], first: RevenueFact, find: Find) -> list[RevenueFact]:
    """What comes off a line before it is owed: discounts, and credit that pays for usage."""
    found = []
    if line["discount"]:
        found.append(
            replace(
                first, id=f"{first.id}:discount", kind=DISCOUNT, amount_minor=-line["discount"],
                reverses=first.id,
            )
        )  # fmt: skip
    for number, (spent, amount) in enumerate(line["credits"]):
        movement = find(spent)
        grant = find(movement.data["grant"]) if movement else None
        # Credit that was given away is a discount; credit that was bought was billed before.
        given = grant is not None and grant.data["category"] != PAID
        found.append(
            replace(
                first, id=f"{first.id}:credit:{spent or number}", amount_minor=-amount,
                kind=DISCOUNT if given else CREDIT_GRANT,
                reverses=first.id,
            )
        )  # fmt: skip
    return found
