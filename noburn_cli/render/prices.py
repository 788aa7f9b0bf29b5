"""How the price book looks: a table of models, one model in full, data for `--json` and CSV.

Layer: render, pure but for the CSV's writer.  Below: core.models, core.rate_changes, render.table.
Above: commands.prices.listing, commands.prices.showing.
Not here: how changes look (render.price_changes).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from noburn_cli.core.models import MEDIA_AS_TEXT, Model, RateRow, Uplift, is_retired
from noburn_cli.core.money import show_count
from noburn_cli.core.price_notices import PriceNotice
from noburn_cli.core.rate_changes import exact_dollars, kind_words, rate_unit, show_rate
from noburn_cli.core.rate_schedules import hours_words, schedule_at, uplift_words, variants_of
from noburn_cli.core.usage import (
    CACHE_READ,
    CACHE_WRITE_1H,
    CACHE_WRITE_5M,
    EXTRA_KINDS,
    INPUT,
    OUTPUT,
    PRICED_KINDS,
)
from noburn_cli.render.table import RIGHT, Column, fit_table, format_table, safe_text, wrap_line

CSV_COLUMNS = (
    "model", "provider", "family", "variant", "hours", "starts_on", "ends_on",
    "above_input_tokens", "kind", "usd", "per", "url", "checked_on",
)  # fmt: skip
NONE = "–"
#: The day that stands for `from the model's first day`.
_FIRST_DAY = date(1970, 1, 1)


@dataclass(frozen=True)
class Priced:
    """One line of a list: a model, and the row of one variant that was asked for.

    other_hours: the variant's further rows of that day, where its price changes by the hour.
    """

    model: Model
    row: RateRow
    other_hours: tuple[RateRow, ...] = ()

    def rows(self) -> Iterator[Priced]:
        """One line for every row of the day, without the others beside it."""
        return (Priced(self.model, row) for row in (self.row, *self.other_hours))


def render_list(lines: Sequence[Priced], *, at_ms: int, width: int | None = None) -> list[str]:
    """Dollars per million tokens, one line per model and variant."""
    one_variant = len({variant_words(line.row) for line in lines}) == 1
    columns = [
        Column("MODEL", [line.model.name for line in lines], shorten=True),
        Column("PROVIDER", [line.model.provider for line in lines], give_up=3),
        *([] if one_variant else [Column("VARIANT", [variant_words(one.row) for one in lines])]),
        _rates_column("INPUT", lines, INPUT),
        _rates_column("CACHED", lines, CACHE_READ, give_up=5),
        _rates_column("WRITE 5M", lines, CACHE_WRITE_5M, give_up=1),
        _rates_column("WRITE 1H", lines, CACHE_WRITE_1H, give_up=1),
        _rates_column("OUTPUT", lines, OUTPUT),
        Column("WINDOW", [show_count(line.model.context_window) for line in lines], RIGHT, 4),
        Column("MOST OUT", [_count(line.model.output_max) for line in lines], RIGHT, give_up=2),
        Column("NOTE", [_note(line, at_ms) for line in lines], give_up=6),
    ]
    count = f"{len(lines):,} {'rows' if len(lines) != 1 else 'row'}"
    variant = f" of {variant_words(lines[0].row)}" if one_variant else ""
    told = f"{count}{variant}, dollars per million tokens; `noburn prices show MODEL` says more."
    return [*fit_table(columns, width=width), "", *wrap_line(told, width=width)]


def _rates_column(
    header: str, lines: Sequence[Priced], kind: str, *, give_up: int | None = None
) -> Column:
    cells = [_dollars(line.row.tiers[0].rates.get(kind), kind) for line in lines]
    return Column(header, cells, RIGHT, give_up)


def _dollars(pico: int | None, kind: str) -> str:
    return NONE if pico is None else exact_dollars(kind, pico)


def _count(count: int | None) -> str:
    return NONE if count is None else show_count(count)


def _note(line: Priced, at_ms: int) -> str:
    parts = [_hours_note(line.row, other) for other in line.other_hours]
    parts += [f"dearer above {tier.above_input_tokens:,}" for tier in line.row.tiers[1:2]]
    if INPUT not in line.row.tiers[0].rates:
        parts += [f"{kind_words(k)} {show_rate(k, pico)}" for k, pico in line.row.extra.items()]
    if is_retired(line.model, at_ms):
        parts.append(f"switched off {line.model.retires_on}")
    elif line.model.retires_on is not None:
        parts.append(f"retires {line.model.retires_on}")
    return "; ".join(parts)


def _hours_note(now: RateRow, other: RateRow) -> str:
    """`dearer Mon-Fri 01:00-04:00 UTC`, of rows that share a day."""
    sums = [sum(row.tiers[0].rates.get(k, 0) for k in (INPUT, OUTPUT)) for row in (now, other)]
    how = "dearer" if sums[1] > sums[0] else "cheaper" if sums[1] < sums[0] else "other rates"
    return f"{how} {hours_words(other.windows) or 'at other hours'}"


def list_csv(lines: Sequence[Priced]) -> str:
    """One line per rate, exact; a header first."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for line in (row for one in lines for row in one.rows()):
        model, row = line.model, line.row
        ends = ends_on(model, row)
        for above, kind, pico in _all_rates(row):
            writer.writerow([
                model.name, model.provider, model.family, row.variant, hours_words(row.windows),
                row.starts_on, ends or "", above, kind, exact_dollars(kind, pico), rate_unit(kind),
                row.url, row.checked_on,
            ])  # fmt: skip
    return text.getvalue()


def _all_rates(row: RateRow) -> Iterator[tuple[int, str, int]]:
    """(threshold, kind, pico-dollars) of every rate, tiers first."""
    for tier in row.tiers:
        for kind in PRICED_KINDS:
            if kind in tier.rates:
                yield tier.above_input_tokens, kind, tier.rates[kind]
    for kind in EXTRA_KINDS:
        if kind in row.extra:
            yield 0, kind, row.extra[kind]


def ends_on(model: Model, row: RateRow) -> date | None:
    """The last day on which a row holds; None while no later one is known."""
    ending = [
        one.starts_on
        for one in model.rows
        if one.variant == row.variant
        and one.starts_on > row.starts_on
        and one.windows in ((), row.windows)
    ]
    return min(ending) - timedelta(days=1) if ending else None


def variant_words(row: RateRow) -> str:
    """The variant, with the only hours in which the row holds."""
    return f"{row.variant} {hours_words(row.windows)}".rstrip()


def line_data(line: Priced) -> dict[str, Any]:
    """One line of a list as data."""
    return {**_facts_data(line.model), "rate": row_data(line.model, line.row)}


def model_data(model: Model, origins: Sequence[str]) -> dict[str, Any]:
    """A model as data: everything that the book knows of it, and which files say so."""
    rows = [row_data(model, row) for row in model.rows]
    return {**_facts_data(model), "files": list(origins), "rates": rows}


def _facts_data(model: Model) -> dict[str, Any]:
    return {
        "model": model.name,
        "provider": model.provider,
        "family": model.family,
        "tokenizer": model.tokenizer,
        "context_window": model.context_window,
        "input_max": model.input_max,
        "output_max": model.output_max,
        "output_min": model.output_min,
        "cache_writes": model.cache_writes,
        "media_input": model.media_input,
        "aliases": list(model.aliases),
        "retires_on": _day(model.retires_on),
        "sources": list(model.sources),
        "note": model.note,
        "uplifts": [
            {"regions": list(one.regions), "factor_permille": one.factor_permille,
             "starts_on": _day(one.starts_on), "url": one.url}
            for one in model.uplifts
        ],
    }  # fmt: skip


def row_data(model: Model, row: RateRow) -> dict[str, Any]:
    """A row as data; every rate in exact dollars per as many units as `per` says."""
    rates = [
        {"kind": kind, "above_input_tokens": above, "usd": exact_dollars(kind, pico),
         "per": rate_unit(kind)}
        for above, kind, pico in _all_rates(row)
    ]  # fmt: skip
    return {
        "variant": row.variant,
        "hours": hours_words(row.windows) or None,
        "starts_on": _day(row.starts_on),
        "ends_on": _day(ends_on(model, row)),
        "rates": rates,
        "url": row.url,
        "checked_on": _day(row.checked_on),
    }


def _day(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def render_model(
    model: Model,
    origins: Sequence[str],
    announced: Sequence[PriceNotice],
    *,
    at_ms: int,
    width: int | None = None,
) -> list[str]:
    """A model in full: facts, rates in force by variant, what is announced, and the files."""
    lines = [safe_text(model.name), ""]
    lines += format_table((), [(f"  {word}", text) for word, text in _facts(model)])
    day = datetime.fromtimestamp(at_ms / 1000, UTC).date()
    for variant in variants_of(model.rows):
        lines += ["", *_variant_lines(model, variant, day)]
    lines += ["", *(_uplift_words(one) for one in model.uplifts)] if model.uplifts else []
    for notice in announced:
        lines += ["", *wrap_line(f"announced: {notice.text}", width=width, indent=11)]
    lines += ["", *(f"from {safe_text(origin)}" for origin in origins)]
    return lines


def _facts(model: Model) -> Iterator[tuple[str, str]]:
    yield "provider", model.provider
    yield "family", model.family
    yield "tokenizer", model.tokenizer
    yield "context window", f"{model.context_window:,} tokens"
    if model.input_max != model.context_window:
        yield "most input", f"{model.input_max:,} tokens"
    if model.output_max is not None:
        yield "most output", f"{model.output_max:,} tokens"
    if model.output_min != 1:
        yield "least output cap", f"{model.output_min:,} tokens"
    if model.media_input == MEDIA_AS_TEXT:
        yield "sound, images in", "at the price of text, where no other is listed"
    yield "other names", ", ".join(model.aliases) or "none"
    if model.retires_on is not None:
        yield "switched off on", model.retires_on.isoformat()
    yield "compared with", ", ".join(model.sources) or "nothing but its page"
    if model.note:
        yield "note", model.note


def _variant_lines(model: Model, variant: str, day: date) -> Iterator[str]:
    """The rates of one variant in force, tier by tier, and where they stand."""
    rows = [row for row in model.rows if row.variant == variant]
    schedule = schedule_at(rows, day)
    if not schedule:
        yield f"{variant}: from {rows[0].starts_on} on"
    for now in schedule:
        yield f"{variant_words(now)}, {since(now)}{_until(model, now)}:"
        yield from format_table((), _rate_lines(now))
        if CACHE_READ not in now.tiers[0].rates and INPUT in now.tiers[0].rates:
            yield "  cached input costs what input costs"
        yield f"  checked on {now.checked_on} against {safe_text(now.url)}"


def _rate_lines(row: RateRow) -> Iterator[tuple[str, str]]:
    for above, kind, pico in _all_rates(row):
        tier = f" above {above:,} input tokens" if above else ""
        yield f"  {kind_words(kind)}{tier}", show_rate(kind, pico)


def _uplift_words(uplift: Uplift) -> str:
    """`in eu, us: × 1.1 of all rates of tokens, since 2026-03-01`."""
    began = "" if uplift.starts_on == _FIRST_DAY else f", since {uplift.starts_on}"
    return f"in {safe_text(uplift_words(uplift))}{began}"


def since(row: RateRow) -> str:
    """From when a row holds, in words."""
    return "from its first day" if row.starts_on == _FIRST_DAY else f"since {row.starts_on}"


def _until(model: Model, row: RateRow) -> str:
    ends = ends_on(model, row)
    return "" if ends is None else f" until {ends}"
