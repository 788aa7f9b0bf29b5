"""Every usage costs what genai-prices says, to the nano-dollar, or differs for a reason.

The engine and the prices of genai-prices share no code and no data with ours; a reason is a claim
that is checked, so one that is no longer true fails like one that is missing.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from noburn_cli.core.pricebook import PriceBook, call_cost
from noburn_cli.core.usage import EXTRA_KINDS, KINDS
from noburn_cli.core.variants import VARIANTS, without_region
from tests import cost_corpus as corpus
from tests.cost_corpus import Line

LINES = corpus.lines()
_BY_ID = {line.id: line for line in LINES}


@pytest.fixture(scope="module")
def book() -> PriceBook:
    return corpus.book()


@pytest.fixture
def source() -> None:
    """The installed genai-prices, if it is the one that the book was made from."""
    recorded = corpus.recorded_version()
    try:
        installed = importlib.metadata.version("genai-prices")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("genai-prices is not installed")
    if installed != recorded:
        pytest.skip(f"pricing.toml is of genai-prices {recorded}, {installed} is installed")


def _cost(book: PriceBook, line: Line, usage: dict[str, int], variant: str) -> int:
    at_ms = int(line.at.timestamp()) * 1000
    return call_cost(book.resolve(line.model), usage, variant=variant, at_ms=at_ms)


def test_what_a_call_cost_it_costs_today(book: PriceBook) -> None:
    """History: a later price changes no cost of a call that was made before it."""
    assert [line.id for line in LINES] == list(range(1, len(LINES) + 1))
    assert [line.id for line in LINES if corpus.ours(book, line) != line.nano] == []


def test_the_table_has_everything_that_can_change_a_bill(book: PriceBook) -> None:
    assert len(LINES) >= 200
    kinds: set[str] = set()
    variants: set[str] = set()
    for line in LINES:
        usage, variant = corpus.used(line)
        kinds |= usage.keys()
        variants.add(without_region(variant)[0])
    assert kinds == {*KINDS, *EXTRA_KINDS}
    assert variants == set(VARIANTS)
    providers = {book.resolve(line.model).provider for line in LINES}
    assert providers == {model.provider for model in book.models()}


@pytest.mark.usefixtures("source")
def test_both_reckonings_are_equal_or_differ_for_a_reason(book: PriceBook) -> None:
    explained = [number for reason in corpus.reasons() for number in reason.lines]
    unknown = {n for reason in corpus.reasons() if reason.claim == "unknown" for n in reason.lines}
    differing = {
        line.id
        for line in LINES
        if line.id not in unknown and corpus.nano_of(corpus.theirs(line)) != corpus.ours(book, line)
    }
    assert len(explained) == len(set(explained))
    assert differing | unknown == set(explained)


@pytest.mark.usefixtures("source")
@pytest.mark.parametrize("reason", corpus.reasons(), ids=lambda reason: reason.claim)
def test_every_reason_is_true_of_its_lines(book: PriceBook, reason: corpus.Reason) -> None:
    claim = CLAIMS[reason.claim]
    assert [n for n in reason.lines if not claim(book, _BY_ID[n])] == []


@pytest.mark.usefixtures("source")
def test_the_page_is_the_tables(book: PriceBook) -> None:
    assert corpus.PAGE.read_text(encoding="utf-8") == corpus.page(book, LINES)


def _theirs(line: Line) -> int:
    return corpus.nano_of(corpus.theirs(line))


def _without_region(book: PriceBook, line: Line) -> bool:
    usage, variant = corpus.used(line)
    plain, region = without_region(variant)
    return bool(region) and _cost(book, line, usage, plain) == _theirs(line)


def _a_tenth_more(book: PriceBook, line: Line) -> bool:
    return corpus.nano_of(corpus.theirs(line) * 11 / 10) == corpus.ours(book, line)


def _as_on_a_monday(book: PriceBook, line: Line) -> bool:
    monday = line.at + timedelta(days=7 - line.at.weekday())
    return line.at.weekday() > 4 and corpus.ours(book, replace(line, at=monday)) == _theirs(line)


def _as_at_todays_peak(book: PriceBook, line: Line) -> bool:
    today = datetime.fromisoformat("2026-11-27T02:00:00+00:00")
    return corpus.ours(book, replace(line, at=today)) == _theirs(line)


def _as(kind: str, instead_of: str) -> Callable[[PriceBook, Line], bool]:
    """The claim that the two are equal with one kind of usage counted as another."""

    def holds(book: PriceBook, line: Line) -> bool:
        usage, variant = corpus.used(line)
        count = usage.pop(instead_of)
        counted = {**usage, kind: usage.get(kind, 0) + count}
        return _cost(book, line, counted, variant) == _theirs(line)

    return holds


def _as_standard(book: PriceBook, line: Line) -> bool:
    usage, variant = corpus.used(line)
    return variant != "standard" and _cost(book, line, usage, "standard") == _theirs(line)


def _without_the_tier(book: PriceBook, line: Line) -> bool:
    usage, variant = corpus.used(line)
    row = book.resolve(line.model).row_at(variant, int(line.at.timestamp()) * 1000)
    assert row is not None
    pico = sum(count * row.tiers[0].rates[kind] for kind, count in usage.items())
    return len(row.tiers) > 1 and pico == _theirs(line) * 1000


def _is_not_known(book: PriceBook, line: Line) -> bool:
    with pytest.raises(AssertionError, match="genai-prices does not know"):
        corpus.theirs(line)
    return True


CLAIMS: dict[str, Callable[[PriceBook, Line], bool]] = {
    "region": _without_region,
    "data_zone": _a_tenth_more,
    "weekend": _as_on_a_monday,
    "undated": _as_at_todays_peak,
    "long_write": _as("cache_write_5m", "cache_write_1h"),
    "variant": _as_standard,
    "preview": _as("web_search", "web_search_preview"),
    "batch_tier": _without_the_tier,
    "tuned_cache": _as("input", "cache_read"),
    "unknown": _is_not_known,
}
