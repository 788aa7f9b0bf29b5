"""The table of usages, priced twice: by our codecs and book, and by genai-prices' own engine.

`tests/corpus/usages.jsonl` has one usage a line, in the form of the provider's own answer: `on` is
our codec, `theirs` the provider and the kind of answer at genai-prices, `answer` the JSON that both
read, `at` when the call was reserved, `nano` what it costs.  What an answer does not tell is beside
it: `variant` (a batch), `region` (the host), `usage` and `units` (in our words and theirs).
`tests/corpus/cost_reasons.toml` says why the two differ, where they do; docs/cost-check.md is made
from both:  python -m tests.cost_corpus --write
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Any

import tomllib

from noburn_cli import resources
from noburn_cli.core.pricebook import PriceBook, call_cost
from noburn_cli.core.variants import STANDARD, with_region
from noburn_cli.providers.registry import codec

ROOT = Path(__file__).resolve().parents[1]
USAGES = ROOT / "tests" / "corpus" / "usages.jsonl"
REASONS = ROOT / "tests" / "corpus" / "cost_reasons.toml"
PAGE = ROOT / "docs" / "cost-check.md"

_HEAD = """\
# Costs, computed twice

Made by `python -m tests.cost_corpus --write` from `tests/corpus/usages.jsonl`, held by
`tests/test_cost_corpus.py`.

{all} usages of every provider of the book and every kind of token and fee, written as the
providers' own answers, are priced by noburn (its codecs, its price book) and by
[genai-prices](https://github.com/pydantic/genai-prices) (its reading of the same JSON, its prices,
its arithmetic). {same} are equal to the nano-dollar, {others} differ, for {why} reasons. Each
reason is checked: with that one fact changed, the two are equal."""


@dataclass(frozen=True)
class Line:
    """One recorded usage."""

    id: int
    shows: str
    on: str
    theirs: str
    model: str
    at: datetime
    nano: int
    answer: dict[str, Any] | None
    variant: str = ""
    region: str = ""
    usage: dict[str, int] | None = None
    when: dict[str, str] = field(default_factory=dict)
    units: dict[str, int] = field(default_factory=dict)
    theirs_model: str = ""
    only_units: bool = False


def line_of(values: dict[str, Any]) -> Line:
    return Line(**{**values, "at": datetime.fromisoformat(values["at"])})


def lines() -> list[Line]:
    return [line_of(json.loads(text)) for text in USAGES.read_text(encoding="utf-8").splitlines()]


def book() -> PriceBook:
    return PriceBook.from_texts([resources.shipped_prices()])


def recorded_version() -> str:
    """The version of genai-prices that the shipped book was made from."""
    generated = tomllib.loads(resources.shipped_prices()[1])["generated"]
    return str(generated["genai_prices"])


def used(line: Line) -> tuple[dict[str, int], str]:
    """(usage by kind, variant) as our codec reads them from the provider's answer."""
    if line.answer is None:
        assert line.usage is not None
        return line.usage, STANDARD
    settled = codec(line.on).usage(json.dumps(line.answer).encode())
    assert settled is not None, f"line {line.id}: the codec reads nothing"
    variant = with_region(line.variant or settled.variant, line.region)
    return dict(settled.usage), variant


def ours(prices: PriceBook, line: Line) -> int:
    usage, variant = used(line)
    at_ms = int(line.at.timestamp()) * 1000
    return call_cost(prices.resolve(line.model), usage, variant=variant, at_ms=at_ms)


def theirs(line: Line) -> Decimal:
    """Dollars by genai-prices: its reading of the answer, its prices, its arithmetic."""
    from genai_prices import data
    from genai_prices.types import Usage

    name, flavor = line.theirs.rsplit("/", 1)
    provider = next(one for one in data.providers if one.id == name.partition("/")[0])
    reader = next((one for one in data.providers if one.id == name.rpartition("/")[2]), provider)
    plain = line.theirs_model or line.model
    for prefix in ("azure/", "bedrock/", "vertex_ai/", "deepseek/", "xai/", "groq/", "together/"):
        plain = plain.removeprefix(prefix)
    plain = plain.removeprefix("mistral/").removeprefix("cohere/")
    model = provider.find_model(plain, all_providers=data.providers)
    if model is None:
        raise AssertionError(f"line {line.id}: genai-prices does not know {plain}")
    found = Usage()
    if line.answer is not None and not line.only_units:
        found = reader.extract_usage(line.answer, api_flavor=flavor)[1]
    for unit, count in line.units.items():
        setattr(found, unit, count)
    price = model.calc_price(
        found, provider, genai_request_timestamp=line.at, price_context=line.when or None
    )
    return price.total_price


def nano_of(dollars: Decimal) -> int:
    return int((dollars * 10**9).to_integral_value(ROUND_HALF_EVEN))


@dataclass(frozen=True)
class Reason:
    """Why some lines differ: `text` is shown, `url` says it, `claim` is how the test holds it."""

    claim: str
    title: str
    text: str
    url: str
    lines: tuple[int, ...]


def reasons() -> list[Reason]:
    tables = tomllib.loads(REASONS.read_text(encoding="utf-8"))
    return [
        Reason(claim, one["title"], one["text"], one["url"], tuple(one["lines"]))
        for claim, one in tables.items()
    ]


def page(prices: PriceBook, table: list[Line]) -> str:
    """docs/cost-check.md, as the table, the reasons and genai-prices have it."""
    by_id = {line.id: line for line in table}
    why = reasons()
    differing = sum(len(reason.lines) for reason in why)
    parts = [
        _HEAD.format(all=len(table), same=len(table) - differing, others=differing, why=len(why))
    ]
    for reason in why:
        parts += [f"## {reason.title}", f"{reason.text} ({reason.url})"]
        rows = ["| model | usage | noburn, $ | genai-prices, $ |", "|---|---|---|---|"]
        rows += [_row(prices, by_id[number], reason) for number in reason.lines]
        parts.append("\n".join(rows))
    return "\n\n".join(parts) + "\n"


def _row(prices: PriceBook, line: Line, reason: Reason) -> str:
    _, variant = used(line)
    how = "" if variant == STANDARD else f", {variant}"
    known = "unknown" if reason.claim == "unknown" else _dollars(nano_of(theirs(line)))
    shows = f"{line.shows}{how}, {line.at:%Y-%m-%d %H:%M}"
    return f"| `{line.model}` | {shows} | {_dollars(ours(prices, line))} | {known} |"


def _dollars(nano: int) -> str:
    return f"{Decimal(nano) / 10**9:.9f}".rstrip("0")


if __name__ == "__main__" and "--write" in sys.argv:
    PAGE.write_text(page(book(), lines()), encoding="utf-8")
