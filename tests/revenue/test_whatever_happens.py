"""Whatever happens at Stripe, in whatever order it is heard of: the facts come to its balance."""

from __future__ import annotations

import random
from fractions import Fraction

from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from noburn_cli.core.revenue import FEE, KINDS, TAX
from noburn_cli.revenue.store import writing
from noburn_cli.revenue.stripe_import import derive
from noburn_cli.revenue.stripe_keeping import Keeping
from noburn_cli.revenue.stripe_lines import Keys
from noburn_cli.revenue.stripe_shapes import Shapes
from tests.stripe_double.business import Business

CENT = 10_000_000
DAY_S = 86_400
KEPT = (
    *("product", "price", "customer", "subscription", "invoice", "invoiceitem", "invoice_payment"),
    *("charge", "balance_transaction", "refund", "dispute", "credit_note", "billing.credit_grant"),
    "billing.credit_balance_transaction",
)
OPERATIONS = (
    *("advance", "change", "seats", "year", "use", "refund", "part", "dispute", "won", "lost"),
    *("note", "balance", "void", "off", "pay", "item", "grant", "charge"),
)
steps = st.lists(
    st.tuples(st.sampled_from(OPERATIONS), st.integers(1, 10**6)), min_size=5, max_size=40
)


class Story:
    """A business to which anything happens that Stripe allows; what it forbids is left out."""

    def __init__(self, currency):
        self.b = b = Business("2025-01-01")
        b.paying.rates["eur"] = "1.0853"
        self.currency = currency
        self.plans = [b.price(f"P{n}", n, currency=currency) for n in (1_900, 4_999, 12_345)]
        self.yearly = b.price("P", 49_000, currency=currency, interval="year")
        metered = b.price("Tokens", 7, currency=currency, metered=True)
        taxes = (b.tax_rate(19), b.tax_rate(7.7, inclusive=True))
        coupon = b.coupon(percent_off=12.5)
        self.customers = [b.customer("A"), b.customer("B", pays=False)]
        self.contracts = [
            b.subscribe(who, plan, metered, tax=tax, coupon=coupon)
            for who, plan, tax in zip(self.customers, self.plans, taxes, strict=False)
        ]

    def do(self, what, number):
        b = self.b
        pick = lambda found: found[number % len(found)] if found else None  # noqa: E731
        contract, who = pick(self.contracts), pick(self.customers)
        charge = pick([c for c in b.records.all("charge") if c["amount_refunded"] < c["amount"]
                       and not c["disputed"]])  # fmt: skip
        opened = pick([d for d in b.records.all("dispute") if d["status"] == "needs_response"])
        unpaid = pick([i for i in b.records.all("invoice") if i["status"] == "open"])
        if what == "advance":
            b.advance(b.now + number % 40 * DAY_S + 1)
        elif what in ("change", "seats", "year"):
            plan = self.yearly if what == "year" else pick(self.plans)
            b.change(contract, plan, quantity=1 + number % 3, invoice_now=number % 2 == 0)
        elif what == "use":
            b.use(contract, number % 1_000)
        elif what in ("refund", "part") and charge:
            left = charge["amount"] - charge["amount_refunded"]
            b.refund(charge, left if what == "refund" else 1 + number % left)
        elif what == "dispute" and charge and not charge["amount_refunded"]:
            b.dispute(charge)
        elif what in ("won", "lost") and opened:
            b.close_dispute(opened, won=what == "won", fee_back=number % 2 == 0)
        elif what in ("note", "balance"):
            self._note(number, what)
        elif what == "void" and unpaid and not unpaid["post_payment_credit_notes_amount"]:
            b.void(unpaid)
        elif what == "off" and unpaid:
            b.mark_uncollectible(unpaid)
        elif what == "pay" and unpaid and unpaid["amount_remaining"]:
            b.pay(unpaid)
        elif what == "item":
            b.item(who, number % 5_000, currency=self.currency)
        elif what == "grant":
            b.item(who, 1_000, currency=self.currency)
            paid_by = b.invoice_items(who) if number % 2 else None
            b.grant(who, 1_000 + number % 500, paid_by=paid_by, currency=self.currency)
        elif what == "charge":
            b.charge(who, 50 + number % 9_000, currency=self.currency)

    def _note(self, number, what):
        """Credit part of a line that nothing was taken back of yet."""
        b = self.b
        noted = {n["invoice"] for n in b.records.all("credit_note")}
        back = {c["payment_intent"] for c in b.records.all("charge")
                if c["amount_refunded"] or c["disputed"]}  # fmt: skip
        gone = {p["invoice"] for p in b.records.all("invoice_payment")
                if p["payment"]["payment_intent"] in back}  # fmt: skip
        found = [
            (invoice, line)
            for invoice in b.records.all("invoice")
            if invoice["status"] in ("open", "paid") and invoice["id"] not in noted | gone
            and invoice["amount_due"] == invoice["total"] > 0
            for line in b.lines_of(invoice)
            if line["amount"] > 0 and all(one["amount"] >= 0 for one in b.lines_of(invoice))
            and not line["pretax_credit_amounts"]
        ]  # fmt: skip
        if found:
            invoice, line = found[number % len(found)]
            share = Fraction(1 + number % 10, 10)
            pays = "refund" if what == "note" else "balance"
            b.credit_note(invoice, {line["id"]: max(1, int(line["amount"] * share))}, pays=pays)


def facts_of(tmp, objects, *, at_once=False):
    """Facts of objects, heard of in this order; made at the end, or after each thing heard."""
    path = tmp / "revenue.sqlite3"
    path.unlink(missing_ok=True)
    shapes = Shapes(Keys().all())
    with writing(path) as store:
        store.connection.execute("PRAGMA synchronous = OFF")
        keeping = Keeping(store, "stripe")
        for number, one in enumerate(objects):
            with store.change():
                keeping.put(shapes.kept(one))
            if at_once and number % 7 == 0:
                derive(store, "stripe", Keys(), lambda *_: None)
        derive(store, "stripe", Keys(), lambda *_: None)
        return {fact.id: fact for fact in store.facts()}


@settings(
    max_examples=25, deadline=None, derandomize=True, print_blob=True,
    phases=[Phase.explicit, Phase.generate],  # Shrinking takes minutes, and the steps are plain.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@example(
    # A dispute of more than a credit note has left, which is won.
    steps=[("advance", 1), ("advance", 1), ("balance", 2), ("dispute", 1), ("won", 1)],
    currency="usd", seed=0,
)  # fmt: skip
@given(steps=steps, currency=st.sampled_from(["usd", "eur"]), seed=st.integers(0, 2**32))
def test_facts_come_to_the_balance_in_any_order(tmp_path, steps, currency, seed):
    """Goal: cash and claims are what facts say, tax is never more than was taxed, and facts depend
    on what is so, not on when it was heard of."""
    story = Story(currency)
    for what, number in steps:
        story.do(what, number)
    b = story.b
    objects = [one for kind in KEPT for one in b.records.all(kind)]
    facts = facts_of(tmp_path, objects)
    random.Random(seed).shuffle(objects)
    if seed % 2:  # A name that comes late makes everything anew, and would hide what is stale.
        objects.sort(key=lambda one: one["object"] not in KEPT[:4])
    assert facts_of(tmp_path, objects, at_once=True) == facts

    counted = [fact for fact in facts.values() if fact.counts and fact.kind not in (TAX, FEE)]
    claims = sum(i["amount_remaining"] for i in b.records.all("invoice") if i["status"] == "open")
    owed = sum(one["balance"] for one in b.records.all("customer"))
    balance = b.records.all("balance_transaction")
    if currency == "usd":
        cash = sum(one["amount"] for one in balance)
        assert sum(fact.amount_nano for fact in counted) == (cash + claims + owed) * CENT
    received = sum(one["amount"] for one in b.records.all("charge") if one["paid"])
    received -= sum(one["amount"] for one in b.records.all("refund"))
    held = [d for d in b.records.all("dispute") if d["status"] != "won"]
    received -= sum(one["amount"] for one in held)
    assert sum(fact.amount_minor for fact in counted) == received + claims + owed
    assert -sum(f.amount_minor for f in facts.values() if f.kind == FEE) == sum(
        one["fee"] for one in balance
    )
    for fact in facts.values():
        assert fact.kind in KINDS
        assert not fact.reverses or fact.reverses in facts
