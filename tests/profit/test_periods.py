"""The months of a year add up to it, also where a fee or a refund has no period of its own."""

from __future__ import annotations

from fractions import Fraction

from noburn_cli import paths
from tests.profit.books import Call, import_revenue, pnl, write_ledger

LINES = (
    "y1,2026-01-01,1200,USD,subscription,collected,acme,cus_1,,pro,2026-01-01,2027-01-01,,",
    "y1-fee,2026-01-01,-35.10,USD,fee,collected,acme,cus_1,,,,,y1,",
    "y1-back,2026-03-01,-600,USD,refund,collected,acme,cus_1,,,,,y1,",
)


def test_months_add_up_to_the_year(tmp_path, monkeypatch):
    """Goal: what a period earns does not depend on which period was asked about."""
    monkeypatch.setenv("NOBURN_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    write_ledger(paths.ledger_path(), [Call("2026-10-01T12:00", "acme", "chat")])
    import_revenue(tmp_path, LINES)
    names = ("revenue_usd", "fees_usd")

    def sums(period: str) -> list[Fraction]:
        rows = pnl("--period", period)["rows"]
        return [sum((Fraction(row[name]) for row in rows), Fraction()) for name in names]

    year = sums("2026-01-01..2026-10-31")
    halves = [sums("2026-01-01..2026-06-15"), sums("2026-06-16..2026-10-31")]
    assert [sum(each) for each in zip(*halves, strict=True)] == year
    september, october = sums("2026-09-01..2026-09-28"), sums("2026-10-01..2026-10-28")
    assert september == october
    assert 0 < september[0] < 1200 * 28 / 365 / 2
    assert september[1] < 0
