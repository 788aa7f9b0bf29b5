"""Prepaid credits: earned when they are spent, and what is left of them when they expire.

Layer: core (pure).  Below: core.recognition_days.  Above: core.recognition.
Owns: which of a customer's grants pays for what: of those that hold on a day, the one that expires
first, then the older one.  What a grant has left on the day that it expires is breakage: earned on
that day.  What does not expire is not earned until it is spent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from noburn_cli.core.recognition_days import Curve, used_of

#: When credits that never expire, and are not spent, are earned: not in anybody's report.
NEVER = date.max.toordinal() - 1


@dataclass(frozen=True)
class Grant:
    """Credits that were bought: nano-dollars without tax, from a day on, up to one, or for ever."""

    id: str
    nano: int
    day: int
    expires: int | None = None


@dataclass(frozen=True)
class Spent:
    """When a grant is earned.  breakage: (day, nano-dollars) of what was left when it expired."""

    curve: Curve
    breakage: tuple[int, int] | None = None


def credit_curves(
    grants: Iterable[Grant], draws: Mapping[int, int], *, as_told: bool = False
) -> dict[str, Spent]:
    """The days on which each grant of one customer is earned, by its id.

    draws: by day, what usage was worth in credits (nano-dollars); what goes beyond all grants pays
        for nothing here.
    as_told: that they were spent is known, of days before a grant as well: an invoice's usage was
        used before the invoice.
    """
    owned = sorted(grants, key=lambda one: (one.expires or NEVER, one.day, one.id))
    left = {grant.id: grant.nano for grant in owned}
    spent: dict[str, dict[int, int]] = {grant.id: {} for grant in owned}
    for day in sorted(draws):
        wanted = draws[day]
        for grant in owned:
            if wanted <= 0:
                break
            if as_told or grant.day <= day <= (grant.expires or NEVER):
                taken = min(wanted, left[grant.id])
                if taken:
                    left[grant.id] -= taken
                    spent[grant.id][day] = taken
                    wanted -= taken
    found = {}
    for grant in owned:
        if left[grant.id] > 0:
            end = grant.expires if grant.expires is not None else NEVER
            spent[grant.id][end] = spent[grant.id].get(end, 0) + left[grant.id]
        curve = used_of(spent[grant.id])
        if curve is not None:
            expired = left[grant.id] if grant.expires is not None else 0
            breakage = (grant.expires, expired) if grant.expires and expired else None
            found[grant.id] = Spent(curve, breakage)
    return found
