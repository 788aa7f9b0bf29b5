"""Revenue from Stripe, through Stripe's own package and a double that refuses wrong requests."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter, defaultdict
from contextlib import nullcontext

import pytest

from noburn_cli.core import revenue
from noburn_cli.errors import NoburnError, UsageError
from noburn_cli.revenue.store import reading, writing
from noburn_cli.revenue.stripe_api import StripeApi, StripeFailed
from noburn_cli.revenue.stripe_import import StripeImport
from noburn_cli.revenue.stripe_key import NEEDS, StripeKey, find_key
from noburn_cli.revenue.stripe_lines import Keys
from noburn_cli.revenue.stripe_webhook import Webhook, take_lines
from tests.profit.books import noburn
from tests.stripe_double.business import Business
from tests.stripe_double.server import StripeDouble
from tests.stripe_double.year import year

SOURCE = "stripe-test"
CENT = 10_000_000
pytestmark = pytest.mark.filterwarnings("error")


def imported(double, path, *, tell=lambda *_: None, **how):
    """Import into a file; its facts by id."""
    with writing(path) as store:
        job = StripeImport(api_of(double), store, Keys(), tell)
        done = job.run(**how)
        return done, {fact.id: fact for fact in store.facts(sources=[SOURCE])}


def api_of(double, **how):
    return StripeApi(StripeKey(double.key), base=double.base, sleep=lambda _: None, **how)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The year, and its facts."""
    business = year()
    folder = tmp_path_factory.mktemp("year")
    with StripeDouble(business) as double:
        double.page_max = 40  # Every list has pages.
        done, facts = imported(double, folder / "revenue.sqlite3")
        assert double.refused == []
    assert done.first
    return business, list(facts.values()), folder / "revenue.sqlite3"


def test_what_changes_while_no_event_tells_it(tmp_path):
    """Goal: after a gap longer than events are kept, a note that was voided before its invoice was
    paid, and a refund that came back, are what they became."""
    business = Business("2025-01-01")
    price = business.price("Pro", 2_000)
    owes = business.customer("Acme", pays=False)
    business.cancel(business.subscribe(owes, price))
    paid = business.customer("Beta")
    business.cancel(business.subscribe(paid, price))
    (invoice,) = business.invoices_of(owes)
    business.advance("2025-01-03")
    note = business.credit_note(invoice, {business.lines_of(invoice)[0]["id"]: 500})
    refund = business.refund(business.charges_of(paid)[-1])
    business.advance("2025-01-05")
    with StripeDouble(business) as double:
        _, facts = imported(double, tmp_path / "r.sqlite3")
        assert {f.kind for f in facts.values()} >= {revenue.CREDIT_NOTE, revenue.REFUND}
        business.advance("2025-01-10")
        note.update(status="void", voided_at=business.now)
        invoice["amount_remaining"] += 500
        business.pay(invoice)
        refund["status"] = "failed"
        business.advance("2025-03-05")
        _, facts = imported(double, tmp_path / "r.sqlite3")
    kinds = Counter(f.kind for f in facts.values() if f.kind != revenue.FEE)
    assert kinds == {revenue.SUBSCRIPTION: 2}
    assert sum(f.amount_minor for f in facts.values() if f.kind != revenue.FEE) == 4_000


@pytest.mark.parametrize("billed", [True, False])
def test_a_refund_that_names_an_intent_alone_brings_its_payment_along(tmp_path, billed):
    """Goal: older than what is listed, with an invoice or without one, it is not lost."""
    business = Business("2025-01-01")
    payer = business.customer("Acme")
    if billed:
        business.cancel(business.subscribe(payer, business.price("Pro", 2_000)))
        (charge,) = business.charges_of(payer)
    else:
        charge = business.charge(payer, 2_000)
    business.advance("2025-05-03")
    business.refund(charge)["charge"] = None
    business.advance("2025-05-05")
    with StripeDouble(business) as double:
        _, facts = imported(double, tmp_path / "r.sqlite3", since_s=1_745_000_000)
        assert double.refused == []
        assert sum(f.amount_minor for f in facts.values() if f.kind != revenue.FEE) == 0
        assert sorted(f.amount_minor for f in facts.values() if f.kind != revenue.FEE) == [
            -2_000, 2_000,
        ]  # fmt: skip
        _, again = imported(double, tmp_path / "r.sqlite3")
    assert again == facts


def test_what_is_given_back_of_no_payment_is_named(tmp_path, monkeypatch):
    """Goal: a refund whose intent has no charge that succeeded, and one of a cash balance, are in
    no figure, and both commands say so; one that failed is not."""
    business = Business("2025-01-01")
    payer = business.customer("Acme")
    business.cancel(business.subscribe(payer, business.price("Pro", 2_000)))
    loose = [business.charge(payer, amount) for amount in (700, 500, 300)]
    refunds = [business.refund(charge) for charge in loose]
    for charge, refund in zip(loose, refunds, strict=True):
        charge.update(status="failed", paid=False)
        refund["charge"] = None
    refunds[1]["payment_intent"] = None
    refunds[2]["status"] = "failed"
    monkeypatch.setenv("NOBURN_HOME", str(tmp_path))
    with StripeDouble(business) as double:
        monkeypatch.setenv("STRIPE_API_KEY", double.key)
        done = noburn("import", "stripe", "--base-url", double.base)
        assert done.exit_code == 0, done.output
        shown = json.loads(noburn("import", "stripe", "--base-url", double.base, "--json").stdout)
    named = [tuple(one.values()) for one in shown["data"]["not_counted"]]
    assert named == [
        (refunds[0]["id"], "refund", "7.00", "USD"),
        (refunds[1]["id"], "refund", "5.00", "USD"),
    ]
    assert f"so in no figure: {named[0][0]} 7.00 USD, {named[1][0]} 5.00 USD\n" in done.stdout
    pnl = noburn("pnl", "--period", "2025-01", "--test-mode", "--json")
    said = json.loads(pnl.stdout)["data"]["notes"]
    assert any(note.startswith("2 things that Stripe gave back are of no payment") for note in said)


def test_a_year_comes_to_stripes_balance_to_the_cent(whole):
    """Goal: what facts say was paid and taken is what Stripe's balance says, currency by currency,
    and exactly, not only when rounded."""
    business, facts, _ = whole
    moved = sum(one["net"] for one in business.records.all("balance_transaction"))
    counted = [fact for fact in facts if fact.counts]
    assert all(fact.amount_nano is not None for fact in counted)
    gross = sum(fact.amount_nano for fact in counted if fact.kind != revenue.TAX)
    unpaid = sum(
        one["amount_remaining"] for one in business.records.all("invoice")
        if one["status"] == "open"
    )  # fmt: skip
    # Credit of a customer's balance was taken back and is not paid out yet.
    owed = [c for c in business.records.all("customer") if c["balance"]]
    assert owed == []
    assert gross == (moved + unpaid) * CENT


def test_each_invoice_is_what_its_facts_say(whole):
    """Goal: per document, in its own currency: lines, discounts and credits are its total; the tax
    facts are its tax; what took away is what was taken away."""
    business, facts, _ = whole
    by_document = defaultdict(Counter)
    for fact in facts:
        if fact.currency == "USD" or fact.kind != revenue.FEE:
            by_document[fact.document][fact.kind] += fact.amount_minor
    kinds = (revenue.SUBSCRIPTION, revenue.USAGE, revenue.ONE_OFF, revenue.CREDIT_GRANT)
    seats = {fact.id: fact.seats for fact in facts if fact.kind == revenue.SUBSCRIPTION}
    for line in (line for one in business.records.all("invoice") for line in one["lines"]["data"]):
        assert seats.get(f"{SOURCE}:{line['id']}", line["quantity"]) == line["quantity"]
    for invoice in business.records.all("invoice"):
        sums = by_document[invoice["id"]]
        assert sum(sums[kind] for kind in (*kinds, revenue.DISCOUNT)) == invoice["total"]
    taken = {
        revenue.DISPUTE: sum(d["amount"] for d in business.records.all("dispute")),
        revenue.CREDIT_NOTE: sum(n["total"] for n in business.records.all("credit_note")),
    }
    for kind, amount in taken.items():
        assert -sum(fact.amount_minor for fact in facts if fact.kind == kind) == amount
    covered = sum(r["amount_refunded"] for n in business.records.all("credit_note")
                  for r in n["refunds"])  # fmt: skip
    refunded = sum(one["amount"] for one in business.records.all("refund"))
    assert refunded - covered == -sum(f.amount_minor for f in facts if f.kind == revenue.REFUND)
    fees = sum(one["fee"] for one in business.records.all("balance_transaction")) + 1_700
    assert fees == -sum(f.amount_minor for f in facts if f.kind == revenue.FEE)


def test_facts_say_who_what_for_and_in_which_state(whole):
    business, facts, path = whole
    lines = {fact.id: fact for fact in facts}
    assert {f.customer for f in facts if f.payer_name == "Beta"} == {"beta"}
    assert {f.feature for f in facts if f.payer_name == "Beta" and f.kind == "subscription"} >= {
        "search"
    }
    kinds = {(f.plan, f.kind) for f in facts if f.customer == "acme"}
    assert {("Tokens", "usage"), ("Pro", "subscription"), (None, "credit_grant")} <= kinds
    states = Counter(f.state for f in facts if f.kind in ("subscription", "one_off"))
    assert set(states) == set(revenue.STATES)
    for fact in facts:
        assert not fact.reverses or fact.reverses in lines
    credit = [f for f in facts if f.kind == "credit_grant" and f.amount_minor > 0]
    assert [f.amount_minor for f in credit] == [10_000]
    assert credit[0].ends_ms == 1_763_164_800_000  # 2025-11-15, when it expires
    spent = -sum(f.amount_minor for f in facts if f.kind == "credit_grant" and f.amount_minor < 0)
    grant = business.records.all("billing.credit_grant")[0]
    assert spent == 12_000 - (grant["amount"]["monetary"]["value"] - spent)
    euros = [f for f in facts if f.currency == "EUR" and f.kind == "subscription"]
    assert {f.rate for f in euros} >= {"1.0353", "1.0815", "1.1712"}
    yen = next(f for f in facts if f.currency == "JPY" and f.amount_minor)
    assert (yen.rate, yen.amount_minor) == ("0.006352", 4_300)
    with reading(path) as store:
        assert [name for _, name, _ in store.unmapped([SOURCE])] == ["Odd"]
        assert store.facts() == []  # Nobody gets a rehearsal who does not ask for it.


def test_no_person_and_no_key_is_kept(whole):
    _, _, path = whole
    content = b"".join(p.read_bytes() for p in path.parent.iterdir())
    for secret in (b"example.com", b"Some Body", b"rk_test_double"):
        assert secret not in content


def test_a_tree_is_found_by_its_index(whole):
    """Goal: facts of one invoice take as long in a large account as in a small one."""
    with reading(whole[2]) as store:
        plan = store.rows(
            "EXPLAIN QUERY PLAN SELECT id, type FROM objects WHERE source = ? AND parent = ? "
            "ORDER BY id", SOURCE, "in_1",
        )  # fmt: skip
    assert [row[3] for row in plan] == [
        "SEARCH objects USING INDEX objects_below (source=? AND parent=?)"
    ]


def test_importing_again_finds_what_changed(tmp_path):
    """Goal: after any change, an old file brought up to date equals a new one, fact for fact."""
    b = Business("2025-01-01")
    b.paying.rates["eur"] = "1.05"
    pro = b.price("Pro", 2_000)
    acme, late = b.customer("Acme"), b.customer("Late", pays=False)
    contract = b.subscribe(acme, pro, b.price("Tokens", 2, metered=True))
    b.subscribe(late, b.price("Pro EU", 1_900, currency="eur"))
    b.item(acme, 700)
    b.advance("2025-04-10")
    held = b.dispute(b.charges_of(acme)[0])
    given = b.grant(acme, 500)
    bought = b.item(acme, 800)
    b.set_metadata(given, {"noburn_invoice": b.invoice_items(acme)["id"]})
    b.advance("2025-04-12")  # What is older than an hour is not listed again.
    path = tmp_path / "revenue.sqlite3"
    with StripeDouble(b) as double:
        double.page_max = 3
        imported(double, path)
        b.advance("2025-04-20")
        unpaid = b.invoices_of(late)
        b.void(unpaid[0])
        b.mark_uncollectible(unpaid[1])
        b.pay(unpaid[2])
        b.close_dispute(held, won=True)
        b.refund(b.charges_of(acme)[1], 300)
        note = b.invoices_of(acme)[2]
        b.credit_note(note, {b.lines_of(note)[0]["id"]: 2_000})
        b.set_metadata(acme, {"noburn_customer": "acme", "email": "x@example.com"})
        b.set_metadata(contract, {"noburn_feature": "chat"})
        b.item(acme, 900)
        assert bought["invoice"]
        b.advance("2025-04-21")
        before = len(double.requests)
        done, facts = imported(double, path)
        assert not done.first
        asked = double.requests[before:]
        assert facts == imported(double, tmp_path / "new.sqlite3")[1]
        # Only what is new was listed, and what changed asked for.
        assert len(asked) < 45
        assert sum("/v1/invoices?" in target for _, target in asked) == 1
        before = len(double.requests)
        assert imported(double, path)[0].roots == 0

        # Two months later the events are gone: what could change is looked at.
        b.records.by_type["event"].clear()
        b.pay(unpaid[1])
        b.item(acme, 950)
        b.set_metadata(given, {"noburn_invoice": b.invoice_items(acme)["id"]})
        b.item(acme, 100)
        b.advance("2025-06-25")
        b.records.by_type["event"].clear()
        assert imported(double, path)[1] == imported(double, tmp_path / "third.sqlite3")[1]
        assert double.refused == []


def test_an_invoice_with_many_lines_has_all_of_them(tmp_path):
    b = Business("2025-01-01")
    acme = b.customer("Acme")
    for amount in range(1, 24):
        b.item(acme, amount)
    b.invoice_items(acme)
    with StripeDouble(b) as double:
        double.page_max = 7
        _, facts = imported(double, tmp_path / "revenue.sqlite3")
    lines = sorted(f.amount_minor for f in facts.values() if f.kind == "one_off")
    assert lines == list(range(1, 24))


def test_an_import_that_is_broken_off_anywhere_is_finished_by_the_next(tmp_path):
    """Goal: stopped after any step, nothing is lost and nothing doubled."""
    b = Business("2025-01-01")
    acme = b.customer("Acme")
    b.subscribe(acme, b.price("Pro", 2_000), tax=b.tax_rate(20))
    b.advance("2025-08-01")
    b.refund(b.charges_of(acme)[2], 500)
    with StripeDouble(b) as double:
        double.page_max = 4
        steps = []
        _, wanted = imported(double, tmp_path / "whole.sqlite3", tell=lambda *a: steps.append(a))
        for stop in (1, 5, len(steps) - 6, len(steps) - 1):
            left = iter(range(stop))

            def tell(*_, left=left):
                if next(left, None) is None:
                    raise KeyboardInterrupt

            path = tmp_path / f"stopped{stop}.sqlite3"
            try:
                broken_off = False
                imported(double, path, tell=tell)
            except KeyboardInterrupt:
                broken_off = True
            done, facts = imported(double, path)
            assert facts == wanted
            assert broken_off
            assert done.resumed


def test_a_killed_process_loses_and_doubles_nothing(tmp_path):
    """Goal: SIGKILL while a page is on its way; the same command goes on there."""
    b = Business("2025-01-01")
    b.subscribe(b.customer("Acme", {"noburn_customer": "acme"}), b.price("Pro", 2_000))
    b.advance("2025-09-01")
    with StripeDouble(b) as double:
        double.page_max = 4
        _, wanted = imported(double, tmp_path / "whole.sqlite3")
        environment = {**os.environ, "NOBURN_HOME": str(tmp_path), "STRIPE_API_KEY": double.key}
        command = [sys.executable, "-m", "noburn_cli", "import", "stripe", "--base-url"]
        child = None
        ready = threading.Event()

        def kill(_method, target, _number):
            if target.startswith("/v1/charges") and "starting_after" in target:
                ready.wait(30)
                child.send_signal(signal.SIGKILL)
                child.wait()
                return "drop"
            return None

        double.faults = kill
        child = subprocess.Popen([*command, double.base], env=environment)
        ready.set()
        assert child.wait(timeout=120) == -signal.SIGKILL
        double.faults = lambda *_: None
        before = len(double.requests)
        ran = subprocess.run(
            [*command, double.base, "--json"], env=environment, capture_output=True, text=True,
            check=True,
        )  # fmt: skip
        data = json.loads(ran.stdout)["data"]
        assert data["resumed"]
        assert data["facts"] == sum(fact.counts for fact in wanted.values())
        assert not any("/v1/invoices" in target for _, target in double.requests[before:])
    with reading(tmp_path / "revenue.sqlite3") as store:
        assert {fact.id: fact for fact in store.facts(sources=[SOURCE])} == wanted


def test_a_busy_stripe_is_waited_for_and_an_absent_one_named(tmp_path):
    b = Business("2025-01-01")
    b.subscribe(b.customer("Acme"), b.price("Pro", 2_000))
    with StripeDouble(b) as double:
        _, wanted = imported(double, tmp_path / "whole.sqlite3")
        troubles = [429, 500, "drop", 503, 429]
        double.faults = lambda _m, _t, number: troubles.pop() if troubles and number % 2 else None
        assert imported(double, tmp_path / "busy.sqlite3")[1] == wanted
        assert troubles == []
        double.faults = lambda *_: 429
        with pytest.raises(StripeFailed, match="429"):
            api_of(double, tries=3).get("/v1/events")
    with pytest.raises(StripeFailed, match="cannot be reached") as away:
        api_of(double, tries=2).get("/v1/events")
    assert "refused" in away.value.why


def test_keys(tmp_path, monkeypatch):
    """Goal: only a restricted key is used, from the environment or a file of one's own, and no
    message repeats one."""
    good = tmp_path / "key"
    good.write_text("rk_live_abc\n", encoding="utf-8")
    good.chmod(0o600)
    key = find_key({}, good)
    assert (key.source, key.livemode) == ("stripe", True)
    assert "abc" not in repr(key)
    assert find_key({"STRIPE_API_KEY": "rk_test_abc"}, None).source == SOURCE
    for secret in ("sk_live_abc", "sk_test_abc", "pk_live_abc", "whatever_abc", ""):
        with pytest.raises(UsageError) as refused:
            find_key({"STRIPE_API_KEY": secret}, None)
        assert "abc" not in "".join(refused.value.lines())
        assert NEEDS.split(":")[0] in refused.value.next_step
    monkeypatch.setitem(sys.modules, "stripe", None)  # As where it is not installed.
    with pytest.raises(UsageError) as refused:
        find_key({}, None)
    assert "pip install 'noburn-cli[stripe]'" in refused.value.next_step
    monkeypatch.undo()
    for words in (["--key-file", "rk_live_abc"], ["rk_live_abc"]):  # In the wrong place.
        with pytest.raises(UsageError) as refused:
            noburn("import", "stripe", *words)
        assert "abc" not in "".join(refused.value.lines())
    good.chmod(0o644)
    with pytest.raises(UsageError, match="others"):
        find_key({}, good)
    b = Business("2025-01-01")
    with StripeDouble(b) as double:
        double.forbidden = {"refund", "credit_note"}
        with pytest.raises(UsageError, match="/v1/refunds, /v1/credit_notes"):
            imported(double, tmp_path / "revenue.sqlite3")
        wrong = StripeApi(StripeKey("rk_test_wrong"), base=double.base)
        with pytest.raises(UsageError) as refused:
            wrong.get("/v1/events")
        assert "wrong" not in "".join(refused.value.lines())
    live = Business("2025-01-01", livemode=True)
    live.customer("Acme")
    with StripeDouble(live) as double:
        double.key = "rk_test_double0000000000"  # A key of one mode, and answers of the other.
        with pytest.raises(NoburnError, match="other mode"):
            imported(double, tmp_path / "mixed.sqlite3")
    with pytest.raises(UsageError, match="not asked"):
        StripeApi(key, base="http://stripe.example")


def signed(event, secret="whsec_test"):
    import hashlib
    import hmac

    body = json.dumps(event).encode()
    now = int(time.time())
    mac = hmac.new(secret.encode(), f"{now}.".encode() + body, hashlib.sha256).hexdigest()
    return body, f"t={now},v1={mac}"


def post(port, body, signature):
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/", data=body, headers={"Stripe-Signature": signature}
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_events_bring_changes_at_once_and_forged_ones_nothing(tmp_path):
    """Goal: a webhook takes signed events alone, and what they name is asked of Stripe."""
    b = Business("2025-01-01")
    acme = b.customer("Acme")
    b.subscribe(acme, b.price("Pro", 2_000))
    with StripeDouble(b) as double, writing(tmp_path / "revenue.sqlite3") as store:
        job = StripeImport(api_of(double), store, Keys(), lambda *_: None)
        job.run()
        b.refund(b.charges_of(acme)[0])
        event = next(e for e in b.records.all("event") if e["type"] == "refund.created")
        told = []

        def tell(line):
            told.append(line)
            raise KeyboardInterrupt

        answers = []

        def send(port):
            forged = signed(event, "whsec_other")
            answers.append(post(port, *forged))
            answers.append(post(port, event and json.dumps(event).encode(), ""))
            answers.append(post(port, *signed({**event, "livemode": True})))
            answers.append(post(port, *signed(["no", "event"])))
            answers.append(post(port, *signed(event)))

        with Webhook(lambda: nullcontext(job), "whsec_test", 0) as hook:
            sender = threading.Thread(target=send, args=(hook.port,))
            sender.start()
            hook.serve(tell)
            sender.join()
        assert answers == [400, 400, 400, 400, 200]
        facts = store.facts(sources=[SOURCE])
        refunds = [fact for fact in facts if fact.kind == revenue.REFUND]
        assert [fact.amount_minor for fact in refunds] == [-2_000]

        b.set_metadata(acme, {"noburn_customer": "acme"})
        b.close_dispute(b.dispute(b.charges_of(acme)[0]), won=False)
        lines = [json.dumps(e).encode() + b"\n" for e in b.records.all("event")[-4:]]
        assert take_lines(job, [*lines, b"\n"]).events == 4
        facts = store.facts(sources=[SOURCE])
        assert {fact.customer for fact in facts} == {"acme"}
        assert revenue.DISPUTE in {fact.kind for fact in facts}
        with pytest.raises(NoburnError, match="line 1"):
            take_lines(job, [b"{}"])

        # A payment that is heard of before the invoice that it is for.
        b.advance("2025-02-02")
        paid = b.records.by_type["invoice_payment"]
        late = paid.pop(list(paid)[-1])
        events = {e["type"]: e for e in b.records.all("event")}
        names = ("invoice.finalized", "charge.succeeded")
        take_lines(job, [json.dumps(events[name]).encode() for name in names])
        charge = b.charges_of(acme)[-1]["id"]
        assert charge in {fact.document for fact in store.facts(sources=[SOURCE])}
        paid[late["id"]] = late
        take_lines(job, [json.dumps(events["invoice_payment.paid"]).encode()])
        assert charge not in {fact.document for fact in store.facts(sources=[SOURCE])}


def test_what_hangs_on_something_older_brings_it_along(tmp_path):
    """Goal: an import from a day on knows the charges and invoices that were taken back since, and
    a later one from an earlier day is as if it had begun there."""
    b = Business("2025-01-01")
    acme = b.customer("Acme", {"noburn_customer": "acme"})
    b.subscribe(acme, b.price("Pro", 2_000))
    b.advance("2025-05-10")
    b.refund(b.charges_of(acme)[0], 500)
    note = b.invoices_of(acme)[1]
    b.credit_note(note, {b.lines_of(note)[0]["id"]: 700})
    path = tmp_path / "revenue.sqlite3"
    with StripeDouble(b) as double:
        done, facts = imported(double, path, since_s=b.now - 86_400)
        assert done.first
        invoices = {b.invoices_of(acme)[0]["id"], note["id"]}
        assert {fact.document for fact in facts.values()} == invoices
        assert Counter(fact.kind for fact in facts.values()) == {
            "subscription": 2, "fee": 2, "refund": 1, "credit_note": 1,
        }  # fmt: skip
        everything = imported(double, path, since_s=1)[1]
        assert everything == imported(double, tmp_path / "new.sqlite3")[1]
        assert {fact.customer for fact in everything.values()} == {"acme"}
        assert double.refused == []


def test_an_old_import_that_was_broken_off_is_finished_and_brought_up_to_date(tmp_path):
    b = Business("2025-01-01")
    acme = b.customer("Acme")
    b.subscribe(acme, b.price("Pro", 2_000))
    path = tmp_path / "revenue.sqlite3"

    def stop(_count, what):
        if what == "charges":
            raise KeyboardInterrupt

    with StripeDouble(b) as double:
        with pytest.raises(KeyboardInterrupt):
            imported(double, path, tell=stop)
        b.advance("2025-04-15")
        b.refund(b.charges_of(acme)[0])
        done, facts = imported(double, path)
        assert done.resumed
        assert done.until_s == b.now
        assert facts == imported(double, tmp_path / "new.sqlite3")[1]


def test_a_total_beyond_the_lines_is_a_fact_of_its_own(tmp_path):
    """Shipping stands on no line of an invoice."""
    b = Business("2025-01-01")
    acme = b.customer("Acme", pays=False)
    b.item(acme, 1_000)
    invoice = b.invoice_items(acme)
    for name in ("total", "amount_due", "amount_remaining"):
        invoice[name] += 250
    b.pay(invoice)
    with StripeDouble(b) as double:
        _, facts = imported(double, tmp_path / "revenue.sqlite3")
    counted = [fact for fact in facts.values() if fact.kind != "fee"]
    assert sorted(fact.amount_minor for fact in counted) == [250, 1_000]


def test_a_currency_without_a_rate_is_listed_until_it_has_one(tmp_path, monkeypatch):
    """Goal: an account that settles in euros has no rate; none is invented, and one that is told
    prices what was there."""
    from typer.testing import CliRunner

    from noburn_cli.cli import app

    b = Business("2025-01-01", settles="eur")
    b.subscribe(b.customer("Acme"), b.price("Pro", 2_000, currency="eur"))
    monkeypatch.setenv("NOBURN_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    words = ["import", "stripe", "--json", "--base-url"]
    with StripeDouble(b) as double:
        monkeypatch.setenv("STRIPE_API_KEY", double.key)
        ran = CliRunner().invoke(app, [*words, double.base], catch_exceptions=False)
        data = json.loads(ran.stdout)["data"]
        assert (data["without_rate"], data["net"]) == ({"EUR": 2}, "0")
        folder = tmp_path / "home" / "config"
        folder.mkdir(parents=True)
        (folder / "noburn.toml").write_text(
            '[revenue.rates.EUR]\nsource = "bank"\n2025-01-01 = "1.25"\n'
            f'[revenue.customers]\n{b.records.all("customer")[0]["id"]} = "acme"\n',
            encoding="utf-8",
        )
        ran = CliRunner().invoke(app, [*words, double.base], catch_exceptions=False)
        data = json.loads(ran.stdout)["data"]
    assert (data["without_rate"], data["unmapped"]) == ({}, [])
    assert data["net"] == "23.9"  # (20.00 - 0.88) euros at 1.25


def test_dinars_live_figures_and_a_look_back(tmp_path, monkeypatch):
    """Goal: three decimals come to what was settled; live facts are everybody's; what changed
    without an event is found by looking back; without the package the extra is named."""
    b = Business("2025-01-01", livemode=True)
    b.paying.rates["kwd"] = "0.325"  # cents for a thousandth of a dinar
    acme = b.customer("Acme")
    b.subscribe(acme, b.price("Pro", 6_500, currency="kwd"))
    b.advance("2025-01-20")
    path = tmp_path / "revenue.sqlite3"
    with StripeDouble(b) as double:
        imported(double, path)
        with reading(path) as store:
            line = next(fact for fact in store.facts() if fact.kind == revenue.SUBSCRIPTION)
        assert (line.source, line.amount_minor, line.rate) == ("stripe", 6_500, "3.25")
        assert line.amount_nano == 21_13 * CENT  # 21.125 dollars were settled as 21.13
        b.invoices_of(acme)[0]["metadata"]["noburn_customer"] = "acme"
        imported(double, path)
        with reading(path) as store:
            assert store.unmapped() != []
        imported(double, path, look_back_s=30 * 86_400)
        with reading(path) as store:
            assert {f.customer for f in store.facts()} == {"acme"}
        monkeypatch.setitem(sys.modules, "stripe", None)
        with pytest.raises(NoburnError, match="not installed") as refused:
            api_of(double)
        assert "noburn-cli[stripe]" in refused.value.next_step
