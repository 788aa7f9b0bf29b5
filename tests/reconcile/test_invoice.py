"""The books equal the invoice: a month of two providers, with all that goes wrong in one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from noburn_cli.reports.query import Question, read_report
from noburn_cli.reports.verify import verify_ledger
from noburn_daemon import ending, policy, reserving
from tests.daemon.parts import commit, open_book, read, reserve_frame, shown
from tests.reconcile.billing_stub import Biller
from tests.warm import run_noburn

FIRST = datetime(2026, 10, 1, tzinfo=timezone.utc)
DAYS = 31
API = {"gpt": "openai_chat", "claude": "anthropic_messages"}


class Month:
    """A home whose ledger has a month of calls, and the two providers that billed them."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.openai, self.anthropic = Biller(FIRST, DAYS), Biller(FIRST, DAYS)
        self.book, self.ledger = open_book(home / "ledger.sqlite3", ms(FIRST))
        self.count = 0

    def call(self, model: str, day: int, *, ends: str = "settle", billed: bool = True,
             seen: bool = True, customer: str = "acme", **tokens: int) -> None:  # fmt: skip
        """One request: what the provider bills, and what noburn saw of it."""
        self.count += 1
        at = FIRST + timedelta(days=day - 1, hours=self.count % 24, minutes=self.count)
        number = f"req-{self.count}"
        if billed:
            biller = self.anthropic if model.startswith("claude") else self.openai
            biller.bill(number, model, at, **tokens)
        if seen:
            self._record(f"2026-{self.count:05}", model, at, ends, number, customer, tokens)

    def _record(
        self, call: str, model: str, at: datetime, ends: str, number: str, customer: str,
        tokens: dict[str, int],
    ) -> None:  # fmt: skip
        frame = reserve_frame(call, model=model, api=API[model.split("-")[0]],
                              attrs={"customer": customer, "feature": "chat"})  # fmt: skip
        reply = reserving.reserve(self.book, read(frame), owner="o", caller=None, now_ms=ms(at))
        assert shown(reply)["ok"], reply
        usage = {"input": tokens.get("input", 0), "cache_read": tokens.get("cached", 0),
                 "output": tokens.get("output", 0)}  # fmt: skip
        end = {"n": 1, "op": ends, "call": call}
        if ends == "settle":
            ending.settle(self.book, read({**end, "usage": usage, "provider_id": number}), ms(at))
        else:
            ending.lose(self.book, read({**end, "reason": "stream aborted"}), ms(at))
        commit(self.book, self.ledger, snapshot=True)

    def close(self) -> None:
        self.ledger.close()

    def noburn(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("NOBURN")}
        home = {"NOBURN_HOME": str(self.home), "COLUMNS": "200"}
        return run_noburn(arguments, env={**kept, **home})

    def said(self, *arguments: str) -> str:
        done = self.noburn(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def spent(self, prefix: str) -> Decimal:
        """What a report of the month says was spent on a provider's models."""
        until = ms(FIRST + timedelta(days=DAYS))
        question = Question(by=("model",), since_ms=ms(FIRST), until_ms=until)
        lines = read_report(self.home / "ledger.sqlite3", question).lines
        spent = sum(line.sums.cost_nano for line in lines if line.keys[0].startswith(prefix))
        return Decimal(spent) / 10**9

    def holds(self) -> bool:
        return verify_ledger(self.home / "ledger.sqlite3").holds

    def save(self, name: str, text: str) -> str:
        (self.home / name).write_text(text)
        return str(self.home / name)

    def exports(self) -> list[str]:
        return [
            self.save("usage.json", self.openai.openai_usage()),
            self.save("costs.json", self.openai.openai_costs()),
            self.save("claude-usage.json", self.anthropic.anthropic_usage()),
            self.save("claude-cost.json", self.anthropic.anthropic_cost()),
        ]


def ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)


@pytest.fixture
def month() -> Iterator[Month]:
    home = Path(tempfile.mkdtemp(prefix="nb-", dir="/tmp"))
    made = Month(home)
    try:
        yield made
    finally:
        made.noburn("daemon", "stop")
        shutil.rmtree(home, ignore_errors=True)


def fill(month: Month) -> None:
    for day in range(1, DAYS + 1):
        for n in range(3):
            customer = ("acme", "globex", "initech")[n]
            month.call("gpt-6-luna", day, customer=customer, input=40 + day, output=900 - n)
            month.call("claude-sonnet-5-5", day, customer=customer, input=90, cached=8, output=777)
    month.call("gpt-6.1-terra", 4, input=99, output=1000, customer="acme")  # at another rate
    month.call("gpt-6.1-terra", 4, input=9, output=500, customer="globex")
    month.call("gpt-6-luna", 7, ends="lose", input=80, output=333)  # a stream that broke off
    month.call("claude-sonnet-5-5", 8, ends="lose", input=70, output=250)
    month.call("gpt-6-luna", 9, ends="lose", billed=False)  # lost, and never billed
    month.call("gpt-6-luna", 12, seen=False, input=5000, output=70_000)  # passed no guard
    month.call("gpt-6-luna", 15, billed=False, input=30, output=40)  # settled, and not billed


def reasons(told: dict[str, Any]) -> dict[tuple[str, str], tuple[int, str]]:
    return {
        (model["model"], reason["reason"]): (reason["calls"], reason["usd"])
        for one in told["data"]["providers"]
        for model in one["models"]
        for reason in model["reasons"]
    }


def test_the_books_equal_the_invoice_to_the_cent(month: Month) -> None:
    fill(month)
    limit = {"unit": "dollars", "amount": 1_000_000_000}
    budget = {"n": 1, "op": "budget.set", "scope": "feature=unguarded", "per": "total"}
    small = {**budget, "limit": {**limit, "amount": 1_000_000}}
    policy.set_budget(month.book, read(small), ms(FIRST + timedelta(days=DAYS)))
    commit(month.book, month.ledger, snapshot=True)
    month.close()
    exports = month.exports()
    invoices = {"gpt": month.openai.total(), "claude": month.anthropic.anthropic_invoice()}
    before = {name: month.spent(name) for name in invoices}
    assert all(before[name] != invoices[name] for name in invoices)

    compared = month.noburn("ledger", "reconcile", *exports, "--json")
    assert compared.returncode == 3, compared.stderr
    assert "drift from the bill" in compared.stderr
    told = json.loads(compared.stdout)
    found = reasons(told)
    # Lost streams, by what the provider billed for them; the one that it never billed is free.
    assert found["gpt-6-luna", "uncertain"][0] == 2
    assert found["claude-sonnet-5-5", "uncertain"][0] == 1
    assert found["gpt-6-luna", "bill_without_calls"] == (1, "0.0355")
    assert found["gpt-6-luna", "calls_without_bill"] == (1, "-0.000023")
    assert found["gpt-6.1-terra", "price"] == (0, "0.0015")
    assert "rounding" in {why for model, why in found if model.startswith("claude")}
    [terra] = [m for m in told["data"]["providers"][0]["models"] if m["model"] == "gpt-6.1-terra"]
    [price] = terra["reasons"]
    assert price["notes"] == ["output was billed at $6 / M, our price book says $5 / M"]

    booked = month.said("ledger", "reconcile", *exports, "--apply", "--charge", "feature=unguarded",
                        "--reason", "October")  # fmt: skip
    [batch] = [w for w in booked.replace("`", " ").split() if w.startswith("rc-")]
    for name, invoice in invoices.items():
        assert round(month.spent(name), 2) == round(invoice, 2)
        assert abs(month.spent(name) - invoice) < Decimal("0.0000005")
    told = json.loads(month.said("report", "--json", "--since", "2026-10-01"))["data"]["total"]
    assert round(Decimal(told["cost_usd"]), 2) == round(sum(invoices.values()), 2)
    assert month.said("ledger", "reconcile", *exports).count("\n") > 4  # exit code 0
    assert json.loads(month.said("ledger", "orphans", "--json"))["data"]["calls"] == []
    assert month.holds()

    again = month.said("ledger", "reconcile", *exports, "--apply")
    assert "nothing to book" in again
    # What passed no guard was charged to whom we said: its budget is over, and admits nothing.
    [shown_budget] = json.loads(month.said("budget", "list", "--json"))["data"]["budgets"]
    assert shown_budget["accounts"][0]["settled"] == "0.0355"

    # A later export of the same days: the difference alone.
    month.openai.bill("late", "gpt-6-luna", FIRST + timedelta(days=20), input=100, output=10)
    late = [month.save("late-usage.json", month.openai.openai_usage()),
            month.save("late-costs.json", month.openai.openai_costs())]  # fmt: skip
    assert "booked 1 correction," in month.said("ledger", "reconcile", *late, "--apply")
    assert abs(month.spent("gpt") - month.openai.total()) < Decimal("0.0000005")

    assert "took" in month.said("ledger", "reconcile", "--undo", batch)
    assert month.spent("claude") == before["claude"]
    assert month.spent("gpt") == before["gpt"] + Decimal("0.000015")
    assert month.holds()

    # A month without days is not compared: its calls would look as if nobody had made them.
    month.said("ledger", "compact", "--before", "2026-11")
    whole = read_report(month.home / "ledger.sqlite3", Question(by=("model",))).total
    assert Decimal(whole.cost_nano) / 10**9 == sum(before.values()) + Decimal("0.000015")
    compacted = month.noburn("ledger", "reconcile", *exports, "--apply")
    assert (compacted.returncode, compacted.stdout) == (1, "")
    assert "calls from before 2026-11-01 were compacted" in compacted.stderr
    assert month.holds()
