"""The page over nothing but imported calls: some of another time, some whose cost nobody knows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.dashboard.browser import started
from tests.dashboard.desk import Desk

MAPPED = """[columns]
id = "id"
time = "day"
model = "model"
input = "tokens_in"
output = "tokens_out"
customer = "customer"
"""
HEAD = "id,day,model,tokens_in,tokens_out,customer\n"


def test_imported_calls_and_unknown_costs_are_told(tmp_path: Path) -> None:
    """Goal: old imports are not "nothing", new ones come by themselves, and no price is not $0.00;
    a chart goes with its card, and a customer may be called as what every object has.
    """
    now = datetime.now(UTC)
    mapping, calls, revenue = (tmp_path / name for name in ("map.toml", "calls.csv", "revenue.csv"))
    mapping.write_text(MAPPED)
    calls.write_text(f"{HEAD}old,{now - timedelta(days=70):%FT%TZ},gpt-6-luna,1000,100,acme\n")
    revenue.write_text(f"id,date,amount,kind,customer\nr1,{now:%F},5,one_off,acme\n")
    with Desk() as desk, started(tmp_path / "profile") as page:
        importing = ("import", "csv", str(calls), "--map", str(mapping))
        assert desk.here(*importing)[0] == 0
        assert desk.here("import", "revenue", str(revenue))[0] == 0
        board = desk.dashboard()
        page.size(1000, 800)
        page.open(board.address)
        page.until("document.querySelector('#spend')?.value === '0'")
        page.until("document.querySelector('#daemon').textContent === 'no daemon'")
        shown = "[...document.querySelectorAll('.empty.big')].filter((n) => n.checkVisibility())"
        page.until(f"{shown}.map((n) => n.querySelector('h2').textContent).length === 1")
        assert page.js(f"{shown}[0].querySelector('h2').textContent") == "No calls in this period"
        many = (f"n{n},{now:%FT%TZ},gpt-6-luna,{1000 - n},0,cheap-{n}\n" for n in range(501))
        calls.write_text(
            f"{HEAD}a,{now:%FT%TZ},gpt-6-luna,1000,100,constructor\n"
            f"b,{now:%FT%TZ},house-llm,1000,100,constructor\n{''.join(many)}"
        )
        assert desk.here(*importing)[0] == 0
        page.until("document.querySelector('#spend').value !== '0'")
        said = desk.said("report", "--by", "model", "--since", f"{now:%F}")["total"]["cost_usd"]
        assert page.js("document.querySelector('#spend').value") == said
        page.until("document.querySelector('main').textContent.includes('503 calls imported from')")
        page.until("document.querySelector('.chart .main-svg')")
        width = "[...document.querySelectorAll('.chart .main-svg')].map((n) => n.clientWidth)[0]"
        before = page.js(width)
        page.driver.execute_script(
            "document.querySelector('.chart').closest('.panel').style.width = '320px'"
        )
        page.until(f"{width} < 320 && {width} < arguments[0]", before)
        for view, name, told in (
            ("models", "house-llm", "unknown"), ("customers", "constructor", "$0.00015 + ?"),
        ):  # fmt: skip
            page.see(view)
            row = "[...document.querySelectorAll('tbody tr')].find((n) => n.querySelector('th')"
            cost = f"{row}.textContent === arguments[0])?.querySelector('[data-label=Cost]')"
            page.until(f"({cost})?.textContent === arguments[1]", name, told)
        page.until("document.querySelector('td[data-label=Margin] data')")
        page.driver.execute_script(
            "const field = document.querySelector('#find'); field.value = 'cheap-500';"
            "field.dispatchEvent(new Event('input'))"
        )
        page.until("document.querySelector('#elsewhere')")
        page.click("#elsewhere")
        page.until("document.querySelector('h1').textContent === 'cheap-500'")
        page.see("customer/constructor")
        page.until("document.querySelector('.figures')?.textContent.includes('each $0.00015')")
        assert page.complaints() == []
        page.open("about:blank")
