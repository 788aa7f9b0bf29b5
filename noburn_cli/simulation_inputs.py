"""What `noburn simulate` reads: the scenario's file, measured usage, rates of the price book.

Layer: I/O.  Below: core.simulation_*, core.plan_usage, prices, reports.lines, paths.
Above: commands.simulate.
Owns: which columns of a CSV are usage, and which calls of the ledger.
Not here: what the options mean together (core.simulation_assembly).
"""

from __future__ import annotations

import csv
import time
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation
from pathlib import Path

from noburn_cli.core.plan_usage import PricedUse, Use, price_flat, price_use
from noburn_cli.core.simulation_assembly import Sample
from noburn_cli.core.simulation_keys import LEDGER
from noburn_cli.core.simulation_options import NAME, Layer, parse_layer
from noburn_cli.errors import InputRefused, UsageError

#: A scenario is a page; a sample of a million customers some 50 MB.
_SCENARIO_BYTES_MAX = 1024 * 1024
_SAMPLE_BYTES_MAX = 200 * 1024 * 1024
#: The ledger's usage of a month: the last thirty days, so that no month is cut.
LEDGER_DAYS = 30

_TOKEN_COLUMNS = ("tokens", "total_tokens")
_TOKEN_PARTS = ("input_tokens", "output_tokens")  # `noburn report --by customer --csv`
_COST_COLUMNS = ("cost_usd", "cost", "dollars", "usd", "spend")
_REQUEST_COLUMNS = ("calls", "requests")
_WHO_COLUMNS = ("customer", "user", "customer_id", "user_id", "id")
_MONTH_COLUMN = "month"


def read_scenario(named: str | None, folder: Path) -> Layer | None:
    """The file that was named, else `simulate.toml` of the folder; None where there is none.

    Raises UsageError for one that was named and is missing, or that breaks a rule.
    """
    path = folder / NAME if named is None else Path(named)
    try:
        with path.open("rb") as file:
            content = file.read(_SCENARIO_BYTES_MAX + 1)
        text = content.decode("utf-8-sig")
    except FileNotFoundError as error:
        if named is None:
            return None
        raise UsageError(
            f"scenario {path}: there is no such file", next_step="docs/simulate.md shows one"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"scenario {path}: it cannot be read: {error}") from error
    if len(content) > _SCENARIO_BYTES_MAX:
        raise UsageError(f"scenario {path}: more than a megabyte is no scenario")
    return parse_layer(path.name if named is None else str(path), text)


def price_uses(uses: Iterable[Use], environment: Mapping[str, str]) -> dict[Use, PricedUse]:
    """Every use at its rates; the price book is read where a model is named.

    Raises ModelUnknown, PriceUnknown, UsageError.
    """
    found = {}
    book = None
    now_ms = time.time_ns() // 1_000_000
    for use in uses:
        if use.model is None:
            found[use] = price_flat(use)
            continue
        if book is None:
            from noburn_cli.prices import load_book

            book = load_book(environment)
        found[use] = price_use(use, book.resolve(use.model), at_ms=now_ms)
    return found


def read_sample(source: str) -> Sample:
    """Usage as it was measured: of the ledger's customers, or of a CSV.

    Raises InputRefused for a file that is none, LedgerUnavailable without a ledger.
    """
    return _ledger_sample() if source == LEDGER else _csv_sample(Path(source))


def _ledger_sample() -> Sample:
    """Every customer of the last thirty days, by what they cost."""
    from noburn_cli import paths
    from noburn_cli.core.budgets import NONE
    from noburn_cli.reports.lines import read_lines
    from noburn_cli.reports.query import Question

    since = datetime.now(timezone.utc) - timedelta(days=LEDGER_DAYS)
    # Quarters of an hour are what sums are kept by.
    since = since.replace(minute=since.minute // 15 * 15, second=0, microsecond=0)
    question = Question(by=("customer",), since_ms=int(since.timestamp() * 1000))
    report = read_lines(paths.home(), question)
    sums = [line.sums for line in report.lines if line.keys != (NONE,)]
    if not any(one.cost_nano for one in sums):
        raise InputRefused(
            "the ledger says nothing of any customer's cost",
            why=f"no call of the last {LEDGER_DAYS} days has a customer and a cost",
            next_step="name customers (docs/ledger.md), or say --tokens and --sigma",
        )
    number = len(sums)
    return Sample(
        amounts=tuple(float(one.cost_nano) for one in sums),
        tokens=sum(one.input_tokens + one.output_tokens for one in sums) / number,
        cost_nano=sum(one.cost_nano for one in sums) / number,
        requests=sum(one.calls for one in sums) / number,
        origin=f"the ledger's last {LEDGER_DAYS} days",
    )


def _csv_sample(path: Path) -> Sample:
    """A CSV with a heading: a line per customer, or more of one, which are added up.

    Lines with a month are a customer-month each.
    """
    rows = _rows(path)
    names = {name.strip().lower(): name for name in (rows[0] if rows else {})}
    cost = next((names[one] for one in _COST_COLUMNS if one in names), None)
    tokens = [names[one] for one in _TOKEN_COLUMNS if one in names][:1]
    tokens = tokens or [names[one] for one in _TOKEN_PARTS if one in names]
    if cost is None and not tokens:
        raise InputRefused(
            f"{path} has no column of usage",
            why=f"looked for {', '.join((*_TOKEN_COLUMNS, *_COST_COLUMNS))} in its heading",
            next_step="name one of its columns so",
        )
    asked = next((names[one] for one in _REQUEST_COLUMNS if one in names), None)
    who = next((names[one] for one in _WHO_COLUMNS if one in names), None)
    month = names.get(_MONTH_COLUMN)
    sums: dict[object, list[float]] = {}
    for number, row in enumerate(rows, start=2):
        key = number if who is None else (row[who], row[month] if month else "")
        held = sums.setdefault(key, [0.0, 0.0, 0.0])
        held[0] += sum(_amount(path, number, row[name]) for name in tokens)
        held[1] += 0.0 if cost is None else _amount(path, number, row[cost]) * 1e9
        held[2] += 0.0 if asked is None else _amount(path, number, row[asked])
    means = [sum(column) / len(sums) for column in zip(*sums.values(), strict=True)]
    return Sample(
        amounts=tuple(one[0 if cost is None else 1] for one in sums.values()),
        tokens=means[0] if tokens else None,
        cost_nano=None if cost is None else means[1],
        requests=means[2],
        origin=str(path),
    )


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        if path.stat().st_size > _SAMPLE_BYTES_MAX:
            raise InputRefused(f"{path} is larger than {_SAMPLE_BYTES_MAX:,} bytes")
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [row for row in csv.DictReader(file, strict=True) if any(row.values())]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputRefused(f"{path} cannot be read: {error}") from error
    if not rows:
        raise InputRefused(f"{path} has no line of usage", next_step="a heading, and a line each")
    for number, row in enumerate(rows, start=2):
        if None in row or None in row.values():
            raise InputRefused(f"{path}, line {number}: it has not as many cells as the heading")
    return rows


def _amount(path: Path, number: int, text: str) -> float:
    """A number >= 0.  Raises InputRefused naming the line."""
    try:
        amount = Decimal(text.strip().removeprefix("$").replace(",", "").replace("_", "") or "0")
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or amount < 0 or amount > 10**15:
        raise InputRefused(f"{path}, line {number}: {text!r} is no amount of usage")
    return float(amount)
