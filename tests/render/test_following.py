"""Rows of the journal in one line each."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from noburn_cli.render.following import entry_line
from noburn_cli.reports.following import Filter, last_entries
from noburn_daemon import scheduling
from noburn_daemon.forgetting import Forgetting
from noburn_daemon.ledger import json_text
from noburn_daemon.pseudonyms import Pseudonym
from tests.daemon.months import START_MS
from tests.daemon.parts import commit, open_book, read


def test_changes_that_are_to_come_and_names_forgotten_are_told(tmp_path: Path) -> None:
    book, ledger = open_book(tmp_path / "ledger.sqlite3", START_MS)
    later_ms = 1_798_761_600_000  # 2027-01-01
    limit = {"unit": "dollars", "amount": 5 * 10**9}
    named = {"n": 1, "scope": "customer=acme", "per": "month", "at_ms": later_ms}
    begins = read({**named, "op": "budget.set", "limit": limit, "zone": "Europe/Berlin"})
    scheduling.set_budget(book, begins, START_MS)
    scheduling.remove_budget(book, read({**named, "op": "budget.rm"}), START_MS)
    scheduling.unschedule(book, read({"n": 1, "op": "budget.unschedule", "id": 1}), START_MS)
    scheduling.apply_due(book, later_ms, {})  # there is no such budget
    commit(book, ledger, snapshot=True)
    ledger.close()
    found, _ = last_entries(ledger.path, Filter(("scheduled", "unscheduled")), 9)
    set_, removed, taken, failed = [entry_line(entry).partition(" (")[2] for entry in found]
    assert set_.startswith(
        "change 1: from 2027-01-01 01:00 CET: customer=acme per month is $5.00; in the time of"
    )
    assert removed == "change 2: at 2027-01-01 00:00 UTC: customer=acme per month ends)"
    assert taken == "change 1 was taken back)"
    assert failed.startswith("change 2 was not done: ")

    change = Forgetting(Pseudonym("customer", "acme", "(forgotten 3f2a)"), 0)
    change.rows = 1
    detail = json_text(change.detail())
    assert entry_line(replace(found[0], kind="forget", detail=detail)).endswith(
        "(a customer is (forgotten 3f2a) now, in 0 texts and 1 row)"
    )
