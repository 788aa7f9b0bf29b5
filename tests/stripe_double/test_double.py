"""The double itself: it answers what Stripe describes, and it can refuse.

A test of ours that asks wrongly must fail, so each way to ask wrongly is shown to be refused here.
"""

from __future__ import annotations

import pytest
import stripe

from tests.stripe_double import openapi
from tests.stripe_double.business import Business
from tests.stripe_double.server import LISTS, StripeDouble


@pytest.fixture(scope="module")
def double():
    business = Business("2025-01-01")
    business.paying.rates.update(eur="1.0853")
    tax = business.tax_rate(19)
    acme = business.customer("Acme", {"noburn_customer": "acme"})
    metered = business.price("Tokens", 2, metered=True)
    contract = business.subscribe(
        acme, business.price("Pro", 2_000), metered, tax=tax,
        coupon=business.coupon(percent_off=10),
    )  # fmt: skip
    late = business.customer("Late", pays=False)
    business.subscribe(late, business.price("Pro EUR", 1_900, currency="eur"), trial_days=7)
    business.item(acme, 5_000)
    business.grant(acme, 5_000, paid_by=business.invoice_items(acme), expires="2025-12-31")
    business.use(contract, 700)
    business.advance("2025-02-14")
    business.change(contract, business.price("Team", 5_000))
    business.advance("2025-04-01")
    paid = business.invoices_of(acme)[0]
    business.refund(business.charge_of(paid), 100)
    business.close_dispute(business.dispute(business.charges_of(acme)[1]), won=True)
    unpaid = business.invoices_of(late)
    business.credit_note(unpaid[1], {business.lines_of(unpaid[1])[0]["id"]: 500})
    business.void(unpaid[1])
    with StripeDouble(business) as running:
        yield running


def client(double, **changes):
    settings = {"stripe_version": openapi.api_version(), "max_network_retries": 0}
    settings.update(changes)
    key = settings.pop("api_key", double.key)
    return stripe.StripeClient(key, base_addresses={"api": double.base}, **settings)


@pytest.mark.parametrize("path", LISTS)
def test_every_list_answers_what_is_described(double, path):
    """Goal: through the real SDK, page by page, each object as Stripe's schema has it."""
    # A new client pools its connections itself, and closes them when it goes.
    asked = client(double)
    seen = []
    after = ""
    while True:
        page = asked.raw_request("get", f"{path}?limit=9{after}").data
        seen += [one["id"] for one in page["data"]]
        if not page["has_more"]:
            break
        after = f"&starting_after={seen[-1]}"
    wanted = [one["id"] for one in double.business.records.all(LISTS[path])]
    assert len(seen) == len(set(seen))
    assert set(seen) <= set(wanted)
    assert seen
    one = asked.raw_request("get", f"{path}/{seen[0]}").data
    assert one["id"] == seen[0]


@pytest.mark.parametrize(
    ("path", "param"),
    [
        *(("/v1/invoices?limit=many", "limit"), ("/v1/invoices?colour=red", "colour")),
        *(("/v1/invoices?status=payed", "status"), ("/v1/invoices?created[since]=1", "created")),
        *(("/v1/events?types=invoice.paid", "types"), ("/v1/charges?expand=data", "expand")),
        ("/v1/invoices?starting_after=in_none", "starting_after"),
    ],
)
def test_a_wrong_parameter_is_refused(double, path, param):
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client(double).raw_request("get", path)
    assert (refused.value.http_status, refused.value.param) == (400, param)


def test_wrong_paths_keys_versions_forms_and_objects_are_refused(double):
    with pytest.raises(stripe.InvalidRequestError, match="Unrecognized request URL"):
        client(double).raw_request("get", "/v1/invoyces")
    with pytest.raises(stripe.InvalidRequestError, match="No such invoice"):
        client(double).v1.invoices.retrieve("in_none")
    with pytest.raises(stripe.AuthenticationError):
        client(double, api_key="rk_test_another").v1.invoices.list()
    with pytest.raises(stripe.InvalidRequestError, match="version"):
        client(double, stripe_version="2020-08-27").v1.invoices.list()
    with pytest.raises(stripe.InvalidRequestError, match="unknown parameter: nam"):
        client(double).raw_request("post", "/v1/customers", nam="x")
    made = client(double).v1.customers.create({"name": "New", "metadata": {"a": "b"}})
    assert made.metadata["a"] == "b"
    broken = dict(double.business.records.all("invoice")[0], status="half-paid")
    with pytest.raises(AssertionError, match="status"):
        openapi.check_object("invoice", broken)
    with pytest.raises(AssertionError, match="describes no"):
        openapi.check_object("invoice", dict(double.business.records.all("invoice")[0], paid=True))


def test_the_business_keeps_its_own_books(double):
    """Goal: what the double invents adds up: totals by lines, charges by invoices, a balance."""
    records = double.business.records
    for invoice in records.all("invoice"):
        lines = double.business.lines_of(invoice)
        off = sum(one["amount"] for one in invoice["total_discount_amounts"])
        spent = sum(c["amount"] for line in lines for c in line["pretax_credit_amounts"])
        taxes = sum(
            tax["amount"] for tax in invoice["total_taxes"] if tax["tax_behavior"] == "exclusive"
        )
        assert invoice["total"] == invoice["subtotal"] - off - spent + taxes
    paid = sum(one["amount_paid"] for one in records.all("invoice"))
    assert paid == sum(one["amount"] for one in records.all("charge"))
    kinds = {one["type"] for one in records.all("balance_transaction")}
    assert kinds == {"charge", "refund", "adjustment"}
