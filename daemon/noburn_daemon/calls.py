"""What the daemon knows of one call, and which calls it knows without asking the disk.

Layer: daemon, pure.  Below: core.holds, accounts, frames, ledger (Event).  Above: book,
reserving, ending.
Owns: Call, what makes two reserves of one id the same, and the memory of recent ids.

Ids begin with the time.  So an id above every id that was ever forgotten (by its first
character, to keep odd ids from spoiling it for all) is new unless it is in memory, and needs no
look at the disk.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable

import msgspec

from noburn_cli.core.holds import STATE_AFTER, HoldState
from noburn_daemon.account import DOLLARS_INDEX, Account, Weights
from noburn_daemon.accounts import Context
from noburn_daemon.frames import Reserve, Usage, extra_text
from noburn_daemon.ledger import Event

#: Not states of a hold: ids that are closed without ever having held anything.
TOMBSTONE = "tombstone"
REFUSED = "refused"
RECENT_MAX = 32_768
_FORGOTTEN_AT_ONCE = 512


#: How the note of a call begins that a subscription pays for.
NOTIONAL_NOTE = '{"notional":true'

_HELD = HoldState.HELD.value
_SETTLED = HoldState.SETTLED.value
_VOIDED = HoldState.VOIDED.value
#: The state that each closing kind of row leads to; plain words, because this runs for every call.
_STATE_OF = {event.value: state.value for event, state in STATE_AFTER.items()}

_OUTPUT_ALONE = ("output",)
_encode = msgspec.json.Encoder().encode

#: Billed counts in the order of core.usage.KINDS, and those of further kinds as text.
Counts = tuple[int, int, int, int, int, int, str | None]


class Call:
    """A call that was admitted, or whose id is closed; amounts as in the journal.

    notional: a subscription pays for it, so that it is charged to no account of dollars.
    under_ceiling: a ceiling of the policy let it go, and nothing was claimed about its input.
    """

    __slots__ = (
        "accounts", "book", "bound", "clamped", "context", "cost", "digest", "factor", "granted",
        "hold", "id", "input_bound", "model", "notional", "owner", "reserved_at_ms", "state",
        "under_ceiling", "usage", "variant", "wanted", "write_cap",
    )  # fmt: skip

    def __init__(
        self, id: str, state: str, context: Context | None = None,  # noqa: A002 - as everywhere
        accounts: tuple[Account, ...] = (), hold: Weights = (0, 0, 0), owner: str = "",
        digest: int = 0, reserved_at_ms: int = 0, granted: int | None = None,
        wanted: int | None = None, write_cap: bool = False, clamped: bool = False,
        bound: str = "", book: str = "", model: str = "", input_bound: int = 0,
        factor: int = 1000, notional: bool = False, under_ceiling: bool = False,
    ) -> None:  # fmt: skip
        self.id = id
        self.state = state
        self.context = context
        self.accounts = accounts
        self.hold = hold
        self.cost: Weights = (0, 0, 0)
        self.owner = owner
        self.digest = digest
        self.reserved_at_ms = reserved_at_ms
        self.granted = granted
        self.wanted = wanted
        self.write_cap = write_cap
        self.clamped = clamped
        self.bound = bound
        self.book = book
        self.model = model
        self.input_bound = input_bound
        self.factor = factor
        self.usage: Counts | None = None
        self.variant: str | None = None
        self.notional = notional
        self.under_ceiling = under_ceiling


def opened(event: Event, context: Context, accounts: tuple[Account, ...]) -> Call:
    """The call that a `reserve` row tells of; texts resolved."""
    # A `reserve` row has them all, as texts.
    assert event.call is not None
    owner, book, model = event.owner, event.book, event.model
    return Call(
        event.call,
        _HELD,
        context,
        accounts,
        (event.hold_nano or 0, event.hold_tokens or 0, 1),
        owner,  # type: ignore[arg-type]
        event.digest or 0,
        event.at_ms,
        event.granted,
        event.wanted,
        event.write_cap == 1,
        event.clamped == 1,
        event.bound or "",
        book,  # type: ignore[arg-type]
        model,  # type: ignore[arg-type]
        event.input_bound or 0,
        event.factor or 1000,
        str(event.note).startswith(NOTIONAL_NOTE),
        event.ceiling_nano is not None,
    )


def close(call: Call, event: Event) -> Weights:
    """Apply a closing row; return what it adds to what was settled so far."""
    call.state = state = _STATE_OF[event.kind]
    nano_before, tokens_before, requests_before = call.cost
    if state == _VOIDED:
        call.cost = (0, 0, 0)
        return -nano_before, -tokens_before, -requests_before
    nano, tokens = event.cost_nano or 0, event.cost_tokens or 0
    call.cost = (nano, tokens, 1)
    if state == _SETTLED:
        call.usage = counts(event)
        call.variant = event.variant
    return nano - nano_before, tokens - tokens_before, 1 - requests_before


def charged(accounts: Iterable[Account], *, notional: bool) -> tuple[Account, ...]:
    """Those accounts that a call weighs on; of dollars none where a subscription pays."""
    if notional:
        return tuple(account for account in accounts if account.unit_index != DOLLARS_INDEX)
    return tuple(accounts)


def content_digest(frame: Reserve, context: Context) -> int:
    """What makes two reserves of one id the same: all but how it was counted, and the wait."""
    size = frame.input
    usual = (
        frame.api, frame.model, context.text, size.bytes, size.expanded, size.overhead,
        size.tokens, size.window, frame.input_kinds, frame.variants, frame.output,
    )  # fmt: skip
    # Only where there is something: a reserve of before these fields is still the same one.
    more: tuple[object, ...] = ("notional",) if frame.notional else ()
    if (
        frame.ceiling is not None or frame.extra or size.windows or size.requests != 1
        or frame.output_kinds != _OUTPUT_ALONE
    ):  # fmt: skip
        further = (size.requests, size.windows, frame.output_kinds, frame.extra, frame.ceiling)
        more = (*more, *further)
    content = _encode((*usual, *more) if more else usual)
    digest = hashlib.blake2b(content, digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def counts(used: Event | Usage) -> Counts:
    """What was billed, comparable whether it comes from a row or from a frame."""
    return (
        used.input or 0,
        used.cache_read or 0,
        used.cache_write_5m or 0,
        used.cache_write_1h or 0,
        used.output or 0,
        used.reasoning or 0,
        used.extra if isinstance(used, Event) else extra_text(used.extra),
    )


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
        #: Ids to forget, the smallest last.
        self._leaving: list[str] = []
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
        if call.state == _HELD:
            self.open[call.id] = call

    def closed(self, call: Call) -> None:
        """Note that a call has ended, or was corrected: its newest state is the one in memory."""
        self.open.pop(call.id, None)
        self._recent[call.id] = call

    def forget_old(self) -> None:
        """Keep memory bounded.  Only after a commit: what is forgotten must be on disk.

        The smallest ids go first, a few at a time: nobody waits for thousands of them.
        """
        leaving = self._leaving
        if not leaving:
            if len(self._recent) <= RECENT_MAX:
                return
            leaving = self._leaving = sorted(self._recent)[RECENT_MAX // 2 - 1 :: -1]
        for _ in range(min(len(leaving), _FORGOTTEN_AT_ONCE)):
            call_id = leaving.pop()
            self._recent.pop(call_id, None)
            if call_id > self._greatest.get(call_id[0], ""):
                self._greatest[call_id[0]] = call_id
