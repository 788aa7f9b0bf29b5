"""Disagreements of a book with its sources, and which of them are known.

Layer: pure.  Below: standard library.
Above: price_sources.comparing, commands.prices (`check`), render.price_check.
Owns: what a disagreement says, and why one stands: `[[difference]]` of the hand-kept part, as long
as the sources still say what they said when it was decided, or somebody's own price file.
Not here: finding them (price_sources.comparing).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from fnmatch import fnmatchcase
from typing import Any

GENAI, LITELLM = "genai-prices", "litellm"
#: The value of a source that has no such tier.
NO_TIER = "no tier"
_OWN = "your own price file says so"


@dataclass(frozen=True)
class Known:
    """Why a difference is known: the reason, the day it was decided, where it stands."""

    reason: str
    decided_on: date
    source: str


@dataclass(frozen=True)
class Disagreement:
    """One fact on which the book and a source differ.

    what: a kind of usage, or a limit.  variant, above: of a rate; "" and 0 otherwise.
    ours: of a rate in dollars per as many units as its price is for; others in words.
    theirs: by source; a source that is silent is not in it.
    checked_on: when our row was compared.  known: why it stands, if that was decided.
    """

    model: str
    what: str
    variant: str
    above: int
    ours: str
    theirs: Mapping[str, str]
    checked_on: date
    url: str
    known: Known | None = None


@dataclass(frozen=True)
class Comparison:
    """A whole book against the sources.

    compared: models that at least one source knows.  alone: those that none does.
    """

    disagreements: tuple[Disagreement, ...]
    compared: tuple[str, ...]
    alone: tuple[str, ...]


def explained(
    found: Iterable[Disagreement], entries: Iterable[Mapping[str, Any]]
) -> tuple[Disagreement, ...]:
    """The same, with the reasons of `[[difference]]`.  entries: these tables."""
    known = [
        (entry, Known(entry["reason"], entry["decided_on"], entry["source"])) for entry in entries
    ]
    return tuple(
        replace(one, known=next((why for entry, why in known if _fits(one, entry)), one.known))
        for one in found
    )


def with_own(found: Comparison, listed: Comparison, origins: Mapping[str, str]) -> Comparison:
    """The same, where a difference that only somebody's own price file makes has that reason.

    listed: the models of `origins` as the book has them without that file.
    origins: models of which such a file has the last word, and the file.
    """
    without = {_fact(one) for one in listed.disagreements}
    explained = (
        replace(one, known=Known(_OWN, one.checked_on, origins[one.model]))
        if one.model in origins and _fact(one) not in without
        else one
        for one in found.disagreements
    )
    return replace(found, disagreements=tuple(explained))


def _fact(one: Disagreement) -> tuple[str, str, str, int, str]:
    return (one.model, one.what, one.variant, one.above, one.ours)


def _fits(one: Disagreement, entry: Mapping[str, Any]) -> bool:
    """Whether a known difference is this one: the fact, and what the sources say."""
    asked = {"what": one.what, "variant": one.variant, "above": one.above}
    said = entry.get("said", {})
    return (
        any(fnmatchcase(one.model, glob) for glob in entry["models"])
        and all(entry.get(key, value) == value for key, value in asked.items())
        and all(one.theirs.get(name, value) == value for name, value in said.items())
        and (not entry.get("ours_larger") or _is_larger(one))
        and ("within_percent" not in entry or _is_within(one, entry["within_percent"]))
    )


def _is_larger(one: Disagreement) -> bool:
    """Whether ours is above what every source says."""
    numbers = [one.ours, *one.theirs.values()]
    return all(text.isdecimal() for text in numbers) and all(
        int(one.ours) > int(text) for text in one.theirs.values()
    )


def _is_within(one: Disagreement, percent: int) -> bool:
    """Whether no source is further from ours than that."""
    numbers = [int(text) for text in (one.ours, *one.theirs.values()) if text.isdecimal()]
    return len(numbers) > len(one.theirs) and all(
        abs(numbers[0] - other) * 100 <= percent * numbers[0] for other in numbers[1:]
    )
