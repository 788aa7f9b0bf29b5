"""`noburn prices history`: what changed alike is told once."""

from __future__ import annotations

from datetime import date

from noburn_cli.core.pricebook import PriceBook
from noburn_cli.render.price_changes import render_history
from tests.core.test_price_dimensions import BASE


def test_rates_that_change_alike_stand_together() -> None:
    row = BASE[BASE.index("[[model.rate]]") :].replace("2026-01-01", "2027-01-01", 1)
    for old, new in (
        ("input = 1\n", "input = 2\n"), ("output = 2\n", "output = 4\n"),
        ("cache_read = 0.1\n", ""), ("cache_read = 0.2, ", ""),
    ):  # fmt: skip
        row = row.replace(old, new)
    model = PriceBook.from_texts([("a test", BASE + row)]).resolve("deep")
    lines = render_history(model, model.rows, today=date(2026, 11, 27))
    assert lines[-1].partition("4  ")[2] == (
        "announced, input, output +100 %, cached input, cached input above 1,000 gone"
    )
