"""The frames of both clients, and what a refused reply becomes.

Layer: client, sans-IO.  Below: protocol, errors.  Above: sync and async client.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from noburn_cli import protocol
from noburn_cli.core.usage import split
from noburn_cli.errors import (
    BudgetExceeded,
    CallUnbounded,
    DaemonUnavailable,
    FrameRefused,
    KeyUnknown,
    LedgerUnavailable,
    LimitReached,
    ModelUnknown,
    NoburnError,
    PolicyChanged,
    PriceUnknown,
    UsageError,
)

#: `error` of the reply that we give ourselves for an ending that went into the journal.
UNDELIVERED = "undelivered"

Frame = dict[str, Any]

_ERRORS: Mapping[str, type[NoburnError]] = {
    protocol.BLOCKED: BudgetExceeded,
    protocol.MODEL_UNKNOWN: ModelUnknown,
    protocol.PRICE_UNKNOWN: PriceUnknown,
    protocol.UNBOUNDED: CallUnbounded,
    protocol.KEY_UNKNOWN: KeyUnknown,
    protocol.STALE: PolicyChanged,
    protocol.BAD_FRAME: UsageError,
    protocol.CONFIGURATION: UsageError,
    protocol.VERSION_MISMATCH: FrameRefused,
    protocol.LEDGER: LedgerUnavailable,
    protocol.STOPPED: LimitReached,
    protocol.PAUSED: LimitReached,
    protocol.UNKNOWN: DaemonUnavailable,
    protocol.DRAINING: DaemonUnavailable,
}


def accepted(reply: Frame) -> Frame:
    """The reply, if the daemon did what was asked; raises the error that its refusal means."""
    if reply.get("ok"):
        return reply
    code = str(reply.get("error", ""))
    raise _ERRORS.get(code, NoburnError)(
        str(reply.get("message") or f"the daemon refused: {code or 'no reason given'}"),
        why=str(reply.get("why") or ""),
        next_step=str(reply.get("next") or ""),
    )


def undelivered(error: NoburnError) -> Frame:
    """The reply for an ending that waits in the journal: the call keeps its hold until then."""
    return {
        "ok": False,
        "error": UNDELIVERED,
        "message": error.message,
        "why": error.why,
        "next": "nothing: it is kept, and sent when the daemon is back",
    }


def reserve_frame(fields: Mapping[str, Any]) -> Frame:
    return {**fields, "op": protocol.RESERVE}


def settle_frame(
    call: str,
    usage: Mapping[str, int],
    *,
    variant: str,
    latency_ms: int | None,
    status: int | None,
    provider_id: str | None,
    served_model: str | None,
    failure: str | None,
) -> Frame:
    return {
        "op": protocol.SETTLE,
        "call": call,
        "usage": usage_fields(usage),
        "variant": variant,
        "latency_ms": latency_ms,
        "status": status,
        "provider_id": provider_id,
        "served_model": served_model,
        "failure": failure,
    }


def usage_fields(usage: Mapping[str, int]) -> dict[str, Any]:
    """Usage by kind as a `settle` frame carries it: further kinds apart."""
    counts, extra = split(usage)
    return {**counts, "extra": extra} if extra else dict(counts)


def unsettled_frame(
    op: str, call: str, *, reason: str, latency_ms: int | None, status: int | None
) -> Frame:
    """A `lose` or a `void`."""
    return {"op": op, "call": call, "reason": reason, "latency_ms": latency_ms, "status": status}


def plainer_ending(frame: Mapping[str, Any], reply: Mapping[str, Any]) -> Frame | None:
    """What to say where the daemon cannot read an ending, as of a provider's mad count; else None.

    The hold would stay open as long as this process lives.  Unread usage is unknown usage.
    """
    if reply.get("error") != protocol.BAD_FRAME:
        return None
    op = protocol.VOID if frame["op"] == protocol.VOID else protocol.LOSE
    reason = f"its `{frame['op']}` could not be read"
    return unsettled_frame(op, str(frame["call"]), reason=reason, latency_ms=None, status=None)


def given_up_frame(call: str) -> Frame:
    return unsettled_frame(
        protocol.VOID, call, reason="the reserve was given up", latency_ms=None, status=None
    )


def refused_frame(
    call: str, *, api: str, model: str, attrs: Mapping[str, str], reason: str, error: str
) -> Frame:
    return {
        "op": protocol.REFUSED,
        "call": call,
        "api": api,
        "model": model,
        "attrs": dict(attrs),
        "reason": reason,
        "error": error,
    }


def budget_set_frame(*, scope: str, per: str, limit: Mapping[str, Any], override: bool) -> Frame:
    return {
        "op": protocol.BUDGET_SET,
        "scope": scope,
        "per": per,
        "limit": dict(limit),
        "override": override,
    }


def remaining_frame(attrs: Mapping[str, str]) -> Frame:
    return {"op": protocol.REMAINING, "attrs": dict(attrs)}
