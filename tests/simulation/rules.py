"""Which calls a budget is about, and when its windows begin and end: written once more.

Shares no code with core.budgets and core.windows, and knows only what the workload uses.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
#: Zones whose clocks are never set.
_OFFSETS_MS = {"UTC": 0, "Asia/Kolkata": 19_800_000}

#: (attribute, value) of each, in order.
Pairs = tuple[tuple[str, str], ...]


@dataclass
class Limit:
    """A budget as the journal tells it."""

    number: int
    scope: Pairs
    per: str
    unit: int
    amount: int
    override: bool
    run: str | None
    action: str
    zone: str
    anchor: int
    thresholds: tuple[int, ...]
    carry: int
    notify: tuple[str, ...] = ()

    @property
    def rolls_ms(self) -> int | None:
        """The length of a window that rolls."""
        unit_ms = {"s": 1000, "m": 60_000, "h": HOUR_MS, "d": DAY_MS}.get(self.per[-1])
        return int(self.per[:-1]) * unit_ms if unit_ms and self.per[:-1].isdigit() else None

    def start_ms(self, at_ms: int) -> int:
        """When the window around a moment begins; 0 for one that never does."""
        offset_ms = _OFFSETS_MS[self.zone]
        if self.per == "hour":
            return at_ms - (at_ms + offset_ms) % HOUR_MS
        if self.per == "day":
            return at_ms - (at_ms + offset_ms) % DAY_MS
        if self.per == "month":
            day = datetime.fromtimestamp(at_ms // 1000, UTC)
            months = day.year * 12 + day.month - 1 - (day.day < self.anchor)
            return _month_ms(months, self.anchor)
        return 0

    def end_ms(self, start_ms: int) -> int | None:
        """When a window ends that begins then; None for never."""
        if self.per == "month":
            day = datetime.fromtimestamp(start_ms // 1000, UTC)
            return _month_ms(day.year * 12 + day.month, self.anchor)
        length_ms = {"hour": HOUR_MS, "day": DAY_MS}.get(self.per)
        return None if length_ms is None else start_ms + length_ms

    def counts(self, at_ms: int, now_ms: int) -> bool:
        """Whether a call of that moment, which has ended, still counts."""
        if self.rolls_ms is None:
            return True
        bucket_ms = -(-self.rolls_ms // 60)
        return at_ms - at_ms % bucket_ms + bucket_ms + self.rolls_ms > now_ms


def _month_ms(months: int, day: int) -> int:
    return int(datetime(months // 12, months % 12 + 1, day, tzinfo=UTC).timestamp()) * 1000


def pairs_of(scope: str) -> Pairs:
    """A scope as the journal writes it: (key, value), `*` for each value."""
    if scope == "global":
        return ()
    return tuple((key, value) for key, _, value in (p.partition("=") for p in scope.split(",")))


def with_pseudonym(pairs: Pairs, key: str, value: str, stand_in: str) -> Pairs:
    """The same with another text in the place of one attribute's value."""
    return tuple((k, stand_in if (k, v) == (key, value) else v) for k, v in pairs)


def run_paths(attrs: dict[str, str]) -> list[str]:
    """The runs that a call is in, outermost first."""
    runs = attrs.get("run", "").split("/")
    return ["/".join(runs[: i + 1]) for i in range(len(runs)) if runs[0]]


def account_keys(limit: Limit, attrs: dict[str, str]) -> list[Pairs]:
    """The accounts of a budget that a call belongs to; none where it does not match."""
    found: list[Pairs] = [()]
    for key, wanted in limit.scope:
        values = (
            (attrs.get(key) or "(none)").split("/")
            if key == "run"
            else [attrs.get(key) or "(none)"]
        )
        values = [value for value in values if wanted in ("*", value)]
        found = [(*before, (key, value)) for before in found for value in values]
    if limit.per == "run" and "run" not in dict(limit.scope):
        runs = (attrs.get("run") or "(none)").split("/")
        found = [(*before, ("run", run)) for before in found for run in runs]
    return found


def stands_in(override: Pairs, other: Pairs) -> bool:
    """Whether a budget that overrides is asked instead of another."""
    if override == other or [k for k, _ in override] != [k for k, _ in other]:
        return False
    return all(
        theirs in ("*", ours) for (_, ours), (_, theirs) in zip(override, other, strict=True)
    )
