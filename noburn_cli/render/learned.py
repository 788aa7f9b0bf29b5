"""What past calls said, in words and as data: from how many of whose calls, and how sure.

Layer: render.  Below: core.learning, core.estimates, core.money.  Above: render.estimate.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timezone
from typing import Any

from noburn_cli.core.estimates import Estimate, Span
from noburn_cli.core.learning import (
    CALLS_MAX,
    CALLS_MIN,
    FEATURE,
    MODEL,
    PROMPT,
    PROMPT_KEY,
    Learned,
    groups,
)
from noburn_cli.core.money import show_count, show_dollars, show_percent
from noburn_cli.render.table import safe_text

#: What a group's calls have in common, as budgets and reports say it.
_KEYS = {PROMPT: PROMPT_KEY, FEATURE: FEATURE}


def learned_notes(shown: Sequence[Estimate]) -> list[str]:
    """What was expected from past calls, once for each group of them."""
    found = list(dict.fromkeys(one.learned for one in shown if one.learned is not None))
    notes = [f"{said.model}: {learned_sentence(said)}." for said in found]
    if found:
        notes.append(
            "Learned costs go from the median to the p90, nine calls of ten; the worst case knows "
            "nothing of past calls."
        )
    return notes + list(_many(shown))


def _many(shown: Sequence[Estimate]) -> Iterator[str]:
    """What many calls come to: their mean, which the median of one does not tell."""
    last = shown[-1].source if shown else ""
    for one in shown:
        if one.source != last or one.cost_mean is None or one.learned is None:
            continue
        if one.requests * one.calls > 1:
            shape = one.learned.shape
            mean = _least(show_count(shape.mean), shape.mean_at_least)
            yield (
                f"{one.model}: {show_count(one.requests * one.calls)} calls come to about "
                f"{_dollars(one.cost_mean)} in all, with {mean} tokens of output on average."
            )


def _dollars(span: Span) -> str:
    low, high = show_dollars(span.low), show_dollars(span.high)
    return low if low == high else f"{low}–{high}"


def learned_sentence(found: Learned) -> str:
    """`expected output 240 (p90 610) learned from 1,284 calls of feature=support since …`."""
    shape = found.shape
    median = _least(show_count(shape.median), shape.median_at_least)
    high = _least(show_count(shape.high), shape.high_at_least)
    said = f"expected output {median} (p90 {high}) learned from {_calls(found)}"
    if shape.high_at_least:
        said += f"; {show_count(found.capped)} of them ended at their cap"
    cache = found.expected_cache
    if cache is not None and cache.read:
        said += f"; {show_percent(found.cache_share)} of their input was read from a cache"
    return said


def _least(number: str, at_least: bool) -> str:
    return f"≥ {number}" if at_least else number


def _calls(found: Learned) -> str:
    newest = "the newest " if found.calls >= CALLS_MAX else ""
    of_whom = whose(found.basis, found.name)
    return f"{newest}{show_count(found.calls)} calls {of_whom} since {_day(found.first_ms)}"


def whose(basis: str, name: str) -> str:
    """`of feature=support`, or `of the model`."""
    return "of the model" if basis == MODEL else f"of {_KEYS[basis]}={safe_text(name)}"


def _day(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, tz=timezone.utc):%Y-%m-%d}"


def unlearned_notes(
    rows: Iterable[Estimate], *, feature: str | None, prompt: str | None, days: int
) -> list[str]:
    """Where the calls that were asked for are too few, by model; and who answered instead."""
    asked = groups(feature=feature, prompt=prompt)[0]
    few = f"fewer than {CALLS_MIN} calls {whose(*asked)} in the last {days} days"
    notes = {}
    for one in rows:
        if one.learned is None and one.output_max:
            notes[one.model] = f"{one.model}: {few}, nor of the model: the output is unknown"
        elif one.learned is not None and one.learned.basis != asked[0]:
            instead = whose(one.learned.basis, one.learned.name)
            notes[one.model] = f"{one.model}: {few}; those {instead} answer instead"
    return list(notes.values())


def learned_data(found: Learned) -> dict[str, Any]:
    """The same as data; shares to six places."""
    shape, cache = found.shape, found.cache
    return {
        "basis": found.basis,
        "name": found.name or None,
        "calls": found.calls,
        "capped": found.capped,
        "output_median": shape.median,
        "output_median_at_least": shape.median_at_least,
        "output_p90": shape.high,
        "output_p90_at_least": shape.high_at_least,
        "output_mean": shape.mean,
        "output_mean_at_least": shape.mean_at_least,
        "cache_read_share": _share(cache.read, cache.total),
        "cache_write_share": _share(cache.write_5m + cache.write_1h, cache.total),
        "first_ms": found.first_ms,
        "last_ms": found.last_ms,
    }


def _share(part: int, whole: int) -> float:
    return round(part / whole, 6) if whole else 0.0
