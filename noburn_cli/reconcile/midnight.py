"""Calls around midnight: reserved on one day, ended on the next, and billed to either.

Layer: reconcile, pure.  Below: ours, matching.  Above: comparing.
Owns: which of them are counted to the day on which they ended.  Providers do not say to which day
they count a request; where the bill of the first day has too few requests, and that of the next too
many, those that ended on it are the ones.
"""

from __future__ import annotations

from collections.abc import Mapping

from noburn_cli.reconcile.matching import TheirLine
from noburn_cli.reconcile.ours import OurLine, Place


def move_overnight(ours: dict[Place, OurLine], theirs: Mapping[Place, TheirLine]) -> None:
    """Move calls to the day of their end, as many as both days' bills agree on."""
    for place in sorted(ours):
        line = ours[place]
        lacking = line.requests - (_requests(theirs, place) or 0)
        for call in list(line.overnight):
            after = (call.closed_day, *place[1:])
            billed = _requests(theirs, after)
            if _requests(theirs, place) is None or billed is None or lacking <= 0:
                continue
            other = ours.setdefault(after, OurLine(line.api))
            if other.requests + len(other.unbilled) >= billed:
                continue
            line.add_settled(call, -1)
            line.overnight.remove(call)
            other.add_settled(call)
            lacking -= 1


def _requests(theirs: Mapping[Place, TheirLine], place: Place) -> int | None:
    """How many requests were billed; 0 where the bill has others of the model, and none then."""
    line = theirs.get(place)
    if line is not None:
        return line.requests
    counted = any(
        other.requests is not None for (_, *rest), other in theirs.items() if rest == [*place[1:]]
    )
    return 0 if counted else None
