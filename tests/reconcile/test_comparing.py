"""Bills and books side by side: names, keys, fees, requests; and after booking they are equal."""

from __future__ import annotations

import csv
import io
import json
import random
from datetime import datetime, timedelta, timezone
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from noburn_cli.core.money import NANO_PER_DOLLAR
from noburn_cli.reconcile.comparing import Comparison, Terms, compare
from noburn_cli.reconcile.entries import Booking, batch_of
from noburn_cli.reconcile.formats import read_file
from noburn_cli.reconcile.mapped_csv import parse_map
from noburn_cli.reconcile.scoping import Scoping, scope_name
from noburn_cli.reconcile.sharing import split
from noburn_cli.reports.verify import verify_ledger
from noburn_daemon import correcting, ending, reserving
from tests.daemon.parts import commit, open_book, price_book, read, reserve_frame, shown
from tests.reconcile.billing_stub import Biller

FIRST = datetime(2026, 10, 1, tzinfo=timezone.utc)
DAYS = 5
NOW = int(datetime(2026, 11, 2, tzinfo=timezone.utc).timestamp() * 1000)


class Books:
    """A ledger, written by the daemon's own book without its process."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "ledger.sqlite3"
        self.folder = folder
        self.book, self.ledger = open_book(self.path, int(FIRST.timestamp() * 1000))
        self.openai = Biller(FIRST, DAYS)
        self.count = 0

    def call(self, model: str, at: datetime, ends: str, *, billed: dict[str, int] | None,
             attrs: dict[str, str] | None = None, extra: dict[str, int] | None = None,
             key: str = "key_main", ends_at: datetime | None = None,
             **seen: int) -> str:  # fmt: skip
        """A call that we saw use `seen`, and that the provider bills as `billed`."""
        self.count += 1
        call, number = f"c{self.count:05}", f"req-{self.count}"
        if billed is not None:
            self.openai.bill(number, model, at, **billed)
            self.openai.requests[-1] = type(self.openai.requests[-1])(
                number, model, at, billed, key
            )
        now = int(at.timestamp() * 1000)
        attrs = {"customer": "acme"} if attrs is None else attrs
        frame = reserve_frame(call, model=model, attrs=attrs, extra=extra or {})
        granted = reserving.reserve(self.book, read(frame), owner="o", caller=None, now_ms=now)
        assert shown(granted)["ok"], granted
        usage = {"input": seen.get("input", 0), "cache_read": seen.get("cached", 0),
                 "output": seen.get("output", 0), "extra": extra or {}}  # fmt: skip
        said = {"n": 1, "op": ends, "call": call}
        now = now if ends_at is None else int(ends_at.timestamp() * 1000)
        if ends == "settle":
            done = ending.settle(
                self.book, read({**said, "usage": usage, "provider_id": number}), now
            )
        elif ends == "lose":
            done = ending.lose(self.book, read({**said, "reason": "lost"}), now)
        else:
            done = ending.void(self.book, read({**said, "reason": "void"}), now)
        assert shown(done)["ok"], done
        commit(self.book, self.ledger, snapshot=True)
        return call

    def file(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text)
        return path

    def compare(
        self, *files: Path, scoping: Scoping | None = None, columns: str | None = None
    ) -> Comparison:
        mapping = None if columns is None else parse_map(columns)
        bills = [read_file(path, mapping=mapping, provider=None) for path in files]
        terms = Terms(price_book(), scoping or Scoping(), last="2026-10-31")
        [found] = compare(self.path, bills, terms)
        return found

    def book_all(self, found: Comparison, scoping: Scoping | None = None) -> Booking:
        by_id = {} if scoping is None else scoping.by_id
        scopes = {scope_name(scope): scope for scope in by_id.values()}
        booking = Booking(found, scopes=scopes, unguarded={"feature": "unguarded"})
        if booking.entries:
            frame = {"n": 1, "op": "ledger.correct", "batch": batch_of([booking]),
                     "entries": booking.entries, "after": found.last_correction,
                     "provider": found.provider}  # fmt: skip
            reply = correcting.correct(self.book, read(frame), NOW)
            assert reply["ok"], reply
            commit(self.book, self.ledger, snapshot=True)
        return booking


@pytest.fixture
def books(tmp_path: Path) -> Any:
    made = Books(tmp_path)
    yield made
    made.ledger.close()


def why(found: Comparison) -> dict[tuple[str, str], list[tuple[str, int]]]:
    """(reason, nano-dollars) by model and scope, in order."""
    said: dict[tuple[str, str], list[tuple[str, int]]] = {}
    for line in found.lines:
        for one in line.differences:
            said.setdefault((line.model, line.scope), []).append((one.why, one.nano))
    return said


def drift(found: Comparison) -> int:
    return sum(abs(line.drift) for line in found.lines)


def requests_csv(biller: Biller) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(("when", "name", "usd", "in", "cached", "out", "id"))
    for one in biller.requests:
        dollars = sum(one.dollars(kind) for kind in ("input", "cached", "output"))
        counts = [one.tokens.get(kind, 0) for kind in ("input", "cached", "output")]
        writer.writerow((one.at.isoformat(), one.model, f"{dollars:f}", *counts, one.id))
    return text.getvalue()


COLUMNS = "day=when,model=name,cost=usd,input=in,cache_read=cached,output=out,request=id"


def test_bills_that_name_their_requests(books: Books) -> None:
    """A lost call is settled by its own bill, and a settled one corrected by its own."""
    at = FIRST + timedelta(hours=3)
    lost = books.call("gpt-6-luna", at, "lose", billed={"input": 50, "output": 60})
    books.openai.requests[-1] = type(books.openai.requests[-1])(
        lost, "gpt-6-luna", at, {"input": 50, "output": 60}
    )  # The export names our own id: nobody told us the provider's.
    books.call("gpt-6-luna", at, "settle", billed={"input": 10, "output": 10}, input=10, output=10)
    books.call("gpt-6-luna", at, "settle", billed={"input": 10, "output": 90}, input=10, output=10)
    books.call("gpt-6-luna", at, "settle", billed=None, input=10, output=10)
    books.openai.bill("strange", "gpt-6-luna", at, input=1000)
    export = books.file("requests.csv", requests_csv(books.openai))
    found = books.compare(export, columns=COLUMNS)
    assert why(found) == {
        ("gpt-6-luna", ""): [
            ("uncertain", 35_000 - 510_000), ("tokens", 40_000), ("bill_without_calls", 100_000),
            ("calls_without_bill", -6_000),
        ]
    }  # fmt: skip
    booking = books.book_all(found)
    [bill] = [entry for entry in booking.entries if "ends" in entry]
    assert (bill["call"], bill["nano"], bill["usage"]) == (
        lost,
        35_000,
        {"input": 50, "output": 60},
    )
    [against] = [e for e in booking.entries if e.get("call") and "ends" not in e]
    assert (against["nano"], against["usage"]) == (40_000, {"output": 80})
    again = books.compare(export, columns=COLUMNS)
    assert (drift(again), books.book_all(again).entries) == (0, [])
    assert verify_ledger(books.path).holds


def test_keys_are_compared_apart_and_pay_for_their_own(books: Books) -> None:
    scoping = Scoping({"key_a": {"customer": "acme"}, "key_b": {"customer": "globex"}})
    at = FIRST + timedelta(hours=3)
    books.call("gpt-6-luna", at, "settle", billed={"output": 10}, output=10, key="key_a")
    books.call("gpt-6-luna", at, "settle", billed={"output": 10}, output=10, key="key_b",
               attrs={"customer": "globex", "feature": "chat"})  # fmt: skip
    books.openai.bill("strange", "gpt-6-luna", at, output=100)
    books.openai.requests[-1] = type(books.openai.requests[-1])(
        "strange", "gpt-6-luna", at, {"output": 100}, "key_b"
    )
    usage = books.file("usage.json", books.openai.openai_usage())
    found = books.compare(usage, scoping=scoping)
    assert why(found) == {("gpt-6-luna", "customer=globex"): [("bill_without_calls", 50_000)]}
    [entry] = books.book_all(found, scoping).entries
    assert entry["attrs"] == {"customer": "globex", "feature": "unguarded"}
    assert drift(books.compare(usage, scoping=scoping)) == 0
    # Costs that name no key cannot be compared by key: said, and compared as a whole.
    costs = json.loads(books.openai.openai_costs())
    for page in costs:
        for bucket in page["data"]:
            for row in bucket["results"]:
                row["project_id"] = None
    whole = books.compare(usage, books.file("costs.json", json.dumps(costs)), scoping=scoping)
    assert {line.scope for line in whole.lines} == {""}
    assert "scopes are not compared apart" in whole.remarks[0]
    assert drift(whole) == 0


def test_a_fee_belongs_to_the_models_that_searched(books: Books) -> None:
    at = FIRST + timedelta(hours=3)
    for model, searches in (("gpt-6-luna", 1), ("gpt-6.1-terra", 3)):
        books.call(model, at, "settle", billed={"output": 10}, output=10,
                   extra={"web_search": searches})  # fmt: skip
    pages = json.loads(books.openai.openai_costs())
    fee = {"object": "organization.costs.result", "line_item": "web search tool calls",
           "amount": {"value": 0.04, "currency": "usd"}}  # fmt: skip
    pages[0]["data"][0]["results"].append(fee)
    found = books.compare(books.file("costs.json", json.dumps(pages)))
    assert [line.model for line in found.lines] == ["gpt-6-luna", "gpt-6.1-terra"]
    # $10 per thousand: as the price book says, so that nothing but terra's other rate is left.
    assert why(found) == {("gpt-6.1-terra", ""): [("price", 10_000)]}


def test_a_day_that_names_no_model_is_one_line(books: Books) -> None:
    at = FIRST + timedelta(hours=3)
    books.call("gpt-6-luna", at, "settle", billed={"output": 10}, output=10)
    books.call("gpt-6.1-terra", at, "settle", billed={"output": 10}, output=10)
    pages = json.loads(books.openai.openai_costs())
    bucket = pages[0]["data"][0]
    value = sum(row["amount"]["value"] for row in bucket["results"])
    bucket["results"] = [{"object": "organization.costs.result",
                          "amount": {"value": value, "currency": "usd"}}]  # fmt: skip
    found = books.compare(books.file("costs.json", json.dumps(pages)))
    assert why(found) == {("(all models)", ""): [("price", 10_000)]}
    books.book_all(found)
    assert drift(books.compare(books.file("costs.json", json.dumps(pages)))) == 0


def test_usage_alone_says_nothing_of_what_it_does_not_mention(books: Books) -> None:
    at = FIRST + timedelta(hours=3)
    books.call("gpt-6-luna", at, "settle", billed={"output": 10}, output=10)
    books.call("text-embedding-3-small", at, "settle", billed=None, input=10)
    found = books.compare(books.file("usage.json", books.openai.openai_usage()))
    assert (drift(found), [line.model for line in found.lines]) == (0, ["gpt-6-luna"])
    assert "does not mention text-embedding-3-small" in found.remarks[0]


@pytest.mark.parametrize("days_later", [0, 1])
def test_a_call_over_midnight_belongs_to_the_day_of_its_bill(books: Books, days_later: int) -> None:
    """Whether the provider counts it to its beginning or to its end: nothing drifts."""
    late = FIRST + timedelta(hours=23, minutes=59)
    books.call(
        "gpt-6-luna", late, "settle", billed=None, output=7, ends_at=late + timedelta(minutes=2)
    )
    books.call("gpt-6-luna", late, "settle", billed={"output": 5}, output=5)
    books.openai.bill("r", "gpt-6-luna", FIRST + timedelta(days=days_later), output=7)
    usage = books.file("usage.json", books.openai.openai_usage())
    costs = books.file("costs.json", books.openai.openai_costs())
    found = books.compare(usage, costs)
    assert (drift(found), why(found)) == (0, {})
    assert books.book_all(found).entries == []


MODELS = ("gpt-6-luna", "gpt-6.1-terra")


@pytest.mark.parametrize("seed", range(100, 106))
def test_after_booking_the_books_say_what_the_bill_says(books: Books, seed: int) -> None:
    """Whatever went wrong, and whichever export tells it: once, and to the last nano-dollar."""
    rng = random.Random(seed)
    for _ in range(40):
        at = FIRST + timedelta(hours=rng.randrange(24 * DAYS), minutes=rng.randrange(60))
        seen = {
            "input": rng.randrange(60),
            "cached": rng.randrange(30),
            "output": rng.randrange(900),
        }
        ends = rng.choice(("settle", "settle", "settle", "lose", "void"))
        billed: dict[str, int] | None = seen if ends == "settle" else None
        if rng.random() < 0.3:
            other = {kind: n + rng.randrange(9) for kind, n in seen.items()}
            billed = rng.choice((None, other))
        books.call(rng.choice(MODELS), at, ends, billed=billed,
                   attrs={"customer": rng.choice("abc")}, **seen)  # fmt: skip
    for number in range(rng.randrange(4)):
        books.openai.bill(f"x{number}", rng.choice(MODELS), FIRST, output=rng.randrange(5000))
    usage = books.file("usage.json", books.openai.openai_usage())
    costs = books.file("costs.json", books.openai.openai_costs())
    requests = books.file("requests.csv", requests_csv(books.openai))
    ways = [[costs], [usage, costs], [requests], [costs]]
    rng.shuffle(ways)
    invoice = round(Fraction(books.openai.total()) * NANO_PER_DOLLAR)
    for files in ways:
        columns = COLUMNS if files == [requests] else None
        found = books.compare(*files, columns=columns)
        booking = books.book_all(found)
        after = books.compare(*files, columns=columns)
        assert (drift(after), books.book_all(after).entries) == (0, [])
        charged = sum(line.ours.total for line in after.lines)
        assert abs(charged - invoice) <= len(after.lines) + len(books.openai.requests)
        assert booking.total_nano == sum(line.drift for line in found.lines)
    assert verify_ledger(books.path).holds


@pytest.mark.parametrize(
    ("amount", "weights", "parts"),
    [
        (10, [1, 1, 1], [4, 3, 3]),
        (-10, [1, 1, 1], [-4, -3, -3]),
        (7, [0, 0], [4, 3]),
        (0, [5], [0]),
        (5, [-3, 1], [0, 5]),
        (1, [1, 2], [0, 1]),
    ],
)
def test_a_whole_is_shared_out_to_the_last_unit(
    amount: int, weights: list[int], parts: list[int]
) -> None:
    assert split(amount, weights) == parts
