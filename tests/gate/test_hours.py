"""A model that is dearer at some hours costs a gate the same at any hour: the dear ones."""

from __future__ import annotations

from datetime import UTC, datetime

from noburn_cli.core.gate_costs import dearest_moment
from noburn_cli.core.pricebook import PriceBook
from tests.gate.repository import Repo, words

_MODEL = """
format = 1
[[model]]
name = "test-hours"
provider = "openai"
family = "text"
tokenizer = "o200k_base"
context_window = 100000
output_max = 1000
cache_writes = "as_input"
"""
_RATE = """
[[model.rate]]
variant = "standard"
starts_on = {starts}
{hours}
input = {input}
output = 10
url = "https://example.com/prices"
checked_on = 2026-11-23
"""
_WEEKDAYS = 'hours = ["06:00-10:00"]\ndays = ["tue"]'
BOOK = (
    _MODEL
    + _RATE.format(starts="1970-01-01", hours="", input=1)
    + _RATE.format(starts="1970-01-01", hours=_WEEKDAYS, input=2)
)
#: From Friday, 2026-11-27, on everything costs more.
LATER = BOOK + _RATE.format(starts="2026-11-27", hours="", input=7)


def _ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def test_every_moment_of_a_week_has_the_dear_rate() -> None:
    for text, days in ((BOOK, range(20, 30)), (LATER, range(20, 27))):
        model = PriceBook.from_texts([("x", text)]).resolve("test-hours")
        for day in days:
            for hour in ("00:00", "05:59", "07:00", "23:59"):
                moment = dearest_moment(model, "standard", _ms(f"2026-11-{day}T{hour}"))
                row = model.row_at("standard", moment)
                assert row is not None
                assert row.tiers[0].rates["input"] == 2_000_000
    # What is announced is not taken for what holds, and what held is not taken for what does.
    after = dearest_moment(model, "standard", _ms("2026-11-28T00:00"))
    row = model.row_at("standard", after)
    assert row is not None
    assert row.tiers[0].rates["input"] == 7_000_000


def test_a_gate_is_priced_at_them(repo: Repo) -> None:
    table = 'files = ["a.md"]\nmodel = "test-hours"\noutput = 5\ncalls_per_month = 1000000'
    toml = f'[gate]\nprices = "prices.toml"\n[[gate.prompt]]\n{table}\n'
    repo.write({"noburn.toml": toml, "prices.toml": BOOK, "a.md": words(100)})
    (change,) = repo.judged().data["changes"]
    assert change["after"]["cost_month"]["high"] == "250"
    assert change["after"]["rates"]["input"] == "2"
    assert change["after"]["worst_call"] == "0.010232"
