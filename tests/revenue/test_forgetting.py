"""A name that is forgotten is in no page of the revenue file, and the amounts stay."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from noburn_cli import paths
from noburn_cli.cli import app
from noburn_cli.revenue.forgetting import forget
from noburn_cli.revenue.store import reading, writing

LINES = """\
id,date,amount,currency,customer,payer
i1,2026-10-01,20,USD,acme,cus_1
i2,2026-10-02,5,USD,,cus_2
i3,2026-10-03,7,USD,globex,cus_3
i4,2026-10-04,9,USD,acme,
"""
CUSTOMER = {"metadata": {"noburn_customer": "acme", "noburn_plan": "pro"}, "name": "Acme Ltd"}
INVOICE = {"lines": [{"metadata": {"noburn_customer": "acme"}, "id": "acme"}], "name": "Globex"}


def test_a_customer_is_forgotten_and_stays_so(tmp_path, monkeypatch):
    home = tmp_path / "home"
    monkeypatch.setenv("NOBURN_HOME", str(home))
    (tmp_path / "r.csv").write_text(LINES)
    imported = CliRunner().invoke(app, ["import", "revenue", str(tmp_path / "r.csv")])
    assert imported.exit_code == 0, imported.output
    path = paths.revenue_path(home)
    with writing(path) as store, store.change():
        store.set_identities({"cus_2": "acme"}, "configuration")
        rows = [("stripe", "cus_2", "customer", "", "cus_2", json.dumps(CUSTOMER)),
                ("stripe", "in_1", "invoice", "", "cus_3", json.dumps(INVOICE))]  # fmt: skip
        store.connection.executemany("INSERT INTO objects VALUES (?, ?, ?, ?, ?, ?)", rows)
        store.connection.execute("UPDATE facts SET payer_name = 'Acme Ltd' WHERE payer = 'cus_1'")

    assert forget(home, "customer", "acme", stand_in="(forgotten 1)", dry_run=True) == 3
    assert b"acme" in path.read_bytes()
    assert forget(home, "customer", "acme", stand_in="(forgotten 1)", dry_run=False) == 3
    with reading(path) as store:
        found = {fact.id: (fact.customer, fact.amount_nano) for fact in store.facts()}
        assert {fact.payer for fact in store.facts()} == {
            "cus_1",
            "cus_2",
            "cus_3",
            "(forgotten 1)",
        }
        kept = {one: json.loads(data) for one, data in store.rows("SELECT id, data FROM objects")}
    assert found == {
        "csv:i1": ("(forgotten 1)", 20_000_000_000),
        "csv:i2": ("(forgotten 1)", 5_000_000_000),
        "csv:i3": ("globex", 7_000_000_000),
        "csv:i4": ("(forgotten 1)", 9_000_000_000),
    }
    assert kept["cus_2"] == {
        "metadata": {"noburn_customer": "(forgotten 1)", "noburn_plan": "pro"}, "name": "",
    }  # fmt: skip
    # An id that is the same word is nobody's name.
    metadata = {"noburn_customer": "(forgotten 1)"}
    assert kept["in_1"] == {"lines": [{"metadata": metadata, "id": "acme"}], "name": "Globex"}
    for file in home.iterdir():
        assert b"Acme" not in file.read_bytes(), file

    with writing(path) as store, store.change():  # What the configuration says comes too late.
        store.set_identities({"cus_2": "acme", "cus_3": "initech"}, "configuration")
    with reading(path) as store:
        assert {f.payer: f.customer for f in store.facts()} == {
            "cus_1": "(forgotten 1)", "cus_2": "(forgotten 1)", "cus_3": "initech",
            "(forgotten 1)": "(forgotten 1)",
        }  # fmt: skip


@pytest.mark.parametrize("key", ["customer", "tag.team"])
def test_where_nothing_says_it_nothing_is_made(tmp_path, key):
    assert forget(tmp_path, key, "acme", stand_in="x", dry_run=False) == 0
    assert list(tmp_path.iterdir()) == []
