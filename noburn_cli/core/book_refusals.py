"""What a newer price book may not do by itself, whoever made it.

Layer: core (pure).  Below: core.models, core.modelnames, core.usage.  Above: core.book_update.

A name that means one model keeps meaning it; a price does not become nothing; and a limit by which
calls are bounded does not shrink.  Each of these would let calls pass below what they cost, and
each could hide between a hundred lines about prices.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from noburn_cli.core.modelnames import without_date
from noburn_cli.core.models import Model, RateRow
from noburn_cli.core.usage import INPUT, OUTPUT

#: Limits by which calls are bounded: holds are too small where one of them is.
LIMITS = ("context_window", "input_max", "output_max")


@dataclass(frozen=True)
class Refusal:
    """Something that the newer book says of a model and that is not taken.

    text: a sentence without its subject, in words.
    """

    model: str
    text: str


class Holders:
    """Which model every name means: before, and by the word of the newer book."""

    def __init__(self, old: Mapping[str, Model], new: Mapping[str, Model]) -> None:
        self._new = new
        self._held = {name: name for name in old}
        for model in old.values():
            self._held.update(dict.fromkeys(model.aliases, model.name))

    def keeper(self, name: str, wanted_by: str) -> str | None:
        """The model that keeps a name which another one wants; None where it may have it.

        An alias goes where the newer book has its model as well, without the alias.
        """
        holder = self._held.get(name)
        if holder is None or holder == wanted_by:
            return None
        given_up = holder in self._new and name not in (holder, *self._new[holder].aliases)
        return None if given_up else holder

    def moved(self, name: str, to: str) -> str | None:
        """The other model that a name meant until now, by itself or without its date."""
        found = self._held.get(name) or self._held.get(without_date(name) or "")
        return None if found == to else found


def with_free_names(model: Model, holders: Holders) -> tuple[Model, list[Refusal]]:
    """The model without the aliases that stay with other models, and what to say of that."""
    kept = {alias: holders.keeper(alias, model.name) for alias in model.aliases}
    refused = [
        Refusal(model.name, f"`{alias}` would mean this model: it stays `{holder}`")
        for alias, holder in kept.items()
        if holder is not None
    ]
    return replace(model, aliases=tuple(a for a, holder in kept.items() if not holder)), refused


def with_larger_limits(before: Model, newer: Model) -> tuple[Model, list[Refusal]]:
    """The newer model with no limit below what it was, and what to say of that."""
    smaller = {
        key: (was, now)
        for key in LIMITS
        if (was := getattr(before, key)) and (now := getattr(newer, key)) and now < was
    }
    kept = {key: was for key, (was, _) in smaller.items()}
    if smaller.get("input_max") == smaller.get("context_window"):
        smaller.pop("input_max", None)  # The one follows the other, where no file says more.
    refused = [
        Refusal(
            newer.name,
            f"{key} {was:,} → {now:,}: calls would be held for less; "
            "not taken without --corrections",
        )
        for key, (was, now) in smaller.items()
    ]
    limits = {key: kept.get(key, getattr(newer, key)) for key in LIMITS}
    return replace(newer, **limits), refused


def becomes_free(name: str, before: Sequence[RateRow], after: Iterable[RateRow]) -> Refusal | None:
    """Why a price is not taken that makes something nothing; `before` is empty for a new model."""
    was = set().union(*(_priced(row) for row in before)) if before else {INPUT, OUTPUT}
    for row in after:
        if was & _unpriced(row) or not (_priced(row) or any(row.extra.values())):
            return Refusal(
                name,
                f"{row.variant} from {row.starts_on} would cost nothing: nothing of it is taken; "
                "only your own price file can make a model free",
            )
    return None


def _priced(row: RateRow) -> set[str]:
    return {kind for tier in row.tiers for kind, rate in tier.rates.items() if rate}


def _unpriced(row: RateRow) -> set[str]:
    """Text that goes in or comes out at no cost, in some tier."""
    rates = [tier.rates for tier in row.tiers]
    return {kind for kind in (INPUT, OUTPUT) for tier in rates if tier.get(kind) == 0}
