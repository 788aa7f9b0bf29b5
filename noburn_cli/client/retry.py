"""When to ask again: the clock is given, so that both clients decide alike.

Layer: client, sans-IO.  Below: protocol, errors.  Above: sync and async client.
Owns: patience, pauses, and which replies and operations may be repeated.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from noburn_cli import protocol
from noburn_cli.errors import DaemonUnavailable, FrameRefused

#: How long a reply may take, in seconds; a reserve may take its `wait_ms` more.
REPLY_S = 10.0
#: How long a frame is asked again after lost connections and `unknown`, beyond its own wait.
PATIENCE_S = 15.0
#: How long a void may take to say that a reserve was given up; after it, the journal has to do.
GIVE_UP_S = 1.0

_PAUSE_FIRST_S = 0.01
_PAUSE_MAX_S = 0.5

#: Not idempotent, or pointless to a daemon that was started for it: asked once.
ONCE = frozenset({protocol.BUDGET_TOPUP, protocol.SHUTDOWN})
#: What ends a call: kept in the journal when it cannot be delivered.
ENDINGS = frozenset({protocol.SETTLE, protocol.LOSE, protocol.VOID})
_AGAIN = frozenset({protocol.UNKNOWN, protocol.DRAINING})
#: Refusals that are given without a look at the call's id.
_UNSEEN = frozenset({protocol.LEDGER, protocol.KEY_UNKNOWN})


class NoReply(Exception):
    """A frame went unanswered; the connection is of no further use."""


class Lost(NoReply):
    """The connection ended before the reply: the frame may have been handled or not."""


class Late(NoReply):
    """The reply did not come in time: the frame may still be handled."""


def is_to_repeat(frame: Mapping[str, Any], reply: Mapping[str, Any]) -> bool:
    """Whether the same frame is to be sent again.

    A ledger that cannot be written refuses a new call at once; a call that has ended must be told.
    """
    error = reply.get("error")
    if error == protocol.LEDGER:
        return frame["op"] in ENDINGS
    return error in _AGAIN and frame["op"] not in ONCE


def reply_limit_s(frame: Mapping[str, Any]) -> float:
    """How many seconds the reply to `frame` may take."""
    return REPLY_S + float(frame.get("wait_ms") or 0) / 1000


class Patience:
    """The pauses between repeats of one frame, until its time is over.

    now: any monotonic clock, in seconds.
    """

    def __init__(self, frame: Mapping[str, Any], *, now: float) -> None:
        self._frame = frame
        self._ends_at = now + PATIENCE_S - REPLY_S + reply_limit_s(frame)
        self._pause_s = _PAUSE_FIRST_S
        #: Whether the frame may have reached a daemon.
        self.sent = False
        self._has_repeated = False

    def pause_s(self, reason: object, *, now: float) -> float:
        """How long to pause before the frame is sent again.

        reason: what went wrong: an exception, or the daemon's own words.
        Raises DaemonUnavailable when there is no time left, or the frame must not be repeated.
        """
        pause_s = self._pause_s
        if (self.sent and self._frame["op"] in ONCE) or now + pause_s >= self._ends_at:
            raise unavailable(self._frame, reason, sent=self.sent)
        self._pause_s = min(2 * pause_s, _PAUSE_MAX_S)
        self._has_repeated = True
        return pause_s

    def may_be_held(self, reply: Mapping[str, Any]) -> bool:
        """Whether a refused call may be held all the same, and is to be voided.

        An earlier attempt of it was answered `unknown` or not at all, and this refusal does not
        tell what became of that.
        """
        return self._has_repeated and reply.get("error") in _UNSEEN


def unavailable(frame: Mapping[str, Any], reason: object, *, sent: bool) -> DaemonUnavailable:
    """The error for a frame that got no answer."""
    op = frame["op"]
    if op == protocol.BUDGET_TOPUP and sent:
        return DaemonUnavailable(
            "it is not known whether the top-up was booked",
            why=str(reason),
            next_step="look with `noburn budget list` before you repeat it",
        )
    return DaemonUnavailable(
        f"the noburn daemon did not answer `{op}`",
        why=str(reason),
        next_step="see `noburn daemon status` and `noburn daemon logs`",
    )


def check_hello(reply: Mapping[str, Any]) -> None:
    """Accept the daemon's answer to `hello`.

    Raises Lost when it is about to leave, FrameRefused when it speaks another version.
    """
    if reply.get("ok") and reply.get("v") == protocol.VERSION:
        return
    if reply.get("error") in _AGAIN:
        raise Lost(str(reply.get("message", "the daemon is about to leave")))
    raise FrameRefused(
        "the noburn daemon speaks another version of the protocol",
        why=str(reply.get("message", f"we speak {protocol.VERSION}, it answered {reply.get('v')}")),
        next_step="run `noburn daemon stop`; the next command starts the new one",
    )
