"""How an import looks: what came in, what it costs and by whom, and what could not be read.

Layer: render.  Below: importing.outcome, importing.batches, render.table, core.money.
Above: commands.importing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from fractions import Fraction
from typing import Any

from noburn_cli.core.money import Nano, show_count, show_dollars, show_percent
from noburn_cli.core.plurals import counted
from noburn_cli.importing.batches import Batch
from noburn_cli.importing.outcome import Money, Outcome, Reason
from noburn_cli.render.moments import second_of
from noburn_cli.render.table import LEFT, RIGHT, Column, fit_table, safe_text

#: Reasons and models that are listed one by one.
LISTED_MAX = 12


def render_outcome(outcome: Outcome, title: str, *, agent: bool) -> list[str]:
    """The summary of one import."""
    money = outcome.money
    read = counted(outcome.files, "file")
    if outcome.unchanged:
        read += f", {show_count(outcome.unchanged)} more unchanged since last time"
    lines = [f"{title}: {read}; {_came(outcome)}"]
    if money.records:
        span = f"from {_day(money.first_ms)} to {_day(money.last_ms)} (UTC)"
        lines.append(f"batch {outcome.source}/{outcome.batch}: {_calls(money)}, {span}")
        lines += [f"  {line}" for line in (*_costs(money, agent=agent), *_doubts(money))]
    lines += _unread(outcome)
    lines += [
        f"no record that was read has {safe_text(path)}, from which {word} was to be taken"
        for word, path in outcome.never.items()
    ]
    lines += [f"  {safe_text(why)}" for why in outcome.missing.values()]
    return lines


def _came(outcome: Outcome) -> str:
    words = {"new": "new", "replaced": "replaced", "same": "known already"}
    came = [
        f"{show_count(outcome.became[key])} {word}"
        for key, word in words.items() if outcome.became[key]
    ]  # fmt: skip
    return ", ".join(came) or "nothing new"


def _calls(money: Money) -> str:
    calls = counted(money.calls, "call")
    return (
        calls if money.calls == money.records else f"{calls} in {counted(money.records, 'record')}"
    )


def _costs(money: Money, *, agent: bool) -> list[str]:
    lines = []
    if money.notional:
        lines.append(
            f"{show_dollars(money.notional_nano)} at list price, notional: a plan paid for "
            f"{counted(money.notional, 'call')}"
            + ("; --billing api says that an API key did" if agent else "")
        )
    if money.notional < money.records:
        lines.append(f"{show_dollars(money.cost_nano)} counts as spent: {_by(money.by)}")
    if money.said and not agent:
        lines.append(
            f"the source said {show_dollars(money.said_nano)} for {money.said:,}; "
            f"our book says {show_dollars(money.list_nano)} for {money.listed:,}"
            if money.listed
            else f"the source said {show_dollars(money.said_nano)} for {money.said:,}"
        )
    if money.both:
        drift = money.both_list_nano - money.both_said_nano
        share = show_percent(Fraction(round(Fraction(drift * 1000, money.both_said_nano)), 1000))
        lines.append(
            f"where both speak ({money.both:,}): {show_dollars(drift)} between them ({share})"
        )
    return lines


def _by(by: Mapping[str, int]) -> str:
    words = {
        "source": "by the source's cost", "list": "by list price at the call's own date",
        "bill": "inside a day's bill", "unpriced": "without a known cost",
    }  # fmt: skip
    return ", ".join(f"{count:,} {words.get(name, name)}" for name, count in by.items())


def _doubts(money: Money) -> list[str]:
    lines = []
    if money.unpriced:
        lines.append(
            f"cost unknown, and not zero: {_models(money.unpriced)}; a price file can price them "
            "(`[[model]]` and `[[model.rate]]` in prices.toml, docs/price-book.md), then import "
            "again with --again"
        )
    if money.unlisted:
        lines.append(f"no list price in our book: {_models(money.unlisted)}")
    if money.zero_said:
        lines.append(
            f"a cost of 0 for tokens is not believed ({counted(money.zero_said, 'record')}): a "
            "source that does not know a price says so"
        )
    if money.shadowed:
        lines.append(
            f"another source told of {counted(money.shadowed, 'call')} before: in no report while "
            "it is there"
        )
    if money.beside:
        lines.append(
            f"{', '.join(map(safe_text, money.beside))} told of the same days: a call that two "
            "sources tell of without the provider's id counts twice"
        )
    if money.calls != money.records:
        lines.append(
            "sums of days, not calls: they stand beside whatever else tells of the same days "
            "(docs/import.md)"
        )
    lines += [f"{count:,} {safe_text(note)}" for note, count in money.notes.items()]
    return lines


def _models(models: Mapping[str, int]) -> str:
    shown = [f"{safe_text(name)} ({count:,})" for name, count in list(models.items())[:LISTED_MAX]]
    more = len(models) - LISTED_MAX
    return ", ".join(shown) + (f" and {more:,} more models" if more > 0 else "")


def _unread(outcome: Outcome) -> list[str]:
    lines = []
    if outcome.unread:
        lines.append(f"not read: {counted(outcome.unread_count, 'record')}")
        ordered = sorted(outcome.unread.items(), key=lambda item: -item[1].count)
        lines += [f"  {_reason(name, reason)}" for name, reason in ordered[:LISTED_MAX]]
    left = {why: count for why, count in outcome.left.items() if count}
    if left:
        said = ", ".join(f"{safe_text(why)} ({count:,})" for why, count in left.items())
        lines.append(f"left out, as no calls of their own: {said}")
    if outcome.became["repeated"]:
        again = counted(outcome.became["repeated"], "record")
        lines.append(f"told again of a call that counts once: {again}")
    return lines


def _reason(name: str, reason: Reason) -> str:
    places = ", ".join(
        f"{safe_text(path.rpartition('/')[2])}:{line}" for path, line, _ in reason.places
    )
    first = reason.places[0][2]
    return f"{reason.count:,}: {name}{f' ({safe_text(first)})' if first else ''}: {places}" + (
        ", …" if reason.count > len(reason.places) else ""
    )


def _day(at_ms: int | None) -> str:
    moment = datetime.fromtimestamp((at_ms or 0) / 1000, tz=timezone.utc)
    return f"{moment:%Y-%m-%d}"


def outcome_data(outcome: Outcome) -> dict[str, Any]:
    """The summary as data, amounts as exact dollars."""
    data = outcome.data()
    data["money"] = {
        name.replace("_nano", "_usd"): Nano(value).exact() if name.endswith("_nano") else value
        for name, value in data["money"].items()
    }
    return data


#: Of a list of batches: headers, and in which order columns go where a terminal is too narrow.
_BATCH_HEADERS = (
    ("BATCH", LEFT, None), ("IMPORTED (UTC)", LEFT, 0), ("STATE", LEFT, 2), ("CALLS", RIGHT, None),
    ("FIRST", LEFT, None), ("LAST", LEFT, None), ("COST", RIGHT, None), ("NOTIONAL", RIGHT, 1),
    ("UNPRICED", RIGHT, 3),
)  # fmt: skip


def render_batches(batches: Sequence[Batch], *, width: int | None = None) -> list[str]:
    """A line a batch, the oldest first."""
    rows = [
        (
            batch.name, second_of(batch.at_ms),
            "unfinished" if batch.ended_at_ms is None else "done", show_count(batch.calls),
            _day(batch.first_ms) if batch.records else "-",
            _day(batch.last_ms) if batch.records else "-",
            show_dollars(batch.cost_nano), show_dollars(batch.notional_nano),
            show_count(batch.unpriced),
        )
        for batch in batches
    ]  # fmt: skip
    columns = [
        Column(header, cells, align, give_up)
        for (header, align, give_up), cells in zip(
            _BATCH_HEADERS, zip(*rows, strict=True), strict=True
        )
    ]
    return fit_table(columns, width=width)


def batches_data(batches: Sequence[Batch]) -> list[dict[str, Any]]:
    """The batches as data, amounts as exact dollars."""
    return [
        {
            "batch": batch.name, "source": batch.source, "at_ms": batch.at_ms,
            "ended_at_ms": batch.ended_at_ms, "records": batch.records, "calls": batch.calls,
            "first_ms": batch.first_ms, "last_ms": batch.last_ms,
            "cost_usd": Nano(batch.cost_nano).exact(),
            "notional_usd": Nano(batch.notional_nano).exact(), "unpriced": batch.unpriced,
        }
        for batch in batches
    ]  # fmt: skip
