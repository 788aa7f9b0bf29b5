"""A year of a small business, with everything that can happen to a payment.

2025: plans by the month and the year, usage in arrears, seats, upgrades and downgrades, a coupon,
a trial, tax on top and inside, euros and yen, prepaid credit, refunds whole and in part, credit
notes, disputes lost and won, invoices voided, written off, and written off and paid after all.
"""

from __future__ import annotations

from tests.stripe_double.business import Business

#: What one minor unit was worth in cents, from a day on; Stripe's own conversion.
EUR = (("2025-01-01", "1.0353"), ("2025-04-01", "1.0815"), ("2025-09-01", "1.1712"))
YEN = (("2025-01-01", "0.6352"), ("2025-07-01", "0.6944"))


def year(business: Business | None = None) -> Business:
    """The business at the end of its year."""
    b = business or Business("2025-01-01")
    _rates(b)
    on_top, inside = b.tax_rate(8.25), b.tax_rate(19, inclusive=True)
    pro, team = b.price("Pro", 2_900), b.price("Team", 9_900)
    yearly, tokens = b.price("Pro", 29_000, interval="year"), b.price("Tokens", 3, metered=True)
    euro = b.price("Pro EU", 2_750, currency="eur")
    yen = b.price("Pro JP", 4_300, currency="jpy")
    acme = b.customer("Acme", {"noburn_customer": "acme"})
    beta = b.customer("Beta", {"noburn_customer": "beta"})
    euler = b.customer("Euler", {"noburn_customer": "euler"})
    kanto = b.customer("Kanto", {"noburn_customer": "kanto"})
    late = b.customer("Late", {"noburn_customer": "late"}, pays=False)
    odd = b.customer("Odd")
    on_acme = b.subscribe(acme, pro, tokens, tax=on_top, coupon=b.coupon(percent_off=15))
    b.subscribe(euler, euro, tax=inside)
    b.advance("2025-01-09T10:00:00")
    on_beta = b.subscribe(beta, pro, quantity=3, metadata={"noburn_feature": "search"})
    b.use(on_acme, 1_234)
    b.advance("2025-02-03")
    on_kanto = b.subscribe(kanto, yen, trial_days=14)
    b.subscribe(late, team)
    b.item(acme, 10_000, description="credits")
    bought = b.invoice_items(acme)
    b.grant(acme, 12_000, paid_by=bought, expires="2025-11-15")
    b.advance("2025-03-20T17:30:00")
    b.change(on_beta, team, quantity=2)
    b.use(on_acme, 2_500)
    b.refund(b.charges_of(euler)[1], 700)
    b.advance("2025-04-04")
    _rates(b)
    b.mark_uncollectible(b.invoices_of(late)[0])
    b.void(b.invoices_of(late)[1])
    b.advance("2025-05-02")
    first = b.dispute(b.charges_of(beta)[0])
    second = b.dispute(b.charges_of(euler)[2])
    b.change(on_beta, pro, quantity=1, invoice_now=True)
    b.advance("2025-06-15")
    b.close_dispute(first, won=False)
    b.close_dispute(second, won=True, fee_back=True)
    paid = b.invoices_of(acme)[3]
    b.credit_note(paid, {b.lines_of(paid)[0]["id"]: 1_450})
    b.mark_uncollectible(b.invoices_of(late)[2])
    b.pay(b.invoices_of(late)[2])
    b.advance("2025-07-01")
    _rates(b)
    b.change(on_acme, yearly)
    b.charge(odd, 4_900)
    b.refund(b.charge(odd, 1_000))
    b.charge(odd, 500, succeeds=False)
    b.advance("2025-09-10")
    _rates(b)
    b.cancel(on_kanto)
    open_ = b.invoices_of(late)[-1]
    b.credit_note(open_, {b.lines_of(open_)[0]["id"]: 2_000})
    eu, us = b.invoices_of(euler)[-1], b.invoices_of(beta)[-1]
    b.credit_note(eu, {b.lines_of(eu)[0]["id"]: 2_750})
    b.credit_note(us, {b.lines_of(us)[0]["id"]: 1_000}, pays="balance")
    b.stripe_fee(1_700)
    b.use(on_acme, 40_000)
    b.advance("2025-12-31")
    b.item(odd, 2_500, description="not billed yet")
    return b


def _rates(b: Business) -> None:
    for currency, rows in (("eur", EUR), ("jpy", YEN)):
        day = f"{_day(b.now)}"
        b.paying.rates[currency] = [rate for start, rate in rows if start <= day][-1]


def _day(seconds: int) -> str:
    from datetime import datetime, timezone

    return f"{datetime.fromtimestamp(seconds, tz=timezone.utc):%Y-%m-%d}"
