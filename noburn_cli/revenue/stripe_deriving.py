"""From what Stripe told to facts: one root (an invoice, a charge) at a time.

Layer: revenue.  Below: stripe_keeping, stripe_lines, stripe_reversals, stripe_settling,
core.revenue.
Above: revenue.stripe_import.
Owns: in which order what happened to a root is applied, and the state of its facts.
The facts of a root follow from the kept objects alone: the same again whenever they are made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from noburn_cli.core import revenue
from noburn_cli.core.revenue import RevenueFact
from noburn_cli.revenue.rating import Rates
from noburn_cli.revenue.stripe_keeping import Keeping
from noburn_cli.revenue.stripe_lines import (
    BilledLine,
    Keys,
    Money,
    Naming,
    in_dollars,
    lines_of,
    seats_of,
)
from noburn_cli.revenue.stripe_reversals import Taking
from noburn_cli.revenue.stripe_settling import Settling
from noburn_cli.revenue.stripe_shapes import Kept

_INVOICE_STATES = {
    "draft": revenue.DRAFT, "open": revenue.INVOICED, "paid": revenue.COLLECTED,
    "void": revenue.VOID, "uncollectible": revenue.UNCOLLECTIBLE,
}  # fmt: skip
#: Movements of the balance that are Stripe's own charges, about no object of ours.
_OWN_FEES = ("stripe_fee", "stripe_fx_fee", "network_cost")


class Deriving:
    """Makes the facts of one source's roots."""

    def __init__(self, keeping: Keeping, keys: Keys, rates: Rates) -> None:
        self._keeping = keeping
        self._source = keeping.source
        self._rates = Settling(keeping, rates)
        self._named: dict[str, Kept | None] = {}
        self._naming = Naming(keys, self._find)

    def _find(self, identifier: str) -> Kept | None:
        if not identifier:
            return None
        if identifier not in self._named:
            self._named[identifier] = self._keeping.get(identifier)
        return self._named[identifier]

    def facts(self, root: str) -> list[RevenueFact]:
        """The facts of a root; none for an object that hangs on another."""
        first = self._keeping.get(root)
        if first is None or self._keeping.root(root) != root:
            return []
        if first.type == "invoice":
            return self._invoice(first, self._keeping.tree(root))
        if first.type == "charge":
            return self._charge(first, self._keeping.tree(root))
        if first.type == "invoiceitem":
            return self._item(first)
        if first.type == "balance_transaction" and first.data["type"] in _OWN_FEES:
            return self._own_fee(first)
        return []

    # An invoice, and everything that came of it.

    def _invoice(self, invoice: Kept, tree: Sequence[Kept]) -> list[RevenueFact]:
        state = _INVOICE_STATES[invoice.data["status"]]
        grants = [one for one in tree if one.type == "billing.credit_grant"]
        charges = [one for one in tree if one.type == "charge"]
        money = self._rates.settled(
            charges, str(invoice.data["currency"]), invoice.data["at"] * 1000
        )
        facts, billed = lines_of(
            invoice, self._source, self._naming, money, state, grants, self._find
        )
        taking = Taking(billed)
        if state in revenue.UNCOUNTED:
            return facts
        facts += self._taken_back(taking, tree, money, state)
        if state == revenue.UNCOLLECTIBLE and invoice.data["remaining"]:
            at_ms = (invoice.data["uncollectible_at"] or invoice.data["at"]) * 1000
            facts += taking.spread(
                invoice.data["remaining"], f"{invoice.id}:written_off", revenue.ADJUSTMENT, money,
                at_ms=at_ms, state=state,
            )  # fmt: skip
        return self._with_state(facts, billed, taking, tree, state)

    def _charge(self, charge: Kept, tree: Sequence[Kept]) -> list[RevenueFact]:
        """A payment without an invoice is its own one line."""
        if charge.data["status"] != "succeeded" or not charge.data["amount"]:
            return []
        currency = str(charge.data["currency"])
        at_ms = charge.data["created"] * 1000
        money = self._rates.settled([charge], currency, at_ms)
        words = self._naming.words({"metadata": charge.data["metadata"]})
        payer = charge.customer
        fact = RevenueFact(
            id=f"{self._source}:{charge.id}", source=self._source, payer=payer,
            payer_name=self._naming.payer_name(payer), **words,
            customer=self._naming.customer(payer, charge.data["metadata"]),
            amount_minor=charge.data["amount"], currency=currency.upper(), amount_nano=0,
            rate="", rate_source="", starts_ms=at_ms, ends_ms=at_ms, at_ms=at_ms,
            document=charge.id, state=revenue.COLLECTED,
        )  # fmt: skip
        facts = in_dollars([fact], money)
        billed = [BilledLine(facts[0], fact.amount_minor, 0)]
        taking = Taking(billed)
        facts += self._taken_back(taking, tree, money, revenue.COLLECTED)
        return self._with_state(facts, billed, taking, tree, revenue.COLLECTED)

    def _taken_back(
        self, taking: Taking, tree: Sequence[Kept], money: Money, state: str
    ) -> list[RevenueFact]:
        """Credit notes, refunds, disputes and fees of a root, in the order of their moments."""
        covered: dict[str, int] = {}
        refunds = {one.id: one for one in tree if one.type == "refund"}
        events: list[tuple[int, int, Kept]] = []
        for one in tree:
            if one.type == "credit_note" and one.data["status"] == "issued":
                events.append((one.data["at"], 0, one))
                for refund, amount in one.data["refunds"]:
                    covered[refund] = covered.get(refund, 0) + amount
            elif one.type == "refund" and one.data["status"] not in ("failed", "canceled"):
                events.append((one.data["created"], 1, one))
            elif one.type == "dispute":
                events.append((one.data["created"], 2, one))
            elif one.type == "charge":
                events.append((one.data["created"], 3, one))
        facts: list[RevenueFact] = []
        for at, order, one in sorted(events, key=lambda e: (e[0], e[1], e[2].id)):
            if order == 0:
                facts += self._credit_note(one, taking, refunds, money, state)
            elif order == 1:
                left = one.data["amount"] - covered.get(one.id, 0)
                facts += self._refund(one, left, taking, money)
            elif order == 2:
                facts += self._dispute(one, taking)
            else:
                facts += self._fee(self._rates.balance(one), taking, at * 1000, state)
        return facts

    def _credit_note(
        self, note: Kept, taking: Taking, refunds: dict[str, Kept], money: Money, state: str
    ) -> list[RevenueFact]:
        """Lines are taken back as the note says; what it says of no line, in proportion."""
        numbers = {line.fact.id: n for n, line in enumerate(taking.lines)}
        parts: dict[int, int] = {}
        taxes: dict[int, int] = {}
        for line in note.data["lines"]:
            number = numbers.get(f"{self._source}:{line['line']}")
            if number is not None:
                part = line["amount"] - line["discount"] + line["tax_on_top"]
                parts[number] = parts.get(number, 0) + part
                tax = line["tax_inside"] + line["tax_on_top"]
                taxes[number] = taxes.get(number, 0) + tax
        paid_back = [refunds[name] for name, _ in note.data["refunds"] if name in refunds]
        if len(paid_back) == 1 and paid_back[0].data["amount"] == note.data["total"]:
            money = self._rates.refunded(paid_back[0], money)
        at_ms = note.data["at"] * 1000
        facts = taking.take(
            parts, note.id, revenue.CREDIT_NOTE, money, at_ms=at_ms, state=state, taxes=taxes
        )
        rest = note.data["total"] - sum(parts.values())
        if rest > 0:
            facts += taking.spread(
                rest, f"{note.id}:rest", revenue.CREDIT_NOTE, money, at_ms=at_ms, state=state
            )
        return facts

    def _refund(self, refund: Kept, left: int, taking: Taking, money: Money) -> list[RevenueFact]:
        """What no credit note has taken back already."""
        if left <= 0:
            return []
        return taking.spread(
            left, refund.id, revenue.REFUND, self._rates.refunded(refund, money),
            at_ms=refund.data["created"] * 1000, state=revenue.REFUNDED,
        )  # fmt: skip

    def _dispute(self, dispute: Kept, taking: Taking) -> list[RevenueFact]:
        """Funds withdrawn, and reinstated where it was won, each with its fee."""
        facts: list[RevenueFact] = []
        taken: dict[int, int] = {}
        for balance in sorted(dispute.data["balances"], key=lambda b: (b["created"], b["id"])):
            at_ms = balance["created"] * 1000
            amount = dispute.data["amount"]
            money = self._rates.moved(balance, -amount if balance["amount"] < 0 else amount,
                                str(dispute.data["currency"]))  # fmt: skip
            if balance["amount"] < 0 and not taken:
                taken = taking.parts(amount)
                facts += taking.take(
                    taken, dispute.id, revenue.DISPUTE, money, at_ms=at_ms, state=revenue.DISPUTED
                )
            elif balance["amount"] > 0 and taken:
                facts += taking.take(
                    taken, f"{dispute.id}:won", revenue.DISPUTE_WON, money, at_ms=at_ms,
                    state=revenue.COLLECTED, sign=1, reverses=dispute.id,
                )  # fmt: skip
            facts += self._fee(balance, taking, at_ms, revenue.COLLECTED)
        return facts

    def _fee(
        self, balance: dict[str, Any] | None, taking: Taking, at_ms: int, state: str
    ) -> list[RevenueFact]:
        if balance is None or not balance["fee"]:
            return []
        currency = balance["currency"].upper()
        money = self._rates.by_table(currency, at_ms)
        # What was paid for processing stays paid, whatever becomes of the invoice.
        state = revenue.COLLECTED if state in (revenue.INVOICED, revenue.UNCOLLECTIBLE) else state
        return taking.fee(balance["fee"], currency, balance["id"], money, at_ms, state)

    def _with_state(
        self, facts: list[RevenueFact], billed: Sequence[BilledLine], taking: Taking,
        tree: Sequence[Kept], state: str,
    ) -> list[RevenueFact]:  # fmt: skip
        """A line that was given back, or is in dispute, says so."""
        if state != revenue.COLLECTED:
            return facts
        harmless = ("won", "warning_closed", "prevented", "warning_needs_response",
                "warning_under_review")  # fmt: skip
        if any(o.type == "dispute" and o.data["status"] not in harmless for o in tree):
            state = revenue.DISPUTED
        gone = {
            line.fact.id
            for line, left in zip(billed, taking.left(), strict=True)
            if line.gross > 0 and not left
        }
        mine = {line.fact.id for line in billed}
        shown = []
        for fact in facts:
            own = fact.id.removesuffix(":tax").removesuffix(":discount")
            if own in mine:
                became = state
                if state == revenue.COLLECTED and own in gone:
                    became = revenue.REFUNDED
                fact = replace(fact, state=became)
            shown.append(fact)
        return shown

    # What is no invoice and no charge.

    def _item(self, item: Kept) -> list[RevenueFact]:
        """An invoice item that waits for an invoice: not billed yet."""
        data = item.data
        if data["invoice"]:
            return []
        words = self._naming.words(data)
        currency = str(data["currency"]).upper()
        at_ms = data["created"] * 1000
        starts_ms, ends_ms = data["start"] * 1000, data["end"] * 1000
        if ends_ms <= starts_ms:
            starts_ms = ends_ms = at_ms
        said = (data["metadata"], self._naming.subscription_metadata(data))
        fact = RevenueFact(
            id=f"{self._source}:{item.id}", source=self._source, payer=item.customer,
            payer_name=self._naming.payer_name(item.customer), **words,
            customer=self._naming.customer(item.customer, *said), amount_minor=data["amount"],
            currency=currency, amount_nano=0, rate="", rate_source="", starts_ms=starts_ms,
            ends_ms=ends_ms, at_ms=at_ms, document=item.id, state=revenue.DRAFT,
            seats=seats_of(data, words["kind"]),
        )  # fmt: skip
        return in_dollars([fact], self._rates.by_table(currency, at_ms))

    def _own_fee(self, balance: Kept) -> list[RevenueFact]:
        """What Stripe takes for its services, of no customer."""
        data = balance.data
        currency = str(data["currency"]).upper()
        at_ms = data["created"] * 1000
        fact = RevenueFact(
            id=f"{self._source}:{balance.id}", source=self._source, kind=revenue.FEE, payer="",
            payer_name="", customer=None, feature=None, plan=None,
            amount_minor=data["amount"] - data["fee"], currency=currency, amount_nano=0, rate="",
            rate_source="", starts_ms=at_ms, ends_ms=at_ms, at_ms=at_ms, document=balance.id,
            state=revenue.COLLECTED,
        )  # fmt: skip
        return in_dollars([fact], self._rates.by_table(currency, at_ms))
