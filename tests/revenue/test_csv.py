"""Revenue from a CSV: exact, by line, and the same however often it is imported."""

from __future__ import annotations

import json
import stat

import pytest
from typer.testing import CliRunner

from noburn_cli import paths
from noburn_cli.cli import app
from noburn_cli.core.currencies import read_minor, show_minor
from noburn_cli.core.revenue import RevenueFact, cumulated, shared
from noburn_cli.errors import InputRefused
from noburn_cli.revenue.csv_file import read_csv
from noburn_cli.revenue.rating import RateRow, Rates
from noburn_cli.revenue.store import reading

HEADING = "id,date,amount,currency,kind,state,customer,payer,starts,ends,plan,reverses,rate\n"
DAY_MS = 86_400_000


def write(folder, *lines):
    path = folder / "revenue.csv"
    path.write_text(HEADING + "".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def run(*words):
    result = CliRunner().invoke(app, ["import", "revenue", *map(str, words)])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("NOBURN_HOME", str(tmp_path / "home"))


def test_a_file_is_imported_once_however_often_it_is_named(tmp_path):
    """Goal: known ids are not doubled, a changed line replaces its fact, and money is exact."""
    lines = [
        "i1,2026-10-01,20.10,USD,subscription,,acme,,2026-10-01,2026-11-01,pro,,",
        "i2,2026-10-02,1200,JPY,,,acme,,,,,,0.0066",
        "i3,2026-10-03,1.234,KWD,,,,cus_9,,,,,3.25",
        "r1,2026-10-09T12:00:00+02:00,-0.1,USD,refund,,acme,,,,,i1,",
        "i4,2026-10-04,5,EUR,,,beta,,,,,,",
    ]
    first = run(write(tmp_path, *lines))
    assert "5 lines read: 5 new, 0 changed, 0 known" in first.stdout
    assert "cus_9" in first.stdout
    assert "EUR (1 fact)" in first.stdout
    again = run(write(tmp_path, lines[0].replace("20.10", "20.11"), *lines[1:]), "--json")
    data = json.loads(again.stdout)["data"]
    assert (data["new"], data["changed"], data["same"]) == (0, 1, 4)
    assert data["unmapped"] == [{"payer": "cus_9", "name": "", "facts": 1}]

    with reading(paths.revenue_path()) as store:
        facts = {fact.id: fact for fact in store.facts()}
        october = store.facts(1790812800000 + 30 * DAY_MS, 1790812800000 + 31 * DAY_MS)
    assert {k: f.amount_nano for k, f in facts.items()} == {
        "csv:i1": 20_110_000_000, "csv:i2": 7_920_000_000, "csv:i3": 4_010_500_000,
        "csv:r1": -100_000_000, "csv:i4": None,
    }  # fmt: skip
    assert facts["csv:r1"].reverses == "csv:i1"
    assert facts["csv:r1"].at_ms == 1790812800000 + 8 * DAY_MS + 10 * 3_600_000
    # Its period reaches into the last day, and what takes back from it belongs there as well.
    assert [fact.id for fact in october] == ["csv:i1", "csv:r1"]
    assert stat.S_IMODE(paths.revenue_path().stat().st_mode) == 0o600


def test_bad_lines_are_named_and_change_nothing(tmp_path):
    path = write(
        tmp_path,
        "i1,2026-10-01,20,USD,,,acme,,,,,,",
        "i1,2026-10-01,21,USD,,,acme,,,,,,",
        "i2,1.10.2026,20,USD,,,acme,,,,,,",
        "i3,2026-10-01,0.001,USD,,,acme,,,,,,",
        "i4,2026-10-01,5,USD,refund,,acme,,,,,,",
        "i5,2026-10-01,5,USD,,,,,,,,,",
        "i6,2026-10-01,5,JPY,,,a,,2026-10-02,2026-10-01,,,1",
        "i7,2026-10-01T10:00:00,5,USD,,,a,,,,,,",
        "i8,2026-10-01,5,USD",
        "i9,2026-10-01,5,dollars,,,a,,,,,,",
        "i10,2026-10-01,1e3,USD,,,a,,,,,,",
        "i11,2026-10-01,5,USD,subscription,,a,,2026-10-01,9999-12-31,,,",
    )
    for number, (kind, seats) in enumerate([("one_off", "2"), ("subscription", "0")]):
        row = f"s{number},2026-10-01,5,USD,{kind},,a,,,,,,,{seats}"
        seated = tmp_path / "seats.csv"
        seated.write_text(f"{HEADING.strip()},seats\n{row}\n", encoding="utf-8")
        with pytest.raises(InputRefused, match="seats are"):
            run(seated)
    with pytest.raises(InputRefused) as refused:
        run(path)
    said = refused.value.message
    for line in range(3, 14):
        assert f"line {line}: " in said, said
    assert "line 2: " not in said
    with reading(paths.revenue_path()) as store:
        assert store.facts() == []


@pytest.mark.parametrize("heading", ["id,date,customer\n", "id,date,amount,customer,colour\n"])
def test_a_heading_that_is_not_ours_is_refused(tmp_path, heading):
    path = tmp_path / "revenue.csv"
    path.write_text(heading, encoding="utf-8")
    with pytest.raises(InputRefused, match=r"amount|heading"):
        read_csv(path, rates=Rates([]))


def test_payers_are_named_by_a_file(tmp_path):
    run(write(tmp_path, "i1,2026-10-01,20,USD,,,,cus_1,,,,,"))
    named = tmp_path / "customers.csv"
    named.write_text("payer,customer\ncus_1,acme\n", encoding="utf-8")
    assert "without a customer" not in run("--customers", named).stdout
    with reading(paths.revenue_path()) as store:
        assert [fact.customer for fact in store.facts()] == ["acme"]
    named.write_text("payer,customer\ncus_1,acme\ncus_1,beta\n", encoding="utf-8")
    with pytest.raises(InputRefused, match="line 3"):
        run("--customers", named)


def test_rates_of_a_project_hold_when_it_is_trusted(tmp_path, monkeypatch):
    """Goal: a rate that has no effect is not asked for as if it were missing."""
    monkeypatch.chdir(tmp_path)
    rates = '[revenue.rates.EUR]\nsource = "bank"\n2026-01-01 = "1.25"\n'
    (tmp_path / "noburn.toml").write_text(rates, encoding="utf-8")
    path = write(tmp_path, "i1,2026-10-01,20,EUR,,,acme,,,,,,")
    said = run(path)
    assert "is not trusted" in said.stderr
    assert "`revenue.rates.EUR`" in said.stderr
    CliRunner().invoke(app, ["trust"], catch_exceptions=False)
    said = run(path)
    assert (said.stderr, "EUR" in said.stdout) == ("", False)


def test_rates_hold_from_their_day():
    rates = Rates(
        [RateRow("EUR", "2026-02-01", "1.09", "bank"), RateRow("EUR", "2026-01-01", "1.08", "bank")]
    )
    assert rates.find("EUR", 1767225599999) is None  # the last moment of 2025
    assert rates.find("EUR", 1767225600000).rate == "1.08"
    assert rates.find("EUR", 1769904000000).rate == "1.09"
    assert rates.find("GBP", 1769904000000) is None


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        *(("19.9", "USD", 1990), ("-0.05", "EUR", -5), ("500", "JPY", 500), ("5", "ISK", 500)),
        *(("1.234", "KWD", 1234), ("1.0", "JPY", 1)),
    ],
)
def test_minor_units(text, currency, minor):
    assert read_minor(text, currency) == minor
    assert read_minor(show_minor(minor, currency), currency) == minor


def test_shares_add_up():
    assert shared(100, [1, 1, 1]) == [34, 33, 33]
    assert shared(-7, [5, 0, 5]) == [-4, 0, -3]
    assert shared(5, [0, 0]) == [5, 0]
    from fractions import Fraction

    parts = cumulated([333, 333, 334], Fraction(10_853, 1))
    assert sum(parts) == 1000 * 10_853


def test_a_fact_holds_its_rules():
    good = {
        "id": "x", "source": "csv", "kind": "refund", "payer": "p", "payer_name": "",
        "customer": None, "feature": None, "plan": None, "amount_minor": -1, "currency": "USD",
        "amount_nano": -10_000_000, "rate": "", "rate_source": "", "starts_ms": 0, "ends_ms": 0,
        "at_ms": 0, "document": "d", "state": "collected",
    }  # fmt: skip
    RevenueFact(**good)
    for change in ({"amount_minor": 1}, {"kind": "gift"}, {"state": "lost"}, {"amount_nano": None}):
        with pytest.raises(ValueError):
            RevenueFact(**{**good, **change})
    with pytest.raises(TypeError):
        RevenueFact(**{**good, "amount_minor": 1.0})
