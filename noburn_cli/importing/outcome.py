"""What an import came to: counts by what became of records, and by why some could not be read.

Layer: importing, pure.  Below: nothing.  Above: job, detecting, batches (sums), render.importing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

#: Places that are remembered of each reason.
PLACES_MAX = 3


@dataclass
class Reason:
    """Why records were not counted: how many, and the first ones, as (file, line, what it said)."""

    count: int = 0
    places: list[tuple[str, int, str]] = field(default_factory=list)

    def add(self, path: str, line: int, what: str) -> None:
        self.count += 1
        if len(self.places) < PLACES_MAX:
            self.places.append((path, line, what))


@dataclass(frozen=True)
class Money:
    """What the calls that a batch brought in cost, in nano-dollars.

    said, listed: how many have a cost of the source's, and a list price; their sums beside.
    both: how many have the two, with the sums of both: what they differ by.
    cost_nano: what counts, of calls that are paid; notional_nano: of those that a plan paid.
    by: how many records count by which cost (`source`, `list`, `bill`, `unpriced`).
    unpriced, unlisted: models whose cost nobody knows, and those without a list price, by records;
        not those whose tokens nobody told (notes).
    shadowed: records that another source told of before; they wait, and are in no report.
    beside: other sources, coding agents aside, that tell of the same days.
    """

    records: int = 0
    calls: int = 0
    first_ms: int | None = None
    last_ms: int | None = None
    said: int = 0
    said_nano: int = 0
    listed: int = 0
    list_nano: int = 0
    both: int = 0
    both_said_nano: int = 0
    both_list_nano: int = 0
    cost_nano: int = 0
    notional: int = 0
    notional_nano: int = 0
    zero_said: int = 0
    shadowed: int = 0
    by: Mapping[str, int] = field(default_factory=dict)
    unpriced: Mapping[str, int] = field(default_factory=dict)
    unlisted: Mapping[str, int] = field(default_factory=dict)
    notes: Mapping[str, int] = field(default_factory=dict)
    beside: tuple[str, ...] = ()


@dataclass
class Outcome:
    """Everything that a summary tells.

    files: that were read; unchanged: that had been, and have not changed since; missing: that could
    not be opened, by path.  never: fields that a person named and no record had, by what they were
    to be.  records: all that were looked at.  became: by what became of them
    (writing).  unread: by reason.  left: by reason, of records that are no calls.
    """

    source: str
    batch: int = 0
    files: int = 0
    unchanged: int = 0
    records: int = 0
    became: Counter[str] = field(default_factory=Counter)
    unread: dict[str, Reason] = field(default_factory=dict)
    left: Counter[str] = field(default_factory=Counter)
    missing: dict[str, str] = field(default_factory=dict)
    never: dict[str, str] = field(default_factory=dict)
    money: Money = field(default_factory=Money)

    def not_read(self, reason: str, path: str, line: int, what: str = "") -> None:
        """Count a record that could not be read."""
        self.unread.setdefault(reason, Reason()).add(path, line, what)

    @property
    def unread_count(self) -> int:
        return sum(reason.count for reason in self.unread.values())

    def data(self) -> dict[str, Any]:
        """All of it as JSON."""
        return {
            **asdict(self),
            "became": dict(self.became), "left": dict(self.left),
            "unread": {
                reason: {"count": found.count, "places": [list(place) for place in found.places]}
                for reason, found in self.unread.items()
            },
        }  # fmt: skip
