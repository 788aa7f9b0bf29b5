"""Which export a file is, and reading it.

Layer: reconcile, I/O.  Below: bill, openai_bill, anthropic_bill, mapped_csv.
Above: commands.ledger.reconcile.
Owns: how a format is recognised: by what its rows say of themselves, never by the file's name.
Not here: fetching (live).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta, timezone
from fractions import Fraction
from pathlib import Path
from typing import Any

from noburn_cli.errors import InputRefused, UsageError
from noburn_cli.reconcile import anthropic_bill, mapped_csv, openai_bill
from noburn_cli.reconcile.bill import (
    ANTHROPIC,
    CSV,
    OPENAI,
    Bill,
    BillRow,
    day_of_seconds,
    day_of_text,
    digest_of,
    dollars_only,
    load_json,
    step_of,
)

_FILE_BYTES_MAX = 512 * 1024 * 1024
_DAYS_MAX = 3_700


def read_file(path: Path, *, mapping: Mapping[str, str] | None, provider: str | None) -> Bill:
    """One export from a file.

    mapping: our words to the columns of a CSV of one's own; None recognises the providers' files.
    provider: what the caller says it is, or None.
    Raises InputRefused when it cannot be read as one, UsageError when it is another provider's.
    """
    try:
        content = path.read_bytes() if path.stat().st_size <= _FILE_BYTES_MAX else None
        text = None if content is None else content.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputRefused(f"{path} cannot be read: {error}") from error
    if content is None or text is None:
        raise InputRefused(f"{path} is larger than {_FILE_BYTES_MAX:,} bytes")
    if mapping is not None:
        found = _mapped(text, mapping, str(path), digest_of([content]))
    elif text.lstrip()[:1] in ("{", "["):
        found = read_pages(_pages(text, str(path)), str(path), digest_of([content]))
    else:
        found = _provider_csv(text, str(path), digest_of([content]))
    if provider not in (None, CSV, found.provider):
        raise UsageError(
            f"{path} is an export of {found.provider}, not of {provider}",
            next_step=f"leave --provider out, or say --provider {found.provider}",
        )
    return found


def _pages(text: str, source: str) -> list[Any]:
    """A page, a list of pages, or one page on each line."""
    lines = text.strip().splitlines()
    if len(lines) > 1 and all(line.strip().startswith("{") and line.strip().endswith("}")
                              for line in lines):  # fmt: skip
        return [load_json(line, source) for line in lines]
    document = load_json(text, source)
    return document if isinstance(document, list) else [document]


def read_pages(pages: list[Any], source: str, digest: str) -> Bill:
    """One export from the pages of an API.  Raises InputRefused."""
    buckets: list[Any] = []
    for page in pages:
        data = page.get("data") if isinstance(page, Mapping) else None
        if not isinstance(data, list) or not all(isinstance(one, Mapping) for one in data):
            raise InputRefused(
                f"{source} is not a page of a provider's usage or costs",
                why="expected an object with a list `data` of buckets",
                next_step="a list of pages, or a page a line, is read as well",
            )
        buckets.extend(data)
    if pages and pages[-1].get("has_more"):
        raise InputRefused(
            f"{source} is not the whole export: its last page says that there is more",
            why="what is missing would look like calls that were never billed",
            next_step="save every page until `has_more` is false",
        )
    try:
        return _read_buckets(buckets, source, digest)
    except (AttributeError, TypeError, KeyError) as error:
        raise InputRefused(
            f"{source} is not shaped like the usage or costs of a provider",
            why=f"{type(error).__name__}: {error}",
        ) from error


def _read_buckets(buckets: list[Any], source: str, digest: str) -> Bill:
    if buckets and "start_time" in buckets[0]:
        rows = openai_bill.read_buckets(buckets, source)
        days = {day_of_seconds(b.get("start_time"), b.get("end_time"), source) for b in buckets}
        return _bill(OPENAI, "OpenAI's API", source, digest, rows, days)
    rows = anthropic_bill.read_buckets(buckets, source)
    days = {day_of_text(b.get("starting_at"), b.get("ending_at"), source) for b in buckets}
    return _bill(ANTHROPIC, "Anthropic's API", source, digest, rows, days)


def _provider_csv(text: str, source: str, digest: str) -> Bill:
    rows = _csv_rows(text, source)
    heading = set(rows[0]) if rows else set()
    if {"amount_value", "start_time"} <= heading:
        days = {_openai_day(row, source) for row in rows}
        paid = [row for row in rows if (row["amount_value"] or "").strip()]
        for row in paid:
            dollars_only(row.get("amount_currency") or None, source)
        found = [
            openai_bill.cost_row(_openai_day(row, source), row["amount_value"], row, source)
            for row in paid
        ]
        return _bill(OPENAI, "OpenAI's cost CSV", source, digest, found, days)
    if {"num_model_requests", "input_tokens", "start_time"} <= heading:
        days = {_openai_day(row, source) for row in rows}
        used = [row for row in rows if (row["num_model_requests"] or "").strip()]
        found = [openai_bill.usage_row(_openai_day(row, source), row, source) for row in used]
        return _bill(OPENAI, "OpenAI's activity CSV", source, digest, found, days)
    if {"usage_date_utc", "cost_usd"} <= heading:
        found = anthropic_bill.read_cost_csv(rows, source)
        step = _step(row["cost_usd"] for row in rows)
        return _bill(ANTHROPIC, "Anthropic's cost CSV", source, digest, found, set(), step)
    if {"usage_date_utc", "usage_input_tokens_no_cache"} <= heading:
        found = anthropic_bill.read_token_csv(rows, source)
        return _bill(ANTHROPIC, "Anthropic's usage CSV", source, digest, found, set())
    if mapping := mapped_csv.own_words(rows[0] if rows else ()):
        return _mapped(text, mapping, source, digest)
    raise InputRefused(
        f"{source} is no export that is known",
        why=f"its columns are {', '.join(sorted(heading)) or 'none'}",
        next_step="say what they mean: --map day=date,model=model_name,cost=usd",
    )


def _openai_day(row: Mapping[str, str], source: str) -> str:
    return day_of_seconds(row["start_time"], row.get("end_time"), source)


def _mapped(text: str, mapping: Mapping[str, str], source: str, digest: str) -> Bill:
    rows = _csv_rows(text, source)
    found = mapped_csv.read_rows(rows, mapping, source)
    column = mapping.get("cost") or mapping.get("cost_cents")
    step = Fraction(0)
    if column is not None:
        step = _step(row[column] for row in rows) / (1 if "cost" in mapping else 100)
    return _bill(CSV, "CSV", source, digest, found, set(), step)


def _csv_rows(text: str, source: str) -> list[dict[str, str]]:
    delimiter = "\t" if "\t" in text.partition("\n")[0] else ","
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        rows = [row for row in reader if any(row.values())]
    except csv.Error as error:
        raise InputRefused(f"{source} is not CSV: line {reader.line_num}: {error}") from error
    for number, row in enumerate(rows, start=2):
        if None in row or None in row.values():
            raise InputRefused(f"{source}: row {number} has not as many fields as the heading")
    return rows


def _step(amounts: Iterable[str]) -> Fraction:
    """The coarsest step that explains how all the amounts are written; 0 when they are exact."""
    finest = min((step_of(text) for text in amounts if text.strip()), default=Fraction(0))
    return finest if finest >= Fraction(1, 10**4) else Fraction(0)


def _bill(
    provider: str, name: str, source: str, digest: str, rows: list[BillRow], days: set[str],
    step: Fraction | None = None,
) -> Bill:  # fmt: skip
    if step is None:
        step = _step_of_rows(rows)
    covered = days or _between({row.day for row in rows})
    return Bill(provider, name, source, digest, tuple(rows), frozenset(covered), step)


def _step_of_rows(rows: Iterable[BillRow]) -> Fraction:
    """The coarsest of cents, tenths and hundredths of them in which all amounts are whole."""
    amounts = [row.dollars for row in rows if row.dollars]
    for step in (Fraction(1, 100), Fraction(1, 1000), Fraction(1, 10**4)):
        if amounts and all((amount / step).denominator == 1 for amount in amounts):
            return step
    return Fraction(0)


def _between(days: set[str]) -> set[str]:
    """Every day from the first to the last: a day without rows in an export had no spend."""
    if not days:
        return set()
    first = datetime.fromisoformat(min(days)).replace(tzinfo=timezone.utc)
    last = datetime.fromisoformat(max(days)).replace(tzinfo=timezone.utc)
    length = min((last - first).days, _DAYS_MAX)
    return {f"{first + timedelta(days=n):%Y-%m-%d}" for n in range(length + 1)}
