"""What may happen to money set aside for one call.

Layer: core (no clock, no file, no socket).  Below: nothing.  Above: the daemon's book.
Owns: HOLD_NEXT, from which the table in docs/ledger.md is generated.
Not here: how rows are stored (noburn_daemon.sqlite), when a hold is orphaned
(noburn_daemon.reaper).
"""

from __future__ import annotations

from enum import Enum


class HoldState(str, Enum):  # not StrEnum: core runs on Python 3.10
    """Where a call's money is.  All but HELD have ended; two of them may still be corrected."""

    HELD = "held"
    SETTLED = "settled"
    UNCERTAIN = "uncertain"  # charged in full: the provider's usage was never learnt
    ORPHANED = "orphaned"  # charged in full: the owner process is gone
    VOIDED = "voided"


class HoldEvent(str, Enum):
    """What callers, and the reaper, may ask of a hold.  The values are the journal's kinds."""

    SETTLE = "settle"
    LOSE_USAGE = "lose"
    ORPHAN = "orphan"
    VOID = "void"


HOLD_NEXT = {
    (HoldState.HELD, HoldEvent.SETTLE): HoldState.SETTLED,
    (HoldState.HELD, HoldEvent.VOID): HoldState.VOIDED,
    (HoldState.HELD, HoldEvent.LOSE_USAGE): HoldState.UNCERTAIN,
    (HoldState.HELD, HoldEvent.ORPHAN): HoldState.ORPHANED,
    # A late bill is still a bill: the provider charges whether or not we waited.
    (HoldState.UNCERTAIN, HoldEvent.SETTLE): HoldState.SETTLED,
    (HoldState.ORPHANED, HoldEvent.SETTLE): HoldState.SETTLED,
}

#: The state that each closing event leads to, whatever came before.
STATE_AFTER = {event: state for (_, event), state in HOLD_NEXT.items()}


def transitions_table() -> str:
    """HOLD_NEXT as a Markdown table."""
    rows = ["| state | event | next |", "|---|---|---|"]
    rows += [
        f"| {old.value} | {event.value} | {new.value} |" for (old, event), new in HOLD_NEXT.items()
    ]
    return "\n".join(rows)
