"""What the daemon needs of a ledger: append events, restore a state, answer about old calls.

Layer: daemon.  Below: core.chain (column order), msgspec.  Above: book, server.
Owns: Event, the one row of the journal, and the interface that sqlite.py fulfils.
Not here: SQL.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec
from msgspec import Struct

#: Kind of the one row that `find` gives of a call whose own rows were compacted.
COMPACTED = "compacted"
#: Ended calls are summed by context and quarter-hour of their reserve: every time zone of today is
#: so many quarters ahead of UTC, or behind.
SLOT_MS = 900_000


class Event(Struct, array_like=True, gc=False):
    """One row of the journal; the fields are core.chain.COLUMNS, in order.

    context, model, owner, note and book are texts until the ledger has interned them as numbers.
    """

    seq: int
    at_ms: int
    kind: str
    call: str | None = None
    run: str | None = None
    context: str | int | None = None
    model: str | int | None = None
    owner: str | int | None = None
    note: str | int | None = None
    book: str | int | None = None
    digest: int | None = None
    hold_nano: int | None = None
    hold_tokens: int | None = None
    input_bound: int | None = None
    bound: str | None = None
    factor: int | None = None
    wanted: int | None = None
    granted: int | None = None
    clamped: int | None = None
    write_cap: int | None = None
    waited_ms: int | None = None
    cost_nano: int | None = None
    cost_tokens: int | None = None
    input: int | None = None
    cache_read: int | None = None
    cache_write_5m: int | None = None
    cache_write_1h: int | None = None
    output: int | None = None
    reasoning: int | None = None
    variant: str | None = None
    latency_ms: int | None = None
    status: int | None = None
    failure: str | None = None
    provider_id: str | None = None
    served_model: str | None = None
    detail: str | None = None
    extra: str | None = None
    ceiling_nano: int | None = None


@dataclass
class BudgetRow:
    """A budget as stored; amount in nano-dollars, tokens or requests."""

    id: int
    scope: str
    per: str
    unit: str
    amount: int
    override: bool
    run: str | None = None
    ended_at_ms: int | None = None
    removed_at_ms: int | None = None
    #: What happens to a call that goes beyond it: core.actions.
    action: str = "block"
    #: In whose time a calendar window is cut, and the day it begins with: core.windows.
    zone: str = "UTC"
    anchor: int = 1
    #: The most that is carried over of what a window had left, in the budget's unit.
    carry: int = 0
    #: Model to cheaper model, for action `downgrade`.
    downgrade: dict[str, str] = field(default_factory=dict)
    #: Percent of the capacity at which the channels named in `notify` are told.
    thresholds: list[int] = field(default_factory=list)
    notify: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class AccountRow:
    """One account's snapshot; amounts in its budget's unit."""

    budget: int
    key: str
    window_start_ms: int
    topup: int
    settled: int
    #: Carried over from the window before.
    carried: int = 0
    #: The highest threshold that was told, in percent.
    notified: int = 0
    #: Of a rolling window what its buckets hold, of a carried account where it came from: JSON.
    buckets: str | None = None
    #: What was booked beyond a budget that bills.
    overage: int = 0
    #: Of a window that has passed: what it could hold.
    capacity: int | None = None


@dataclass(frozen=True)
class ScheduledRow:
    """A change of the policy that is to come, or (ended_at_ms) has come or was taken back.

    spec: the request as JSON, without its moment.
    """

    id: int
    at_ms: int
    spec: str
    ended_at_ms: int | None = None


@dataclass(frozen=True)
class Notice:
    """A message on its way to the outbox.

    key: what a receiver tells repetitions by; without a dot, as what is signed needs it.
    """

    key: str
    at_ms: int
    channel: str
    kind: str
    payload: str


@dataclass
class Snapshot:
    """What changed since the last snapshot, or, when restored, everything."""

    budgets: list[BudgetRow] = field(default_factory=list)
    accounts: list[AccountRow] = field(default_factory=list)
    dropped_accounts: list[tuple[int, str, int]] = field(default_factory=list)
    factors: dict[str, int] = field(default_factory=dict)
    #: Runs that have not ended, with their owners; None says: unchanged.
    runs: dict[str, str] | None = None
    scheduled: list[ScheduledRow] = field(default_factory=list)
    #: Messages to the outbox; never restored.
    notices: list[Notice] = field(default_factory=list)
    #: What was charged since the last snapshot, by context and slot of the reserve: nano-dollars
    #: (none where a subscription pays), tokens, requests.  Never restored.
    sums: dict[tuple[str, int], list[int]] = field(default_factory=dict)


@dataclass
class RunTotals:
    """What a run came to, everything below it included; nano-dollars and counts.

    cost_nano: of ended calls; held_nano: of open ones.  notional_nano: at list price, of calls
    that a subscription pays for.
    """

    calls: int = 0
    open: int = 0
    held_nano: int = 0
    cost_nano: int = 0
    notional_nano: int = 0
    blocked: int = 0
    refused: int = 0
    clamped: int = 0


@dataclass
class Restored:
    """A ledger's state at start: the snapshot, open holds, and what came after it."""

    snapshot: Snapshot
    open_holds: list[Event]
    newer: list[Event]
    #: The greatest call id by first character: above it, no id is on disk.
    greatest: dict[str, str]


class Ledger(Protocol):
    """Durable storage with one writer.  Every method raises LedgerUnavailable when it cannot."""

    def append(self, events: list[Event], snapshot: Snapshot | None) -> None:
        """Write the events, and a snapshot as of the last one, in one transaction."""

    def restore(self) -> Restored:
        """Read the state as of the last commit."""

    def find(self, call: str) -> list[Event]:
        """Every row of a call, oldest first, texts resolved; of a compacted one that it was."""

    def find_lost(self, provider_id: str) -> str | None:
        """The newest call that was lost under a provider's id, or None."""

    def passed_account(self, budget: int, key: str, window_start_ms: int) -> AccountRow | None:
        """An account that was kept beyond its window, or None."""

    def ended(self, since_ms: int) -> list[tuple[str, int, int, int, int]]:
        """(context, moment of the reserve, nano, tokens, 1) of ended calls reserved since then."""

    def sums(
        self, keys: Sequence[str], since_slot: int, *, width_ms: int | None
    ) -> list[tuple[list[str | None], int, int, int, int]]:
        """What ended calls were charged, as of the last snapshot, by the values of these keys.

        (values, bucket, nano, tokens, requests) of calls reserved in that slot or later.
        width_ms: of the buckets, by which the ends of slots are told apart; None for all in one.
        """

    def run_rows(self, run: str) -> list[Event]:
        """Every row of a run itself (not of its calls), oldest first, texts resolved."""

    def run_totals(self, run: str) -> RunTotals:
        """What a run's calls came to since it began."""

    def known_corrections(self, ids: Iterable[str]) -> set[str]:
        """Which of these corrections are booked."""

    def newest_correction(self, *, besides: str) -> int:
        """The row of the newest correction that is not of a batch; 0 without any."""

    def corrections(self, name: str) -> list[Event]:
        """The corrections of an id or a batch, and what undid them, oldest first."""

    def probe(self) -> None:
        """Try whether the ledger can be written."""

    def book_texts(self, version: str) -> list[tuple[str, str]] | None:
        """The texts of a price book that holds were stamped with."""

    def store_book(self, version: str, texts: list[tuple[str, str]]) -> None:
        """Keep a price book's texts, once per version, with the next append."""


def json_text(value: object) -> str:
    """A value as the journal writes it: compact."""
    return msgspec.json.encode(value).decode()
