"""What was given back of payments that nobody told of: in no fact, so it has to be said.

Layer: revenue.  Below: revenue.store, revenue.stripe_keeping.
Above: commands.importing.stripe_account, profit.reading.
Owns: which refunds, disputes and credit notes are in no figure.  A refund that names a payment
intent none of whose charges succeeded, or names nothing (money of a customer's cash balance, which
never was revenue: https://docs.stripe.com/payments/customer-balance/refunding, looked up
2026-11-27), takes nothing back that was counted; neither may it vanish.
"""

from __future__ import annotations

from dataclasses import dataclass

from noburn_cli.revenue.store import RevenueStore
from noburn_cli.revenue.stripe_keeping import Keeping

#: What hangs on no payment or invoice that is there, or on a payment that did not succeed; of those
#: only what stands (a refund that failed gave nothing back).
_LOOSE = """
    SELECT o.id, o.type, o.data ->> 'currency', coalesce(o.data ->> 'amount', o.data ->> 'total')
    FROM objects AS o
    LEFT JOIN objects AS above ON above.id = o.parent AND above.source = o.source
    WHERE o.source = ? AND o.type IN ('refund', 'credit_note', 'dispute')
    AND (above.id IS NULL OR above.type NOT IN ('charge', 'invoice')
        OR (above.type = 'charge' AND above.data ->> 'status' <> 'succeeded'))
    AND CASE o.type
        WHEN 'refund' THEN o.data ->> 'status' NOT IN ('failed', 'canceled')
        WHEN 'credit_note' THEN o.data ->> 'status' = 'issued'
        ELSE json_array_length(o.data, '$.balances') > 0 END
    ORDER BY o.id
"""
_HAS_FACTS = "SELECT 1 FROM facts WHERE source = ? AND root = ? LIMIT 1"


@dataclass(frozen=True)
class Stray:
    """A refund, dispute or credit note (`kind`) of minor units that are in no fact."""

    id: str
    kind: str
    amount_minor: int
    currency: str


def strays(store: RevenueStore, source: str) -> list[Stray]:
    """What one source gave back that no fact takes back."""
    keeping = Keeping(store, source)
    return [
        Stray(name, kind, int(amount), str(currency).upper())
        for name, kind, currency, amount in store.rows(_LOOSE, source)
        # One that hangs on an invoice by its payment intent is among the invoice's facts.
        if not store.rows(_HAS_FACTS, source, keeping.root(name))
    ]
