"""What the daemon knows of one call, and which calls it knows without asking the disk.

Layer: daemon, pure.  Below: core.holds, accounts, ledger (Event).  Above: book.
Owns: Call, and the memory of recent ids.

Ids begin with the time.  So an id above every id that was ever forgotten (by its first
character, to keep odd ids from spoiling it for all) is new unless it is in memory, and needs no
look at the disk.
"""

from __future__ import annotations

from collections.abc import Callable

from noburn_cli.core.holds import STATE_AFTER, HoldEvent, HoldState
from noburn_cli.core.usage import KINDS
from noburn_daemon.accounts import Account, Context, Weights
from noburn_daemon.ledger import Event

#: Not states of a hold: ids that are closed without ever having held anything.
TOMBSTONE = "tombstone"
REFUSED = "refused"
RECENT_MAX = 32_768


class Call:
    """A call that was admitted, or whose id is closed; amounts as in the journal."""

    __slots__ = (
        "accounts",
        "book",
        "bound",
        "clamped",
        "context",
        "cost",
        "digest",
        "factor",
        "granted",
        "hold",
        "id",
        "input_bound",
        "model",
        "owner",
        "reserved_at_ms",
        "state",
        "usage",
        "variant",
        "wanted",
        "write_cap",
    )  # fmt: skip

    def __init__(self, call_id: str, state: str, context: Context | None = None) -> None:
        self.id = call_id
        self.state = state
        self.context = context
        self.accounts: tuple[Account, ...] = ()
        self.hold: Weights = (0, 0, 0)
        self.cost: Weights = (0, 0, 0)
        self.usage: dict[str, int] | None = None
        self.variant: str | None = None
        self.owner = ""
        self.digest = 0
        self.reserved_at_ms = 0
        self.granted: int | None = None
        self.wanted: int | None = None
        self.write_cap = False
        self.clamped = False
        self.bound = ""
        self.book = ""
        self.model = ""
        self.input_bound = 0
        self.factor = 1000


def opened(event: Event, context: Context, accounts: tuple[Account, ...]) -> Call:
    """The call that a `reserve` row tells of; texts resolved."""
    call = Call(str(event.call), HoldState.HELD.value, context)
    call.accounts = accounts
    call.hold = (event.hold_nano or 0, event.hold_tokens or 0, 1)
    call.owner = str(event.owner)
    call.digest = event.digest or 0
    call.reserved_at_ms = event.at_ms
    call.granted = event.granted
    call.wanted = event.wanted
    call.write_cap = bool(event.write_cap)
    call.clamped = bool(event.clamped)
    call.bound = str(event.bound)
    call.book = str(event.book)
    call.model = str(event.model)
    call.input_bound = event.input_bound or 0
    call.factor = event.factor or 1000
    return call


def close(call: Call, event: Event) -> Weights:
    """Apply a closing row; return what it adds to what was settled so far."""
    state = STATE_AFTER[HoldEvent(event.kind)]
    before = call.cost
    if state is HoldState.VOIDED:
        call.cost = (0, 0, 0)
    else:
        call.cost = (event.cost_nano or 0, event.cost_tokens or 0, 1)
    call.state = state.value
    if state is HoldState.SETTLED:
        call.usage = {k: v for k in KINDS if (v := getattr(event, k))}
        call.variant = event.variant
    after = call.cost
    return after[0] - before[0], after[1] - before[1], after[2] - before[2]


class CallMemory:
    """Open calls, recent calls, and older ones from the disk."""

    def __init__(
        self, find: Callable[[str], list[Event]], make: Callable[[list[Event]], Call | None],
        greatest: dict[str, str],
    ) -> None:  # fmt: skip
        self._find = find
        self._make = make
        self._greatest = greatest
        self._recent: dict[str, Call] = {}
        self.open: dict[str, Call] = {}

    def get(self, call_id: str) -> Call | None:
        """The call of that id, or None when there never was one."""
        call = self._recent.get(call_id)
        if call is not None:
            return call
        call = self.open.get(call_id)
        if call is not None or call_id > self._greatest.get(call_id[0], ""):
            return call
        return self._make(self._find(call_id))

    def add(self, call: Call) -> None:
        self._recent[call.id] = call
        if call.state == HoldState.HELD.value:
            self.open[call.id] = call

    def closed(self, call: Call) -> None:
        """Note that a call has ended, or was corrected: its newest state is the one in memory."""
        self.open.pop(call.id, None)
        self._recent[call.id] = call

    def forget_old(self) -> None:
        """Keep memory bounded.  Only after a commit: what is forgotten must be on disk."""
        if len(self._recent) <= RECENT_MAX:
            return
        for call_id in sorted(self._recent)[: RECENT_MAX // 2]:
            del self._recent[call_id]
            if call_id > self._greatest.get(call_id[0], ""):
                self._greatest[call_id[0]] = call_id
