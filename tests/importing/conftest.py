"""A home of its own, a book with round rates, and the sample files of tests/corpus/imports."""

from __future__ import annotations

from pathlib import Path

import pytest

from noburn_cli.core.imported import ListPrices
from noburn_cli.core.pricebook import PriceBook
from noburn_cli.importing.job import Wanted, import_files
from noburn_cli.importing.sources.registry import SOURCES
from noburn_cli.importing.store import read_store

CORPUS = Path(__file__).resolve().parents[1] / "corpus" / "imports"

_MODEL = """
[[model]]
name = "{name}"
provider = "{provider}"
family = "reasoning"
tokenizer = "o200k_base"
context_window = 1000000
output_max = 100000
cache_writes = "priced"
"""
_RATE = """
[[model.rate]]
variant = "standard"
starts_on = {day}
checked_on = 2026-11-27
url = "https://example.com/prices"
input = {input}
cache_read = {read}
cache_write_5m = {w5}
cache_write_1h = {w1}
output = {output}
web_search_per_1k = 10
"""


def _rate(day, rate):
    return _RATE.format(
        day=day, input=rate, read=rate / 10, w5=rate * 2, w1=rate * 4, output=rate * 5
    )


#: $1 a million of input, of which a tenth when cached, twice or four times when written to a cache,
#: five times for output; before 2026-11-21 all of it is twice as dear.
BOOK = "format = 1\n\n[prefixes]\n\"openai/\" = \"openai\"\n" + "".join(
    _MODEL.format(name=name, provider=provider)
    + _rate("1970-01-01", 2.0)
    + _rate("2026-11-21", 1.0)
    for name, provider in {
        "gpt-6.1-terra": "openai", "gpt-6.1-sol": "openai", "gpt-6-luna": "openai",
        "azure/gpt-6.1-terra": "azure", "claude-opus-5-5": "anthropic",
        "claude-sonnet-5-5": "anthropic", "claude-haiku-5-5": "anthropic",
        "gemini-3.8-flash": "google",
    }.items()
)  # fmt: skip


@pytest.fixture(scope="session")
def prices():
    return ListPrices(PriceBook.from_texts([("test", BOOK)]))


@pytest.fixture
def bring(tmp_path, prices):
    """Import files of a source into this test's home; what came of it."""

    def bring(source, *files, tell=lambda *_: None, **options):
        found = source if not isinstance(source, str) else SOURCES[source]
        wanted = Wanted(found, [Path(one) for one in files], now_ms=1_795_000_000_000, **options)
        return import_files(tmp_path / "home", wanted, prices, tell=tell)

    return bring


@pytest.fixture
def calls(tmp_path):
    """The view `calls`, as reports read it: one dictionary a call, in the order of time."""

    def calls(where="1"):
        """`where`: SQL."""
        with read_store(tmp_path / "home") as connection:
            names = [row[1] for row in connection.execute("PRAGMA table_info(calls)")]
            rows = connection.execute(
                f"SELECT * FROM calls WHERE {where} ORDER BY reserved_at_ms, call"
            )
            return [dict(zip(names, row, strict=True)) for row in rows]

    return calls
